#include "watcher/feature_gates.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/log.h"

/*
 * The gates of Kubernetes 1.16 to today that concern a service proxy. Gates come and go with
 * releases: one that is not here is no error, as the same list is often given to all components.
 */
static const struct gate {
	const char *name;
	enum {
		ALWAYS, /* this program does so, whatever the gate says */
		NEVER,
		EITHER, /* it makes no difference to a proxy, or to this one */
		OBEYED, /* feature_gates_is_off() */
	} here;
} gates_known[] = {
    {"AllAlpha", EITHER},
    {"AllBeta", EITHER},
    {"AllowServiceExternalIPs", OBEYED},
    {"CleanupIPTables", EITHER},
    {"ClientsAllowCBOR", NEVER},
    {"ClientsPreferCBOR", NEVER},
    {"ComponentFlagz", ALWAYS},
    {"ComponentSLIs", NEVER},
    {"ComponentStatusz", ALWAYS},
    {"ContextualLogging", EITHER},
    {"EndpointSlice", ALWAYS},
    {"EndpointSliceNodeName", ALWAYS},
    {"EndpointSliceProxying", ALWAYS},
    {"EndpointSliceTerminatingCondition", ALWAYS},
    {"ExternalPolicyForExternalIP", ALWAYS},
    {"InOrderInformers", EITHER},
    {"InformerResourceVersion", EITHER},
    {"IPTablesOwnershipCleanup", ALWAYS},
    {"IPv6DualStack", ALWAYS},
    {"KubeProxyDrainingTerminatingNodes", ALWAYS},
    {"KubeProxyNFTablesLocalhostNodePorts", EITHER},
    {"LoadBalancerIPMode", ALWAYS},
    {"LoggingAlphaOptions", EITHER},
    {"LoggingBetaOptions", EITHER},
    {"MinimizeIPTablesRestore", ALWAYS},
    {"MixedProtocolLBService", ALWAYS},
    {"MultiCIDRServiceAllocator", EITHER},
    {"NFTablesProxyMode", EITHER},
    {"PreferSameTrafficDistribution", ALWAYS},
    {"ProxyTerminatingEndpoints", ALWAYS},
    {"RelaxedServiceNameValidation", EITHER},
    {"SCTPSupport", ALWAYS},
    {"ServiceInternalTrafficPolicy", ALWAYS},
    {"ServiceLBNodePortControl", EITHER},
    {"ServiceLoadBalancerClass", EITHER},
    {"ServiceLoadBalancerFinalizer", EITHER},
    {"ServiceTopology", NEVER},
    {"ServiceTrafficDistribution", ALWAYS},
    {"SupportIPVSProxyMode", EITHER},
    {"TopologyAwareHints", ALWAYS},
    {"WarningHeaders", EITHER},
    {"WatchList", EITHER},
    {"WatchListClient", EITHER},
    {"WinDSR", EITHER},
    {"WinOverlay", EITHER},
};

static const struct gate *find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(gates_known) / sizeof(gates_known[0]); i++)
		if (strlen(gates_known[i].name) == len &&
		    memcmp(gates_known[i].name, name, len) == 0)
			return &gates_known[i];
	return NULL;
}

bool feature_gates_is_off(const char *gates, const char *name)
{
	bool off = false; /* the last word counts */

	while (*gates != '\0') {
		size_t all = strcspn(gates, ","), len = strcspn(gates, "=");

		if (strlen(name) == len && memcmp(gates, name, len) == 0)
			off = strchr("1tT", gates[len + 1]) == NULL;
		gates += all + (gates[all] == ',');
	}
	return off;
}

void feature_gates_warn(const char *gates, const char *name)
{
	while (*gates != '\0') {
		size_t all = strcspn(gates, ","), len = strcspn(gates, "=");
		const struct gate *g = find(gates, len);
		bool on = strchr("1tT", gates[len + 1]) != NULL;

		if (g == NULL)
			log_warn("%s: no feature gate %.*s is known here; it has no effect", name,
			    (int)len, gates);
		else if ((g->here == ALWAYS && !on) || (g->here == NEVER && on))
			log_warn("%s: %.*s has no effect: this program %s does so", name, (int)all,
			    gates, g->here == ALWAYS ? "always" : "never");
		gates += all + (gates[all] == ',');
	}
}
