"""
Two Services that ask for the same frontend, in every way: by each kind of address, created one before the other or
in the same second, the one or the other known first. Who should have it is told by packets; then the winner goes.
"""
import collections
import os
import unittest

import test_ownership as base
from harness import Node, service, slice_of

TAKES = 30
NODE = "198.51.100.1"  # the node's address, where node ports answer
RESERVED = [22, 2380, 10250]
NODE_PORTS, OUTSIDE, CLUSTER = (NODE, 30000), ("203.0.113.%d", 80), ("10.97.5.%d", 80)
RANK = ("cluster IP", "node port", "load-balancer IP", "external IP")
PLACES = {NODE_PORTS: RANK[1:], OUTSIDE: RANK[2:], CLUSTER: (RANK[0], RANK[2], RANK[3])}
AGES = {"the first": (1, 2, "ab"), "the second": (2, 1, "ab"), "together, the first by UID": (1, 1, "ab"),
        "together, the second by UID": (1, 1, "ba")}

# ADDRESS and PORT are what Services number 0 and 1 ask for, as KINDS; AGE is who was created first. LATE comes later.
Case = collections.namedtuple("Case", "number address port kinds age late")


def cases():
    found = []
    for (address, port), kinds in PLACES.items():
        for pair in ((a, b) for a in kinds for b in kinds):
            if RANK[0] not in pair and address == CLUSTER[0]:
                continue  # nobody has it as its ClusterIP
            for age in AGES:
                for late in (0, 1):
                    i = len(found)
                    found.append(Case(i, address % i if "%" in address else address,
                                      port + i if address == NODE else port, pair, age, late))
    return found


def name(case, i):
    """By the alphabet the other one would have it half of the time."""
    return "%s%d" % (("a", "b")[(i + case.number // 2) % 2], case.number)


def created(case, i):
    return "2026-01-01T00:00:0%dZ" % AGES[case.age][i]


def uid(case, i):
    return "%s0000000-0000-4000-8000-%012d" % (AGES[case.age][2][i], case.number)


def winner(case):
    return min((0, 1), key=lambda i: (RANK.index(case.kinds[i]), created(case, i), uid(case, i)))


class Rank(unittest.TestCase):
    modes = base.Ownership.modes
    maxDiff = None

    def objects(self, case, i):
        """Service number I of the case, which leads to pod I + 1."""
        kind, port = case.kinds[i], Node.PORT
        own = "10.98.%d.%d" % (i, case.number)
        ports = [("p", case.port if kind != "node port" else 80, "TCP")]
        s = service(name(case, i), [case.address if kind == "cluster IP" else own], ports)
        s["metadata"].update(creationTimestamp=created(case, i), uid=uid(case, i))
        if kind == "node port":
            s["spec"].update(type="NodePort")
            s["spec"]["ports"][0]["nodePort"] = case.port
        elif kind == "external IP":
            s["spec"]["externalIPs"] = [case.address]
        elif kind == "load-balancer IP":
            s["spec"].update(type="LoadBalancer", allocateLoadBalancerNodePorts=False)
            s["status"] = {"loadBalancer": {"ingress": [{"ip": case.address}]}}
        return [s, slice_of(name(case, i), [self.n.pod_ip(i)], [("p", port, "TCP")])]

    def reserved(self):
        """Two Services that ask for ports which the node needs, at its address and at another."""
        objects = []
        for i, kind in enumerate(("external IP", "load-balancer IP")):
            wants, who = [NODE, "203.0.113.25%d" % i], "reserved%d" % i
            s = service(who, ["10.99.0.%d" % (i + 1)], [("p%d" % p, p, "TCP") for p in RESERVED + [440 + i]])
            if kind == "external IP":
                s["spec"]["externalIPs"] = wants
            else:
                s["status"] = {"loadBalancer": {"ingress": [{"ip": a} for a in wants]}}
            objects += [s, slice_of(who, [self.n.pod_ip(0)], [("p%d" % p, Node.PORT, "TCP")
                                                              for p in RESERVED + [440 + i]])]
        return objects

    def check_reserved(self):
        who = lambda address, port: self.n.ask(self.n.client, address, port, timeout=0.7).split(" ")[0]
        for i in range(2):
            for port in RESERVED:
                self.assertNotIn("pod", who(NODE, port))
                self.assertEqual(who("203.0.113.25%d" % i, port), "pod1")
            self.assertEqual(who(NODE, 440 + i), "pod1")
            self.assertIn("refused: the node needs this port", self.n.inspect("/services?name=reserved%d" % i)[1])

    def wrong(self, all_cases, expected):
        """Those whose frontend does not lead to the Service that EXPECTED says."""
        wrong = []
        for case in all_cases:
            said = self.n.ask(self.n.client, case.address, case.port).split(" ")[0]
            if said != "pod%d" % (expected(case) + 1):
                wrong.append("%s: %s" % (case, said))
        return wrong

    def check(self, all_cases, expected):
        """Waits for what was put last; what was put in one go need not come in one."""
        try:
            self.n.wait("every case", lambda: not self.wrong(all_cases, expected))
        except AssertionError:
            self.assertEqual(self.wrong(all_cases, expected), [])
            raise

    def check_told(self, case):
        """Who lost, to whom and why."""
        first, last = name(case, winner(case)), name(case, 1 - winner(case))
        kinds = case.kinds[winner(case)], case.kinds[1 - winner(case)]
        why = "default/%s has it as its %s, and " % (first, kinds[0])
        if kinds[0] != kinds[1]:
            why += "that comes first"
        else:
            why += "is first by UID" if case.age.startswith("together") else "was created first"
        if kinds[0] == "cluster IP" != kinds[1]:
            why = "it is the ClusterIP of default/" + first
        said = self.n.inspect("/services?namespace=default&name=" + last)[1]
        self.assertIn("refused: " + why, said)
        said = self.n.inspect("/explain?src=198.51.100.2&dst=%s&port=%d" % (case.address, case.port))[1]
        self.assertIn("service: default/" + first, said)
        self.assertIn("service: default/%s  kind: %s  because: %s" % (last, kinds[1], why), said)
        self.assertEqual(self.n.logged().count("service default/%s: " % last), 1)

    def life(self, mode):
        all_cases = cases()
        flags = ["--proxy-mode=" + mode, "--nodeport-addresses=%s/32" % NODE, "--iptables-min-sync-period=0s",
                 "--ipvs-min-sync-period=0s"]
        self.begin(flags, [o for c in all_cases for o in self.objects(c, 1 - c.late)] + self.reserved())
        self.check(all_cases, lambda c: 1 - c.late)
        self.put([o for c in all_cases for o in self.objects(c, c.late)])
        self.check(all_cases, winner)
        for case in all_cases[::13]:
            self.check_told(case)
        self.check_reserved()
        refused = len(all_cases) + 2 * len(RESERVED)
        self.assertIn("kubeproxy_refused_frontends %d\n" % refused, self.n.inspect("/metrics")[1])
        for case in all_cases[::7]:  # the other addresses of those who lost
            if case.kinds[1 - winner(case)] != "cluster IP":
                address = "10.98.%d.%d" % (1 - winner(case), case.number)
                port = 80 if case.kinds[1 - winner(case)] == "node port" else case.port
                self.assertEqual(self.n.ask(self.n.client, address, port).split(" ")[0], "pod%d" % (2 - winner(case)))
        self.remove([name(c, winner(c)) for c in all_cases])
        self.check(all_cases, lambda c: 1 - winner(c))
        self.check_reserved()
        self.assertIn("kubeproxy_refused_frontends %d\n" % (2 * len(RESERVED)), self.n.inspect("/metrics")[1])
        self.n.stop()
        return len(all_cases) + 2 * (2 * len(RESERVED) + 1)

    def begin(self, flags, objects):
        self.all = list(objects)
        self.n.start("--manifest-path", self.written(), *flags)

    def written(self):
        return self.n.write("objects.json", self.all)

    def put(self, objects):
        self.all += objects
        self.written()

    def remove(self, names):
        gone = set(names)
        self.all = [o for o in self.all if o["metadata"].get("labels", {}).get(
            "kubernetes.io/service-name", o["metadata"]["name"]) not in gone]
        self.written()

    def test_matrix(self):
        for mode in self.modes:
            with self.subTest(mode=mode), Node(pods=2) as self.n:
                print("    %s mode: %d cases, 0 wrong" % (mode, self.life(mode)), flush=True)


class FromApiserver(unittest.TestCase):
    """The age of a Service comes with it from a server, in either encoding."""

    def test_age(self):
        with Node(pods=2) as n:
            for i, encoding in enumerate(("application/json", "application/vnd.kubernetes.protobuf")):
                with self.subTest(encoding=encoding):
                    self.age(n, i, encoding)

    def age(self, n, i, encoding):
        api = base.stub(n)
        for k, (who, at) in enumerate((("a", "2026-01-02T00:00:00Z"), ("b", "2026-01-01T00:00:00Z"))):
            s = service(who, ["10.96.0.%d" % (k + 1)], [("p", 80, "TCP")], externalIPs=["203.0.113.1"])
            s["metadata"]["creationTimestamp"] = at
            api.put(s)
            api.put(slice_of(who, [n.pod_ip(k)], [("p", Node.PORT, "TCP")]))
        n.start("--kubeconfig", os.path.join(n.dir, "kubeconfig"), "--proxy-mode=iptables",
                "--kube-api-content-type=" + encoding)
        self.assertEqual(n.ask(n.client, "203.0.113.1", 80).split(" ")[0], "pod2")
        n.stop()
        api.close()


if __name__ == "__main__":
    unittest.main()
