"""What of the node decides where packets go: what tells its pods from others, its own addresses, what
its firewall and its connection tracking do besides.
"""
import itertools
import socket
import struct
import unittest

from harness import Node, ns_socket, sh
from limits import patient
from test_node_ports import BOTH, NodeCase, node_object
from test_service_packets import CLIENT, FRONTENDS, MASQUERADED, NODE, READY, Service, ask


class Detection(NodeCase):
    """pod1 serves; pod3 is only a pod. Who is a local pod is seen by whom the endpoints see."""

    def checks(self, s, pod, endpoint, families=(4, 6)):
        """What pod3 and pod1 get at the cluster IP: PLAIN, or masqueraded as from outside."""
        n = self.n
        plain, all_ = {"pod1", "pod2"}, BOTH
        to = {f: s.address("cluster", f, "tcp") for f in families}
        out = []
        for f in families:
            out += [("client", n.client, f, to[f], "tcp", all_),
                    ("node", n.node, f, to[f], "tcp", all_),
                    ("pod3", n.pods[2], f, to[f], "tcp", plain if pod else all_),
                    ("pod1", n.pods[0], f, to[f], "tcp", {"pod1*", "pod2"} if endpoint else all_)]
            # By the policy Local a pod is let to every endpoint, and who is none to the local one.
            for frontend in ("external", "balancer", "node-port"):
                out += [("pod3 by " + frontend, n.pods[2], f, s.address(frontend, f, "tcp"), "tcp",
                         plain if pod else {"pod1"}),
                        ("client by " + frontend, n.client, f, s.address(frontend, f, "tcp"),
                         "tcp", {"pod1"}),
                        ("node by " + frontend, n.node, f, s.address(frontend, f, "tcp"), "tcp",
                         all_)]
        return out

    def service(self):
        s = Service(1, externalTrafficPolicy="Local")
        return s, s.objects(self.both())

    def test_node_cidr(self):
        n = self.n
        s, objects = self.service()
        self.flush()
        self.start(objects + [node_object()], "--detect-local-mode=NodeCIDR",
                   "--cluster-cidr=10.244.0.0/16,fd00:244::/32", wait=False)
        n.wait("word of the Node", lambda: "waiting for node node-a to have podCIDRs" in n.logged())
        self.assertNotIn("KUBE-SERVICES", n.save(4))
        n.write("objects.json", objects + [
            node_object(pod_cidrs=["10.244.1.0/24", "fd00:244:1::/64"])])
        n.wait_synced()
        self.judge(self.checks(s, True, True))
        # pod1 and not pod3; another family is not told by this one
        self.rewrite(objects + [node_object(pod_cidrs=["10.244.1.10/31", "fd00:244:9::/64"])])
        self.judge(self.checks(s, False, True, [4]) + self.checks(s, False, False, [6]))

    def test_node_cidr_of_one_family(self):
        """Without local detection in a family nothing to its cluster IPs is masqueraded."""
        n = self.n
        s, objects = self.service()
        self.start(objects + [node_object(pod_cidrs=["10.244.1.0/24"])],
                   "--detect-local-mode=NodeCIDR")
        self.judge(self.checks(s, True, True, [4]) + [
            ("client", n.client, 6, s.address("cluster", 6, "tcp"), "tcp", {"pod1", "pod2"}),
            ("pod3", n.pods[2], 6, s.address("external", 6, "tcp"), "tcp", {"pod1"})])

    def test_interface_name_prefix(self):
        s, objects = self.service()
        self.start(objects, "--detect-local-mode=InterfaceNamePrefix",
                   "--pod-interface-name-prefix=pod")
        self.judge(self.checks(s, True, True))
        self.start(objects, "--detect-local-mode=InterfaceNamePrefix",
                   "--pod-interface-name-prefix=pod3")
        self.judge(self.checks(s, True, False))

    def test_bridge_interface(self):
        n = self.n
        s, objects = self.service()
        ip = lambda *a: sh("ip", "-n", n.node, *a)
        ip("link", "add", "cbr0", "type", "bridge")
        self.addCleanup(ip, "link", "del", "cbr0")
        ip("link", "set", "cbr0", "up")
        for family, bits in ((4, "32"), (6, "128")):
            ip("addr", "add", MASQUERADED[family] + "/" + bits, "dev", "cbr0",
               *(["nodad"] if family == 6 else []))
            ip("addr", "del", MASQUERADED[family] + "/" + bits, "dev", "pod3")
            ip("-%d" % family, "route", "replace", n.pod_ip(2, family), "dev", "cbr0")
            self.addCleanup(ip, "-%d" % family, "route", "replace", n.pod_ip(2, family), "dev",
                            "pod3")
            self.addCleanup(ip, "addr", "add", MASQUERADED[family] + "/" + bits, "dev", "pod3",
                            *(["nodad"] if family == 6 else []))
        ip("link", "set", "pod3", "master", "cbr0")
        self.addCleanup(ip, "link", "set", "pod3", "nomaster")
        # The name is whole: cbr is not cbr0.
        self.start(objects, "--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cbr")
        self.judge(self.checks(s, False, False))
        self.start(objects, "--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cbr0")
        self.judge(self.checks(s, True, False))

    def test_masquerade_all_is_of_cluster_ips(self):
        n = self.n
        s, objects = self.service()
        self.start(objects, "--masquerade-all", "--cluster-cidr=10.244.0.0/16,fd00:244::/32")
        self.judge([("cluster", n.pods[2], f, s.address("cluster", f, "tcp"), "tcp", BOTH)
                    for f in (4, 6)] +
                   [("external", n.pods[2], f, s.address("external", f, "tcp"), "tcp",
                     {"pod1", "pod2"}) for f in (4, 6)])


class Host(NodeCase):
    """The node is an endpoint, or has a Service's address, itself."""
    flags = ["--iptables-min-sync-period=0s", "--cluster-cidr=10.244.0.0/16,fd00:244::/32"]

    def test_an_endpoint_on_the_host_network(self):
        n = self.n
        n.endpoints.add(n.node, "host", Node.PORT, kinds=("tcp",))
        cluster, local = Service(1), Service(2, externalTrafficPolicy="Local")
        eps = [(NODE[f], "node-a", READY) for f in (4, 6)]
        self.run_with(cluster.objects(eps) + local.objects(eps))
        for source, s, frontend, family in itertools.product(
                (n.client, n.pods[2], n.node), (cluster, local), FRONTENDS, (4, 6)):
            with self.subTest(source=source, service=s.name, frontend=frontend, family=family):
                who, peer = ask(source, s.address(frontend, family, "tcp"), "tcp", patient(2)).split()
                self.assertEqual(who, "host")
                # What does not leave the node is not masqueraded.
                if source != n.node:
                    self.assertEqual(peer, CLIENT[family] if source == n.client
                                     else n.pod_ip(2, family))

    def test_an_address_of_the_node(self):
        """An external IP that is the node's own: its port is the Service's, others are not."""
        n = self.n
        n.endpoints.add(n.node, "host", 8088, kinds=("tcp",))
        s, none = Service(1), Service(2)
        s.external = dict(NODE)
        none.external, none.ports = dict(NODE), {"tcp": 8089, "udp": 8089}
        self.run_with(s.objects(self.both()) + none.objects([]))
        for source, family in itertools.product((n.client, n.pods[2], n.node), (4, 6)):
            self.assertEqual(self.answers(source, family, s.address("external", family, "tcp"),
                                          "tcp", BOTH), BOTH)
            self.assertTrue(ask(source, (NODE[family], 8088), "tcp", patient(2)).startswith("host "))
            self.assertEqual(ask(source, none.address("external", family, "tcp"), "tcp", patient(2)),
                             "refused")


class Forward(NodeCase):
    """What passes the node, and what does not."""
    pods = 2
    explains = False  # of the node's own firewall

    def iptables(self, *args):
        for tool in ("iptables-legacy", "ip6tables-legacy"):
            sh("ip", "netns", "exec", self.n.node, tool, *args)

    def test_masqueraded_packets_pass_a_policy_of_drop(self):
        n = self.n
        cluster, local = Service(1), Service(2, externalTrafficPolicy="Local")
        self.iptables("-P", "FORWARD", "DROP")
        self.addCleanup(self.iptables, "-P", "FORWARD", "ACCEPT")
        self.start(cluster.objects(self.both()) + local.objects(self.both()),
                   "--cluster-cidr=10.244.0.0/16,fd00:244::/32")
        self.judge([("cluster", n.client, f, cluster.address(frontend, f, proto), proto, BOTH)
                    for f, frontend, proto in itertools.product(
                        (4, 6), ("cluster", "external", "balancer", "node-port"),
                        ("tcp", "udp"))] +
                   [("local", n.client, f, local.address(frontend, f, "tcp"), "tcp", {"dropped"})
                    for f, frontend in itertools.product((4, 6), ("external", "node-port"))])

    def seen(self, family):
        """Does a reset of no connection, which is INVALID, pass from the client to pod1?"""
        n = self.n
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        to = n.pod_ip(0, family)
        with ns_socket(n.pods[0], af, socket.SOCK_RAW, socket.IPPROTO_TCP) as pod, \
                ns_socket(n.client, af, socket.SOCK_RAW, socket.IPPROTO_TCP) as client:
            pod.settimeout(1.5)
            client.sendto(reset(CLIENT[family], to, 40000, 4711), (to, 0))
            try:
                while True:
                    data = pod.recv(4096)
                    tcp = data[(data[0] & 15) * 4:] if family == 4 else data
                    if struct.unpack("!HH", tcp[:4]) == (40000, 4711):
                        return True
            except (TimeoutError, socket.timeout):
                return False

    def test_invalid_packets(self):
        n = self.n
        s = Service(1)
        liberal = "net.netfilter.nf_conntrack_tcp_be_liberal"
        self.addCleanup(self.sysctl, liberal, 0)
        objects = s.objects(self.both())
        self.assertEqual((self.seen(4), self.seen(6)), (True, True))
        self.start(objects)
        self.assertEqual((self.seen(4), self.seen(6)), (False, False))
        self.assertIn("INVALID", n.save(4, "filter"))
        self.start(objects, "--conntrack-tcp-be-liberal")
        self.assertEqual((self.seen(4), self.seen(6)), (True, True))
        # The kernel is liberal now, without a flag, and was so before we looked.
        self.start(objects)
        self.assertEqual((self.seen(4), self.seen(6)), (True, True))
        self.sysctl(liberal, 0)
        self.start(objects)
        self.assertEqual((self.seen(4), self.seen(6)), (False, False))


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def reset(src, dst, sport, dport):
    """A TCP segment with RST."""
    af = socket.AF_INET6 if ":" in src else socket.AF_INET
    pseudo = socket.inet_pton(af, src) + socket.inet_pton(af, dst) + struct.pack("!LL", 20, 6)
    head = struct.pack("!HHLLBBHHH", sport, dport, 1, 0, 5 << 4, 4, 0, 0, 0)
    return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]


if __name__ == "__main__":
    unittest.main()
