"""Connections: HTTP/2, how many, which of them is dead, and how soon that is noticed."""
import itertools
import os
import socket
import tempfile
import threading
import time
import unittest
import unittest.mock

import apiserver
import test_api
from apiserver import Stub, endpoint_slice, node, service
from harness import inside, sh
from http2 import Http2
from test_api import NODE, SERVICES, wait

TAKES = 60  # seconds on an idle machine


def watches(stub, resource="services"):
    return stub.seen(resource, "watch")


class OverHttp2(test_api.Base):
    def setUp(self):
        super().setUp()
        self.stub.close()
        self.stub = Stub(tls=False, watchlist="refused")
        self.addCleanup(self.stub.close)
        self.stub.put(node(NODE))
        self.stub.put(service("a", "10.96.0.1"))
        self.stub.put(endpoint_slice("a-1", "a", ["10.1.0.1"]))
        self.front = Http2(self.stub)
        self.addCleanup(self.front.down)
        self.w = self.synced_watcher(**self.front.access)

    def check_follows(self, name, address):
        self.stub.put(service(name, address))
        self.wait_service(self.w, name)
        self.assertEqual(self.w.synced[SERVICES], 1, "not listed again")

    def test_one_connection_for_all(self):
        self.check_follows("b", "10.96.0.2")
        self.assertEqual(len(self.front.connections), 1)
        time.sleep(1)
        self.stub.end_watches()
        wait(lambda: len(watches(self.stub)) == 2, "the next watch")
        self.check_follows("c", "10.96.0.3")
        self.assertEqual(len(self.front.connections), 1)

    def test_big_list(self):
        """Longer than the windows of flow control."""
        self.stub.generate(2000, 10)
        self.front.reset()
        self.stub.expire()
        wait(lambda: self.w.synced[SERVICES] == 2, "listed again", seconds=30)
        self.assertEqual(len(self.w.objects[SERVICES]), 2001)

    def test_goaway(self):
        """--goaway-chance of an apiserver: what runs goes on, what comes goes to a new one."""
        time.sleep(1)
        before = sorted(self.front.running())
        self.front.goaway()
        time.sleep(0.5)
        self.assertEqual(sorted(self.front.running()), before)
        self.check_follows("b", "10.96.0.2")
        self.assertEqual(len(watches(self.stub)), 1, "by the watch that ran")
        self.stub.end_watches()
        wait(lambda: len(watches(self.stub)) == 2, "the next watch")
        self.check_follows("c", "10.96.0.3")
        self.assertNotIn(0, {i for i, _ in self.front.running()})
        self.assertEqual(self.front.late_streams, 0, "none was begun where it is not wanted")
        self.assertFalse(self.w.said("does not answer"))

    def test_streams_reset(self):
        time.sleep(1)
        self.front.reset()
        wait(lambda: len(watches(self.stub)) == 2, "the next watch")
        self.check_follows("b", "10.96.0.2")
        self.assertFalse(self.w.said("does not answer"))

    def test_connection_cut(self):
        time.sleep(1)
        self.front.connections[0].cut()
        wait(lambda: len(watches(self.stub)) == 2, "the next watch")
        self.check_follows("b", "10.96.0.2")
        self.assertFalse(self.w.said("does not answer"))


class Idle(test_api.Base):
    def test_server_that_closes_idle_connections(self):
        """A connection that died in the pool costs nothing: not an error, not a wait."""
        with unittest.mock.patch.object(apiserver.Handler, "timeout", 0.2):
            w = self.synced_watcher()
            wait(lambda: len(watches(self.stub)) == 1, "watching")
            for times in (2, 3):
                time.sleep(1)
                self.stub.fail(500, resource="services", times=1)
                self.stub.end_watches()  # and the next is refused: a second of quiet
                wait(lambda: len(watches(self.stub)) == 2 * times - 1, "watching again")
            self.stub.put(service("b", "10.96.0.2"))
            self.wait_service(w, "b")
            self.assertFalse(w.said("does not answer"))
            self.assertEqual(w.synced[SERVICES], 1)


class Scheme(test_api.Base):
    """The URL's scheme is not what the server speaks: said in plain words, and what to do."""

    def check(self, url, said):
        w = self.watcher(server=url)
        wait(lambda: w.said(said), "\n".join([url, *w.log_lines]))
        w.stop()

    def one_answer(self, answer):
        """The URL, without its scheme, of a server that answers every request with ANSWER."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def serve():
            while True:
                try:
                    client = listener.accept()[0]
                except OSError:
                    return
                with client:
                    client.recv(65536)
                    client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return "127.0.0.1:%d" % listener.getsockname()[1]

    def test_tls_to_a_port_without(self):
        plain = Stub(tls=False)
        self.addCleanup(plain.close)
        self.check(plain.url.replace("http:", "https:"), "the server speaks plain HTTP, not TLS")

    def test_http_to_a_port_with_tls(self):
        url = "http://" + self.stub.url.split("//")[1]
        self.check(url, "it probably expects TLS; give its URL with https://")

    def test_http_to_servers_that_say_so(self):
        for text in (b"Client sent an HTTP request to an HTTPS server.\n",  # Go's net/http
                     b"<html>The plain HTTP request was sent to HTTPS port</html>"):  # nginx
            url = self.one_answer(b"HTTP/1.0 400 Bad Request\r\n\r\n" + text)
            self.check("http://" + url, "the server expects TLS: give its URL with https://")
        # 400 of another cause, and with TLS on both sides, say nothing of it.
        url = self.one_answer(b"HTTP/1.0 400 Bad Request\r\n\r\nno such thing")
        w = self.watcher(server="http://" + url)
        wait(lambda: w.said("HTTP 400"), "refused")
        self.assertFalse(w.said("TLS"))

    def test_alert(self):
        """OpenSSL's answer to what is not TLS: an alert, 21 being its type."""
        url = self.one_answer(bytes([21, 3, 1, 0, 2, 2, 70]))
        self.check("http://" + url, "it probably expects TLS; give its URL with https://")


class Addresses(unittest.TestCase):
    """In a network namespace of its own, where some addresses drop what comes to them."""

    NAME = "kubernetes.stub"
    # Of one distance to us, or libc would put the nearest first (RFC 6724).
    LIVE, DEAD = "127.9.0.1", ["127.9.0.2", "127.9.0.3"]
    numbers = itertools.count()

    def setUp(self):
        self.ns = "kp-c%d-%d" % (os.getpid() % 100000, next(self.numbers))
        sh("ip", "netns", "add", self.ns)
        self.addCleanup(sh, "ip", "netns", "del", self.ns)
        self.inside("ip", "link", "set", "lo", "up")
        self.dir = tempfile.TemporaryDirectory(prefix="kp-addr-")
        self.addCleanup(self.dir.cleanup)
        self.stub = inside(self.ns, lambda: Stub(tls=False, watchlist="refused"))
        self.addCleanup(self.stub.close)
        self.front = inside(self.ns, lambda: Http2(self.stub, self.LIVE))
        self.addCleanup(self.front.down)
        self.stub.put(node(NODE))
        self.stub.put(service("a", "10.96.0.1"))

    def inside(self, *cmd):
        return sh("ip", "netns", "exec", self.ns, *cmd)

    def drop(self, *match):
        self.inside("iptables-legacy", "-A", "INPUT", *match, "-j", "DROP")

    def watcher(self, *addresses):
        """One whose resolver knows the server by these addresses."""
        path = os.path.join(self.dir.name, "hosts")
        with open(path, "w", encoding="ascii") as f:
            f.writelines(f"{a} {self.NAME}\n" for a in addresses)
        access = {**self.front.access, "server": f"https://{self.NAME}:{self.front.port}"}
        config = self.stub.kubeconfig(os.path.join(self.dir.name, "kubeconfig"), **access)
        mounted = 'mount --bind "$0" /etc/hosts && exec "$@"'
        w = test_api.Watcher(config, wrap=["ip", "netns", "exec", self.ns, "unshare", "-m", "sh",
                                           "-c", mounted, path])
        self.addCleanup(w.__exit__)
        return w

    def check_first_try(self, *addresses):
        """The first attempt to connect gets through: none ends at its deadline. If the machine is
        so busy that the handshake with the last address takes what is left of that, again."""
        began = time.monotonic()
        for last in (False, False, True):
            w = self.watcher(*addresses)
            wait(lambda w=w: w.synced[SERVICES], "synced", seconds=40)
            if last or not w.said("does not answer"):
                break
        self.assertEqual(w.said("does not answer"), [])
        print(f"synced after {time.monotonic() - began:.1f} s", flush=True)

    def test_addresses_that_refuse(self):
        self.check_first_try(*self.DEAD, self.LIVE)

    def test_address_that_swallows(self):
        self.drop("-d", self.DEAD[0])
        self.check_first_try(self.DEAD[0], self.LIVE)

    def test_two_addresses_that_swallow(self):
        for address in self.DEAD:
            self.drop("-d", address)
        self.check_first_try(*self.DEAD, self.LIVE)

    def test_dead_family(self):
        """RFC 8305: the other family is tried after a fifth of a second."""
        self.drop("-d", self.LIVE)
        six = inside(self.ns, lambda: Http2(self.stub, "::1", self.front.port))
        self.addCleanup(six.down)
        self.check_first_try(self.LIVE, "::1")
        self.assertTrue(six.connections)


class Vanished(unittest.TestCase):
    """
    A peer that vanishes without a word, as a machine does that loses power: a watch is silent
    anyway, so only probes tell. It takes most of a minute, during which the others run.
    """

    @classmethod
    def begin(cls):
        cls.case = case = Addresses("setUp")
        case.setUp()
        case.w = case.watcher(case.LIVE)
        wait(lambda: len(watches(case.stub)) == 1, "watching")
        cls.vanished = time.monotonic()
        for port in {str(c.sock.getpeername()[1]) for c in case.front.connections}:
            case.drop("-p", "tcp", "--sport", port)
            case.drop("-p", "tcp", "--dport", port)

    @classmethod
    def end(cls):
        cls.case.doCleanups()

    def test_noticed_within_a_minute(self):
        case = self.case
        wait(lambda: len(watches(case.stub)) == 2, "another watch", seconds=65)
        took = watches(case.stub)[1]["time"] - self.vanished
        print(f"a vanished peer is noticed after {took:.0f} s", flush=True)
        self.assertLess(took, 300, "by a probe, and not because the watch was over")
        case.stub.put(service("b", "10.96.0.2"))
        wait(lambda: "default/b" in case.w.objects[SERVICES], "it follows")
        self.assertEqual(case.w.synced[SERVICES], 1, "resumed, not listed again")


def setUpModule():
    Vanished.begin()


def tearDownModule():
    Vanished.end()


if __name__ == "__main__":
    unittest.main()
