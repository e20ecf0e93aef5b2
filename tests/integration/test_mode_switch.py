"""From one mode to another and back, and away: nothing of ours stays, nothing of others' goes."""
import os
import subprocess
import unittest

from harness import BUILD, Node, service, sh, slice_of
from limits import patient

VIPS = ["10.96.0.10", "fd00:96::10"]
NFTABLES = "--proxy-mode=nftables"


class ModeSwitch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=2).__enter__()
        cls.addClassCleanup(n.__exit__)
        port, target = [("http", 80, "TCP")], [("http", Node.PORT, "TCP")]
        cls.path = n.write("objects.json", [
            service("web", VIPS, port), slice_of("web", [n.pod_ip(0), n.pod_ip(1)], target),
            slice_of("web", [n.pod_ip(0, 6), n.pod_ip(1, 6)], target)])
        # others' rules
        cls.inside("iptables-legacy", "-t", "nat", "-N", "MINE")
        cls.inside("iptables-legacy", "-A", "FORWARD", "-s", "192.0.2.9", "-j", "ACCEPT")
        cls.inside("ip6tables-legacy", "-t", "nat", "-A", "POSTROUTING", "-s", "fd09::/64", "-j",
                   "ACCEPT")
        cls.inside("nft", "add table ip mine; add set ip mine s { type ipv4_addr; }; "
                   "add table inet kube-proxy")
        cls.others = cls.legacy(), cls.nft()

    @classmethod
    def inside(cls, *command):
        return sh("ip", "netns", "exec", cls.n.node, *command)

    @classmethod
    def legacy(cls):
        return [l for f in (4, 6) for l in cls.n.save(f).splitlines()
                if "KUBE" in l or "MINE" in l or "192.0.2.9" in l or "fd09" in l]

    @classmethod
    def nft(cls):
        return cls.inside("nft", "list", "tables").split("\n")

    def start(self, *flags):
        self.n.start("--manifest-path", self.path, *flags)
        for vip in VIPS:
            self.assertEqual(set(self.n.who(self.n.client, vip, 80, times=16)), {"pod1", "pod2"})

    def test_there_and_back_and_away(self):
        n = self.n
        self.start()
        self.assertIn("KUBE-SERVICES", n.save(4) + n.save(6))
        self.start(NFTABLES)
        self.assertEqual(self.legacy(), self.others[0])
        self.assertEqual(set(self.nft()) - set(self.others[1]),
                         {"table ip kube-proxy", "table ip6 kube-proxy"})
        audited = n.audited()
        self.start(NFTABLES)
        self.assertEqual(n.audited(), audited)  # neither mode had anything to write
        self.start()
        self.assertEqual(self.nft(), self.others[1])
        self.assertIn("nftables, table ip kube-proxy: removed", n.logged())
        self.start(NFTABLES)
        n.stop()
        for flags in ([], [NFTABLES]):
            r = subprocess.run(["ip", "netns", "exec", n.node, os.path.join(BUILD, "kube-proxy"),
                                "--cleanup", *flags], text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patient(60))
            self.assertEqual(r.returncode, 0, r.stdout)
            self.assertEqual((self.legacy(), self.nft()), self.others)


if __name__ == "__main__":
    unittest.main()
