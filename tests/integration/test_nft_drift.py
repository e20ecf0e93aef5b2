"""nftables mode: somebody else changes our table. The kernel tells; the difference is put right."""
import subprocess
import threading
import time
import unittest

from harness import Node, service, sh, slice_of

VIP = "10.96.0.10"


class NftDrift(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=2).__enter__()
        cls.addClassCleanup(n.__exit__)
        cls.path = n.write("objects.json", cls.objects())
        n.start("--manifest-path", cls.path, "--proxy-mode=nftables",
                "--iptables-min-sync-period=0s")
        cls.good = cls.listing()

    @classmethod
    def objects(cls, *others):
        n = cls.n
        port, target = [("http", 80, "TCP")], [("http", Node.PORT, "TCP")]
        return [service("web", [VIP], port),
                slice_of("web", [n.pod_ip(0), n.pod_ip(1)], target),
                service("other", ["10.96.0.11"], port),
                slice_of("other", list(others) or [n.pod_ip(1)], target)]

    @classmethod
    def nft(cls, *command, **kw):
        return sh("ip", "netns", "exec", cls.n.node, "nft", *command, **kw)

    @classmethod
    def listing(cls):
        return {line.strip(" \t,") for line in cls.nft("list", "ruleset").splitlines()}

    def repaired(self, command, words):
        """By one transaction whose audit line has WORDS."""
        n = self.n
        audited, logged = n.audited(), n.logged()
        self.nft(command)
        n.wait("all as it was", lambda: self.listing() == self.good)
        n.wait("the audit line", lambda: "result ok" in n.audited()[len(audited):])
        n.wait("the log line", lambda: "another program changed what was programmed" in
               n.logged()[len(logged):])
        drift = n.audited()[len(audited):].count("drift: another program has changed a table of ours")
        # the kernel tells of it in several messages, which may not come all at once
        self.assertIn(drift, (1, 2))
        (last,) = n.transactions(len(audited))
        self.assertIn(words, last)
        self.assertIn(n.ask(n.client, VIP, 80).split(" ")[0], ("pod1", "pod2"))

    def test_flush_ruleset(self):
        self.repaired("flush ruleset", "delete 0 other 2")

    def test_an_element_less(self):
        self.repaired("delete element ip kube-proxy services { %s . tcp . 80 }" % VIP,
                      "put 1 delete 0 other 0")

    def test_an_element_more(self):
        self.repaired("add element ip kube-proxy cluster-ips { 192.0.2.9 }",
                      "put 0 delete 1 other 0")

    def test_a_rule_more(self):
        self.repaired("insert rule ip kube-proxy service drop", "other 1")

    def test_another_table_is_no_affair_of_ours(self):
        audited = self.n.audited()
        self.nft("add table ip mine; add set ip mine s { type ipv4_addr; }; delete table ip mine")
        time.sleep(0.5)
        self.assertEqual(self.n.audited(), audited)

    def test_while_services_change(self):
        """Somebody takes elements away and adds others as fast as nft can, services come and go."""
        n, over = self.n, threading.Event()

        def meddle():
            while not over.is_set():
                subprocess.run(["ip", "netns", "exec", n.node, "nft", "-f", "-"], text=True,
                               stderr=subprocess.DEVNULL, input=(
                                   "flush set ip kube-proxy services\n"
                                   "flush map ip kube-proxy endpoints-2\n"
                                   "add element ip kube-proxy services { 10.96.0.99 . tcp . 7 }\n"))

        t = threading.Thread(target=meddle)
        t.start()
        try:
            for i in range(60):
                n.write("objects.json", self.objects(*(n.pod_ip(k) for k in range(i % 3, 3))))
                time.sleep(0.05)
        finally:
            over.set()
            t.join()
        n.write("objects.json", self.objects())
        n.wait("all as it was", lambda: self.listing() == self.good, 40)
        self.assertNotIn("broke the rules", n.logged())
        self.assertIsNone(n.proc.poll())


if __name__ == "__main__":
    unittest.main()
