/* What each rule is for, in words. */
#include "planner/explain_way.h"

static const char *const whys[IPT_TEMPLATE_COUNT] = {
    [T_CLUSTER_IP] = "the destination is a cluster IP of a service",
    [T_EXTERNAL_IP] = "the destination is an external IP of a service",
    [T_LOAD_BALANCER_IP] = "the destination is a load-balancer IP of a service",
    [T_LOCALNET_RETURN] = "node ports on loopback are for this node alone",
    [T_NODEPORTS_LAST] = "the destination is an address of this node, where node ports answer",
    [T_NODEPORTS_ANY] = "the destination is an address of this node, where node ports answer",
    [T_NODEPORTS_IN] = "the destination is an address of this node where node ports answer",
    [T_SERVICE_NET] = "services have addresses under this prefix",
    [T_SERVICE_NET_GOTO] = "services have addresses under this prefix",
    [T_NODE_PORT] = "the destination is a node port of a service",
    [T_SOURCE_RANGE] = "the source is in a source range of the service",
    [T_EXTERNAL_MASQ] = "externalTrafficPolicy Cluster: masqueraded, to come back by this node",
    [T_EXTERNAL_POD] = "a pod reaches every endpoint, whatever externalTrafficPolicy says",
    [T_EXTERNAL_POD_IF] = "a pod reaches every endpoint, whatever externalTrafficPolicy says",
    [T_EXTERNAL_LOCAL_MASQ] = "what the node itself sends is masqueraded",
    [T_EXTERNAL_LOCAL] = "the node reaches every endpoint, whatever externalTrafficPolicy says",
    [T_EXTERNAL_POLICY] = "to the endpoints that externalTrafficPolicy allows",
    [T_CLUSTER_IP_MASQ_OUTSIDE] = "the source is no pod by local detection: masqueraded",
    [T_CLUSTER_IP_MASQ_OUTSIDE_IF] = "the source is no pod by local detection: masqueraded",
    [T_CLUSTER_IP_MASQ_ALL] = "--masquerade-all: masqueraded",
    [T_ENDPOINT_AFFINE] = "session affinity: a client that is remembered goes where it went",
    [T_ENDPOINT_RANDOM] = "an endpoint is drawn",
    [T_ENDPOINT_LAST] = "the one endpoint there is",
    [T_DNAT_RANDOM] = "an endpoint is drawn",
    [T_DNAT_LAST] = "the one endpoint there is",
    [T_MARK_MASQ] = "the masquerade mark is set",
    [T_NO_ENDPOINTS_REJECT] = "the service has no endpoint",
    [T_NO_LOCAL_DROP] = "internalTrafficPolicy Local, and no endpoint is on this node",
    [T_EXTERNAL_NO_ENDPOINTS_REJECT] = "the service has no endpoint",
    [T_EXTERNAL_NO_LOCAL_DROP] = "externalTrafficPolicy Local, and no endpoint is on this node",
    [T_NODE_PORT_NO_ENDPOINTS_REJECT] = "the service has no endpoint",
    [T_NODE_PORT_NO_LOCAL_DROP] = "externalTrafficPolicy Local, and no endpoint is on this node",
    [T_FIREWALL_RETURN] = "the source is in a source range of the service",
    [T_FIREWALL_DROP] = "the source is in no source range of the service",
    [T_LOCALNET_DROP] = "loopback is for this node alone (CVE-2020-8558)",
    [T_HEALTH_CHECK_ACCEPT] = "the destination is a health check node port",
    [T_PORTAL] = "the destination is an address of a service: to its relay",
    [T_PORTAL_POD_IF] = "a pod reaches every endpoint, whatever externalTrafficPolicy says",
    [T_PORTAL_NODE_PORT] = "the destination is a node port of a service: to its relay",
    [T_PORTAL_NODE_PORT_POD_IF] =
	"a pod reaches every endpoint, whatever externalTrafficPolicy says",
    [T_RELAY_REJECT] = "the destination is a relay's own port, which is nobody's way in",
    [T_FORWARD_MARKED] = "what is to be masqueraded may be forwarded",
    [T_IPVS_LOAD_BALANCER] = "the destination is a load-balancer IP of a service",
    [T_IPVS_MASQ_ALL] = "a cluster IP of a service, and --masquerade-all: masqueraded",
    [T_IPVS_MASQ_OUTSIDE] =
	"a cluster IP of a service, and the source is no pod by local detection: masqueraded",
    [T_IPVS_MASQ_OUTSIDE_IF] =
	"a cluster IP of a service, and the source is no pod by local detection: masqueraded",
    [T_IPVS_MASQ_SELF] = "the node asks a cluster IP from that address: masqueraded",
    [T_IPVS_EXTERNAL_IP] =
	"an external IP, and externalTrafficPolicy Cluster: masqueraded, to come back by this node",
    [T_IPVS_EXTERNAL_LOCAL] = "an external IP, and what the node itself sends is masqueraded",
    [T_IPVS_SERVED] = "an address of kube-ipvs0, where node ports do not answer",
    [T_IPVS_NODE_PORTS] = "the destination is an address of this node, where node ports answer",
    [T_IPVS_BALANCER_LOCAL_MASQ] = "what the node itself sends is masqueraded",
    [T_IPVS_BALANCER_LOCAL] = "externalTrafficPolicy Local: not masqueraded",
    [T_IPVS_BALANCER_MASQ] =
	"externalTrafficPolicy Cluster: masqueraded, to come back by this node",
    [T_IPVS_NODE_PORT_LOCAL_MASQ] = "a node port, and what the node itself sends is masqueraded",
    [T_IPVS_NODE_PORT_LOCAL] = "a node port, and externalTrafficPolicy Local: not masqueraded",
    [T_IPVS_NODE_PORT_MASQ] =
	"a node port, and externalTrafficPolicy Cluster: masqueraded, to come back by this node",
    [T_IPVS_FIREWALL] = "not every source may come to this address and port",
    [T_IPVS_SOURCE_CIDR] = "the source is one of those that may",
    [T_IPVS_FIREWALL_DROP] = "the source is in no source range of the service",
    [T_IPVS_HEALTH_CHECK] = "the destination is a health check node port",
    [T_IPVS_KNOWN_CLUSTER_IP] = "a service has this port of the address",
    [T_IPVS_KNOWN_EXTERNAL_IP] = "a service has this port of the address",
    [T_IPVS_KNOWN_EXTERNAL_LOCAL] = "a service has this port of the address",
    [T_IPVS_KNOWN_BALANCER] = "a service has this port of the address",
    [T_IPVS_UNKNOWN_REJECT] = "no service has this port of the address",
};

/* The ipset of those that may come is one for two reasons: what W's packet is dropped for. */
static const char *why_dropped(const struct explain_way *w)
{
	const struct query_packet *p = w->x->packet;
	enum frontend kind;
	uint32_t index;
	const struct stored_service *v = explain_ipvs_owner(w->x->view, p, &index, &kind);
	unsigned live;
	bool local;

	if (v == NULL)
		return whys[T_IPVS_FIREWALL_DROP];
	live = v->spec->live[index] >> p->dst.family & (LIVE_CLUSTER | LIVE_LOCAL);
	local = kind == FRONTEND_CLUSTER ? v->spec->internal_local : v->spec->external_local;
	return local && live == LIVE_CLUSTER
		   ? "the traffic policy is Local, and no endpoint is on this node"
		   : whys[T_IPVS_FIREWALL_DROP];
}

const char *explain_why(const struct explain_way *w, const struct ipt_rule *r)
{
	return r->template == T_IPVS_FIREWALL_DROP ? why_dropped(w) : whys[r->template];
}
