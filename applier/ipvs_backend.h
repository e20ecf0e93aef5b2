/* ipvs mode before the lock-down and after the clean-up: sockets, kube-ipvs0, ipsets. */
#ifndef APPLIER_IPVS_BACKEND_H
#define APPLIER_IPVS_BACKEND_H

#include <stdbool.h>

#include "applier/policy.h"
#include "ipc/config.h"

/* Has ipvs mode left something: is kube-ipvs0 there? */
bool ipvs_backend_used(void);
/*
 * With privilege, before the lock-down and after ipt_backend_open(): opens the sockets, makes
 * kube-ipvs0 and the ipsets, and sets the time-outs of CFG. With CFG's cleanup it makes nothing,
 * and without IPVS in the kernel the rest is left alone; else fatal() if IPVS or the scheduler is
 * missing.
 */
void ipvs_backend_open(struct policy *p, const struct config *cfg);
/* Takes kube-ipvs0 and the ipsets away, which no rule names any more. Logs what stays. */
void ipvs_backend_remove(const struct policy *p);

#endif
