/* The own Node. */
#include <stdio.h>
#include <string.h>

#include "watcher/decode.h"
#include "watcher/decode_meta.h"

#define LABEL_ZONE	 "topology.kubernetes.io/zone"
#define LABEL_ZONE_OLD	 "failure-domain.beta.kubernetes.io/zone" /* until 1.17 */
#define TAINT_AUTOSCALER "ToBeDeletedByClusterAutoscaler"
#define PATH_LEN	 64

/* The first of a family is the node's own: InternalIPs count before ExternalIPs, as upstream. */
static void decode_addresses(struct fields *f, const json_t *object, struct node *n)
{
	static const char *const types[] = {"InternalIP", "ExternalIP"};
	static const uint32_t max = sizeof(n->addrs) / sizeof(n->addrs[0]);
	const json_t *status = field_object(f, object, "", "status");
	const json_t *list = field_array(f, status, "status", "addresses");
	const size_t count = json_array_size(list);
	char path[PATH_LEN];

	for (size_t i = 0; i < 2 * count; i++) {
		const json_t *one = json_array_get(list, i % count);
		const char *text;

		snprintf(path, sizeof(path), "status.addresses[%zu]", i % count);
		text = field_string(f, one, path, "address");
		if (strcmp(field_string(f, one, path, "type"), types[i / count]) != 0)
			continue;
		if (n->addr_count == max) {
			field_warn(f, "status.addresses: only the first %u count", max);
			return;
		}
		if (ip_parse(&n->addrs[n->addr_count], text) == 0)
			n->addr_count++;
		else
			field_warn(f, "%s: \"%.80s\" is no IP address; left out", path, text);
	}
}

static void add_pod_cidr(const struct fields *f, struct node *n, const char *text)
{
	struct ip_cidr c;

	if (ip_cidr_parse(&c, text) != 0)
		field_warn(f, "spec.podCIDRs: \"%.80s\" is no CIDR; left out", text);
	else if (n->pod_cidr_count == FAMILY_COUNT ||
		 (n->pod_cidr_count == 1 && n->pod_cidrs[0].addr.family == c.addr.family))
		field_warn(f, "spec.podCIDRs: %s is a second one of its family; left out", text);
	else
		n->pod_cidrs[n->pod_cidr_count++] = c;
}

static void decode_pod_cidrs(struct fields *f, const json_t *spec, struct node *n)
{
	const json_t *list = field_array(f, spec, "spec", "podCIDRs");
	const char *single = field_string(f, spec, "spec", "podCIDR");
	size_t i;
	json_t *one;

	if (json_array_size(list) == 0 && single[0] != '\0')
		add_pod_cidr(f, n, single);
	json_array_foreach (list, i, one)
		add_pod_cidr(f, n, json_is_string(one) ? json_string_value(one) : "");
}

/* Is the node leaving? Its health check then tells load balancers to look elsewhere (KEP-3836). */
static bool decode_deleting(struct fields *f, const json_t *object, const json_t *spec)
{
	const json_t *meta = json_object_get(object, "metadata");
	const json_t *taints = field_array(f, spec, "spec", "taints");
	size_t i;
	json_t *taint;

	json_array_foreach (taints, i, taint) {
		if (strcmp(field_string(f, taint, "spec.taints", "key"), TAINT_AUTOSCALER) == 0)
			return true;
	}
	return field_string(f, meta, "metadata", "deletionTimestamp")[0] != '\0';
}

enum decode_result decode_node(const json_t *object, struct node *n)
{
	const char *zone = meta_label(object, LABEL_ZONE);
	const json_t *spec;
	struct fields f;

	memset(n, 0, sizeof(*n));
	if (!meta_open(&f, "Node", object, NULL, 0, n->name, sizeof(n->name)))
		return DECODE_BAD;
	if (zone == NULL)
		zone = meta_label(object, LABEL_ZONE_OLD);
	if (zone != NULL && strlen(zone) < sizeof(n->zone))
		strlcpy(n->zone, zone, sizeof(n->zone));
	else if (zone != NULL)
		field_warn(&f, "label %s: longer than a label's value; left out", LABEL_ZONE);
	spec = field_object(&f, object, "", "spec");
	decode_addresses(&f, object, n);
	decode_pod_cidrs(&f, spec, n);
	n->deleting = decode_deleting(&f, object, spec);
	return f.bad ? DECODE_BAD : DECODE_OK;
}
