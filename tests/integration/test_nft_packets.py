"""nftables mode: the packets of the other modes' tests, from the same tables of cases."""
import os
import re

import test_conntrack as conntrack
import test_endpoint_packets as endpoint_cases
import test_node_packets as node_cases
import test_node_ports as port_cases
import test_service_packets as cases
from apiserver import Stub
from harness import inside, sh
from test_service_packets import NODE, Service

TAKES = 120  # seconds on an idle machine


class Nftables:
    """What the cases go by in this mode."""
    # Node ports answer on the addresses of these prefixes: the tables' NODE.
    flags = cases.FLAGS + ["--proxy-mode=nftables",
                           "--nodeport-addresses=198.51.100.0/24,2001:db8:1::/64"]
    marks = ('comment "default/',)

    def state(self, family):
        """The table without the clients that the kernel remembers."""
        text = sh("ip", "netns", "exec", self.n.node, "nft", "list", "table",
                  "ip" if family == 4 else "ip6", "kube-proxy")
        return re.sub(r"(map affinity-\d {.*?)\n\t\telements = {.*?}\n", r"\1\n", text,
                      flags=re.S)


class Policies(Nftables, cases.Policies):
    def test_another_bit(self):
        n, s = self.n, Service(1)
        self.path = n.write("objects.json", s.objects(self.both()))
        n.start("--manifest-path", self.path, "--iptables-masquerade-bit=5", *self.flags)
        for family in (4, 6):
            self.assertIn("mark | 0x00000020", self.state(family))
            self.assertEqual(self.answers(n.client, family, s.address("cluster", family, "tcp"),
                                          "tcp", port_cases.BOTH), port_cases.BOTH)


class SourceRanges(Nftables, cases.SourceRanges):
    pass


class Affinity(Nftables, cases.Affinity):
    def test_policy_local_and_affinity(self):
        """A client is known by the address it asks: each of a service's has its own clients."""
        s = self.affine(10800, externalTrafficPolicy="Local")
        self.run_with(s.objects(self.three()[:4] + [(self.n.pod_ip(2), "node-b", cases.READY)]))
        for frontend in ("node-port", "balancer"):
            first = self.choices(s.address(frontend, 4, "tcp"))
            self.assertEqual(set(first), {"pod1", "pod2"})
            self.assertEqual(self.choices(s.address(frontend, 4, "tcp")), first)


class DryRun(Nftables, cases.DryRun):
    def test_the_plan_is_what_gets_programmed(self):
        """nft takes it, and makes of it what the proxy made."""
        self.run_with(self.everything())
        want = self.elements()
        plan = self.plan()
        self.n.stop()
        sets = set(re.findall(r"^add element (\S+ kube-proxy \S+) {", plan, re.M))
        self.assertGreater(len(sets), 20)
        for name in sets:
            kind = "map" if re.search(" (endpoints|draw|all)-", name) else "set"
            self.nft("flush " + kind + " " + name)
        self.assertNotEqual(self.elements(), want)
        self.nft("-f", "-", input=plan)
        self.assertEqual(self.elements(), want)

    def elements(self):
        """The lines, whatever the order that a set's elements are listed in."""
        return sorted(line.replace("elements = {", "").strip(" \t,}")
                      for f in (4, 6) for line in self.state(f).splitlines())

    def nft(self, *command, **kw):
        return sh("ip", "netns", "exec", self.n.node, "nft", *command, **kw)


# --- the endpoints ---

class Endpoints(Nftables, endpoint_cases.Endpoints):
    pass


class Sctp(Nftables, endpoint_cases.Sctp):
    pass


class NotOurs(Nftables, endpoint_cases.NotOurs):
    wrong_port = "refused"

    def test_free_addresses(self):
        """Those of ServiceCIDRs that no Service has are dropped, once the CIDRs are known."""
        n, s, free = self.n, Service(1), {4: ("10.96.9.9", 80), 6: ("fd00:96::9:9", 80)}
        # They stay until other ones are known: an apiserver that is away changes nothing.
        self.addCleanup(sh, "ip", "netns", "exec", n.node, "nft", "flush", "ruleset")
        api = inside(n.node, lambda: Stub().__enter__())
        self.addCleanup(api.close)
        self.addCleanup(n.stop)
        for o in s.objects(self.both()):
            api.put(o)
        config = os.path.join(n.dir, "kubeconfig")
        api.kubeconfig(config, token="secret")
        for path in (config, api.ca_file):
            os.chmod(path, 0o644)
        os.chmod(api.directory, 0o755)
        n.start("--kubeconfig", config, *self.flags)
        self.judge([("free", n.pods[2], f, free[f], p, {"outside"})
                    for f in (4, 6) for p in ("tcp", "udp")])
        before = self.commits()
        api.put({"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1",
                 "metadata": {"name": "kubernetes"},
                 "spec": {"cidrs": ["10.96.0.0/16", "fd00:96::/64"]}})
        n.wait("a commit", lambda: self.commits() > before)
        n.wait_idle()
        self.judge([("free", source, f, free[f], p, {"dropped"})
                    for source in (n.pods[2], n.node) for f in (4, 6) for p in ("tcp", "udp")] +
                   [("its own", n.pods[2], f, s.address("cluster", f, "tcp"), "tcp",
                     {"pod1", "pod2"}) for f in (4, 6)])


# --- the node ---

class OnNode(Nftables):
    def start(self, objects, *flags, wait=True):
        if not any("nodeport-addresses" in f for f in flags):
            flags += tuple(self.flags[-1:])
        super().start(objects, "--proxy-mode=nftables", *flags, wait=wait)


class Detection(OnNode, node_cases.Detection):
    pass


class Host(Nftables, node_cases.Host):
    pass


class Forward(OnNode, node_cases.Forward):
    def test_invalid_packets(self):
        """They pass: that is the node's firewall's affair."""
        self.start(Service(1).objects(self.both()))
        self.assertEqual((self.seen(4), self.seen(6)), (True, True))

    test_masqueraded_packets_pass_a_policy_of_drop = None  # a table cannot let pass ...


class NodePortAddresses(OnNode, port_cases.NodePortAddresses):
    def test_all_addresses_but_loopback(self):
        """... are to be asked for: the Node's own are the default."""
        s, n = self.s, self.n
        port_cases.NodeCase.start(self, self.objects + [port_cases.node_object(
            [("InternalIP", a) for a in NODE.values()])], "--proxy-mode=nftables")
        self.judge(self.node_ports(s, NODE, port_cases.BOTH) +
                   self.node_ports(s, NODE, port_cases.BOTH, n.node) +
                   self.node_ports(s, port_cases.UPLINK, self.REFUSED) + self.elsewhere())

    def test_primary_of_one_family(self):
        """A Node without an address of a family has no node ports in it."""
        s = self.s
        self.start(self.objects + [port_cases.node_object([("InternalIP", NODE[6])])],
                   "--nodeport-addresses=primary")
        self.judge(self.node_ports(s, {6: NODE[6]}, port_cases.BOTH) +
                   self.node_ports(s, {6: port_cases.UPLINK[6], 4: NODE[4]}, self.REFUSED))

    test_a_health_check_port_is_open_everywhere = None  # a table cannot let pass what others drop


class Stale(conntrack.Stale):
    flags = conntrack.FLAGS + Nftables.flags[-2:]
    # which ways there are is the modes' affair; when flows are stale is not
    test_a_client_that_was_there_first = test_a_server_of_the_node_itself = None
    test_a_new_address_of_the_node = None
