/*
 * Where a server has endpoints: EndpointSlices in discovery.k8s.io/v1 (from Kubernetes 1.21 on) or
 * v1beta1, or core Endpoints. It is asked before anything else, as a server may refuse what it does
 * not have like what is forbidden.
 */
#ifndef WATCHER_API_DISCOVERY_H
#define WATCHER_API_DISCOVERY_H

#include <event2/event.h>
#include <stdbool.h>

#include "watcher/api_backoff.h"
#include "watcher/api_buffer.h"
#include "watcher/api_client.h"
#include "watcher/api_format.h"
#include "watcher/api_problem.h"

enum api_endpoints { ENDPOINTS_SLICE_V1, ENDPOINTS_SLICE_V1BETA1, ENDPOINTS_CORE };

/* Zeroed, with client, server, done and arg set: nothing asked yet. */
struct api_discovery {
	struct api_client *client;
	struct api_server *server;
	/* Called once, when the server has answered. Not SURE: it may not say. */
	void (*done)(void *arg, enum api_endpoints found, bool sure);
	void *arg;

	struct event *retry;
	struct backoff backoff;
	struct api_problem problem;
	enum api_format format;
	struct api_buffer body;
	bool asking_version; /* /version, else the group */
};

/* Asks until there is an answer. D lives as long. 0, or -1 without memory. */
int api_discovery_start(struct api_discovery *d, struct event_base *base);
/* As api_reflector_renewed(). */
void api_discovery_renewed(struct api_discovery *d);

/*
 * What a server has whose /apis/discovery.k8s.io is BODY in FORMAT; -1 if that is none. Whether it
 * uses v1beta1 its /version tells: from 1.19 on, when kube-proxy began to read slices; 1.17 serves
 * the resource and leaves it empty. What says nothing of that kind counts as later.
 */
int api_discovery_group(enum api_format format, const char *body, size_t len);
enum api_endpoints api_discovery_version(const char *body, size_t len);

#endif
