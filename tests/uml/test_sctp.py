"""SCTP associations through services, by the cases that TCP and UDP are judged by elsewhere."""
import itertools
import unittest

import test_service_packets as cases
from harness import Node, sh
from limits import patient

TAKES = 60  # seconds on an idle machine

# internal and external policy, endpoints
POLICIES = [("Cluster", "Cluster", "both"), ("Local", "Local", "both"),
            ("Cluster", "Local", "remote"), ("Cluster", "Cluster", "none")]


class Service(cases.Service):
    """... with a port of SCTP beside the others, of the same number as the one of TCP."""

    def __init__(self, k, **spec):
        super().__init__(k, **spec)
        self.ports["sctp"] = self.ports["tcp"]
        self.node_ports["sctp"] = self.node_ports["tcp"]

    def objects(self, endpoints):
        objects = super().objects(endpoints)
        objects[0]["spec"]["ports"].append(
            {"name": "sig", "port": self.ports["sctp"], "protocol": "SCTP",
             "nodePort": self.node_ports["sctp"]})
        for s in objects[1:]:
            s["ports"].append({"name": "sig", "port": Node.PORT, "protocol": "SCTP"})
        return objects


class Sctp(cases.Case):
    cluster_ip, external = cases.CLUSTER_IP, cases.EXTERNAL

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for i, ns in enumerate(cls.n.pods):
            cls.n.endpoints.add(ns, "pod%d" % (i + 1), Node.PORT, kinds=("sctp",))
        # A handshake takes longer than the kernel's 3 s on a busy machine: its flow would be forgotten.
        for state in ("cookie_wait", "cookie_echoed"):
            sh("ip", "netns", "exec", cls.n.node, "sysctl", "-qw",
               "net.netfilter.nf_conntrack_sctp_timeout_%s=60" % state)

    def test_policies(self):
        n = self.n
        services = [(Service(k, internalTrafficPolicy=i, externalTrafficPolicy=x), i, x, e)
                    for k, (i, x, e) in enumerate(POLICIES, 1)]
        self.run_with([o for s, _, _, e in services
                       for o in s.objects(self.endpoints(*cases.ENDPOINTS[e]))])
        for i, source in enumerate((n.client, n.pods[2], n.node, n.pods[0])):
            checks = []
            for (s, internal, external, e), frontend, family in itertools.product(
                    services, cases.FRONTENDS, (4, 6)):
                row = self.cluster_ip[internal, e] if frontend == "cluster" else \
                    self.external[external, e]
                if row[i] == "refused" and source == n.node and frontend in ("external", "balancer"):
                    continue  # leaves the node, as upstream has it
                what = "from %s, %s of internal %s, external %s, %s, IPv%d" % (
                    source, frontend, internal, external, e, family)
                checks.append((what, source, family, s.address(frontend, family, "sctp"), "sctp",
                               set(row[i].split())))
            with self.subTest(source=("outside", "pod", "node", "endpoint")[i]):
                self.judge(checks)

    def test_ports_of_one_number(self):
        """TCP and SCTP of one address and port are two service ports."""
        n = self.n
        s = Service(1)
        objects = s.objects(self.both())
        for o in objects[1:]:
            for port in o["ports"]:
                port["port"] = 9 if port["protocol"] == "TCP" else port["port"]
        self.run_with(objects)
        for family in (4, 6):
            to = s.address("cluster", family, "sctp")
            self.assertEqual(self.answers(n.client, family, to, "sctp", {"pod1*", "pod2*"}),
                             {"pod1*", "pod2*"})
            self.assertEqual(self.answer(n.client, family, to, "tcp", patient(2)), "refused")  # by the pod

    def test_affinity(self):
        n = self.n
        s = Service(1, sessionAffinity="ClientIP")
        self.run_with(s.objects(self.both()))
        for family in (4, 6):
            to = s.address("cluster", family, "sctp")
            self.assertEqual(len({self.answer(n.client, family, to, "sctp", 5)
                                  for _ in range(12)}), 1)

    def test_an_association_outlives_its_service(self):
        """... and goes on when all rules have changed under it."""
        n = self.n
        s = Service(1)
        self.run_with(s.objects(self.both()))
        with cases.ns_socket(n.client, cases.socket.AF_INET, *cases.KINDS["sctp"]) as held:
            held.settimeout(patient(5))
            held.connect(s.address("external", 4, "sctp"))
            self.rewrite([])
            held.send(b"GET / HTTP/1.0\r\n\r\n")
            self.assertRegex(held.recv(4096), b"pod[12] ")


if __name__ == "__main__":
    unittest.main()
