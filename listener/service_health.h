/*
 * Health check node ports: an HTTP server per Service, which tells load balancers whether this node
 * has endpoints for it. They come and go as the planner says.
 */
#ifndef LISTENER_SERVICE_HEALTH_H
#define LISTENER_SERVICE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/health.h"
#include "listener/http.h"

struct service_health;

/*
 * All servers take their connections from POOL, and have SOCKETS_MAX sockets at most: ports times
 * addresses. What is beyond is logged and not served. LIVE tells whether the proxy is. NULL only
 * without memory.
 */
struct service_health *service_health_new(
    struct http_pool *pool, unsigned sockets_max, bool (*live)(const void *arg), const void *arg);
/* Closes everything. NULL is allowed. */
void service_health_free(struct service_health *h);

/* A channel_handler for the messages of ipc/health.h, with a struct service_health. */
const char *service_health_message(void *arg, unsigned type, struct cursor *c);

/*
 * What a load balancer is told of S: the status, and the body in BUF (SERVICE_HEALTH_BODY_MAX
 * bytes). Whoever parses kube-proxy's answer parses this one, which has its every byte.
 */
#define SERVICE_HEALTH_BODY_MAX 512
int service_health_body(const struct health_service *s, bool live, char *buf, size_t size);

#endif
