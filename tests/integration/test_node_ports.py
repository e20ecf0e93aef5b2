"""Where node ports answer: on which of the node's addresses, on loopback, and what the Node object has
to say about it.
"""
import itertools
import os
import subprocess
import unittest

from apiserver import Stub
from harness import BUILD, inside, sh
from limits import patient
from test_service_packets import CLIENT, NODE, Case, Service, ask, by_chain

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
        n.wait("word of the Node", lambda: "waiting for node node-a to have an InternalIP" in n.logged())
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
            self.assertEqual(ask(n.client, (NODE[family], 32110), "tcp", patient(2)),
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
                   self.node_ports(s, {6: "::1"}, BOTH, n.node) +  # by a relay
                   self.node_ports(s, NODE, BOTH) + self.node_ports(s, NODE, BOTH, n.node) +
                   self.probes("dropped") +
                   # nor are node ports on loopback for others
                   self.node_ports(s, {4: "127.0.0.1"}, {"dropped"}))
        # The node's own talk with itself goes on.
        for proto in ("tcp", "udp"):
            self.assertEqual(ask(n.node, ("127.0.0.1", 9999), proto, patient(2)), "node 127.0.0.1")

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


class Programmed(NodeCase):
    """Each way to have it is in the kernel as --dry-run says, and stays when the daemon comes back."""
    pods = 2
    WAYS = (
        ["--iptables-localhost-nodeports", "--detect-local-mode=InterfaceNamePrefix",
         "--pod-interface-name-prefix=pod", "--conntrack-tcp-be-liberal"],
        ["--nodeport-addresses=96.0.0.0/3,fd00::/8", "--detect-local-mode=BridgeInterface",
         "--pod-bridge-interface=a-long-name.123"],
        ["--nodeport-addresses=primary", "--detect-local-mode=NodeCIDR"],
    )

    def dry_run(self, *flags):
        return subprocess.run(
            ["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"), "--dry-run",
             "--hostname-override=node-a", "--manifest-path", self.path, *flags], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patient(60))

    def test_each_way(self):
        n = self.n
        ranges = {"loadBalancerSourceRanges": ["198.51.100.0/24", "2001:db8:1::/64"]}
        objects = [node_object([("InternalIP", a) for a in NODE.values()],
                               ["10.244.1.0/24", "fd00:244:1::/64"])]
        for k, (spec, eps) in enumerate(itertools.product(
                ({}, {"externalTrafficPolicy": "Local"}, ranges), (self.both(), [])), 1):
            objects += Service(k, **spec).objects(eps)
        for flags in self.WAYS:
            with self.subTest(flags=flags):
                self.start(objects, *flags)
                plan = self.dry_run(*flags)
                self.assertEqual(plan.returncode, 0, plan.stderr)
                for family, part in zip((4, 6), plan.stdout.split("# IPv6")):
                    for table in ("nat", "filter"):
                        rules = part.split("*%s\n" % table)[1].split("COMMIT")[0]
                        self.assertEqual(by_chain(rules), by_chain(n.save(family, table)))
                before = self.commits()
                self.start(objects, *flags)
                self.assertEqual(self.commits(), before)
            self.sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", 0)
            self.sysctl("net.ipv4.conf.all.route_localnet", 0)

    def test_dry_run_tells_what_is_missing(self):
        self.path = self.n.write("objects.json", [node_object()])
        for flag, what in (("--nodeport-addresses=primary", "an InternalIP"),
                           ("--detect-local-mode=NodeCIDR", "podCIDRs")):
            for objects in ([], [node_object()]):
                self.n.write("objects.json", objects + Service(1).objects([]))
                said = self.dry_run(flag)
                self.assertEqual((said.returncode, said.stdout), (78, ""), said.stderr)
                self.assertIn("node node-a does not have " + what, said.stderr)
                self.assertIn(flag, said.stderr)


class Apiserver(NodeCase):
    """The Node as an apiserver tells of it: late, changed, gone."""
    pods = 2

    def test_the_node_comes_and_changes(self):
        n = self.n
        api = inside(n.node, lambda: Stub().__enter__())
        self.addCleanup(api.close)
        self.addCleanup(n.stop)
        s = Service(1, externalTrafficPolicy="Local")
        for o in s.objects(self.both()):
            api.put(o)
        config = os.path.join(n.dir, "kubeconfig")
        api.kubeconfig(config, token="secret")
        for path in (config, api.ca_file):
            os.chmod(path, 0o644)
        os.chmod(api.directory, 0o755)
        n.start("--kubeconfig", config, "--iptables-min-sync-period=0s",
                "--nodeport-addresses=primary", "--detect-local-mode=NodeCIDR", wait=False)
        n.wait("word of the Node", lambda: "waiting for node node-a to have an InternalIP" in n.logged())
        api.put(node_object([("ExternalIP", UPLINK[4]), ("InternalIP", NODE[4]),
                             ("InternalIP", NODE[6])]))
        n.wait("the Node", lambda: any("nodes" in r["path"] for r in api.requests))
        self.assertNotEqual(n.health("/healthz")[0], 200)  # no podCIDRs yet
        api.put(node_object([("ExternalIP", UPLINK[4]), ("InternalIP", NODE[4]),
                             ("InternalIP", NODE[6])], ["10.244.1.0/24", "fd00:244:1::/64"]))
        n.wait_synced()
        self.judge(self.node_ports(s, NODE, {"pod1"}) +
                   self.node_ports(s, {4: UPLINK[4]}, {"refused"}) +
                   [("pod", n.pods[1], f, s.address("cluster", f, "tcp"), "tcp", {"pod1", "pod2*"})
                    for f in (4, 6)])
        api.put(node_object([("InternalIP", UPLINK[4])], ["10.244.1.0/24", "fd00:244:1::/64"]))
        n.wait("the other address", lambda: UPLINK[4] in n.save(4, "nat"))
        self.judge(self.node_ports(s, {4: UPLINK[4], 6: NODE[6]}, {"pod1"}) +
                   self.node_ports(s, {4: NODE[4]}, {"refused"}))


if __name__ == "__main__":
    unittest.main()
