#include "applier/audit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

/* authpriv (10), informational (6): syslog(3) */
#define SYSLOG_PRIORITY (10 << 3 | 6)

/* Appends to the text in BUF; what does not fit is cut. */
__attribute__((format(printf, 3, 4))) static void add(char *buf, size_t size, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
}

void audit_write(const struct policy *p, const char *fmt, ...)
{
	char buf[1536] = "";
	time_t now = time(NULL);
	struct tm tm;
	size_t len;
	va_list ap;

	if (p->audit_is_syslog)
		add(buf, sizeof(buf), "<%d>kube-proxy-audit[%d]: ", SYSLOG_PRIORITY, (int)getpid());
	else
		strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &tm));
	va_start(ap, fmt);
	len = strlen(buf);
	vsnprintf(buf + len, sizeof(buf) - 1 - len, fmt, ap);
	va_end(ap);
	len = strlen(buf);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)buf[i] < ' ' || (unsigned char)buf[i] >= 0x7f)
			buf[i] = '?';
	if (!p->audit_is_syslog)
		buf[len++] = '\n';
	if (write(p->audit_fd, buf, len) != (ssize_t)len)
		log_error("an audit line is lost: %s", strerror(errno));
}

const char *audit_table(uint8_t family, uint8_t table)
{
	static const char *const names[] = {"ipv4 nat", "ipv4 filter", "ipv6 nat", "ipv6 filter"};

	return names[family * IPT_TABLE_COUNT + table];
}

const char *audit_chain(char *buf, size_t size, const struct ipt_chain *c)
{
	char name[CHAIN_NAME_LEN];

	snprintf(buf, size, "%s %s", audit_table(c->family, c->table), ipt_chain_name(c, name));
	return buf;
}

const char *audit_rule(char *buf, size_t size, const struct ipt_rule *r, const struct ipt_chain *c)
{
	const struct ipt_template *t = &ipt_templates[r->template];
	char addr[IP_STRLEN], cidr[CIDR_STRLEN], name[CHAIN_NAME_LEN];
	struct ipt_chain target = {.kind = r->target_kind};

	audit_chain(buf, size, c);
	add(buf, size, ": %s", t->name);
	if ((t->args & ARG_NET) != 0)
		add(buf, size, " net=%s", ip_cidr_format(&r->net, cidr));
	if ((t->args & ARG_DST) != 0)
		add(buf, size, " dst=%s", ip_format(&r->dst, addr));
	if ((t->args & ARG_PROTO) != 0)
		add(buf, size, " proto=%u", r->proto);
	if ((t->args & ARG_DPORT) != 0)
		add(buf, size, " dport=%u", r->dport);
	if ((t->args & ARG_NAME) != 0)
		add(buf, size, " name=%s", r->name);
	if ((t->args & ARG_TO) != 0)
		add(buf, size, " to=%s port=%u", ip_format(&r->to, addr), r->to_port);
	if ((t->args & ARG_RELAY) != 0)
		add(buf, size, " relay=%u", r->to_port);
	if ((t->args & ARG_PROBABILITY) != 0)
		add(buf, size, " probability=%u", r->probability);
	if ((t->args & ARG_SECONDS) != 0)
		add(buf, size, " seconds=%u", r->seconds);
	memcpy(target.hash, r->target_hash, sizeof(target.hash));
	if ((t->args & ARG_TARGET) != 0)
		add(buf, size, " target=%s", ipt_chain_name(&target, name));
	return buf;
}
