"""The virtual servers, ipsets and rules of the Go kube-proxy's ipvs mode of 1.27 to 1.36."""
from old_iptables import SERVICES, Rules, forward_rules, masquerade_rules
from old_ports import CLUSTER_CIDR, joined, ports_of

IPVS_PARAMETERS = ("conntrack", "expire_nodest_conn", "expire_quiescent_template")
IPVS_HOOKS = [
    ("nat", "OUTPUT", False, SERVICES, "KUBE-SERVICES"),
    ("nat", "PREROUTING", False, SERVICES, "KUBE-SERVICES"),
    ("nat", "POSTROUTING", False, "kubernetes postrouting rules", "KUBE-POSTROUTING"),
    ("filter", "FORWARD", False, "kubernetes forwarding rules", "KUBE-FORWARD"),
    ("filter", "INPUT", False, "kubernetes health check rules", "KUBE-NODE-PORT"),
    ("filter", "INPUT", False, "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", False, "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    ("filter", "INPUT", False, "kubernetes ipvs access filter", "KUBE-IPVS-FILTER"),
    ("filter", "OUTPUT", False, "kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER"),
]


IPVS_SETS = {"IPVS-IPS": "hash:ip", "LOOP-BACK": "hash:ip,port,ip", "CLUSTER-IP": "hash:ip,port",
             "EXTERNAL-IP": "hash:ip,port", "EXTERNAL-IP-LOCAL": "hash:ip,port",
             "LOAD-BALANCER": "hash:ip,port", "LOAD-BALANCER-LOCAL": "hash:ip,port",
             "LOAD-BALANCER-FW": "hash:ip,port", "LOAD-BALANCER-SOURCE-CIDR": "hash:ip,port,net",
             "LOAD-BALANCER-SOURCE-IP": "hash:ip,port,ip", "NODE-PORT-TCP": "bitmap:port",
             "NODE-PORT-LOCAL-TCP": "bitmap:port", "NODE-PORT-UDP": "bitmap:port",
             "NODE-PORT-LOCAL-UDP": "bitmap:port", "NODE-PORT-SCTP-HASH": "hash:ip,port",
             "NODE-PORT-LOCAL-SCTP-HASH": "hash:ip,port", "HEALTH-CHECK-NODE-PORT": "bitmap:port"}


def ipvs_set(name, family):
    return (("KUBE-6-" if family == 6 else "KUBE-") + name)[:31]


def ipvs_iptables_text(family):
    def match(name, which):
        return "-m set --match-set %s %s" % (ipvs_set(name, family), which)

    nat = Rules("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER",
                "KUBE-MARK-MASQ")
    filters = Rules("KUBE-FORWARD", "KUBE-NODE-PORT", "KUBE-PROXY-FIREWALL",
                    "KUBE-SOURCE-RANGES-FIREWALL", "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER")
    nat.add("KUBE-POSTROUTING", "Kubernetes endpoints dst ip:port, source ip for solving hairpin "
            "purpose", match("LOOP-BACK", "dst,dst,src"), "-j MASQUERADE")
    nat.add("KUBE-SERVICES", "Kubernetes service lb portal", match("LOAD-BALANCER", "dst,dst"),
            "-j KUBE-LOAD-BALANCER")
    nat.add("KUBE-SERVICES", "Kubernetes service cluster ip + port for masquerade purpose",
            match("CLUSTER-IP", "dst,dst"), "! -s %s -j KUBE-MARK-MASQ" % CLUSTER_CIDR[family])
    external = "Kubernetes service external ip + port for masquerade and filter purpose"
    nat.add("KUBE-SERVICES", external, match("EXTERNAL-IP", "dst,dst"), "-j KUBE-MARK-MASQ")
    nat.add("KUBE-SERVICES", external, match("EXTERNAL-IP", "dst,dst"),
            "-m addrtype --dst-type LOCAL -j ACCEPT")
    nat.add("KUBE-SERVICES", "", "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT")
    for name in ("CLUSTER-IP", "LOAD-BALANCER"):
        nat.add("KUBE-SERVICES", "", match(name, "dst,dst"), "-j ACCEPT")
    nat.add("KUBE-LOAD-BALANCER", "Kubernetes service load balancer ip + port with "
            "externalTrafficPolicy=local", match("LOAD-BALANCER-LOCAL", "dst,dst"), "-j RETURN")
    nat.add("KUBE-LOAD-BALANCER", "", "-j KUBE-MARK-MASQ")
    for proto in ("TCP", "UDP"):
        for name, target in (("NODE-PORT-LOCAL-", "RETURN"), ("NODE-PORT-", "KUBE-MARK-MASQ")):
            nat.add("KUBE-NODE-PORT", "Kubernetes nodeport %s port for masquerade purpose" % proto,
                    "-p", proto.lower(), match(name + proto, "dst"), "-j", target)
    masquerade_rules(nat)
    forward_rules(filters)
    filters.add("KUBE-NODE-PORT", "Kubernetes health check node port",
                match("HEALTH-CHECK-NODE-PORT", "dst"), "-j ACCEPT")
    filters.add("KUBE-PROXY-FIREWALL", "Kubernetes service load balancer ip + port for load balancer "
                "with sourceRange", match("LOAD-BALANCER-FW", "dst,dst"),
                "-j KUBE-SOURCE-RANGES-FIREWALL")
    filters.add("KUBE-SOURCE-RANGES-FIREWALL", "", match("LOAD-BALANCER-SOURCE-CIDR", "dst,dst,src"),
                "-j RETURN")
    filters.add("KUBE-SOURCE-RANGES-FIREWALL", "", "-j DROP")
    for chain in ("KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"):
        for name in ("LOAD-BALANCER", "CLUSTER-IP", "EXTERNAL-IP", "EXTERNAL-IP-LOCAL"):
            filters.add(chain, "", match(name, "dst,dst"), "-j RETURN")
        filters.add(chain, "", match("HEALTH-CHECK-NODE-PORT", "dst"), "-j RETURN")
        filters.add(chain, "", "-m conntrack --ctstate NEW", match("IPVS-IPS", "dst"), "-j REJECT")
    return filters.text("filter") + nat.text("nat") + Rules("KUBE-PROXY-CANARY").text("mangle")


class IpvsState:
    """Virtual servers, addresses of kube-ipvs0 and ipsets of one family."""

    def __init__(self, objects, family, node_addresses):
        self.servers, self.addresses = {}, set()
        self.entries = {ipvs_set(name, family): set() for name in IPVS_SETS}
        entry = lambda name, text: self.entries[ipvs_set(name, family)].add(text)
        for p in ports_of(objects, family):
            for a, name in [(p.cluster_ip, "CLUSTER-IP")] + \
                    [(a, "EXTERNAL-IP") for a in p.external_ips] + \
                    [(a, "LOAD-BALANCER") for a in p.balancer_ips]:
                self.addresses.add(a)
                entry("IPVS-IPS", a)
                entry(name, "%s,%s:%d" % (a, p.proto, p.port))
                self.serve(p, a, p.port)
            if p.node_port:
                entry("NODE-PORT-" + p.proto.upper(), str(p.node_port))
                for a in node_addresses:
                    self.serve(p, a, p.node_port)
            for a, port in p.endpoints:
                entry("LOOP-BACK", "%s,%s:%d,%s" % (a, p.proto, port, a))

    def serve(self, p, address, port):
        self.servers["-%s %s" % (p.proto[0], joined((address, port)))] = set(map(joined, p.endpoints))
