/* Services. */
#include "watcher/decode.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/decode_meta.h"

#define LABEL_PROXY_NAME "service.kubernetes.io/service-proxy-name"
#define AFFINITY_DEFAULT 10800 /* seconds; the API's own default and maximum follow */
#define AFFINITY_MAX	 86400
#define PATH_LEN	 64

/* Another proxy's, or nothing that a proxy serves. */
static bool not_ours(struct fields *f, const json_t *object, const json_t *spec)
{
	const char *cluster_ip = field_string(f, spec, "spec", "clusterIP");

	if (meta_label(object, LABEL_PROXY_NAME) != NULL ||
	    strcmp(field_string(f, spec, "spec", "type"), "ExternalName") == 0)
		return true;
	return cluster_ip[0] == '\0' || strcmp(cluster_ip, "None") == 0;
}

static void add_cluster_ip(
    const struct fields *f, struct service *s, const char *text, const char *path)
{
	struct ip_addr a;

	if (!decode_address(f, &a, text, path))
		return;
	if (s->cluster_ip_count == FAMILY_COUNT ||
	    (s->cluster_ip_count == 1 && s->cluster_ips[0].family == a.family)) {
		field_warn(f, "%s: a second address of a family; left out", path);
		return;
	}
	s->cluster_ips[s->cluster_ip_count++] = a;
}

/* clusterIPs, or on old servers and in hand-written manifests clusterIP alone. */
static void decode_cluster_ips(struct fields *f, const json_t *spec, struct service *s)
{
	const json_t *ips = field_array(f, spec, "spec", "clusterIPs");
	char path[PATH_LEN];
	size_t i;
	json_t *ip;

	if (json_array_size(ips) == 0)
		add_cluster_ip(f, s, field_string(f, spec, "spec", "clusterIP"), "spec.clusterIP");
	json_array_foreach (ips, i, ip) {
		snprintf(path, sizeof(path), "spec.clusterIPs[%zu]", i);
		if (json_is_string(ip))
			add_cluster_ip(f, s, json_string_value(ip), path);
		else
			field_warn(f, "%s: must be a string; left out", path);
	}
	if (s->cluster_ip_count == 0)
		field_bad(f, "spec.clusterIP: has no usable address");
}

/* One port; false after logging if it is to be left out. */
static bool decode_port(struct fields *f, const json_t *json, size_t i, struct service_port *p)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "spec.ports[%zu]", i);
	if (!json_is_object(json)) {
		field_bad(f, "%s: must be an object", path);
		return false;
	}
	decode_port_kind(f, json, path, p->name, &p->proto);
	p->port = (uint16_t)field_number(f, json, path, "port", 1, UINT16_MAX, 0);
	p->node_port = (uint16_t)field_number(f, json, path, "nodePort", 0, UINT16_MAX, 0);
	if (!f->bad && p->port == 0)
		field_bad(f, "%s.port: is missing; this port is left out", path);
	return !f->bad;
}

static void decode_ports(struct fields *f, const json_t *spec, struct service *s)
{
	const json_t *ports = field_array(f, spec, "spec", "ports");
	size_t n = json_array_size(ports), i;
	json_t *json;

	if (n > SERVICE_PORTS_MAX)
		field_bad(f, "spec.ports: more than %d", SERVICE_PORTS_MAX);
	if (f->bad || n == 0)
		return;
	s->ports = calloc(n, sizeof(*s->ports));
	if (s->ports == NULL) {
		field_bad(f, "not enough memory");
		return;
	}
	json_array_foreach (ports, i, json) {
		struct service_port p = {.name = ""};

		if (decode_port(f, json, i, &p))
			s->ports[s->port_count++] = p;
		f->bad = false;
	}
}

/* Room for the entries of the list at PATH, or NULL: empty, or too many, which is bad. */
static void *room(struct fields *f, const json_t *list, const char *path, size_t size)
{
	size_t n = json_array_size(list);
	void *p;

	if (n == 0 || f->bad)
		return NULL;
	if (n > SERVICE_IPS_MAX) {
		field_bad(f, "%s: %zu entries, more than %d", path, n, SERVICE_IPS_MAX);
		return NULL;
	}
	p = calloc(n, size);
	if (p == NULL)
		field_bad(f, "not enough memory");
	return p;
}

static void decode_external_ips(struct fields *f, const json_t *spec, struct service *s)
{
	const json_t *list = field_array(f, spec, "spec", "externalIPs");
	char path[PATH_LEN];
	size_t i;
	json_t *ip;

	s->external_ips = room(f, list, "spec.externalIPs", sizeof(*s->external_ips));
	if (s->external_ips == NULL)
		return;
	json_array_foreach (list, i, ip) {
		const char *text = json_is_string(ip) ? json_string_value(ip) : "";

		snprintf(path, sizeof(path), "spec.externalIPs[%zu]", i);
		if (decode_address(f, &s->external_ips[s->external_ip_count], text, path))
			s->external_ip_count++;
	}
}

/* ipMode Proxy: the balancer wants to see these packets itself (KEP-1860). */
static void decode_lb_ips(struct fields *f, const json_t *object, struct service *s)
{
	const json_t *status = field_object(f, object, "", "status");
	const json_t *lb = field_object(f, status, "status", "loadBalancer");
	const json_t *list = field_array(f, lb, "status.loadBalancer", "ingress");
	char path[PATH_LEN];
	size_t i;
	json_t *one;

	s->lb_ips = room(f, list, "status.loadBalancer.ingress", sizeof(*s->lb_ips));
	if (s->lb_ips == NULL)
		return;
	json_array_foreach (list, i, one) {
		const char *ip, *mode;

		snprintf(path, sizeof(path), "status.loadBalancer.ingress[%zu]", i);
		ip = field_string(f, one, path, "ip");
		mode = field_string(f, one, path, "ipMode");
		f->bad = false; /* said; the entry is then as if it had no address */
		if (ip[0] == '\0' || (mode[0] != '\0' && strcmp(mode, "VIP") != 0))
			continue;
		if (decode_address(f, &s->lb_ips[s->lb_ip_count], ip, path))
			s->lb_ip_count++;
	}
}

/* The API server has always let blanks around a range pass. */
static bool decode_source_range(struct ip_cidr *c, const char *text)
{
	char trimmed[CIDR_STRLEN];
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len >= sizeof(trimmed))
		return false;
	memcpy(trimmed, text, len);
	trimmed[len] = '\0';
	return ip_cidr_parse(c, trimmed) == 0;
}

static void decode_source_ranges(struct fields *f, const json_t *spec, struct service *s)
{
	static const char path[] = "spec.loadBalancerSourceRanges";
	const json_t *list = field_array(f, spec, "spec", "loadBalancerSourceRanges");
	size_t i;
	json_t *range;

	s->source_ranges = room(f, list, path, sizeof(*s->source_ranges));
	if (s->source_ranges == NULL)
		return;
	json_array_foreach (list, i, range) {
		const char *text = json_is_string(range) ? json_string_value(range) : "";

		if (decode_source_range(&s->source_ranges[s->source_range_count], text))
			s->source_range_count++;
		else
			field_warn(f, "%s[%zu]: \"%.80s\" is no CIDR; left out", path, i, text);
	}
	/* None left would mean no restriction at all. */
	if (s->source_range_count == 0)
		field_bad(f, "%s: none is a CIDR", path);
}

static void decode_affinity(struct fields *f, const json_t *spec, struct service *s)
{
	const json_t *config = field_object(f, spec, "spec", "sessionAffinityConfig");
	const json_t *client = field_object(f, config, "spec.sessionAffinityConfig", "clientIP");

	if (strcmp(field_string(f, spec, "spec", "sessionAffinity"), "ClientIP") != 0)
		return;
	s->affinity_seconds =
	    (uint32_t)field_number(f, client, "spec.sessionAffinityConfig.clientIP",
		"timeoutSeconds", 1, AFFINITY_MAX, AFFINITY_DEFAULT);
}

enum decode_result decode_service(const json_t *object, struct service *s)
{
	const json_t *spec;
	struct fields f;

	memset(s, 0, sizeof(*s));
	if (!meta_open(&f, "Service", object, s->namespace, sizeof(s->namespace), s->name,
		sizeof(s->name)))
		return DECODE_BAD;
	spec = field_object(&f, object, "", "spec");
	if (!f.bad && not_ours(&f, object, spec) && !f.bad)
		return DECODE_SKIP;
	meta_identity(object, &s->created, s->uid);
	decode_cluster_ips(&f, spec, s);
	decode_ports(&f, spec, s);
	decode_external_ips(&f, spec, s);
	decode_lb_ips(&f, object, s);
	decode_source_ranges(&f, spec, s);
	decode_affinity(&f, spec, s);
	s->internal_local =
	    strcmp(field_string(&f, spec, "spec", "internalTrafficPolicy"), "Local") == 0;
	s->external_local =
	    strcmp(field_string(&f, spec, "spec", "externalTrafficPolicy"), "Local") == 0;
	s->health_check_node_port =
	    (uint16_t)field_number(&f, spec, "spec", "healthCheckNodePort", 0, UINT16_MAX, 0);
	return f.bad ? DECODE_BAD : DECODE_OK;
}
