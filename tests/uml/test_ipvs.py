"""ipvs mode: what the kernel is given, what leaves gracefully, what is others' and stays, and what is
left behind."""
import os
import re
import socket
import subprocess
import unittest
from unittest import mock

import test_service_packets as cases
from harness import BUILD, KINDS, Node, ns_socket, service, slice_of
from limits import patient
from test_ipvs_packets import PORTS, Ipvs

TAKES = 300  # seconds on an idle machine

VS = "/proc/sys/net/ipv4/vs/"
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf")
ARP = "/proc/sys/net/ipv4/conf/all/arp_%s"
TIMEOUTS = "(tcp tcpfin udp): %d %d %d"
SETS = {
    "hash:ip": "IPVS-IPS",
    "hash:ip,port,ip": "LOOP-BACK",
    "hash:ip,port": "CLUSTER-IP EXTERNAL-IP EXTERNAL-IP-LOCAL LOAD-BALANCER LOAD-BALANCER-LOCAL "
                    "LOAD-BALANCER-FW NODE-PORT-SCTP-HASH NODE-PORT-LOCAL-SCTP-HASH",
    "hash:ip,port,net": "LOAD-BALANCER-SOURCE-CIDR",
    "bitmap:port": "NODE-PORT-TCP NODE-PORT-UDP NODE-PORT-LOCAL-TCP NODE-PORT-LOCAL-UDP "
                   "HEALTH-CHECK-NODE-PORT",
}
# Another program's: at no address of ours, and at a ClusterIP of an excluded prefix.
FOREIGN = ["-A -t 192.0.2.77:80 -s wlc", "-a -t 192.0.2.77:80 -r 192.0.2.78:81 -m -w 7"]
EXCLUDED = ["-A -u 10.96.1.99:53 -s lc -p 60", "-a -u 10.96.1.99:53 -r 192.0.2.79:53 -m -w 3"]


def setUpModule():
    Case.n = Node(pods=2).__enter__()
    unittest.addModuleCleanup(Case.n.__exit__)


def option(proto, addr, port):
    return "-%s %s:%d" % (proto[0], "[%s]" % addr if ":" in addr else addr, port)


class Case(Ipvs, cases.Case):
    @classmethod
    def setUpClass(cls):
        """One node for all of them: to make one takes this machine five seconds."""

    def restore(self, lines):
        self.inside("ipvsadm", "-R", input="\n".join(lines) + "\n")

    def servers(self):
        """{virtual server: (its options, {real server: its options})}, as ipvsadm -Sn has them."""
        found = {}
        for line in self.inside("ipvsadm", "-Sn").splitlines():
            verb, rest = line[:2], line[3:].split()
            name = " ".join(rest[:2])
            if verb == "-A":
                found[name] = (" ".join(rest[2:]), {})
            else:
                found[name][1][rest[3]] = " ".join(rest[4:])
        return found

    def reals(self, s, frontend, family, proto):
        return self.servers()[option(proto, *s.address(frontend, family, proto))][1]

    def left(self):
        """What of ours is in the kernel, in whichever mode it was made."""
        said = self.inside("ipvsadm", "-Sn") + self.inside("ipset", "save") + \
            self.inside("ip", "-o", "link") + self.n.save(4) + self.n.save(6)
        return sorted(set(re.findall(r"KUBE-(?!PROXY-CANARY)[\w-]+|kube-ipvs0|10\.96\.1\.\d+:", said)))

    def ended(self, *flags):
        """Runs to its end; returns (exit status, what it said)."""
        r = subprocess.run(["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"),
                            "--hostname-override=node-a", "--audit-log=" + self.n.audit, *flags],
                           text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=patient(60))
        return r.returncode, r.stdout + r.stderr


class Servers(Case):
    def test_the_table_is_that_of_the_services(self):
        n = self.n
        plain, sticky, none = (cases.Service(1), cases.Service(2, sessionAffinity="ClientIP"),
                               cases.Service(3))
        self.run_with(plain.objects(self.both()) + sticky.objects(self.endpoints(cases.READY, None)) +
                      none.objects([]))
        want = {}
        for s, pods, options in ((plain, (0, 1), "-s rr"), (sticky, (0,), "-s rr -p 10800"),
                                 (none, (), "-s rr")):
            for family in (4, 6):
                reals = {"%s:%d" % (a if family == 4 else "[%s]" % a, n.PORT): "-m -w 1"
                         for a in (n.pod_ip(i, family) for i in pods)}
                for proto in ("tcp", "udp"):
                    at = [s.address(f, family, proto) for f in ("cluster", "external", "balancer")]
                    at += [(a, s.node_ports[proto]) for a in self.own(family)]
                    for addr, port in at:
                        want[option(proto, addr, port)] = (options, reals)
        self.assertEqual(self.servers(), want)
        self.assertRegex(self.inside("ip", "-d", "-o", "link", "show", "kube-ipvs0"),
                         r" state DOWN .* dummy ")  # so that nobody is told of its addresses
        for family in (4, 6):
            held = re.findall(r" inet6? (\S+)/(?:32|128) ", self.inside(
                "ip", "-o", "-%d" % family, "addr", "show", "dev", "kube-ipvs0"))
            self.assertEqual(sorted(held), sorted(
                getattr(s, kind)[family] for s in (plain, sticky, none)
                for kind in ("cluster", "external", "balancer")))
        for name in ("conntrack", "expire_nodest_conn", "expire_quiescent_template",
                     "conn_reuse_mode"):  # the last is this kernel's own
            self.assertEqual(self.inside("cat", VS + name), "1\n", name)
        # What no flag asks for is left alone.
        self.assertEqual(self.inside("cat", ARP % "ignore", ARP % "announce"), "0\n0\n")
        self.assertIn(TIMEOUTS % (900, 120, 300), self.inside("ipvsadm", "-L", "--timeout"))

    def test_the_sets_are_upstreams(self):
        self.run_with([])
        named = dict(re.findall(r"^Name: (\S+)\nType: (\S+)", self.inside("ipset", "list"), re.M))
        want = {("KUBE-6-" if six else "KUBE-") + name: kind for six in (False, True)
                for kind, names in SETS.items() for name in names.split()}
        self.assertEqual(named, {k[:31]: v for k, v in want.items()})  # what the kernel takes

    def own(self, family):
        """The node's addresses, but those of loopback, link-local ones and the proxy's own."""
        lines = self.inside("ip", "-o", "-%d" % family, "addr", "show", "scope", "global").splitlines()
        return [l.split()[3].split("/")[0] for l in lines if "kube-ipvs0" not in l]

    def test_every_scheduler(self):
        s = cases.Service(1)
        self.path = self.n.write("objects.json", s.objects(self.both()))
        for name in SCHEDULERS:
            with self.subTest(name):
                self.n.start("--manifest-path", self.path, *self.flags, "--ipvs-scheduler=" + name)
                options = "-s mh -b mh-port" if name == "mh" else "-s " + name  # as upstream's
                self.assertEqual({v[0] for v in self.servers().values()}, {options})
                self.assertIn(self.answer(self.n.client, 4, s.address("cluster", 4, "tcp"), "tcp", patient(2)),
                              ("pod1*", "pod2*"))

    def test_a_scheduler_that_is_none(self):
        status, said = self.ended("--proxy-mode=ipvs", "--ipvs-scheduler=twos",
                                  "--manifest-path=" + self.n.write("none.json", []))
        self.assertIn(status, (2, 78), said)
        self.assertIn("--ipvs-scheduler", said)
        self.assertIn("twos", said)

    def test_timeouts_and_arp(self):
        self.path = self.n.write("none.json", [])
        self.addCleanup(self.inside, "ipvsadm", "--set", "900", "120", "300")
        for name in ("ignore", "announce"):
            self.addCleanup(self.inside, "sh", "-c", "echo 0 >" + ARP % name)
        self.n.start("--manifest-path", self.path, *self.flags, "--ipvs-tcp-timeout=14m",
                     "--ipvs-tcpfin-timeout=90s", "--ipvs-udp-timeout=70s", "--ipvs-strict-arp")
        self.assertIn(TIMEOUTS % (840, 90, 70), self.inside("ipvsadm", "-L", "--timeout"))
        self.assertEqual(self.inside("cat", ARP % "ignore", ARP % "announce"), "1\n2\n")

    def test_connections_that_reuse_a_port(self):
        """Kernels before 5.9 would lose them, or send them where nothing new is to go."""
        path = self.n.write("none.json", [])
        self.addCleanup(self.inside, "sh", "-c", "echo 1 >%sconn_reuse_mode" % VS)
        self.restore(FOREIGN)  # so that the parameter is there
        self.addCleanup(self.inside, "ipvsadm", "-C")
        for release, value in (("4.0.9", 1), ("4.1.0", 0), ("5.8.18-amd64", 0), ("5.9", 1)):
            self.inside("sh", "-c", "echo 1 >%sconn_reuse_mode" % VS)
            with mock.patch.dict(os.environ, KP_RELEASE=release,
                                 LD_PRELOAD=os.path.join(BUILD, "tests/uml/release.so")):
                self.n.start("--manifest-path", path, *self.flags)
            self.assertEqual(self.inside("cat", VS + "conn_reuse_mode"), "%d\n" % value, release)

    def test_drift_is_put_right(self):
        s = cases.Service(1)
        self.path = self.n.write("objects.json", s.objects(self.both()))
        self.n.start("--manifest-path", self.path, *self.flags, "--ipvs-sync-period=1s")
        before = self.state(4)
        at = option("tcp", *s.address("cluster", 4, "tcp")).split()
        self.inside("ipvsadm", "-d", *at, "-r", self.n.pod_ip(0) + ":8080")
        self.n.wait("the real server again", lambda: self.state(4) == before)
        self.inside("ipvsadm", "-D", *at)
        self.n.wait("the virtual server again", lambda: self.state(4) == before)
        self.inside("ip", "addr", "del", s.cluster[4] + "/32", "dev", "kube-ipvs0")
        self.n.wait("the address again", lambda: self.state(4) == before)


class Leaving(Case):
    """An endpoint that leaves keeps the connections that it has, and gets no new one."""

    def held(self, s, family, count=4):
        """Connections until one is with pod1; returns it, and closes the others."""
        to = s.address("cluster", family, "tcp")
        for _ in range(count):
            c = ns_socket(self.n.client, cases.family_of(to[0]), *KINDS["tcp"])
            self.addCleanup(c.close)
            c.settimeout(patient(5))
            c.connect(to)
            pod1 = [r for r, o in self.active(s, family).items() if r.startswith(
                ("[%s]" if family == 6 else "%s") % self.n.pod_ip(0, family))]
            if pod1:
                return c, pod1[0]
            c.close()
        self.fail("no connection went to pod1")

    def active(self, s, family):
        """{real server: its line} of those with a connection that is established."""
        name = option("tcp", *s.address("cluster", family, "tcp"))
        lines = self.inside("ipvsadm", "-Ln", *name.split()).splitlines()
        return {l.split()[1]: l for l in lines if l.startswith("  -> ") and
                l.split()[-2].isdigit() and int(l.split()[-2]) > 0}

    def test_tcp(self):
        n = self.n
        s = cases.Service(1)
        for family in (4, 6):
            with self.subTest(family=family):
                self.run_with(s.objects(self.both()))
                conn, real = self.held(s, family)
                self.rewrite(s.objects(self.endpoints(None, cases.READY)))
                self.assertEqual(self.reals(s, "cluster", family, "tcp")[real], "-m -w 0")
                to = s.address("cluster", family, "tcp")
                self.assertEqual(n.who(n.client, to[0], to[1], times=6), {"pod2": 6})
                # a start in between takes over what is leaving
                n.start("--manifest-path", self.path, *self.flags)
                self.assertEqual(self.reals(s, "cluster", family, "tcp")[real], "-m -w 0")
                conn.send(b"GET / HTTP/1.0\r\n\r\n")
                self.assertRegex(conn.recv(4096), b"pod1 ")
                # one that comes back is used again
                self.rewrite(s.objects(self.both()))
                self.assertEqual(self.reals(s, "cluster", family, "tcp")[real], "-m -w 1")

    def test_gone_when_idle(self):
        """Another program's view: the real server goes when its last connection has."""
        n = self.n
        s = cases.Service(1)
        self.run_with(s.objects(self.both()))
        conn, real = self.held(s, 4)
        # What has ended is remembered for two minutes, unless it was reset.
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.rewrite(s.objects(self.endpoints(None, cases.READY)))
        self.assertIn(real, self.reals(s, "cluster", 4, "tcp"))
        conn.close()
        n.wait("the real server gone", lambda: real not in self.reals(s, "cluster", 4, "tcp"), 45)

    def test_udp_at_once(self):
        n = self.n
        s = cases.Service(1)
        self.run_with(s.objects(self.both()))
        to = s.address("cluster", 4, "udp")
        self.assertEqual(self.answers(n.client, 4, to, "udp", {"pod1*", "pod2*"}), {"pod1*", "pod2*"})
        self.rewrite(s.objects(self.endpoints(None, cases.READY)))
        self.assertEqual(self.reals(s, "cluster", 4, "udp"), {n.pod_ip(1) + ":8080": "-m -w 1"})
        self.assertEqual(self.answers(n.client, 4, to, "udp", {"pod2*"}), {"pod2*"})


class Kernel(Case):
    """What the proxy can do nothing about, shown without it."""

    def test_of_two_connections_from_one_port_the_older_is_lost(self):
        """If both are with the same endpoint: its answers are told apart by the client alone."""
        n = self.n
        self.addCleanup(self.inside, "ipvsadm", "-C")
        at = [(cases.NODE[4], port) for port in (7001, 7002)]
        self.restore(["-A -t %s:%d -s rr" % a for a in at] +
                     ["-a -t %s:%d -r %s:%d -m" % (*a, n.pod_ip(0), n.PORT) for a in at])
        # As the proxy has it: netfilter translates, and gives the newer one another port.
        self.inside("sysctl", "-q", "-w", "net.ipv4.vs.conntrack=1")
        self.inside("iptables-legacy", "-t", "nat", "-nL")
        older, newer = (ns_socket(n.client, socket.AF_INET, *KINDS["tcp"]) for _ in at)
        with older, newer:
            for s, a in zip((older, newer), at):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("", next(PORTS) if s is older else older.getsockname()[1]))
                s.connect(a)
            for s in (newer, older):
                s.settimeout(1 if s is older else patient(1))
                s.send(b"GET / HTTP/1.0\r\n\r\n")
                if s is older:
                    self.assertRaises(TimeoutError, s.recv, 4096)
                else:
                    self.assertRegex(s.recv(4096), b"pod1 ")


class Others(Case):
    def setUp(self):
        self.addCleanup(self.inside, "ipvsadm", "-C")

    def test_foreign_virtual_servers(self):
        """Neither a start, nor a change, nor a restart, nor the clean-up touches them."""
        n = self.n
        flags = self.flags + ["--ipvs-exclude-cidrs=10.96.1.99/32"]
        self.restore(FOREIGN + EXCLUDED)
        foreign = self.servers()
        self.assertEqual(len(foreign), 2)
        s, excluded = cases.Service(1), cases.Service(99)
        excluded.ports["udp"] = 53
        still = lambda: {k: v for k, v in self.servers().items() if k in foreign}
        self.path = n.write("objects.json", s.objects(self.both()))
        n.start("--manifest-path", self.path, *flags)
        self.assertEqual(still(), foreign)
        self.rewrite(s.objects(self.endpoints(cases.READY, None)))
        self.assertEqual(still(), foreign)
        self.rewrite([])
        self.assertEqual(self.servers(), foreign)
        n.start("--manifest-path", self.path, *flags)
        self.assertEqual(self.servers(), foreign)
        n.stop()
        status, said = self.ended("--cleanup", "--ipvs-exclude-cidrs=10.96.1.99/32")
        self.assertEqual((status, self.servers()), (0, foreign), said)

    def test_an_external_address_that_is_the_nodes_own(self):
        """It is not on kube-ipvs0; after a restart the virtual server is still the proxy's."""
        n = self.n
        at, real = "-t %s:7443" % cases.NODE[4], lambda i: "%s:%d" % (n.pod_ip(i), n.PORT)
        objects = lambda i: [
            service("web", ["10.96.1.1"], [("p", 7443, "TCP")], externalIPs=[cases.NODE[4]]),
            slice_of("web", [n.pod_ip(i)], [("p", n.PORT, "TCP")])]
        self.run_with(objects(0))
        n.start("--manifest-path", self.path, *self.flags)
        self.rewrite(objects(1))
        self.assertEqual(self.servers()[at][1].get(real(1)), "-m -w 1")
        n.stop()
        self.assertEqual(self.ended("--cleanup")[0], 0)
        self.assertEqual(self.servers(), {})

    def test_cleanup(self):
        s = cases.Service(1)
        self.run_with(s.objects(self.both()))
        self.assertIn("kube-ipvs0", self.left())
        self.n.stop()
        status, said = self.ended("--cleanup")
        self.assertEqual((status, self.left(), self.servers()), (0, [], {}), said)

    def test_cleanup_that_leaves_ipvs(self):
        s = cases.Service(1)
        self.run_with(s.objects(self.both()))
        before = self.servers()
        self.n.stop()
        status, said = self.ended("--cleanup", "--cleanup-ipvs=false")
        self.assertEqual((status, self.servers()), (0, before), said)
        self.assertEqual(self.ended("--cleanup")[0], 0)

    def whole(self):
        """All that a mode has made, but for the relays' ports, which are the kernel's choice, and the
        order of rules: jumps that two modes have stay where they are."""
        links = self.inside("ip", "-o", "link").count("kube-ipvs0")
        rules = self.n.save(4) + self.n.save(6)
        return (self.servers(), links, sorted(self.inside("ipset", "save").splitlines()),
                sorted(re.sub(r"--to-ports \d+", "--to-ports N", rules).splitlines()))

    def test_modes_follow_each_other(self):
        """Each leaves what it makes where there was none before; and what others have."""
        n = self.n
        s = cases.Service(1)
        self.path = n.write("objects.json", s.objects(self.both()))
        to = [(f, s.address(kind, f, "tcp")) for f in (4, 6) for kind in cases.FRONTENDS]
        self.restore(FOREIGN)
        flags = {mode: [*cases.FLAGS, "--proxy-mode=" + mode] for mode in ("iptables", "userspace")}
        flags["ipvs"] = self.flags
        alone = {}
        for mode in flags:
            n.start("--manifest-path", self.path, *flags[mode])
            alone[mode] = self.whole()
            n.stop()
            self.assertEqual(self.ended("--cleanup")[0], 0)
        for mode in ("iptables", "userspace"):
            n.start("--manifest-path", self.path, *flags["ipvs"])
            self.assertEqual(self.whole(), alone["ipvs"], mode)
            with ns_socket(n.client, socket.AF_INET, *KINDS["tcp"]) as held:
                # What has ended is remembered for two minutes, unless it was reset.
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                held.settimeout(patient(5))
                held.connect(s.address("cluster", 4, "tcp"))
                through = self.connections()
                n.start("--manifest-path", self.path, *flags[mode])
                held.send(b"GET / HTTP/1.0\r\n\r\n")  # before the server's patience ends
                self.assertRegex(held.recv(4096), b"pod[12] ")
                n.wait("virtual servers without connections to go",
                       lambda: len(self.servers()) == 2)  # beside the foreign one
                self.assertIn("kept until its connections have ended", n.logged())
                self.judge([("%s in %s mode" % (a, mode), n.client, f, a, "tcp", {"pod1*", "pod2*"})
                            for f, a in to])
                # new connections are translated before IPVS sees them
                self.assertEqual(self.connections(), through)
                self.assertEqual(through, 1)
            n.wait("ipvs mode's to go", lambda: self.whole() == alone[mode], 120)
        n.start("--manifest-path", self.path, *flags["ipvs"])
        self.assertEqual(self.whole(), alone["ipvs"])

    def connections(self):
        return sum(l.startswith("TCP ") for l in self.inside("ipvsadm", "-Lnc").splitlines())


class DryRun(Case, cases.DryRun):
    def test_the_plan_is_what_gets_programmed(self):
        """Its tools take it, and make of it what the proxy made."""
        self.run_with(self.everything())
        servers, sets = self.inside("ipvsadm", "-Sn"), self.inside("ipset", "save")
        plan = self.plan()
        self.n.stop()
        self.inside("ipvsadm", "-C")
        printed = [l for l in plan.splitlines() if re.match(r"-[Aa] (-t|-u|--sctp-service) ", l)]
        self.inside("ipvsadm", "-R", input="\n".join(printed) + "\n")
        self.assertEqual(sorted(self.inside("ipvsadm", "-Sn").splitlines()),
                         sorted(servers.splitlines()))
        entries = [l for l in plan.splitlines() if l.startswith("add KUBE-")]
        self.assertEqual(sorted(entries), sorted(l for l in sets.splitlines()
                                                 if l.startswith("add ")))


if __name__ == "__main__":
    unittest.main()
