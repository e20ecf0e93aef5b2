/*
 * What a transaction changes in x_tables, in words for the audit log: a chain is put whole, and
 * told is which of its rules are new and how many are gone.
 */
#ifndef APPLIER_IPT_WORDS_H
#define APPLIER_IPT_WORDS_H

#include "applier/ipt_handle.h"

/* C of T, with the rules that it has, is about to be filled. */
void ipt_words_chain(const struct ipt_handle *t, const struct ipt_chain *c);
/* R is put into it. */
void ipt_words_rule(
    const struct ipt_handle *t, const struct ipt_chain *c, const struct ipt_rule *r);
/* No more rules are put into the last chain. */
void ipt_words_end(const struct policy *p);
void ipt_words_delete(const struct ipt_handle *t, const struct ipt_chain *c);
void ipt_words_hook(const struct policy *p, uint8_t family, unsigned number, bool on);

#endif
