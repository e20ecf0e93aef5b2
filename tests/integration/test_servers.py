#!/usr/bin/python3
"""
The watcher against servers of every age: Kubernetes 1.16 to the newest, in JSON and protobuf, with
lists in pages and streamed. The stub's answers are held to a real server's by test_stub.py.
"""

import os
import socket
import subprocess
import time
import unittest

from test_api import (
    LIST_BEGIN,
    LIST_END,
    NODE,
    ROOT,
    SERVICE_PUT,
    SERVICES,
    SLICE_DEL,
    SLICE_PUT,
    SLICES,
    WATCHER,
    Base,
    wait,
)

import protobuf
from apiserver import endpoint_slice, node, service

TAKES = 120  # seconds on an idle machine

READY, SERVING = 1, 2


def endpoints(name, *subsets, labels=None):
    """A core Endpoints object; a subset is (ready addresses, others, port)."""
    return {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
        "subsets": [
            {
                "addresses": [{"ip": ip, "nodeName": NODE} for ip in ready],
                "notReadyAddresses": [{"ip": ip} for ip in others],
                "ports": [{"name": "p", "port": port, "protocol": "TCP"}],
            }
            for ready, others, port in subsets
        ],
    }


def service_cidr(name, *cidrs):
    return {
        "kind": "ServiceCIDR",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": name},
        "spec": {"cidrs": list(cidrs)},
        "status": {},
    }


def memory(w):
    """The most that the watcher has had, in MB."""
    with open(f"/proc/{w.process.pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) / 1024


class Servers(Base):
    def setUp(self):
        super().setUp()
        self.stub.watchlist = "served"

    def wait_synced(self, w, times=1):
        wait(
            lambda: min(w.synced.values()) >= times and w.node is not None,
            "synced\n" + "\n".join(w.log_lines),
        )

    def puts(self, w, kind, name):
        return [m for m in w.messages if m[0] == kind and m[2] == name]


class Formats(Servers):
    def rich(self):
        s = service("rich", "10.96.7.7", port=443)
        s["spec"].update(
            clusterIPs=["10.96.7.7", "fd00:96::7"],
            type="LoadBalancer",
            externalIPs=["192.0.2.7"],
            sessionAffinity="ClientIP",
            sessionAffinityConfig={"clientIP": {"timeoutSeconds": 77}},
            loadBalancerSourceRanges=["198.51.100.0/24"],
            externalTrafficPolicy="Local",
            internalTrafficPolicy="Local",
            healthCheckNodePort=31777,
        )
        s["spec"]["ports"][0]["nodePort"] = 30777
        s["status"] = {
            "loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"ip": "203.0.113.8", "ipMode": "Proxy"}]}
        }
        self.stub.put(s)
        e = endpoint_slice("rich-1", "rich", ["10.1.7.1", "10.1.7.2"])
        e["endpoints"][0].update(
            nodeName=NODE,
            zone="z1",
            conditions={"ready": False, "serving": True, "terminating": True},
            hints={"forZones": [{"name": "z1"}], "forNodes": [{"name": NODE}]},
        )
        self.stub.put(e)

    def told(self):
        w = self.synced_watcher()
        w.stop()
        return sorted(m for m in w.messages if m[0] in (SERVICE_PUT, SLICE_PUT))

    def test_the_same_in_both(self):
        self.rich()
        for self.stub.watchlist in ("served", "refused"):
            self.stub.protobuf = True
            proto = self.told()
            self.stub.protobuf = False
            self.assertEqual(proto, self.told())
            rich = next(m for m in proto if m[2] == "rich" and m[0] == SERVICE_PUT)
            self.assertEqual(rich[4][0][2:], [443, 30777])
            self.assertEqual(rich[6], [bytes([203, 0, 113, 7])])
            self.assertEqual(rich[8:13], [77, True, True, 31777, 1767225600])  # created in 2026
            self.assertEqual(len(set(rich[13])) > 1, True, rich[13])  # its UID
            slim = next(m for m in proto if m[2] == "rich-1")
            self.assertEqual(slim[8][0][1:], [2 + 4 + 8 + 16, NODE, ["z1"]])

    def replay(self, how, verb, media):
        """What a real server answered, byte for byte, in place of the stub's."""
        for resource in ("services", "endpointslices"):
            path = os.path.join(ROOT, "tests", "data", "recordings", f"{resource}-{how}.body")
            with open(path, "rb") as f:
                self.stub.script(f.read(), resource, verb, content_type=media)
        w = self.synced_watcher()
        if verb == "watchlist":  # which goes on with what happened while it was recorded
            wait(lambda: "shop/late-1" in w.objects[SLICES], "its end")
            wait(lambda: "shop/late" in w.objects[SERVICES], "its end")
        w.stop()
        self.assertFalse(w.said("left out") + w.said("cannot"))
        return w.objects[SERVICES], w.objects[SLICES]

    def test_recordings(self):
        proto = "application/vnd.kubernetes.protobuf"
        self.stub.watchlist = "refused"
        listed = self.replay("list.json", "list", "application/json")
        self.assertEqual(listed, self.replay("list.proto", "list", proto))
        self.assertLessEqual({"shop/web", "shop/dns", "shop/api"}, listed[0])
        self.assertNotIn("shop/headless", listed[0])
        self.stub.watchlist = "served"
        streamed = self.replay("watchlist.json", "watchlist", "application/json")
        media = proto + ";stream=watch"
        self.assertEqual(streamed, self.replay("watchlist.proto", "watchlist", media))
        self.assertEqual(streamed[0] - listed[0], {"shop/late"})
        self.assertNotIn("shop/lonely", streamed[0])

    def test_flag(self):
        """--kube-api-content-type: what is asked for; what comes is read either way."""
        flag = "--kube-api-content-type=application/json"
        w = self.watcher(flag)
        self.wait_synced(w)
        self.assertEqual({r["headers"]["Accept"] for r in self.stub.requests}, {"application/json"})
        w.stop()
        media = "application/vnd.kubernetes.protobuf"
        self.stub.watchlist = "refused"
        _, body = self.stub.list_page("services", None, {}, "v1", True)
        self.stub.script(body, "services", "list", content_type=media)
        self.wait_synced(self.watcher(flag))
        self.assertEqual(len(self.stub.seen("services", "list")), 1)

    def test_format_changes_under_way(self):
        """As when one of several apiservers behind an address is of another kind."""
        w = self.synced_watcher()
        self.stub.protobuf = False
        time.sleep(1)
        self.stub.end_watches()
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        self.assertEqual(w.synced[SERVICES], 1)

    def test_compressed(self):
        self.stub.watchlist = "refused"
        self.stub.generate(1000, 3)
        w = self.synced_watcher()
        self.assertEqual(len(w.objects[SLICES]), 1001)
        self.assertIn("gzip", self.stub.seen("services", "list")[0]["headers"]["Accept-Encoding"])

    def break_list(self, change, says):
        with self.subTest(says):
            _, body = self.stub.list_page("services", None, {}, "v1", True)
            self.stub.script(
                change(body), "services", "list", content_type="application/vnd.kubernetes.protobuf"
            )
            w = self.synced_watcher()
            self.assertIn(says, w.said("cannot list services")[0])
            self.assertEqual(w.objects[SERVICES], {"default/a"})
            w.stop()

    def test_broken_lists(self):
        self.stub.watchlist = "refused"
        self.break_list(lambda b: b[:-20], "the list ends in the middle")
        self.break_list(lambda b: b"k9s\0" + b[4:], "not the API's protobuf: byte 1 is 0x39")
        self.break_list(lambda b: b.replace(b"ServiceList", b"ServiceKiss"), "and no list")
        self.break_list(lambda b: b + b"\x12\x00", "two lists in one envelope")
        self.break_list(lambda b: b + b"\x17", "wire type 7")
        self.break_list(lambda b: b + b"\x0b", "wire type 3 instead of 2")
        self.break_list(lambda b: b + b"\x2a\xff\xff\xff\xff\x0f", "a field of 4294967295 bytes")
        self.break_list(lambda b: b + b"\x28" + b"\xff" * 10, "a number too long")

    def test_broken_events(self):
        for event, says in (
            (b"\x00\x00\x00\x00", "an event without a byte"),
            (b"\x7f\xff\xff\xff", "longer than 4 MiB"),
            (b"\x00\x00\x00\x02\x12\x05", "without type and object"),
            (b"\x00\x00\x00\x09\x0a\x05ADDED\x12\x00", "without type and object"),
        ):
            with self.subTest(says):
                media = "application/vnd.kubernetes.protobuf;stream=watch"
                self.stub.script(event, "services", "watchlist", content_type=media)
                w = self.synced_watcher()
                self.assertIn(says, w.said("cannot watch services")[0])
                self.assertEqual(w.objects[SERVICES], {"default/a"})
                w.stop()


class Streams(Servers):
    """sendInitialEvents."""

    def test_no_list_is_asked_for(self):
        w = self.synced_watcher()
        self.assertEqual(w.objects, {SERVICES: {"default/a"}, SLICES: {"default/a-1"}})
        self.assertEqual(w.node, NODE)
        self.assertEqual(self.stub.seen(verb="list"), [])
        asked = self.stub.seen("services", "watchlist")[0]["query"]
        self.assertEqual(asked["sendInitialEvents"], "true")
        self.assertEqual(asked["resourceVersionMatch"], "NotOlderThan")
        self.assertEqual(asked["allowWatchBookmarks"], "true")
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        self.stub.delete("Service", "default", "a")
        self.wait_service(w, "a", there=False)
        self.assertEqual(len(self.stub.seen("services")), 1, "all on one request")
        self.assertTrue(w.said("services: 1 received in"))
        w.stop()

    def test_goes_on_where_it_ended(self):
        w = self.synced_watcher()
        version = self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        time.sleep(1)
        self.stub.end_watches()
        wait(lambda: self.stub.seen("services", "watch"), "a second watch")
        again = self.stub.seen("services", "watch")[0]["query"]
        self.assertEqual(again["resourceVersion"], str(version))
        self.assertNotIn("sendInitialEvents", again)

    def test_forgotten_version(self):
        self.stub.put(service("b", "10.96.0.2"))
        w = self.synced_watcher()
        time.sleep(1)
        self.stub.down()
        self.stub.delete("Service", "default", "a")
        self.stub.expire()
        self.stub.up()
        wait(lambda: w.synced[SERVICES] == 2, "received again")
        self.assertEqual(w.objects[SERVICES], {"default/b"})
        self.assertEqual(self.stub.seen(verb="list"), [])

    def test_cut_before_the_end(self):
        """Nothing is swept before all has come."""
        self.stub.generate(300, 1)
        cut = []
        real = self.stub.select

        def select(resource, *which):
            found = real(resource, *which)
            if resource == "services" and not cut:
                cut.append(True)
                found[150].forms = {("json", "v1"): b"}", ("proto", "v1"): b"}"}
            return found

        self.stub.select = select
        w = self.watcher()
        wait(lambda: w.said("cannot watch services"), "it breaks")
        self.assertEqual(w.synced[SERVICES], 0)
        entry = self.stub.objects["services"]
        for e in entry.values():
            e.forms = {}
        self.wait_synced(w)
        self.assertEqual(len(w.objects[SERVICES]), 301)
        kinds = [m[0] for m in w.messages if m[:2] in ([LIST_BEGIN, SERVICES], [LIST_END, SERVICES])]
        self.assertEqual(kinds, [LIST_BEGIN, LIST_BEGIN, LIST_END])
        self.assertEqual(len(self.stub.seen("services", "list")), 1, "what is broken, by pages")

    def test_refused(self):
        self.stub.watchlist = "refused"
        w = self.synced_watcher()
        self.assertEqual(len(w.said("does not stream lists")), 1)
        time.sleep(1)
        asked = len(self.stub.seen(verb="refused"))
        self.assertEqual(asked, 4)
        self.stub.expire()
        self.stub.drop()
        wait(lambda: w.synced[SERVICES] == 2, "listed again")
        self.assertEqual(len(self.stub.seen(verb="refused")), asked, "remembered")

    def test_not_known(self):
        """What is there comes, and then nothing says so: the first bookmark tells."""
        self.stub.watchlist = "unknown"
        w = self.watcher()
        wait(lambda: len(self.stub.seen(verb="watchlist")) == 4, "asked")
        time.sleep(0.5)
        self.assertEqual(w.synced, {SERVICES: 0, SLICES: 0})
        self.stub.bookmark()
        self.wait_synced(w)
        self.assertEqual(w.objects[SERVICES], {"default/a"})


class Versions(Servers):
    def test_lists_from_the_cache_and_past_it(self):
        """The store is asked only for what the cache does not have; every node does the same."""
        self.stub.watchlist = "refused"
        w = self.synced_watcher()
        time.sleep(1)
        last = self.stub.version
        text = f"Too large resource version: {last}, current: 1"
        self.stub.fail(503, resource="services", verb="list", times=1)
        self.stub.fail(504, resource="services", verb="list", times=1, message=text)
        self.stub.down()
        self.stub.put(service("b", "10.96.0.2"))
        self.stub.expire()
        self.stub.up()
        wait(lambda: "default/b" in w.objects[SERVICES], "listed", seconds=30)
        first, *failed, good = (r["query"] for r in self.stub.seen("services", "list"))
        self.assertEqual((first["resourceVersion"], first["limit"]), ("0", "500"))
        self.assertEqual(len(failed), 2)
        for query in failed:
            self.assertEqual((query["resourceVersion"], query["limit"]), (str(last), "0"))
        self.assertNotIn("resourceVersion", good)
        self.assertEqual(good["limit"], "500")

    def test_server_restored_from_a_backup(self):
        for self.stub.watchlist in ("refused", "served"):
            with self.subTest(self.stub.watchlist):
                self.stub.version += 1000
                self.stub.put(service("c", "10.96.0.3"))
                w = self.synced_watcher()
                time.sleep(1)
                self.stub.down()
                self.stub.delete("Service", "default", "c")
                self.stub.version -= 500
                self.stub.expire()
                watches = len(self.stub.seen("services", "watch"))
                self.stub.up()
                wait(
                    lambda n=watches: len(self.stub.seen("services", "watch")) > n,
                    "a watch from the lost future",
                )
                time.sleep(0.2)
                self.stub.bookmark()
                wait(lambda: w.synced[SERVICES] == 2, "listed again", seconds=20)
                self.assertNotIn("default/c", w.objects[SERVICES])
                self.assertTrue(w.said("services: the apiserver's resourceVersion goes back"))
                self.stub.put(service("d", "10.96.0.4"))
                self.wait_service(w, "d")
                w.stop()

    def test_event_from_the_past(self):
        w = self.synced_watcher()
        self.stub.version -= 50
        self.stub.put(service("old", "10.96.0.9"))
        wait(lambda: w.said("an event is older than the one before"), "noticed")
        wait(lambda: w.synced[SERVICES] == 2, "listed", seconds=20)
        self.assertIn("default/old", w.objects[SERVICES])


class Ages(Servers):
    def slices(self, w):
        return {m[2]: m for m in w.messages if m[0] == SLICE_PUT}

    def test_newest(self):
        w = self.synced_watcher()
        self.assertTrue(w.said("endpoints come from discovery.k8s.io/v1 EndpointSlices"))

    def test_v1beta1(self):
        local = endpoint_slice("b-1", "b", ["10.1.0.7"])
        local["endpoints"][0].update(nodeName=NODE, zone="z1", hints={"forZones": [{"name": "z1"}]})
        self.stub.put(local)
        for self.stub.minor, self.stub.protobuf in ((19, True), (20, False), (20, True)):
            del self.stub.requests[:]
            w = self.synced_watcher()
            self.assertTrue(w.said("endpoints come from discovery.k8s.io/v1beta1"))
            self.assertEqual(w.objects[SLICES], {"default/a-1", "default/b-1"})
            self.assertEqual(self.slices(w)["b-1"][8][0][1:], [READY + SERVING, NODE, ["z1"]])
            self.assertEqual(self.stub.seen(verb="watchlist"), [], "none has that")
            self.stub.delete("EndpointSlice", "default", "b-1")
            wait(lambda w=w: w.objects[SLICES] == {"default/a-1"}, "its deletion")
            self.stub.put(local)
            w.stop()

    def test_slices_that_nobody_fills(self):
        """1.17 and 1.18 serve v1beta1, and their kube-proxy reads Endpoints all the same."""
        self.stub.put(endpoints("a", (["10.1.0.1"], [], 80)))
        for self.stub.minor in (16, 17, 18):
            w = self.synced_watcher()
            self.assertTrue(w.said("endpoints come from core v1 Endpoints"))
            self.assertEqual(w.objects[SLICES], {"default/a"})
            w.stop()

    def test_endpoints(self):
        self.stub.minor = 16
        self.stub.put(
            endpoints("a", (["10.1.0.1", "fd00::1"], ["10.1.0.2"], 80), (["10.1.0.3"], [], 81))
        )
        self.stub.put(endpoints("empty"))
        headless = {"service.kubernetes.io/headless": ""}
        self.stub.put(endpoints("h", (["10.1.0.1"], [], 80), labels=headless))
        for self.stub.protobuf in (True, False):
            w = self.synced_watcher()
            told = self.slices(w)
            self.assertEqual(set(told), {"a", "a/1", "a/2"})
            self.assertEqual({m[3] for m in told.values()}, {"a"}, "of that service")
            self.assertEqual([told[n][4] for n in ("a", "a/1", "a/2")], [0, 1, 0], "families")
            first = told["a"][8]
            self.assertEqual([e[1:3] for e in first], [[READY + SERVING, NODE], [0, ""]])
            self.assertEqual(told["a/2"][7], [["p", 6, 81]])
            self.assertEqual(told["a/1"][8][0][0][:2], b"\xfd\x00")
            w.stop()

    def test_endpoints_that_shrink(self):
        """What was a slice of its own goes when its subset does."""
        self.stub.minor = 16
        three = endpoints("a", *((["10.1.0.%d" % i], [], 80 + i) for i in (1, 2, 3)))
        self.stub.put(three)
        w = self.synced_watcher()
        self.assertEqual(w.objects[SLICES], {"default/a", "default/a/1", "default/a/2"})
        self.stub.put(endpoints("a", (["10.1.0.1"], [], 80)))
        wait(lambda: w.objects[SLICES] == {"default/a"}, "two slices go")
        self.stub.put(three)
        wait(lambda: len(w.objects[SLICES]) == 3, "they come again")
        self.stub.put(endpoints("a"))
        wait(lambda: not w.objects[SLICES], "all go")
        self.stub.put(three)
        wait(lambda: len(w.objects[SLICES]) == 3, "they come again")
        self.stub.delete("Endpoints", "default", "a")
        wait(lambda: not w.objects[SLICES], "with the object")
        self.assertEqual(len([m for m in w.messages if m[0] == SLICE_DEL]), 2 + 3 + 3)

    def test_endpoints_of_thousands(self):
        """Servers before 1.22 did not cut them: what etcd takes, in one object."""
        self.stub.minor = 16
        many = ["10.9.%d.%d" % (i // 250, i % 250 + 1) for i in range(9000)]
        big = endpoints("a", (many, [], 80))
        for i, address in enumerate(big["subsets"][0]["addresses"]):
            address["targetRef"] = {
                "kind": "Pod",
                "namespace": "default",
                "name": f"a-5d4f8c7b9-{i:05}",
                "uid": f"5cde2c2f-1b4f-4a6a-84dd-c9cf598a{i:04}",
            }
        for self.stub.protobuf in (True, False):
            self.stub.put(big)
            w = self.synced_watcher()
            wait(lambda w=w: len(w.objects[SLICES]) == 9, "nine slices")
            self.stub.put(big)  # the same as an event
            wait(
                lambda w=w: sum(len(m[8]) for m in w.messages if m[0] == SLICE_PUT) == 18000,
                "every address, twice",
            )
            self.assertFalse(w.said("cannot"))
            w.stop()

    def test_upgrade_under_way(self):
        """The API that was read is gone: what is there now is read."""
        self.stub.minor = 20
        w = self.synced_watcher()
        time.sleep(1)
        self.stub.minor = 25
        self.stub.end_watches()
        wait(lambda: w.synced[SLICES] == 2, "listed anew", seconds=20)
        self.stub.put(endpoint_slice("n-1", "a", ["10.1.0.9"]))
        wait(lambda: "default/n-1" in w.objects[SLICES], "followed")
        paths = [r["path"] for r in self.stub.seen("endpointslices", "watch")]
        self.assertIn("/discovery.k8s.io/v1/", paths[-1])

    def test_discovery_refused(self):
        """Without a word on what there is, the newest is tried, then older ones."""
        self.stub.put(endpoints("a", (["10.1.0.1"], [], 80)))
        for self.stub.minor, slices in ((36, {"default/a-1"}), (20, {"default/a-1"}), (16, {"default/a"})):
            self.stub.fail(403, verb="get", times=1)
            self.stub.watchlist = "served" if self.stub.minor == 36 else "refused"
            with self.subTest(self.stub.minor):
                w = self.synced_watcher()
                self.assertEqual(w.objects[SLICES], slices)
                self.assertTrue(w.said("if the server has that"))
                w.stop()

    def test_404_that_passes(self):
        """Of what the server says that it has: no reason to read an older API for ever."""
        for verb in ("watchlist", "watch"):
            self.stub.fail(404, resource="endpointslices", verb=verb, times=2)
            w = self.synced_watcher()
            if verb == "watch":
                time.sleep(1)
                self.stub.end_watches()
            wait(lambda w=w: w.said("endpointslices: watch works again"), "it goes on", seconds=20)
            self.assertEqual(self.stub.seen("endpoints"), [])
            self.assertEqual(w.objects[SLICES], {"default/a-1"})
            self.assertEqual(w.synced[SLICES], 1)
            w.stop()

    def test_discovery_fails_for_a_while(self):
        self.stub.fail(503, retry_after=1, verb="get", times=2)
        w = self.watcher()
        self.wait_synced(w)
        self.assertEqual(len(w.said("cannot get the server's API versions: HTTP 503")), 1)
        self.assertEqual(len(w.said("get works again")), 1)

    def test_node_by_its_name(self):
        self.stub.put(node("another"))
        self.stub.minor = 16
        w = self.synced_watcher()
        self.assertEqual(w.node, NODE)


class ServiceCIDRs(Servers):
    def test_follows_them(self):
        for self.stub.minor in (31, 33):
            self.stub.put(service_cidr("kubernetes", "10.96.0.0/16", "fd00:96::/108"))
            w = self.synced_watcher()
            wait(lambda w=w: w.service_cidrs == {"10.96.0.0/16", "fd00:96::/108"}, "both told")
            self.stub.put(service_cidr("more", "10.97.0.0/16"))
            wait(lambda w=w: len(w.service_cidrs) == 3, "a third")
            self.stub.delete("ServiceCIDR", None, "more")
            wait(lambda w=w: len(w.service_cidrs) == 2, "gone again")
            w.stop()

    def test_not_served(self):
        self.stub.minor = 30
        w = self.synced_watcher()
        wait(lambda: w.said("servicecidrs: not to be had"), "said")
        time.sleep(2)
        self.assertIsNone(w.service_cidrs)
        self.assertEqual(len(self.stub.requests), 4 + 2, "asked for once by each name")

    def test_forbidden(self):
        """The role of an older cluster does not name them."""
        self.stub.fail(403, resource="servicecidrs", times=None)
        w = self.synced_watcher()
        wait(lambda: w.said("servicecidrs: not to be had of this server (HTTP 403)"), "said")
        self.assertFalse(w.said("cannot"))


class Fronted(Servers):
    """HTTP/2 as well, by nghttpx, on self.port."""

    def setUp(self):
        super().setUp()
        self.log = self.path("access.log")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.start_front()

    def start_front(self):
        self.front = subprocess.Popen(
            [
                "nghttpx", "--conf=/dev/null", "--workers=1", "--insecure", "--log-level=ERROR",
                f"--frontend=127.0.0.1,{self.port}", f"--backend=127.0.0.1,{self.stub.port};;tls",
                "--accesslog-format=$remote_port $alpn $status $request",
                f"--accesslog-file={self.log}",
                self.stub.file("server.key"), self.stub.file("server.crt"),
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.addCleanup(self.end_front)

        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0

        wait(listens, "nghttpx listens")

    def end_front(self):
        self.front.kill()
        self.front.wait()

    def served(self):
        with open(self.log, encoding="ascii") as f:
            return [line.split() for line in f if "GET" in line]


class Http2(Fronted):
    """As a real apiserver speaks, which ALPN tells: every request on one connection."""

    def test_all_on_one_connection(self):
        w = self.watcher(server=f"https://127.0.0.1:{self.port}")
        self.wait_synced(w)
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        time.sleep(1)
        self.stub.end_watches()
        self.stub.put(service("c", "10.96.0.3"))
        self.wait_service(w, "c")
        wait(lambda: len(self.served()) >= 5, "the first five requests are over")
        self.assertEqual({line[1] for line in self.served()}, {"h2"})
        self.assertEqual(len({line[0] for line in self.served()}), 1, "one connection")
        self.assertEqual(w.synced[SERVICES], 1)

    def test_server_that_ends(self):
        """GOAWAY or a cut: the next connection goes on where this one was."""
        w = self.watcher(server=f"https://127.0.0.1:{self.port}")
        self.wait_synced(w)
        time.sleep(1)
        self.front.terminate()  # which lets streams end, and accepts none
        self.end_front()
        self.start_front()
        self.stub.put(service("b", "10.96.0.2"))
        wait(lambda: "default/b" in w.objects[SERVICES], "it goes on", seconds=20)
        self.assertEqual(w.synced[SERVICES], 1)


class Amplified(Servers):
    """Few bytes that stand for many: the one object is left out, and memory stays bounded."""

    def put_among_others(self, body, end, big, media):
        self.stub.watchlist = "refused"
        at = body.index(end)
        self.stub.script(body[:at] + big + body[at:], "endpointslices", "list", content_type=media)
        w = self.synced_watcher()
        self.assertEqual(w.objects[SLICES], {"default/a-1"})
        self.assertEqual(w.synced[SLICES], 1)
        if "asan" not in WATCHER:
            self.assertLess(memory(w), 120)
        return w

    def test_json(self):
        _, body = self.stub.list_page("endpointslices", None, {})
        big = b',{"endpoints":[' + b"{}," * 1390000 + b"{}]}"
        w = self.put_among_others(body, b"]}\n", big, "application/json")
        self.assertTrue(w.said("is no JSON: out of memory; left out") or w.said("left out"))

    def test_protobuf(self):
        """What protobuf-c would make 400 MB of."""
        _, body = self.stub.list_page("endpointslices", None, {}, "discovery.k8s.io/v1", True)
        kind, version, raw = protobuf.open_envelope(body)
        bad = protobuf.data(2, b"\x12\x00" * (2 << 20))
        self.stub.watchlist = "refused"
        media = "application/vnd.kubernetes.protobuf"
        whole = protobuf.envelope(kind, version, raw + bad)
        self.stub.script(whole, "endpointslices", "list", content_type=media)
        w = self.synced_watcher()
        self.assertEqual(w.objects[SLICES], {"default/a-1"})
        self.assertEqual(w.synced[SLICES], 1)
        self.assertEqual(len(w.said("too much memory for them; left out")), 1)
        if "asan" not in WATCHER:
            self.assertLess(memory(w), 60)


class Sizes(Fronted):
    def test_50000_services_of_5_endpoints(self):
        """However they come, the watcher holds one object at a time."""
        self.stub.generate(50000, 5)
        report = []
        front = f"https://127.0.0.1:{self.port}"
        for how, access in (("served", {}), ("refused", {}), ("served", {"server": front})):
            self.stub.watchlist = how
            began = time.monotonic()
            w = self.watcher(**access)
            wait(lambda w=w: min(w.synced.values()) > 0, "synced", seconds=240)
            took = time.monotonic() - began
            self.assertEqual(len(w.objects[SLICES]), 50001)
            with open(f"/proc/{w.process.pid}/stat", encoding="ascii") as f:
                t = f.read().rpartition(")")[2].split()
            cpu = (int(t[11]) + int(t[12])) / os.sysconf("SC_CLK_TCK")
            peak = memory(w)
            what = {"served": "streamed", "refused": "in a list"}[how]
            what += ", HTTP/2" if access else ""
            report.append(f"{what}: {took:.1f} s, CPU {cpu:.2f} s, peak RSS {peak:.1f} MB")
            if "asan" not in WATCHER:
                self.assertLess(peak, 40)
            w.stop()
        print("\n    ".join(report), flush=True)


if __name__ == "__main__":
    unittest.main()
