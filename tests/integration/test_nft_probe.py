"""Another kube-proxy's rules in nf_tables: a warning at start that says what to do, else silence."""
import os
import subprocess
import unittest

from harness import BUILD, Node, sh
from limits import patient

# What iptables-nft has for the kubelet alone, and nft tables that others give a name of ours.
OTHERS = """*nat
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-DROP - [0:0]
:MINE - [0:0]
-A PREROUTING -j MINE
COMMIT
"""
SERVICES = """*nat
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
COMMIT
"""


class NftProbe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=0).__enter__()
        cls.addClassCleanup(cls.n.__exit__)

    def setUp(self):
        self.inside("nft", "flush", "ruleset")

    def inside(self, *cmd, **kw):
        return sh("ip", "netns", "exec", self.n.node, *cmd, **kw)

    def warnings(self, *flags):
        r = subprocess.run(["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"),
                            "--cleanup", "--audit-log=" + self.n.audit, *flags], text=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=patient(60))
        self.assertEqual(r.returncode, 0, r.stderr)
        return [line.split("] ", 1)[1] for line in r.stderr.splitlines() if line[0] == "W"]

    def test_nothing_there(self):
        self.assertEqual(self.warnings(), [])

    def test_others(self):
        self.inside("iptables-nft-restore", input=OTHERS)
        self.inside("ip6tables-nft-restore", input=OTHERS)
        self.inside("nft", "add table inet kube-proxy; add table ip filter; "
                    "add chain ip filter KUBE-SERVICES; add table inet nat; "
                    "add chain inet nat KUBE-SERVICES")
        self.assertEqual(self.warnings(), [])

    def test_iptables_nft(self):
        for tool, family, other in (("iptables", "ip", "ip6"), ("ip6tables", "ip6", "ip")):
            with self.subTest(tool):
                self.inside("nft", "flush", "ruleset")
                self.inside(tool + "-nft-restore", input=SERVICES)
                said = self.warnings()
                self.assertEqual(len(said), 1, said)
                self.assertIn("%s-nft (nftables' table %s nat has chain KUBE-SERVICES)" %
                              (tool, family), said[0])
                self.assertIn("--cleanup", said[0])
                self.assertIn("KUBE-SERVICES", self.inside(tool + "-nft-save"))  # it is not ours

    def test_a_table_that_its_owner_keeps(self):
        """It cannot be taken away, and that is said."""
        with subprocess.Popen(["ip", "netns", "exec", self.n.node, "nft", "-i"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as owner:
            owner.stdin.write("add table ip kube-proxy { flags owner; }\n")
            owner.stdin.flush()
            self.n.wait("the table", lambda: "kube-proxy" in self.inside("nft", "list", "tables"))
            self.inside("nft", "add", "table", "ip6", "kube-proxy")
            said = self.warnings()
            self.assertEqual(len(said), 1, said)
            self.assertIn("table ip kube-proxy, of a kube-proxy in nftables mode, cannot be", said[0])
            self.assertEqual(self.inside("nft", "list", "tables"), "table ip kube-proxy\n")

    def test_a_running_proxy_says_it_too_and_works(self):
        self.inside("iptables-nft-restore", input=SERVICES)
        n = self.n
        n.start("--manifest-path", n.write("objects.json", []), "--iptables-sync-period=1s")
        self.assertEqual(n.logged().count("made rules with iptables-nft"), 1)
        self.assertEqual(n.stop(), 0)


if __name__ == "__main__":
    unittest.main()
