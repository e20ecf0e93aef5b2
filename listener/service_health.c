#include "listener/service_health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/tree.h>

#include "common/log.h"

/* A Service with a health check node port. */
struct checked {
	RB_ENTRY(checked) by_name;
	struct service_health *all;
	struct health_service is;
	bool waits; /* another one has its port */
	char label[2 * NAME_MAX_LABEL + 48];
	struct http_server *servers[HEALTH_ADDRS_MAX]; /* one per place; NULL: none */
};

RB_HEAD(checked_tree, checked);

/* Where all of them answer. */
struct place {
	struct ip_addr addr;
	bool one_family;
};

struct service_health {
	struct http_pool *pool;
	bool (*live)(const void *arg);
	const void *live_arg;
	struct checked_tree services;
	struct checked *owners[UINT16_MAX + 1]; /* of ports */
	struct place places[HEALTH_ADDRS_MAX];
	uint32_t place_count;
	unsigned sockets, sockets_max;
	bool full; /* some have no socket, which the log knows */
};

static int checked_cmp(const struct checked *a, const struct checked *b)
{
	int n = strcmp(a->is.namespace, b->is.namespace);

	return n != 0 ? n : strcmp(a->is.name, b->is.name);
}

RB_PROTOTYPE(checked_tree, checked, by_name, checked_cmp)
RB_GENERATE(checked_tree, checked, by_name, checked_cmp)

/* --- what is answered --- */

int service_health_body(const struct health_service *s, bool live, char *buf, size_t size)
{
	snprintf(buf, size,
	    "{\n"
	    "\t\"service\": {\n"
	    "\t\t\"namespace\": \"%s\",\n"
	    "\t\t\"name\": \"%s\"\n"
	    "\t},\n"
	    "\t\"localEndpoints\": %u,\n"
	    "\t\"serviceProxyHealthy\": %s\n"
	    "}",
	    s->namespace, s->name, s->endpoints, live ? "true" : "false");
	return s->endpoints > 0 && live ? 200 : 503;
}

/* Whatever the path, as with upstream. */
static void answer(void *arg, const struct http_request *r, struct http_reply *reply)
{
	const struct checked *s = arg;
	char body[SERVICE_HEALTH_BODY_MAX];

	(void)r;
	reply->status =
	    service_health_body(&s->is, s->all->live(s->all->live_arg), body, sizeof(body));
	reply->content_type = "application/json";
	snprintf(reply->headers, sizeof(reply->headers), "X-Load-Balancing-Endpoint-Weight: %u\r\n",
	    s->is.endpoints);
	evbuffer_add(reply->body, body, strlen(body));
}

static const struct http_route routes[] = {{"*", answer, 0}};

/* --- servers --- */

static void close_server(struct checked *s, uint32_t i)
{
	if (s->servers[i] == NULL)
		return;
	http_server_free(s->servers[i]);
	s->servers[i] = NULL;
	s->all->sockets--;
}

static void open_server(struct checked *s, uint32_t i)
{
	struct service_health *h = s->all;
	const struct http_server_options options = {
	    .name = s->label,
	    .hint = "",
	    .addr = h->places[i].addr,
	    .port = s->is.port,
	    .one_family = h->places[i].one_family,
	    .quiet = true,
	};

	if (s->servers[i] != NULL)
		return;
	if (h->sockets == h->sockets_max) {
		if (!h->full)
			log_error("%s: not served, nor are others: there are %u sockets for health "
				  "check node ports (a node with fewer --nodeport-addresses can "
				  "serve more of them)",
			    s->label, h->sockets_max);
		h->full = true;
		return;
	}
	s->servers[i] = http_server_new(h->pool, &options);
	if (s->servers[i] == NULL) {
		log_error("%s: not served: out of memory", s->label);
		return;
	}
	h->sockets++;
	http_server_add(s->servers[i], routes, sizeof(routes) / sizeof(routes[0]), s);
}

/* Takes the port, or waits for it. */
static void open_port(struct checked *s)
{
	const struct checked *owner = s->all->owners[s->is.port];

	snprintf(s->label, sizeof(s->label), "health check node port %u of service %s/%s",
	    s->is.port, s->is.namespace, s->is.name);
	s->waits = owner != NULL;
	if (owner != NULL) {
		log_error("%s: not served: service %s/%s has the same port, and had it first; give "
			  "one of them another healthCheckNodePort",
		    s->label, owner->is.namespace, owner->is.name);
		return;
	}
	s->all->owners[s->is.port] = s;
	for (uint32_t i = 0; i < s->all->place_count; i++)
		open_server(s, i);
}

/* Sockets that there was no room, or no place, for. */
static void open_rest(struct service_health *h)
{
	struct checked *s;

	h->full = false;
	RB_FOREACH (s, checked_tree, &h->services)
		for (uint32_t i = 0; !s->waits && i < h->place_count; i++)
			open_server(s, i);
}

/* Whom the port of S is left to: who waits for it, the first in the alphabet. */
static void close_port(struct checked *s)
{
	const uint16_t port = s->is.port;
	struct checked *other;

	for (uint32_t i = 0; i < HEALTH_ADDRS_MAX; i++)
		close_server(s, i);
	if (s->waits)
		return;
	s->all->owners[port] = NULL;
	RB_FOREACH (other, checked_tree, &s->all->services)
		if (other != s && other->waits && other->is.port == port) {
			open_port(other);
			return;
		}
}

/* --- messages --- */

static struct checked *find(struct service_health *h, const struct health_service *is)
{
	struct checked key;

	key.is = *is;
	return RB_FIND(checked_tree, &h->services, &key);
}

static void put(struct service_health *h, const struct health_service *is)
{
	struct checked *s = find(h, is);

	if (s != NULL && s->is.port == is->port) {
		s->is.endpoints = is->endpoints;
		return;
	}
	if (s != NULL) {
		close_port(s);
	} else {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			fatal(EXIT_FAILED, "out of memory for a health check node port");
		s->all = h;
		s->is = *is;
		RB_INSERT(checked_tree, &h->services, s);
	}
	s->is = *is;
	open_port(s);
	if (h->full)
		open_rest(h);
}

static void del(struct service_health *h, struct checked *s)
{
	close_port(s);
	RB_REMOVE(checked_tree, &h->services, s);
	free(s);
	if (h->full)
		open_rest(h);
}

static bool place_equal(const struct place *a, const struct place *b)
{
	return a->one_family == b->one_family && ip_cmp(&a->addr, &b->addr) == 0;
}

/* Both families' every address is one socket, so that a port is not taken twice. */
static uint32_t places_of(const struct health_addrs *addrs, struct place *out)
{
	static const struct ip_addr any[FAMILY_COUNT] = {
	    {.family = FAMILY_4}, {.family = FAMILY_6}};
	bool has[FAMILY_COUNT] = {false};
	uint32_t count = 0;

	for (uint32_t i = 0; i < addrs->count; i++)
		for (unsigned f = 0; f < FAMILY_COUNT; f++)
			has[f] |= ip_cmp(&addrs->addrs[i], &any[f]) == 0;
	for (uint32_t i = 0; i < addrs->count; i++) {
		const struct ip_addr *a = &addrs->addrs[i];
		const bool is_any = ip_cmp(a, &any[a->family]) == 0;

		if (is_any && has[FAMILY_4] && has[FAMILY_6] && a->family == FAMILY_6)
			continue;
		out[count++] = (struct place){*a, !is_any || !has[FAMILY_4] || !has[FAMILY_6]};
	}
	return count;
}

/* What answers at places that stay goes on. */
static void move_service(
    struct checked *s, const struct place *places, uint32_t count, const struct place *old)
{
	struct http_server *servers[HEALTH_ADDRS_MAX] = {NULL};

	for (uint32_t i = 0; i < HEALTH_ADDRS_MAX; i++) {
		uint32_t to = 0;

		if (s->servers[i] == NULL)
			continue;
		while (to < count && !place_equal(&places[to], &old[i]))
			to++;
		if (to < count)
			servers[to] = s->servers[i];
		else
			close_server(s, i);
	}
	memcpy(s->servers, servers, sizeof(servers));
}

static void move(struct service_health *h, const struct health_addrs *addrs)
{
	struct place old[HEALTH_ADDRS_MAX];
	struct checked *s;

	memcpy(old, h->places, sizeof(old));
	h->place_count = places_of(addrs, h->places);
	RB_FOREACH (s, checked_tree, &h->services)
		move_service(s, h->places, h->place_count, old);
	open_rest(h);
}

const char *service_health_message(void *arg, unsigned type, struct cursor *c)
{
	struct service_health *h = arg;
	struct health_addrs addrs;
	struct health_service is;
	struct checked *s;
	const char *why;

	switch ((enum health_message)type) {
	case HEALTH_PUT:
		why = health_decode_put(c, &is);
		if (why == NULL)
			put(h, &is);
		return why;
	case HEALTH_DEL:
		why = health_decode_del(c, &is);
		s = why == NULL ? find(h, &is) : NULL;
		if (why == NULL && s == NULL)
			return "the end of a health check node port that is not there";
		if (s != NULL)
			del(h, s);
		return why;
	case HEALTH_ADDRS:
		why = health_decode_addrs(c, &addrs);
		if (why == NULL)
			move(h, &addrs);
		return why;
	case HEALTH_ALIVE:
		break;
	}
	return "an unknown message type";
}

/* --- beginning and end --- */

struct service_health *service_health_new(
    struct http_pool *pool, unsigned sockets_max, bool (*live)(const void *arg), const void *arg)
{
	struct service_health *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->pool = pool;
	h->sockets_max = sockets_max;
	h->live = live;
	h->live_arg = arg;
	RB_INIT(&h->services);
	return h;
}

void service_health_free(struct service_health *h)
{
	struct checked *s, *next;

	if (h == NULL)
		return;
	RB_FOREACH_SAFE (s, checked_tree, &h->services, next) {
		for (uint32_t i = 0; i < HEALTH_ADDRS_MAX; i++)
			close_server(s, i);
		RB_REMOVE(checked_tree, &h->services, s);
		free(s);
	}
	free(h);
}
