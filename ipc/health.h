/*
 * planner -> listener: health check node ports, where load balancers ask per Service. listener ->
 * planner -> watcher -> planner: that the proxy is live.
 */
#ifndef IPC_HEALTH_H
#define IPC_HEALTH_H

#include <stdint.h>

#include "ipc/frame.h"
#include "ipc/objects.h"

enum health_message {
	HEALTH_PUT = 16, /* [namespace, name, port, endpoints]: new, or not as it was */
	HEALTH_DEL,	 /* [namespace, name] */
	HEALTH_ADDRS,	 /* [[ip]]: where they answer from now on; unspecified: all of its family */
	HEALTH_ALIVE,	 /* []: /livez would say so; the watcher answers with the same */
};

struct health_service {
	char namespace[NAME_MAX_LABEL];
	char name[NAME_MAX_LABEL];
	uint16_t port;	    /* not 0 */
	uint32_t endpoints; /* that are ready on this node */
};

#define HEALTH_ADDRS_MAX 64
struct health_addrs {
	uint32_t count;
	struct ip_addr addrs[HEALTH_ADDRS_MAX];
};

void health_encode_put(struct frame *f, const struct health_service *s);
void health_encode_del(struct frame *f, const char *ns, const char *name);
void health_encode_addrs(struct frame *f, const struct health_addrs *a);
void health_encode_alive(struct frame *f);

/* Each decodes the fields of one message: NULL, or how it breaks the protocol. */
const char *health_decode_put(struct cursor *c, struct health_service *s);
/* Fills in the names alone. */
const char *health_decode_del(struct cursor *c, struct health_service *s);
const char *health_decode_addrs(struct cursor *c, struct health_addrs *a);

#endif
