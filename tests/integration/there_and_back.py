"""From another kube-proxy's rules to ours and back, under traffic, beside rules of others that stay as
they are: what the tests of migrations do for each pair of a kind and a mode."""
import os
import re
import unittest

from migration import FLAGS, NODE, RELAY_FLAGS, Migration, MigrationNode, World, print_rows
from old_proxy import KUBELET, OldProxy, save

# Of others, in each of their tables; kept to the byte.
FOREIGN = """*nat
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
:CNI-DN-11c9a1a3a2a7b26b1c1d3 - [0:0]
:FLANNEL-POSTRTG - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --or-mark 0x2000
-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"a1\\"" -m multiport --dports 8999 -j CNI-DN-11c9a1a3a2a7b26b1c1d3
-A CNI-DN-11c9a1a3a2a7b26b1c1d3 -p tcp -m tcp --dport 8999 -j CNI-HOSTPORT-SETMARK
-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
COMMIT
*filter
:FLANNEL-FWD - [0:0]
:MINE - [0:0]
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j MINE
-A INPUT -p tcp -m comment --comment "kubernetes service portals" -m tcp --dport 22 -j ACCEPT
-A FLANNEL-FWD -m mark --mark 0x7777 -j ACCEPT
-A MINE -p udp -m udp --dport 9 -j RETURN
COMMIT
"""
FOREIGN_NFT = """
table inet mine {
	set s { type ipv4_addr; elements = { 192.0.2.9 } }
	chain input { type filter hook input priority -200; policy accept; ip saddr @s drop; }
}
table inet kube-proxy {
	chain c { tcp dport 9 drop; }
}
table ip other {
	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
}
"""
NFT = "KP_UML" not in os.environ  # that kernel has no nf_tables
TOOLS = (("iptables-nft", "ip6tables-nft") if NFT else ()) + ("iptables-legacy", "ip6tables-legacy")
NFT_KINDS = ("iptables-nft", "nftables") if NFT else ()
# IPVS forgets a flow whose real server is gone, and with it the answer in flight: of web's flows from
# one port those are at most 2 families, 3 clients and 3 frontends; of doomed's 2, 2 and 2.
FORGOTTEN, FORGOTTEN_DOOMED = 18, 8
OF_A_PROXY = re.compile(r"KUBE-(?!FIREWALL|KUBELET-CANARY|IPTABLES-HINT|MARK-DROP)")


def add_foreign(n):
    for tool in TOOLS:
        n.inside(tool + "-restore", "--noflush", input=KUBELET + FOREIGN)
    if NFT:
        n.inside("nft", "-f", "-", input=FOREIGN_NFT)


def foreign(n):
    """All rules that are no kube-proxy's, in their order, without counters."""
    found = []
    for tool in TOOLS:
        text = save(n, tool + "-save")
        found += [tool] + [re.sub(r"\[\d+:\d+\]$", "", l) for l in text.splitlines()
                           if not l.startswith("#") and not OF_A_PROXY.search(l)]
    if not NFT:
        return found
    tables = n.inside("nft", "list", "tables").splitlines()
    for t in ("inet mine", "inet kube-proxy", "ip other"):
        found += n.inside("nft", "list", "table", *t.split()).splitlines()
    return found + [t for t in tables if not re.fullmatch(r"table ip6? kube-proxy", t)]


def places(kind):
    """Where a kind of old kube-proxy has its rules, in the words of --cleanup-keep."""
    return {"iptables-1.20": ["iptables-nft"], "ipvs": ["ipvs", "iptables-legacy"]}.get(kind, [kind])


def end_flows(n, *which):
    """UDP flows, as a kube-proxy ends those to what is gone. Several times, because conntrack gives up
    at an entry that ends meanwhile."""
    for family in ("ipv4", "ipv6") * 5:
        n.inside("conntrack", "-D", "-f", family, "-p", "udp", *map(str, which), check=False)


def lost(old, mode):
    """IPVS tells answers apart by client and endpoint alone: of two requests from one port, by two addresses
    of a Service, one may stay without. That is about one in 5,000 (the README has it)."""
    return 4 if "ipvs" in (old.kind, mode) else 0


class Base(unittest.TestCase):
    """A node with others' rules; each test leaves it as it was."""
    @classmethod
    def setUpClass(cls):
        cls.n = MigrationNode().__enter__()
        cls.addClassCleanup(cls.n.__exit__)
        add_foreign(cls.n)
        cls.foreign = foreign(cls.n)
        cls.addClassCleanup(print_rows)

    def tearDown(self):
        """Whatever is left of a failed test goes with the real tools."""
        n = self.n
        n.stop()
        n.inside("conntrack", "-F")
        for f in ("ip", "ip6") if NFT else ():
            n.inside("nft", "delete", "table", f, "kube-proxy", check=False)
        for tool in TOOLS:
            for text in OldProxy.removal(save(n, tool + "-save")):
                n.inside(tool + "-restore", "--noflush", input=text)
        for command in ("ipvsadm -C", "ip link del kube-ipvs0", "ipset destroy"):
            n.inside(*command.split(), check=False)

    def start(self, mode, objects):
        self.n.start("--manifest-path", self.n.write("objects.json", objects),
                     "--proxy-mode=" + mode, *FLAGS, *(RELAY_FLAGS if mode == "userspace" else []))

    def planned(self):
        _, text = self.n.run_to_end("--dry-run", "--manifest-path", self.path, *self.flags)
        return sorted(l for l in text.splitlines() if re.match("-A [A-Z]", l))

    def programmed(self):
        return sorted(l for f in (4, 6) for l in self.n.save(f).splitlines()
                      if l.startswith("-A") and OF_A_PROXY.search(l))


class ThereAndBack(Base):
    def old_is_gone(self, old, mode):
        """Nothing of the other kube-proxy is left, but what ours has in the same place, and what
        connections go through."""
        n = self.n
        if old.kind == "nftables" and mode == "nftables":
            n.wait("the old table to be replaced", lambda: "chain services" not in
                   n.inside("nft", "list", "table", "ip", "kube-proxy"))
        elif "iptables-legacy" in places(old.kind) and mode != "nftables":
            n.wait("the plan's rules alone", lambda: self.planned() == self.programmed())
        elif old.kind == "ipvs":
            n.wait("the old rules to be gone", lambda: self.programmed() == [])
        else:
            n.wait("the old rules to be gone: " + old.kind, lambda: not old.leftovers(), 30)
        if old.kind == "ipvs" and mode != "ipvs":
            n.wait("UDP's virtual servers to be gone", lambda: not self.virtual_servers("-u"), 30)
            self.assertNotEqual(self.virtual_servers("-t"), [])  # of connections that are kept

    def virtual_servers(self, option):
        lines = self.n.inside("ipvsadm", "-Sn").splitlines()
        return [l for l in lines if l.startswith("-A %s " % option)]

    def there(self, m, old, mode):
        n, t, world = self.n, m.traffic, m.world
        from_ipvs = old.kind == "ipvs" and mode != "ipvs"
        self.path, self.flags = n.write("objects.json", world.before()), ["--proxy-mode=" + mode, *FLAGS]
        m.measure("%s -> %s" % (old.kind, mode), "web", "doomed")
        self.start(mode, world.before())
        self.old_is_gone(old, mode)
        t.settle("web", "doomed")
        m.row(failed=(FORGOTTEN + FORGOTTEN_DOOMED if from_ipvs else 0) + lost(old, mode))
        self.assertEqual(foreign(n), self.foreign)

        m.measure("%s -> %s, then changes" % (old.kind, mode), "web", "fresh")
        n.write("objects.json", world.after())
        m.endpoint_and_service_gone()
        m.fresh_answers()
        t.settle("web", "fresh")
        m.row(failed=12 + (FORGOTTEN if mode == "ipvs" else 0) + lost(old, mode))

    def back(self, m, old, mode):
        n, t, world = self.n, m.traffic, m.world
        to_other = mode == "ipvs" and old.kind != "ipvs"
        relayed = mode == "userspace"  # by processes, which end
        m.measure("%s -> %s" % (mode, old.kind), "web")
        n.stop()
        if not relayed:
            t.settle("web", "fresh")
        m.all_is_there_again()
        old.sync(world.before())
        t.settle("web", "doomed")
        m.row(failed=None if relayed else lost(old, mode), broken=18 if relayed else 0)

        # Beside the other one's rules, which stay, ours are removed. Not doomed's flows: a source port
        # of the time when it was gone may come again, with what the kernel remembers of then.
        m.measure("%s after --cleanup-keep" % old.kind, "web")
        code, said = n.run_to_end("--cleanup", "--cleanup-keep=" + ",".join(places(old.kind)))
        self.assertEqual(code, 1 if to_other else 0, said)
        if to_other:
            self.assertIn("kept until its connections have ended", said)
            self.assertEqual(self.virtual_servers("-u"), [])
        if not relayed:
            t.settle("web", "doomed")
        m.row(failed=None if relayed else (FORGOTTEN if to_other else 0) + lost(old, mode))
        self.assertNotEqual(old.leftovers(), [])
        self.assertEqual(foreign(n), self.foreign)
        for kind in NFT_KINDS + ("iptables-legacy",):
            if kind not in places(old.kind):
                self.assertEqual(OldProxy(n, kind, {}).leftovers(), [], said)

        if relayed:
            end_flows(n)  # to relays
            t.wait("web to answer", lambda f: f["silent"] == 0, "web")
            t.settle("web")  # what was sent into the gap has ended
        m.measure("%s, then changes" % old.kind, "web", "fresh")
        old.sync(world.after())
        for family in (4, 6):
            end_flows(n, "--reply-src", n.pod_ip(2, family))
            end_flows(n, "--orig-dst", World.DOOMED[family])
        end_flows(n, "--orig-port-dst", World.NODE_PORTS["doomed"][1])
        m.endpoint_and_service_gone()
        m.fresh_answers()
        t.settle("web", "fresh")
        m.row(failed=12 + (FORGOTTEN if old.kind == "ipvs" else 0))

        code, said = n.run_to_end("--cleanup")
        self.assertEqual(code, 0, said)
        self.assertEqual((old.leftovers(), foreign(n)), ([], self.foreign))

    def migrate(self, kind, mode, back=True):
        with Migration(self, self.n) as m:
            old = OldProxy(self.n, kind, {f: [a] for f, a in NODE.items()})
            old.sync(m.world.before())
            m.flows(external_from_node=kind != "iptables-1.20")
            m.traffic.settle("web", "doomed")
            self.there(m, old, mode)
            if back:
                self.back(m, old, mode)


def add_pairs(case, kinds, modes):
    for kind in kinds:
        for mode in modes:
            def test(self, kind=kind, mode=mode):
                self.migrate(kind, mode)
            setattr(case, re.sub("[-.]", "_", "test_%s_to_%s" % (kind, mode)), test)
