/*
 * What people ask on the metrics server: /services, /explain and /diff. The planner knows; it is
 * asked one query at a time and answers in parts, each of which goes on to the client before the
 * next is asked for.
 */
#ifndef LISTENER_INSPECT_H
#define LISTENER_INSPECT_H

#include "ipc/channel.h"
#include "ipc/query.h"
#include "listener/http.h"

struct inspect;

/* For so long a client that does not take its answer keeps others waiting. */
#define INSPECT_PATIENCE_SECONDS 2

/* Asks over CHANNEL, which must outlive it. NULL only without memory. */
struct inspect *inspect_new(struct event_base *base, struct channel *channel);

/* For http_server_add(), with a struct inspect as the argument. */
#define INSPECT_ROUTES 3
extern const struct http_route inspect_routes[INSPECT_ROUTES];

/* The planner's QUERY_ANSWER. NULL, or how it breaks the protocol. */
const char *inspect_answer(struct inspect *i, struct cursor *c);

#endif
