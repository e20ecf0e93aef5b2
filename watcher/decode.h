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

#endif
