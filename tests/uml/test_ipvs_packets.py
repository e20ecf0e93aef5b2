"""ipvs mode: the packets of the other modes' tests, from the same tables of cases."""
import re
import time

import test_sctp
import test_service_packets as cases
from harness import sh

# An address has one list of real servers, whoever asks: with the policy Local that of this node's
# endpoints, and only where there are none, that of all for those who may reach them. What the node
# itself sends is translated before a filter could drop it.
CLUSTER_IP = dict(cases.CLUSTER_IP) | {
    ("Local", "remote"):          ("dropped", "dropped", "refused", "dropped"),
    ("Local", "local-ended"):     ("dropped", "dropped", "refused", "dropped"),
}
EXTERNAL = dict(cases.EXTERNAL) | {
    ("Local", "both"):            ("pod1", "pod1", "pod1*", "pod1*"),
    ("Local", "local-ending"):    ("pod1", "pod1", "pod1*", "pod1*"),
    ("Local", "both-ending"):     ("pod1", "pod1", "pod1*", "pod1*"),
}


class Ipvs:
    """What the cases go by in this mode."""
    flags = cases.FLAGS + ["--proxy-mode=ipvs", "--ipvs-min-sync-period=0s"]
    cluster_ip, external = CLUSTER_IP, EXTERNAL
    explains = False
    marks = ("10.96.1.", "fd00:96::1:")

    def rewrite(self, objects):
        """Small changes are programmed at once, each family's by itself: until no more follow."""
        super().rewrite(objects)
        seen = None
        while seen != self.commits():
            seen = self.commits()
            time.sleep(0.3)

    def answers(self, source, family, to, proto, want):
        """As the other modes'; but one packet of thousands is lost where this machine's only
        processor is late: it must not be lost a second time."""
        seen = super().answers(source, family, to, proto, want)
        if seen - want == {"dropped"} and len(seen) > 1:
            seen = super().answers(source, family, to, proto, want)
        return seen

    def inside(self, *command, **kw):
        return sh("ip", "netns", "exec", self.n.node, *command, **kw)

    def state(self, family):
        """Virtual servers, addresses, entries of ipsets, rules; not in the order of hash tables."""
        servers = [l for l in self.inside("ipvsadm", "-Sn").splitlines()
                   if ("[" in l) == (family == 6)]
        prefix = "KUBE-6-" if family == 6 else "KUBE-"
        sets = [l for l in self.inside("ipset", "save").splitlines()
                if l.split()[1].startswith(prefix) and (family == 6 or "KUBE-6-" not in l)]
        addresses = re.findall(r"(kube-ipvs0 .*?) scope", self.inside(
            "ip", "-o", "-%d" % family, "addr", "show", "dev", "kube-ipvs0"))
        return "\n".join(sorted(servers) + sorted(addresses) + sorted(sets) +
                         [self.n.save(family)])


class Policies(Ipvs, cases.Policies):
    pass


class SourceRanges(Ipvs, cases.SourceRanges):
    def test_the_node_where_the_address_is_its_own(self):
        """It is one of kube-ipvs0 anyway, and no filter sees what the node says to itself."""
        s = cases.Service(1, loadBalancerSourceRanges=["203.0.113.0/24", "2001:db8:f::/64"])
        self.run_with(s.objects(self.both()))
        self.judge([("itself", self.n.node, f, s.address("balancer", f, "tcp"), "tcp",
                     {"pod1*", "pod2*"}) for f in (4, 6)])


class Affinity(Ipvs, cases.Affinity):
    def test_affinity_expires(self):
        """The kernel remembers a client while it has connections of it, minutes after the last."""
        s = self.affine(4)
        self.run_with(s.objects(self.three()))
        servers = re.findall(r"^-A .*", self.inside("ipvsadm", "-Sn"), re.M)
        self.assertGreater(len(servers), 11)
        for line in servers:
            self.assertIn(" -p 4", line)


class Sctp(Ipvs, test_sctp.Sctp):
    def test_an_association_outlives_its_service(self):
        """It is its endpoint that it outlives here: without a virtual server nothing is known."""
        n = self.n
        s = test_sctp.Service(1)
        self.run_with(s.objects(self.endpoints(cases.READY, None)))
        with cases.ns_socket(n.client, cases.socket.AF_INET, *cases.KINDS["sctp"]) as held:
            held.settimeout(5)
            held.connect(s.address("external", 4, "sctp"))
            self.rewrite(s.objects(self.endpoints(None, cases.READY)))
            held.send(b"GET / HTTP/1.0\r\n\r\n")
            self.assertRegex(held.recv(4096), b"pod1 ")
