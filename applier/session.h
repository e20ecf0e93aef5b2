/*
 * The planner's channel, as the parent sees it: frames in, answers out. It trusts no frame: each is
 * checked whole when it comes, and nothing reaches the kernel before a transaction is complete.
 *
 * Generations: a transaction's is one more than that of the one before, the first is 1. Its base is
 * the generation answered last with TXN_OK or TXN_UNCHANGED, 0 if there was none.
 */
#ifndef APPLIER_SESSION_H
#define APPLIER_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "applier/policy.h"

struct session;

/* A session under P on the planner's channel FD. It lasts as long as the process. fatal() on
 * failure. */
struct session *session_new(const struct policy *p, int fd);

/*
 * Handles one datagram. NULL, or why the session cannot go on, in words: a violation of protocol or
 * policy (it stands in the audit log then), or a planner that takes no answers.
 */
const char *session_frame(struct session *s, const uint8_t *data, size_t len);

/*
 * Handles what waits at APPLIER_FD_NFT, in nftables mode: what other programs do to our tables is
 * told to the planner, once until it asks a snapshot. NULL, or that the planner takes no answers.
 */
const char *session_kernel(struct session *s);

#endif
