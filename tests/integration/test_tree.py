"""Many services: nat KUBE-SERVICES is a tree of KUBE-NET- chains by destination prefix. Packets find
their service in it, and what is no service's still reaches the node ports."""
import ipaddress
import os
import re
import signal
import subprocess
import unittest

from harness import BUILD, Node, service, sh, slice_of

COUNT = 600
FLAT_MAX = 250  # addresses of a family
NODE = {4: "198.51.100.1", 6: "2001:db8:1::1"}
UPLINK = {4: "192.0.2.1", 6: "2001:db8:2::1"}
FLAGS = ["--iptables-min-sync-period=0s"]


def cluster_ip(i, family):
    return "10.96.%d.%d" % (i // 250, 1 + i % 250) if family == 4 else "fd00:96::%x" % (i + 1)


def external_ip(i, family):
    return "203.0.113.%d" % i if family == 4 else "2001:db8:e::%x" % i


def pod_of(i):
    return i % 2


class Tree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=2).__enter__()
        cls.addClassCleanup(cls.n.__exit__)

    def tearDown(self):
        self.n.stop()

    def slices(self, name, pod):
        ports = [("http", Node.PORT, "TCP"), ("dns", Node.PORT, "UDP")]
        return [slice_of(name, [self.n.pod_ip(pod, f)], ports) for f in (4, 6)]

    def objects(self, count):
        """Services with one cluster IP each, every tenth with an external IP, and two of the
        node's own addresses: `own` has them as external IPs, `np` its node ports there."""
        o = []
        for i in range(count):
            name = "s%d" % i
            external = [external_ip(1 + i // 10, f) for f in (4, 6)] if i % 10 == 0 else []
            o.append(service(name, [cluster_ip(i, 4), cluster_ip(i, 6)],
                             [("http", 80, "TCP"), ("dns", 53, "UDP")], externalIPs=external))
            o += self.slices(name, pod_of(i))
        o.append(service("own", ["10.96.200.1", "fd00:96::c8:1"], [("http", 8000, "TCP")],
                         externalIPs=list(NODE.values())))
        o += self.slices("own", 0)
        np = service("np", ["10.96.200.2", "fd00:96::c8:2"], [("http", 80, "TCP")],
                     type="NodePort")
        np["spec"]["ports"][0]["nodePort"] = 30080
        return o + [np] + self.slices("np", 1)

    def planned(self, path):
        """{family: the rules that --dry-run prints}"""
        plan = subprocess.run([os.path.join(BUILD, "kube-proxy"), "--dry-run", "--manifest-path",
                               path, "--hostname-override=node-a"], text=True, check=True,
                              capture_output=True, stdin=subprocess.DEVNULL).stdout
        four, _, six = plan.partition("# IPv6")
        return {f: sorted(l for l in text.splitlines() if l.startswith("-A"))
                for f, text in ((4, four), (6, six))}

    def programmed(self):
        return {f: sorted(l for l in self.n.save(f).splitlines() if l.startswith("-A"))
                for f in (4, 6)}

    def rewrite(self, objects):
        """Returns when what the manifest says now is programmed; in how many chains put."""
        before = len(self.n.audited())
        path = self.n.write("objects.json", objects)
        want = self.planned(path)
        self.n.wait("as planned", lambda: self.programmed() == want)
        return sum(map(int, re.findall(r" put (\d+) ", self.n.audited()[before:])))

    def answers(self, addr, port, pod, proto="tcp"):
        got = self.n.ask(self.n.client, addr, port, proto).split(" ")[0]
        self.assertEqual(got, "pod%d" % (pod + 1), "%s port %d %s" % (addr, port, proto))

    def check_packets(self, count, step=1):
        n = self.n
        for family in (4, 6):
            for i in range(0, count, step):
                self.answers(cluster_ip(i, family), 80, pod_of(i))
                if i % 10 == 0:
                    self.answers(external_ip(1 + i // 10, family), 80, pod_of(i))
            for i in range(0, count, 29):
                self.answers(cluster_ip(i, family), 53, pod_of(i), "udp")
            # The node's own address: a service's port, a node port, and nobody's.
            self.answers(NODE[family], 8000, 0)
            self.answers(NODE[family], 30080, 1)
            self.assertEqual(n.ask(n.client, NODE[family], 8001), "refused")
            # ... one that is no service's
            self.answers(UPLINK[family], 30080, 1)
            self.assertEqual(n.ask(n.client, UPLINK[family], 8000), "refused")
            # From the node itself, by OUTPUT.
            self.assertEqual(n.who(n.node, cluster_ip(7, family), 80, times=3), {"pod2": 3})
            self.assertEqual(n.who(n.node, NODE[family], 30080, times=3), {"pod2": 3})

    def services(self, family):
        return [l for l in self.n.save(family, "nat").splitlines()
                if l.startswith("-A KUBE-SERVICES")]

    def check_form(self, tree):
        for family in (4, 6):
            lines = self.services(family)
            self.assertIn("this must be the last rule in this chain", lines[-1])
            save = self.n.save(family, "nat")
            if tree:
                self.assertLessEqual(len(lines), 4 + 1)
                for line in lines[:-1]:
                    self.assertRegex(line, r"^-A KUBE-SERVICES -d \S+ -j KUBE-NET-\w{16}$")
                self.assertRegex(save, r"\n-A KUBE-NET-\w{16} -d \S+ -g KUBE-NET-\w{16}\n")
            else:
                self.assertNotIn("KUBE-NET-", save)
                self.assertGreater(len(lines), 20)

    def test_packets(self):
        n = self.n
        path = n.write("objects.json", self.objects(COUNT))
        n.start("--manifest-path", path, *FLAGS)
        self.check_form(tree=True)
        self.check_packets(COUNT)
        self.assertEqual(self.programmed(), self.planned(path))

        # Ended, killed, started again: the kernel has everything, and forwards all the while.
        for sig in (signal.SIGTERM, signal.SIGKILL):
            saved, audited = (n.save(4), n.save(6)), n.audited()
            n.stop(sig)
            self.check_packets(COUNT, 53)
            n.start("--manifest-path", path, *FLAGS)
            self.assertEqual(n.audited(), audited)
            self.assertEqual((n.save(4), n.save(6)), saved)

    def test_through_both_sizes(self):
        n = self.n
        n.start("--manifest-path", n.write("objects.json", self.objects(40)), *FLAGS)
        self.check_form(tree=False)
        for count in (COUNT, 40, FLAT_MAX + 51):
            self.rewrite(self.objects(count))
            self.check_form(tree=count > FLAT_MAX)
            self.check_packets(count, 7)
            if count < COUNT:
                self.assertNotIn("pod", n.ask(n.client, cluster_ip(count, 4), 80, timeout=0.3))
        # One service more: its own chains, and a few of the tree and the filter's a family.
        puts = self.rewrite(self.objects(FLAT_MAX + 52))
        self.answers(cluster_ip(FLAT_MAX + 51, 6), 80, pod_of(FLAT_MAX + 51))
        self.assertIn(puts, range(8, 8 + 2 * 6 + 1))

    def test_the_deepest_there_is(self):
        """IPv6 addresses that branch at every bit: sixty chains one behind the other."""
        addresses = [ipaddress.ip_address((0x20 << 120) ^ (1 << bit) ^ (low << 2))
                     for bit in range(125) for low in range(3) if 1 << bit != low << 2]
        addresses = sorted(set(addresses))
        objects = []
        for i, a in enumerate(addresses):
            objects.append(service("s%d" % i, [str(a)], [("http", 80, "TCP")]))
            objects += self.slices("s%d" % i, pod_of(i))[1:]
        self.n.start("--manifest-path", self.n.write("objects.json", objects), *FLAGS)
        depth, level, rules = 0, ["KUBE-SERVICES"], {}
        for line in self.n.save(6, "nat").splitlines():
            if "-j KUBE-NET-" in line or "-g KUBE-NET-" in line:
                rules.setdefault(line.split()[1], []).append(line.split()[-1])
        while level:
            level = [to for c in level for to in rules.get(c, [])]
            depth += 1
        self.assertGreater(depth, 55)
        for i, a in enumerate(addresses):
            self.answers(str(a), 80, pod_of(i))
        self.assertNotIn("pod", self.n.ask(self.n.client, "2000::ffff:7777", 80, timeout=0.3))

    def test_what_others_break_is_put_right(self):
        n = self.n
        n.start("--manifest-path", n.write("objects.json", self.objects(COUNT)),
                "--iptables-sync-period=1s", *FLAGS)
        good = n.save(4, "nat")
        chain = self.services(4)[0].split()[-1]
        for command in (("-F", chain), ("-I", chain, "-j", "RETURN"),
                        ("-N", "KUBE-NET-AAAAAAAAAAAAAAAA")):
            sh("ip", "netns", "exec", n.node, "iptables-legacy", "-w", "-t", "nat", *command)
            self.assertNotEqual(n.save(4, "nat"), good)
            n.wait("all as it was", lambda: n.save(4, "nat") == good, 10)
        self.check_packets(COUNT, 101)


if __name__ == "__main__":
    unittest.main()
