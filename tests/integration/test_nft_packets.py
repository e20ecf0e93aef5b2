"""nftables mode: the packets of the other modes' tests, from the same tables of cases."""
import re

import test_service_packets as cases
from harness import sh


class Nftables:
    """What the cases go by in this mode."""
    # Node ports answer on the addresses of these prefixes: the tables' NODE.
    flags = cases.FLAGS + ["--proxy-mode=nftables",
                           "--nodeport-addresses=198.51.100.0/24,2001:db8:1::/64"]
    marks = ('comment "default/',)

    def state(self, family):
        """The table without the clients that the kernel remembers."""
        text = sh("ip", "netns", "exec", self.n.node, "nft", "list", "table",
                  "ip" if family == 4 else "ip6", "kube-proxy")
        return re.sub(r"(map affinity-\d {.*?)\n\t\telements = {.*?}\n", r"\1\n", text,
                      flags=re.S)


class Policies(Nftables, cases.Policies):
    pass


class SourceRanges(Nftables, cases.SourceRanges):
    pass


class Affinity(Nftables, cases.Affinity):
    def test_policy_local_and_affinity(self):
        """A client is known by the address it asks: each of a service's has its own clients."""
        s = self.affine(10800, externalTrafficPolicy="Local")
        self.run_with(s.objects(self.three()[:4] + [(self.n.pod_ip(2), "node-b", cases.READY)]))
        for frontend in ("node-port", "balancer"):
            first = self.choices(s.address(frontend, 4, "tcp"))
            self.assertEqual(set(first), {"pod1", "pod2"})
            self.assertEqual(self.choices(s.address(frontend, 4, "tcp")), first)


class DryRun(Nftables, cases.DryRun):
    def test_the_plan_is_what_gets_programmed(self):
        """nft takes it, and makes of it what the proxy made."""
        self.run_with(self.everything())
        want = self.elements()
        plan = self.plan()
        self.n.stop()
        sets = set(re.findall(r"^add element (\S+ kube-proxy \S+) {", plan, re.M))
        self.assertGreater(len(sets), 20)
        for name in sets:
            kind = "map" if re.search(" (endpoints|draw|all)-", name) else "set"
            self.nft("flush " + kind + " " + name)
        self.assertNotEqual(self.elements(), want)
        self.nft("-f", "-", input=plan)
        self.assertEqual(self.elements(), want)

    def elements(self):
        """The lines, whatever the order that a set's elements are listed in."""
        return sorted(line.replace("elements = {", "").strip(" \t,}")
                      for f in (4, 6) for line in self.state(f).splitlines())

    def nft(self, *command, **kw):
        return sh("ip", "netns", "exec", self.n.node, "nft", *command, **kw)
