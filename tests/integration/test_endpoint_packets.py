"""Which Services are ours and which of their endpoints count, judged by packets: conditions, copies
in several slices, topology, protocols, and what goes by untouched.
"""
import itertools
import socket
import struct
import unittest

from harness import Node, ns_socket, service, sh, slice_of
from limits import patient
from test_packets import sctp_init
from test_service_packets import ENDED, ENDING, FRONTENDS, READY, TARGET, Case, Service

HINT = {"ours": {"forNodes": [{"name": "node-a"}]}, "theirs": {"forNodes": [{"name": "node-b"}]},
        "a": {"forZones": [{"name": "zone-a"}]}, "b": {"forZones": [{"name": "zone-b"}]},
        "ab": {"forZones": [{"name": "zone-a"}, {"name": "zone-b"}]}}


def node_object(zone=None):
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a", "labels": labels}}


class EndpointCase(Case):
    def slices(self, s, endpoints, name=""):
        """A slice of each family. endpoints: [(pod's number, conditions, hints' name or None)]"""
        n = self.n
        out = []
        for family in (4, 6):
            eps = []
            for pod, conditions, hint in endpoints:
                e = {"addresses": [n.pod_ip(pod, family)], "nodeName": "node-%s" % "aab"[pod]}
                if conditions is not None:
                    e["conditions"] = conditions
                if hint is not None:
                    for part in hint.split("+"):
                        e.setdefault("hints", {}).update(HINT[part])
                eps.append(e)
            out.append(slice_of(s.name, eps, TARGET, name="%s-%s%d" % (s.name, name, family)))
        return out

    def whom(self, s, want, frontends=("cluster",), source=None):
        """Checks that the client gets just the pods in WANT, at each frontend, in each family."""
        source = source or self.n.client
        return [("%s of %s from %s" % (frontend, s.name, source), source, family,
                 s.address(frontend, family, "tcp"), "tcp",
                 want if want & {"refused", "dropped"} else
                 {p + "*" for p in want})
                for frontend, family in itertools.product(frontends, (4, 6))]


class Endpoints(EndpointCase):
    CASES = [
        # pod1's conditions, pod2's conditions, who serves
        ({}, {"ready": None}, "pod1 pod2"),                   # unset is ready
        ({}, {"ready": False}, "pod1"),
        # publishNotReadyAddresses, as the API shows it
        ({"ready": True, "serving": False}, READY, "pod1 pod2"),
        ({"ready": True, "serving": False, "terminating": True}, READY, "pod1 pod2"),
        ({"ready": True, "serving": True, "terminating": True}, ENDING, "pod1"),
        # without a ready one
        (ENDING, {"ready": False, "serving": True, "terminating": False}, "pod1"),
        (ENDING, {"ready": False, "terminating": True}, "pod1"),  # serving unset is as ready
        (ENDED, {"ready": False}, "refused"),
        ({"ready": False, "serving": True}, {"ready": False, "serving": True}, "refused"),
    ]

    def test_conditions(self):
        checks, objects = [], []
        for k, (one, two, want) in enumerate(self.CASES, 1):
            s = Service(k)
            objects += s.objects([])[:1] + self.slices(s, [(0, one, None), (1, two, None)])
            checks += self.whom(s, set(want.split()))
        self.run_with(objects)
        self.judge(checks)

    def test_copies_in_several_slices(self):
        """An endpoint that moves is in two slices for a while: the better copy counts, once."""
        copies = [
            (ENDED, READY, "pod1 pod2"), (READY, ENDED, "pod1 pod2"), (ENDING, READY, "pod1 pod2"),
            (READY, READY, "pod1 pod2"), (ENDED, ENDING, "pod2"),
            ({"ready": False}, READY, "pod1 pod2"), (ENDED, ENDED, "pod2")]
        checks, objects, services = [], [], []
        for k, (first, second, want) in enumerate(copies, 1):
            s = Service(k)
            services.append(s)
            objects += s.objects([])[:1] + self.slices(s, [(0, first, None), (1, READY, None)])
            objects += self.slices(s, [(0, second, None)], "more")
            checks += self.whom(s, set(want.split()))
        # both copies end: still serving beats what has ended
        last = Service(20)
        objects += last.objects([])[:1] + self.slices(last, [(0, ENDED, None)]) + \
            self.slices(last, [(0, ENDING, None)], "more")
        checks += self.whom(last, {"pod1"})
        self.run_with(objects)
        self.judge(checks)
        for s in services:  # "-> pod1" stands in a chain once
            self.assertLessEqual(self.n.save(4).count(
                "default/%s:http -> %s:%d" % (s.name, self.n.pod_ip(0), Node.PORT)), 1)

    # pod1 and pod2 are on our node, pod3 is on another. Hints of the three; who serves in zone-a.
    TOPOLOGY = [
        ("a", "b", "b", "pod1"),
        ("ab", "b", "a", "pod1 pod3"),
        ("b", "b", "b", "pod1 pod2 pod3"),                   # none for us: hints do not count
        ("a", None, "b", "pod1 pod2 pod3"),                  # one without
        ("theirs+b", "ours+b", "theirs+a", "pod2"),          # the node before the zone
        ("theirs+b", "theirs+a", "theirs+b", "pod2"),        # no node's is ours: the zone
        ("ours+b", "theirs+a", "b", "pod2"),                 # not all name nodes: the zone
        ("ours", "theirs", None, "pod1 pod2 pod3"),
        ("ours", "a", "b", "pod1 pod2 pod3"),                # all of either kind, or none
    ]

    def topology(self):
        for k, (*hints, want) in enumerate(self.TOPOLOGY, 1):
            s = Service(k, externalTrafficPolicy="Local")
            objects = s.objects([])[:1] + self.slices(
                s, [(i, READY, hint) for i, hint in enumerate(hints)])
            yield s, objects, hints, set(want.split())

    def test_topology(self):
        n = self.n
        all_ = list(self.topology())
        objects = [o for _, part, _, _ in all_ for o in part]
        self.run_with(objects + [node_object("zone-a")])
        self.judge([c for s, _, _, want in all_ for c in self.whom(s, want)])
        # The node itself goes to the cluster's list by an external address; others to the local
        # one, which knows no topology.
        self.judge([c for s, _, _, want in all_
                    for c in self.whom(s, want, ("external", "node-port"), n.node)] +
                   [("outside", n.client, f, s.address("node-port", f, "tcp"), "tcp",
                     {"pod1", "pod2"}) for s, _, _, _ in all_ for f in (4, 6)])
        # The Node's zone changes at run time: what has hints for a zone goes by the new one.
        self.rewrite(objects + [node_object("zone-b")])
        self.judge(self.whom(all_[0][0], {"pod2", "pod3"}) +
                   self.whom(all_[4][0], {"pod2"}) +
                   self.whom(all_[5][0], {"pod1", "pod3"}))
        self.rewrite(objects + [node_object()])
        self.judge(self.whom(all_[0][0], {"pod1", "pod2", "pod3"}) +
                   self.whom(all_[4][0], {"pod2"}) +
                   self.whom(all_[5][0], {"pod1", "pod2", "pod3"}))

    def test_hints_of_what_is_not_ready(self):
        """Only ready endpoints need hints; terminating ones serve without them."""
        one, two = Service(1), Service(2)
        self.run_with([node_object("zone-a")] + one.objects([])[:1] + two.objects([])[:1] +
                      self.slices(one, [(0, READY, "a"), (1, READY, "b"), (2, ENDING, None)]) +
                      self.slices(two, [(0, ENDING, "b"), (1, ENDING, "a"), (2, ENDED, "a")]))
        self.judge(self.whom(one, {"pod1"}) + self.whom(two, {"pod1", "pod2"}))


class NotOurs(EndpointCase):
    """What is no Service of ours passes as if there were no proxy: the machine outside answers."""
    wrong_port = "outside"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        n = cls.n
        for net, device in (("10.96.0.0/16", "198.51.100.2"), ("fd00:96::/64", "2001:db8:1::2")):
            sh("ip", "-n", n.node, "route", "add", net, "via", device)
            sh("ip", "-n", n.client, "route", "add", "local", net, "dev", "lo")
        sh("ip", "netns", "exec", n.client, "sysctl", "-q", "-w", "net.ipv6.ip_nonlocal_bind=1")
        for port in (80, 81):
            n.endpoints.add(n.client, "outside", port, kinds=("tcp",))
            for k in ("1.1", "1.2", "1.3", "1.4", "9.9"):  # each answers from where it was asked
                for address in ("10.96." + k, "fd00:96::" + k.replace(".", ":")):
                    n.endpoints.add(n.client, "outside", port, kinds=("udp",), address=address)

    def passes(self, what, address, family, port=80, want="outside"):
        n = self.n
        return [("%s: %s, %s" % (what, address, proto), n.pods[2], family, (address, port), proto,
                 {want}) for proto in ("tcp", "udp")]

    def test_it_passes(self):
        s = Service(1)
        strangers, checks = [], []
        kinds = {
            "another proxy's": lambda o: o["metadata"].update(
                labels={"service.kubernetes.io/service-proxy-name": "other"}),
            "another proxy's, unnamed": lambda o: o["metadata"].update(
                labels={"service.kubernetes.io/service-proxy-name": ""}),
            "ExternalName": lambda o: o["spec"].update(type="ExternalName",
                                                       externalName="example.org"),
        }
        for k, (what, change) in enumerate(kinds.items(), 2):
            other = Service(k)
            objects = other.objects(self.both())
            objects[0]["spec"]["ports"] = [
                {"name": "http", "port": 80, "protocol": "TCP", "nodePort": other.node_ports["tcp"]},
                {"name": "dns", "port": 80, "protocol": "UDP", "nodePort": other.node_ports["udp"]}]
            change(objects[0])
            strangers += objects
            for family in (4, 6):
                checks += self.passes(what, other.cluster[family], family)
                checks.append((what + " node port", self.n.client, family,
                               other.address("node-port", family, "tcp"), "tcp", {"refused"}))
        for family in (4, 6):
            checks += self.passes("a wrong port", s.cluster[family], family, 81, self.wrong_port)
            checks += self.passes("no service's address", {4: "10.96.9.9", 6: "fd00:96::9:9"}[family],
                                  family)
        self.run_with(s.objects(self.both()) + strangers)
        self.judge(checks + [("ours", self.n.pods[2], f, s.address("cluster", f, "tcp"), "tcp",
                              {"pod1", "pod2"}) for f in (4, 6)])
        # A label comes, and goes.
        label = {"service.kubernetes.io/service-proxy-name": "other"}
        objects = s.objects(self.both())
        objects[0]["metadata"]["labels"] = label
        self.rewrite(objects)
        self.judge([("labelled", self.n.pods[2], f, s.address("cluster", f, "tcp"), "tcp",
                     {"outside"}) for f in (4, 6)])
        self.rewrite(s.objects(self.both()))
        self.judge([("no more", self.n.pods[2], f, s.address("cluster", f, "tcp"), "tcp",
                     {"pod1", "pod2"}) for f in (4, 6)])

    def test_headless(self):
        """A headless Service has no rules, nor has a slice that is labelled headless."""
        n = self.n
        headless = service("h", ["None"], [("http", 80, "TCP")])
        unset = service("u", [""], [("http", 80, "TCP")])
        s = Service(1)
        objects = s.objects([])
        marked = self.slices(s, [(0, READY, None)])
        for o in marked:
            o["metadata"]["labels"]["service.kubernetes.io/headless"] = ""
        self.run_with([headless, unset] + objects[:1] + marked +
                      [slice_of(name, [n.pod_ip(1)], TARGET) for name in ("h", "u")])
        self.judge(self.whom(s, {"refused"}, source=n.pods[2]))
        for family in (4, 6):
            rules = self.state(family)
            self.assertNotIn("default/h", rules)
            self.assertNotIn("default/u", rules)
            self.assertNotIn("KUBE-SEP-", rules)


class Sctp(EndpointCase):
    """This kernel has no SCTP sockets: INIT chunks by raw socket, seen where they arrive."""
    pods = 2
    CHUNK_PORT = 3868

    def arrives(self, source, family, to, at):
        """"podN peer" of the pod where an INIT to TO arrives, or None."""
        n = self.n
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        with ns_socket(n.pods[at], af, socket.SOCK_RAW, 132) as pod, \
                ns_socket(source, af, socket.SOCK_RAW, 132) as sender:
            pod.settimeout(patient(1))
            Sctp.CHUNK_PORT += 1  # no connection is another's
            sender.sendto(sctp_init(Sctp.CHUNK_PORT, to[1]), (to[0], 0))
            try:
                packet, peer = pod.recvfrom(2048)
            except (TimeoutError, socket.timeout):
                return None
            if family == 4:
                packet = packet[(packet[0] & 15) * 4:]
            return peer[0], struct.unpack("!H", packet[2:4])[0]

    def test_every_way_in(self):
        n = self.n
        s = Service(1)
        s.ports["sctp"], s.node_ports["sctp"] = 3868, 32001
        objects = s.objects([])[:1] + [
            slice_of(s.name, [{"addresses": [n.pod_ip(0, f)], "nodeName": "node-a",
                               "conditions": READY}], [("s1", 3900, "SCTP")]) for f in (4, 6)]
        objects[0]["spec"]["ports"] = [
            {"name": "s1", "port": 3868, "protocol": "SCTP", "nodePort": 32001}]
        self.run_with(objects)
        for frontend, family in itertools.product(FRONTENDS, (4, 6)):
            to = s.address(frontend, family, "sctp")
            with self.subTest(frontend=frontend, family=family):
                peer, port = self.arrives(n.client, family, to, 0)
                self.assertEqual((peer, port), ({4: "10.244.1.1", 6: "fd00:244:1::1"}[family], 3900))
        # From a pod to a ClusterIP its own address is seen.
        self.assertEqual(self.arrives(n.pods[1], 4, s.address("cluster", 4, "sctp"), 0),
                         (n.pod_ip(1), 3900))
        self.rewrite(objects[:1])
        for frontend, family in itertools.product(FRONTENDS, (4, 6)):
            with self.subTest(frontend=frontend, family=family):
                self.assertTrue(self.refused(family, s.address(frontend, family, "sctp")))

    def refused(self, family, to):
        """Is the client told that the port is unreachable?"""
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        proto, said = ((socket.IPPROTO_ICMP, (3, 3)), (socket.IPPROTO_ICMPV6, (1, 4)))[family == 6]
        with ns_socket(self.n.client, af, socket.SOCK_RAW, proto) as told, \
                ns_socket(self.n.client, af, socket.SOCK_RAW, 132) as sender:
            told.settimeout(patient(2))
            Sctp.CHUNK_PORT += 1
            sender.sendto(sctp_init(Sctp.CHUNK_PORT, to[1]), (to[0], 0))
            try:
                while True:  # IPv6's has neighbours' talk as well
                    packet = told.recv(2048)
                    at = (packet[0] & 15) * 4 if family == 4 else 0
                    if tuple(packet[at:at + 2]) == said:
                        return True
            except (TimeoutError, socket.timeout):
                return False


if __name__ == "__main__":
    unittest.main()
