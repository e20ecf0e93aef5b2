/* The apiserver as source: three reflectors on one client. */
#include <nss.h>
#include <stdio.h>

#include "common/log.h"
#include "watcher/api_reflector.h"
#include "watcher/source.h"

/*
 * Neither headless Services and their slices nor another proxy's: the selector that kube-proxy uses
 * for both resources.
 */
#define SELECTOR "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"

enum { SERVICES, SLICES, NODE, RESOURCE_COUNT };

static void node_deleted(struct feed *f, const json_t *object)
{
	(void)object;
	feed_node_deleted(f);
}

static const struct api_resource resources[RESOURCE_COUNT] = {
    [SERVICES] = {"services", KIND_SERVICE, feed_service, feed_service_deleted},
    [SLICES] = {"endpointslices", KIND_SLICE, feed_slice, feed_slice_deleted},
    [NODE] = {"own node", 0, feed_node, node_deleted},
};

static const struct api_query queries[RESOURCE_COUNT] = {
    [SERVICES] = {"/api/v1/services", SELECTOR, NULL},
    [SLICES] = {"/apis/discovery.k8s.io/v1/endpointslices", SELECTOR, NULL},
    [NODE] = {"/api/v1/nodes", NULL, NULL}, /* and the field selector */
};

/* For the life of the process. */
static struct {
	struct api_client *client;
	struct api_server server;
	char node_selector[sizeof("metadata.name=") + CONFIG_NODE_MAX];
	struct api_reflector reflectors[RESOURCE_COUNT];
} source;

int api_source_start(struct event_base *base, const struct config *cfg,
    const struct api_access *access, struct feed *feed)
{
	/*
	 * Names are looked up in /etc/hosts and DNS, which are libc's own. nsswitch.conf may name
	 * modules; the sandbox lets no code be loaded, and systemd-resolved answers DNS as well.
	 */
	__nss_configure_lookup("hosts", "files dns");
	source.client = api_client_new(base, cfg, access);
	if (source.client == NULL)
		return -1;
	source.server.url = access->server;
	snprintf(
	    source.node_selector, sizeof(source.node_selector), "metadata.name=%s", cfg->node_name);
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		struct api_reflector *r = &source.reflectors[i];

		r->resource = &resources[i];
		r->query = queries[i];
		if (i == NODE)
			r->query.field_selector = source.node_selector;
		r->client = source.client;
		r->server = &source.server;
		r->feed = feed;
		if (api_reflector_start(r, base) != 0) {
			log_error("%s: out of memory", r->resource->name);
			return -1;
		}
	}
	return 0;
}
