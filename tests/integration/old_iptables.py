"""The chains and rules of the Go kube-proxy's iptables mode: those of 1.28 to 1.36, and of 1.20."""
from old_ports import CLUSTER_CIDR, hashed, joined, ports_of

MARK = "0x4000/0x4000"
SERVICES = "kubernetes service portals"
OUTSIDE = "kubernetes externally-visible service portals"
BALANCERS = "kubernetes load balancer firewall"
HEALTH = "kubernetes health check service ports"
# (table, built-in chain, for new connections only, comment, chain), in the order in which they come
HOOKS = [
    ("filter", "INPUT", True, OUTSIDE, "KUBE-EXTERNAL-SERVICES"),
    ("filter", "FORWARD", True, OUTSIDE, "KUBE-EXTERNAL-SERVICES"),
    ("filter", "INPUT", False, HEALTH, "KUBE-NODEPORTS"),
    ("filter", "FORWARD", True, SERVICES, "KUBE-SERVICES"),
    ("filter", "OUTPUT", True, SERVICES, "KUBE-SERVICES"),
    ("filter", "FORWARD", False, "kubernetes forwarding rules", "KUBE-FORWARD"),
    ("filter", "INPUT", True, BALANCERS, "KUBE-PROXY-FIREWALL"),
    ("filter", "OUTPUT", True, BALANCERS, "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", True, BALANCERS, "KUBE-PROXY-FIREWALL"),
    ("nat", "OUTPUT", False, SERVICES, "KUBE-SERVICES"),
    ("nat", "PREROUTING", False, SERVICES, "KUBE-SERVICES"),
    ("nat", "POSTROUTING", False, "kubernetes postrouting rules", "KUBE-POSTROUTING"),
]


class Rules:
    """One table's chains and rules, as iptables-restore --noflush takes them."""

    def __init__(self, *chains):
        self.chains = list(chains)
        self.rules = []

    def chain(self, name):
        self.chains.append(name)
        return name

    def add(self, chain, comment, *words):
        self.rules.append('-A %s%s %s' % (
            chain, ' -m comment --comment "%s"' % comment if comment else "", " ".join(words)))

    def text(self, table):
        return "\n".join(["*" + table] + [":%s - [0:0]" % c for c in self.chains] + self.rules +
                         ["COMMIT", ""])


def masquerade_rules(nat):
    nat.add("KUBE-MARK-MASQ", "", "-j MARK --or-mark 0x4000")
    nat.add("KUBE-POSTROUTING", "", "-m mark ! --mark %s -j RETURN" % MARK)
    nat.add("KUBE-POSTROUTING", "", "-j MARK --xor-mark 0x4000")
    nat.add("KUBE-POSTROUTING", "kubernetes service traffic requiring SNAT",
            "-j MASQUERADE --random-fully")


def forward_rules(table):
    table.add("KUBE-FORWARD", "kubernetes forwarding rules", "-m mark --mark %s -j ACCEPT" % MARK)
    table.add("KUBE-FORWARD", "kubernetes forwarding conntrack rule",
              "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")


class IptablesPort:
    """Writes one service port's chains and rules."""

    def __init__(self, p, family, nat, filters, old):
        self.p, self.family, self.nat, self.filters, self.old = p, family, nat, filters, old
        self.hash = hashed(p.name, p.proto)
        self.bits = "/128" if family == 6 else "/32"

    def to(self, address, port):
        p = self.p
        return "-m %s -p %s -d %s%s --dport %d" % (p.proto, p.proto, address, self.bits, port)

    def frontends(self):
        """(comment, match) of what is answered to from outside."""
        p = self.p
        return [(p.name + " external IP", self.to(a, p.port)) for a in p.external_ips] + \
            [(p.name + " loadbalancer IP", self.to(a, p.port)) for a in p.balancer_ips]

    def without_endpoints(self):
        p, add = self.p, self.filters.add
        no = p.name + " has no endpoints"
        add("KUBE-SERVICES", no, self.to(p.cluster_ip, p.port), "-j REJECT")
        for _, match in self.frontends():
            add("KUBE-EXTERNAL-SERVICES", no, match, "-j REJECT")
        if p.node_port:
            add("KUBE-EXTERNAL-SERVICES", no, "-m addrtype --dst-type LOCAL -m %s -p %s --dport %d" %
                (p.proto, p.proto, p.node_port), "-j REJECT")

    def write(self):
        p, nat = self.p, self.nat
        if p.health_port:
            self.filters.add("KUBE-NODEPORTS", p.name + " health check node port",
                             "-m tcp -p tcp --dport %d -j ACCEPT" % p.health_port)
        if not p.endpoints:
            self.without_endpoints()
            return
        svc = nat.chain("KUBE-SVC-" + self.hash)
        nat.add("KUBE-SERVICES", p.name + " cluster IP", self.to(p.cluster_ip, p.port), "-j", svc)
        nat.add(svc, p.name + " cluster IP", self.to(p.cluster_ip, p.port),
                "! -s %s -j KUBE-MARK-MASQ" % CLUSTER_CIDR[self.family])
        if p.external:
            self.write_xlb(svc) if self.old else self.write_ext(svc)
        self.write_endpoints(svc)

    def write_ext(self, svc):
        p, nat = self.p, self.nat
        ext = nat.chain("KUBE-EXT-" + self.hash)
        outside = p.name + " external destinations"
        if p.local:
            svl = nat.chain("KUBE-SVL-" + self.hash)
            nat.add(ext, "pod traffic for " + outside, "-s %s -j %s" % (CLUSTER_CIDR[self.family], svc))
            nat.add(ext, "masquerade LOCAL traffic for " + outside,
                    "-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ")
            nat.add(ext, "route LOCAL traffic for " + outside, "-m addrtype --src-type LOCAL -j", svc)
            nat.add(ext, "", "-j", svl)
            self.choose(svl)
        else:
            nat.add(ext, "masquerade traffic for " + outside, "-j KUBE-MARK-MASQ")
            nat.add(ext, "", "-j", svc)
        for comment, match in self.frontends():
            nat.add("KUBE-SERVICES", comment, match, "-j", ext)
        if p.node_port:
            nat.add("KUBE-NODEPORTS", p.name, "-m %s -p %s --dport %d -j %s" %
                    (p.proto, p.proto, p.node_port, ext))
        if p.balancer_ips and p.ranges:
            fw = self.filters.chain("KUBE-FW-" + self.hash)
            for address in p.balancer_ips:
                self.filters.add("KUBE-PROXY-FIREWALL", p.name + " traffic not accepted by " + fw,
                                 self.to(address, p.port), "-j", fw)
            for source in p.ranges:
                self.filters.add(fw, p.name + " loadbalancer IP", "-s %s -j ACCEPT" % source)
            self.filters.add(fw, "other traffic to %s will be dropped" % p.name, "-j DROP")

    def write_xlb(self, svc):
        """Up to 1.23: a firewall chain per load balancer in nat, which leads on, or marks to drop."""
        p, nat = self.p, self.nat
        xlb = nat.chain("KUBE-XLB-" + self.hash) if p.local else svc
        if p.local:
            nat.add(xlb, "Redirect pods trying to reach external loadbalancer VIP to clusterIP",
                    "-s %s -j %s" % (CLUSTER_CIDR[self.family], svc))
            nat.add(xlb, "masquerade LOCAL traffic for %s LB IP" % p.name,
                    "-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ")
            nat.add(xlb, "route LOCAL traffic for %s LB IP to service chain" % p.name,
                    "-m addrtype --src-type LOCAL -j", svc)
            self.choose(xlb, "Balancing rule %d for " + p.name)
        for address in p.external_ips:
            match, comment = self.to(address, p.port), p.name + " external IP"
            nat.add("KUBE-SERVICES", comment, match, "-j KUBE-MARK-MASQ")
            nat.add("KUBE-SERVICES", comment, match, "-m physdev ! --physdev-is-in "
                    "-m addrtype ! --src-type LOCAL -j", svc)
            nat.add("KUBE-SERVICES", comment, match, "-m addrtype --dst-type LOCAL -j", svc)
        if p.balancer_ips:
            fw, comment = nat.chain("KUBE-FW-" + self.hash), p.name + " loadbalancer IP"
            for address in p.balancer_ips:
                nat.add("KUBE-SERVICES", comment, self.to(address, p.port), "-j", fw)
            if not p.local:
                nat.add(fw, comment, "-j KUBE-MARK-MASQ")
            for source in p.ranges or ["::/0" if self.family == 6 else "0.0.0.0/0"]:
                nat.add(fw, comment, "-s %s -j %s" % (source, xlb))
            nat.add(fw, comment, "-j KUBE-MARK-DROP")
        if p.node_port:
            match = "-m %s -p %s --dport %d" % (p.proto, p.proto, p.node_port)
            if p.local:
                nat.add("KUBE-NODEPORTS", p.name, match, "-s %s -j KUBE-MARK-MASQ" %
                        ("::1/128" if self.family == 6 else "127.0.0.0/8"))
            else:
                nat.add("KUBE-NODEPORTS", p.name, match, "-j KUBE-MARK-MASQ")
            nat.add("KUBE-NODEPORTS", p.name, match, "-j", xlb)

    def sep(self, endpoint):
        return "KUBE-SEP-" + hashed(self.p.name, self.p.proto, joined(endpoint))

    def choose(self, chain, comment=None):
        p = self.p
        if p.affinity:
            for e in p.endpoints:
                self.nat.add(chain, "%s -> %s" % (p.name, joined(e)), "-m recent --name %s --rcheck "
                             "--seconds 10800 --reap -j %s" % (self.sep(e), self.sep(e)))
        for i, e in enumerate(p.endpoints):
            left = len(p.endpoints) - i
            self.nat.add(chain, comment % i if comment else "%s -> %s" % (p.name, joined(e)),
                         "-m statistic --mode random --probability %.10f" % (1 / left)
                         if left > 1 else "", "-j", self.sep(e))

    def write_endpoints(self, svc):
        p, nat = self.p, self.nat
        self.choose(svc)
        for e in p.endpoints:
            sep = nat.chain(self.sep(e))
            nat.add(sep, p.name, "-s %s%s -j KUBE-MARK-MASQ" % (e[0], self.bits))
            nat.add(sep, p.name, "-m recent --name %s --set" % sep if p.affinity else "",
                    "-m %s -p %s -j DNAT --to-destination %s" % (p.proto, p.proto, joined(e)))


def iptables_text(objects, family, old=False):
    """What one sync of iptables mode gives iptables-restore --noflush; the hooks are not in it."""
    nat = Rules("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ",
                "KUBE-PROXY-CANARY")
    filters = Rules("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS",
                    "KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY")
    filters.add("KUBE-FORWARD", "", "-m conntrack --ctstate INVALID -j DROP")
    forward_rules(filters)
    masquerade_rules(nat)
    for p in ports_of(objects, family):
        IptablesPort(p, family, nat, filters, old).write()
    nat.add("KUBE-SERVICES", "kubernetes service nodeports; NOTE: this must be the last rule in this "
            "chain", "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
    return filters.text("filter") + nat.text("nat") + Rules("KUBE-PROXY-CANARY").text("mangle")
