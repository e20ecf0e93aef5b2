/* Settings of the node's policy. They have no field: a KubeProxyConfiguration has no place for
 * them. */
#include "watcher/setting.h"

#define EXPECTED "expected at most 32 prefixes such as 192.0.2.0/24, separated by commas"
/*
 * Where clouds answer to their machines: Azure, Alibaba, Oracle; AWS (metadata, name servers, time,
 * credentials), Google and Oracle over IPv6. 169.254.0.0/16 is no endpoint anyway.
 */
#define CLOUD_METADATA                                                                             \
	"168.63.129.16/32,100.100.100.200/32,192.0.0.192/32,fd00:ec2::/32,fd20:ce::254/128,"       \
	"fd00:c1::a9fe:a9fe/128"

#define PREFIXES(name, at_field, standard_, help_)                                                 \
	{                                                                                          \
		.flag = (name), .kind = SETTING_PREFIXES, SETTING_AT(cfg.policy.at_field.nets),    \
		.count_at = offsetof(struct settings, cfg.policy.at_field.count),                  \
		.expected = EXPECTED, .standard = (standard_), .marks = WITH_CONFIG | WHOLE,       \
		.group = GROUP_POLICY, .argument = "CIDR,...", .help = (help_)                     \
	}

static const struct setting rows[] = {
    {.flag = "policy-node-port-range",
	.kind = SETTING_PORTS,
	SETTING_AT(cfg.policy.node_port_low),
	.standard = "30000-32767",
	.marks = WITH_CONFIG,
	.group = GROUP_POLICY,
	.argument = "RANGE",
	.help = "Node ports and health check node ports lie in it: the apiserver's "
		"--service-node-port-range. Empty: any port."},
    PREFIXES("policy-frontends", frontends, "",
	"Prefixes in which ClusterIPs, external IPs and load-balancer IPs lie. Empty: any unicast "
	"address."),
    PREFIXES("policy-endpoints", endpoints, "",
	"Prefixes in which endpoints lie: the pods' network, and what endpoints outside the "
	"cluster have. Empty: any unicast address."),
    PREFIXES("policy-denied-endpoints", denied_endpoints, CLOUD_METADATA,
	"Prefixes in which no endpoint lies, whatever --policy-endpoints says: by default the "
	"addresses at which clouds hand out credentials."),
    {.flag = "suggest-policy",
	.kind = SETTING_SWITCH,
	SETTING_AT(cfg.suggest_policy),
	.standard = "false",
	.marks = WITH_CONFIG,
	.group = GROUP_POLICY,
	.help =
	    "As --dry-run, but print the narrowest of these flags that the present objects fit; "
	    "ServiceCIDRs and --cluster-cidr count as wholes."},
};

const struct setting_rows setting_policy_rows = {rows, sizeof(rows) / sizeof(rows[0])};
