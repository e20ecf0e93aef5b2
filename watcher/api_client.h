/*
 * GET requests to the apiserver: libcurl's multi interface on the process's event base, one pool of
 * connections. Nothing here waits: a request's callbacks run from the event loop.
 */
#ifndef WATCHER_API_CLIENT_H
#define WATCHER_API_CLIENT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watcher/kubeconfig.h"

#define API_CONNECT_SECONDS 10 /* name, TCP and TLS together */
/*
 * How long a server may say nothing while it owes us something: a response's beginning, more of a
 * list. The apiserver itself gives a request up after 60 s (--request-timeout).
 */
#define API_STALL_SECONDS 65

struct api_client;

struct api_result {
	long status;	      /* of the response; 0: none came */
	bool complete;	      /* a 200 whose whole body came */
	unsigned retry_after; /* seconds the server asks to wait; 0: it does not */
	char error[384];      /* if not complete: what happened, in words; no secret is in it */
};

struct api_handler {
	/*
	 * A response with status 200 begins; CONTENT_TYPE is NULL if it has none. NULL, or why to
	 * end the request; it becomes the result's error.
	 */
	const char *(*start)(void *arg, const char *content_type);
	/* Bytes of its body. NULL, or why to end the request. */
	const char *(*data)(void *arg, const char *bytes, size_t len);
	/* Always the last call. */
	void (*done)(void *arg, const struct api_result *r);
};

/*
 * Lives as long as the process; so must ACCESS, whose files it follows. Of CFG it takes how often
 * to ask, and for which encoding. NULL after logging a URL that is none.
 */
struct api_client *api_client_new(
    struct event_base *base, const struct config *cfg, const struct api_access *access);

/*
 * RENEWED is called with ARG when credentials were replaced by others: what the server refused may
 * be tried again at once.
 */
void api_client_on_renewal(struct api_client *c, void (*renewed)(void *arg), void *arg);

struct api_ask {
	const char *path;  /* with its query */
	unsigned deadline; /* seconds after which it ends; 0: none */
	/*
	 * While this is true, at the response's beginning and after each piece of its body, the
	 * server owes us more: it may neither be silent for API_STALL_SECONDS nor drip.
	 */
	const bool *owing;
	/*
	 * A further page, or another way to ask for the same, which does not wait for its turn
	 * (--kube-api-qps): upstream asks for a list of any length at once, and a cluster's pages
	 * would take minutes.
	 */
	bool more;
};

/* Asks for it. 0, or -1 without memory; then no callback is made. */
int api_get(
    struct api_client *c, const struct api_ask *ask, const struct api_handler *handler, void *arg);

/* Milliseconds of a clock that no change of the date moves. */
uint64_t api_now_ms(void);

#endif
