/* Where relays may be connected to: for each its protocol and the endpoints that the planner gave.
 */
#ifndef BROKER_ENDPOINTS_H
#define BROKER_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/dial.h"
#include "ipc/frame.h"
#include "ipc/relay.h"
#include "ipc/relay_list.h"

struct endpoints_relay;

/* Start zeroed, but for POLICY. */
struct endpoints {
	const struct node_policy *policy; /* no endpoint is outside it, whatever the planner says */
	struct endpoints_relay *by_id[RELAYS_MAX];
	struct relay_list coming;
	struct relay_open open;		/* scratch */
	struct relay_backends backends; /* scratch */
};

/* The planner's messages. NULL, or how they break the protocol. fatal() without memory. */
const char *endpoints_open(struct endpoints *e, struct cursor *c);
const char *endpoints_set(struct endpoints *e, struct cursor *c);
const char *endpoints_close(struct endpoints *e, struct cursor *c);

/* May R be connected? *PROTO is the relay's protocol then. */
bool endpoints_allow(const struct endpoints *e, const struct dial_request *r, uint8_t *proto);

#endif
