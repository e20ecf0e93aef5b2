#include "applier/ipt_tables.h"

#define BIT(n) ((uint16_t)(1u << (n)))
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
    [CHAIN_SVC] = {"KUBE-SVC-", true, NAT},
    [CHAIN_SEP] = {"KUBE-SEP-", true, NAT},
    [CHAIN_MARK_MASQ] = {"KUBE-MARK-MASQ", false, NAT},
};

const struct ipt_hook ipt_hooks[IPT_HOOK_COUNT] = {
    {IPT_FILTER, "INPUT", CHAIN_EXTERNAL_SERVICES, true,
     "kubernetes externally-visible service portals"},
    {IPT_FILTER, "FORWARD", CHAIN_EXTERNAL_SERVICES, true,
     "kubernetes externally-visible service portals"},
    {IPT_FILTER, "INPUT", CHAIN_NODEPORTS, false, "kubernetes health check service ports"},
    {IPT_FILTER, "FORWARD", CHAIN_SERVICES, true, "kubernetes service portals"},
    {IPT_FILTER, "OUTPUT", CHAIN_SERVICES, true, "kubernetes service portals"},
    {IPT_FILTER, "FORWARD", CHAIN_FORWARD, false, "kubernetes forwarding rules"},
    {IPT_FILTER, "INPUT", CHAIN_PROXY_FIREWALL, true, "kubernetes load balancer firewall"},
    {IPT_FILTER, "OUTPUT", CHAIN_PROXY_FIREWALL, true, "kubernetes load balancer firewall"},
    {IPT_FILTER, "FORWARD", CHAIN_PROXY_FIREWALL, true, "kubernetes load balancer firewall"},
    {IPT_NAT, "OUTPUT", CHAIN_SERVICES, false, "kubernetes service portals"},
    {IPT_NAT, "PREROUTING", CHAIN_SERVICES, false, "kubernetes service portals"},
    {IPT_NAT, "POSTROUTING", CHAIN_POSTROUTING, false, "kubernetes postrouting rules"},
};

/* clang-format off */
const struct ipt_template ipt_templates[IPT_TEMPLATE_COUNT] = {
    [T_CLUSTER_IP] = {"cluster-ip", IPT_NAT, CHAIN_SERVICES,
	ARG_DST | ARG_PROTO | ARG_DPORT | ARG_NAME | ARG_TARGET, MATCH_COMMENT | MATCH_PROTO,
	VERDICT_JUMP, BIT(CHAIN_SVC), "%n cluster IP"},
    [T_NODEPORTS_LAST] = {"nodeports-last", IPT_NAT, CHAIN_SERVICES,
	0, MATCH_COMMENT | MATCH_LOCAL_DST, VERDICT_JUMP, BIT(CHAIN_NODEPORTS),
	"kubernetes service nodeports; NOTE: this must be the last rule in this chain"},
    [T_CLUSTER_IP_MASQ_OUTSIDE] = {"cluster-ip-masq-outside", IPT_NAT, CHAIN_SVC,
	ARG_SRC | ARG_DST | ARG_PROTO | ARG_DPORT | ARG_NAME,
	MATCH_NOT_SRC | MATCH_COMMENT | MATCH_PROTO,
	VERDICT_JUMP, BIT(CHAIN_MARK_MASQ), "%n cluster IP"},
    [T_CLUSTER_IP_MASQ_ALL] = {"cluster-ip-masq-all", IPT_NAT, CHAIN_SVC,
	ARG_DST | ARG_PROTO | ARG_DPORT | ARG_NAME, MATCH_COMMENT | MATCH_PROTO,
	VERDICT_JUMP, BIT(CHAIN_MARK_MASQ), "%n cluster IP"},
    [T_ENDPOINT_RANDOM] = {"endpoint-random", IPT_NAT, CHAIN_SVC,
	ARG_NAME | ARG_TO | ARG_PROBABILITY | ARG_TARGET, MATCH_COMMENT | MATCH_STATISTIC,
	VERDICT_JUMP, BIT(CHAIN_SEP), "%n -> %t"},
    [T_ENDPOINT_LAST] = {"endpoint-last", IPT_NAT, CHAIN_SVC,
	ARG_NAME | ARG_TO | ARG_TARGET, MATCH_COMMENT,
	VERDICT_JUMP, BIT(CHAIN_SEP), "%n -> %t"},
    [T_HAIRPIN_MARK] = {"hairpin-mark", IPT_NAT, CHAIN_SEP,
	ARG_NAME | ARG_TO, MATCH_SRC_TO | MATCH_COMMENT,
	VERDICT_JUMP, BIT(CHAIN_MARK_MASQ), "%n"},
    [T_ENDPOINT_DNAT] = {"endpoint-dnat", IPT_NAT, CHAIN_SEP,
	ARG_PROTO | ARG_NAME | ARG_TO, MATCH_COMMENT | MATCH_PROTO,
	VERDICT_DNAT, 0, "%n"},
    [T_MARK_MASQ] = {"mark-masq", IPT_NAT, CHAIN_MARK_MASQ,
	0, 0, VERDICT_SET_MARK, 0, NULL},
    [T_POSTROUTING_UNMARKED] = {"postrouting-unmarked", IPT_NAT, CHAIN_POSTROUTING,
	0, MATCH_UNMARKED, VERDICT_RETURN, 0, NULL},
    [T_POSTROUTING_CLEAR] = {"postrouting-clear", IPT_NAT, CHAIN_POSTROUTING,
	0, 0, VERDICT_CLEAR_MARK, 0, NULL},
    [T_POSTROUTING_MASQUERADE] = {"postrouting-masquerade", IPT_NAT, CHAIN_POSTROUTING,
	0, MATCH_COMMENT, VERDICT_MASQUERADE, 0, "kubernetes service traffic requiring SNAT"},
    [T_NO_ENDPOINTS_REJECT] = {"no-endpoints-reject", IPT_FILTER, CHAIN_SERVICES,
	ARG_DST | ARG_PROTO | ARG_DPORT | ARG_NAME, MATCH_COMMENT | MATCH_PROTO,
	VERDICT_REJECT, 0, "%n has no endpoints"},
    [T_FORWARD_INVALID] = {"forward-invalid", IPT_FILTER, CHAIN_FORWARD,
	0, MATCH_CTSTATE_INVALID, VERDICT_DROP, 0, NULL},
    [T_FORWARD_MARKED] = {"forward-marked", IPT_FILTER, CHAIN_FORWARD,
	0, MATCH_COMMENT | MATCH_MARKED, VERDICT_ACCEPT, 0, "kubernetes forwarding rules"},
    [T_FORWARD_ESTABLISHED] = {"forward-established", IPT_FILTER, CHAIN_FORWARD,
	0, MATCH_CTSTATE_EST | MATCH_COMMENT, VERDICT_ACCEPT, 0,
	"kubernetes forwarding conntrack rule"},
};
/* clang-format on */
