#include "applier/ipt_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <libiptc/libip6tc.h>
#include <libiptc/libiptc.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "applier/fds.h"
#include "common/log.h"

#define LOCK_PAUSE_MS 10
#define LOCK_WAIT_MS  5000

const char *const ipt_table_names[IPT_TABLE_COUNT] = {"nat", "filter"};

/* --- one body for libip4tc and libip6tc --- */

/* The functions whose types name the family's entry. */
#define ENTRY_FUNCTIONS(prefix, type)                                                              \
	static const void *prefix##_first(const char *chain, struct xtc_handle *h)                 \
	{                                                                                          \
		return prefix##_first_rule(chain, h);                                              \
	}                                                                                          \
	static const void *prefix##_next(const void *e, struct xtc_handle *h)                      \
	{                                                                                          \
		return prefix##_next_rule((const struct type *)e, h);                              \
	}                                                                                          \
	static const char *prefix##_target(const void *e, struct xtc_handle *h)                    \
	{                                                                                          \
		return prefix##_get_target((const struct type *)e, h);                             \
	}                                                                                          \
	static int prefix##_append(const char *chain, const void *e, struct xtc_handle *h)         \
	{                                                                                          \
		return prefix##_append_entry(chain, (const struct type *)e, h);                    \
	}                                                                                          \
	static int prefix##_insert(                                                                \
	    const char *chain, const void *e, unsigned at, struct xtc_handle *h)                   \
	{                                                                                          \
		return prefix##_insert_entry(chain, (const struct type *)e, at, h);                \
	}
ENTRY_FUNCTIONS(iptc, ipt_entry)
ENTRY_FUNCTIONS(ip6tc, ip6t_entry)

#define FAMILY_TABLE(prefix, name, domain, level)                                                  \
	{                                                                                          \
		name, domain, level, &prefix##_ops, prefix##_delete_chain,                         \
		    prefix##_get_references, prefix##_delete_num_entry, prefix##_first,            \
		    prefix##_next, prefix##_target, prefix##_append, prefix##_insert               \
	}
const struct ipt_family ipt_families[FAMILY_COUNT] = {
    [FAMILY_4] = FAMILY_TABLE(iptc, "IPv4", AF_INET, IPPROTO_IP),
    [FAMILY_6] = FAMILY_TABLE(ip6tc, "IPv6", AF_INET6, IPPROTO_IPV6),
};

/* --- sockets and the lock --- */

static int sockets[FAMILY_COUNT] = {-1, -1};

/*
 * Stands before libc's for the whole program. libiptc opens a raw socket for each table it reads,
 * which needs CAP_NET_RAW and could send packets; it gets a duplicate of a datagram socket that was
 * opened before the lock-down, with which x_tables' options work as well.
 */
int socket(int domain, int type, int protocol)
{
	if (protocol == IPPROTO_RAW)
		for (int f = 0; f < FAMILY_COUNT; f++)
			if (ipt_families[f].domain == domain)
				return fcntl(sockets[f], F_DUPFD_CLOEXEC, APPLIER_FD_FREE);
	return (int)syscall(SYS_socket, domain, type, protocol);
}

int ipt_socket_open(unsigned family)
{
	sockets[family] =
	    fd_move_up(socket(ipt_families[family].domain, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	return sockets[family] < 0 ? -1 : 0;
}

/* Does the kernel have both tables of family F? */
static bool offered(unsigned f)
{
	if (ipt_socket_open(f) != 0) {
		log_warn("%s: %s; left alone", ipt_families[f].name, strerror(errno));
		return false;
	}
	for (int t = 0; t < IPT_TABLE_COUNT; t++) {
		struct xtc_handle *h = ipt_families[f].ops->init(ipt_table_names[t]);

		if (h == NULL) {
			log_warn("%s: the kernel has no table %s (%s); this family is left alone",
			    ipt_families[f].name, ipt_table_names[t], strerror(errno));
			return false;
		}
		ipt_families[f].ops->free(h);
	}
	return true;
}

void ipt_backend_open(struct policy *p)
{
	p->lock_fd =
	    fd_move_up(open(IPT_LOCK_FILE, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (p->lock_fd < 0)
		fatal(EXIT_CONFIG, IPT_LOCK_FILE ": %s; it must be a file that root may create",
		    strerror(errno));
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		p->families[f] = offered(f);
	if (!p->families[FAMILY_4] && !p->families[FAMILY_6])
		fatal(EXIT_CONFIG,
		    "the kernel has no legacy iptables tables; load ip_tables and iptable_nat "
		    "(modprobe), or use --proxy-mode=nftables");
}

int ipt_lock(const struct policy *p, uint32_t *waited_ms)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000 * 1000};

	for (*waited_ms = 0; *waited_ms < LOCK_WAIT_MS; *waited_ms += LOCK_PAUSE_MS) {
		if (flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		nanosleep(&pause, NULL);
	}
	errno = EWOULDBLOCK;
	return -1;
}

void ipt_unlock(const struct policy *p)
{
	flock(p->lock_fd, LOCK_UN);
}

int ipt_get_info(uint8_t family, const char *table, uint32_t info[2])
{
	struct ipt_getinfo now = {0}; /* struct ip6t_getinfo and its option's number are the same */
	socklen_t len = sizeof(now);
	int r;

	strlcpy(now.name, table, sizeof(now.name));
	r = getsockopt(sockets[family], ipt_families[family].level, IPT_SO_GET_INFO, &now, &len);
	info[0] = now.num_entries;
	info[1] = now.size;
	return r;
}
