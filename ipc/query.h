/*
 * listener -> planner: what somebody wants to know, and back: the answer, a part at a time. One
 * query at a time; the planner makes a part when the listener has asked for it, so that a long
 * answer fills neither's memory. Also the form in which people ask: a path and a query string.
 */
#ifndef IPC_QUERY_H
#define IPC_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/config.h"
#include "ipc/frame.h"
#include "ipc/objects.h"

enum query_message {
	/* listener -> planner */
	QUERY_ASK = 48, /* struct query: when the answer before has ended */
	QUERY_MORE,	/* []: the next part */
	QUERY_STOP,	/* []: in place of MORE: no more of it */
	/* planner -> listener */
	QUERY_ANSWER, /* [status, last, bytes] */
};

enum query_kind { QUERY_SERVICES = 1, QUERY_EXPLAIN, QUERY_DIFF };

/* The first packet of a connection. */
struct query_packet {
	struct ip_addr src, dst; /* of one family */
	uint16_t port;
	uint8_t proto;
	char in[CONFIG_INTERFACE_MAX]; /* the interface it came in by; "" if nobody says */
};

struct query {
	uint8_t kind;
	bool json;
	/* SERVICES: of these alone; "": of all */
	char namespace[NAME_MAX_LABEL], name[NAME_MAX_LABEL];
	struct query_packet packet; /* EXPLAIN; else zero */
};

#define QUERY_PART_MAX (64u * 1024)

struct query_answer {
	uint16_t status; /* of HTTP; that of the first part counts */
	bool last;
	uint32_t len;
	char text[QUERY_PART_MAX];
};

void query_encode_ask(struct frame *f, const struct query *q);
const char *query_decode_ask(struct cursor *c, struct query *q);
/* TYPE: QUERY_MORE or QUERY_STOP. */
void query_encode_go_on(struct frame *f, enum query_message type);
void query_encode_answer(struct frame *f, uint16_t status, bool last, const char *text, size_t len);
const char *query_decode_answer(struct cursor *c, struct query_answer *a);

/*
 * Fills Q with what PATH ("/services", "/explain", "/diff") and TEXT ("namespace=x&name=y", percent
 * encoded) ask for, as text unless they say JSON. NULL, or what is wrong with it: a constant.
 */
const char *query_parse(struct query *q, const char *path, const char *text);
/* Both in one: "/services?namespace=x". */
const char *query_parse_url(struct query *q, const char *url);

#endif
