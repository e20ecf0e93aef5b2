#include "ipc/config.h"

#include <errno.h>
#include <linux/oom.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

enum { CONFIG_MESSAGE = 1, CONFIG_FIELDS = 29 };

void config_encode(struct frame *f, const struct config *c)
{
	frame_begin(f, CONFIG_MESSAGE, CONFIG_FIELDS);
	frame_uint(f, c->mode);
	frame_bool(f, c->dry_run);
	frame_bool(f, c->cleanup);
	frame_bool(f, c->init_only);
	frame_uint(f, (uint64_t)c->verbosity);
	frame_str(f, c->node_name);
	frame_str(f, c->manifest_path);
	frame_str(f, c->kubeconfig);
	frame_str(f, c->master);
	frame_bool(f, c->in_cluster);
	frame_uint(f, c->masquerade_bit);
	frame_bool(f, c->masquerade_all);
	frame_array(f, c->cluster_cidr_count);
	for (uint32_t i = 0; i < c->cluster_cidr_count; i++)
		frame_cidr(f, &c->cluster_cidrs[i]);
	frame_uint(f, c->sync_period_ms);
	frame_uint(f, c->min_sync_period_ms);
	frame_uint(f, c->conntrack_max_per_core);
	frame_uint(f, c->conntrack_min);
	frame_uint(f, c->conntrack_tcp_established_s);
	frame_uint(f, c->conntrack_tcp_close_wait_s);
	frame_uint(f, c->conntrack_udp_s);
	frame_uint(f, c->conntrack_udp_stream_s);
	frame_bool(f, c->conntrack_tcp_be_liberal);
	frame_uint(f, (uint64_t)(c->oom_score_adj + OOM_SCORE_ADJ_MAX)); /* numbers are unsigned */
	frame_ip(f, &c->healthz_addr);
	frame_uint(f, c->healthz_port);
	frame_str(f, c->audit_log);
	frame_uint(f, c->key.k0);
	frame_uint(f, c->key.k1);
	frame_str(f, VERSION); /* the four programs are of one build, or do not start */
}

const char *config_decode(struct config *c, const void *data, size_t len)
{
	struct frame_reader r;
	struct cursor in, cidrs;
	char version[32];
	unsigned type;
	const char *why = frame_open(&r, data, len, &type, &in);

	memset(c, 0, sizeof(*c));
	if (why != NULL)
		return why;
	if (type != CONFIG_MESSAGE)
		cursor_fail(&in, "not a CONFIG message");
	c->mode = (uint8_t)cursor_uint(&in, MODE_IPTABLES);
	c->dry_run = cursor_bool(&in);
	c->cleanup = cursor_bool(&in);
	c->init_only = cursor_bool(&in);
	c->verbosity = (int)cursor_uint(&in, 10);
	cursor_str(&in, c->node_name, sizeof(c->node_name));
	cursor_str(&in, c->manifest_path, sizeof(c->manifest_path));
	cursor_str(&in, c->kubeconfig, sizeof(c->kubeconfig));
	cursor_str(&in, c->master, sizeof(c->master));
	c->in_cluster = cursor_bool(&in);
	c->masquerade_bit = (uint8_t)cursor_uint(&in, 31);
	c->masquerade_all = cursor_bool(&in);
	cidrs = cursor_array(&in, FAMILY_COUNT);
	c->cluster_cidr_count = cidrs.left;
	for (uint32_t i = 0; i < c->cluster_cidr_count; i++)
		cursor_cidr(&cidrs, &c->cluster_cidrs[i]);
	cursor_leave(&in, &cidrs);
	c->sync_period_ms = cursor_uint(&in, INT64_MAX);
	c->min_sync_period_ms = cursor_uint(&in, INT64_MAX);
	c->conntrack_max_per_core = (uint32_t)cursor_uint(&in, INT32_MAX);
	c->conntrack_min = (uint32_t)cursor_uint(&in, INT32_MAX);
	c->conntrack_tcp_established_s = (uint32_t)cursor_uint(&in, INT32_MAX);
	c->conntrack_tcp_close_wait_s = (uint32_t)cursor_uint(&in, INT32_MAX);
	c->conntrack_udp_s = (uint32_t)cursor_uint(&in, INT32_MAX);
	c->conntrack_udp_stream_s = (uint32_t)cursor_uint(&in, INT32_MAX);
	c->conntrack_tcp_be_liberal = cursor_bool(&in);
	c->oom_score_adj =
	    (int16_t)((int)cursor_uint(&in, 2 * OOM_SCORE_ADJ_MAX) - OOM_SCORE_ADJ_MAX);
	cursor_ip(&in, &c->healthz_addr);
	c->healthz_port = (uint16_t)cursor_uint(&in, UINT16_MAX);
	cursor_str(&in, c->audit_log, sizeof(c->audit_log));
	c->key.k0 = cursor_uint(&in, UINT64_MAX);
	c->key.k1 = cursor_uint(&in, UINT64_MAX);
	cursor_str(&in, version, sizeof(version));
	if (in.error == NULL && strcmp(version, VERSION) != 0)
		cursor_fail(&in, "from a program of another version");
	if (in.error == NULL && c->mode != MODE_IPTABLES)
		cursor_fail(&in, "an unknown mode");
	why = cursor_end(&in);
	frame_close(&r);
	return why;
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
	log_set_verbosity(c->verbosity);
}
