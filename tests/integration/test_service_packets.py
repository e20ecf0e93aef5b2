"""What a service may ask for, judged by packets: who may reach which endpoint by which address, and
whom the endpoint sees. One table of what must be, whatever the mode that brings it about.

pod1 runs on our node, pod2 on another (its slice says so; the wire does not), pod3 is only a pod.
"""
import concurrent.futures
import itertools
import json
import os
import re
import socket
import subprocess
import time
import unittest

from harness import BUILD, KINDS, Node, family_of, inside, ns_socket, service, sh, slice_of
from limits import patient

TAKES = 80  # seconds on an idle machine

FLAGS = ["--cluster-cidr=10.244.0.0/16,fd00:244::/32", "--iptables-min-sync-period=0s"]
NODE = {4: "198.51.100.1", 6: "2001:db8:1::1"}
CLIENT = {4: "198.51.100.2", 6: "2001:db8:1::2"}
MASQUERADED = {4: "10.244.1.1", 6: "fd00:244:1::1"}
TARGET = [("http", Node.PORT, "TCP"), ("dns", Node.PORT, "UDP")]

READY = {"ready": True}
ENDING = {"ready": False, "serving": True, "terminating": True}
ENDED = {"ready": False, "serving": False, "terminating": True}

# Conditions of pod1, which is local, and pod2, which is not.
ENDPOINTS = {
    "both": (READY, READY),
    "local": (READY, None),
    "remote": (None, READY),
    "none": (None, None),
    "local-ending": (ENDING, READY),
    "both-ending": (ENDING, ENDING),
    "local-ended": (ENDED, READY),
    "all-ended": (ENDED, ENDED),
}

# What a client outside, a pod, the node itself and the endpoint pod1 get, by policy and endpoints.
# "*": the endpoint sees the node's address and not the source's. "-": not the proxy's affair.
CLUSTER_IP = {
    # internalTrafficPolicy           client         pod          node           pod1
    ("Cluster", "both"):          ("pod1* pod2*", "pod1 pod2", "pod1* pod2*", "pod1* pod2"),
    ("Cluster", "local"):         ("pod1*",       "pod1",      "pod1*",       "pod1*"),
    ("Cluster", "remote"):        ("pod2*",       "pod2",      "pod2*",       "pod2"),
    ("Cluster", "none"):          ("refused",     "refused",   "refused",     "refused"),
    ("Cluster", "local-ending"):  ("pod2*",       "pod2",      "pod2*",       "pod2"),
    ("Cluster", "both-ending"):   ("pod1* pod2*", "pod1 pod2", "pod1* pod2*", "pod1* pod2"),
    ("Cluster", "local-ended"):   ("pod2*",       "pod2",      "pod2*",       "pod2"),
    ("Cluster", "all-ended"):     ("refused",     "refused",   "refused",     "refused"),
    ("Local", "both"):            ("pod1*",       "pod1",      "pod1*",       "pod1*"),
    ("Local", "local"):           ("pod1*",       "pod1",      "pod1*",       "pod1*"),
    ("Local", "remote"):          ("dropped",     "dropped",   "dropped",     "dropped"),
    ("Local", "none"):            ("refused",     "refused",   "refused",     "refused"),
    ("Local", "local-ending"):    ("pod1*",       "pod1",      "pod1*",       "pod1*"),
    ("Local", "both-ending"):     ("pod1*",       "pod1",      "pod1*",       "pod1*"),
    ("Local", "local-ended"):     ("dropped",     "dropped",   "dropped",     "dropped"),
    ("Local", "all-ended"):       ("refused",     "refused",   "refused",     "refused"),
}
EXTERNAL = {
    # externalTrafficPolicy             client         pod            node           pod1
    ("Cluster", "both"):          ("pod1* pod2*", "pod1* pod2*", "pod1* pod2*", "pod1* pod2*"),
    ("Cluster", "local"):         ("pod1*",       "pod1*",       "pod1*",       "pod1*"),
    ("Cluster", "remote"):        ("pod2*",       "pod2*",       "pod2*",       "pod2*"),
    ("Cluster", "none"):          ("refused",     "refused",     "refused",     "refused"),
    ("Cluster", "local-ending"):  ("pod2*",       "pod2*",       "pod2*",       "pod2*"),
    ("Cluster", "both-ending"):   ("pod1* pod2*", "pod1* pod2*", "pod1* pod2*", "pod1* pod2*"),
    ("Cluster", "local-ended"):   ("pod2*",       "pod2*",       "pod2*",       "pod2*"),
    ("Cluster", "all-ended"):     ("refused",     "refused",     "refused",     "refused"),
    ("Local", "both"):            ("pod1",        "pod1 pod2",   "pod1* pod2*", "pod1* pod2"),
    ("Local", "local"):           ("pod1",        "pod1",        "pod1*",       "pod1*"),
    ("Local", "remote"):          ("dropped",     "pod2",        "pod2*",       "pod2"),
    ("Local", "none"):            ("refused",     "refused",     "refused",     "refused"),
    ("Local", "local-ending"):    ("pod1",        "pod2",        "pod2*",       "pod2"),
    ("Local", "both-ending"):     ("pod1",        "pod1 pod2",   "pod1* pod2*", "pod1* pod2"),
    ("Local", "local-ended"):     ("dropped",     "pod2",        "pod2*",       "pod2"),
    ("Local", "all-ended"):       ("refused",     "refused",     "refused",     "refused"),
}
# Each policy with itself and every case; mixed, where they could be taken for one another.
POLICIES = [(p, p, e) for p in ("Cluster", "Local") for e in ENDPOINTS] + [
    (i, x, e) for i, x in (("Cluster", "Local"), ("Local", "Cluster")) for e in ("both", "remote")]


class Service:
    """Number K: addresses and node ports of its own, so that no connection is another's."""

    def __init__(self, k, **spec):
        self.name = "s%d" % k
        self.cluster = {4: "10.96.1.%d" % k, 6: "fd00:96::1:%x" % k}
        self.external = {4: "203.0.113.%d" % k, 6: "2001:db8:e::%x" % k}
        self.balancer = {4: "192.0.2.%d" % (100 + k), 6: "2001:db8:b::%x" % k}
        self.ports = {"tcp": 80, "udp": 53}
        self.node_ports = {"tcp": 30000 + k, "udp": 31000 + k}
        self.spec = spec

    def address(self, frontend, family, proto):
        if frontend == "node-port":
            return NODE[family], self.node_ports[proto]
        return getattr(self, frontend)[family], self.ports[proto]

    def objects(self, endpoints):
        """endpoints: [(pod's address, node, conditions)]"""
        o = service(self.name, list(self.cluster.values()),
                    [("http", self.ports["tcp"], "TCP"), ("dns", self.ports["udp"], "UDP")],
                    type="LoadBalancer", externalIPs=list(self.external.values()), **self.spec)
        for port, proto in zip(o["spec"]["ports"], ("tcp", "udp")):
            port["nodePort"] = self.node_ports[proto]
        o["status"] = {"loadBalancer": {"ingress": [{"ip": a} for a in self.balancer.values()]}}
        eps = [{"addresses": [a], "nodeName": node, "conditions": conditions}
               for a, node, conditions in endpoints]
        return [o] + [slice_of(self.name, part, TARGET) for part in (
            [e for e in eps if "." in e["addresses"][0]],
            [e for e in eps if ":" in e["addresses"][0]])]


FRONTENDS = ("cluster", "external", "balancer", "node-port")


class Case(unittest.TestCase):
    """What the tables go by; another mode's tests have other flags, state and marks."""
    pods = 3
    flags = FLAGS
    explains = True  # /explain knows this mode
    strays = True    # some of the addresses asked are nobody's
    marks = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-SEP-")  # of a service in the state

    def state(self, family):
        """What is programmed, as the mode's own tool shows it."""
        return self.n.save(family)

    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=cls.pods).__enter__()
        cls.addClassCleanup(cls.n.__exit__)
        # One refusal a second to each source is the kernel's default.
        for name in ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"):
            sh("ip", "netns", "exec", cls.n.node, "sysctl", "-q", "-w", name + "=0")

    def tearDown(self):
        self.n.stop()

    def run_with(self, objects):
        self.path = self.n.write("objects.json", objects)
        self.n.start("--manifest-path", self.path, *self.flags)

    def rewrite(self, objects):
        """Returns when what the manifest says now is programmed."""
        before = self.commits()
        self.n.write("objects.json", objects)
        self.n.wait("a commit", lambda: self.commits() > before)
        self.n.wait_idle()  # there may be several: for services, and for slices

    def commits(self):
        return self.n.audited().count("result ok")

    def endpoints(self, one, two):
        n = self.n
        return [(n.pod_ip(i, family), node, conditions)
                for i, node, conditions in ((0, "node-a", one), (1, "node-b", two))
                for family in (4, 6) if conditions is not None]

    def both(self):
        return self.endpoints(READY, READY)

    def port(self):
        """The port to ask from, 0: of the kernel's choice."""
        return 0

    def address_of(self, source, family):
        """Its only address; None: it is the node, which has several."""
        if source in self.n.pods:
            return self.n.pod_ip(self.n.pods.index(source), family)
        return CLIENT[family] if source == self.n.client else None

    def answer(self, source, family, to, proto, timeout, bind=None):
        """"podN" or "podN*" as in the table, "refused" or "dropped"."""
        said = ask(source, to, proto, timeout, bind, self.port())
        who, _, peer = said.partition(" ")
        if not peer or who == "error:":
            return {"timeout": "dropped"}.get(said, said)
        if peer == (NODE if who == "host" else MASQUERADED)[family]:
            return who + "*"
        return who if peer in (bind, self.address_of(source, family)) else \
            "%s from %s" % (who, peer)

    def answers(self, source, family, to, proto, want):
        """What comes until everything wanted was seen, and a little longer; and what the proxy
        says of it, if that is something else."""
        seen = set()
        timeout = 0.7 if want == {"dropped"} else patient(2)
        for i in range(60):
            seen.add(self.answer(source, family, to, proto, timeout))
            if seen in ({"dropped"}, {"refused"}) or (i >= 7 and seen >= want):
                break
        said = self.explained(source, family, to, proto) if self.explains and self.n.proc \
            else seen
        if said == {"passes"} and self.strays and not any(a.startswith("pod") for a in seen):
            return seen  # what the node itself and others do with it is theirs
        return seen if said == seen else seen | {"explained as " + " ".join(sorted(said))}

    def explained(self, source, family, to, proto):
        """The same as answers(), from /explain."""
        src = self.address_of(source, family)
        if src is None or to[0].startswith("127."):
            with ns_socket(source, family_of(to[0]), socket.SOCK_DGRAM) as s:
                s.connect(to)  # the kernel chooses the source
                src = s.getsockname()[0]
        path = "/explain?format=json&src=%s&dst=%s&port=%d&proto=%s" % (src, to[0], to[1], proto)
        answers = self.inspect(path)
        if len(answers) > 1:  # the interface counts, which an address does not tell
            way = sh("ip", "-n", self.n.node, "route", "get", src)
            answer, = self.inspect(path + "&in=" + re.search(r" dev (\S+)", way).group(1))
            self.assertIn(answer, [{k: v for k, v in a.items() if k != "if"} for a in answers])
        else:
            answer, = answers
        pods = {self.n.pod_ip(i, family): "pod%d" % (i + 1) for i in range(len(self.n.pods))}
        pods[NODE[family]] = "host"
        if answer["outcome"] != "translated":
            return {{"rejected": "refused"}.get(answer["outcome"], answer["outcome"])}
        if round(sum(e["percent"] for e in answer["endpoints"])) != 100:
            return {"shares of %s" % answer["endpoints"]}
        return {pods[e["address"].rpartition(":")[0].strip("[]")] + "*" * e["masqueraded"]
                for e in answer["endpoints"]}

    def inspect(self, path):
        status, body = self.n.inspect(path)
        self.assertEqual(status, 200, body)
        return json.loads(body)["answers"]

    def judge(self, checks):
        """checks: [(what, source, family, address, protocol, set wanted)], some at a time."""
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            got = list(pool.map(lambda c: self.answers(*c[1:]), checks))
        wrong = ["%s: %s and not %s" % (c[0], sorted(g), sorted(c[5]))
                 for c, g in zip(checks, got) if g != c[5]]
        if wrong:
            self.fail("%d of %d:\n%s" % (len(wrong), len(checks), "\n".join(wrong[:40])))


def ask(netns, to, proto, timeout, bind=None, port=0):
    """As Node.ask(), from an address or a port of the caller's choice."""
    with ns_socket(netns, family_of(to[0]), *KINDS[proto]) as s:
        s.settimeout(timeout)
        if bind is not None or port:
            s.bind((bind or "", port))
        try:
            s.connect(to)
            try:
                s.send(b"GET / HTTP/1.0\r\n\r\n")
            except PermissionError:
                pass  # refused or dropped on its way out of this very host
            data = s.recv(4096)
        except ConnectionRefusedError:
            return "refused"
        except (TimeoutError, socket.timeout):
            return "timeout"
        except OSError as e:
            return "error: %s" % e
    return data.decode().split("\r\n\r\n")[-1].strip()


class Policies(Case):
    """Source x address x policy x endpoints x family x protocol."""
    strays = False
    cluster_ip, external = CLUSTER_IP, EXTERNAL

    def objects(self):
        self.services = []
        objects = []
        for k, (internal, external, endpoints) in enumerate(POLICIES, 1):
            s = Service(k, internalTrafficPolicy=internal, externalTrafficPolicy=external)
            self.services.append((s, internal, external, endpoints))
            objects += s.objects(self.endpoints(*ENDPOINTS[endpoints]))
        return objects

    def checks(self, source_index, source):
        for s, internal, external, endpoints in self.services:
            for frontend, family, proto in itertools.product(FRONTENDS, (4, 6), ("tcp", "udp")):
                row = self.cluster_ip[internal, endpoints] if frontend == "cluster" else \
                    self.external[external, endpoints]
                want = row[source_index]
                if want == "refused" and source == self.n.node and \
                        frontend in ("external", "balancer"):
                    continue  # leaves the node: upstream hooks nothing here for its own packets
                what = "from %s, %s of internal %s, external %s, %s, IPv%d, %s" % (
                    source, frontend, internal, external, endpoints, family, proto)
                yield (what, source, family, s.address(frontend, family, proto), proto,
                       {want} if want in ("refused", "dropped") else set(want.split()))

    def test_every_row(self):
        n = self.n
        self.run_with(self.objects())
        for i, source in enumerate((n.client, n.pods[2], n.node, n.pods[0])):
            with self.subTest(source=("outside", "pod", "node", "endpoint")[i]):
                self.judge(list(self.checks(i, source)))

    def test_a_restart_writes_nothing(self):
        self.run_with(self.objects())
        before = self.commits()
        rules = self.state(4), self.state(6)
        self.n.start("--manifest-path", self.path, *self.flags)
        self.assertEqual(self.commits(), before)
        self.assertEqual((self.state(4), self.state(6)), rules)

    def test_a_policy_changes_live(self):
        n = self.n
        s = Service(1, internalTrafficPolicy="Cluster", externalTrafficPolicy="Cluster")
        self.run_with(s.objects(self.both()))
        to = s.address("node-port", 4, "tcp")
        self.assertEqual(self.answers(n.client, 4, to, "tcp", {"pod1*", "pod2*"}),
                         {"pod1*", "pod2*"})
        s.spec["externalTrafficPolicy"] = "Local"
        self.rewrite(s.objects(self.both()))
        self.assertEqual(self.answers(n.client, 4, to, "tcp", {"pod1"}), {"pod1"})
        self.rewrite(s.objects(self.endpoints(None, READY)))
        self.assertEqual(self.answers(n.client, 4, to, "tcp", {"dropped"}), {"dropped"})
        self.rewrite([])
        for family in (4, 6):
            for gone in self.marks + (str(to[1]),):
                self.assertNotIn(gone, self.state(family))

    def test_an_endpoint_that_is_the_node_itself(self):
        """What comes from outside stays in, and is not masqueraded on its way."""
        n = self.n
        n.endpoints.add(n.node, "host", n.PORT)
        s = Service(1)
        self.run_with(s.objects([(NODE[f], "node-a", READY) for f in (4, 6)]))
        self.judge([("%s of the node, from %s" % (frontend, source), source, f,
                     s.address(frontend, f, "tcp"), "tcp", {"host"})
                    for frontend in FRONTENDS[:2] for source in (n.client, n.pods[2])
                    for f in (4, 6)])

    def test_no_pods_are_known_without_local_detection(self):
        """Pods then come from outside like everybody; nothing to a cluster IP is masqueraded."""
        n = self.n
        s = Service(1, externalTrafficPolicy="Local")
        self.path = n.write("objects.json", s.objects(self.both()))
        n.start("--manifest-path", self.path, *(f for f in self.flags if "cidr" not in f))
        for family in (4, 6):
            to = s.address("external", family, "tcp")
            self.assertEqual(self.answers(n.pods[2], family, to, "tcp", {"pod1"}), {"pod1"})
            own = set(self.external["Local", "both"][2].split())
            self.assertEqual(self.answers(n.node, family, to, "tcp", own), own)
            to = s.address("cluster", family, "tcp")
            self.assertEqual(self.answers(n.client, family, to, "tcp", {"pod1", "pod2"}),
                             {"pod1", "pod2"})


class SourceRanges(Case):
    strays = False

    def test_ranges(self):
        n = self.n
        out4, out6 = CLIENT[4] + "/32", CLIENT[6] + "/128"
        cases = [
            # ranges                                 client 4  client 6  pod 4  pod 6
            ([" %s " % out4, out6],                  "yynn"),
            (["10.244.0.0/16", "fd00:244::/32"],     "nnyy"),
            ([out4],                                 "yyny"),  # no range of IPv6: no limit there
            (["0.0.0.0/0", "::/0", "10.9.9.9/32"],   "yyyy"),
            ([out4, "::/0", "fd00::/8"],             "yyny"),
            (["198.51.100.99/24", "2001:db8::/31"],  "yynn"),  # host bits do not count
        ]
        services = [Service(k, loadBalancerSourceRanges=ranges)
                    for k, (ranges, _) in enumerate(cases, 1)]
        self.run_with([o for s in services for o in s.objects(self.both())])
        checks = []
        for s, (ranges, allowed) in zip(services, cases):
            for mark, (source, family) in zip(
                    allowed, itertools.product((n.client, n.pods[2]), (4, 6))):
                for frontend, proto in itertools.product(FRONTENDS[1:], ("tcp", "udp")):
                    open_ = mark == "y" or frontend != "balancer"
                    checks.append(("%s of %s from %s, IPv%d, %s" % (
                        frontend, ranges, source, family, proto), source, family,
                        s.address(frontend, family, proto), proto,
                        {"pod1*", "pod2*"} if open_ else {"dropped"}))
        self.judge(checks)

    def test_policy_local_behind_ranges(self):
        n = self.n
        s = Service(1, externalTrafficPolicy="Local",
                    loadBalancerSourceRanges=["198.51.100.0/24", "2001:db8:1::/64"])
        self.run_with(s.objects(self.both()))
        checks = []
        for family in (4, 6):
            to = s.address("balancer", family, "tcp")
            checks += [("allowed", n.client, family, to, "tcp", {"pod1"}),
                       ("denied", n.pods[2], family, to, "tcp", {"dropped"})]
        self.judge(checks)

    def test_ranges_count_before_no_endpoints(self):
        """Who is outside the ranges is not even told that there is no endpoint."""
        n = self.n
        ranges = [CLIENT[4] + "/32", CLIENT[6] + "/128"]
        none, ended, local, four, open_ = (
            Service(1, loadBalancerSourceRanges=ranges),
            Service(2, loadBalancerSourceRanges=ranges, externalTrafficPolicy="Local"),
            Service(3, loadBalancerSourceRanges=ranges, externalTrafficPolicy="Local"),
            Service(4, loadBalancerSourceRanges=ranges[:1]),
            Service(5, loadBalancerSourceRanges=["0.0.0.0/0", "::/0"] + ranges))
        self.run_with(none.objects([]) + ended.objects(self.endpoints(ENDED, ENDED)) +
                      local.objects(self.endpoints(None, READY)) + four.objects([]) +
                      open_.objects([]))
        checks = []
        for s, what, frontend, family, proto in itertools.product(
                (none, ended, local, four, open_), ("inside", "outside"), FRONTENDS[1:], (4, 6),
                ("tcp", "udp")):
            limited = frontend == "balancer" and s != open_ and (s != four or family == 4)
            want = "dropped" if limited and what == "outside" else "refused"
            if s == local:  # endpoints there are: dropped from outside, pods reach them
                want = "dropped" if limited or what == "inside" else "pod2"
            checks.append(("%s of %s from %s the ranges, IPv%d, %s" % (
                frontend, s.name, what, family, proto),
                n.client if what == "inside" else n.pods[2], family,
                s.address(frontend, family, proto), proto, {want}))
        self.judge(checks)
        # An endpoint comes, and goes.
        self.rewrite(none.objects(self.both()))
        for want in ({"pod1*", "pod2*"}, {"refused"}):
            self.judge([("client", n.client, f, none.address("balancer", f, "tcp"), "tcp", want)
                        for f in (4, 6)] +
                       [("pod", n.pods[2], f, none.address("balancer", f, "tcp"), "tcp",
                         {"dropped"}) for f in (4, 6)])
            if want != {"refused"}:
                self.rewrite(none.objects([]))

    def test_the_node_where_the_address_is_its_own(self):
        """Some balancers give the node their address: it then talks to itself from there."""
        n = self.n
        s = Service(1, loadBalancerSourceRanges=["198.51.100.0/24", "2001:db8:1::/64"])
        objects = s.objects(self.both())
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"},
                "status": {"addresses": [{"type": "InternalIP", "address": a}
                                         for a in NODE.values()]}}
        for family, bits in ((4, 32), (6, 128)):
            own = "%s/%d" % (s.balancer[family], bits)
            sh("ip", "-n", n.node, "addr", "add", own, "dev", "lo")
            self.addCleanup(sh, "ip", "-n", n.node, "addr", "del", own, "dev", "lo")
        to = {family: s.address("balancer", family, "tcp") for family in (4, 6)}
        self.run_with(objects)
        self.judge([("an unknown node", n.node, f, to[f], "tcp", {"dropped"}) for f in (4, 6)])
        self.rewrite(objects + [node])
        self.judge([("its range", n.node, f, to[f], "tcp", {"pod1*", "pod2*"}) for f in (4, 6)])
        s.spec["loadBalancerSourceRanges"] = ["198.51.100.2/32", "2001:db8:1::2/128"]
        self.rewrite(s.objects(self.both()) + [node])
        self.judge([("others' range", n.node, f, to[f], "tcp", {"dropped"}) for f in (4, 6)])
        # The same where nobody serves: the node is told so, or nothing.
        self.rewrite(s.objects([]) + [node])
        self.judge([("others' range", n.node, f, to[f], "tcp", {"dropped"}) for f in (4, 6)])
        s.spec["loadBalancerSourceRanges"] = ["198.51.100.0/24", "2001:db8:1::/64"]
        self.rewrite(s.objects([]) + [node])
        self.judge([("its range", n.node, f, to[f], "tcp", {"refused"}) for f in (4, 6)])

    def test_a_balancer_that_proxies_gets_its_packets(self):
        s = Service(1)
        objects = s.objects(self.both())
        objects[0]["status"]["loadBalancer"]["ingress"][0]["ipMode"] = "Proxy"
        self.run_with(objects)
        self.assertNotIn(s.balancer[4], self.state(4))
        self.assertIn(s.balancer[6], self.state(6))


class Affinity(Case):
    CLIENTS = {4: ["198.51.100.%d" % i for i in range(10, 34)],
               6: ["2001:db8:1::%x" % i for i in range(0x10, 0x28)]}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for a in cls.CLIENTS[4]:
            sh("ip", "-n", cls.n.client, "addr", "add", a + "/24", "dev", "eth0")
        for a in cls.CLIENTS[6]:
            sh("ip", "-n", cls.n.client, "addr", "add", a + "/64", "dev", "eth0", "nodad")

    def affine(self, seconds, **spec):
        return Service(1, sessionAffinity="ClientIP",
                       sessionAffinityConfig={"clientIP": {"timeoutSeconds": seconds}}, **spec)

    def three(self, *without):
        return [(self.n.pod_ip(i, family), "node-a", READY)
                for i in range(3) if i not in without for family in (4, 6)]

    def choices(self, to, proto="tcp"):
        """Whom each client reaches."""
        family = 6 if ":" in to[0] else 4
        return [self.answer(self.n.client, family, to, proto, patient(2), bind=a).rstrip("*")
                for a in self.CLIENTS[family]]

    def test_clients_stick_each_to_its_endpoint(self):
        s = self.affine(10800)
        self.run_with(s.objects(self.three()))
        for frontend, family, proto in itertools.product(FRONTENDS, (4, 6), ("tcp", "udp")):
            with self.subTest(frontend=frontend, family=family, proto=proto):
                to = s.address(frontend, family, proto)
                first = self.choices(to, proto)
                self.assertEqual(set(first) | {"pod1", "pod2", "pod3"}, {"pod1", "pod2", "pod3"})
                self.assertGreater(len(set(first)), 1)
                self.assertEqual(self.choices(to, proto), first)
                again = {self.answer(self.n.client, family, to, proto, patient(2),
                                     bind=self.CLIENTS[family][0]).rstrip("*") for _ in range(20)}
                self.assertEqual(again, {first[0]})

    def test_an_endpoint_that_leaves_loses_its_clients(self):
        s = self.affine(10800)
        self.run_with(s.objects(self.three()))
        for family in (4, 6):
            to = s.address("cluster", family, "tcp")
            first = self.choices(to)
            gone = int(first[0][3:]) - 1
            self.rewrite(s.objects(self.three(gone)))
            second = self.choices(to)
            self.assertNotIn(first[0], second)
            self.assertEqual(self.choices(to), second)
            for before, after in zip(first, second):
                if before != first[0]:
                    self.assertEqual(before, after)
            self.rewrite(s.objects(self.three()))

    def until_expired(self):
        """Waits for the end of each client's affinity, which was kept until then. Returns the
        addresses asked, and whom the clients reached before, by family."""
        for seconds in (4, 20, 100):
            s = self.affine(seconds)
            self.run_with(s.objects(self.three()))
            to = {family: s.address("external", family, "tcp") for family in (4, 6)}
            first = {4: self.choices(to[4])}
            began = time.monotonic()
            first[6] = self.choices(to[6])
            again = self.choices(to[6])
            if time.monotonic() - began < seconds:  # else it was over before they asked again
                self.assertEqual(again, first[6])
                time.sleep(seconds + 1)
                return to, first
        self.fail("48 questions took %d s" % seconds)

    def test_affinity_expires(self):
        to, first = self.until_expired()
        # 24 clients that choose among three anew: all of them alike once in 3^24 times
        for family in (4, 6):
            self.assertNotEqual(self.choices(to[family]), first[family])

    def test_each_port_has_its_own_clients(self):
        """24 clients that choose among three for a second port: all as before once in 3^24 times."""
        s = self.affine(10800)
        self.run_with(s.objects(self.three()))
        for family in (4, 6):
            self.assertNotEqual(self.choices(s.address("cluster", family, "tcp")),
                                self.choices(s.address("cluster", family, "udp"), "udp"))

    def test_policy_local_and_affinity(self):
        s = self.affine(10800, externalTrafficPolicy="Local")
        self.run_with(s.objects(self.three()[:4] + [(self.n.pod_ip(2), "node-b", READY)]))
        first = self.choices(s.address("node-port", 4, "tcp"))
        self.assertEqual(set(first), {"pod1", "pod2"})
        self.assertEqual(self.choices(s.address("balancer", 4, "tcp")), first)


class HealthPort(Case):
    pods = 2

    def test_a_host_firewall_lets_it_pass(self):
        n = self.n
        s = Service(1, externalTrafficPolicy="Local", healthCheckNodePort=32100)
        for port in (32100, 32101):
            n.endpoints.add(n.node, "node", port)
        for tool in ("iptables-legacy", "ip6tables-legacy"):
            sh("ip", "netns", "exec", n.node, tool, "-A", "INPUT", "-p", "tcp",
               "--dport", "32100:32101", "-j", "DROP")
        self.run_with(s.objects(self.both()))
        for family in (4, 6):
            said = ask(n.client, (NODE[family], 32100), "tcp", patient(2))
            self.assertEqual(said, "node " + CLIENT[family])
            self.assertEqual(ask(n.client, (NODE[family], 32101), "tcp", 0.7), "timeout")


class DryRun(Case):
    def everything(self):
        objects = []
        for k, (local, spec) in enumerate(itertools.product((True, False), (
                {"externalTrafficPolicy": "Local", "healthCheckNodePort": 32200},
                {"internalTrafficPolicy": "Local"},
                {"sessionAffinity": "ClientIP"},
                {"loadBalancerSourceRanges": ["10.0.0.0/8", "fd00::/8"]})), 1):
            one = READY if local else None
            objects += Service(k, **spec).objects(self.endpoints(one, READY))
        return objects + Service(20).objects([])

    def plan(self):
        return subprocess.run(
            ["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"), "--dry-run",
             "--hostname-override=node-a", "--manifest-path", self.path, *self.flags], text=True,
            check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=patient(30)).stdout

    def test_the_plan_is_what_gets_programmed(self):
        self.run_with(self.everything())
        plan = self.plan()
        for family, part in zip((4, 6), plan.split("# IPv6")):
            for table in ("nat", "filter"):
                rules = part.split("*%s\n" % table)[1].split("COMMIT")[0]
                self.assertEqual(by_chain(rules), by_chain(self.n.save(family, table)))


def by_chain(text):
    """{chain: its rules in their order}"""
    chains = {}
    for line in text.splitlines():
        if line.startswith("-A"):
            chains.setdefault(line.split()[1], []).append(line)
    return chains


if __name__ == "__main__":
    unittest.main()
