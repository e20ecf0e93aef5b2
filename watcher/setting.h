/*
 * The settings: every flag and every field of a KubeProxyConfiguration, one row each. A row says
 * where its value is kept, what it may be, and what it is if nobody says: parsing flags, reading
 * and writing files and --help are loops over the rows.
 */
#ifndef WATCHER_SETTING_H
#define WATCHER_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/config.h"

#define SETTING_GATES_MAX 2048 /* bytes of all feature gates */
#define SETTING_TEXT_MAX  2560 /* bytes of any value as text, with its NUL */
#define SETTINGS_MAX	  128

/* Where something is served: as text "IP", "IP:port", "[IPv6]:port" or "" (nowhere, as with port
 * 0). */
struct setting_bind {
	struct ip_addr addr;
	uint16_t port; /* 0: the text names none */
	bool nowhere;
};

/* What the files say for each mode, of which one is taken. */
struct setting_mode {
	uint64_t sync_period_ms;
	uint64_t min_sync_period_ms;
	uint8_t masquerade_bit;
	bool masquerade_all;
};

struct settings {
	struct config cfg;

	bool help, help_all;
	char version[8]; /* a boolean as text, or "raw" */
	char write_config_to[CONFIG_PATH_MAX], verify_audit_log[CONFIG_PATH_MAX];
	struct setting_mode iptables, ipvs, nftables;
	struct setting_bind healthz, metrics;
	uint16_t healthz_port, metrics_port;
	char feature_gates[SETTING_GATES_MAX]; /* "Name=true,..." */
	char pod_bridge[CONFIG_INTERFACE_MAX], pod_prefix[CONFIG_INTERFACE_MAX];
	uint64_t config_sync_ms, log_flush_ms;
	char show_hidden_metrics[CONFIG_WORD_MAX];
	/* What settings without effect were given last; nobody reads it. */
	struct {
		bool on;
		uint32_t number;
		char text[CONFIG_PATH_MAX];
	} ignored;

	bool given[SETTINGS_MAX]; /* by the row's number: said by a flag or by the file */
};

enum setting_kind {
	SETTING_SWITCH,	  /* bool */
	SETTING_NUMBER,	  /* an integer of the field's size, LOW..HIGH; int if LOW < 0 */
	SETTING_MILLI,	  /* uint32_t thousandths of a decimal fraction; 0 is written as -1 */
	SETTING_DURATION, /* uint64_t milliseconds, at least LOW */
	SETTING_SECONDS,  /* uint32_t; a part of a second is a whole one: 0 means something else */
	SETTING_TEXT,	  /* char[] */
	SETTING_PATH,	  /* char[], made absolute */
	SETTING_CHOICE,	  /* uint8_t, LOW for the first of WORDS, "" for it too */
	SETTING_WORDS,	  /* uint8_t, a bit for each of WORDS, separated by commas */
	SETTING_ADDRESS,  /* struct ip_addr */
	SETTING_BIND,	  /* struct setting_bind */
	SETTING_PORTS,	  /* two uint16_t */
	SETTING_PREFIXES, /* struct ip_cidr[], COUNT_AT; with PRIMARY_AT also "primary" */
	SETTING_GATES,	  /* char[]; a map in files */
	SETTING_VMODULE,  /* char[]; a list of objects in files */
};

enum setting_group {
	GROUP_SOURCE,
	GROUP_NODE,
	GROUP_RULES,
	GROUP_POLICY,
	GROUP_CONNTRACK,
	GROUP_HEALTH,
	GROUP_PROCESS,
	GROUP_LOG,
	GROUP_OTHER_MODES,
	GROUP_IGNORED,
	GROUP_COUNT
};

enum {
	WITH_CONFIG = 1,      /* the flag counts beside --config, and more than the file */
	EMPTY_IS_DEFAULT = 2, /* in a file, 0 and "" mean the default */
	ONE_OF_A_FAMILY = 4,  /* PREFIXES: at most two, of different families */
	WHOLE = 8,	      /* PREFIXES: a flag given twice replaces; a file has one string */
	NO_EFFECT = 16,	      /* accepted; a value that is not the default is a warning */
	NANOSECONDS = 32,     /* DURATION: a file may have a number of them */
};

struct setting {
	const char *flag;  /* NULL: a file's field only */
	const char *field; /* its path in a file; NULL: a flag only */
	enum setting_kind kind;
	size_t at, size; /* in struct settings */
	size_t count_at, primary_at;
	int64_t low, high;
	/* TEXT: NULL if TEXT is good, else what is expected. */
	const char *(*check)(const char *text);
	const char *const
	    *words; /* of a CHOICE or WORDS, or a TEXT's that can be listed; ends with NULL */
	const char *expected; /* what is said of a wrong value; NULL: the kind's words */
	const char *standard; /* the default, as a value is given */
	unsigned marks;
	enum setting_group group;
	char letter;	      /* the flag's short form, or 0 */
	const char *argument; /* the value's name in the help; NULL: a switch */
	const char *help;     /* sentences; the help wraps them */
};

#define SETTING_AT(name)                                                                           \
	.at = offsetof(struct settings, name), .size = sizeof(((struct settings *)NULL)->name)

/* The rows by number; NULL behind the last. */
const struct setting *setting_at(size_t number);
/* The row of the flag of LEN letters at TEXT, "_" standing for "-" too; NULL if there is none. */
const struct setting *setting_of_flag(const char *text, size_t len);
const struct setting *setting_of_letter(char letter);
/* The row of the field whose path is PATH; NULL if there is none. */
const struct setting *setting_of_field(const char *path);

/* Sets every row to its default. */
void settings_init(struct settings *s);
/* Takes TEXT as the row's value. NULL, or what is expected instead (valid until the next call). */
const char *setting_take(struct settings *s, const struct setting *row, const char *text);
/* The same for a default, which nobody gave. */
const char *setting_store(struct settings *s, const struct setting *row, const char *text);
/* The value in the form that setting_take() takes. */
const char *setting_text(
    const struct settings *s, const struct setting *row, char buf[SETTING_TEXT_MAX]);
/* Is TEXT, a good value, 0 or ""? */
bool setting_is_empty(const struct setting *row, const char *text);
/* Has ROW no place of its own, but one in S->ignored? */
bool setting_is_ignored(const struct setting *row);
bool setting_is_default(const struct settings *s, const struct setting *row);
/*
 * Warns if ROW, which has just taken TEXT, has no effect, or if a prefix in TEXT has host bits set.
 * WHERE: "file:line: ", or NULL for a flag.
 */
void setting_warn(
    const struct settings *s, const struct setting *row, const char *text, const char *where);
/* Was the flag NAME given, or the field that it stands for? */
bool setting_given(const struct settings *s, const char *name);

/* The rows' parts; setting_at() is all of them. */
struct setting_rows {
	const struct setting *rows;
	size_t count;
};
extern const struct setting_rows setting_source_rows, setting_rules_rows, setting_policy_rows,
    setting_other_rows;

/* Prints the flags on stdout, in 80 columns; ALL: also those without effect. */
void setting_help(bool all);

#endif
