/*
 * The desired state as text, as iptables-save(8) would print it once it were in the kernel: what
 * --dry-run shows, and what iptables-restore(8) takes.
 */
#ifndef PLANNER_PRINT_H
#define PLANNER_PRINT_H

#include <stdint.h>
#include <stdio.h>

#include "applier/ipt_entry.h"
#include "ipc/txn.h"

struct printer;

/* PARAMS and CFG must outlive the printer. NULL if there is no memory. */
struct printer *printer_new(const struct ipt_params *params, const struct config *cfg);
void printer_free(struct printer *p);

/* Takes the operations of a transaction onto an empty kernel, with a struct printer as the
 * argument. */
extern const struct txn_visitor printer_operations;

/* Writes what was taken: ipvs mode's items, IPv4, then IPv6, chains in ascending order of names. */
void printer_write(struct printer *p, FILE *out);

/* Writes one rule of chain C as an "-A" line. */
void print_rule(FILE *out, const struct ipt_rule *r, const struct ipt_chain *c,
    const struct ipt_params *params);

#endif
