#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *process = "kube-proxy";
static int verbosity;

void log_init(const char *name)
{
	process = name;
	tzset(); /* reads /etc/localtime now: a sandboxed process cannot later */
}

void log_set_verbosity(int v)
{
	verbosity = v;
}

/* One line, one write(2): lines of several processes on one stderr never mix. */
__attribute__((format(printf, 2, 0))) static void line(char severity, const char *fmt, va_list ap)
{
	char buf[2048];
	struct timespec now;
	struct tm tm;
	int saved = errno;
	size_t len;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	n = snprintf(buf, sizeof(buf), "%c%02d%02d %02d:%02d:%02d.%06ld %7d %s] ", severity,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000,
	    (int)getpid(), process);
	len = (size_t)n;
	errno = saved;
	n = vsnprintf(buf + len, sizeof(buf) - len - 1, fmt, ap);
	if (n < 0)
		return;
	len += (size_t)n;
	if (len > sizeof(buf) - 2)
		len = sizeof(buf) - 2; /* vsnprintf cut it */
	for (char *p = buf; p < buf + len; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?'; /* a peer's text cannot forge a line or drive a terminal */
	buf[len++] = '\n';
	if (write(STDERR_FILENO, buf, len) < 0)
		return; /* nowhere to complain */
}

#define LOG_BODY(severity)                                                                         \
	va_list ap;                                                                                \
	va_start(ap, fmt);                                                                         \
	line(severity, fmt, ap);                                                                   \
	va_end(ap)

void log_info(const char *fmt, ...)
{
	LOG_BODY('I');
}

void log_warn(const char *fmt, ...)
{
	LOG_BODY('W');
}

void log_error(const char *fmt, ...)
{
	LOG_BODY('E');
}

void log_debug(int level, const char *fmt, ...)
{
	if (level > verbosity)
		return;
	LOG_BODY('I');
}

void fatal(int code, const char *fmt, ...)
{
	LOG_BODY('F');
	exit(code);
}
