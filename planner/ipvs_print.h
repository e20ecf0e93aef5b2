/* ipvs mode's items as text: what --dry-run shows before the rules. */
#ifndef PLANNER_IPVS_PRINT_H
#define PLANNER_IPVS_PRINT_H

#include <stdio.h>

#include "applier/ipvs_tables.h"
#include "ipc/config.h"

/* What is there before any item, as ipset-restore would have it. */
void ipvs_print_begin(FILE *out);
/* The entry of an ipset that I is, alone. */
void ipvs_print_entry(FILE *out, const struct ipvs_item *i);
/* The virtual server of I's frontend, by its protocol and address: "-t 10.0.0.1:80". */
void ipvs_print_server(FILE *out, const struct ipvs_item *i);
/* I, as it is put: for ipset-restore, as an address, or for ipvsadm-restore, which CFG has more
 * for. */
void ipvs_print_item(FILE *out, const struct ipvs_item *i, const struct config *cfg);

#endif
