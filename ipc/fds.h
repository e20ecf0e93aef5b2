/* The fixed descriptors of the processes: the parent puts them there before exec. */
#ifndef IPC_FDS_H
#define IPC_FDS_H

enum {
	FD_CONFIG =
	    3, /* sealed memfd with the CONFIG message (the one-shot: the channel to send it) */
	FD_LIFE = 4, /* read end of a pipe that only the parent holds: hang-up means it is gone */
	FD_FIRST_CHANNEL = 5,

	/* kube-proxy-watcher */
	WATCHER_FD_PLANNER = 5,
	/* kube-proxy-planner; with --dry-run only the watcher's */
	PLANNER_FD_WATCHER = 5,
	PLANNER_FD_APPLIER = 6,
	PLANNER_FD_LISTENER = 7,
	PLANNER_FD_PARENT_STAT = 8, /* the parent's /proc/PID/stat, to be read */
	PLANNER_FD_CLEANER = 9,
	PLANNER_FD_RELAY = 10, /* if there are relays: the broker */
	/* kube-proxy-cleaner; what only root may open is opened by the parent */
	CLEANER_FD_PLANNER = 5, /* --cleanup, --check-node: /dev/null */
	CLEANER_FD_LOCK = 6,	/* /run/xtables.lock */
	CLEANER_FD_TABLES = 7,	/* /proc/net/ip_tables_names, then ip6_tables_names */
	/* kube-proxy-listener */
	LISTENER_FD_PLANNER = 5,
	/* kube-proxy-relay */
	RELAY_FD_BROKER = 5, /* the planner's messages */
	RELAY_FD_DIAL = 6,   /* connections */
	/* kube-proxy-broker */
	BROKER_FD_PLANNER = 5,
	BROKER_FD_RELAY = 6,
	BROKER_FD_DIAL = 7,
};

#endif
