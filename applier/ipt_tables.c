#include "applier/ipt_tables.h"

#include <string.h>

#include "applier/ipvs_tables.h"

#define BIT(n) (1u << (n))
#define NAT    ((uint8_t)(1u << IPT_NAT))
#define FILTER ((uint8_t)(1u << IPT_FILTER))

const struct ipt_chain_kind ipt_chain_kinds[CHAIN_KIND_COUNT] = {
    [CHAIN_CANARY] = {"KUBE-PROXY-CANARY", false, NAT | FILTER},
    [CHAIN_SERVICES] = {"KUBE-SERVICES", false, NAT | FILTER},
    [CHAIN_EXTERNAL_SERVICES] = {"KUBE-EXTERNAL-SERVICES", false, FILTER},
    [CHAIN_NODEPORTS] = {"KUBE-NODEPORTS", false, NAT | FILTER},
    [CHAIN_POSTROUTING] = {"KUBE-POSTROUTING", false, NAT},
    [CHAIN_FORWARD] = {"KUBE-FORWARD", false, FILTER},
    [CHAIN_PROXY_FIREWALL] = {"KUBE-PROXY-FIREWALL", false, FILTER},
    [CHAIN_NET] = {"KUBE-NET-", true, NAT},
    [CHAIN_FW] = {"KUBE-FW-", true, NAT},
    [CHAIN_EXT] = {"KUBE-EXT-", true, NAT},
    [CHAIN_SVC] = {"KUBE-SVC-", true, NAT},
    [CHAIN_SVL] = {"KUBE-SVL-", true, NAT},
    [CHAIN_SEP] = {"KUBE-SEP-", true, NAT},
    [CHAIN_MARK_MASQ] = {"KUBE-MARK-MASQ", false, NAT},
    [CHAIN_XLB] = {"KUBE-XLB-", true, NAT},
    [CHAIN_LOAD_BALANCER] = {"KUBE-LOAD-BALANCER", false, NAT},
    [CHAIN_NODE_PORT] = {"KUBE-NODE-PORT", false, NAT | FILTER},
    [CHAIN_SOURCE_RANGES_FIREWALL] = {"KUBE-SOURCE-RANGES-FIREWALL", false, FILTER},
    [CHAIN_IPVS_FILTER] = {"KUBE-IPVS-FILTER", false, FILTER},
    [CHAIN_IPVS_OUT_FILTER] = {"KUBE-IPVS-OUT-FILTER", false, FILTER},
    [CHAIN_PORTALS_CONTAINER] = {"KUBE-PORTALS-CONTAINER", false, NAT},
    [CHAIN_PORTALS_HOST] = {"KUBE-PORTALS-HOST", false, NAT},
    [CHAIN_NODEPORT_CONTAINER] = {"KUBE-NODEPORT-CONTAINER", false, NAT},
    [CHAIN_NODEPORT_HOST] = {"KUBE-NODEPORT-HOST", false, NAT},
    [CHAIN_NODEPORT_NON_LOCAL] = {"KUBE-NODEPORT-NON-LOCAL", false, FILTER},
};

const struct ipt_hook ipt_hooks[IPT_HOOK_COUNT] = {
    {IPT_FILTER, "INPUT", CHAIN_EXTERNAL_SERVICES, HOOK_NEW,
	"kubernetes externally-visible service portals"},
    {IPT_FILTER, "FORWARD", CHAIN_EXTERNAL_SERVICES, HOOK_NEW,
	"kubernetes externally-visible service portals"},
    {IPT_FILTER, "INPUT", CHAIN_NODEPORTS, HOOK_ANY, "kubernetes health check service ports"},
    {IPT_FILTER, "FORWARD", CHAIN_SERVICES, HOOK_NEW, "kubernetes service portals"},
    {IPT_FILTER, "OUTPUT", CHAIN_SERVICES, HOOK_NEW, "kubernetes service portals"},
    {IPT_FILTER, "FORWARD", CHAIN_FORWARD, HOOK_ANY, "kubernetes forwarding rules"},
    {IPT_FILTER, "INPUT", CHAIN_PROXY_FIREWALL, HOOK_NEW, "kubernetes load balancer firewall"},
    {IPT_FILTER, "OUTPUT", CHAIN_PROXY_FIREWALL, HOOK_NEW, "kubernetes load balancer firewall"},
    {IPT_FILTER, "FORWARD", CHAIN_PROXY_FIREWALL, HOOK_NEW, "kubernetes load balancer firewall"},
    {IPT_NAT, "OUTPUT", CHAIN_SERVICES, HOOK_ANY, "kubernetes service portals"},
    {IPT_NAT, "PREROUTING", CHAIN_SERVICES, HOOK_ANY, "kubernetes service portals"},
    {IPT_NAT, "POSTROUTING", CHAIN_POSTROUTING, HOOK_ANY, "kubernetes postrouting rules"},
    /* leftovers of 1.13 to 1.19, of ipvs mode; userspace mode's */
    {IPT_FILTER, "INPUT", CHAIN_SERVICES, HOOK_NEW, "kubernetes service portals"},
    {IPT_FILTER, "INPUT", CHAIN_NODE_PORT, HOOK_ANY, "kubernetes health check rules"},
    {IPT_FILTER, "INPUT", CHAIN_PROXY_FIREWALL, HOOK_ANY, "kube-proxy firewall rules"},
    {IPT_FILTER, "FORWARD", CHAIN_PROXY_FIREWALL, HOOK_ANY, "kube-proxy firewall rules"},
    {IPT_FILTER, "INPUT", CHAIN_IPVS_FILTER, HOOK_ANY, "kubernetes ipvs access filter"},
    {IPT_FILTER, "OUTPUT", CHAIN_IPVS_OUT_FILTER, HOOK_ANY, "kubernetes ipvs access filter"},
    {IPT_NAT, "PREROUTING", CHAIN_NODEPORT_CONTAINER, HOOK_LOCAL,
	"handle service NodePorts; NOTE: this must be the last rule in the chain"},
    {IPT_NAT, "OUTPUT", CHAIN_NODEPORT_HOST, HOOK_LOCAL,
	"handle service NodePorts; NOTE: this must be the last rule in the chain"},
    {IPT_NAT, "PREROUTING", CHAIN_PORTALS_CONTAINER, HOOK_ANY,
	"handle ClusterIPs; NOTE: this must be before the NodePort rules"},
    {IPT_NAT, "OUTPUT", CHAIN_PORTALS_HOST, HOOK_ANY,
	"handle ClusterIPs; NOTE: this must be before the NodePort rules"},
    {IPT_FILTER, "INPUT", CHAIN_NODEPORT_NON_LOCAL, HOOK_ANY,
	"Ensure that non-local NodePort traffic can flow"},
};

/* clang-format off */
#define FRONTEND (ARG_DST | ARG_PROTO | ARG_DPORT | ARG_NAME)
#define PORT	 (ARG_PROTO | ARG_DPORT | ARG_NAME)
#define TEXT	 MATCH_COMMENT
#define K(kind)	 BIT(CHAIN_##kind)
#define SERVICE	 (K(SVC) | K(SVL))
#define PORTALS	 (K(SERVICES) | K(NET))
#define RELAYED	 (K(PORTALS_CONTAINER) | K(PORTALS_HOST))
#define RELAYED_NODE_PORTS (K(NODEPORT_CONTAINER) | K(NODEPORT_HOST))
#define MASQ_TEXT     "Kubernetes service cluster ip + port for masquerade purpose"
#define EXTERNAL_TEXT "Kubernetes service external ip + port for masquerade and filter purpose"
#define BALANCER_TEXT "Kubernetes service load balancer ip + port with externalTrafficPolicy=local"
#define PORT_TEXT     "Kubernetes nodeport for masquerade purpose"
#define FIREWALL_TEXT "Kubernetes service load balancer ip + port for load balancer with sourceRange"
#define NUMBER(set) ((uint32_t)(set) * MATCH_SET_NUMBER)
#define IN(set)	    (MATCH_SET | NUMBER(set))
#define FROM(set)   (MATCH_SET_FROM | NUMBER(set))
#define KNOWN(what, set)                                                                                \
	"ipvs-known-" what, IPT_FILTER, K(IPVS_FILTER), 0, IN(set), VERDICT_RETURN, 0, NULL

const struct ipt_template ipt_templates[IPT_TEMPLATE_COUNT] = {
    [T_CLUSTER_IP] = {"cluster-ip", IPT_NAT, PORTALS, FRONTEND | ARG_TARGET,
	TEXT | MATCH_PROTO, VERDICT_JUMP, SERVICE, " cluster IP"},
    [T_EXTERNAL_IP] = {"external-ip", IPT_NAT, PORTALS, FRONTEND | ARG_TARGET,
	TEXT | MATCH_PROTO, VERDICT_JUMP, K(EXT), " external IP"},
    [T_LOAD_BALANCER_IP] = {"load-balancer-ip", IPT_NAT, PORTALS, FRONTEND | ARG_TARGET,
	TEXT | MATCH_PROTO, VERDICT_JUMP, K(EXT) | K(FW), " loadbalancer IP"},
    [T_LOCALNET_RETURN] = {"localnet-return", IPT_NAT, K(SERVICES), 0, MATCH_LOCALNET | TEXT,
	VERDICT_RETURN, 0, "node ports on loopback are for this node"},
    [T_NODEPORTS_LAST] = {"nodeports-last", IPT_NAT, K(SERVICES), 0,
	MATCH_NOT_LOOPBACK | TEXT | MATCH_LOCAL_DST, VERDICT_JUMP, K(NODEPORTS),
	"kubernetes service nodeports; NOTE: this must be the last rule in this chain"},
    [T_NODEPORTS_ANY] = {"nodeports-any", IPT_NAT, K(SERVICES), 0, TEXT | MATCH_LOCAL_DST,
	VERDICT_JUMP, K(NODEPORTS),
	"kubernetes service nodeports; NOTE: this must be the last rule in this chain"},
    [T_NODEPORTS_IN] = {"nodeports-in", IPT_NAT, K(SERVICES), ARG_NET,
	MATCH_DST | TEXT | MATCH_LOCAL_DST, VERDICT_JUMP, K(NODEPORTS),
	"kubernetes service nodeports"},
    [T_SERVICE_NET] = {"service-net", IPT_NAT, K(SERVICES), ARG_NET | ARG_TARGET, MATCH_DST,
	VERDICT_JUMP, K(NET), NULL},
    [T_SERVICE_NET_GOTO] = {"service-net-goto", IPT_NAT, K(NET), ARG_NET | ARG_TARGET, MATCH_DST,
	VERDICT_GOTO, K(NET), NULL},
    [T_NODE_PORT] = {"node-port", IPT_NAT, K(NODEPORTS), PORT | ARG_TARGET, TEXT | MATCH_PROTO,
	VERDICT_JUMP, K(EXT), ""},
    [T_SOURCE_RANGE] = {"source-range", IPT_NAT, K(FW), ARG_NET | ARG_NAME | ARG_TARGET,
	MATCH_SRC | TEXT, VERDICT_JUMP, K(EXT), " loadbalancer IP"},
    [T_EXTERNAL_MASQ] = {"external-masq", IPT_NAT, K(EXT), ARG_NAME, TEXT, VERDICT_JUMP,
	K(MARK_MASQ), "masquerade traffic for % external destinations"},
    [T_EXTERNAL_POD] = {"external-pod", IPT_NAT, K(EXT), ARG_NET | ARG_NAME | ARG_TARGET,
	MATCH_SRC | TEXT, VERDICT_JUMP, K(SVC), "pod traffic for % external destinations"},
    [T_EXTERNAL_POD_IF] = {"external-pod-if", IPT_NAT, K(EXT), ARG_NAME | ARG_TARGET,
	MATCH_POD_IF | TEXT, VERDICT_JUMP, K(SVC), "pod traffic for % external destinations"},
    [T_EXTERNAL_LOCAL_MASQ] = {"external-local-masq", IPT_NAT, K(EXT), ARG_NAME,
	TEXT | MATCH_LOCAL_SRC, VERDICT_JUMP, K(MARK_MASQ),
	"masquerade LOCAL traffic for % external destinations"},
    [T_EXTERNAL_LOCAL] = {"external-local", IPT_NAT, K(EXT), ARG_NAME | ARG_TARGET,
	TEXT | MATCH_LOCAL_SRC, VERDICT_JUMP, K(SVC),
	"route LOCAL traffic for % external destinations"},
    [T_EXTERNAL_POLICY] = {"external-policy", IPT_NAT, K(EXT), ARG_TARGET, 0, VERDICT_JUMP,
	SERVICE, NULL},
    [T_CLUSTER_IP_MASQ_OUTSIDE] = {"cluster-ip-masq-outside", IPT_NAT, SERVICE, ARG_NET | FRONTEND,
	MATCH_NOT_SRC | TEXT | MATCH_PROTO, VERDICT_JUMP, K(MARK_MASQ), " cluster IP"},
    [T_CLUSTER_IP_MASQ_OUTSIDE_IF] = {"cluster-ip-masq-outside-if", IPT_NAT, SERVICE, FRONTEND,
	MATCH_NOT_POD_IF | TEXT | MATCH_PROTO, VERDICT_JUMP, K(MARK_MASQ), " cluster IP"},
    [T_CLUSTER_IP_MASQ_ALL] = {"cluster-ip-masq-all", IPT_NAT, SERVICE, FRONTEND,
	TEXT | MATCH_PROTO, VERDICT_JUMP, K(MARK_MASQ), " cluster IP"},
    [T_ENDPOINT_AFFINE] = {"endpoint-affine", IPT_NAT, SERVICE,
	ARG_NAME | ARG_TO | ARG_SECONDS | ARG_TARGET, MATCH_COMMENT_TO | MATCH_RECENT, VERDICT_JUMP,
	K(SEP), " -> "},
    [T_ENDPOINT_RANDOM] = {"endpoint-random", IPT_NAT, SERVICE,
	ARG_NAME | ARG_TO | ARG_PROBABILITY | ARG_TARGET, MATCH_COMMENT_TO | MATCH_STATISTIC,
	VERDICT_JUMP, K(SEP), " -> "},
    [T_ENDPOINT_LAST] = {"endpoint-last", IPT_NAT, SERVICE, ARG_NAME | ARG_TO | ARG_TARGET,
	MATCH_COMMENT_TO, VERDICT_JUMP, K(SEP), " -> "},
    [T_DNAT_RANDOM] = {"dnat-random", IPT_NAT, SERVICE, ARG_PROTO | ARG_TO | ARG_PROBABILITY,
	MATCH_STATISTIC | MATCH_PROTO, VERDICT_DNAT, 0, NULL},
    [T_DNAT_LAST] = {"dnat-last", IPT_NAT, SERVICE, ARG_PROTO | ARG_TO, MATCH_PROTO, VERDICT_DNAT,
	0, NULL},
    [T_HAIRPIN_MARK] = {"hairpin-mark", IPT_NAT, K(SEP), ARG_NAME | ARG_TO, MATCH_SRC_TO | TEXT,
	VERDICT_JUMP, K(MARK_MASQ), ""},
    [T_ENDPOINT_DNAT] = {"endpoint-dnat", IPT_NAT, K(SEP), ARG_PROTO | ARG_NAME | ARG_TO,
	TEXT | MATCH_PROTO, VERDICT_DNAT, 0, ""},
    [T_ENDPOINT_DNAT_AFFINE] = {"endpoint-dnat-affine", IPT_NAT, K(SEP),
	ARG_PROTO | ARG_NAME | ARG_TO, TEXT | MATCH_RECENT_SET | MATCH_PROTO, VERDICT_DNAT, 0, ""},
    [T_MARK_MASQ] = {"mark-masq", IPT_NAT, K(MARK_MASQ), 0, 0, VERDICT_SET_MARK, 0, NULL},
    [T_POSTROUTING_HAIRPIN] = {"postrouting-hairpin", IPT_NAT, K(POSTROUTING), 0,
	MATCH_CTSTATE_DNAT | MATCH_HAIRPIN | TEXT, VERDICT_MASQUERADE, 0,
	"kubernetes endpoints that reach themselves"},
    [T_POSTROUTING_UNMARKED] = {"postrouting-unmarked", IPT_NAT, K(POSTROUTING), 0, MATCH_UNMARKED,
	VERDICT_RETURN, 0, NULL},
    [T_POSTROUTING_CLEAR] = {"postrouting-clear", IPT_NAT, K(POSTROUTING), 0, 0,
	VERDICT_CLEAR_MARK, 0, NULL},
    [T_POSTROUTING_MASQUERADE] = {"postrouting-masquerade", IPT_NAT, K(POSTROUTING), 0, TEXT,
	VERDICT_MASQUERADE, 0, "kubernetes service traffic requiring SNAT"},
    [T_NO_ENDPOINTS_REJECT] = {"no-endpoints-reject", IPT_FILTER, K(SERVICES), FRONTEND,
	TEXT | MATCH_PROTO, VERDICT_REJECT, 0, " has no endpoints"},
    [T_NO_LOCAL_DROP] = {"no-local-drop", IPT_FILTER, K(SERVICES), FRONTEND, TEXT | MATCH_PROTO,
	VERDICT_DROP, 0, " has no local endpoints"},
    [T_EXTERNAL_NO_ENDPOINTS_REJECT] = {"external-no-endpoints-reject", IPT_FILTER,
	K(EXTERNAL_SERVICES), FRONTEND, TEXT | MATCH_PROTO, VERDICT_REJECT, 0, " has no endpoints"},
    [T_EXTERNAL_NO_LOCAL_DROP] = {"external-no-local-drop", IPT_FILTER, K(EXTERNAL_SERVICES),
	FRONTEND, TEXT | MATCH_PROTO, VERDICT_DROP, 0, " has no local endpoints"},
    [T_NODE_PORT_NO_ENDPOINTS_REJECT] = {"node-port-no-endpoints-reject", IPT_FILTER,
	K(EXTERNAL_SERVICES), PORT, TEXT | MATCH_LOCAL_DST | MATCH_PROTO, VERDICT_REJECT, 0,
	" has no endpoints"},
    [T_NODE_PORT_NO_LOCAL_DROP] = {"node-port-no-local-drop", IPT_FILTER, K(EXTERNAL_SERVICES),
	PORT, TEXT | MATCH_LOCAL_DST | MATCH_PROTO, VERDICT_DROP, 0, " has no local endpoints"},
    [T_FIREWALL_RETURN] = {"firewall-return", IPT_FILTER, K(PROXY_FIREWALL), ARG_NET | FRONTEND,
	MATCH_SRC | TEXT | MATCH_PROTO, VERDICT_RETURN, 0, " traffic of its source ranges"},
    [T_FIREWALL_DROP] = {"firewall-drop", IPT_FILTER, K(PROXY_FIREWALL), FRONTEND,
	TEXT | MATCH_PROTO, VERDICT_DROP, 0, " traffic not accepted by its source ranges"},
    [T_LOCALNET_DROP] = {"localnet-drop", IPT_FILTER, K(NODEPORTS), 0,
	MATCH_LOCALNET | TEXT | MATCH_CTSTATE_ALIEN, VERDICT_DROP, 0,
	"block incoming localnet connections"},
    [T_HEALTH_CHECK_ACCEPT] = {"health-check-accept", IPT_FILTER, K(NODEPORTS), PORT,
	TEXT | MATCH_PROTO, VERDICT_ACCEPT, 0, " health check node port"},
    [T_FORWARD_INVALID] = {"forward-invalid", IPT_FILTER, K(FORWARD), 0, MATCH_CTSTATE_INVALID,
	VERDICT_DROP, 0, NULL},
    [T_FORWARD_MARKED] = {"forward-marked", IPT_FILTER, K(FORWARD), 0,
	MATCH_CTSTATE_DNAT | TEXT | MATCH_MARKED,
	VERDICT_ACCEPT, 0, "kubernetes forwarding rules"},
    [T_FORWARD_ESTABLISHED] = {"forward-established", IPT_FILTER, K(FORWARD), 0,
	MATCH_CTSTATE_EST | TEXT, VERDICT_ACCEPT, 0, "kubernetes forwarding conntrack rule"},
    [T_PORTAL] = {"portal", IPT_NAT, RELAYED | RELAYED_NODE_PORTS, ARG_NET | FRONTEND | ARG_RELAY,
	MATCH_SRC | TEXT | MATCH_PROTO, VERDICT_REDIRECT, 0, ""},
    [T_PORTAL_POD_IF] = {"portal-pod-if", IPT_NAT, K(PORTALS_CONTAINER) | K(NODEPORT_CONTAINER),
	ARG_NET | FRONTEND | ARG_RELAY, MATCH_SRC | MATCH_POD_IF | TEXT | MATCH_PROTO,
	VERDICT_REDIRECT, 0, ""},
    [T_PORTAL_NODE_PORT] = {"portal-node-port", IPT_NAT, RELAYED_NODE_PORTS,
	ARG_NET | PORT | ARG_RELAY, MATCH_SRC | TEXT | MATCH_PROTO, VERDICT_REDIRECT, 0, ""},
    [T_PORTAL_NODE_PORT_POD_IF] = {"portal-node-port-pod-if", IPT_NAT, K(NODEPORT_CONTAINER),
	ARG_NET | PORT | ARG_RELAY, MATCH_SRC | MATCH_POD_IF | TEXT | MATCH_PROTO,
	VERDICT_REDIRECT, 0, ""},
    [T_RELAY_REJECT] = {"relay-reject", IPT_FILTER, K(EXTERNAL_SERVICES), PORT,
	TEXT | MATCH_CTSTATE_ALIEN | MATCH_LOCAL_DST | MATCH_PROTO, VERDICT_REJECT, 0,
	" is not reached by the port of its relay"},
    [T_IPVS_LOAD_BALANCER] = {"ipvs-load-balancer", IPT_NAT, K(SERVICES), 0, TEXT | IN(IPVS_LOAD_BALANCER),
	VERDICT_JUMP, K(LOAD_BALANCER), "Kubernetes service lb portal"},
    [T_IPVS_MASQ_ALL] = {"ipvs-masq-all", IPT_NAT, K(SERVICES), 0, TEXT | IN(IPVS_CLUSTER_IP), VERDICT_JUMP,
	K(MARK_MASQ), MASQ_TEXT},
    [T_IPVS_MASQ_OUTSIDE] = {"ipvs-masq-outside", IPT_NAT, K(SERVICES), ARG_NET,
	MATCH_NOT_SRC | TEXT | IN(IPVS_CLUSTER_IP), VERDICT_JUMP, K(MARK_MASQ), MASQ_TEXT},
    [T_IPVS_MASQ_OUTSIDE_IF] = {"ipvs-masq-outside-if", IPT_NAT, K(SERVICES), 0,
	MATCH_NOT_POD_IF | TEXT | IN(IPVS_CLUSTER_IP), VERDICT_JUMP, K(MARK_MASQ), MASQ_TEXT},
    [T_IPVS_MASQ_SELF] = {"ipvs-masq-self", IPT_NAT, K(SERVICES), 0, TEXT | FROM(IPVS_CLUSTER_IP),
	VERDICT_JUMP, K(MARK_MASQ), MASQ_TEXT},
    [T_IPVS_EXTERNAL_IP] = {"ipvs-external-ip", IPT_NAT, K(SERVICES), 0, TEXT | IN(IPVS_EXTERNAL_IP),
	VERDICT_JUMP, K(MARK_MASQ), EXTERNAL_TEXT},
    [T_IPVS_EXTERNAL_LOCAL] = {"ipvs-external-local", IPT_NAT, K(SERVICES), 0,
	TEXT | MATCH_LOCAL_SRC | IN(IPVS_EXTERNAL_IP_LOCAL), VERDICT_JUMP, K(MARK_MASQ), EXTERNAL_TEXT},
    [T_IPVS_SERVED] = {"ipvs-served", IPT_NAT, K(SERVICES), 0, IN(IPVS_IPS), VERDICT_RETURN, 0, NULL},
    [T_IPVS_NODE_PORTS] = {"ipvs-node-ports", IPT_NAT, K(SERVICES), 0, MATCH_LOCAL_DST,
	VERDICT_JUMP, K(NODE_PORT), NULL},
    [T_IPVS_BALANCER_LOCAL_MASQ] = {"ipvs-balancer-local-masq", IPT_NAT, K(LOAD_BALANCER), 0,
	TEXT | MATCH_LOCAL_SRC | IN(IPVS_LOAD_BALANCER_LOCAL), VERDICT_JUMP, K(MARK_MASQ), BALANCER_TEXT},
    [T_IPVS_BALANCER_LOCAL] = {"ipvs-balancer-local", IPT_NAT, K(LOAD_BALANCER), 0,
	TEXT | IN(IPVS_LOAD_BALANCER_LOCAL), VERDICT_RETURN, 0, BALANCER_TEXT},
    [T_IPVS_BALANCER_MASQ] = {"ipvs-balancer-masq", IPT_NAT, K(LOAD_BALANCER), 0, 0, VERDICT_JUMP,
	K(MARK_MASQ), NULL},
    [T_IPVS_NODE_PORT_LOCAL_MASQ] = {"ipvs-node-port-local-masq", IPT_NAT, K(NODE_PORT), ARG_PROTO,
	TEXT | MATCH_LOCAL_SRC | IN(IPVS_NODE_PORT_LOCAL), VERDICT_JUMP, K(MARK_MASQ), PORT_TEXT},
    [T_IPVS_NODE_PORT_LOCAL] = {"ipvs-node-port-local", IPT_NAT, K(NODE_PORT), ARG_PROTO,
	TEXT | IN(IPVS_NODE_PORT_LOCAL), VERDICT_RETURN, 0, PORT_TEXT},
    [T_IPVS_NODE_PORT_MASQ] = {"ipvs-node-port-masq", IPT_NAT, K(NODE_PORT), ARG_PROTO,
	TEXT | IN(IPVS_NODE_PORT), VERDICT_JUMP, K(MARK_MASQ), PORT_TEXT},
    [T_IPVS_LOOP_BACK] = {"ipvs-loop-back", IPT_NAT, K(POSTROUTING), 0, TEXT | IN(IPVS_LOOP_BACK),
	VERDICT_MASQUERADE, 0, "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"},
    [T_IPVS_FIREWALL] = {"ipvs-firewall", IPT_FILTER, K(PROXY_FIREWALL), 0, TEXT | IN(IPVS_FIREWALL),
	VERDICT_JUMP, K(SOURCE_RANGES_FIREWALL), FIREWALL_TEXT},
    [T_IPVS_SOURCE_CIDR] = {"ipvs-source-cidr", IPT_FILTER, K(SOURCE_RANGES_FIREWALL), 0,
	TEXT | IN(IPVS_SOURCE_CIDR), VERDICT_RETURN, 0, FIREWALL_TEXT},
    [T_IPVS_FIREWALL_DROP] = {"ipvs-firewall-drop", IPT_FILTER, K(SOURCE_RANGES_FIREWALL), 0,
	TEXT | IN(IPVS_FIREWALL), VERDICT_DROP, 0, FIREWALL_TEXT},
    [T_IPVS_HEALTH_CHECK] = {"ipvs-health-check", IPT_FILTER, K(NODE_PORT), ARG_PROTO,
	TEXT | IN(IPVS_HEALTH_CHECK), VERDICT_ACCEPT, 0, "Kubernetes health check node port"},
    [T_IPVS_KNOWN_CLUSTER_IP] = {KNOWN("cluster-ip", IPVS_CLUSTER_IP)},
    [T_IPVS_KNOWN_EXTERNAL_IP] = {KNOWN("external-ip", IPVS_EXTERNAL_IP)},
    [T_IPVS_KNOWN_EXTERNAL_LOCAL] = {KNOWN("external-local", IPVS_EXTERNAL_IP_LOCAL)},
    [T_IPVS_KNOWN_BALANCER] = {KNOWN("balancer", IPVS_LOAD_BALANCER)},
    [T_IPVS_UNKNOWN_REJECT] = {"ipvs-unknown-reject", IPT_FILTER, K(IPVS_FILTER), ARG_PROTO,
	MATCH_CTSTATE_NEW | IN(IPVS_IPS), VERDICT_REJECT, 0, NULL},
};
/* clang-format on */

/* RFC 4648's alphabet, as in the names that upstream's chains have. */
static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#define HASH_CHARS 16 /* of 5 bits */

bool ipt_chain_valid(const struct ipt_chain *c)
{
	static const uint8_t none[CHAIN_HASH_LEN];

	if (c->family >= FAMILY_COUNT || c->table >= IPT_TABLE_COUNT || c->kind >= CHAIN_KIND_COUNT)
		return false;
	if ((ipt_chain_kinds[c->kind].tables & 1u << c->table) == 0)
		return false;
	return ipt_chain_kinds[c->kind].hashed || memcmp(c->hash, none, sizeof(none)) == 0;
}

const char *ipt_chain_name(const struct ipt_chain *c, char buf[CHAIN_NAME_LEN])
{
	const struct ipt_chain_kind *kind = &ipt_chain_kinds[c->kind];
	size_t len = strlcpy(buf, kind->name, CHAIN_NAME_LEN);

	if (!kind->hashed)
		return buf;
	for (unsigned i = 0; i < HASH_CHARS; i++) {
		unsigned bit = i * 5;
		unsigned pair = (unsigned)c->hash[bit / 8] << 8;

		if (bit / 8 + 1 < CHAIN_HASH_LEN)
			pair |= c->hash[bit / 8 + 1];
		buf[len++] = base32[pair >> (11 - bit % 8) & 31];
	}
	buf[len] = '\0';
	return buf;
}

/* Decodes TEXT, which must be exactly HASH_CHARS characters of the alphabet. */
static bool hash_parse(uint8_t hash[CHAIN_HASH_LEN], const char *text)
{
	unsigned bits = 0, have = 0, out = 0;

	if (strlen(text) != HASH_CHARS)
		return false;
	for (; *text != '\0'; text++) {
		const char *at = strchr(base32, *text);

		if (at == NULL)
			return false;
		bits = (bits << 5 | (unsigned)(at - base32)) & 0xfff;
		have += 5;
		if (have >= 8) {
			have -= 8;
			hash[out++] = (uint8_t)(bits >> have);
		}
	}
	return true;
}

bool ipt_chain_parse(struct ipt_chain *c, const char *name)
{
	for (unsigned k = 0; k < CHAIN_KIND_COUNT; k++) {
		const struct ipt_chain_kind *kind = &ipt_chain_kinds[k];
		size_t len = strlen(kind->name);

		if ((kind->tables & 1u << c->table) == 0 || strncmp(name, kind->name, len) != 0)
			continue;
		c->kind = (uint8_t)k;
		memset(c->hash, 0, sizeof(c->hash));
		if (kind->hashed ? hash_parse(c->hash, name + len) : name[len] == '\0')
			return true;
	}
	return false;
}
