"""The tables of the Go kube-proxy's nftables mode of 1.31 to 1.36, as commands for nft -f."""
from old_ports import CLUSTER_CIDR, hashed, joined, ports_of

NFT_BASE = [("filter-prerouting", "filter", "prerouting", -110), ("filter-input", "filter", "input", -110),
            ("filter-forward", "filter", "forward", -110), ("filter-output", "filter", "output", -110),
            ("filter-output-post-dnat", "filter", "output", -90),
            ("nat-prerouting", "nat", "prerouting", -100), ("nat-output", "nat", "output", -100),
            ("nat-postrouting", "nat", "postrouting", 100)]
NFT_JUMPS = [("filter-input", "ct state new ", "nodeport-endpoints-check"),
             ("filter-input", "ct state new ", "service-endpoints-check"),
             ("filter-forward", "ct state new ", "service-endpoints-check"),
             ("filter-output", "ct state new ", "service-endpoints-check"),
             ("filter-prerouting", "ct state new ", "firewall-check"),
             ("filter-output", "ct state new ", "firewall-check"),
             ("nat-output", "", "services"), ("nat-prerouting", "", "services"),
             ("nat-postrouting", "", "masquerading"),
             ("filter-forward", "ct state new ", "cluster-ips-check"),
             ("filter-output-post-dnat", "ct state new ", "cluster-ips-check")]
NFT_MAPS = {"firewall-ips": "%s . inet_proto . inet_service : verdict",
            "no-endpoint-services": "%s . inet_proto . inet_service : verdict",
            "no-endpoint-nodeports": "inet_proto . inet_service : verdict",
            "service-ips": "%s . inet_proto . inet_service : verdict",
            "service-nodeports": "inet_proto . inet_service : verdict"}


class NftText:
    def __init__(self, family, node_addresses):
        self.family = family
        self.ip = "ip6" if family == 6 else "ip"
        self.table = self.ip + " kube-proxy"
        self.lines = []
        self.node_addresses = node_addresses

    def add(self, what, *words):
        self.lines.append("add %s %s %s" % (what, self.table, " ".join(words)))

    def chain(self, name, *rules):
        self.lines += ["add chain %s %s" % (self.table, name), "flush chain %s %s" % (self.table, name)]
        for rule in rules:
            self.add("rule", name, rule)

    def skeleton(self):
        address = "ipv6_addr" if self.family == 6 else "ipv4_addr"
        key = self.ip + " daddr . meta l4proto . th dport vmap @"
        self.lines.append('add table %s { comment "rules for kube-proxy"; }' % self.table)
        for name, *_ in NFT_BASE:  # whatever priority it had before
            self.lines += ["add chain %s %s" % (self.table, name),
                           "delete chain %s %s" % (self.table, name)]
        for name, kind, hook, priority in NFT_BASE:
            self.add("chain", name, "{ type %s hook %s priority %d; }" % (kind, hook, priority))
        for name, text in (("cluster-ips", "Active ClusterIPs"),
                           ("nodeport-ips", "IPs that accept NodePort traffic")):
            self.add("set", name, '{ type %s; comment "%s"; }' % (address, text))
            self.lines.append("flush set %s %s" % (self.table, name))
        for name, kind in NFT_MAPS.items():
            self.add("map", name, "{ type %s; }" % (kind.replace("%s", address)))
            self.lines.append("flush map %s %s" % (self.table, name))
        self.chain("reject-chain", "reject")
        self.chain("mark-for-masquerade", "mark set mark or 0x4000")
        self.chain("masquerading", "mark and 0x4000 == 0 return", "mark set mark xor 0x4000",
                   "masquerade fully-random")
        self.chain("cluster-ips-check", self.ip + " daddr @cluster-ips reject comment "
                   '"Reject traffic to invalid ports of ClusterIPs"')
        self.chain("service-endpoints-check", key + "no-endpoint-services")
        self.chain("nodeport-endpoints-check", self.ip + " daddr @nodeport-ips "
                   "meta l4proto . th dport vmap @no-endpoint-nodeports")
        self.chain("firewall-check", key + "firewall-ips")
        self.chain("services", key + "service-ips", self.ip + " daddr @nodeport-ips "
                   "meta l4proto . th dport vmap @service-nodeports")
        for source, match, target in NFT_JUMPS:
            self.add("rule", source, match + "jump " + target)
        for a in self.node_addresses:
            self.add("element", "nodeport-ips", "{ %s }" % a)

    def port(self, p):
        base = "%s/%s/%s" % (p.service, p.proto, p.port_name)
        base = "%s-%s" % (hashed(base, length=8), base)
        service, external = "service-" + base, "external-" + base
        at = lambda a: "%s . %s . %d" % (a, p.proto, p.port)
        outside = p.external_ips + p.balancer_ips
        self.add("element", "cluster-ips", "{ %s }" % p.cluster_ip)
        if not p.endpoints:
            for a in [p.cluster_ip] + outside:
                self.add("element", "no-endpoint-services",
                         '{ %s comment "%s" : goto reject-chain }' % (at(a), p.name))
            if p.node_port:
                self.add("element", "no-endpoint-nodeports", '{ %s . %d comment "%s" : goto '
                         'reject-chain }' % (p.proto, p.node_port, p.name))
            return
        chains = [self.endpoint_chain(p, e) for e in p.endpoints]
        self.chain(service, "%s daddr %s %s dport %d %s saddr != %s jump mark-for-masquerade" % (
            self.ip, p.cluster_ip, p.proto, p.port, self.ip, CLUSTER_CIDR[self.family]),
            "numgen random mod %d vmap { %s }" % (len(chains), " , ".join(
                "%d : goto %s" % c for c in enumerate(chains))))
        self.add("element", "service-ips", "{ %s : goto %s }" % (at(p.cluster_ip), service))
        if p.external:
            self.chain(external, *self.outside(p, base, service, chains))
            for a in outside:
                self.add("element", "service-ips", "{ %s : goto %s }" % (at(a), external))
            if p.node_port:
                self.add("element", "service-nodeports", "{ %s . %d : goto %s }" % (
                    p.proto, p.node_port, external))
        if p.ranges and p.balancer_ips:
            self.chain("firewall-" + base, "%s saddr != { %s } drop" % (self.ip, ", ".join(p.ranges)))
            for a in p.balancer_ips:
                self.add("element", "firewall-ips", "{ %s : goto firewall-%s }" % (at(a), base))

    def outside(self, p, base, service, chains):
        if not p.local:
            return "jump mark-for-masquerade", "goto " + service
        self.chain("local-" + base, "numgen random mod %d vmap { %s }" % (
            len(chains), " , ".join("%d : goto %s" % c for c in enumerate(chains))))
        return ('%s saddr %s goto %s comment "short-circuit pod traffic"' % (
                    self.ip, CLUSTER_CIDR[self.family], service),
                'fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"',
                'fib saddr type local goto %s comment "short-circuit local traffic"' % service,
                "goto local-" + base)

    def endpoint_chain(self, p, e):
        base = "%s/%s/%s__%s/%d" % (p.service, p.proto, p.port_name, e[0].replace(":", "."), e[1])
        name = "endpoint-%s-%s" % (hashed(base, length=8), base)
        self.chain(name, "%s saddr %s jump mark-for-masquerade" % (self.ip, e[0]),
                   "meta l4proto %s dnat to %s" % (p.proto, joined(e)))
        return name


def nftables_text(objects, family, node_addresses):
    text = NftText(family, node_addresses)
    text.skeleton()
    for p in ports_of(objects, family):
        text.port(p)
    return "\n".join(text.lines) + "\n"
