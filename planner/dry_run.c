#include "planner/dry_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "planner/inspection.h"
#include "planner/nft_print.h"
#include "planner/print.h"
#include "planner/suggest.h"

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

void dry_run_assume_nothing(struct plan *p, const struct config *cfg)
{
	static const struct txn_snapshot ipt = {.families = {true, true}, .last = true};
	static const struct nft_snapshot nft = {.families = {true, true}, .last = true};

	if (cfg->mode == MODE_NFTABLES)
		plan_nft_snapshot(p, &nft);
	else
		plan_snapshot(p, &ipt);
}

static void print_iptables(struct plan *p, const struct config *cfg, FILE *out)
{
	struct printer *pr = printer_new(plan_params(p), cfg);
	struct plan_counts counts;

	if (pr == NULL)
		fatal(EXIT_FAILED, "out of memory");
	plan_sync(p, &printer_operations, pr, &counts);
	printer_write(pr, out);
	printer_free(pr);
}

/* What a running proxy would answer to CFG's query, now that all is planned. The exit status. */
static int inspect(struct plan *p, const struct config *cfg)
{
	const struct plan_view view = plan_view(p);
	struct inspection i = {0};
	struct query q;
	int code;
	const char *why = query_parse_url(&q, cfg->inspect);

	if (why != NULL)
		fatal(EXIT_CONFIG, "%s: %s", cfg->inspect, why);
	inspection_begin(&i, &q);
	do {
		inspection_write(&i, &view);
		write_stdout(i.out.text, i.out.len);
		report_take(&i.out, i.out.len);
	} while (!i.ended);
	code = i.status < 400 ? EXIT_OK : EXIT_FAILED;
	inspection_clear(&i);
	return code;
}

static void suggest(struct plan *p)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		fatal(EXIT_FAILED, "out of memory");
	suggest_policy(plan_store(p), out);
	if (fclose(out) != 0)
		fatal(EXIT_FAILED, "out of memory");
	write_stdout(text, len);
	free(text);
}

_Noreturn void dry_run_print(struct plan *p, const struct config *cfg)
{
	struct plan_counts counts;
	char *text = NULL;
	size_t len = 0;
	int code = EXIT_OK;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		fatal(EXIT_FAILED, "out of memory");
	plan_prepare(p);
	if (cfg->mode == MODE_NFTABLES)
		plan_nft_sync(p, &nft_print_operations, out, &counts);
	else
		print_iptables(p, cfg, out);
	if (fclose(out) != 0)
		fatal(EXIT_FAILED, "out of memory");
	if (cfg->suggest_policy)
		suggest(p);
	else if (cfg->inspect[0] != '\0')
		code = inspect(p, cfg);
	else
		write_stdout(text, len);
	free(text);
	exit(code);
}
