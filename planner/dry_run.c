#include "planner/dry_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "planner/print.h"

static void write_stdout(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fatal(EXIT_FAILED, "cannot write to stdout: %s", strerror(errno));
		text += n;
		len -= (size_t)n;
	}
}

_Noreturn void dry_run_print(struct plan *p)
{
	struct printer *pr = printer_new(plan_params(p));
	struct plan_counts counts;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (pr == NULL || out == NULL)
		fatal(EXIT_FAILED, "out of memory");
	plan_sync(p, &printer_operations, pr, &counts);
	printer_write(pr, out);
	printer_free(pr);
	if (fclose(out) != 0)
		fatal(EXIT_FAILED, "out of memory");
	write_stdout(text, len);
	free(text);
	exit(EXIT_OK);
}
