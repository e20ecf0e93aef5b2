#include "ipc/config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "ipc/leftovers.h"

enum { CONFIG_MESSAGE = 1 };

/*
 * The message's fields in their order, each with what it may hold. A kind writes into its field of
 * struct config only, and never beyond SIZE: numbers up to MAX, strings with their NUL, no more
 * prefixes than the array holds.
 */
enum kind { SWITCH, NUMBER, SIGNED, TEXT, ADDRESS, PREFIXES };

static const struct field {
	enum kind kind;
	size_t at, size;
	uint64_t max;	 /* NUMBER: its greatest. SIGNED: that, and the least with a minus */
	size_t count_at; /* PREFIXES: where their number is */
} fields[] = {
#define AT(name) offsetof(struct config, name), sizeof(((struct config *)NULL)->name)
#define F_SWITCH(name)                                                                             \
	{                                                                                          \
		SWITCH, AT(name), 0, 0                                                             \
	}
#define F_NUMBER(name, m)                                                                          \
	{                                                                                          \
		NUMBER, AT(name), m, 0                                                             \
	}
#define F_SIGNED(name, m)                                                                          \
	{                                                                                          \
		SIGNED, AT(name), m, 0                                                             \
	}
#define F_TEXT(name)                                                                               \
	{                                                                                          \
		TEXT, AT(name), 0, 0                                                               \
	}
#define F_ADDRESS(name)                                                                            \
	{                                                                                          \
		ADDRESS, AT(name), 0, 0                                                            \
	}
#define F_PREFIXES(name, n)                                                                        \
	{                                                                                          \
		PREFIXES, AT(name), 0, offsetof(struct config, n)                                  \
	}
    F_NUMBER(mode, MODE_USERSPACE),
    F_SWITCH(dry_run),
    F_TEXT(inspect),
    F_SWITCH(suggest_policy),
    F_SWITCH(cleanup),
    F_SWITCH(cleanup_ipvs),
    F_NUMBER(cleanup_keep, (1u << LEFTOVERS_WHERES) - 1),
    F_SWITCH(check_node),
    F_SWITCH(init_only),
    F_SIGNED(oom_score_adj, 1000),
    F_NUMBER(watchdog_ms, INT64_MAX),

    F_NUMBER(verbosity, CONFIG_VERBOSITY_MAX),
    F_TEXT(vmodule),
    F_SWITCH(log_json),
    F_TEXT(audit_log),

    F_TEXT(node_name),
    F_TEXT(config_file),
    F_NUMBER(config_digest, UINT64_MAX),
    F_TEXT(manifest_path),
    F_TEXT(kubeconfig),
    F_TEXT(master),
    F_SWITCH(in_cluster),
    F_TEXT(api_content_type),
    F_NUMBER(api_qps_milli, UINT32_MAX),
    F_NUMBER(api_burst, INT32_MAX),

    F_NUMBER(masquerade_bit, 31),
    F_SWITCH(masquerade_all),
    F_NUMBER(detect_local, DETECT_LOCAL_COUNT - 1),
    F_PREFIXES(cluster_cidrs, cluster_cidr_count),
    F_TEXT(pod_interface),
    F_SWITCH(nodeport_primary),
    F_PREFIXES(nodeport_addresses, nodeport_address_count),
    F_SWITCH(localhost_nodeports),
    F_SWITCH(no_external_ips),
    F_NUMBER(policy.node_port_low, UINT16_MAX),
    F_NUMBER(policy.node_port_high, UINT16_MAX),
    F_PREFIXES(policy.frontends.nets, policy.frontends.count),
    F_PREFIXES(policy.endpoints.nets, policy.endpoints.count),
    F_PREFIXES(policy.denied_endpoints.nets, policy.denied_endpoints.count),
    F_TEXT(reserved_node_ports),
    F_NUMBER(sync_period_ms, INT64_MAX),
    F_NUMBER(min_sync_period_ms, INT64_MAX),

    F_NUMBER(conntrack_max_per_core, INT32_MAX),
    F_NUMBER(conntrack_min, INT32_MAX),
    F_NUMBER(conntrack_tcp_established_s, INT32_MAX),
    F_NUMBER(conntrack_tcp_close_wait_s, INT32_MAX),
    F_NUMBER(conntrack_udp_s, INT32_MAX),
    F_NUMBER(conntrack_udp_stream_s, INT32_MAX),
    F_SWITCH(conntrack_tcp_be_liberal),

    F_ADDRESS(bind_address),
    F_SWITCH(bind_address_hard_fail),
    F_ADDRESS(healthz_addr),
    F_NUMBER(healthz_port, UINT16_MAX),
    F_ADDRESS(metrics_addr),
    F_NUMBER(metrics_port, UINT16_MAX),
    F_SWITCH(profiling),
    F_TEXT(flags_text),
    F_TEXT(config_json),

    F_TEXT(ipvs_scheduler),
    F_SWITCH(ipvs_strict_arp),
    F_PREFIXES(ipvs_exclude, ipvs_exclude_count),
    F_NUMBER(ipvs_tcp_s, INT32_MAX),
    F_NUMBER(ipvs_tcp_fin_s, INT32_MAX),
    F_NUMBER(ipvs_udp_s, INT32_MAX),
    F_NUMBER(udp_idle_ms, INT64_MAX),
    F_NUMBER(proxy_port_low, UINT16_MAX),
    F_NUMBER(proxy_port_high, UINT16_MAX),

    F_NUMBER(key.k0, UINT64_MAX),
    F_NUMBER(key.k1, UINT64_MAX),
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static uint64_t number_get(const void *at, size_t size)
{
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (size) {
	case sizeof(v8):
		return memcpy(&v8, at, size), v8;
	case sizeof(v16):
		return memcpy(&v16, at, size), v16;
	case sizeof(v32):
		return memcpy(&v32, at, size), v32;
	default:
		return memcpy(&v64, at, sizeof(v64)), v64;
	}
}

static void number_set(void *at, size_t size, uint64_t v)
{
	switch (size) {
	case sizeof(uint8_t):
		memcpy(at, &(uint8_t){(uint8_t)v}, size);
		break;
	case sizeof(uint16_t):
		memcpy(at, &(uint16_t){(uint16_t)v}, size);
		break;
	case sizeof(uint32_t):
		memcpy(at, &(uint32_t){(uint32_t)v}, size);
		break;
	default:
		memcpy(at, &v, sizeof(v));
	}
}

static void field_encode(struct frame *f, const struct config *c, const struct field *d)
{
	const void *at = (const char *)c + d->at;
	const struct ip_cidr *cidrs = at;
	uint32_t n;

	switch (d->kind) {
	case SWITCH:
		frame_bool(f, *(const bool *)at);
		break;
	case NUMBER:
		frame_uint(f, number_get(at, d->size));
		break;
	case SIGNED:
		frame_uint(f, (uint64_t)(*(const int *)at + (int64_t)d->max));
		break;
	case TEXT:
		frame_str(f, at);
		break;
	case ADDRESS:
		frame_ip(f, at);
		break;
	case PREFIXES:
		n = (uint32_t)number_get((const char *)c + d->count_at, sizeof(n));
		frame_array(f, n);
		for (uint32_t i = 0; i < n; i++)
			frame_cidr(f, &cidrs[i]);
		break;
	}
}

void config_encode(struct frame *f, const struct config *c)
{
	frame_begin(f, CONFIG_MESSAGE, FIELD_COUNT + 1);
	for (size_t i = 0; i < FIELD_COUNT; i++)
		field_encode(f, c, &fields[i]);
	frame_str(f, VERSION); /* the four programs are of one build, or do not start */
}

static void field_decode(struct cursor *in, struct config *c, const struct field *d)
{
	void *at = (char *)c + d->at;
	struct ip_cidr *cidrs = at;
	struct cursor inner;
	uint32_t n;

	switch (d->kind) {
	case SWITCH:
		*(bool *)at = cursor_bool(in);
		break;
	case NUMBER:
		number_set(at, d->size, cursor_uint(in, d->max));
		break;
	case SIGNED:
		*(int *)at = (int)((int64_t)cursor_uint(in, 2 * d->max) - (int64_t)d->max);
		break;
	case TEXT:
		cursor_str(in, at, d->size);
		break;
	case ADDRESS:
		cursor_ip(in, at);
		break;
	case PREFIXES:
		inner = cursor_array(in, (uint32_t)(d->size / sizeof(*cidrs)));
		n = inner.left;
		number_set((char *)c + d->count_at, sizeof(n), n);
		for (uint32_t i = 0; i < n; i++)
			cursor_cidr(&inner, &cidrs[i]);
		cursor_leave(in, &inner);
		break;
	}
}

const char *config_decode(struct config *c, const void *data, size_t len)
{
	struct cursor in;
	char version[32];
	unsigned type;
	const char *why = frame_open(data, len, &type, &in);

	memset(c, 0, sizeof(*c));
	if (why != NULL)
		return why;
	if (type != CONFIG_MESSAGE)
		cursor_fail(&in, "not a CONFIG message");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		field_decode(&in, c, &fields[i]);
	cursor_str(&in, version, sizeof(version));
	if (in.error == NULL && strcmp(version, VERSION) != 0)
		cursor_fail(&in, "from a program of another version");
	if (in.error == NULL && c->mode == MODE_BLANK)
		cursor_fail(&in, "an unknown mode");
	return cursor_end(&in);
}

void config_load(struct config *c, int fd)
{
	static uint8_t buf[FRAME_MAX];
	ssize_t n = pread(fd, buf, sizeof(buf), 0);
	const char *why;

	if (n <= 0)
		fatal(EXIT_FAILED,
		    "no configuration on descriptor %d: %s (this program is started by "
		    "kube-proxy, not by hand)",
		    fd, n < 0 ? strerror(errno) : "empty");
	why = config_decode(c, buf, (size_t)n);
	if (why != NULL)
		fatal(EXIT_FAILED, "the configuration on descriptor %d is broken: %s", fd, why);
	log_configure(c->verbosity, c->vmodule, c->log_json);
}
