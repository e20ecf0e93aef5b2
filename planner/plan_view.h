/* What a plan consists of, for those who only read it: the answers to queries. */
#ifndef PLANNER_PLAN_VIEW_H
#define PLANNER_PLAN_VIEW_H

#include "planner/ipt_plan.h"
#include "planner/ipvs_plan.h"
#include "planner/leftovers.h"
#include "planner/nft_plan.h"
#include "planner/plan.h"

/* Valid as long as the plan. Of the modes' plans the one that CFG's mode is counts. */
struct plan_view {
	const struct config *cfg;
	struct store *store;
	const struct own_node *own;
	const struct local_addrs *local;
	const char *zone;
	struct ipt_plan *ipt; /* its desired state's scratch is overwritten */
	struct nft_plan *nft;
	struct ipvs_plan *ipvs;		   /* beside IPT */
	const struct leftovers *leftovers; /* of other kube-proxies; NULL: not known */
};

/* ... of P, without leftovers. */
struct plan_view plan_view(struct plan *p);
/* Is FAMILY programmed at all? */
static inline bool plan_view_has(const struct plan_view *view, uint8_t family)
{
	return view->cfg->mode == MODE_NFTABLES ? view->nft->desired.families[family]
						: view->ipt->desired.families[family];
}

#endif
