/*
 * kube-proxy-cleaner: removes what other modes and other kube-proxies left in the kernel, once the
 * planner has programmed its own rules (make before break), or at once with --cleanup. It parses
 * nothing but the kernel's answers, and takes no input but one byte.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleaner/check.h"
#include "cleaner/ipvs.h"
#include "cleaner/lockdown.h"
#include "cleaner/modules.h"
#include "cleaner/nft.h"
#include "cleaner/nft_talk.h"
#include "cleaner/plan.h"
#include "cleaner/tally.h"
#include "cleaner/xt.h"
#include "common/log.h"
#include "ipc/config.h"
#include "ipc/fds.h"

/* Between two looks at what could not go yet. */
#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 60000
#define LOOKS_MIN   3 /* a set that rules named a moment ago is busy a moment longer */

/* --cleanup does not wait longer. */
#define CLEANUP_TRIES	 10
#define CLEANUP_PAUSE_NS (300 * 1000 * 1000)

static struct tally tally;

static void plan_make(struct plan *p, const struct config *cfg)
{
	const bool whole = cfg->cleanup || cfg->check_node;

	*p = (struct plan){
	    .all = cfg->cleanup,
	    .at_once = cfg->cleanup && cfg->cleanup_keep == 0,
	    .families = {cfg->cleanup, cfg->cleanup},
	    .x_tables_canary_only = !whole && cfg->mode != MODE_NFTABLES,
	    .policy = {.mode = cfg->mode, .lock_fd = -1, .ipvs_scheduler = "rr"},
	};
	p->wheres[LEFTOVERS_NF_TABLES] = p->wheres[LEFTOVERS_X_TABLES] = true;
	p->wheres[LEFTOVERS_NFTABLES] = whole || cfg->mode != MODE_NFTABLES;
	p->wheres[LEFTOVERS_IPVS] =
	    cfg->cleanup ? cfg->cleanup_ipvs : cfg->check_node || cfg->mode != MODE_IPVS;
	for (unsigned w = 0; w < LEFTOVERS_WHERES; w++)
		p->wheres[w] = p->wheres[w] && (cfg->cleanup_keep & 1u << w) == 0;
	p->policy.ipvs_exclude_count = cfg->ipvs_exclude_count;
	memcpy(p->policy.ipvs_exclude, cfg->ipvs_exclude, sizeof(p->policy.ipvs_exclude));
}

/* Everything that takes a file or a socket. What is not loaded has no rules, and is not loaded. */
static void open_all(struct plan *p)
{
	const enum module_state nf_tables = module_state("nf_tables");

	p->sees_nf_tables =
	    nf_tables != MODULE_LOADABLE && nf_tables != MODULE_MISSING && nft_talk_open() == 0;
	xt_open(p);
	ipvs_open(p);
}

static void scan(struct plan *p)
{
	if (p->sees_nf_tables)
		p->sees_nf_tables = nft_scan(p, &tally) == 0;
	xt_scan(p, &tally);
	ipvs_scan(p, &tally);
}

static void clean(const struct plan *p)
{
	if (p->sees_nf_tables)
		nft_clean(p, &tally);
	xt_clean(p, &tally);
	ipvs_clean(p, &tally);
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (!p->families[f])
			tally_keep_family(&tally, f);
}

/* --- beside a proxy that runs --- */

/*
 * Waits MS (-1: without end) for the planner's byte, which is for FAMILIES, or a violation if that
 * is NULL. Exits when the planner has gone. True: it came.
 */
static bool wait_for_planner(int ms, bool *families)
{
	struct pollfd p = {.fd = CLEANER_FD_PLANNER, .events = POLLIN};
	uint8_t bytes[2];
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return false;
	n = read(CLEANER_FD_PLANNER, bytes, sizeof(bytes));
	if (n <= 0)
		_exit(EXIT_OK); /* all end; what is left is the next start's */
	if (families == NULL || n != 1 || !leftovers_decode_programmed(bytes[0], families))
		fatal(EXIT_FAILED,
		    "protocol violation by the planner: %s; exiting, nothing more is removed",
		    families != NULL ? "not the byte that says programmed" : "a second message");
	return true;
}

static int serve(struct plan *p)
{
	static struct frame done;
	int looks = 0;

	scan(p);
	if (!tally_report(&tally, CLEANER_FD_PLANNER))
		return EXIT_OK;
	if (!tally_empty(&tally)) {
		while (!wait_for_planner(-1, p->families))
			continue;
		for (int ms = WAIT_MIN_MS;; ms = ms < WAIT_MAX_MS / 2 ? 2 * ms : WAIT_MAX_MS) {
			clean(p);
			if (!tally_report(&tally, CLEANER_FD_PLANNER))
				return EXIT_OK;
			if (tally_empty(&tally) || (tally_settled(&tally) && ++looks >= LOOKS_MIN))
				break;
			wait_for_planner(ms, NULL);
		}
	}
	leftovers_encode_done(&done);
	return write(CLEANER_FD_PLANNER, done.buf, done.len) > 0 ? EXIT_OK : EXIT_FAILED;
}

/* --- --cleanup --- */

static int cleanup(struct plan *p, const struct config *cfg)
{
	const struct timespec pause = {.tv_nsec = CLEANUP_PAUSE_NS};

	for (unsigned w = 0; w < LEFTOVERS_WHERES; w++)
		if (cfg->cleanup_keep & 1u << w)
			log_info("cleanup: keeping %s (--cleanup-keep)", leftovers_wheres[w]);
	scan(p);
	if (tally_empty(&tally)) {
		log_info("cleanup: nothing to remove");
		return EXIT_OK;
	}
	tally_remember(&tally);
	for (int i = 0; i < CLEANUP_TRIES && !tally_empty(&tally); i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		clean(p);
	}
	tally_report(&tally, -1);
	if (tally_empty(&tally)) {
		log_info("cleanup: nothing of a kube-proxy is left%s",
		    cfg->cleanup_keep != 0 ? ", except what is kept" : "");
		return EXIT_OK;
	}
	log_error("cleanup: not everything could be removed; the lines above name what is left");
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	static struct config cfg;
	static struct plan plan;

	log_init("cleaner");
	signal(SIGPIPE, SIG_IGN); /* write() tells */
	signal(SIGINT, SIG_IGN);  /* a terminal's Ctrl-C is for the parent, whose end is ours */
	config_load(&cfg, FD_CONFIG);
	plan_make(&plan, &cfg);
	if (cfg.check_node)
		return check_node(&plan, &cfg, argc, argv);
	open_all(&plan);
	cleaner_lockdown();
	return cfg.cleanup ? cleanup(&plan, &cfg) : serve(&plan);
}
