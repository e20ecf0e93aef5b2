/* The apiserver as source: which of its APIs it has, then a reflector for each resource. */
#include <nss.h>
#include <stdio.h>

#include "common/log.h"
#include "watcher/api_discovery.h"
#include "watcher/api_reflector.h"
#include "watcher/json_memory.h"
#include "watcher/kube.pb-c.h"
#include "watcher/source.h"

/*
 * Neither headless Services and their endpoints nor another proxy's: the selector that kube-proxy
 * uses for all of these resources.
 */
#define SELECTOR "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"

enum { SERVICES, ENDPOINTS, NODE, SERVICE_CIDRS, RESOURCE_COUNT };

/* --- what the reflectors do with what they get --- */

static void services_begin(struct feed *f)
{
	feed_list_begin(f, KIND_SERVICE);
}

static void services_end(struct feed *f, size_t listed)
{
	(void)listed;
	feed_list_end(f, KIND_SERVICE);
}

static void slices_begin(struct feed *f)
{
	feed_list_begin(f, KIND_SLICE);
}

static void slices_end(struct feed *f, size_t listed)
{
	(void)listed;
	feed_list_end(f, KIND_SLICE);
}

static void node_end(struct feed *f, size_t listed)
{
	if (listed > 0)
		return;
	log_warn("the apiserver has no Node \"%s\": services are proxied, but without "
		 "topology hints; if this machine's Node has another name, give it with "
		 "--hostname-override",
	    f->node_name);
	feed_node_deleted(f);
}

static void node_deleted(struct feed *f, const json_t *object)
{
	(void)object;
	feed_node_deleted(f);
}

static void service_cidrs_end(struct feed *f, size_t listed)
{
	(void)listed;
	feed_service_cidrs_end(f);
}

static const struct api_resource services = {
    .name = "services",
    .path = "/api/v1/services",
    .type = &kube__service__descriptor,
    .begin = services_begin,
    .end = services_end,
    .put = feed_service,
    .deleted = feed_service_deleted,
};

/* Endpoints: from the newest API on. */
static const struct api_resource endpoints_by[] = {
    [ENDPOINTS_SLICE_V1] =
	{
	    .name = "endpointslices",
	    .path = "/apis/discovery.k8s.io/v1/endpointslices",
	    .type = &kube__endpoint_slice__descriptor,
	    .older = &endpoints_by[ENDPOINTS_SLICE_V1BETA1],
	    .begin = slices_begin,
	    .end = slices_end,
	    .put = feed_slice,
	    .deleted = feed_slice_deleted,
	},
    [ENDPOINTS_SLICE_V1BETA1] =
	{
	    .name = "endpointslices",
	    .path = "/apis/discovery.k8s.io/v1beta1/endpointslices",
	    .type = &kube__endpoint_slice_v1beta1__descriptor,
	    .older = &endpoints_by[ENDPOINTS_CORE],
	    .begin = slices_begin,
	    .end = slices_end,
	    .put = feed_slice,
	    .deleted = feed_slice_deleted,
	},
    [ENDPOINTS_CORE] =
	{
	    .name = "endpoints",
	    .path = "/api/v1/endpoints",
	    .type = &kube__endpoints__descriptor,
	    .begin = feed_endpoints_begin,
	    .end = slices_end,
	    .put = feed_endpoints,
	    .deleted = feed_endpoints_deleted,
	},
};

static const struct api_resource node = {
    .name = "own node",
    .path = "/api/v1/nodes",
    .type = &kube__node__descriptor,
    .end = node_end,
    .put = feed_node,
    .deleted = node_deleted,
};

/* From Kubernetes 1.33 on, v1beta1 from 1.31. */
static const struct api_resource service_cidrs_v1beta1 = {
    .name = "servicecidrs",
    .path = "/apis/networking.k8s.io/v1beta1/servicecidrs",
    .type = &kube__service_cidr__descriptor,
    .optional = true,
    .begin = feed_service_cidrs_begin,
    .end = service_cidrs_end,
    .put = feed_service_cidr,
    .deleted = feed_service_cidr_deleted,
};

static const struct api_resource service_cidrs = {
    .name = "servicecidrs",
    .path = "/apis/networking.k8s.io/v1/servicecidrs",
    .type = &kube__service_cidr__descriptor,
    .optional = true,
    .older = &service_cidrs_v1beta1,
    .begin = feed_service_cidrs_begin,
    .end = service_cidrs_end,
    .put = feed_service_cidr,
    .deleted = feed_service_cidr_deleted,
};

/* --- starting them --- */

/* For the life of the process. */
static struct {
	struct event_base *base;
	struct api_server server;
	struct api_discovery discovery;
	char node_selector[sizeof("metadata.name=") + CONFIG_NODE_MAX];
	struct api_reflector reflectors[RESOURCE_COUNT];
} source;

static void on_renewal(void *arg)
{
	(void)arg;
	api_discovery_renewed(&source.discovery);
	for (int i = 0; i < RESOURCE_COUNT; i++)
		api_reflector_renewed(&source.reflectors[i]);
}

static void start_reflectors(void *arg, enum api_endpoints found, bool sure)
{
	(void)arg;
	/* What has no slices of v1 is too old; 1.18 even begins and never says that it has ended.
	 */
	source.server.no_watchlist = found != ENDPOINTS_SLICE_V1;
	source.reflectors[ENDPOINTS].resource = &endpoints_by[found];
	source.reflectors[ENDPOINTS].served = sure;
	for (int i = 0; i < RESOURCE_COUNT; i++)
		if (api_reflector_start(&source.reflectors[i], source.base) != 0)
			fatal(EXIT_FAILED, "out of memory");
}

int api_source_start(struct event_base *base, const struct config *cfg,
    const struct api_access *access, struct feed *feed)
{
	static const struct api_reflector each[RESOURCE_COUNT] = {
	    [SERVICES] = {.newest = &services,
		.counts = STATS_SERVICES,
		.query.label_selector = SELECTOR},
	    [ENDPOINTS] = {.newest = &endpoints_by[ENDPOINTS_SLICE_V1],
		.counts = STATS_ENDPOINTS,
		.query.label_selector = SELECTOR},
	    [NODE] = {.newest = &node,
		.counts = STATS_NODE,
		.query.field_selector = source.node_selector},
	    [SERVICE_CIDRS] = {.newest = &service_cidrs, .counts = STATS_SERVICE_CIDRS},
	};
	struct api_client *client;

	/*
	 * Names are looked up in /etc/hosts and DNS, which are libc's own. nsswitch.conf may name
	 * modules; the sandbox lets no code be loaded, and systemd-resolved answers DNS as well.
	 */
	__nss_configure_lookup("hosts", "files dns");
	json_memory_limit();
	client = api_client_new(base, cfg, access);
	if (client == NULL)
		return -1;
	api_client_on_renewal(client, on_renewal, NULL);
	source.base = base;
	source.server.url = access->server;
	stats_apiserver(access->server);
	snprintf(
	    source.node_selector, sizeof(source.node_selector), "metadata.name=%s", cfg->node_name);
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		struct api_reflector *r = &source.reflectors[i];

		*r = each[i];
		r->resource = r->newest;
		r->client = client;
		r->server = &source.server;
		r->feed = feed;
	}
	source.discovery.client = client;
	source.discovery.server = &source.server;
	source.discovery.done = start_reflectors;
	if (api_discovery_start(&source.discovery, base) != 0) {
		log_error("out of memory");
		return -1;
	}
	return 0;
}
