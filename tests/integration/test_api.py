#!/usr/bin/python3
"""
The watcher against the stub apiserver (which test_stub.py holds to a real one).

Runs kube-proxy-watcher of $KP_BUILD (build) as the applier does, but under our own uid, with the
planner's end of its channel here.
"""

import ipaddress
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import msgpack

TAKES = 190  # seconds on an idle machine

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "stub"))
from apiserver import Stub, endpoint_slice, node, service  # noqa: E402
from limits import patient, wait  # noqa: E402

WATCHER = os.path.join(ROOT, os.environ.get("KP_BUILD", "build"), "kube-proxy-watcher")
NODE = "node-a"

(
    LIST_BEGIN,
    LIST_END,
    SERVICE_PUT,
    SERVICE_DEL,
    SLICE_PUT,
    SLICE_DEL,
    NODE_PUT,
    NODE_DEL,
    NODE_ADDRS,
    SERVICE_CIDRS,
    STATS,
) = range(1, 12)
SERVICES, SLICES = 1, 2  # kinds of a list


def start_process(args, descriptors, **kwargs):
    """Runs ARGS with DESCRIPTORS {number there: descriptor here} and no other but 0 to 2."""
    # Out of the way first: a target may be the number of another source.
    high = {
        there: os.dup2(here, 100 + there, inheritable=False) for there, here in descriptors.items()
    }

    def arrange():
        for there, fd in high.items():
            os.dup2(fd, there)

    try:
        return subprocess.Popen(args, preexec_fn=arrange, close_fds=False, **kwargs)
    finally:
        for fd in high.values():
            os.close(fd)


def config_of(flags):
    """The CONFIG message that the one-shot makes of FLAGS."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        p = start_process([WATCHER, "-C", *flags], {3: theirs.fileno()}, stderr=subprocess.PIPE)
        theirs.close()
        message = ours.recv(1 << 17)
        _, said = p.communicate(timeout=patient(10))
        if p.returncode != 0:
            raise AssertionError(f"the one-shot exits {p.returncode}: {said.decode()}")
        return message


class Watcher:
    """A running kube-proxy-watcher, and what it has told the planner."""

    def __init__(self, kubeconfig, *flags, wrap=()):
        message = config_of(
            [f"--kubeconfig={kubeconfig}", f"--hostname-override={NODE}", "--v=2", *flags]
        )
        self.lock = threading.Lock()
        self.messages = []
        self.synced = {SERVICES: 0, SLICES: 0}  # lists completed
        self.listing = {}
        self.objects = {SERVICES: set(), SLICES: set()}
        self.node = None  # None: nothing was said
        self.service_cidrs = None
        self.addresses = None  # of the machine
        self.stats = None  # [apiserver, numbers]
        self.log_lines = []
        self.reading = threading.Event()
        self.reading.set()

        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        life, self.life = os.pipe()
        config = os.memfd_create("config")
        os.write(config, message)
        self.process = start_process(
            [*wrap, WATCHER],
            {3: config, 4: life, 5: theirs.fileno()},
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        os.close(life)
        os.close(config)
        self.threads = [
            threading.Thread(target=self.read_messages, daemon=True),
            threading.Thread(target=self.read_log, daemon=True),
        ]
        for t in self.threads:
            t.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
        self.process.stderr.close()

    def stop(self):
        """Ends it as the planner's end does, if that has not been done."""
        if self.channel.fileno() < 0:
            return
        if self.life is not None:
            self.channel.shutdown(socket.SHUT_RDWR)
            os.close(self.life)
            self.life = None
        try:
            status = self.process.wait(patient(15))
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        for t in self.threads:
            t.join(patient(5))
        self.channel.close()
        if status != 0:  # also a sanitizer's, or the sandbox's
            raise AssertionError(f"it ends with status {status}:\n" + "\n".join(self.log_lines))

    def read_messages(self):
        while True:
            self.reading.wait()
            data = self.channel.recv(1 << 18)
            if not data:
                return
            self.take(msgpack.unpackb(data, strict_map_key=False))

    def take(self, message):
        kind, *fields = message
        with self.lock:
            if kind == STATS:  # when it comes is a matter of time
                self.stats = fields
                return
            self.messages.append(message)
            if kind == LIST_BEGIN:
                self.listing[fields[0]] = set()
            elif kind == LIST_END:
                self.objects[fields[0]] = self.listing.pop(fields[0])
                self.synced[fields[0]] += 1
            elif kind in (SERVICE_PUT, SLICE_PUT, SERVICE_DEL, SLICE_DEL):
                of = SERVICES if kind in (SERVICE_PUT, SERVICE_DEL) else SLICES
                key = f"{fields[0]}/{fields[1]}"
                for objects in (self.objects[of], self.listing.get(of, set())):
                    if kind in (SERVICE_PUT, SLICE_PUT):
                        objects.add(key)
                    else:
                        objects.discard(key)
            elif kind == NODE_PUT:
                self.node = fields[0]
            elif kind == NODE_DEL:
                self.node = ""
            elif kind == NODE_ADDRS:
                self.addresses = fields[2]
            elif kind == SERVICE_CIDRS:
                self.service_cidrs = {
                    f"{ipaddress.ip_address(ip)}/{bits}" for ip, bits in fields[0]
                }
            else:
                raise AssertionError(f"unknown message {message}")

    def read_log(self):
        for line in self.process.stderr:
            if os.environ.get("V"):
                sys.stderr.write(line)
            self.log_lines.append(line.rstrip("\n"))

    def said(self, text):
        """The log's lines with TEXT. One that comes now, behind the messages, is waited for."""
        end = time.monotonic() + patient(0.1)
        while True:
            lines = [line for line in list(self.log_lines) if text in line]
            if lines or time.monotonic() > end:
                return lines
            time.sleep(0.01)


class Base(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="kp-api-")
        self.addCleanup(self.dir.cleanup)
        self.stub = Stub(watchlist="refused")  # so that there are lists; see Servers
        self.addCleanup(self.stub.close)
        self.stub.put(node(NODE))
        self.stub.put(service("a", "10.96.0.1"))
        self.stub.put(endpoint_slice("a-1", "a", ["10.1.0.1"]))

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def watcher(self, *flags, wrap=(), **access):
        w = Watcher(self.stub.kubeconfig(self.path("kubeconfig"), **access), *flags, wrap=wrap)
        self.addCleanup(w.__exit__)
        return w

    def synced_watcher(self, **access):
        w = self.watcher(**access)
        self.wait_synced(w)
        return w

    def wait_synced(self, w, times=1):
        wait(
            lambda: min(w.synced.values()) >= times and w.node is not None,
            "synced\n" + "\n".join(w.log_lines),
        )
        wait(
            lambda: sum(r["verb"].startswith("watch") for r in self.stub.seen()) >= 4, "watching"
        )

    def wait_service(self, w, name, there=True):
        wait(
            lambda: (f"default/{name}" in w.objects[SERVICES]) == there,
            f"service {name} {'there' if there else 'gone'}",
        )


class ListAndWatch(Base):
    def test_follows_the_apiserver(self):
        w = self.synced_watcher()
        self.assertEqual(w.objects, {SERVICES: {"default/a"}, SLICES: {"default/a-1"}})
        self.assertEqual(w.node, NODE)
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        self.stub.delete("Service", "default", "a")
        self.wait_service(w, "a", there=False)
        self.stub.delete("EndpointSlice", "default", "a-1")
        wait(lambda: not w.objects[SLICES], "the slice goes")
        self.stub.delete("Node", None, NODE)
        wait(lambda: w.node == "", "the node goes")
        self.stub.put(node(NODE))
        wait(lambda: w.node == NODE, "the node comes")
        self.assertEqual(w.synced, {SERVICES: 1, SLICES: 1})
        w.stop()

    def test_asks_as_a_service_proxy_does(self):
        self.synced_watcher()
        selector = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"
        for resource, field in (("services", None), ("endpointslices", None), ("nodes", NODE)):
            asked = self.stub.seen(resource, "list")[0]
            watched = self.stub.seen(resource, "watch")[0]
            with self.subTest(resource):
                self.assertEqual(asked["query"]["limit"], "500")
                self.assertEqual(asked["query"]["resourceVersion"], "0")
                self.assertEqual(watched["query"]["allowWatchBookmarks"], "true")
                self.assertTrue(300 <= int(watched["query"]["timeoutSeconds"]) <= 600)
                self.assertEqual(watched["query"]["resourceVersion"], str(self.stub.version))
                for request in (asked, watched):
                    self.assertEqual(
                        request["headers"]["Accept"],
                        "application/vnd.kubernetes.protobuf,application/json",
                    )
                    self.assertRegex(request["headers"]["User-Agent"], r"^kube-proxy/[0-9.]+$")
                    self.assertNotIn("Authorization", request["headers"])
                    if field:
                        self.assertEqual(
                            request["query"]["fieldSelector"], f"metadata.name={field}"
                        )
                    else:
                        self.assertEqual(request["query"]["labelSelector"], selector)

    def test_tells_the_addresses_of_the_machine(self):
        """Also behind the walls that the API client needs, and while no apiserver answers."""
        name = f"kp-api{os.getpid()}"
        ip = lambda *args: subprocess.run(["ip", *args], check=True)  # noqa: E731
        ip("netns", "add", name)
        self.addCleanup(ip, "netns", "del", name)
        ip("-n", name, "link", "set", "lo", "up")
        w = self.watcher(wrap=["ip", "netns", "exec", name])
        loopback = [bytes([127, 0, 0, 1]), bytes(15) + b"\1"]
        wait(lambda: w.addresses == loopback, "the addresses at start")
        wait(lambda: w.said("trying again"), "no apiserver answers")
        ip("-n", name, "addr", "add", "192.0.2.7/32", "dev", "lo")
        more = sorted([bytes([192, 0, 2, 7]), *loopback], key=lambda a: (len(a), a))
        wait(lambda: w.addresses == more, "an address more")
        ip("-n", name, "addr", "del", "192.0.2.7/32", "dev", "lo")
        wait(lambda: w.addresses == loopback, "an address less")
        w.stop()

    def test_node_that_is_not_there(self):
        self.stub.delete("Node", None, NODE)
        w = self.watcher()
        wait(lambda: w.node == "", "the node's absence is told")
        said = w.said(f'no Node "{NODE}"')
        self.assertEqual(len(said), 1)
        self.assertIn("--hostname-override", said[0])

    def test_object_that_leaves_the_selector(self):
        w = self.synced_watcher()
        labels = {"service.kubernetes.io/service-proxy-name": "other"}
        self.stub.put(service("a", "10.96.0.1", labels=labels))
        self.wait_service(w, "a", there=False)
        self.stub.put(service("a", "10.96.0.1"))
        self.wait_service(w, "a")

    def test_pages(self):
        self.stub.watch_cache = False
        self.stub.generate(1234, 2)
        w = self.synced_watcher()
        self.assertEqual(len(w.objects[SERVICES]), 1235)
        self.assertEqual(len(w.objects[SLICES]), 1235)
        pages = self.stub.seen("services", "list")
        self.assertEqual(len(pages), 3)
        self.assertEqual(["continue" in p["query"] for p in pages], [False, True, True])
        self.assertEqual(w.synced, {SERVICES: 1, SLICES: 1})
        self.assertTrue(w.said("services: 1235 listed in"))

    def test_quiet_when_nothing_happens(self):
        w = self.synced_watcher()
        wait(lambda: len(w.said("watching from")) == 4, "the lists are logged")
        lines, requests = len(w.log_lines), len(self.stub.requests)
        cpu = os.sysconf("SC_CLK_TCK")

        def ticks():
            with open(f"/proc/{w.process.pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        time.sleep(2)
        self.assertEqual(w.log_lines[lines:], [])
        self.assertEqual(len(self.stub.requests), requests)
        self.assertLess(ticks() - before, 0.05 * cpu)

    def test_planner_that_does_not_read(self):
        """The watcher waits with its input in the socket, and loses nothing."""
        self.stub.generate(2000, 10)
        w = self.watcher()
        wait(lambda: self.stub.seen("services", "list"), "it begins")
        w.reading.clear()
        time.sleep(1)
        w.reading.set()
        self.wait_synced(w)
        self.assertEqual(len(w.objects[SLICES]), 2001)

    def test_memory_of_a_big_list(self):
        self.stub.generate(5000, 10)
        w = self.synced_watcher()
        with open(f"/proc/{w.process.pid}/status", encoding="ascii") as f:
            peak = int(next(line for line in f if line.startswith("VmHWM")).split()[1])
        if "asan" not in WATCHER:
            self.assertLess(peak, 48 * 1024, "KiB at most")


class Versions(Base):
    def test_resumes_from_the_last_event(self):
        w = self.synced_watcher()
        version = self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        time.sleep(1)  # a watch that ends within a second is followed by a wait
        self.stub.end_watches()
        wait(lambda: len(self.stub.seen("services", "watch")) == 2, "a second watch")
        self.assertFalse(w.said("next try"), "at once")
        again = self.stub.seen("services", "watch")[1]
        self.assertEqual(again["query"]["resourceVersion"], str(version))
        self.assertEqual(len(self.stub.seen("services", "list")), 1)

    def test_resumes_from_a_bookmark(self):
        w = self.synced_watcher()
        version = self.stub.put(node("another"))
        self.stub.bookmark()
        time.sleep(1)
        self.stub.end_watches()
        wait(lambda: len(self.stub.seen("services", "watch")) == 2, "a second watch")
        again = self.stub.seen("services", "watch")[1]
        self.assertEqual(again["query"]["resourceVersion"], str(version))
        self.assertFalse(w.said("listing anew"))

    def test_watch_from_a_forgotten_version(self):
        """ERROR 410: a new list tells what has gone; nothing is dropped in between."""
        w = self.synced_watcher()
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        time.sleep(1)
        self.stub.down()
        self.stub.delete("Service", "default", "a")
        self.stub.expire()
        self.stub.up()
        wait(lambda: w.synced[SERVICES] == 2, "listed again")
        self.assertEqual(w.objects[SERVICES], {"default/b"})
        deletions = [m for m in w.messages if m[0] in (SERVICE_DEL, SLICE_DEL)]
        self.assertEqual(deletions, [], "the planner sweeps at LIST_END, no sooner")
        self.assertTrue(w.said("no longer remembers our version"))

    def test_http_410_of_a_watch(self):
        self.stub.fail(410, resource="services", verb="watch", times=1)
        w = self.watcher()
        wait(lambda: w.synced[SERVICES] == 2, "listed again")
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")

    def test_continue_token_of_a_forgotten_version(self):
        self.stub.watch_cache = False
        self.stub.generate(600, 1)
        forgotten = threading.Event()
        first_page = self.stub.list_page

        def forget(resource, namespace, query, *how):
            if resource == "services" and "continue" in query and not forgotten.is_set():
                forgotten.set()
                self.stub.delete("Service", "default", "svc-0")
                self.stub.expire()
            return first_page(resource, namespace, query, *how)

        self.stub.list_page = forget
        w = self.watcher()
        wait(lambda: w.synced[SERVICES] == 1, "listed")
        self.assertEqual(len(w.objects[SERVICES]), 600)
        begins = [m for m in w.messages if m == [LIST_BEGIN, SERVICES]]
        self.assertEqual(len(begins), 2)
        self.assertNotIn("default/svc-0", w.objects[SERVICES])


class Failures(Base):
    def test_connections_cut(self):
        w = self.synced_watcher()
        self.stub.drop()
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        self.assertEqual(w.synced[SERVICES], 1, "resumed, not listed again")
        self.assertFalse(w.said("does not answer"), "one cut is no news")

    def test_server_gone_and_back(self):
        w = self.synced_watcher()
        self.stub.down()
        wait(lambda: w.said("does not answer"), "its going is logged")
        wait(lambda: len(w.said("next try")) >= 6, "several tries", seconds=20)
        self.assertEqual(len(w.said("does not answer")), 1)
        self.stub.up()
        self.stub.put(service("b", "10.96.0.2"))
        wait(lambda: "default/b" in w.objects[SERVICES], "it goes on", seconds=20)
        self.assertEqual(len(w.said("answers again after")), 1)
        self.assertEqual(w.synced[SERVICES], 1)

    def test_server_not_there_at_start(self):
        self.stub.down()
        w = self.watcher()
        wait(lambda: len(w.said("next try")) >= 3, "tries")
        self.assertEqual(len(w.said("does not answer")), 1)
        told = [m for m in w.messages if m[0] != NODE_ADDRS]
        self.assertEqual(told, [], "what an earlier run programmed must stay")
        self.stub.up()
        self.wait_synced(w)

    def test_list_that_breaks_off(self):
        self.stub.put(service("b", "10.96.0.2"))
        _, body = self.stub.list_page("services", None, {})
        self.stub.script(body[: len(body) - 20], resource="services", verb="list")
        w = self.watcher()
        self.wait_synced(w)
        services = [m for m in w.messages if m in ([LIST_BEGIN, SERVICES], [LIST_END, SERVICES])]
        self.assertEqual(services, [[LIST_BEGIN, SERVICES]] * 2 + [[LIST_END, SERVICES]])
        self.assertTrue(w.said("cannot list services: the list ends in the middle"))

    def test_refusals(self):
        for code, hint in (
            (401, "renew it"),
            (403, "system:node-proxier"),
            (500, "HTTP 500"),
        ):
            with self.subTest(code):
                self.stub.fail(code, resource="endpointslices", verb="list", times=2)
                w = self.watcher()
                wait(lambda: w.synced[SLICES], "it goes on trying")
                self.assertTrue(w.synced[SERVICES], "the others are not stopped")
                lines = w.said("cannot list endpointslices")
                self.assertEqual(len(lines), 1, "said once")
                self.assertIn(hint, lines[0])
                wait(lambda: w.said("endpointslices: list works again"), "the end of the trouble")
                w.stop()

    def test_watch_refused(self):
        self.stub.fail(403, resource="services", verb="watch", times=2)
        w = self.watcher()
        wait(lambda: w.said("services: watch works again"), "it goes on trying")
        self.assertEqual(len(w.said("cannot watch services: HTTP 403")), 1)
        self.assertEqual(w.synced[SERVICES], 1)

    def test_retry_after(self):
        for code in (429, 503):
            with self.subTest(code):
                del self.stub.requests[:]
                self.stub.fail(code, retry_after=4, resource="services", verb="list", times=1)
                w = self.watcher()
                wait(lambda: w.synced[SERVICES], "listed in the end")
                first, second = self.stub.seen("services", "list")[:2]
                self.assertGreaterEqual(second["time"] - first["time"], 3.95)
                w.stop()

    def test_garbage_instead_of_a_list(self):
        self.stub.script(b"<html>a proxy's login page</html>", resource="services", verb="list")
        w = self.watcher()
        wait(lambda: w.synced[SERVICES], "listed in the end")
        self.assertTrue(w.said("cannot list services: not a list of objects: byte 0 is 0x3c"))

    def test_garbage_in_a_watch(self):
        event = b'{"type":"ADDED","object":'
        for garbage in (
            b"\xff\xfe\n",
            event + b"\n",
            b"[1,2]\n",
            b'{"type":"ADDED","object":{}}\n',
            b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"PrevKv=nil"}}\n',
            b"{" * 100000 + b"\n",
        ):
            with self.subTest(garbage[:40]):
                del self.stub.requests[:]
                self.stub.script(garbage, resource="services", verb="watch")
                w = self.watcher()
                wait(lambda: w.synced[SERVICES] == 2, "stepped over with a list")
                # or this watch, arriving late, would take the next one's garbage
                wait(lambda: len(self.stub.seen("services", "watch")) == 2, "it watches again")
                self.assertEqual(len(w.said("cannot watch services")), 1)
                w.stop()

    def test_endless_line(self):
        def endless():
            yield b'{"type":"ADDED","object":{"metadata":{"name":"'
            while True:
                yield b"a" * 65536

        for verb in ("watch", "list"):
            with self.subTest(verb):
                self.stub.script(
                    endless()
                    if verb == "watch"
                    else (b'{"items":[' + b" {" for _ in range(1 << 30)),
                    resource="services",
                    verb=verb,
                )
                w = self.watcher()
                wait(lambda: w.said(f"cannot {verb} services"), "it is ended", seconds=20)
                wait(lambda: w.synced[SERVICES] == (2 if verb == "watch" else 1), "and goes on")
                w.stop()

    def test_object_too_big(self):
        self.stub.put(service("b", "10.96.0.2"))
        big = service("big", "10.96.0.3")
        big["metadata"]["annotations"] = {"x": "y" * (5 << 20)}
        w = self.synced_watcher()
        self.stub.put(big)
        wait(lambda: w.said("longer than 4 MiB"), "it is refused")
        self.stub.delete("Service", "default", "big")
        self.stub.put(service("c", "10.96.0.4"))
        wait(lambda: "default/c" in w.objects[SERVICES], "it goes on", seconds=20)

    def test_nul_in_an_annotation(self):
        """Valid JSON that anybody with access to one Service can make: it must stop nothing."""
        nul = service("b", "10.96.0.2")
        nul["metadata"]["annotations"] = {"x": "\0", "y": "\U0001f600"}
        self.stub.put(nul)
        w = self.synced_watcher()
        self.assertIn("default/b", w.objects[SERVICES])
        self.stub.put(nul)
        self.stub.put(service("c", "10.96.0.3"))
        self.wait_service(w, "c")
        self.assertEqual(w.synced[SERVICES], 1)

    def test_other_content(self):
        html = b"<html>a proxy's login page</html>"
        self.stub.script(html, resource="services", verb="list", content_type="text/html")
        w = self.watcher()
        wait(lambda: w.synced[SERVICES], "listed in the end")
        self.assertTrue(w.said("cannot list services: the answer is text/html"))

    def test_tls_never_answered(self):
        self.stub.hang = "tcp"
        w = self.watcher()
        wait(lambda: w.said("does not answer"), "the connect deadline", seconds=14)
        self.stub.hang = None
        wait(lambda: min(w.synced.values()) > 0, "it goes on", seconds=14)


class Credentials(Base):
    def test_token(self):
        self.stub.tokens = {"sesame"}
        w = self.synced_watcher(token="sesame")
        self.assertEqual(self.stub.requests[0]["headers"]["Authorization"], "Bearer sesame")
        self.assertFalse(w.said("sesame"), "no secret in the log")

    def test_wrong_token(self):
        self.stub.tokens = {"sesame"}
        w = self.watcher(token="simsim")
        wait(lambda: len(w.said("next try")) >= 2, "it tries again")
        self.assertEqual(len(w.said("HTTP 401: Unauthorized")), 1, "said once")
        self.assertFalse(w.said("simsim"), "no secret in the log")
        self.stub.tokens = {"simsim"}
        self.wait_synced(w)

    def test_token_file_rotates(self):
        with open(self.path("token"), "w", encoding="ascii") as f:
            f.write("first\n")
        self.stub.tokens = {"first"}
        w = self.synced_watcher(token_file=self.path("token"))
        with open(self.path("token.new"), "w", encoding="ascii") as f:
            f.write("second\n")
        os.rename(self.path("token.new"), self.path("token"))
        self.stub.tokens = {"second"}
        time.sleep(1)
        self.stub.end_watches()
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        self.assertEqual(
            self.stub.seen("services")[-1]["headers"]["Authorization"], "Bearer second"
        )
        self.assertFalse(w.said("HTTP 401"))

    def test_token_file_that_goes(self):
        with open(self.path("token"), "w", encoding="ascii") as f:
            f.write("sesame")
        self.stub.tokens = {"sesame"}
        w = self.synced_watcher(token_file=self.path("token"))
        os.unlink(self.path("token"))
        wait(lambda: w.said(self.path("token")), "the file is named")
        self.assertIn("going on with what it said before", w.said(self.path("token"))[0])
        time.sleep(1)
        self.stub.end_watches()
        wait(lambda: len(self.stub.seen("services", "watch")) == 2, "a second watch")
        self.assertFalse(w.said("HTTP 401"), "with the token it had")

    def test_token_file_behind_a_link(self):
        """Landlock opens the directory that the link leads to as well."""
        self.stub.tokens = {"sesame"}
        with tempfile.TemporaryDirectory() as elsewhere:
            os.chmod(elsewhere, 0o755)
            real = os.path.join(elsewhere, "token")
            with open(real, "w", encoding="ascii") as f:
                f.write("sesame")
            os.symlink(real, self.path("token"))
            w = self.synced_watcher(token_file=self.path("token"))
            self.stub.put(service("b", "10.96.0.2"))
            self.wait_service(w, "b")  # the lists were asked for before the walls stood

    def test_client_certificate(self):
        self.stub.tokens = {"nobody has it"}
        self.synced_watcher(client_cert=True)

    def test_no_token_without_tls(self):
        with Stub(tls=False) as plain:
            plain.put(node(NODE))
            w = Watcher(plain.kubeconfig(self.path("kubeconfig"), token="sesame"))
            self.addCleanup(w.__exit__)
            wait(lambda: w.node == NODE, "synced")
            wait(lambda: w.said("the token is not sent"), "the warning")
            self.assertNotIn("Authorization", plain.requests[0]["headers"])

    def test_wrong_authority(self):
        """A certificate that another CA signed is refused, and no token goes over the wire."""
        w = self.watcher(certificate_authority=self.stub.client_ca_file, token="sesame")
        wait(lambda: w.said("does not answer"), "it is refused")
        self.assertIn("check certificate-authority", w.said("does not answer")[0])
        self.assertEqual(self.stub.requests, [])

    def test_wrong_authority_that_nobody_checks(self):
        w = self.synced_watcher(certificate_authority=None, insecure_skip_tls_verify=True)
        wait(lambda: len(w.said("whoever answers there is believed")) == 1, "the warning")

    def test_wrong_name(self):
        w = self.watcher(tls_server_name="kubernetes.elsewhere")
        wait(lambda: w.said("does not answer"), "it is refused")
        self.assertEqual(self.stub.requests, [])

    def test_tls_server_name(self):
        self.synced_watcher(tls_server_name="kubernetes.stub")
        self.assertEqual(self.stub.requests[0]["headers"]["Host"], f"127.0.0.1:{self.stub.port}")

    def test_host_name(self):
        """Looked up in /etc/hosts, by the resolver's thread; the first address does not answer."""
        with open(self.path("hosts"), "w", encoding="ascii") as f:
            f.write("127.0.0.9 kubernetes.stub\n127.0.0.1 kubernetes.stub\n::1 kubernetes.stub\n")
        mounted = 'mount --bind "$0" /etc/hosts && exec "$@"'
        w = self.watcher(
            wrap=["unshare", "-m", "sh", "-c", mounted, self.path("hosts")],
            server=f"https://kubernetes.stub:{self.stub.port}",
        )
        self.wait_synced(w)

    def test_unknown_host_name(self):
        w = self.watcher(server="https://apiserver.invalid:6443")
        wait(lambda: w.said("does not answer"), "said", seconds=15)
        self.assertIn("check the server's name", w.said("does not answer")[0])

    def test_path_prefix(self):
        w = self.watcher(server=f"{self.stub.url}/k8s/clusters/c-1/")
        wait(lambda: w.said("HTTP 404"), "the stub has no such path")
        # No group of EndpointSlices, no Services.
        paths = {r["path"] for r in self.stub.requests}
        self.assertIn("/k8s/clusters/c-1/apis/discovery.k8s.io", paths)
        wait(
            lambda: "/k8s/clusters/c-1/api/v1/services" in {r["path"] for r in self.stub.requests},
            "services asked for",
        )

    def test_redirect_is_not_followed(self):
        """A redirect could carry the token elsewhere."""
        with Stub() as other:
            location = {"Location": other.url + "/api/v1/services"}
            self.stub.fail(302, resource="services", verb="list", headers=location)
            w = self.watcher(token="sesame")
            wait(lambda: w.said("cannot list services: HTTP 302"), "it is an error")
            self.assertEqual(other.requests, [])


class WatchStalls(unittest.TestCase):
    """
    A server that takes requests and never answers is given up after 65 s, during which the other
    tests run: it is begun with the module, and this class comes last.
    """

    @classmethod
    def begin(cls):
        cls.case = Base("setUp")  # its fixtures, outside a test
        cls.case.setUp()
        cls.watcher = cls.case.synced_watcher()
        cls.case.stub.hang = "request"
        cls.case.stub.drop()

    @classmethod
    def end(cls):
        cls.case.doCleanups()

    def test_request_never_answered(self):
        w, stub = self.watcher, self.case.stub
        wait(lambda: w.said("the server said nothing for 65 s"), "the deadline", seconds=80)
        stub.hang = None
        stub.put(service("b", "10.96.0.2"))
        wait(lambda: "default/b" in w.objects[SERVICES], "it goes on", seconds=40)
        self.assertEqual(len(w.said("does not answer")), 1)


def setUpModule():
    WatchStalls.begin()


def tearDownModule():
    WatchStalls.end()


if __name__ == "__main__":
    unittest.main()
