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
	/* kube-proxy-planner; with --dry-run only the watcher's, with --cleanup only the applier's
	 */
	PLANNER_FD_WATCHER = 5,
	PLANNER_FD_APPLIER = 6,
	PLANNER_FD_LISTENER = 7,
	PLANNER_FD_PARENT_STAT = 8, /* the parent's /proc/PID/stat, to be read */
	/* kube-proxy-listener */
	LISTENER_FD_PLANNER = 5,
};

#endif
