/* API objects (JSON, or YAML read as such) to the objects of ipc/objects.h. */
#ifndef WATCHER_DECODE_H
#define WATCHER_DECODE_H

#include <jansson.h>

#include "ipc/objects.h"

enum decode_result {
	DECODE_OK,
	DECODE_SKIP, /* a valid object that is none of ours: treat it as absent */
	DECODE_BAD,  /* logged with kind, namespace/name, field and reason; treat it as absent */
};

/*
 * Each fills its struct (zeroed first; clear it in any case). Namespace and name are filled
 * whenever the object has them, also for SKIP and BAD, so that the caller can send the deletion.
 * SKIP: headless, ExternalName, no clusterIP, label service.kubernetes.io/service-proxy-name;
 * slices labelled service.kubernetes.io/headless, without kubernetes.io/service-name, of type FQDN.
 * One bad endpoint, port or address in a good object is logged and left out.
 */
enum decode_result decode_service(const json_t *object, struct service *s);
/* NODE_NAME is our own: EP_NODE_HINT_OURS. */
enum decode_result decode_slice(const json_t *object, const char *node_name, struct slice *s);
enum decode_result decode_node(const json_t *object, struct node *n);

/*
 * An Endpoints object (core v1, of servers without slices) is told as slices, each of one subset
 * and family: FN is called with each, named NAME, NAME/1, NAME/2, ... IDS gets the object's names
 * and how many slices there were; after SKIP and BAD there is none. SKIP: label
 * service.kubernetes.io/headless.
 */
struct endpoints_ids {
	char namespace[NAME_MAX_LABEL];
	char name[NAME_MAX_LABEL];
	uint32_t slices;
};
enum decode_result decode_endpoints(const json_t *object, struct endpoints_ids *ids,
    void (*fn)(void *arg, const struct slice *s), void *arg);
/* The name of slice number I of Endpoints NAME. */
void endpoints_slice_name(char to[NAME_MAX_SUBDOMAIN], const char *name, uint32_t i);

/* A ServiceCIDR: one range, or one of each family. */
struct service_cidr {
	char name[NAME_MAX_SUBDOMAIN];
	uint32_t count;
	struct ip_cidr cidrs[FAMILY_COUNT];
};
enum decode_result decode_service_cidr(const json_t *object, struct service_cidr *s);

#endif
