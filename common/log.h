/*
 * Log lines on stderr, in klog's form, "I1122 10:20:30.123456    1234 watcher] text", or as JSON.
 * If stderr is the journal, a line starts with its priority, "<6>watcher: text", without klog's
 * head. A JSON object keeps its time and PID: it is a whole record for the program that reads it.
 * One write(2) a line: lines of several processes never mix, and nothing waits to be flushed.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

/*
 * Names the process in every later line. NAME must outlive the process. Reads JOURNAL_STREAM, TZ
 * and /etc/localtime, so it comes before the sandbox.
 */
void log_init(const char *name);
/*
 * What flags say. Lines of log_debug appear up to level V; PATTERNS ("file=level,...", must outlive
 * the process) has other levels for single source files: the first whose shell pattern is the
 * file's name, without directory and ".c", counts. JSON: an object a line instead.
 */
void log_configure(int v, const char *patterns, bool json);

void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * An error about the command line, for the person who typed it: "kube-proxy: text", without a log
 * line's head; with JSON an object as any other.
 */
void log_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define log_debug(level, ...) log_at((level), __FILE__, __VA_ARGS__)
void log_at(int level, const char *file, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Exit codes, of sysexits(3) where it has one. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,   /* something broke at run time; the service manager may restart us */
	EXIT_USAGE = 2,	   /* a wrong flag */
	EXIT_RESTART = 75, /* a planned restart: changed configuration, SIGHUP */
	EXIT_CONFIG = 78,  /* a wrong file or a machine not prepared: restarting does not help */
};

/* Logs the line, then exits with CODE. For set-up only: later, return and let the caller decide. */
_Noreturn void fatal(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
