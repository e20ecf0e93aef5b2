/* The flags: names, help and how each value is taken into the configuration. */
#ifndef WATCHER_FLAG_TABLE_H
#define WATCHER_FLAG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/config.h"

/* What flags have said so far, where the configuration alone does not keep it. */
struct flag_state {
	struct config *cfg;
	bool help, version;
	bool bind_has_port; /* --healthz-bind-address names a port or is empty */
	bool healthz_port_given;
	uint16_t healthz_port; /* --healthz-port */
};

#define DEFAULT_HEALTHZ_PORT 10256

enum flag_group {
	GROUP_SOURCE,
	GROUP_NODE,
	GROUP_RULES,
	GROUP_CONNTRACK,
	GROUP_HEALTH,
	GROUP_LOG,
	GROUP_COUNT
};

struct flag {
	const char *name;
	char letter; /* its short form, or 0 */
	enum flag_group group;
	const char *argument; /* its name in the help; NULL: a switch, true without a value */
	/* Takes VALUE. NULL, or what is expected instead. */
	const char *(*set)(struct flag_state *s, const char *value);
	const char *help; /* lines of at most 62 characters */
};

extern const struct flag flag_table[];
extern const size_t flag_count;

/* Sets what holds when no flag is given. */
void flag_defaults(struct config *cfg);
/* Prints the table on stdout. */
void flag_help(void);

#endif
