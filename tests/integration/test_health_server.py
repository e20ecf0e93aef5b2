"""The servers on 10256 and 10249: where they answer, and how they bear strangers who mean ill."""
import contextlib
import os
import re
import resource
import socket
import subprocess
import threading
import time
import unittest

from apiserver import Stub
from harness import BUILD, Node, family_of, inside, ns_socket, service, sh, slice_of
from limits import patient
from test_service_packets import NODE

HEALTH, METRICS = 10256, 10249
SANITIZED = "asan" in os.path.basename(BUILD)


def listens(n):
    """{"address:port"} of the node's listening TCP sockets."""
    return {line.split()[3] for line in
            sh("ip", "netns", "exec", n.node, "ss", "-Hltn").splitlines()}


def connect(netns, address, port):
    s = ns_socket(netns, family_of(address), socket.SOCK_STREAM)
    try:
        s.connect((address, port))
    except BaseException:
        s.close()
        raise
    return s


def answer(s, request):
    """All that is sent until the other side hangs up."""
    s.sendall(request)
    data = b""
    while True:
        more = s.recv(65536)
        if not more:
            return data
        data += more


class Where(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=0).__enter__()
        cls.addClassCleanup(cls.n.__exit__)

    def start(self, *flags, wait=True):
        n = self.n
        self.addCleanup(n.stop)
        open(n.log, "w").close()
        proc = n.start("--manifest-path", n.write("objects.json", []), *flags, wait=False)
        if wait:
            n.wait("a first sync", lambda: "endpoints programmed" in n.logged())
        return proc

    def status(self, address, port, source=None, path="/healthz"):
        try:
            with connect(source or self.n.node, address, port) as s:
                return int(answer(s, b"GET %s HTTP/1.0\r\n\r\n" % path.encode()).split()[1])
        except OSError:
            return 0

    def test_defaults(self):
        n = self.n
        self.start()
        for family in (4, 6):
            self.assertEqual(self.status(NODE[family], HEALTH, n.client), 200)
            self.assertEqual(self.status(NODE[family], METRICS, n.client), 0)
        self.assertEqual(self.status("127.0.0.1", METRICS), 200)
        self.assertEqual(self.status("127.0.0.1", METRICS, path="/livez"), 404)

    def test_one_address_each(self):
        n = self.n
        self.start("--healthz-bind-address=[::1]:11000", "--metrics-bind-address=" + NODE[4],
                   "--metrics-port=11001")
        self.assertEqual(listens(n), {"[::1]:11000", NODE[4] + ":11001"})
        self.assertEqual(self.status("::1", 11000), 200)
        self.assertEqual(self.status(NODE[4], 11001, n.client), 200)

    def test_nowhere(self):
        for flags in (("--healthz-port=0", "--metrics-port=0"),
                      ("--healthz-bind-address=", "--metrics-bind-address="),
                      ("--healthz-bind-address=0.0.0.0:0", "--metrics-bind-address=[::1]:0")):
            with self.subTest(flags):
                self.start(*flags)
                self.assertEqual(listens(self.n), set())

    def test_not_to_be_had(self):
        """A port that another has, and an address that is not there yet: said, and tried again."""
        n, later = self.n, "203.0.113.77"
        with inside(n.node, socket.create_server, ("127.0.0.1", METRICS)):
            self.start("--healthz-bind-address=" + later)
            self.assertRegex(n.logged(), r"metrics server: cannot listen on 127.0.0.1:10249: "
                             r"Address already in use; .*--metrics-bind-address")
            self.assertRegex(n.logged(), r"health server: cannot listen on 203.0.113.77:10256: "
                             r"Cannot assign requested address; .*--healthz-bind-address")
            sh("ip", "-n", n.node, "addr", "add", later + "/32", "dev", "lo")
            self.addCleanup(sh, "ip", "-n", n.node, "addr", "del", later + "/32", "dev", "lo")
        n.wait("both", lambda: self.status(later, HEALTH) == 200 and
               self.status("127.0.0.1", METRICS) == 200)

    def test_hard_fail(self):
        n = self.n
        with inside(n.node, socket.create_server, ("127.0.0.1", METRICS)):
            proc = self.start("--bind-address-hard-fail", wait=False)
            self.assertEqual(proc.wait(patient(10)), 1)
            n.proc = None
        self.assertRegex(n.logged(), "metrics server: cannot listen on 127.0.0.1:10249: .*"
                                     "ends the proxy because of --bind-address-hard-fail")


class Strangers(unittest.TestCase):
    """What the manual says of the bounds: 128 connections of 16 KiB and 4 MiB of answers."""
    MEMORY = (128 * 16 + 4096) * 1024
    IDLE = 10000

    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=0).__enter__()
        cls.addClassCleanup(cls.n.__exit__)
        cls.n.start("--manifest-path", cls.n.write("objects.json", []))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, cls.IDLE + 1000), hard))
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def listener(self):
        return self.n.processes()["kube-proxy-listener"]

    def memory(self):
        with open("/proc/%d/smaps_rollup" % self.listener()) as f:
            return int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024

    def probe(self):
        """Seconds until a probe's answer came."""
        began = time.monotonic()
        with connect(self.n.client, NODE[4], HEALTH) as s:
            got = answer(s, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK\r\n"), got)
        return time.monotonic() - began

    def crowd(self, count, say):
        """So many connections at once, each of which says something; probes among them."""
        worst = 0
        before = self.memory()
        most = before
        with contextlib.ExitStack() as open_ones:
            for i in range(count):
                s = open_ones.enter_context(connect(self.n.client, NODE[4], HEALTH))
                try:
                    s.send(say)
                except ConnectionError:
                    pass  # it had to make room
                if i % (count // 20) == 0:
                    worst = max(worst, self.probe())
                    most = max(most, self.memory())
            self.assertLess(len(os.listdir("/proc/%d/fd" % self.listener())), 128 + 32)
            worst = max(worst, self.probe())
        print("%d connections that say %d bytes: PSS %d KiB, with them at most %d KiB; "
              "slowest probe %.0f ms" % (count, len(say), before // 1024, most // 1024,
                                         worst * 1000))
        if not SANITIZED:  # which has memory of its own
            self.assertLess(most - before, self.MEMORY)

    def test_idle_connections(self):
        self.crowd(self.IDLE, b"")

    def test_slow_requests(self):
        self.crowd(1000, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 8000)

    def test_odd_requests(self):
        """From one connection to the next: nothing is left of the one before."""
        huge = b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100)
                                                       for i in range(300)) + b"\r\n"
        for request, want in (
                (b"GET /healthz HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK"),
                (b"HEAD /healthz HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK"),
                (b"POST /healthz HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd", b"HTTP/1.1 405 "),
                (b"BREW /healthz HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 "),
                (b"GET /healthz HTTP/3.0\r\n\r\n", b"HTTP/1.1 505 "),
                (b"\x16\x03\x01\x00\xee\x01\x00\x00\xea\r\n\r\n", b"HTTP/1.1 400 "),
                (b"GET /" + b"a" * 4000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 414 "),
                (huge, b"HTTP/1.1 431 "),
                (b"GET /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n",
                 b"HTTP/1.1 200 OK")):
            with connect(self.n.client, NODE[4], HEALTH) as s:
                got = answer(s, request)
            self.assertTrue(got.startswith(want), got)
            self.assertEqual(got.count(b"HTTP/1."), 1, got)

    def test_keep_alive(self):
        with connect(self.n.client, NODE[4], HEALTH) as s:
            for request, bodies in ((b"GET /healthz HTTP/1.1\r\n\r\n" * 3, 3),
                                    (b"GET /livez HTTP/1.1\r\n\r\n", 1)):
                s.sendall(request)
                got = b""
                while got.count(b"}") < bodies:
                    got += s.recv(65536)
                self.assertEqual(got.count(b"HTTP/1.1 200 OK\r\n"), bodies)
            last = answer(s, b"GET /other HTTP/1.1\r\nConnection: close\r\n\r\n")
            self.assertTrue(last.startswith(b"HTTP/1.1 404 Not Found\r\n"), last)


class Busy(unittest.TestCase):
    """wrk asks /healthz while a thousand Services change each second."""
    SERVICES, SECONDS = 1000, 5

    def objects(self, turn):
        for i in range(self.SERVICES):
            name, vip = "s%d" % i, "10.97.%d.%d" % divmod(i, 250)
            yield (service(name, [vip], [("http", 80, "TCP")]) if turn == 0 else
                   slice_of(name, ["10.1.%d.%d" % (turn % 2, 1 + i % 250)],
                            [("http", 8080, "TCP")]))

    def test_no_answer_fails(self):
        with Node(pods=0) as n:
            api = inside(n.node, lambda: Stub().__enter__())
            self.addCleanup(api.close)
            config = os.path.join(n.dir, "kubeconfig")
            api.kubeconfig(config)
            os.chmod(config, 0o644)
            os.chmod(api.ca_file, 0o644)
            os.chmod(api.directory, 0o755)
            for turn in (0, 1):
                for o in self.objects(turn):
                    api.put(o)
            n.start("--kubeconfig", config, "--proxy-mode=nftables")
            stop, turns = threading.Event(), []

            def churn():
                while not stop.is_set():
                    end = time.monotonic() + 1
                    for o in self.objects(len(turns) + 2):
                        api.put(o)
                    turns.append(time.monotonic() - end + 1)
                    stop.wait(end - time.monotonic())

            changes = threading.Thread(target=churn)
            changes.start()
            try:
                while len(turns) < 3:
                    said = subprocess.run(
                        ["ip", "netns", "exec", n.client, "wrk", "-t1", "-c64", "--latency",
                         "--timeout=%d" % patient(2), "-d%ds" % self.SECONDS,
                         "http://%s:%d/healthz" % (NODE[4], HEALTH)],
                        text=True, check=True, capture_output=True, timeout=patient(60)).stdout
                    self.assertNotIn("Non-2xx", said)
                    self.assertNotIn("Socket errors", said)
                    self.assertGreater(int(re.search(r"(\d+) requests in", said)[1]), 1000)
            finally:
                stop.set()
                changes.join()
            print("%d Services changed %d times, a turn in %.2f s\n%s" %
                  (self.SERVICES, len(turns), max(turns), said))
            rate = float(re.search(r"^Requests/sec:\s+([\d.]+)", said, re.M).group(1))
            self.assertLess(rate, 10500)  # HTTP_TURNS_PER_SECOND
