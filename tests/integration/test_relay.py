"""The relays: userspace mode's connections and flows, and node ports on loopback addresses."""
import contextlib
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from harness import BUILD, Node, family_of, inside, ns_socket, service, sh, slice_of
from limits import patient

TAKES = 80  # seconds on an idle machine

VIP = {4: "10.96.0.10", 6: "fd00:96::10"}
PORTS = [("http", 80, "TCP"), ("dns", 53, "UDP")]
DEFAULTS = ["--proxy-mode=userspace", "--iptables-min-sync-period=0s"]
# On a busy machine an answer takes longer than the quarter of a second that a flow lives by default.
UDP_TIMEOUT = ["--udp-timeout=1m"]
USERSPACE = DEFAULTS + UDP_TIMEOUT
MEGA = 1 << 20


def rss_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def open_fds(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Case(unittest.TestCase):
    pods = 3

    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=cls.pods).__enter__()
        cls.addClassCleanup(cls.n.__exit__)

    def tearDown(self):
        self.n.stop()

    def objects(self, pods=(0,), port=Node.PORT, **spec):
        n = self.n
        target = [("http", port, "TCP"), ("dns", port, "UDP")]
        return [service("web", list(VIP.values()), PORTS, **spec)] + [
            slice_of("web", [n.pod_ip(i, f) for i in pods], target) for f in (4, 6)]

    def run_with(self, objects, *flags):
        self.path = self.n.write("objects.json", objects)
        self.n.start("--manifest-path", self.path, *flags)
        self.relay = self.n.processes().get("kube-proxy-relay")  # None: nothing is relayed

    def listen(self, pod, port, family=4, kind=socket.SOCK_STREAM):
        s = ns_socket(self.n.pods[pod], socket.AF_INET if family == 4 else socket.AF_INET6, kind)
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", port))
        if kind == socket.SOCK_STREAM:
            s.listen(512)
        s.settimeout(patient(10))
        return s

    def connect(self, family=4, port=80, netns=None, to=None):
        s = ns_socket(netns or self.n.client, socket.AF_INET if family == 4 else socket.AF_INET6,
                      socket.SOCK_STREAM)
        self.addCleanup(s.close)
        s.settimeout(patient(10))
        s.connect((to or VIP[family], port))
        return s


class Tcp(Case):
    def pair(self, family=4):
        """A client's connection and the endpoint's."""
        server = self.listen(0, 9000, family)
        self.run_with(self.objects(port=9000), *USERSPACE)
        client = self.connect(family)
        far, _ = server.accept()
        self.addCleanup(far.close)
        far.settimeout(patient(10))
        return client, far

    def test_each_side_may_end_first(self):
        for first in (0, 1):
            with self.subTest(first=("client", "endpoint")[first]):
                a, b = self.pair(4 if first == 0 else 6)[::1 if first == 0 else -1]
                a.sendall(b"question")
                a.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(b), b"question")
                b.sendall(b"answer" * 100000)  # the other way is open still
                b.shutdown(socket.SHUT_WR)
                self.assertEqual(len(read_all(a)), 600000)
                fds = open_fds(self.relay)
                a.close()
                b.close()
                self.n.wait("both sockets closed", lambda: open_fds(self.relay) <= fds)
                self.doCleanups()

    def test_a_reset_is_passed_on(self):
        for first in (0, 1):
            a, b = self.pair()[::1 if first == 0 else -1]
            a.sendall(b"x")
            self.assertEqual(b.recv(10), b"x")
            a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            a.close()
            with self.assertRaises(ConnectionResetError):
                b.recv(10)
            self.doCleanups()

    def test_what_is_sent_arrives(self):
        """Both ways at once, in pieces of every size: as large as pipes take, and small."""
        client, far = self.pair()
        blocks = [os.urandom(n) for n in (1, 7, 1000, 65535, 65536, 65537, 300000, 5 * MEGA, 3)]
        want = b"".join(blocks) * 3
        threads, got = [], {}
        for i, (out, back) in enumerate(((client, far), (far, client))):
            threads.append(threading.Thread(target=send_all, args=(out, blocks * 3)))
            threads.append(threading.Thread(target=lambda i=i, s=back: got.update({i: read_all(s)})))
        for t in threads:
            t.start()
        for t in threads:
            t.join(patient(60))
        self.assertTrue(got[0] == want and got[1] == want)

    def test_a_slow_reader_holds_up_its_sender(self):
        """What the reader does not take stays in the kernel's buffers, and is bounded there."""
        client, far = self.pair()
        before = rss_kb(self.relay)
        client.setblocking(False)
        sent = blocked = 0
        while blocked < 10:
            try:
                sent += client.send(b"z" * 65536)
                blocked = 0
            except BlockingIOError:
                blocked += not select.select([], [client], [], 0.05)[1]
            self.assertLess(sent, 64 * MEGA)  # four socket buffers of 6 MB, and a pipe
        self.assertLess(rss_kb(self.relay) - before, 1024)
        client.setblocking(True)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(len(read_all(far)), sent)

    def test_many_slow_readers(self):
        """Each stuck in the middle of a large answer: pipes are few, and everybody is served."""
        server = self.listen(0, 9000)
        self.run_with(self.objects(port=9000), *USERSPACE)
        pairs = []
        for _ in range(100):
            c = self.connect()
            far, _ = server.accept()
            self.addCleanup(far.close)
            far.setblocking(False)
            pairs.append((c, far))
        before, fds = rss_kb(self.relay), open_fds(self.relay)
        sent = [0] * len(pairs)
        stuck = 0
        while stuck < 3:
            moved = 0
            for i, (_, far) in enumerate(pairs):
                try:
                    while sent[i] < 4 * MEGA:
                        n = far.send(b"y" * 65536)
                        sent[i] += n
                        moved += n
                except BlockingIOError:
                    pass
            stuck = 0 if moved else stuck + 1
            select.select([], [], [], 0.02)
        self.assertLess(rss_kb(self.relay) - before, 2048)
        self.assertLessEqual(open_fds(self.relay) - fds, 64)  # 32 pipes
        for _, far in pairs:
            far.shutdown(socket.SHUT_WR)
        for i, (c, _) in enumerate(pairs):
            self.assertEqual(len(read_all(c)), sent[i], i)

    def test_a_dead_endpoint_is_passed_over(self):
        """One address swallows connections, another is nobody's: pod2 answers all the same."""
        n = self.n
        objects = [service("web", [VIP[4]], PORTS[:1]), slice_of(
            "web", [n.pod_ip(1), "203.0.113.77", "203.0.113.78"], [("http", Node.PORT, "TCP")])]
        sh("ip", "-n", n.node, "route", "add", "blackhole", "203.0.113.78")
        self.addCleanup(sh, "ip", "-n", n.node, "route", "del", "203.0.113.78")
        self.run_with(objects, *USERSPACE)
        self.assertEqual(n.who(n.client, VIP[4], 80, times=6), {"pod2": 6})

    def test_nobody_answers(self):
        """All four tries fail at once: the client is reset, and not left waiting."""
        self.run_with(self.objects(pods=(0,), port=9), *USERSPACE)
        with self.assertRaises(ConnectionResetError):
            self.connect().recv(1)

    def test_an_endpoint_that_leaves_keeps_its_connections(self):
        n = self.n
        client, far = self.pair()
        n.write("objects.json", self.objects(pods=(1,)))
        n.wait("the other one",
               lambda: n.ask(n.client, VIP[4], 80, timeout=1).startswith("pod2"))
        client.sendall(b"still there")
        self.assertEqual(far.recv(100), b"still there")
        n.write("objects.json", [])
        n.wait("no rule", lambda: VIP[4] not in n.save(4, "nat"))
        far.sendall(b"even now")
        self.assertEqual(client.recv(100), b"even now")

    def test_connections_at_once(self):
        """As many as the limit on open files allows, up to 20,000: the memory each takes is small."""
        n = self.n
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "many.py")
        server = subprocess.Popen(["ip", "netns", "exec", n.pods[0], sys.executable, program, "serve",
                                   "9000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(end, server)
        self.assertEqual(server.stdout.readline(), "ready\n")
        self.run_with(self.objects(port=9000), *USERSPACE)
        # two of which the four relays' own sockets take the place
        most = int(n.logged().split("relays: up to ")[-1].split()[0]) - 2
        count = min(20000, most, hard - 100)
        self.assertGreater(count, 5000)
        before = rss_kb(self.relay)
        client = subprocess.Popen(["ip", "netns", "exec", n.client, sys.executable, program, "connect",
                                   VIP[4], "80", str(count)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(end, client)
        # each has sent a line and has it back, and all are open
        self.assertEqual(client.stdout.readline(), "%d open\n" % count)
        self.assertGreaterEqual(open_fds(self.relay), 2 * count)
        self.assertLess((rss_kb(self.relay) - before) * 1024, 512 * count)
        self.assertEqual(n.health("/healthz")[0], 200)
        if count == most:  # no more: the next is reset, the others go on
            with self.assertRaises(ConnectionResetError):
                self.connect().recv(1)
        client.stdin.write("again\n")
        client.stdin.flush()
        self.assertEqual(client.stdout.readline(), "%d again\n" % count)
        end(client)
        n.wait("all closed", lambda: open_fds(self.relay) < 200, 30)


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def read_all(s):
    data = bytearray()
    while True:
        more = s.recv(MEGA)
        if not more:
            return bytes(data)
        data += more


def send_all(s, blocks):
    for b in blocks:
        s.sendall(b)
    s.shutdown(socket.SHUT_WR)


class Udp(Case):
    def flows(self):
        """UDP sockets connected to endpoints, of all in the node."""
        return [line for line in inside(self.n.node, lambda: open(
            "/proc/thread-self/net/udp").read().splitlines()[1:]) if line.split()[2] != "00000000:0000"]

    def client(self):
        s = ns_socket(self.n.client, socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.settimeout(patient(5))
        s.connect((VIP[4], 53))
        return s

    def say(self, s):
        s.send(b"?")
        return s.recv(100).decode().split()[0]

    def answered(self, s, who):
        with contextlib.suppress(TimeoutError):
            return self.say(s) == who
        return False

    def test_an_idle_flow_is_closed(self):
        self.run_with(self.objects(pods=(0, 1)), "--udp-timeout=5s", *DEFAULTS)
        a, b = self.client(), self.client()
        who = self.say(a)
        self.assertEqual({self.say(a) for _ in range(5)}, {who})  # one flow, one endpoint
        self.assertNotEqual(self.say(b), who)
        self.assertEqual(len(self.flows()), 2)
        end = time.monotonic() + 7
        while time.monotonic() < end:  # what is used stays
            time.sleep(0.25)
            self.assertEqual(self.say(a), who)
        self.n.wait("one flow less", lambda: len(self.flows()) < 2)
        self.n.wait("no flow", lambda: self.flows() == [])

    def test_the_default_is_a_quarter_of_a_second(self):
        self.run_with(self.objects(), *DEFAULTS)
        began, a = time.monotonic(), self.client()
        a.settimeout(1)

        self.n.wait("an answer in time", lambda: self.answered(a, "pod1"))
        self.n.wait("no flow", lambda: self.flows() == [])
        self.assertGreater(time.monotonic() - began, 0.2)

    def test_flows_of_an_endpoint_that_leaves(self):
        n = self.n
        self.run_with(self.objects(pods=(0,)), *USERSPACE)
        a = self.client()
        self.assertEqual(self.say(a), "pod1")
        n.write("objects.json", self.objects(pods=(1,)))
        a.settimeout(1)  # what is under way when the flow ends is lost
        n.wait("the other one", lambda: self.answered(a, "pod2"))

    def test_an_endpoint_that_refuses(self):
        """ICMP's word ends the flow; the client's next datagram goes to another."""
        n = self.n
        objects = [service("web", [VIP[4]], PORTS[1:])] + [
            slice_of("web", [n.pod_ip(i)], [("dns", port, "UDP")], name="web-%d" % i)
            for i, port in ((0, 9), (1, Node.PORT))]
        self.run_with(objects, *USERSPACE)
        a = self.client()
        a.settimeout(patient(0.3))
        self.assertTrue(self.answered(a, "pod2") or self.answered(a, "pod2"))

    def test_flows_are_bounded(self):
        """A flood of sources: the longest idle make room, and who comes is served."""
        self.run_with(self.objects(), *USERSPACE)
        before = open_fds(self.relay)

        def flood():
            for port in range(10000, 15000):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.bind(("", port))
                    s.sendto(b"?", (VIP[4], 53))

        def flooded():  # a relay that does not run loses what its socket cannot hold
            inside(self.n.client, flood)
            return open_fds(self.relay) > before + 3000
        self.n.wait("many flows", flooded)
        a = self.client()
        a.settimeout(1)
        self.n.wait("an answer", lambda: self.answered(a, "pod1"))
        self.assertLessEqual(open_fds(self.relay), before + 4096)

    def test_answers_come_from_where_was_asked(self):
        """The node has another address that is nearer to the client: conntrack would not know it."""
        n = self.n
        sh("ip", "-n", n.node, "addr", "add", "198.51.100.9/24", "dev", "client")
        self.addCleanup(sh, "ip", "-n", n.node, "addr", "del", "198.51.100.9/24", "dev", "client")
        sh("ip", "-n", n.node, "route", "replace", "198.51.100.2", "dev", "client", "src",
           "198.51.100.9")
        self.addCleanup(sh, "ip", "-n", n.node, "route", "del", "198.51.100.2")
        self.run_with(self.objects(), *USERSPACE)
        self.assertEqual(self.say(self.client()), "pod1")


class Ports(Case):
    def redirects(self, family=4):
        return {int(line.split(" --to-ports ")[1]) for line in self.n.save(family, "nat").splitlines()
                if "-j REDIRECT" in line}

    def test_the_range(self):
        n = self.n
        objects = self.objects(pods=(0,))
        busy = ns_socket(n.node, socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(busy.close)
        busy.bind(("", 33001))
        busy.listen(1)
        for i in range(3):
            objects += [service("s%d" % i, ["10.96.1.%d" % i], PORTS[:1]),
                        slice_of("s%d" % i, [n.pod_ip(0)], [("http", Node.PORT, "TCP")])]
        # Four ports, one of them another program's, for four services' TCP.
        self.run_with(objects, "--proxy-port-range=33000-33003", *USERSPACE)
        self.assertLessEqual(self.redirects(), {33000, 33001, 33002, 33003})
        good = [vip for vip in [VIP[4]] + ["10.96.1.%d" % i for i in range(3)]
                if n.ask(n.client, vip, 80, timeout=patient(0.5)).startswith("pod1")]
        self.assertEqual(len(good), 3)
        self.assertEqual(n.ask(n.client, VIP[4], 53, "udp"), "pod1 10.244.1.1")
        self.assertIn("no port of 33000 to 33003", n.logged())
        # One goes: the one that was left out follows, by itself.
        gone = VIP[4] if VIP[4] in good else good[0]
        n.write("objects.json", [o for o in objects
                                 if o["metadata"]["name"].split("-")[0] != {
                                     VIP[4]: "web"}.get(gone, "s" + gone[-1])])
        left = [vip for vip in [VIP[4]] + ["10.96.1.%d" % i for i in range(3)] if vip != gone]
        n.wait("the others", lambda: all(
            n.ask(n.client, vip, 80).startswith("pod1") for vip in left))

    def test_from_and_to_other_modes(self):
        n = self.n
        objects = self.objects(pods=(0, 1))
        empty = n.save(4), n.save(6)
        for flags in ([], USERSPACE, ["--proxy-mode=nftables"], USERSPACE, []):
            self.run_with(objects, *flags)
            for family in (4, 6):
                self.assertEqual(set(n.who(n.client, VIP[family], 80, times=24)), {"pod1", "pod2"})
                self.assertEqual("KUBE-PORTALS" in n.save(family), flags == USERSPACE)
                self.assertEqual("KUBE-POSTROUTING" in n.save(family), flags == [])
        self.run_with(objects, *USERSPACE)
        n.stop()
        sh("ip", "netns", "exec", n.node, os.path.join(BUILD, "kube-proxy"), "--cleanup")
        for family in (4, 6):
            self.assertNotIn("KUBE-", n.save(family))
        self.assertNotIn("KUBE-", "".join(empty))


class Loopback(Case):
    """--iptables-localhost-nodeports where the kernel has no way."""

    def node_port_objects(self):
        objects = self.objects(pods=(0, 1), type="NodePort")
        for port, number in zip(objects[0]["spec"]["ports"], (30080, 30053)):
            port["nodePort"] = number
        return objects

    def answers(self, address):
        return [set(self.n.who(self.n.node, address, port, proto, times=24))
                for port, proto in ((30080, "tcp"), (30053, "udp"))]

    def route_localnet(self):
        return inside(self.n.node, lambda: open(
            "/proc/sys/net/ipv4/conf/all/route_localnet").read().strip())

    def test_nftables_mode(self):
        n = self.n
        self.run_with(self.node_port_objects(), "--proxy-mode=nftables")
        self.assertEqual(self.answers("127.0.0.1"), [{"refused"}] * 2)
        self.run_with(self.node_port_objects(), "--proxy-mode=nftables", *UDP_TIMEOUT,
                      "--iptables-localhost-nodeports", "--iptables-min-sync-period=0s")
        for address in ("127.0.0.1", "::1"):
            n.wait("answers", lambda: self.answers(address) == [{"pod1", "pod2"}] * 2)
        self.assertEqual(self.route_localnet(), "0")
        # the rest of the machine's addresses is the kernel's as before, and no stranger gets in
        self.assertTrue(n.ask(n.node, "10.244.1.1", 30080).startswith("refused"))
        n.write("objects.json", self.objects(pods=(0, 1)))
        n.wait("no node port", lambda: self.answers("127.0.0.1") == [{"refused"}] * 2)

    def test_iptables_mode(self):
        """IPv4 is the kernel's: nobody listens there."""
        n = self.n
        self.run_with(self.node_port_objects(), "--iptables-localhost-nodeports", *UDP_TIMEOUT)
        for address in ("127.0.0.1", "::1"):
            n.wait("answers", lambda: self.answers(address) == [{"pod1", "pod2"}] * 2)
        listening = sh("ip", "netns", "exec", n.node, "ss", "-Hltun", "sport", "=", ":30080", "or",
                       "sport", "=", ":30053")
        self.assertNotIn("127.0.0.1", listening)
        self.assertEqual(listening.count("[::1]"), 2)
        self.run_with(self.node_port_objects())
        self.assertEqual(self.answers("::1"), [{"refused"}] * 2)
        sh("ip", "netns", "exec", n.node, "sysctl", "-q", "-w", "net.ipv4.conf.all.route_localnet=0")

    def test_a_port_that_is_taken(self):
        """Another program has it: said, tried again, and everything else goes on."""
        n = self.n
        taken = ns_socket(n.node, socket.AF_INET, socket.SOCK_STREAM)
        taken.bind(("127.0.0.1", 30080))
        taken.listen(1)
        self.run_with(self.node_port_objects(), "--proxy-mode=nftables", *UDP_TIMEOUT,
                      "--iptables-localhost-nodeports")
        n.wait("a word of it", lambda: "node port 30080 of default/web:http does not answer on the "
                                       "IPv4 loopback address: Address already in use" in n.logged())
        n.wait("IPv6's", lambda: self.answers("::1") == [{"pod1", "pod2"}] * 2)
        taken.close()
        n.wait("IPv4's", lambda: self.answers("127.0.0.1") == [{"pod1", "pod2"}] * 2)


if __name__ == "__main__":
    unittest.main()
