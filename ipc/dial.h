/*
 * relay <-> broker, on a socket of their own: the relay asks for a connection to an endpoint, the
 * broker answers with the descriptor of a socket that is on its way there (SCM_RIGHTS).
 */
#ifndef IPC_DIAL_H
#define IPC_DIAL_H

#include <stdint.h>

#include "ipc/frame.h"
#include "ipc/relay.h"

enum dial_message {
	DIAL_REQUEST = 1, /* relay -> broker: [token, relay, ip, port] */
	DIAL_RESULT = 2,  /* broker -> relay: [token, errno]; 0: a descriptor comes with it */
};

/* Requests without a result at a time: neither side ever waits for room in the socket. */
#define DIAL_MAX 64

struct dial_request {
	uint32_t token; /* below DIAL_MAX, of no other request without a result */
	uint32_t relay; /* whose endpoint it is: RELAY_PROXY_PORT_OPEN's id */
	struct relay_endpoint to;
};

void dial_encode_request(struct frame *f, const struct dial_request *r);
void dial_encode_result(struct frame *f, uint32_t token, int error);

/* NULL, or how the message breaks the protocol. */
const char *dial_decode_request(struct cursor *c, struct dial_request *r);
const char *dial_decode_result(struct cursor *c, uint32_t *token, int *error);

#endif
