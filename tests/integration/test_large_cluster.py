"""Above 1,000 endpoints service chains hold their endpoints themselves: the same packets."""
import unittest

from harness import Node, service, slice_of

VIP4, VIP6, STICKY, EXTERNAL = "10.96.0.10", "fd00:96::10", "10.96.0.11", "192.0.2.77"


class LargeCluster(unittest.TestCase):
    """Two pods in services of their own, and a service of 1,001 endpoints that nobody asks."""

    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=3).__enter__()
        cls.addClassCleanup(n.__exit__)
        cls.path = n.write("objects.json", cls.objects(many=True))
        n.start("--manifest-path", cls.path, "--cluster-cidr=10.244.0.0/16,fd00:244::/32",
                "--iptables-min-sync-period=0s", "--iptables-sync-period=1s")

    @classmethod
    def objects(cls, many):
        n = cls.n
        port, target = [("http", 80, "TCP")], [("http", Node.PORT, "TCP")]
        items = [
            service("web", [VIP4, VIP6], port, externalIPs=[EXTERNAL]),
            slice_of("web", [n.pod_ip(0), n.pod_ip(1)], target),
            slice_of("web", [n.pod_ip(0, 6), n.pod_ip(1, 6)], target),
            service("self", ["10.96.0.12", "fd00:96::12"], port),
            slice_of("self", [n.pod_ip(2)], target), slice_of("self", [n.pod_ip(2, 6)], target),
            service("sticky", [STICKY], port, sessionAffinity="ClientIP",
                    sessionAffinityConfig={"clientIP": {"timeoutSeconds": 600}}),
            slice_of("sticky", [n.pod_ip(0), n.pod_ip(1)], target)]
        if many:
            items += [service("many", ["10.96.0.13"], port)]
            items += [slice_of("many", ["10.200.%d.%d" % (part, 1 + i) for i in range(101 - part)],
                               target, name="many-%d" % part) for part in range(1, 12)]
        return items

    def seps(self):
        return {l for l in self.n.save(table="nat").splitlines()
                if l.startswith(":KUBE-SEP-")}

    def test_each_endpoint_and_no_other(self):
        for source in (self.n.client, self.n.pods[2], self.n.node):
            for address in (VIP4, VIP6, EXTERNAL):
                with self.subTest(source=source, address=address):
                    self.assertEqual(set(self.n.who(source, address, 80, times=24)),
                                     {"pod1", "pod2"})

    def test_who_is_masqueraded(self):
        n = self.n
        peer = lambda source, address: n.ask(source, address, 80).split(" ")[1]
        # as it comes: a pod of the cluster; as the node: the machine outside
        self.assertEqual(peer(n.pods[2], VIP4), n.pod_ip(2))
        self.assertEqual(peer(n.pods[2], VIP6), n.pod_ip(2, 6))
        self.assertEqual(peer(n.client, VIP4), "10.244.1.1")
        self.assertEqual(peer(n.client, EXTERNAL), "10.244.1.1")

    def test_an_endpoint_reaches_itself(self):
        n = self.n
        for address in ("10.96.0.12", "fd00:96::12"):
            with self.subTest(address=address):
                name, peer = n.ask(n.pods[2], address, 80).split(" ")
                self.assertEqual(name, "pod3")
                self.assertNotIn(peer, (n.pod_ip(2), n.pod_ip(2, 6)))

    def test_a_node_that_talks_to_itself_keeps_its_address(self):
        """What is not translated is not masqueraded either, though it goes to where it is from."""
        n = self.n
        n.endpoints.add(n.node, "node", 8088)
        for address in ("198.51.100.1", "127.0.0.1", "2001:db8:1::1", "::1"):
            with self.subTest(address=address):
                self.assertEqual(n.ask(n.node, address, 8088), "node " + address)

    def test_affinity(self):
        self.assertEqual(len(self.n.who(self.n.client, STICKY, 80, times=12)), 1)
        self.assertEqual(len(self.seps()), 2)  # those of the sticky service alone

    def test_the_layout_follows_the_size(self):
        n = self.n
        n.write("objects.json", self.objects(many=False))
        n.wait("a chain per endpoint", lambda: len(self.seps()) == 2 + 2 + 1)
        self.assertNotIn("bytecode", n.save())
        self.test_each_endpoint_and_no_other()
        self.test_an_endpoint_reaches_itself()
        n.write("objects.json", self.objects(many=True))
        n.wait("none but the sticky ones", lambda: len(self.seps()) == 2)
        self.test_each_endpoint_and_no_other()

    def test_a_restart_writes_nothing(self):
        n = self.n
        before, audited = n.save(), n.audited()
        n.start("--manifest-path", self.path, "--cluster-cidr=10.244.0.0/16,fd00:244::/32",
                "--iptables-min-sync-period=0s", "--iptables-sync-period=1s")
        self.assertEqual(n.save(), before)
        self.assertEqual(n.audited(), audited)
