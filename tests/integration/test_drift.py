"""Somebody else changes our chains: seen within the sync period, and only the difference written."""
import time
import unittest

from harness import Node, service, sh, slice_of

VIP = "10.96.0.10"


class Drift(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=2).__enter__()
        cls.addClassCleanup(n.__exit__)
        n.start("--manifest-path", n.write("objects.json", [
            service("web", [VIP], [("http", 80, "TCP")]),
            service("other", ["10.96.0.11"], [("http", 80, "TCP")]),
            slice_of("web", [n.pod_ip(0), n.pod_ip(1)], [("http", Node.PORT, "TCP")]),
            slice_of("other", [n.pod_ip(1)], [("http", Node.PORT, "TCP")])]),
                "--iptables-sync-period=100ms", "--iptables-min-sync-period=0s")
        cls.iptables("-t", "nat", "-N", "MINE")
        cls.iptables("-t", "nat", "-A", "MINE", "-d", "192.0.2.1", "-j", "ACCEPT")
        cls.good = n.save()

    @classmethod
    def iptables(cls, *args):
        return sh("ip", "netns", "exec", cls.n.node, "iptables-legacy", *args)

    def chain_of(self, ip):
        return next(l.split()[-1] for l in self.good.splitlines()
                    if l.startswith("-A KUBE-SERVICES -d %s/32" % ip))

    def repaired(self, *commands):
        """Runs them, waits until all is as it was; returns what was written for it."""
        n = self.n
        audited, logged = n.audited(), n.logged()
        with n.held():
            for c in commands:
                self.iptables(*c)
            self.assertNotEqual(n.save(), self.good)
        n.wait("all as it was", lambda: n.save() == self.good)
        n.wait("the audit line", lambda: n.audited() != audited)
        n.wait("the log line", lambda: "another program changed what was programmed" in
               n.logged()[len(logged):])
        lines = n.transactions(len(audited))
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(n.ask(n.client, VIP, 80).startswith("pod"))
        return lines[0]

    def test_a_flushed_chain(self):
        line = self.repaired(("-t", "nat", "-F", self.chain_of(VIP)))
        self.assertIn("put 1 delete 0 hook 0", line)

    def test_a_rule_more(self):
        line = self.repaired(("-t", "nat", "-I", self.chain_of(VIP), "-j", "RETURN"))
        self.assertIn("put 1 delete 0 hook 0", line)

    def test_a_rule_in_the_place_of_another(self):
        """As long as the one it replaces: the content of the tables alone tells."""
        chain = next(l.split()[1] for l in self.good.splitlines()
                     if l.startswith("-A KUBE-SEP-") and "--to-destination 10.244.1.10:" in l)
        line = self.repaired(("-t", "nat", "-R", chain, "2", "-p", "tcp", "-m", "comment",
                              "--comment", "default/web:http", "-m", "tcp", "-j", "DNAT",
                              "--to-destination", "10.244.1.99:8080"))
        self.assertIn("put 1 delete 0 hook 0", line)

    def test_a_hook_less(self):
        line = self.repaired(("-t", "nat", "-D", "PREROUTING", "-m", "comment", "--comment",
                              "kubernetes service portals", "-j", "KUBE-SERVICES"))
        self.assertIn("put 0 delete 0 hook 1", line)

    def test_a_chain_that_is_not_wanted(self):
        line = self.repaired(("-t", "nat", "-N", "KUBE-SVC-AAAAAAAAAAAAAAAA"))
        self.assertIn("put 0 delete 1 hook 0", line)

    def test_everything_of_a_table(self):
        """As an administrator would: all rules and chains of nat; the foreign ones stay gone."""
        mine = "\n".join(l for l in self.good.splitlines() if "MINE" not in l)
        with self.n.held():  # or a chain of ours is back before -X
            self.iptables("-t", "nat", "-F")
            self.iptables("-t", "nat", "-X")
        self.n.wait("ours again", lambda: self.n.save() == mine)
        self.iptables("-t", "nat", "-N", "MINE")
        self.iptables("-t", "nat", "-A", "MINE", "-d", "192.0.2.1", "-j", "ACCEPT")
        self.n.wait("all as it was",
                    lambda: sorted(self.n.save().splitlines()) == sorted(self.good.splitlines()))

    def test_nothing_is_written_while_nothing_changes(self):
        audited, logged = self.n.audited(), self.n.logged()
        time.sleep(3.5)
        self.assertEqual(self.n.audited(), audited)
        self.assertEqual(self.n.logged(), logged)


if __name__ == "__main__":
    unittest.main()
