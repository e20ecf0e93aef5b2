/*
 * The audit log: what each transaction changes, in words, before it is done; how it ended; and each
 * refused operation in full. A line ends with " chain=" and half the SHA-256 of the line before's
 * and of the line, so that none can be changed, added or taken out unseen.
 */
#ifndef APPLIER_AUDIT_H
#define APPLIER_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/ipt_tables.h"
#include "applier/policy.h"

#define AUDIT_TEXT_MAX 640 /* bytes of an operation in words, with its NUL */

#define AUDIT_FULL "the audit log cannot be written: nothing is changed"

#define AUDIT_CHANGES_MAX 64 /* of a transaction, in words; the others are counted */

/* The log's last lines, LEN bytes at TEXT: the next one is chained to them. */
void audit_continue(const char *text, size_t len);
/*
 * Writes one line; characters that could forge another are replaced. False, and logged, if it
 * could not be written.
 */
bool audit_write(const struct policy *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Transaction GENERATION begins. */
void audit_begin(uint64_t generation);
/* Is the next change one that is written in words? Else none are needed. */
bool audit_wants_words(void);
/* One change of it: VERB, WORDS; WORDS may be "" if none are wanted. */
void audit_change(const struct policy *p, const char *verb, const char *words);
/*
 * Is what is changed written, so that it may be done? If no change was, for what the log takes in
 * a minute is bounded, a line says that.
 */
bool audit_ready(const struct policy *p);
/* How many changes were counted alone. */
uint32_t audit_unnamed(void);

/* Each puts an operation into words in BUF (SIZE bytes; cut if it does not fit) and returns BUF. */
const char *audit_chain(char *buf, size_t size, const struct ipt_chain *c);
/* R may be refused for its arguments; its template and its target's kind exist. */
const char *audit_rule(char *buf, size_t size, const struct ipt_rule *r, const struct ipt_chain *c);

/* "ipv4 nat", as in the audit's and the results' words. FAMILY and TABLE must exist. */
const char *audit_table(uint8_t family, uint8_t table);

#endif
