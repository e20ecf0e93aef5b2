/*
 * CONFIG: what flags and files say, decided once by the one-shot (kube-proxy-watcher -C) and the
 * same for every process: the parent seals the encoded message into a memfd, fd 3 of each child.
 * No secret is in it: credentials are paths, which only the watcher's uid can read.
 */
#ifndef IPC_CONFIG_H
#define IPC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "common/siphash.h"
#include "ipc/frame.h"

#define CONFIG_PATH_MAX 1024 /* with its NUL */
#define CONFIG_NODE_MAX 254  /* a DNS subdomain and its NUL */

enum proxy_mode { MODE_IPTABLES = 1 };

struct config {
	uint8_t mode; /* enum proxy_mode */
	bool dry_run;
	bool cleanup;	/* take away what any mode left, and end */
	bool init_only; /* do what needs the most privilege, and end */
	int verbosity;

	char node_name[CONFIG_NODE_MAX];
	char manifest_path[CONFIG_PATH_MAX]; /* "" or instead of an apiserver */
	char kubeconfig[CONFIG_PATH_MAX];    /* "" : in-cluster, or master alone */
	char master[CONFIG_PATH_MAX];	     /* "" or the apiserver's URL, over kubeconfig's */
	bool in_cluster; /* master comes from a pod's environment; credentials are the pod's own */

	uint8_t masquerade_bit; /* 0..31 */
	bool masquerade_all;
	uint32_t cluster_cidr_count; /* 0..2, at most one of a family */
	struct ip_cidr cluster_cidrs[FAMILY_COUNT];

	uint64_t sync_period_ms;
	uint64_t min_sync_period_ms;

	/* The node's connection tracking; 0 leaves what the kernel has. */
	uint32_t conntrack_max_per_core;
	uint32_t conntrack_min; /* the least, if a number per core is set */
	uint32_t conntrack_tcp_established_s;
	uint32_t conntrack_tcp_close_wait_s;
	uint32_t conntrack_udp_s;
	uint32_t conntrack_udp_stream_s;
	bool conntrack_tcp_be_liberal;

	int16_t oom_score_adj; /* -1000..1000 */

	struct ip_addr healthz_addr;
	uint16_t healthz_port; /* 0: no health server */

	char audit_log[CONFIG_PATH_MAX]; /* a path, "syslog" or "stderr" */

	struct siphash_key key; /* random per start: digests of chains, hash tables */
};

/* Encodes C into F. */
void config_encode(struct frame *f, const struct config *c);
/* NULL, or what is wrong with the message in words. */
const char *config_decode(struct config *c, const void *data, size_t len);
/* Reads and decodes the sealed memfd FD. A child's first act; any failure is fatal(). */
void config_load(struct config *c, int fd);

#endif
