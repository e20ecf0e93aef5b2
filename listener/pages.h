/* What the metrics server says of the configuration: /proxyMode, /configz, /flagz, /statusz. */
#ifndef LISTENER_PAGES_H
#define LISTENER_PAGES_H

#include "ipc/config.h"
#include "listener/http.h"

struct pages {
	const struct config *cfg;
	uint64_t started_ms; /* of a clock that never goes back */
};

/* Routes with a struct pages as their argument. */
extern const struct http_route pages_routes[];
extern const size_t pages_route_count;

/* P's time begins; its configuration must outlive it. */
void pages_init(struct pages *p, const struct config *cfg);

#endif
