"""ipvs mode: the packets of the other modes' tests, from the same tables of cases."""
import itertools
import json
import os
import re
import subprocess

import test_sctp
import test_service_packets as cases
from harness import BUILD, sh
from limits import patient

TAKES = 300  # seconds on an idle machine

# An address has one list of real servers, whoever asks: with the policy Local that of this node's
# endpoints, and only where there are none, that of all for those who may reach them. What the node
# itself sends is translated before a filter could drop it.
CLUSTER_IP = dict(cases.CLUSTER_IP) | {
    ("Local", "remote"):          ("dropped", "dropped", "refused", "dropped"),
    ("Local", "local-ended"):     ("dropped", "dropped", "refused", "dropped"),
}
EXTERNAL = dict(cases.EXTERNAL) | {
    ("Local", "both"):            ("pod1", "pod1", "pod1*", "pod1*"),
    ("Local", "local-ending"):    ("pod1", "pod1", "pod1*", "pod1*"),
    ("Local", "both-ending"):     ("pod1", "pod1", "pod1*", "pod1*"),
}
# Below those of the kernel's choice, above those that the proxy listens on.
PORTS = itertools.cycle(range(11000, 30000))


class Ipvs:
    """What the cases go by in this mode."""
    flags = cases.FLAGS + ["--proxy-mode=ipvs", "--ipvs-min-sync-period=0s"]
    cluster_ip, external = CLUSTER_IP, EXTERNAL
    strays = False
    marks = ("10.96.1.", "fd00:96::1:")

    def port(self):
        """
        None twice. IPVS finds the connection of an endpoint's answer by client, its port, and the
        endpoint alone (ip_vs_conn_out_get()): of two at a time from one port, by two addresses of
        a service, the older one hears no more (test_ipvs.py shows it). The kernel's own choice may
        be the port of another connection, since the addresses asked differ.
        """
        return next(PORTS)

    def inside(self, *command, **kw):
        return sh("ip", "netns", "exec", self.n.node, *command, **kw)

    def state(self, family):
        """Virtual servers, addresses, entries of ipsets, rules; not in the order of hash tables."""
        servers = [l for l in self.inside("ipvsadm", "-Sn").splitlines()
                   if ("[" in l) == (family == 6)]
        prefix = "KUBE-6-" if family == 6 else "KUBE-"
        sets = [l for l in self.inside("ipset", "save").splitlines()
                if l.split()[1].startswith(prefix) and (family == 6 or "KUBE-6-" not in l)]
        addresses = re.findall(r"(kube-ipvs0 .*?) scope", self.inside(
            "ip", "-o", "-%d" % family, "addr", "show", "dev", "kube-ipvs0"))
        return "\n".join(sorted(servers) + sorted(addresses) + sorted(sets) +
                         [self.n.save(family)])


class Policies(Ipvs, cases.Policies):
    # so that the differences are not put right while they are still being made
    flags = Ipvs.flags + ["--ipvs-sync-period=45s"]

    def get(self, path):
        status, text = self.n.inspect(path + "?format=json")
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def test_services_and_differences(self):
        """What is said of the services, and of what others do to them, which is put right."""
        n = self.n
        s = cases.Service(50)  # of which no other test has left connections
        self.run_with(s.objects(self.both()))
        self.judge([("a port that it has not, from " + source, source, family, (address, 81), proto,
                     {"refused"}) for source in (n.client, n.pods[2], n.node) for family in (4, 6)
                    for address in (s.cluster[family], s.balancer[family])
                    for proto in ("tcp", "udp")])
        said = self.get("/services")
        servers = re.findall(r"^-A -(\w) (\S+) -s (\w+)$", self.inside("ipvsadm", "-Sn"), re.M)
        for p in said["services"]:
            self.assertEqual({(p["protocol"][0], f["address"], f["scheduler"])
                              for f in p["frontends"]},
                             {v for v in servers if v[0] == p["protocol"][0] and
                              ("[" in v[1]) == (p["family"] == "IPv6")})
            self.assertEqual({f["realServers"] for f in p["frontends"]}, {2})
            for f in p["frontends"]:
                f.pop("leaving", None)  # another test's endpoints, which the next answer knows not
        self.assertEqual([p["service"] for p in said["services"]],
                         ["default/s50:" + port for port in ("dns", "http") for f in (4, 6)])
        printed = subprocess.run(
            ["ip", "netns", "exec", n.node, os.path.join(BUILD, "kube-proxy"),
             "--inspect=/services?format=json", "--hostname-override=node-a",
             "--manifest-path", self.path, *self.flags], check=True, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=patient(30)).stdout
        self.assertEqual(json.loads(printed), said)

        before = self.state(4), self.state(6)
        self.assertEqual(self.get("/diff")["differences"], [])
        foreign = "-A -t 192.0.2.77:80 -s wlc"
        self.inside("ipvsadm", "-R", input="%s\n-D -u %s:53\n-d -t [%s]:80 -r [%s]:8080\n" % (
            foreign, s.cluster[4], s.cluster[6], n.pod_ip(1, 6)))
        self.addCleanup(self.inside, "ipvsadm", "-D", "-t", "192.0.2.77:80")
        self.inside("ipset", "del", "KUBE-EXTERNAL-IP", s.external[4] + ",tcp:80")
        port = str(s.node_ports["tcp"])  # by which alone its virtual servers are known as ours
        self.inside("ipset", "del", "KUBE-NODE-PORT-TCP", port)
        self.inside("ipset", "add", "KUBE-NODE-PORT-UDP", "31999")
        self.inside("ip", "addr", "del", s.balancer[4] + "/32", "dev", "kube-ipvs0")
        self.inside("iptables-legacy", "-F", "KUBE-IPVS-FILTER")
        of = {"of": "default/s50"}
        server = {"is": "missing", "server": "-u %s:53" % s.cluster[4]} | of
        want = [
            {"is": "changed", "family": "IPv4", "table": "filter", "chain": "KUBE-IPVS-FILTER"},
            {"is": "missing", "ipset": "KUBE-EXTERNAL-IP", "entry": s.external[4] + ",tcp:80"} | of,
            {"is": "missing", "ipset": "KUBE-NODE-PORT-TCP", "entry": port},
            {"is": "missing", "interface": "kube-ipvs0", "address": s.balancer[4]}, server,
            *(server | {"real": n.pod_ip(i) + ":8080"} for i in (0, 1)),
            {"is": "missing", "server": "-t [%s]:80" % s.cluster[6],
             "real": "[%s]:8080" % n.pod_ip(1, 6)} | of,
            {"is": "too many", "ipset": "KUBE-NODE-PORT-UDP", "entry": "31999"}]
        found = self.get("/diff")
        self.assertEqual((found["differences"], found["count"]), (want, len(want)))
        n.wait("the repair", lambda: (self.state(4).replace(foreign + "\n", ""), self.state(6)) ==
               before)
        self.assertIn("nothing differs", self.get("/diff")["meaning"])
        self.assertIn(foreign, self.state(4))
        self.rewrite(s.objects(self.endpoints(None, cases.READY)))
        self.judge([("a node port after all that", n.client, f, s.address("node-port", f, "tcp"),
                     "tcp", {"pod2*"}) for f in (4, 6)])


class SourceRanges(Ipvs, cases.SourceRanges):
    def test_the_node_where_the_address_is_its_own(self):
        """It is one of kube-ipvs0 anyway, and no filter sees what the node says to itself."""
        s = cases.Service(1, loadBalancerSourceRanges=["203.0.113.0/24", "2001:db8:f::/64"])
        self.run_with(s.objects(self.both()))
        self.judge([("itself", self.n.node, f, s.address("balancer", f, "tcp"), "tcp",
                     {"pod1*", "pod2*"}) for f in (4, 6)])


class Affinity(Ipvs, cases.Affinity):
    def test_affinity_expires(self):
        """The kernel remembers a client while it has connections of it, minutes after the last."""
        s = self.affine(4)
        self.run_with(s.objects(self.three()))
        servers = re.findall(r"^-A .*", self.inside("ipvsadm", "-Sn"), re.M)
        self.assertGreater(len(servers), 11)
        for line in servers:
            self.assertIn(" -p 4", line)


class Sctp(Ipvs, test_sctp.Sctp):
    def test_an_association_outlives_its_service(self):
        """It is its endpoint that it outlives here: without a virtual server nothing is known."""
        n = self.n
        s = test_sctp.Service(1)
        self.run_with(s.objects(self.endpoints(cases.READY, None)))
        with cases.ns_socket(n.client, cases.socket.AF_INET, *cases.KINDS["sctp"]) as held:
            held.settimeout(patient(5))
            held.connect(s.address("external", 4, "sctp"))
            self.rewrite(s.objects(self.endpoints(None, cases.READY)))
            held.send(b"GET / HTTP/1.0\r\n\r\n")
            self.assertRegex(held.recv(4096), b"pod1 ")
