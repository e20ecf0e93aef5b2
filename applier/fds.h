/* The parent's descriptors stand at fixed numbers, so that its seccomp filter can name them. */
#ifndef APPLIER_FDS_H
#define APPLIER_FDS_H

enum {
	APPLIER_FD_PLANNER = 10, /* channel */
	APPLIER_FD_SIGNALS = 11, /* signalfd: a child's end, SIGTERM, SIGINT */
	APPLIER_FD_AUDIT = 12,
	APPLIER_FD_NOTIFY = 13,	     /* the service manager's socket, if there is one */
	APPLIER_FD_FLOWS = 14,	     /* netlink: a dump of the kernel's flows ... */
	APPLIER_FD_FLOW_DELETE = 15, /* ... and deletions, whose answers stand alone */
	APPLIER_FD_NFT = 16,	     /* netlink: nf_tables, in nftables mode */
	/* ipvs mode, all netlink: */
	APPLIER_FD_IPVS = 17,  /* virtual servers ... */
	APPLIER_FD_REALS = 18, /* ... and their real servers, listed while those are */
	APPLIER_FD_IPSET = 19,
	APPLIER_FD_ROUTE = 20, /* kube-ipvs0's addresses */
	APPLIER_FD_FREE = 24,  /* descriptors from here on are of no fixed meaning */
};

/* Moves FD to NUMBER, close-on-exec; fatal() if it cannot. */
void fd_place(int fd, int number);
/* Moves FD out of the way of the fixed numbers, close-on-exec. Returns its new one, -1 if FD is. */
int fd_move_up(int fd);

#endif
