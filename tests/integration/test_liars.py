"""
An apiserver that lies, or something else in its place: the whole daemon keeps what is programmed,
says what is wrong and where, stays small, and goes on when the truth is back.
"""
import itertools
import os
import time
import unittest

import apiserver
import test_api
from apiserver import Stub
from harness import BUILD, Node, inside, service, slice_of
from liar import Liar, head, response

TAKES = 180  # seconds on an idle machine

MIB = 1 << 20
LIST = b'{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9999"},"items":['


def endless(first, again):
    yield first
    while True:
        yield again


def chunked(*parts):
    """As HTTP/1.1's chunks; an endless iterable is never ended."""
    yield head("Transfer-Encoding: chunked")
    for part in parts:
        yield b"%x\r\n%b\r\n" % (len(part), part)
    yield b"0\r\n\r\n"


class Liars(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=1).__enter__()
        cls.addClassCleanup(n.__exit__)
        cls.api = inside(n.node, lambda: Stub(tls=False))
        cls.addClassCleanup(cls.api.close)
        # Its threads make sockets too: all of it belongs into the node's namespace.
        cls.liar = inside(n.node, lambda: Liar(cls.api))
        cls.addClassCleanup(cls.liar.close)
        cls.api.put(service("web", ["10.96.0.10"], [("http", 80, "TCP")]))
        cls.api.put(slice_of("web", [n.pod_ip(0)], [("http", Node.PORT, "TCP")]))
        os.chmod(cls.api.directory, 0o755)
        config = os.path.join(n.dir, "kubeconfig")
        cls.api.kubeconfig(config, token="s3cr3t-token", **cls.liar.access)
        for path in (config, cls.api.ca_file):
            os.chmod(path, 0o644)
        n.start("--kubeconfig", config, "--iptables-min-sync-period=0s", "--kube-api-qps=100")
        cls.pid = n.processes()["kube-proxy-watcher"]
        cls.addresses = itertools.count(20)

    def setUp(self):
        self.liar.heal()  # from what a failed test left
        self.recovered()

    def peak(self):
        with open("/proc/%d/status" % self.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:")) / 1024

    def recovered(self):
        """The truth is followed, for long enough that what failed before counts no more."""
        n = self.n
        address = "10.96.0.%d" % next(self.addresses)
        name = "new-" + address.rsplit(".", 1)[1]
        self.api.put(service(name, [address], [("http", 80, "TCP")]))
        n.wait("it follows: " + address, lambda: address in n.save(4), 40)
        time.sleep(1.1)

    def check(self, *expected, what, verb="list", bound=64):
        """WHAT is told in place of a list or watch: nothing changes but the log."""
        n = self.n
        rules, audited, logged = n.save(4) + n.save(6), n.audited(), len(n.logged())
        with open("/proc/%d/clear_refs" % self.pid, "w") as f:
            f.write("5")  # VmHWM from here on
        self.liar.lie(what, verb)
        said = lambda: n.logged()[logged:]
        n.wait("in the log: %s" % (expected,), lambda: all(e in said() for e in expected), 20)
        peak = self.peak()
        self.assertEqual(n.save(4) + n.save(6), rules, "nothing programmed is touched")
        self.assertEqual(n.audited(), audited, "nor written anew")
        self.assertEqual(n.ask(n.client, "10.96.0.10", 80).split(" ")[0], "pod1")
        if "asan" not in BUILD:
            self.assertLess(peak, bound, "MiB at most")
        self.assertLess(len(said()), 4000, "the log stays readable:\n" + said()[:4000])
        self.assertNotIn("s3cr3t", n.logged())
        self.liar.heal()
        self.recovered()
        return said()

    def error(self, text):
        return "cannot list services: " + text

    # --- lengths ---

    def test_huge_length(self):
        self.check("transfer closed with", "bytes remaining to read (GET https://",
                   "/api/v1/services)",
                   what=head("Content-Length: 9223372036854775807") + LIST)

    def test_impossible_length(self):
        self.check(self.error("the list ends in the middle, after 87 bytes"),
                   what=head("Content-Length: 99999999999999999999999") + LIST)

    def test_endless_object(self):
        self.check(" MiB; no genuine apiserver sends that",
                   what=lambda q: endless(head() + LIST + b'{"metadata":{"name":"', b"a" * 65536))

    def test_endless_nesting(self):
        self.check("cannot list services",
                   what=lambda q: endless(head() + LIST + b'{"metadata":', b'{"a":' * 10000))

    def test_endless_event(self):
        self.check(" MiB; no genuine apiserver sends that", verb="watch",
                   what=lambda q: endless(head() + b'{"type":"ADDED","object":{"metadata":{"n":"',
                                          b"a" * 65536))

    def test_endless_headers(self):
        self.check("headers are longer than 256 KiB",
                   what=lambda q: endless(b"HTTP/1.1 200 OK\r\n", b"X-A: %b\r\n" % (b"a" * 1000)))

    def test_endless_header(self):
        self.check("does not answer: ", "header is longer than libcurl takes",
                   what=lambda q: endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 65536))

    def test_endless_interim_responses(self):
        self.check("headers are longer than 256 KiB",
                   what=lambda q: endless(b"", b"HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n" * 99))

    def test_endless_trailers(self):
        self.check("headers are longer than 256 KiB",
                   what=lambda q: endless(head("Transfer-Encoding: chunked") + b"0\r\n",
                                          b"X-A: %b\r\n" % (b"a" * 1000)))

    def test_endless_error(self):
        self.check(self.error("HTTP 500"),
                   what=lambda q: endless(b"HTTP/1.1 500 No\r\n\r\n", b"a" * 65536))

    def test_endless_list(self):
        nothing = b'{"metadata":{"name":"a","namespace":"b"},"spec":{"clusterIP":"None"}},'
        self.check(self.error("more than 500000 objects"),
                   what=lambda q: endless(head() + LIST, nothing * 500))

    def test_continue_token_for_ever(self):
        again = LIST.replace(b'"9999"', b'"9999","continue":"again"') + b"]}"
        at = len(self.n.logged())
        self.check(self.error("a page names itself as the next one"), what=response(again))
        tries = 1 + self.n.logged()[at:].count("services: next try")
        self.assertLessEqual(self.liar.lies, 2 * tries, "two pages, and no more, for each try")

    def test_endless_unknown_events(self):
        """Not an error: of a later server. But one line in the log, not one for each."""
        event = (b'{"type":"RENAMED","object":{"kind":"Service","metadata":{"name":"a",'
                 b'"namespace":"b","resourceVersion":"%d"}}}\n' % self.api.version)
        self.check("events of unknown type; ignored", verb="watch",
                   what=lambda q: chunked(*[event * 100] * 1000))

    def test_endless_bad_objects(self):
        """Each is left out and said so, but not each of a million."""
        n, logged = self.n, len(self.n.logged())
        event = (b'{"type":"ADDED","object":{"kind":"Service","metadata":{"name":"a","namespace":'
                 b'"b","resourceVersion":"%d"},"spec":{"clusterIP":5}}}\n' % self.api.version)
        self.liar.lie(lambda q: chunked(*[event * 100] * 1000), verb="watch")
        n.wait("some", lambda: "not logged" in n.logged()[logged:], 20)
        time.sleep(2)
        self.assertLess(n.logged()[logged:].count("Service b/a"), 501)
        self.liar.heal()

    def test_version_goes_back(self):
        event = b'{"type":"ADDED","object":{"kind":"Service","metadata":{"name":"a",'
        event += b'"namespace":"b","resourceVersion":"%d"},"spec":{"clusterIP":"None"}}}\n'
        self.check("an event is older than the one before", verb="watch",
                   what=lambda q: chunked(event % 99999999, event % 99999998))

    # --- something else ---

    def test_html(self):
        self.check(self.error("the answer is text/html; charset=utf-8, no API object: is this an apiserver"),
                   what=response(b"<html>Please log in</html>", "text/html; charset=utf-8"))

    def test_html_that_calls_itself_json(self):
        self.check(self.error("not a list of objects: byte 0 is 0x3c"),
                   what=response(b"<html>Please log in</html>"))

    def test_redirect(self):
        said = self.check(
            self.error("HTTP 302: sends us to other.example:6443; our credentials go nowhere else"),
            what=response(b"", status="302 Found", headers=[
                "Location: https://me:hidden@other.example:6443/x?token=hidden"]))
        self.assertNotIn("hidden", said)

    def test_redirect_to_itself(self):
        self.check(self.error("HTTP 307"),
                   what=response(b"", status="307 No", headers=["Location: /api/v1/services"]))

    def test_http_0_9(self):
        self.check("HTTP/0.9", what=LIST + b"]}")

    def test_no_object(self):
        self.check(self.error("not a list of objects"), what=response(b"[]"))

    def test_items_are_no_array(self):
        self.check("cannot list services: ", what=response(b'{"metadata":{},"items":5}'))

    def test_no_version(self):
        self.check("cannot list services: ", "resourceVersion",
                   what=response(b'{"metadata":{},"items":[]}'))

    def test_status_with_200(self):
        self.check("cannot list services",
                   what=response(apiserver.dumps(apiserver.status(500, "no etcd today"))))

    def test_items_that_are_none(self):
        """A list of nonsense is a list all the same: each thing in it is left out, and said so."""
        n, logged = self.n, len(self.n.logged())
        self.liar.lie(response(LIST + b'5,"a",[],{},{"metadata":{"name":7}},null]}'))
        n.wait("it is listed", lambda: "services: " in n.logged()[logged:] and
               self.liar.lies >= 1, 20)
        time.sleep(1)
        self.assertIsNone(n.proc.poll())
        self.liar.heal()
        self.api.expire()  # it watches from a version that never was
        self.recovered()
        self.assertIn("10.96.0.10", n.save(4))

    # --- cut off ---

    def test_list_cut_off(self):
        self.check(self.error("the list ends in the middle, after"),
                   what=head() + LIST + b'{"metadata":{"name":"a"')

    def test_chunk_cut_off(self):
        self.check("cannot list services",
                   what=head("Transfer-Encoding: chunked") + b"fff\r\n" + LIST)

    def test_chunk_of_nonsense(self):
        self.check("cannot list services",
                   what=head("Transfer-Encoding: chunked") + b"zz\r\n" + LIST)

    def test_watch_of_half_events(self):
        """Each watch is cut within an event: it is asked for again, with pauses, no list needed."""
        event = b'{"type":"ADDED","object":{"metadata":{"name":"a"'
        n, logged = self.n, len(self.n.logged())
        rules = n.save(4)
        self.liar.lie(lambda q: chunked(event), verb="watch")
        n.wait("three tries", lambda: self.liar.lies >= 3, 20)
        self.assertEqual(n.save(4), rules)
        self.liar.heal()
        self.recovered()


def drip(first, pause):
    yield first
    while True:
        time.sleep(pause)
        yield b" "


class SlowDrips(unittest.TestCase):
    """
    A byte now and then keeps a connection alive, and a list unfinished for ever. It is given up
    after a good minute, during which the other tests run.
    """

    DRIPS = {"body": lambda q: drip(head() + LIST, 5),
             "headers": lambda q: drip(b"HTTP/1.1 200 OK\r\nX-A: ", 5)}

    @classmethod
    def begin(cls):
        cls.cases = {}
        for name, what in cls.DRIPS.items():
            case = test_api.Base("setUp")
            case.setUp()
            case.stub.close()
            case.stub = Stub(tls=False, watchlist="refused")
            case.addCleanup(case.stub.close)
            case.stub.put(apiserver.service("a", "10.96.0.1"))
            case.liar = Liar(case.stub)
            case.addCleanup(case.liar.close)
            # Once: by the time the other is noticed, this one is tried again.
            case.liar.lie(lambda q, case=case, what=what: what(q) if case.liar.lies == 1 else None)
            case.w = case.watcher(**case.liar.access)
            cls.cases[name] = case

    @classmethod
    def end(cls):
        for case in cls.cases.values():
            case.doCleanups()

    def check(self, name, expected):
        case = self.cases[name]
        test_api.wait(lambda: case.w.said(expected), "it is given up", seconds=80)
        test_api.wait(lambda: "default/a" in case.w.objects[test_api.SERVICES], "it goes on",
                      seconds=40)

    def test_body(self):
        self.check("body", "the list comes more slowly than 1 KiB a second (GET https://")

    def test_headers(self):
        self.check("headers", "the server said nothing for 65 s")


def setUpModule():
    SlowDrips.begin()


def tearDownModule():
    SlowDrips.end()


if __name__ == "__main__":
    unittest.main()
