/* kube-proxy --verify-audit-log=FILE: is each line of an audit log chained to the one before? */
#ifndef WATCHER_AUDIT_VERIFY_H
#define WATCHER_AUDIT_VERIFY_H

#include <stdio.h>

/*
 * Reads the log from IN (see applier/audit.h for the chain) and says on stdout which lines are not
 * chained, and how many there are. 0 if all are; 1: some are not, or nothing could be read.
 */
int audit_verify(FILE *in);

#endif
