"""
The node's policy: what it does not allow is left out, object by object, and said; all else is served. The
applier, which refuses the same (test_escape.py), never sees it.
"""
import ipaddress
import os
import subprocess
import unittest

from apiserver import Stub
from harness import BUILD, Node, inside, service, sh, slice_of

TAKES = 30
IP, EXTERNAL, STRANGER, NODE = "10.96.0.10", "203.0.113.1", "203.0.113.9", "198.51.100.1"
GOOD_PORT, BAD_PORT = 30080, 20080


class Policy(unittest.TestCase):
    modes = ("iptables", "nftables", "userspace")

    def setUp(self):
        self.n = Node(pods=2).__enter__()
        self.addCleanup(self.n.__exit__)

    def objects(self):
        n = self.n
        web = service("web", [IP], [("a", 80, "TCP"), ("b", 81, "TCP")], type="NodePort",
                      externalIPs=[EXTERNAL, STRANGER])
        for port, number in zip(web["spec"]["ports"], (GOOD_PORT, BAD_PORT)):
            port["nodePort"] = number
        return [web,
                slice_of("web", [n.pod_ip(0)], [("a", Node.PORT, "TCP"), ("b", Node.PORT, "TCP")]),
                service("far", ["10.96.0.11"], [("", 80, "TCP")]),
                slice_of("far", ["168.63.129.16", n.pod_ip(1)], [("", Node.PORT, "TCP")])]

    def who(self, address, port):
        return self.n.ask(self.n.client, address, port).split(" ")[0]

    def check_nobody(self, address, port):
        """What nobody answers takes as long as that is waited for."""
        self.assertNotIn("pod", self.n.ask(self.n.client, address, port, timeout=0.7))

    def start(self, mode, *flags):
        n = self.n
        n.start("--manifest-path", n.write("objects.json", self.objects()), "--proxy-mode=" + mode,
                "--nodeport-addresses=0.0.0.0/0", *flags)

    def test_what_is_not_allowed_is_left_out_and_said(self):
        n = self.n
        for mode in self.modes:
            with self.subTest(mode=mode):
                self.start(mode, "--policy-frontends=10.96.0.0/16,203.0.113.0/29",
                           "--policy-endpoints=10.244.0.0/16")
                for address, port in ((IP, 80), (IP, 81), (EXTERNAL, 80), (NODE, GOOD_PORT)):
                    self.assertEqual(self.who(address, port), "pod1", (address, port))
                self.assertEqual({self.who("10.96.0.11", 80) for _ in range(6)}, {"pod2"})
                self.check_nobody(STRANGER, 80)
                self.check_nobody(NODE, BAD_PORT)
                for words in ("service default/web: externalIP 203.0.113.9 is left out: an address outside "
                              "--policy-frontends",
                              "service default/web: node port 20080 is left out: a node port outside "
                              "--policy-node-port-range (30000-32767)",
                              "endpoint 168.63.129.16 is left out: an endpoint in --policy-denied-endpoints"):
                    self.assertIn(words, n.logged())
                n.stop()

    def test_a_wider_policy(self):
        n = self.n
        for mode in self.modes:
            with self.subTest(mode=mode):
                self.start(mode, "--policy-node-port-range=20000-32767")
                self.assertEqual(self.who(NODE, BAD_PORT), "pod1")
                self.assertEqual(self.who(STRANGER, 80), "pod1")
                n.stop()

    def test_ranges_that_are_not_allowed(self):
        """They are ignored, and the proxy goes on: the applier would end it."""
        n = self.n
        api = inside(n.node, lambda: Stub().__enter__())
        self.addCleanup(api.close)
        bad = ("10.0.0.0/8", "0.0.0.0/0", "127.0.0.0/8", "fd00::/32")
        for i, cidr in enumerate(bad + ("10.96.0.0/24",)):
            api.put({"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1",
                     "metadata": {"name": "range%d" % i}, "spec": {"cidrs": [cidr]}})
        for obj in self.objects():
            api.put(obj)
        config = os.path.join(n.dir, "kubeconfig")
        api.kubeconfig(config, token="t")
        api.tokens = {"t"}
        for name in [config, api.ca_file]:
            os.chmod(name, 0o644)
        os.chmod(api.directory, 0o755)
        n.start("--kubeconfig", config, "--proxy-mode=nftables", "--policy-frontends=10.96.0.0/16,203.0.113.0/24")
        self.assertEqual(self.who(IP, 80), "pod1")
        listed = sh("ip", "netns", "exec", n.node, "nft", "list", "set", "ip", "kube-proxy", "service-cidrs")
        self.assertIn("elements = { 10.96.0.0/24 }", listed)
        for cidr in bad:
            self.assertIn("ServiceCIDR %s is ignored: " % cidr, n.logged())
        r = subprocess.run(["ip", "netns", "exec", n.node, os.path.join(BUILD, "kube-proxy"), "--suggest-policy",
                            "--kubeconfig", config, "--hostname-override=node-a"],
                           stdout=subprocess.PIPE, check=True, text=True)
        self.assertEqual(r.stdout.splitlines()[1], "--policy-frontends=10.96.0.0/24,203.0.113.1/32,203.0.113.9/32")

    def suggested(self, *flags, objects=None):
        path = self.n.write("objects.json", objects or self.objects())
        return subprocess.run([os.path.join(BUILD, "kube-proxy"), "--suggest-policy", "--manifest-path", path,
                               *flags], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()

    def test_what_is_suggested(self):
        """It is narrow, and with it all is served as without."""
        self.assertEqual(self.suggested("--policy-denied-endpoints=", "--policy-endpoints=192.0.2.0/24"), [
            "--policy-node-port-range=20080-30080",
            "--policy-frontends=10.96.0.10/32,10.96.0.11/32,203.0.113.1/32,203.0.113.9/32",
            "--policy-endpoints=10.244.1.10/32,10.244.1.11/32,168.63.129.16/32"])
        self.assertEqual(self.suggested("--cluster-cidr=10.244.0.0/16")[2], "--policy-endpoints=10.244.0.0/16")
        n = self.n
        for mode in self.modes:
            with self.subTest(mode=mode):
                self.start(mode, *self.suggested())
                for address, port in ((IP, 80), (STRANGER, 81), (NODE, GOOD_PORT), (NODE, BAD_PORT)):
                    self.assertEqual(self.who(address, port), "pod1", (address, port))
                self.assertIn("Policy: node ports 20080-30080; frontends: 10.96.0.10/32,", n.inspect("/statusz")[1])
                self.assertIn("policy: node ports 20080-30080; frontends: 10.96.0.10/32,", n.logged())
                n.stop()

    def test_many_addresses_share_prefixes(self):
        """Never more than there may be, and each address in one of them."""
        addresses = [ipaddress.ip_address(f"10.{i % 7}.{i * 37 % 256}.{i * 101 % 254 + 1}") for i in range(400)]
        objects = [service(f"s{i}", [str(a)], [("", 80, "TCP")]) for i, a in enumerate(addresses)]
        line = self.suggested(objects=objects)[1]
        nets = [ipaddress.ip_network(net) for net in line.partition("=")[2].split(",")]
        self.assertLessEqual(len(nets), 32)
        self.assertGreater(len(nets), 4)
        for a in addresses:
            self.assertEqual(sum(a in net for net in nets), 1, (a, nets))


if __name__ == "__main__":
    unittest.main()
