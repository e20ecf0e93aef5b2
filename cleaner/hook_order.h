/*
 * In which order the kernel calls the base chains at the hooks that this proxy uses: those of
 * nf_tables, by priority, and the tables of x_tables, whose priorities are fixed.
 */
#ifndef CLEANER_HOOK_ORDER_H
#define CLEANER_HOOK_ORDER_H

#include <stdbool.h>

#include "cleaner/plan.h"

#define HOOK_ORDER_HOOKS    5 /* prerouting, output, input, forward, postrouting */
#define HOOK_ORDER_TEXT_MAX 4096

/*
 * Reads the base chains, of both families, for a start in the mode of P. nft_talk_open() and
 * xt_open() come before. 0, or an errno. Beyond 100 chains some are left out.
 */
int hook_order_scan(const struct plan *p);

/*
 * The chains of HOOK into BUF, as the kernel calls them, with ours where it is or would be. True if
 * a nat chain of another program is called before ours.
 */
bool hook_order_write(unsigned hook, char buf[HOOK_ORDER_TEXT_MAX]);

#endif
