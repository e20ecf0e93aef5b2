"""/services, /explain and /diff of the running proxy. That /explain tells the truth of packets is
tested with them, in test_service_packets and test_nft_packets."""
import concurrent.futures
import contextlib
import json
import os
import socket
import subprocess
import threading
import unittest

from apiserver import Stub
from harness import BUILD, Client, Node, inside, ns_socket, service, sh, slice_of
from limits import patient

TAKES = 80  # seconds on an idle machine

PORT = Client.PORT
MANY = 3000
LARGE = 16  # endpoints of each, so that the answer is more than the kernel's buffers take
FLAGS = ["--cluster-cidr=10.244.0.0/16,fd00:244::/32", "--iptables-min-sync-period=0s"]


def many(count, endpoints=4):
    objects = []
    for k in range(count):
        name = "s%04d" % k
        objects.append(service(name, ["10.%d.%d.%d" % (100 + k // 40000, k // 200, k % 200 + 1)],
                               [("http", 80, "TCP")]))
        objects.append(slice_of(name, ["10.244.%d.%d" % (k % 200 + 1, i + 1)
                                       for i in range(endpoints)], [("http", 8080, "TCP")]))
    return objects


class Inspection(unittest.TestCase):
    mode = "iptables"

    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=1).__enter__()
        cls.addClassCleanup(cls.n.__exit__)
        cls.flags = FLAGS + ["--proxy-mode=" + cls.mode]

    def tearDown(self):
        self.n.stop()

    def run_with(self, objects, *flags):
        self.path = self.n.write("objects.json", objects)
        self.n.start("--manifest-path", self.path, *self.flags, *flags)

    def get(self, path, **kw):
        client = Client(self.n)
        self.addCleanup(client.close)
        return client.get(path, **kw)

    def memory(self, name):
        """Private memory of the process in KiB."""
        with open("/proc/%d/smaps_rollup" % self.n.processes()[name]) as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))

    def stalled(self):
        """A client that asks for everything and takes nothing."""
        s = ns_socket(self.n.node, socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", PORT))
        s.sendall(b"GET /services HTTP/1.1\r\nHost: x\r\n\r\n")
        s.recv(100)  # it has begun
        return s

    def test_a_long_answer_comes_in_parts(self):
        self.run_with(many(MANY))
        listener, planner = self.memory("kube-proxy-listener"), self.memory("kube-proxy-planner")
        status, text, headers = self.get("/services?format=json")
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
        self.assertEqual(headers["Transfer-Encoding"], "chunked")
        self.assertGreater(len(text), 1500000)
        answer = json.loads(text)
        self.assertEqual([s["service"] for s in answer["services"]],
                         ["default/s%04d:http" % k for k in range(MANY)])
        self.assertEqual(answer["note"], "all of it is of one moment")
        for s in answer["services"]:
            self.assertEqual(len(s["endpoints"]), 4)
        # On one connection one after the other; a short one has its length.
        client = Client(self.n)
        self.addCleanup(client.close)
        status, text, headers = client.get("/services")
        self.assertEqual(text.count("\n  - service: "), MANY)
        status, one, headers = client.get("/services?name=s0007", accept="application/json")
        self.assertEqual(headers["Content-Length"], str(len(one)))
        self.assertEqual(json.loads(one)["services"], answer["services"][7:8])
        for path, length in (("/services", None), ("/services?name=s0007", True)):
            status, body, headers = client.get(path, method="HEAD")
            self.assertEqual((status, body, headers["Content-Length"] is not None),
                             (200, "", length is not None))
        # HTTP/1.0 has no chunks: the connection's end is the answer's.
        with ns_socket(self.n.node, socket.AF_INET, socket.SOCK_STREAM) as s:
            s.connect(("127.0.0.1", PORT))
            s.sendall(b"GET /services HTTP/1.0\r\n\r\n")
            old = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        self.assertNotIn("chunked", old.partition("\r\n\r\n")[0])
        self.assertEqual(old.partition("\r\n\r\n")[2], text)
        # Megabytes went by; neither keeps a tenth of them.
        if "asan" not in os.path.basename(BUILD):  # which takes what it likes
            self.assertLess(self.memory("kube-proxy-listener") - listener, 512)
            self.assertLess(self.memory("kube-proxy-planner") - planner, 1024)

    def test_who_does_not_listen_keeps_nobody_waiting(self):
        self.run_with(many(MANY, LARGE))
        for _ in range(20):
            self.stalled().close()
        self.assertEqual(self.get("/services?name=s0001")[0], 200)
        first = self.stalled()
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            got = list(pool.map(lambda k: self.get("/services?name=s%04d" % k), range(10)))
        for k, (status, text, _) in enumerate(got):
            self.assertEqual(status, 200)
            self.assertIn("default/s%04d:http" % k, text)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            said = b"".join(iter(lambda: first.recv(65536), b""))
        self.assertFalse(said.endswith(b"\r\n0\r\n\r\n"))  # it was cut off

    def test_changes_while_it_is_written(self):
        """The answer is whole JSON, says so, and the proxy lives."""
        self.run_with(many(MANY, LARGE))
        client = Client(self.n, buffer=4096)
        self.addCleanup(client.close)
        client.request("GET", "/services?format=json")
        r = client.getresponse()
        text = r.read(1000)
        before = self.n.audited().count("result ok")
        self.n.write("objects.json", many(MANY // 2, LARGE))

        def committed():  # who reads nothing for long is cut off
            nonlocal text
            text += r.read(100)
            return self.n.audited().count("result ok") > before
        self.n.wait("a commit", committed)
        answer = json.loads(text + r.read())
        names = [s["service"] for s in answer["services"]]
        self.assertEqual(names, sorted(set(names)))
        self.assertEqual(names[:MANY // 2], ["default/s%04d:http" % k for k in range(MANY // 2)])
        self.assertLess(len(names), MANY)
        self.assertTrue(answer["note"].startswith("something changed"), answer["note"])

    def spoil(self):
        """Another program changes what is ours."""
        sh("ip", "netns", "exec", self.n.node, "iptables-legacy", "-t", "nat", "-F",
           "KUBE-POSTROUTING")

    def state(self):
        return self.n.save(4)

    def test_differences(self):
        self.run_with(many(50), "--iptables-sync-period=1h")  # the answer, not a timer, finds it
        want = self.state()
        status, text, _ = self.get("/diff")
        self.assertEqual(status, 200)
        self.assertIn("nothing differs", text)
        self.spoil()
        self.assertNotEqual(self.state(), want)
        answer = json.loads(self.get("/diff", accept="application/json")[1])
        self.assertEqual(answer["differences"], [
            {"is": "changed", "family": "IPv4", "table": "nat", "chain": "KUBE-POSTROUTING"}])
        self.n.wait("the repair", lambda: self.state() == want)
        self.assertIn("nothing differs", self.get("/diff")[1])

    def test_no_difference_is_made_up(self):
        """While services come and go."""
        objects = many(200)
        self.run_with(objects)
        stop, pause = threading.Event(), 0.05

        def churn():
            k = 0
            while not stop.is_set():
                k += 1
                self.n.write("objects.json", objects[2 * (k % 20):])
                stop.wait(pause)

        t = threading.Thread(target=churn)
        t.start()
        try:
            before = self.n.audited().count("result ok")
            compared = 0
            while compared < 4:
                status, text, _ = self.get("/diff")
                if status == 503 and pause < 2:  # it waits for a moment without changes, and not for ever
                    pause *= 4
                    continue
                self.assertEqual(status, 200)
                self.assertIn("nothing differs", text)
                compared += 1
            self.assertGreater(self.n.audited().count("result ok"), before)
        finally:
            stop.set()
            t.join()

    def test_wrong_questions(self):
        self.run_with(many(1))
        for path, why in (("/explain?src=10.0.0.1", "the first three must be there"),
                          ("/explain?src=10.0.0.1&dst=fd00::1&port=1", "different families"),
                          ("/services?what=1", "namespace, name"), ("/diff?x", "format")):
            status, text, headers = self.get(path)
            self.assertEqual(status, 400)
            self.assertIn(why, text)
            self.assertTrue(headers["Content-Type"].startswith("text/plain"))
        self.assertEqual(self.n.health("/services")[0], 404)  # not on the health port

    def test_the_same_from_manifests(self):
        self.run_with(many(30))
        for path in ("/services?format=json", "/services?name=s0003",
                     "/explain?src=10.244.1.1&dst=10.100.0.4&port=80"):
            self.assertEqual(self.printed(path, "--manifest-path", self.path), self.get(path)[1])

    def printed(self, path, *source):
        return subprocess.run(
            ["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"),
             "--inspect=" + path, "--hostname-override=node-a", *source, *self.flags], text=True,
            check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=patient(30)).stdout

    def test_the_same_from_an_apiserver(self):
        objects = many(20)
        with inside(self.n.node, lambda: Stub().__enter__()) as api:
            config = os.path.join(self.n.dir, "kubeconfig")
            api.kubeconfig(config)
            for o in objects:
                api.put(o)
            for name in [config, api.ca_file]:
                os.chmod(name, 0o644)
            os.chmod(api.directory, 0o755)
            path = "/services?format=json"
            said = self.printed(path, "--kubeconfig", config)
        self.run_with(objects)
        self.assertEqual(len(json.loads(said)["services"]), 20)
        self.assertEqual(said, self.get(path)[1])

    def test_nothing_is_programmed_yet(self):
        self.n.start("--master=http://127.0.0.1:1", *self.flags, wait=False)
        self.n.wait("the metrics server", lambda: self.n.health("/healthz", PORT)[0] == 200)
        for path in ("/services", "/diff", "/explain?src=10.0.0.1&dst=10.0.0.2&port=1"):
            status, text, _ = self.get(path + ("&" if "?" in path else "?") + "format=json")
            self.assertEqual((status, json.loads(text)),
                             (503, {"error": "nothing is programmed yet"}))


class InNftablesMode(Inspection):
    mode = "nftables"

    def test_differences(self):
        self.run_with(many(50))
        self.assertIn("nothing differs", self.get("/diff")[1])
        sh("ip", "netns", "exec", self.n.node, "nft", "delete", "table", "ip6", "kube-proxy")
        self.n.wait("the repair", lambda: "nothing differs" in self.get("/diff")[1])
        self.assertIn("chain choose", sh("ip", "netns", "exec", self.n.node, "nft", "list", "table",
                                         "ip6", "kube-proxy"))
