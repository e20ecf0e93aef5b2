/* ipvs mode before the lock-down: sockets, kube-ipvs0, ipsets. */
#ifndef APPLIER_IPVS_BACKEND_H
#define APPLIER_IPVS_BACKEND_H

#include "applier/policy.h"
#include "ipc/config.h"

/*
 * With privilege, before the lock-down and after ipt_backend_open(): opens the sockets, makes
 * kube-ipvs0 and the ipsets, and sets the time-outs of CFG. fatal() if IPVS or the scheduler is
 * missing.
 */
void ipvs_backend_open(struct policy *p, const struct config *cfg);

#endif
