/*
 * planner <-> relay: relays. The planner asks for a listening socket and says where what comes
 * there is sent on to; the relay answers which port it has.
 */
#ifndef IPC_RELAY_H
#define IPC_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"
#include "ipc/config.h"
#include "ipc/frame.h"

enum relay_message {
	/* planner -> relay */
	RELAY_PROXY_PORT_OPEN = 64,
	RELAY_BACKENDS = 65,
	RELAY_PROXY_PORT_CLOSE = 66,
	/* relay -> planner */
	RELAY_PROXY_PORT = 72,
	RELAY_LAST = 79, /* none of these messages has a higher number */
};

/* Relays have numbers below this, which the planner gives: more than there are ports for. */
#define RELAYS_MAX	   (4u * 65536)
#define RELAY_NAME_MAX	   192	/* namespace/name:port, with its NUL */
#define RELAY_PART_MAX	   3000 /* endpoints in a message */
#define RELAY_SECONDS_MAX  86400
#define RELAY_BACKENDS_MAX 65536 /* of one relay; what is beyond is not used */

/* Where relays listen, low to high; both 0: nowhere. */
struct relay_ports {
	uint16_t low, high;
};
/*
 * The ports that rules of CFG's mode may redirect to: those of --proxy-port-range, else 32768 to
 * 65535, where neither services listen nor node ports are. None in modes that do not redirect.
 */
struct relay_ports relay_ports_of(const struct config *cfg);

/*
 * A listening socket is wanted. PORT 0: on every address of FAMILY, at a port that is chosen by
 * NAME and LOCAL_LIST, the same at every start as long as it is free. Else on the loopback address,
 * at PORT.
 */
struct relay_open {
	uint32_t id;
	char name[RELAY_NAME_MAX];
	uint8_t proto; /* PROTO_TCP, PROTO_UDP */
	uint8_t family;
	bool local_list; /* for the endpoints on this node */
	uint16_t port;
};

struct relay_endpoint {
	struct ip_addr addr;
	uint16_t port;
};

/* The port of RANGE that is O's if nobody else has it. */
uint16_t relay_first_port(const struct relay_ports *range, const struct relay_open *o);

/* Are there relays with CFG? In userspace mode; in others for node ports on loopback addresses. */
bool relays_wanted(const struct config *cfg);

/* Order of endpoints: by address, then port. <0, 0, >0. */
int relay_endpoint_cmp(const struct relay_endpoint *a, const struct relay_endpoint *b);

/* Where relay ID sends what comes, sorted, none twice. A list of many parts counts once the last
 * one came. */
struct relay_backends {
	uint32_t id;
	uint32_t affinity_seconds; /* 0: none */
	bool first, last;
	uint32_t count;
	struct relay_endpoint endpoints[RELAY_PART_MAX];
};

void relay_encode_open(struct frame *f, const struct relay_open *o);
void relay_encode_backends(struct frame *f, const struct relay_backends *b);
void relay_encode_close(struct frame *f, uint32_t id);
/* PORT 0: it listens nowhere at the moment; the message comes again when that changes. */
void relay_encode_port(struct frame *f, uint32_t id, uint16_t port);

/* Each decodes the fields of one message: NULL, or how it breaks the protocol. */
const char *relay_decode_open(struct cursor *c, struct relay_open *o);
const char *relay_decode_backends(struct cursor *c, struct relay_backends *b);
/* NULL if the node's policy allows every endpoint of B, or which flag does not. */
const char *relay_backends_allowed(const struct relay_backends *b, const struct node_policy *p);
const char *relay_decode_close(struct cursor *c, uint32_t *id);
const char *relay_decode_port(struct cursor *c, uint32_t *id, uint16_t *port);

#endif
