/* Log lines on stderr in klog's form: "I1122 10:20:30.123456    1234 watcher] text". */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

/* Names the process in every later line. NAME must outlive the process. */
void log_init(const char *name);
/* Lines of log_debug appear when V is at least LEVEL (the -v flag). */
void log_set_verbosity(int v);

void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Exit codes of sysexits(3) that have a meaning here. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,  /* something broke at run time; the service manager may restart us */
	EXIT_USAGE = 2,	  /* a wrong flag */
	EXIT_CONFIG = 78, /* a wrong file or a machine not prepared: restarting does not help */
};

/* Logs the line, then exits with CODE. For set-up only: later, return and let the caller decide. */
_Noreturn void fatal(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
