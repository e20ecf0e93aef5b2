"""--cleanup beside nf_tables' tables and chains whose names only look like a kube-proxy's."""
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
OTHER_TABLES = """
add table inet kube-proxy
add table arp kube-proxy
add table inet nat
add chain inet nat KUBE-SERVICES
"""


class Others(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=0).__enter__()
        cls.addClassCleanup(cls.n.__exit__)

    def setUp(self):
        self.inside("nft", "flush", "ruleset")

    def inside(self, *cmd, **kw):
        return sh("ip", "netns", "exec", self.n.node, *cmd, **kw)

    def cleanup(self):
        r = subprocess.run(["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"),
                            "--cleanup", "--audit-log=" + self.n.audit], text=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=patient(60))
        return r.returncode, r.stderr

    def test_names_alone(self):
        self.inside("iptables-nft-restore", input=OTHERS)
        self.inside("ip6tables-nft-restore", input=OTHERS)
        self.inside("nft", "-f", "-", input=OTHER_TABLES)
        before = self.inside("nft", "list", "ruleset")
        code, said = self.cleanup()
        self.assertEqual(code, 0, said)
        self.assertIn("cleanup: nothing to remove", said)
        self.assertEqual(self.inside("nft", "list", "ruleset"), before)

    def test_a_table_that_its_owner_keeps(self):
        """It cannot be taken away: that is said, and what can be is."""
        with subprocess.Popen(["ip", "netns", "exec", self.n.node, "nft", "-i"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as owner:
            owner.stdin.write("add table ip kube-proxy { flags owner; chain services { }; }\n")
            owner.stdin.flush()
            self.n.wait("the table", lambda: "kube-proxy" in self.inside("nft", "list", "tables"))
            self.inside("nft", "add table ip6 kube-proxy; add chain ip6 kube-proxy services")
            code, said = self.cleanup()
            self.assertEqual(code, 1, said)
            self.assertIn("not everything could be removed", said)
            self.assertRegex(said, r"table ip kube-proxy: .*(Operation not permitted|owner)")
            self.assertEqual(self.inside("nft", "list", "tables"), "table ip kube-proxy\n")


if __name__ == "__main__":
    unittest.main()
