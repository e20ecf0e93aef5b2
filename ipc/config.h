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
#include "common/node_policy.h"
#include "common/siphash.h"
#include "ipc/frame.h"

#define CONFIG_PATH_MAX	     1024 /* with its NUL, as the others */
#define CONFIG_NODE_MAX	     254  /* a DNS subdomain */
#define CONFIG_INTERFACE_MAX 16	  /* IFNAMSIZ */
#define CONFIG_WORD_MAX	     64
#define CONFIG_VMODULE_MAX   256
#define CONFIG_PORTS_MAX     256
#define CONFIG_PREFIXES_MAX  32
#define CONFIG_SHOWN_MAX     16384
#define CONFIG_VERBOSITY_MAX 10 /* more means no more */

/* Blank, which the one-shot settles: no process sees it. */
enum proxy_mode {
	MODE_BLANK = 0,
	MODE_IPTABLES = 1,
	MODE_NFTABLES = 2,
	MODE_IPVS = 3,
	MODE_USERSPACE = 4,
};

/* What tells that a packet comes from a pod of this node. */
enum detect_local {
	DETECT_CLUSTER_CIDR = 0, /* its source is in cluster_cidrs, if there are any */
	DETECT_NODE_CIDR,	 /* its source is in the own Node's podCIDRs */
	DETECT_BRIDGE_INTERFACE, /* it came in by pod_interface */
	DETECT_INTERFACE_PREFIX, /* ... by an interface whose name begins so */
	DETECT_LOCAL_COUNT
};

struct config {
	/* what to do */
	uint8_t mode; /* enum proxy_mode */
	bool dry_run;
	char inspect[CONFIG_PATH_MAX]; /* "" or what a dry run answers in place of the rules */
	bool suggest_policy; /* a dry run that prints the policy that the objects fit, not the rules
			      */
	bool cleanup;	     /* remove what any kube-proxy left, and exit */
	bool cleanup_ipvs;   /* ... ipvs mode's too; means nothing without cleanup */
	uint8_t cleanup_keep; /* ... except these: a bit per enum leftovers_where */
	bool check_node;      /* say what a start would find and change, and exit */
	bool init_only;	      /* do what needs full privilege, and exit */
	int oom_score_adj;    /* -1000..1000 */

	uint64_t watchdog_ms; /* the service manager wants to hear that often; 0: it does not */

	/* logs */
	int verbosity;
	char vmodule[CONFIG_VMODULE_MAX]; /* "" or "file=level,..." */
	bool log_json;
	char audit_log[CONFIG_PATH_MAX]; /* a path, "syslog" or "stderr" */

	/* where objects come from */
	char node_name[CONFIG_NODE_MAX];
	char config_file[CONFIG_PATH_MAX];   /* "" or the file that all this comes from */
	uint64_t config_digest;		     /* of what it held */
	char manifest_path[CONFIG_PATH_MAX]; /* "" or instead of an apiserver */
	char kubeconfig[CONFIG_PATH_MAX];    /* "" : in-cluster, or master alone */
	char master[CONFIG_PATH_MAX];	     /* "" or the apiserver's URL, over kubeconfig's */
	bool in_cluster; /* master comes from a pod's environment; credentials are the pod's own */
	char api_content_type[CONFIG_WORD_MAX]; /* never empty */
	uint32_t api_qps_milli;			/* thousandths of a request a second; 0: no limit */
	uint32_t api_burst;			/* at least 1 */

	/* rules */
	uint8_t masquerade_bit; /* 0..31 */
	bool masquerade_all;
	uint8_t detect_local;	     /* enum detect_local */
	uint32_t cluster_cidr_count; /* 0..2, at most one of a family */
	struct ip_cidr cluster_cidrs[FAMILY_COUNT];
	char
	    pod_interface[CONFIG_INTERFACE_MAX]; /* a name or its beginning, as detect_local says */
	bool nodeport_primary;		 /* node ports answer on the Node's own addresses only */
	uint32_t nodeport_address_count; /* 0: on all, if not nodeport_primary */
	struct ip_cidr nodeport_addresses[CONFIG_PREFIXES_MAX];
	bool localhost_nodeports; /* node ports answer on loopback addresses as well */
	bool no_external_ips;	  /* Services' externalIPs are not served */
	struct node_policy policy;
	/* no Service's at an address of the node, except as node ports (common/port_list.h) */
	char reserved_node_ports[CONFIG_PORTS_MAX];
	uint64_t sync_period_ms;
	uint64_t min_sync_period_ms;

	/* conntrack; 0 leaves what the kernel has */
	uint32_t conntrack_max_per_core;
	uint32_t conntrack_min; /* means nothing if max_per_core is 0 */
	uint32_t conntrack_tcp_established_s;
	uint32_t conntrack_tcp_close_wait_s;
	uint32_t conntrack_udp_s;
	uint32_t conntrack_udp_stream_s;
	bool conntrack_tcp_be_liberal;

	/* what is answered */
	struct ip_addr bind_address; /* the node's primary address; unspecified: the Node tells */
	bool bind_address_hard_fail; /* a port that cannot be bound ends the proxy */
	struct ip_addr healthz_addr;
	uint16_t healthz_port; /* 0: no health server */
	struct ip_addr metrics_addr;
	uint16_t metrics_port;		    /* 0: no metrics server */
	bool profiling;			    /* it serves CPU profiles */
	char flags_text[CONFIG_SHOWN_MAX];  /* what /flagz and ... */
	char config_json[CONFIG_SHOWN_MAX]; /* ... /configz show; "": it is too long */

	/* ipvs mode, which is to come */
	char ipvs_scheduler[CONFIG_WORD_MAX]; /* "": rr */
	bool ipvs_strict_arp;
	uint32_t ipvs_exclude_count;
	struct ip_cidr ipvs_exclude[CONFIG_PREFIXES_MAX];
	uint32_t ipvs_tcp_s; /* 0 leaves what the kernel has */
	uint32_t ipvs_tcp_fin_s;
	uint32_t ipvs_udp_s;

	/* userspace mode, and other modes' relays */
	uint64_t udp_idle_ms;	 /* a UDP flow that is idle for so long is closed */
	uint16_t proxy_port_low; /* both 0: any port */
	uint16_t proxy_port_high;

	struct siphash_key key; /* random per start: digests of chains, hash tables */
};

/* Encodes C into F. */
void config_encode(struct frame *f, const struct config *c);
/* NULL, or what is wrong with the message in words. */
const char *config_decode(struct config *c, const void *data, size_t len);
/* Reads and decodes the sealed memfd FD. A child's first act; any failure is fatal(). */
void config_load(struct config *c, int fd);

#endif
