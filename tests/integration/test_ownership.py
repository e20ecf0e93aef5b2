"""
A tenant's Service asks for addresses that are not its: another Service's ClusterIP, an unused one, a pod's own.
Nothing of theirs goes to it, in whichever order the objects come; it keeps the address that is its.
"""
import os
import unittest

from apiserver import Stub
from harness import Node, inside, service, slice_of

TAKES = 110
VICTIM, UNUSED, EVIL, EXTERNAL = "10.96.0.1", "10.96.7.7", "10.96.0.66", "203.0.113.1"
CIDR = {"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1", "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": ["10.96.0.0/16"]}}
KINDS = ("externalIPs", "load balancer")


def stub(n):
    """An apiserver on node N, which has its kubeconfig. close() it."""
    api = inside(n.node, lambda: Stub().__enter__())
    config = os.path.join(n.dir, "kubeconfig")
    api.kubeconfig(config, token="t")
    api.tokens = {"t"}
    for name in [config, api.ca_file]:
        os.chmod(name, 0o644)
    os.chmod(api.directory, 0o755)
    return api


class Ownership(unittest.TestCase):
    modes = ("iptables", "nftables", "userspace")
    refused, free = 6, ()  # frontends: two ports of each address

    def setUp(self):
        self.n = Node(pods=4).__enter__()
        self.addCleanup(self.n.__exit__)

    def victim(self):
        return [service("kubernetes", [VICTIM], [("https", 443, "TCP")]),
                slice_of("kubernetes", [self.n.pod_ip(0)], [("https", Node.PORT, "TCP")])]

    def evil(self, kind):
        """Comes first in the alphabet."""
        wants = [VICTIM, UNUSED, self.n.pod_ip(2), EXTERNAL]
        s = service("evil", [EVIL], [("a", 443, "TCP"), ("b", Node.PORT, "TCP")], ns="aaa",
                    **({"externalIPs": wants} if kind == "externalIPs" else {"type": "LoadBalancer"}))
        if kind != "externalIPs":
            s["status"] = {"loadBalancer": {"ingress": [{"ip": a} for a in wants]}}
        return [s, slice_of("evil", [self.n.pod_ip(1)], [("a", Node.PORT, "TCP"), ("b", Node.PORT, "TCP")],
                            ns="aaa")]

    def begin(self, mode, objects):
        """With all of OBJECTS; put() and delete() change them."""
        n = self.n
        self.api = stub(n)
        self.api.put(CIDR)
        for obj in objects:
            self.api.put(obj)
        n.start("--kubeconfig", os.path.join(n.dir, "kubeconfig"), "--proxy-mode=" + mode, "--cluster-cidr=10.244.0.0/16",
                "--iptables-min-sync-period=0s")

    def end(self):
        self.n.stop()
        self.api.close()

    def put(self, objects):
        for obj in objects:
            self.api.put(obj)

    def remove_victim(self):
        self.api.delete("Service", "default", "kubernetes")
        self.api.delete("EndpointSlice", "default", "kubernetes-ipv4")

    def sources(self):
        return self.n.client, self.n.pods[3], self.n.node

    def who(self, source, address, port):
        return self.n.ask(source, address, port).split(" ")[0]

    def check_not_his(self, source, address):
        """What nobody answers takes as long as that is waited for."""
        if address not in self.free:
            self.assertNotEqual(self.n.ask(source, address, 443, timeout=0.7).split(" ")[0], "pod2")

    def check(self, victim=True):
        n = self.n
        n.wait("the tenant's own address to answer", lambda: self.who(n.client, EXTERNAL, 443) == "pod2")
        for source in self.sources():
            with self.subTest(source=source, victim=victim):
                if victim:
                    self.assertEqual({self.who(source, VICTIM, 443) for _ in range(4)}, {"pod1"})
                else:
                    self.check_not_his(source, VICTIM)
                self.check_not_his(source, UNUSED)
                self.assertEqual(self.who(source, n.pod_ip(2), Node.PORT), "pod3")
                self.assertEqual(self.who(source, EVIL, 443), "pod2")

    def check_told(self):
        status, said = self.n.inspect("/services?namespace=aaa")
        self.assertEqual(status, 200)
        self.assertIn("refused: it is the ClusterIP of default/kubernetes", said)
        self.assertIn("refused: it is in the pods' network 10.244.0.0/16", said)
        self.assertIn("kubeproxy_refused_frontends %d\n" % self.refused, self.n.inspect("/metrics")[1])

    def life(self, mode, kind):
        for late in ("evil", "victim"):
            with self.subTest(mode=mode, kind=kind, late=late):
                objects = {"evil": self.evil(kind), "victim": self.victim()}
                self.begin(mode, objects["victim" if late == "evil" else "evil"])
                self.put(objects[late])
                self.n.wait("both", lambda: self.who(self.n.client, VICTIM, 443) == "pod1")
                self.check()
                self.check_told()
                self.remove_victim()
                self.n.wait("its end", lambda: self.n.ask(
                    self.n.client, VICTIM, 443, timeout=0.7).split(" ")[0] != "pod1")
                self.check(victim=False)
                self.end()

    def test_every_mode(self):
        for mode in self.modes:
            for kind in KINDS:
                self.life(mode, kind)

    def test_feature_gate(self):
        """AllowServiceExternalIPs=false: none is served."""
        n = self.n
        for mode in self.modes:
            with self.subTest(mode=mode):
                path = n.write("objects.json", self.evil("externalIPs"))
                n.start("--manifest-path", path, "--proxy-mode=" + mode,
                        "--feature-gates=AllowServiceExternalIPs=false")
                self.assertEqual(self.who(n.client, EVIL, 443), "pod2")
                self.assertNotEqual(n.ask(n.client, EXTERNAL, 443, timeout=0.7).split(" ")[0], "pod2")
                n.stop()


if __name__ == "__main__":
    unittest.main()
