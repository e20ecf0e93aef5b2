#!/usr/bin/python3
"""Holds the stub apiserver to the recordings of a real one, loaded with the same objects."""

import http.client
import json
import os
import ssl
import sys
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "stub"))
import protobuf  # noqa: E402
from apiserver import PROTOBUF, RESOURCES, Stub  # noqa: E402

RECORDINGS = os.path.join(ROOT, "tests", "data", "recordings")
SERVICES = "/api/v1/namespaces/shop/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
LISTS = {"services": SERVICES, "endpointslices": SLICES}


def recorded(name):
    """(status, content type, body) of a recording."""
    with open(os.path.join(RECORDINGS, name + ".headers"), encoding="ascii") as f:
        first, *lines = f.read().splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    with open(os.path.join(RECORDINGS, name + ".body"), "rb") as f:
        return int(first.split()[1]), headers["content-type"], f.read()


def without_empty(value):
    """As protobuf has it, which does not tell what is empty from what is not there."""
    if isinstance(value, dict):
        whole = ("fieldsV1", "labels", "annotations")
        slim = {k: v if k in whole else without_empty(v) for k, v in value.items()}
        return {k: v for k, v in slim.items() if v not in (None, "", {}, [])}
    if isinstance(value, list):
        return [without_empty(v) for v in value]
    return value


def read_list(kind, body):
    """(metadata, items) of a protobuf list of KIND."""
    name, _, raw = protobuf.open_envelope(body)
    assert name == kind + "List", name
    fields = list(protobuf.fields_of(raw))
    items = [protobuf.decode(kind, value) for field, value in fields if field == 2]
    return protobuf.decode("ListMeta", dict(fields)[1]), items


def read_frames(body):
    """[(type, kind, object)] of a protobuf watch."""
    events = []
    for event, enveloped in protobuf.frames_of(body):
        kind, _, raw = protobuf.open_envelope(enveloped)
        if event == "BOOKMARK":
            raw = protobuf.data(1, dict(protobuf.fields_of(raw))[1])
        events.append((event, kind, protobuf.decode(kind, raw)))
    return events


def lines_of(body):
    return [json.loads(line) for line in body.splitlines()]


def shape(value):
    """The structure: keys and types, not values."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(v) for v in value]
    return type(value).__name__


class Recordings(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.stub = Stub()
        self.addCleanup(self.stub.close)
        for resource in LISTS:
            items = json.loads(recorded(f"{resource}-list.json")[2])["items"]
            self.stub.load(items, kind=RESOURCES[resource][0], keep=True)
        self.stub.put(json.loads(recorded("node-get.json")[2]), keep=True)
        context = ssl.create_default_context(cafile=self.stub.ca_file)
        url = urllib.parse.urlsplit(self.stub.url)
        self.connection = http.client.HTTPSConnection(
            url.hostname, url.port, context=context, timeout=10
        )
        self.addCleanup(self.connection.close)

    def get(self, path, accept=None, **query):
        self.connection.request(
            "GET",
            path + ("?" if query else "") + urllib.parse.urlencode(query),
            headers={"Accept": accept} if accept else {},
        )
        return self.connection.getresponse()

    def same_head(self, response, name):
        status, content_type, _ = recorded(name)
        self.assertEqual(response.status, status)
        self.assertEqual(response.headers["Content-Type"], content_type)

    def same_answer(self, name, path, **query):
        """Status, type and structure as recorded; both bodies."""
        response = self.get(path, **query)
        self.same_head(response, name)
        body, real = json.loads(response.read()), json.loads(recorded(name)[2])
        self.assertEqual(shape(body), shape(real))
        return body, real

    def test_lists(self):
        for resource, path in LISTS.items():
            with self.subTest(resource):
                body, real = self.same_answer(f"{resource}-list.json", path)
                for key in ("kind", "apiVersion", "items"):
                    self.assertEqual(body[key], real[key])

    def test_pages(self):
        page1, real1 = self.same_answer("services-page1.json", SERVICES, limit=4)
        self.assertEqual(page1["items"], real1["items"])
        more = page1["metadata"]["continue"]
        self.assertEqual(
            page1["metadata"]["remainingItemCount"], real1["metadata"]["remainingItemCount"]
        )
        page2, real2 = self.same_answer(
            "services-page2.json", SERVICES, limit=4, **{"continue": more}
        )
        self.assertEqual(page2["items"], real2["items"])
        self.assertEqual(page2["metadata"]["resourceVersion"], page1["metadata"]["resourceVersion"])
        page3 = json.loads(
            self.get(SERVICES, limit=4, **{"continue": page2["metadata"]["continue"]}).read()
        )
        self.assertEqual(set(page3["metadata"]), {"resourceVersion"})

    def test_node(self):
        body, real = self.same_answer("node-get.json", "/api/v1/nodes/node-a")
        self.assertEqual(body, real)

    def test_not_found(self):
        body, real = self.same_answer("notfound.json", "/api/v1/nodes/no-such-node")
        self.assertEqual(body, real)

    def test_unauthorized(self):
        self.stub.tokens = {"x"}
        body, real = self.same_answer("unauthorized.json", SERVICES)
        self.assertEqual(body, real)

    def test_group(self):
        body, real = self.same_answer("apis.json", "/apis/discovery.k8s.io")
        self.assertEqual(body, real)

    def test_expired_watch(self):
        self.stub.expire()
        response = self.get(SERVICES, watch=1, resourceVersion=1)
        self.same_head(response, "expired.json")
        body, real = lines_of(response.read()), lines_of(recorded("expired.json")[2])
        self.assertEqual(shape(body), shape(real))
        for key in ("code", "reason", "status"):
            self.assertEqual(body[0]["object"][key], real[0]["object"][key])

    def replay(self, resource):
        """The recorded changes, made in the stub, come back as the recorded events."""
        real = lines_of(recorded(f"{resource}-watch.json")[2])
        response = self.get(
            LISTS[resource],
            watch=1,
            resourceVersion=self.stub.version,
            allowWatchBookmarks="true",
        )
        self.same_head(response, f"{resource}-watch.json")
        for event in real:
            obj = event["object"]
            meta = obj["metadata"]
            if event["type"] == "BOOKMARK":
                self.stub.bookmark()
            elif event["type"] == "DELETED":
                version = int(meta["resourceVersion"])
                self.stub.delete(obj["kind"], meta["namespace"], meta["name"], version)
            else:
                self.stub.put(obj, keep=True)
            got = json.loads(response.readline())
            if event["type"] == "BOOKMARK":
                self.assertEqual(shape(got), shape(event))
            else:
                self.assertEqual(got, event)
        self.stub.end_watches()
        self.assertEqual(response.read(), b"")

    def test_protobuf_codec(self):
        """What a real server wrote is read as its JSON, and written again is the same."""
        for resource in LISTS:
            kind = RESOURCES[resource][0]
            real = json.loads(recorded(f"{resource}-list.json")[2])
            meta, items = read_list(kind, recorded(f"{resource}-list.proto")[2])
            self.assertEqual(meta, real["metadata"])
            self.assertEqual(items, [without_empty(i) for i in real["items"]])
            for item, slim in zip(real["items"], items):
                self.assertEqual(protobuf.decode(kind, protobuf.encode(kind, item)), slim)

    def test_protobuf_lists(self):
        for resource, path in LISTS.items():
            with self.subTest(resource):
                name = f"{resource}-list.proto"
                response = self.get(path, accept=PROTOBUF + ",application/json")
                self.same_head(response, name)
                kind = RESOURCES[resource][0]
                self.assertEqual(
                    read_list(kind, response.read())[1], read_list(kind, recorded(name)[2])[1]
                )

    def test_protobuf_node(self):
        response = self.get("/api/v1/nodes/node-a", accept=PROTOBUF)
        self.same_head(response, "node-get.proto")
        ours, real = (
            protobuf.decode("Node", protobuf.open_envelope(body)[2])
            for body in (response.read(), recorded("node-get.proto")[2])
        )
        self.assertEqual(ours, real)

    def watchlist(self, resource, name, **how):
        """The recorded initial events, as far as the stub has them still."""
        response = self.get(
            LISTS[resource],
            watch=1,
            sendInitialEvents="true",
            resourceVersionMatch="NotOlderThan",
            allowWatchBookmarks="true",
            timeoutSeconds=1,
            **how,
        )
        self.same_head(response, name)
        return response.read()

    def test_watchlist(self):
        for resource in LISTS:
            with self.subTest(resource):
                name = f"{resource}-watchlist"
                ours = lines_of(self.watchlist(resource, name + ".json"))
                real = lines_of(recorded(name + ".json")[2])
                self.assertEqual({e["type"] for e in ours[:-1]}, {"ADDED"})
                end = next(e for e in real if "initial-events-end" in json.dumps(e))
                self.assertEqual(shape(ours[-1]), shape(end))

    def test_watchlist_protobuf(self):
        for resource in LISTS:
            with self.subTest(resource):
                name = f"{resource}-watchlist"
                body = self.watchlist(resource, name + ".proto", accept=PROTOBUF)
                ours, real = read_frames(body), read_frames(recorded(name + ".proto")[2])
                end = next(e for e in real if "annotations" in e[2]["metadata"] and e[0] != "ADDED")
                self.assertEqual(ours[-1][:2], end[:2])
                self.assertEqual(
                    ours[-1][2]["metadata"]["annotations"], end[2]["metadata"]["annotations"]
                )
                self.assertEqual([e for e, _, _ in ours[:-1]], ["ADDED"] * (len(ours) - 1))

    def test_older_servers(self):
        """Which version has which API is in Kubernetes' own deprecation guide."""
        found = {}
        for minor in (16, 18, 21, 25, 31, 33):
            self.stub.minor = minor
            found[minor] = [
                path
                for path in (
                    "/api/v1/endpoints",
                    "/apis/discovery.k8s.io/v1beta1/endpointslices",
                    "/apis/discovery.k8s.io/v1/endpointslices",
                    "/apis/networking.k8s.io/v1beta1/servicecidrs",
                    "/apis/networking.k8s.io/v1/servicecidrs",
                )
                if (lambda r: (r.read(), r.status)[1])(self.get(path)) == 200
            ]
            group = self.get("/apis/discovery.k8s.io")
            versions = [v["version"] for v in json.loads(group.read()).get("versions", [])]
            self.assertEqual(
                versions, [p.split("/")[3] for p in found[minor] if "endpointslices" in p][::-1]
            )
        self.assertEqual([len(found[m]) for m in (16, 18, 21, 25, 31, 33)], [1, 2, 3, 2, 3, 4])

    def test_services_watch(self):
        self.replay("services")

    def test_endpointslices_watch(self):
        self.replay("endpointslices")


if __name__ == "__main__":
    unittest.main()
