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
