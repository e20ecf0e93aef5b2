#include "common/log.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 1900 /* of a message; more is cut off */
#define USAGE	 'U'  /* in place of a severity: an error without a head */

static const char *process = "kube-proxy";
static int verbosity;
static const char *modules = "";
static bool as_json;
static bool to_journal;

/* JOURNAL_STREAM says so (systemd.exec(5)), and stderr was not redirected since. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	return strcmp(stream, ours) == 0;
}

void log_init(const char *name)
{
	process = name;
	to_journal = stderr_is_journal();
	tzset(); /* reads /etc/localtime now: a sandboxed process cannot later */
}

void log_configure(int v, const char *patterns, bool json)
{
	verbosity = v;
	modules = patterns;
	as_json = json;
}

/* The head of a line in klog's form, local time. Returns its length. */
static size_t klog_head(char *buf, size_t size, char severity, const struct timespec *now)
{
	struct tm tm;

	localtime_r(&now->tv_sec, &tm);
	return (size_t)snprintf(buf, size, "%c%02d%02d %02d:%02d:%02d.%06ld %7d %s] ", severity,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now->tv_nsec / 1000,
	    (int)getpid(), process);
}

/*
 * The journal takes the priority from the line's start (sd-daemon(3)), and has the time and the PID
 * of each line: a text line needs neither.
 */
static size_t journal_head(char *buf, size_t size, char severity)
{
	int priority = severity == 'I'	 ? LOG_INFO
		       : severity == 'W' ? LOG_WARNING
		       : severity == 'F' ? LOG_CRIT
					 : LOG_ERR;

	return (size_t)(as_json ? snprintf(buf, size, "<%d>", priority)
				: snprintf(buf, size, "<%d>%s: ", priority, process));
}

/* klog's head as an object that lacks its message; time in milliseconds, as klog has it. */
static size_t json_head(
    char *buf, size_t size, char severity, int level, const struct timespec *now)
{
	const char *word = severity == 'I'   ? "info"
			   : severity == 'W' ? "warning"
			   : severity == 'F' ? "fatal"
					     : "error";

	return (size_t)snprintf(buf, size,
	    "{\"ts\":%lld%03ld.%03ld,\"severity\":\"%s\",\"process\":\"%s\",\"pid\":%d,"
	    "\"v\":%d,\"msg\":\"",
	    (long long)now->tv_sec, now->tv_nsec / 1000000, now->tv_nsec / 1000 % 1000, word,
	    process, (int)getpid(), level);
}

__attribute__((format(printf, 3, 0))) static void line(
    char severity, int level, const char *fmt, va_list ap)
{
	char text[TEXT_MAX], buf[2 * TEXT_MAX + 256]; /* JSON makes two bytes of some */
	int saved = errno;
	struct timespec now;
	size_t len = to_journal ? journal_head(buf, sizeof(buf), severity) : 0;

	clock_gettime(CLOCK_REALTIME, &now);
	if (as_json)
		len += json_head(buf + len, sizeof(buf) - len, severity, level, &now);
	else if (!to_journal && severity == USAGE)
		len = (size_t)snprintf(buf, sizeof(buf), "%s: ", process);
	else if (!to_journal)
		len = klog_head(buf, sizeof(buf), severity, &now);
	errno = saved;
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		return;
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (as_json && (c == '"' || c == '\\'))
			buf[len++] = '\\';
		/* A peer's text cannot forge a line or drive a terminal; JSON must be UTF-8. */
		buf[len++] = c < ' ' || c == 0x7f || (as_json && c > 0x7f) ? '?' : *p;
	}
	len += (size_t)snprintf(buf + len, sizeof(buf) - len, as_json ? "\"}\n" : "\n");
	if (write(STDERR_FILENO, buf, len) < 0)
		return; /* nowhere to complain */
}

/* The level of the source file FILE. */
static int level_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	char name[64], pattern[64];

	if (modules[0] == '\0')
		return verbosity;
	strlcpy(name, slash != NULL ? slash + 1 : file, sizeof(name));
	name[strcspn(name, ".")] = '\0';
	for (const char *p = modules; *p != '\0'; p += strcspn(p, ","), p += *p == ',') {
		size_t len = strcspn(p, "=");

		if (len >= sizeof(pattern) || p[len] != '=')
			continue;
		memcpy(pattern, p, len);
		pattern[len] = '\0';
		if (fnmatch(pattern, name, 0) == 0)
			return (int)strtol(p + len + 1, NULL, 10);
	}
	return verbosity;
}

#define LOG_BODY(severity, level)                                                                  \
	va_list ap;                                                                                \
	va_start(ap, fmt);                                                                         \
	line(severity, level, fmt, ap);                                                            \
	va_end(ap)

void log_info(const char *fmt, ...)
{
	LOG_BODY('I', 0);
}

void log_warn(const char *fmt, ...)
{
	LOG_BODY('W', 0);
}

void log_error(const char *fmt, ...)
{
	LOG_BODY('E', 0);
}

void log_usage(const char *fmt, ...)
{
	LOG_BODY(USAGE, 0);
}

void log_at(int level, const char *file, const char *fmt, ...)
{
	if (level > level_of(file))
		return;
	LOG_BODY('I', level);
}

void fatal(int code, const char *fmt, ...)
{
	LOG_BODY('F', 0);
	exit(code);
}
