#include "applier/audit.h"

#include <errno.h>
#include <sha2.h>
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

/* --- the chain --- */

#define CHAIN	  " chain="
#define CHAIN_LEN 16 /* bytes of a hash */
#define CHAIN_END (sizeof(CHAIN) - 1 + CHAIN_LEN * (size_t)2)

static char last[CHAIN_LEN * 2 + 1]; /* of the line before; "": there is none */
static bool torn;		     /* ... of which a part was written */
static bool lost;		     /* ... or nothing: the log is told once */

void audit_continue(const char *text, size_t len)
{
	if (len <= CHAIN_END || text[len - 1] != '\n') {
		torn = len > 0;
		return;
	}
	text += len - 1 - CHAIN_END;
	if (memcmp(text, CHAIN, sizeof(CHAIN) - 1) == 0)
		strlcpy(last, text + sizeof(CHAIN) - 1, sizeof(last));
}

/* Appends what chains LINE to the one before. */
static void chain(const char *line, char hex[sizeof(last)])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)last, strlen(last));
	SHA256Update(&ctx, (const uint8_t *)line, strlen(line));
	SHA256Final(digest, &ctx);
	for (size_t i = 0; i < CHAIN_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* --- lines --- */

static bool write_line(const struct policy *p, char *buf, size_t size, size_t head)
{
	char hex[sizeof(last)];
	size_t len = strlen(buf);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)buf[i] < ' ' || (unsigned char)buf[i] >= 0x7f)
			buf[i] = '?';
	if (torn)
		buf[0] = '\n'; /* there is room for it: see below */
	chain(buf + head, hex);
	add(buf, size, CHAIN "%s%s", hex, p->audit_is_syslog ? "" : "\n");
	len = strlen(buf);
	if (!torn)
		buf++, len--;
	if (write(p->audit_fd, buf, len) != (ssize_t)len) {
		if (!lost)
			log_error(
			    "audit log: a line cannot be written: %s; nothing is changed until "
			    "one can be",
			    strerror(errno));
		lost = true;
		torn = !p->audit_is_syslog;
		return false;
	}
	torn = lost = false;
	memcpy(last, hex, sizeof(last));
	return true;
}

bool audit_write(const struct policy *p, const char *fmt, ...)
{
	const size_t room = CHAIN_END + 2;
	char buf[1600] = " "; /* in front of all, where a line that was torn is ended */
	time_t now = time(NULL);
	struct tm tm;
	size_t head = 1, len;
	va_list ap;

	if (p->audit_is_syslog) {
		add(buf, sizeof(buf), "<%d>kube-proxy-audit[%d]: ", SYSLOG_PRIORITY, (int)getpid());
		head = strlen(buf);
	} else {
		strftime(buf + 1, sizeof(buf) - 1, "%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &tm));
	}
	va_start(ap, fmt);
	len = strlen(buf);
	vsnprintf(buf + len, sizeof(buf) - room - len, fmt, ap);
	va_end(ap);
	return write_line(p, buf, sizeof(buf), head);
}

/* --- the changes of a transaction --- */

#define A_MINUTE 3000 /* changes in words */

static struct {
	uint64_t generation;
	uint32_t named, unnamed;
	bool failed, said; /* SAID: that there are none in words */
	time_t minute;
	uint32_t in_minute;
} changes;

void audit_begin(uint64_t generation)
{
	changes.generation = generation;
	changes.named = changes.unnamed = 0;
	changes.failed = changes.said = false;
}

bool audit_wants_words(void)
{
	const time_t minute = time(NULL) / 60;

	if (minute != changes.minute)
		changes.in_minute = 0;
	changes.minute = minute;
	return changes.named < AUDIT_CHANGES_MAX && changes.in_minute < A_MINUTE;
}

void audit_change(const struct policy *p, const char *verb, const char *words)
{
	if (!audit_wants_words()) {
		changes.unnamed++;
		return;
	}
	changes.named++;
	changes.in_minute++;
	if (!audit_write(
		p, "generation %llu: %s %s", (unsigned long long)changes.generation, verb, words))
		changes.failed = true;
}

bool audit_ready(const struct policy *p)
{
	if (changes.named == 0 && !changes.said) {
		changes.said = true;
		if (!audit_write(p, "generation %llu: changes without words",
			(unsigned long long)changes.generation))
			changes.failed = true;
	}
	return !changes.failed;
}

uint32_t audit_unnamed(void)
{
	return changes.unnamed;
}

/* --- words --- */

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
