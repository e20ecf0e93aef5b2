#include "listener/pages.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/version.h"

/* As the pages of Kubernetes' components begin (component-base/zpages). */
#define WARNING                                                                                    \
	"Warning: This endpoint is not meant to be machine parseable, has no formatting "          \
	"compatibility guarantees and is for debugging purposes only.\n"

static const char *const mode_names[] = {
    [MODE_IPTABLES] = "iptables", [MODE_NFTABLES] = "nftables", [3] = "ipvs", [4] = "userspace"};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pages_init(struct pages *p, const struct config *cfg)
{
	p->cfg = cfg;
	p->started_ms = now_ms();
}

static void answer_mode(void *arg, const struct http_request *r, struct http_reply *reply)
{
	const struct pages *p = arg;

	(void)r;
	evbuffer_add_printf(reply->body, "%s", mode_names[p->cfg->mode]);
}

static void answer_config(void *arg, const struct http_request *r, struct http_reply *reply)
{
	const struct pages *p = arg;

	(void)r;
	reply->content_type = "application/json";
	if (p->cfg->config_json[0] == '\0')
		reply->status = 503;
	evbuffer_add(reply->body, p->cfg->config_json, strlen(p->cfg->config_json));
}

static void answer_flags(void *arg, const struct http_request *r, struct http_reply *reply)
{
	const struct pages *p = arg;

	(void)r;
	evbuffer_add_printf(reply->body, "\nkube-proxy flags\n" WARNING "\n%s", p->cfg->flags_text);
}

static void answer_status(void *arg, const struct http_request *r, struct http_reply *reply)
{
	const struct pages *p = arg;
	uint64_t up = (now_ms() - p->started_ms) / 1000;
	time_t started = time(NULL) - (time_t)up;
	char text[64] = "", policy[NODE_POLICY_TEXT_MAX];
	struct tm tm;

	(void)r;
	if (gmtime_r(&started, &tm) != NULL)
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S UTC %Y", &tm);
	evbuffer_add_printf(reply->body,
	    "\nkube-proxy statusz\n" WARNING "\nStarted: %s\nUp: %llu hr %02u min %02u sec\n"
	    "Go version: none, this is C\nBinary version: %s\nEmulation version: %s\nPolicy: %s\n",
	    text, (unsigned long long)(up / 3600), (unsigned)(up / 60 % 60), (unsigned)(up % 60),
	    VERSION, KUBERNETES_MAJOR "." KUBERNETES_MINOR "." KUBERNETES_PATCH,
	    node_policy_text(&p->cfg->policy, policy));
}

const struct http_route pages_routes[] = {
    {"/proxyMode", answer_mode, 0},
    {"/configz", answer_config, 0},
    {"/flagz", answer_flags, 0},
    {"/statusz", answer_status, 0},
};

const size_t pages_route_count = sizeof(pages_routes) / sizeof(pages_routes[0]);
