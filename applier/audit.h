/* The audit log: one line per transaction, and each refused operation in full. */
#ifndef APPLIER_AUDIT_H
#define APPLIER_AUDIT_H

#include <stddef.h>

#include "applier/ipt_tables.h"
#include "applier/policy.h"

#define AUDIT_TEXT_MAX 640 /* bytes of an operation in words, with its NUL */

/* Writes one line; characters that could forge another are replaced. A failure is logged. */
void audit_write(const struct policy *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Each puts an operation into words in BUF (SIZE bytes; cut if it does not fit) and returns BUF. */
const char *audit_chain(char *buf, size_t size, const struct ipt_chain *c);
/* R may be refused for its arguments; its template and its target's kind exist. */
const char *audit_rule(char *buf, size_t size, const struct ipt_rule *r, const struct ipt_chain *c);

/* "ipv4 nat", as in the audit's and the results' words. FAMILY and TABLE must exist. */
const char *audit_table(uint8_t family, uint8_t table);

#endif
