"""What of the node decides where packets go: which of its addresses answer on node ports, what tells
its pods from others, what its firewall and its connection tracking do besides.
"""
import itertools
import socket
import struct

from harness import Node, inside, ns_socket, sh
from test_service_packets import (CLIENT, FRONTENDS, MASQUERADED, NODE, READY, Case, Service,
                                  ask)

UPLINK = {4: "192.0.2.1", 6: "2001:db8:2::1"}  # an address of the node that is not its first one
BOTH = {"pod1*", "pod2*"}


def node_object(addresses=(), pod_cidrs=()):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"},
            "spec": {"podCIDRs": list(pod_cidrs)},
            "status": {"addresses": [{"type": kind, "address": a} for kind, a in addresses]}}


class NodeCase(Case):
    def start(self, objects, *flags, wait=True):
        self.path = self.n.write("objects.json", objects)
        self.n.start("--manifest-path", self.path, "--iptables-min-sync-period=0s", *flags,
                     wait=wait)

    def flush(self):
        """No rule of ours is left of another test."""
        for tool, table in itertools.product(("iptables-legacy", "ip6tables-legacy"),
                                             ("nat", "filter")):
            for what in ("-F", "-X"):
                sh("ip", "netns", "exec", self.n.node, tool, "-t", table, what)

    def sysctl(self, name, value):
        sh("ip", "netns", "exec", self.n.node, "sysctl", "-q", "-w", "%s=%s" % (name, value))

    def node_ports(self, s, addresses, want, source=None):
        """A check of each address and protocol; addresses: {family: address}"""
        source = source or self.n.client
        return [("node port at %s from %s, %s" % (a, source, proto), source, family,
                 (a, s.node_ports[proto]), proto, want)
                for (family, a), proto in itertools.product(addresses.items(), ("tcp", "udp"))]


class NodePortAddresses(NodeCase):
    pods = 2
    REFUSED = {"refused"}

    def setUp(self):
        self.s = Service(1)
        self.objects = self.s.objects(self.both())

    def elsewhere(self):
        """By another address than a node port the service is reached whatever is configured."""
        n, s = self.n, self.s
        return [("%s from %s" % (frontend, source), source, family,
                 s.address(frontend, family, "tcp"), "tcp", BOTH)
                for frontend, source, family in itertools.product(
                    ("external", "balancer"), (n.client, n.node), (4, 6))]

    def test_all_addresses_but_loopback(self):
        n, s = self.n, self.s
        self.start(self.objects)
        self.sysctl("net.ipv4.conf.all.route_localnet", 1)  # of another program
        self.addCleanup(self.sysctl, "net.ipv4.conf.all.route_localnet", 0)
        self.judge(self.node_ports(s, NODE, BOTH) + self.node_ports(s, UPLINK, BOTH) +
                   self.node_ports(s, NODE, BOTH, n.node) +
                   self.node_ports(s, {4: "127.0.0.1", 6: "::1"}, self.REFUSED, n.node) +
                   self.node_ports(s, {4: "127.1.2.3"}, self.REFUSED, n.node))

    def test_prefixes(self):
        n, s = self.n, self.s
        self.start(self.objects, "--nodeport-addresses=198.51.100.0/24,2001:db8:1::/64,10.9.0.0/16")
        self.judge(self.node_ports(s, NODE, BOTH) + self.node_ports(s, NODE, BOTH, n.node) +
                   self.node_ports(s, UPLINK, self.REFUSED) +
                   self.node_ports(s, UPLINK, self.REFUSED, n.node) +
                   # of a listed prefix, and not the node's: passes by
                   self.node_ports(s, {4: CLIENT[4], 6: CLIENT[6]}, self.REFUSED, n.node) +
                   self.elsewhere())

    def test_prefixes_of_one_family(self):
        s = self.s
        self.start(self.objects, "--nodeport-addresses=192.0.2.0/31")
        self.judge(self.node_ports(s, {4: NODE[4]}, self.REFUSED) +
                   self.node_ports(s, {4: UPLINK[4], 6: UPLINK[6]}, BOTH) +
                   self.node_ports(s, {6: NODE[6]}, BOTH))

    def test_everything_beside_others(self):
        n, s = self.n, self.s
        self.start(self.objects, "--nodeport-addresses=10.9.0.0/16,0.0.0.0/0,::/0")
        self.judge(self.node_ports(s, NODE, BOTH) + self.node_ports(s, UPLINK, BOTH) +
                   self.node_ports(s, {4: "127.0.0.1", 6: "::1"}, self.REFUSED, n.node))

    def test_a_wide_prefix_leaves_loopback_out(self):
        n, s = self.n, self.s
        sh("ip", "-n", n.node, "addr", "add", "126.0.0.1/32", "dev", "lo")
        self.addCleanup(sh, "ip", "-n", n.node, "addr", "del", "126.0.0.1/32", "dev", "lo")
        self.start(self.objects, "--nodeport-addresses=64.0.0.0/2")
        self.judge(self.node_ports(s, {4: "126.0.0.1"}, BOTH) +
                   self.node_ports(s, {4: "127.0.0.1"}, self.REFUSED, n.node) +
                   self.node_ports(s, {4: NODE[4]}, self.REFUSED))

    def test_primary(self):
        """The Node's first address of each family, InternalIPs first, as it is now."""
        n, s = self.n, self.s
        own = [("ExternalIP", UPLINK[4]), ("InternalIP", NODE[4]), ("ExternalIP", UPLINK[6]),
               ("InternalIP", NODE[6])]
        self.start(self.objects)
        rules = n.save(4), n.save(6)
        self.start(self.objects, "--nodeport-addresses=primary", wait=False)
        n.wait("word of the Node", lambda: "before node node-a has an InternalIP" in n.logged())
        self.assertNotEqual(n.health("/healthz")[0], 200)
        self.assertEqual((n.save(4), n.save(6)), rules)  # those of before stay
        n.write("objects.json", self.objects + [node_object(own)])
        n.wait_synced()
        self.judge(self.node_ports(s, NODE, BOTH) + self.node_ports(s, UPLINK, self.REFUSED) +
                   self.elsewhere())
        self.rewrite(self.objects + [node_object(own[:1] + own[2:3])])
        self.judge(self.node_ports(s, UPLINK, BOTH) + self.node_ports(s, NODE, self.REFUSED))
        # A Node that is gone takes no node port away; that it is gone is known by the health.
        n.write("objects.json", self.objects)
        n.wait("the end of the Node", lambda: n.health("/healthz")[0] == 503)
        self.judge(self.node_ports(s, UPLINK, BOTH) + self.node_ports(s, NODE, self.REFUSED))

    def test_primary_of_one_family(self):
        s = self.s
        self.start(self.objects + [node_object([("InternalIP", NODE[6])])],
                   "--nodeport-addresses=primary")
        self.judge(self.node_ports(s, {6: NODE[6]}, BOTH) +
                   self.node_ports(s, {6: UPLINK[6]}, self.REFUSED) +
                   self.node_ports(s, {4: NODE[4]}, BOTH) + self.node_ports(s, {4: UPLINK[4]}, BOTH))

    def test_a_health_check_port_is_open_everywhere(self):
        n = self.n
        n.endpoints.add(n.node, "node", 32110, kinds=("tcp",))
        for tool in ("iptables-legacy", "ip6tables-legacy"):
            rule = ["INPUT", "-p", "tcp", "--dport", "32110", "-j", "DROP"]
            sh("ip", "netns", "exec", n.node, tool, "-A", *rule)
            self.addCleanup(sh, "ip", "netns", "exec", n.node, tool, "-D", *rule)
        s = Service(1, externalTrafficPolicy="Local", healthCheckNodePort=32110)
        self.start(s.objects(self.both()), "--nodeport-addresses=10.9.0.0/16,fd00:9::/32")
        for family in (4, 6):
            self.assertEqual(ask(n.client, (NODE[family], 32110), "tcp", 5),
                             "node " + CLIENT[family])


class Localhost(NodeCase):
    """Node ports on 127.0.0.1, and what route_localnet lets in from a neighbour (CVE-2020-8558)."""
    pods = 2
    LOOPBACK = ("127.0.0.1", "127.9.9.9")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        n = cls.n
        # The client sends to the node what is for 127/8, as a neighbour that means ill does.
        sh("ip", "-n", n.client, "addr", "del", "127.0.0.1/8", "dev", "lo")
        sh("ip", "-n", n.client, "route", "add", "127.0.0.0/8", "via", NODE[4], "dev", "eth0")
        sh("ip", "netns", "exec", n.client, "sysctl", "-q", "-w",
           "net.ipv4.conf.all.route_localnet=1")
        for address in cls.LOOPBACK:
            n.endpoints.add(n.node, "node", 9999, address=address)

    def tearDown(self):
        super().tearDown()
        self.sysctl("net.ipv4.conf.all.route_localnet", 0)

    def probes(self, want, source=None):
        source = source or self.n.client
        return [("%s from %s, %s" % (a, source, proto), source, 4, (a, 9999), proto, {want})
                for a, proto in itertools.product(self.LOOPBACK, ("tcp", "udp"))]

    def test_the_neighbour_gets_in_without_us(self):
        """So that what the other tests do not see is kept out by rules."""
        self.flush()
        self.judge(self.probes("dropped"))
        self.sysctl("net.ipv4.conf.all.route_localnet", 1)
        self.judge(self.probes("node"))

    def test_on(self):
        n = self.n
        s = Service(1)
        local = Service(2, externalTrafficPolicy="Local")
        none = Service(3)
        self.start(s.objects(self.both()) + local.objects(self.both()) + none.objects([]),
                   "--iptables-localhost-nodeports")
        self.judge(self.node_ports(s, {4: "127.0.0.1"}, BOTH, n.node) +
                   self.node_ports(s, {4: "127.1.2.3"}, BOTH, n.node) +
                   self.node_ports(local, {4: "127.0.0.1"}, BOTH, n.node) +
                   self.node_ports(none, {4: "127.0.0.1"}, {"refused"}, n.node) +
                   self.node_ports(s, {6: "::1"}, {"refused"}, n.node) +
                   self.node_ports(s, NODE, BOTH) + self.node_ports(s, NODE, BOTH, n.node) +
                   self.probes("dropped") +
                   # nor are node ports on loopback for others
                   self.node_ports(s, {4: "127.0.0.1"}, {"dropped"}))
        # The node's own talk with itself goes on.
        for proto in ("tcp", "udp"):
            self.assertEqual(ask(n.node, ("127.0.0.1", 9999), proto, 5), "node 127.0.0.1")

    def test_off(self):
        n = self.n
        s = Service(1)
        self.start(s.objects(self.both()))
        self.judge(self.node_ports(s, {4: "127.0.0.1"}, {"refused"}, n.node) +
                   self.probes("dropped"))

    def test_only_as_far_as_the_addresses_go(self):
        n = self.n
        s = Service(1)
        self.start(s.objects(self.both()), "--iptables-localhost-nodeports",
                   "--nodeport-addresses=198.51.100.0/24")
        self.judge(self.node_ports(s, {4: NODE[4]}, BOTH) + self.probes("dropped") +
                   self.node_ports(s, {4: "127.0.0.1"}, {"refused"}, n.node))
        self.start(s.objects(self.both()), "--iptables-localhost-nodeports",
                   "--nodeport-addresses=127.0.0.1/32")
        self.judge(self.node_ports(s, {4: NODE[4]}, {"refused"}) + self.probes("dropped") +
                   self.node_ports(s, {4: "127.0.0.1"}, BOTH, n.node) +
                   self.node_ports(s, {4: "127.0.0.1"}, {"dropped"}) +
                   self.node_ports(s, {4: "127.1.2.3"}, {"refused"}, n.node))


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
        n.wait("word of the Node", lambda: "before node node-a has podCIDRs" in n.logged())
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
                who, peer = ask(source, s.address(frontend, family, "tcp"), "tcp", 5).split()
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
            self.assertTrue(ask(source, (NODE[family], 8088), "tcp", 5).startswith("host "))
            self.assertEqual(ask(source, none.address("external", family, "tcp"), "tcp", 5),
                             "refused")


class Forward(NodeCase):
    """What passes the node, and what does not."""
    pods = 2

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
            pod.settimeout(0.5)
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
    import unittest
    unittest.main()
