/* libiptc for both families behind one table of functions, its sockets, and the xtables lock. */
#ifndef APPLIER_IPT_BACKEND_H
#define APPLIER_IPT_BACKEND_H

#include <libiptc/xtcshared.h>
#include <stdint.h>

#include "applier/ipt_tables.h"
#include "applier/policy.h"

#define IPT_LOCK_FILE "/run/xtables.lock"

/* libip4tc and libip6tc; what their functions take and return is in <libiptc/libiptc.h>. */
struct ipt_family {
	const char *name;
	int domain, level;
	const struct xtc_ops *ops;
	int (*delete_chain)(const char *, struct xtc_handle *);
	int (*get_references)(unsigned *, const char *, struct xtc_handle *);
	int (*delete_num_entry)(const char *, unsigned, struct xtc_handle *);
	/* of struct ipt_entry or ip6t_entry */
	const void *(*first_rule)(const char *, struct xtc_handle *);
	const void *(*next_rule)(const void *, struct xtc_handle *);
	const char *(*get_target)(const void *, struct xtc_handle *);
	int (*append_entry)(const char *, const void *, struct xtc_handle *);
	int (*insert_entry)(const char *, const void *, unsigned, struct xtc_handle *);
};
extern const struct ipt_family ipt_families[FAMILY_COUNT];
extern const char *const ipt_table_names[IPT_TABLE_COUNT];

/*
 * With privilege, before the lock-down: opens the lock file and the sockets, lets the kernel set up
 * its tables, and fills P's families and lock_fd. fatal() if no family is offered.
 */
void ipt_backend_open(struct policy *p);
/* Opens the socket of FAMILY alone: 0, or -1 with errno. */
int ipt_socket_open(unsigned family);

/*
 * Takes /run/xtables.lock, which every iptables-legacy program takes, waiting some seconds.
 * 0, or -1 if another holds on to it (errno EWOULDBLOCK) or on error.
 */
int ipt_lock(const struct policy *p, uint32_t *waited_ms);
void ipt_unlock(const struct policy *p);

/* The number of entries and of bytes of TABLE ("nat") in the kernel now. 0, or -1 with errno. */
int ipt_get_info(uint8_t family, const char *table, uint32_t info[2]);

#endif
