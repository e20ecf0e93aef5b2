#!/usr/bin/python3
"""
A stub kube-apiserver for tests: Services, EndpointSlices, Endpoints, Nodes and ServiceCIDRs over TLS,
in JSON and protobuf, with lists in pages, watches with and without initial events, bookmarks,
resource versions, selectors, and faults on demand. Standard library and the openssl command only. tests/integration/test_api.py holds its answers to those of a real server.

In a test:

    with Stub() as s:                       # Stub(tls=False) for plain HTTP
        s.put({"kind": "Service", ...})     # an event for every watch; returns the new version
        s.generate(5000, 10)                # services svc-0.., each with a slice of 10 endpoints
        s.kubeconfig("/tmp/x/kubeconfig", token="secret")
        ... run what is tested ...
        s.delete("Service", "default", "svc-0")
        s.requests                          # [{"path", "query", "headers", "verb", "resource",
                                        #   "peer", "client" (certificate's serial), "time"}]

    s.url, s.ca_file, s.client_cert, s.client_key, s.directory (of these files; removed at the end)

What kind of server: s.minor = 18 is Kubernetes 1.18; s.watchlist, s.protobuf, s.gzip, s.watch_cache
are set in Stub.__init__, where each is explained.

Who may ask: everyone, until s.tokens = {"secret"} demands one of these bearer tokens or a client
certificate of s.client_ca_file's.

Faults:
    s.expire()                  the history is forgotten: older versions and continue tokens get 410
    s.drop()                    every connection is cut
    s.end_watches()             every watch ends as if its timeoutSeconds were over
    s.bookmark()                every watch that wants them gets a bookmark now
    s.down(), s.up()            nobody listens on the port; somebody does again
    s.hang = "tcp"              connections are accepted, TLS is never answered
    s.hang = "request"          requests are taken and never answered; None: everything goes on
    s.fail(503, retry_after=2, resource="services", verb="list", times=3)
                                these requests get this status; times=None: until s.heal()
    s.script(body, resource=..., verb=..., times=1, content_type="application/json")
                                the next such request gets these bytes (or iterable of bytes) as its
                                200 response's body

From a shell:
    tests/stub/apiserver.py --dir DIR [--generate 5000x10] [--load OBJECTS.json]... [--node NAME]
writes DIR/kubeconfig and the certificates, prints the URL once it listens, and takes commands on the
Unix socket DIR/control: a line of JSON with the method's name and its arguments,
    {"do": "put", "obj": {...}}    {"do": "delete", "kind": "Service", "ns": "a", "name": "b"}
and answers {"ok": result} or {"error": text}. tests/stub/apiserver.py --dir DIR --do '{...}' sends one.
"""

import argparse
import base64
import contextlib
import gzip
import http.server
import json
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import resources  # noqa: E402
from resources import KINDS, RESOURCES, Entry, dumps  # noqa: E402

JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"
GZIP_FROM = 128 * 1024  # bytes: less is not compressed
SNAPSHOTS = 16  # lists whose continue tokens are remembered

CODES = {  # status: reason, message
    302: ("", "found elsewhere"),
    400: ("BadRequest", "bad request"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden"),
    404: ("NotFound", "not found"),
    410: ("Expired", "The provided continue parameter is too old"),
    422: ("Invalid", "ListOptions is invalid"),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "an internal error"),
    504: ("Timeout", "Too large resource version"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
}


def status(code, message=None, details=None):
    reason, text = CODES[code]
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message or text,
        "reason": reason,
    }
    if details:
        body["details"] = details
    body["code"] = code
    return body


class Selector:
    """The forms of labelSelector and fieldSelector that a service proxy uses."""

    def __init__(self, query):
        labels = query.get("labelSelector", "")
        self.absent, self.present, self.equal = [], [], []
        for term in filter(None, labels.split(",")):
            if term.startswith("!"):
                self.absent.append(term[1:])
            elif "=" in term:
                self.equal.append(tuple(term.replace("==", "=").split("=", 1)))
            else:
                self.present.append(term)
        field, _, value = query.get("fieldSelector", "").partition("=")
        if field not in ("", "metadata.name"):
            raise ValueError(f"field label not supported: {field}")
        self.name = value if field else None
        self.empty = not labels and not field

    def matches(self, obj):
        if obj is None:
            return False
        meta = obj["metadata"]
        labels = meta.get("labels") or {}
        return (
            (self.name is None or meta["name"] == self.name)
            and not any(k in labels for k in self.absent)
            and all(k in labels for k in self.present)
            and all(labels.get(k) == v for k, v in self.equal)
        )


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self):
        stub = self.server.stub
        stub.connections.add(self.request)
        stub.wait_while_hung("tcp")
        if stub.tls:
            self.request.do_handshake()
        super().setup()

    def finish(self):
        self.server.stub.connections.discard(self.request)
        for file in (self.wfile, self.rfile):
            with contextlib.suppress(OSError, ValueError):
                file.close()

    def log_message(self, *args):
        pass

    # --- answering ---

    @property
    def proto(self):
        """Is the answer to be protobuf?"""
        return self.server.stub.protobuf and PROTOBUF in self.headers.get("Accept", "")

    def send_json(self, code, body, headers=()):
        """An object of no resource, as JSON or protobuf."""
        self.send_body(code, resources.body_of(self.proto, body), self.proto, headers)

    def send_body(self, code, data, proto, headers=()):
        stub = self.server.stub
        if stub.gzip and len(data) > GZIP_FROM and "gzip" in self.headers["Accept-Encoding"]:
            data = gzip.compress(data, 1)
            headers = [*headers, ("Content-Encoding", "gzip")]
        self.head(code, headers, PROTOBUF if proto else JSON)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def head(self, code, headers=(), content_type="application/json"):
        self.send_response(code)
        self.send_header("Cache-Control", "no-cache, private")
        self.send_header("Content-Type", content_type)
        for name, value in headers:
            self.send_header(name, value)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def begin_chunks(self, content_type="application/json"):
        self.head(200, (), content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def do_GET(self):
        stub = self.server.stub
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        resource, api_version, namespace, name = resources.locate(url.path, stub.minor)
        verb = "get" if name or resource is None else "list"
        if query.get("watch") in ("1", "true"):
            verb = "watch"
            if "sendInitialEvents" in query:
                verb = "refused" if stub.watchlist == "refused" else "watchlist"
        seen = {
            "path": url.path,
            "query": query,
            "headers": dict(self.headers.items()),
            "resource": resource,
            "verb": verb,
            "peer": self.client_address,
            "client": self.client_serial(),
            "time": time.monotonic(),
        }
        stub.requests.append(seen)
        stub.wait_while_hung("request")
        if not self.authorized():
            self.send_json(401, status(401))
            return
        fault = stub.take_fault(resource, verb)
        if fault:
            self.send_fault(fault)
        elif resource is None:
            self.send_fixed(url.path)
        elif name:
            self.send_object(resource, api_version, namespace, name)
        elif verb == "list":
            code, body = stub.list_page(resource, namespace, query, api_version, self.proto)
            if code == 200:
                self.send_body(code, body, self.proto)
            else:
                self.send_json(code, body)
        else:
            self.send_watch(resource, api_version, namespace, query)

    def client_serial(self):
        """The serial number of the client's certificate, "" without one."""
        if not isinstance(self.request, ssl.SSLSocket):
            return ""
        return (self.request.getpeercert() or {}).get("serialNumber", "")

    def authorized(self):
        tokens = self.server.stub.tokens
        if not tokens:
            return True
        if isinstance(self.request, ssl.SSLSocket) and self.request.getpeercert():
            return True
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and token in tokens

    def send_fault(self, fault):
        if "body" not in fault:
            code, headers = fault["status"], dict(fault["headers"])
            if fault["retry_after"]:
                headers["Retry-After"] = str(fault["retry_after"])
            self.send_json(code, status(code, fault["message"]), headers.items())
            return
        self.begin_chunks(fault["content_type"])
        body = fault["body"]
        for part in [body] if isinstance(body, bytes) else body:
            self.chunk(part)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def send_fixed(self, path):
        minor = self.server.stub.minor
        version = {"major": "1", "minor": str(minor), "gitVersion": f"v1.{minor}.2"}
        group = resources.group(minor)
        if path == "/version":
            self.send_body(200, dumps(version), False)  # in no other encoding
        elif path == "/apis/discovery.k8s.io" and group:
            self.send_json(200, group)
        else:
            self.send_json(404, status(404, "the server could not find the requested resource"))

    def send_object(self, resource, api_version, namespace, name):
        stub = self.server.stub
        with stub.changed:
            entry = stub.objects[resource].get((namespace or "", name))
        if entry:
            full = entry.form("proto" if self.proto else "json", api_version)
            self.send_body(200, full, self.proto)
        else:
            details = {"name": name, "kind": resource}
            self.send_json(404, status(404, f'{resource} "{name}" not found', details))

    def send_watch(self, resource, api_version, namespace, query):
        stub = self.server.stub
        if "sendInitialEvents" in query and stub.watchlist == "refused":
            text = "ListOptions is invalid: sendInitialEvents: Forbidden: sendInitialEvents is "
            text += "forbidden for watch unless the WatchList feature gate is enabled"
            self.send_json(422, status(422, text))
            return
        end = time.monotonic() + float(query.get("timeoutSeconds") or 1800)
        version = int(query.get("resourceVersion") or 0)
        watch = Watch(stub, resource, namespace, Selector(query), version)
        watch.proto, watch.api_version = self.proto, api_version
        watch.bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
        watch.tell_end = "sendInitialEvents" in query and stub.watchlist == "served"
        self.begin_chunks(PROTOBUF + ";stream=watch" if self.proto else JSON)
        for lines in watch.batches(end):
            self.chunk(lines)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


class Watch:
    def __init__(self, stub, resource, namespace, selector, version):
        self.stub, self.resource, self.namespace = stub, resource, namespace
        self.selector, self.version = selector, version
        self.bookmarks = self.tell_end = self.proto = False

    def line(self, kind, entry):
        full = entry.form("proto" if self.proto else "json", self.api_version)
        return resources.event(self.proto, kind, full)

    def bookmark(self, initial_end=False):
        version = self.stub.version
        return resources.bookmark(
            self.proto, self.resource, self.api_version, version, initial_end
        )

    def translate(self, event):
        """The event as this selector sees it, or b""."""
        _, resource, key, before, after = event
        if resource != self.resource or (self.namespace and key[0] != self.namespace):
            return b""
        was = before is not None and self.selector.matches(before.obj)
        now = after.deleted is False and self.selector.matches(after.obj)
        if not was and not now:
            return b""
        kind = "MODIFIED" if was and now else "ADDED" if now else "DELETED"
        return self.line(kind, after)

    def batches(self, end):
        stub = self.stub
        with stub.changed:
            if self.version == 0:
                self.version = stub.version
                first = stub.select(self.resource, self.namespace, self.selector)
                position = len(stub.events)
                end_mark = self.bookmark(True) if self.tell_end else b""
            elif self.version < stub.oldest:
                text = f"too old resource version: {self.version} ({stub.oldest})"
                first, position = [], None
                end_mark = resources.event(
                    self.proto, "ERROR", resources.body_of(self.proto, status(410, text))
                )
            else:
                first, end_mark = [], b""
                position = stub.position_after(self.version)
            epoch, marked = stub.watch_epoch, stub.bookmarks_asked
            dropped = stub.dropped_events
        for at in range(0, len(first), 100):
            yield b"".join(self.line("ADDED", e) for e in first[at : at + 100])
        if end_mark:
            yield end_mark
        if position is None:
            return
        next_bookmark = time.monotonic() + stub.bookmark_interval
        while True:
            with stub.changed:
                position -= stub.dropped_events - dropped
                dropped = stub.dropped_events
                now = time.monotonic()
                if position < 0:
                    return
                news = stub.events[position:]
                position += len(news)
                mark = self.bookmarks and (marked != stub.bookmarks_asked or now >= next_bookmark)
                marked = stub.bookmarks_asked
                if not news and not mark:
                    if stub.watch_epoch != epoch or now >= end:
                        return
                    stub.changed.wait(max(0.0, min(end, next_bookmark) - now))
                    continue
            lines = b"".join(map(self.translate, news))
            if mark:
                next_bookmark = now + stub.bookmark_interval
                lines += self.bookmark()
            if lines:
                yield lines


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        sock, address = super().get_request()
        if self.stub.tls:
            sock = self.stub.context.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            )
        return sock, address

    def handle_error(self, request, client_address):
        self.stub.connections.discard(request)
        self.stub.errors.append(sys.exc_info()[1])


class Stub:
    def __init__(self, tls=True, host="127.0.0.1", port=0, directory=None, bookmark_interval=60,
                 watchlist="served"):  # fmt: skip
        self.tls, self.host, self.port = tls, host, port
        self.directory = directory or tempfile.mkdtemp(prefix="kp-stub-")
        self.own_directory = directory is None
        self.bookmark_interval = bookmark_interval
        self.changed = threading.Condition()
        self.objects = {resource: {} for resource in RESOURCES}
        self.version = 1000
        self.protobuf = True  # for who accepts it
        self.minor = 36  # of the Kubernetes version: which APIs there are
        # sendInitialEvents: served, refused, or unknown (as by a server before 1.19)
        self.watchlist = watchlist
        self.watch_cache = True  # a list from any version takes no notice of its limit
        self.gzip = True  # of what is long
        self.oldest = 0  # a watch from an older version gets 410
        self.events = []  # (version, resource, key, entry before, entry after)
        self.dropped_events = 0
        self.snapshots = {}
        self.watch_epoch = 0
        self.bookmarks_asked = 0
        self.faults = []
        self.tokens = set()
        self.requests = []
        self.errors = []
        self.connections = set()
        self.hang = None
        self.server = None
        if tls:
            self.make_certificates()
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self.file("server.crt"), self.file("server.key"))
            self.context.load_verify_locations(self.client_ca_file)
            self.context.verify_mode = ssl.CERT_OPTIONAL
        self.up()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.hang = None
        self.end_watches()
        self.down()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # --- where and who ---

    def file(self, name):
        return os.path.join(self.directory, name)

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def ca_file(self):
        return self.file("ca.crt")

    @property
    def client_ca_file(self):
        return self.file("client-ca.crt")

    @property
    def client_cert(self):
        return self.file("client.crt")

    @property
    def client_key(self):
        return self.file("client.key")

    def openssl(self, *args):
        subprocess.run(
            ["openssl", *args], check=True, cwd=self.directory, capture_output=True, text=True
        )

    def make_certificates(self):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for ca in ("ca", "client-ca"):
            self.openssl(
                "req", "-x509", *key, "-days", "2", "-subj", f"/CN=stub {ca} {uuid.uuid4()}",
                "-keyout", f"{ca}.key", "-out", f"{ca}.crt",
            )  # fmt: skip
        names = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:kubernetes.stub"
        if self.host not in ("127.0.0.1", "::1", "localhost"):
            names += f",IP:{self.host}"
        for name, ca, subject, extra in (
            ("server", "ca", "/CN=kube-apiserver", ["-addext", names]),
            ("client", "client-ca", "/O=system:node-proxier/CN=system:kube-proxy", []),
        ):
            self.openssl(
                "req", *key, "-subj", subject, *extra, "-keyout", f"{name}.key",
                "-out", f"{name}.csr",
            )  # fmt: skip
            self.openssl(
                "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key",
                "-CAcreateserial", "-days", "2", "-copy_extensions", "copy",
                "-out", f"{name}.crt",
            )  # fmt: skip

    def kubeconfig(self, path, token=None, token_file=None, client_cert=False, **cluster):
        """
        Writes a kubeconfig. CLUSTER overrides fields: certificate_authority=..., server=...
        CLIENT_CERT: True, or the paths of another certificate and key.
        """
        fields = {"server": self.url}
        if self.tls:
            fields["certificate-authority"] = self.ca_file
        fields.update({k.replace("_", "-"): v for k, v in cluster.items()})
        user = {}
        if token:
            user["token"] = token
        if token_file:
            user["tokenFile"] = token_file
        if client_cert:
            pair = (self.client_cert, self.client_key) if client_cert is True else client_cert
            user["client-certificate"], user["client-key"] = pair
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stub",
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
            "clusters": [
                {"name": "stub", "cluster": {k: v for k, v in fields.items() if v is not None}}
            ],
            "users": [{"name": "stub", "user": user}],
        }
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f, indent=2)  # JSON is YAML
        return path

    # --- objects ---

    def put(self, obj, keep=False):
        """
        Creates or replaces an object. With keep its own resourceVersion stands, as when a recording
        is replayed. A creationTimestamp of its own stands, and a uid if it is new. Returns its version.
        """
        resource = KINDS[obj["kind"]]
        with self.changed:
            meta = dict(obj["metadata"])
            key = (meta.get("namespace", ""), meta["name"])
            before = self.objects[resource].get(key)
            if keep:
                self.version = max(self.version, int(meta["resourceVersion"]))
            else:
                self.version += 1
                own = meta.get("uid") or str(uuid.uuid4())
                meta["uid"] = before.obj["metadata"]["uid"] if before else own
                meta["resourceVersion"] = str(self.version)
                meta.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
            after = Entry(resource, {**obj, "metadata": meta})
            self.objects[resource][key] = after
            self.events.append((self.version, resource, key, before, after))
            self.changed.notify_all()
            return self.version

    def delete(self, kind, ns, name, version=None):
        resource = KINDS[kind]
        with self.changed:
            key = (ns or "", name)
            before = self.objects[resource].pop(key)
            self.version = version or self.version + 1
            meta = {**before.obj["metadata"], "resourceVersion": str(self.version)}
            after = Entry(resource, {**before.obj, "metadata": meta})
            after.deleted = True
            self.events.append((self.version, resource, key, before, after))
            self.changed.notify_all()
            return self.version

    def load(self, items, kind=None, keep=False):
        """Puts every object of a list (a List's own items have no kind: name it)."""
        for item in items:
            self.put(item if "kind" in item else {"kind": kind, **item}, keep=keep)

    def generate(self, services, endpoints, ns="default"):
        """svc-I at 10.96.0.1 + I, port 80/TCP, with ENDPOINTS ready endpoints in 10.0.0.0/8."""
        with self.changed:
            for i in range(services):
                n = (10 << 24) + (96 << 16) + 1 + i
                self.put(service(f"svc-{i}", socket.inet_ntoa(n.to_bytes(4, "big")), ns))
                first = (10 << 24) + (128 << 16) + 1 + i * endpoints
                addresses = [
                    socket.inet_ntoa((first + e).to_bytes(4, "big")) for e in range(endpoints)
                ]
                self.put(endpoint_slice(f"svc-{i}-1", f"svc-{i}", addresses, ns))

    def select(self, resource, namespace, selector):
        entries = self.objects[resource]
        return [
            entries[key]
            for key in sorted(entries)
            if (not namespace or key[0] == namespace) and selector.matches(entries[key].obj)
        ]

    def position_after(self, version):
        low, high = 0, len(self.events)
        while low < high:
            mid = (low + high) // 2
            if self.events[mid][0] <= version:
                low = mid + 1
            else:
                high = mid
        return low

    def list_page(self, resource, namespace, query, api_version=None, proto=False):
        """(status, body) of one page: bytes, or a Status."""
        if api_version is None:
            api_version = next(v for r, v, _, _ in resources.SERVED if r == resource)
        try:
            selector = Selector(query)
            limit = int(query.get("limit") or 0)
            token = query.get("continue")
            asked = json.loads(base64.urlsafe_b64decode(token + "==")) if token else None
            since = int(query.get("resourceVersion") or 0)
            if token and since:
                raise ValueError("specifying resource version is not allowed when using continue")
        except ValueError as e:
            return 400, status(400, str(e))
        if self.watch_cache and query.get("resourceVersion") == "0":
            limit = 0
        with self.changed:
            if since > self.version:
                text = f"Too large resource version: {since}, current: {self.version}"
                return 504, status(504, text)
            if asked:
                version, start = asked["rv"], asked["start"]
                entries = self.snapshots.get((resource, version))
                if entries is None:
                    return 410, status(410)
            else:
                version, start = self.version, 0
                entries = self.select(resource, namespace, selector)
        page = entries[start : start + limit] if limit else entries
        meta = {"resourceVersion": str(version)}
        rest = len(entries) - start - len(page)
        if rest > 0:
            with self.changed:
                if not asked:
                    self.snapshots[resource, version] = entries
                    while len(self.snapshots) > SNAPSHOTS:
                        del self.snapshots[next(iter(self.snapshots))]
            more = {"v": "meta.k8s.io/v1", "rv": version, "start": start + len(page)}
            meta["continue"] = base64.urlsafe_b64encode(dumps(more)).decode().rstrip("=")
            if selector.empty:
                meta["remainingItemCount"] = rest
        return 200, resources.object_list(proto, resource, api_version, meta, page)

    # --- faults ---

    def expire(self):
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.dropped_events += len(self.events)
            self.events = []
            self.snapshots = {}
            self.changed.notify_all()

    def drop(self):
        for sock in list(self.connections):
            with contextlib.suppress(OSError):
                # The descriptor itself: SSLSocket.shutdown would wait for a writer's lock.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def end_watches(self):
        with self.changed:
            self.watch_epoch += 1
            self.changed.notify_all()

    def bookmark(self):
        with self.changed:
            self.bookmarks_asked += 1
            self.changed.notify_all()

    def down(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        self.drop()

    def up(self):
        kind = Server
        if ":" in self.host:
            kind = type("Server6", (Server,), {"address_family": socket.AF_INET6})
        kind.allow_reuse_address = True
        self.server = kind((self.host, self.port), Handler)
        self.server.block_on_close = False
        self.server.stub = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def fail(
        self, code, retry_after=None, resource=None, verb=None, times=None, message=None, headers=()
    ):
        fault = {"status": code, "retry_after": retry_after, "message": message, "headers": headers}
        self.add_fault(fault, resource, verb, times)

    def script(self, body, resource=None, verb=None, times=1, content_type="application/json"):
        self.add_fault({"body": body, "content_type": content_type}, resource, verb, times)

    def add_fault(self, fault, resource, verb, times):
        with self.changed:
            self.faults.append({**fault, "resource": resource, "verb": verb, "times": times})

    def heal(self):
        with self.changed:
            self.faults = []

    def take_fault(self, resource, verb):
        with self.changed:
            for fault in self.faults:
                if fault["resource"] in (None, resource) and fault["verb"] in (None, verb):
                    if fault["times"] is not None:
                        fault["times"] -= 1
                        if fault["times"] == 0:
                            self.faults.remove(fault)
                    return fault
        return None

    def wait_while_hung(self, where):
        while self.hang == where:
            time.sleep(0.02)

    # --- what happened ---

    def seen(self, resource=None, verb=None):
        return [
            r
            for r in list(self.requests)
            if resource in (None, r["resource"]) and verb in (None, r["verb"])
        ]


def service(name, cluster_ip, ns="default", port=80, protocol="TCP", labels=None):
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": ns, "labels": labels or {}},
        "spec": {
            "ports": [{"name": "p", "protocol": protocol, "port": port, "targetPort": 8080}],
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv6" if ":" in cluster_ip else "IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }


def endpoint_slice(name, service_name, addresses, ns="default", port=8080, protocol="TCP"):
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": name,
            "namespace": ns,
            "labels": {"kubernetes.io/service-name": service_name},
        },
        "addressType": "IPv6" if addresses and ":" in addresses[0] else "IPv4",
        "endpoints": [
            {"addresses": [a], "conditions": {"ready": True, "serving": True, "terminating": False}}
            for a in addresses
        ],
        "ports": [{"name": "p", "protocol": protocol, "port": port}],
    }


def node(name, addresses=("192.0.2.1",), zone=None):
    labels = {"kubernetes.io/hostname": name}
    if zone:
        labels["topology.kubernetes.io/zone"] = zone
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {"addresses": [{"type": "InternalIP", "address": a} for a in addresses]},
    }


# --- from a shell ---

COMMANDS = (
    "put delete load generate expire drop end_watches bookmark down up fail script heal seen set"
).split()


class Control(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            try:
                args = json.loads(line)
                answer = {"ok": self.run(args.pop("do"), args)}
            except Exception as e:  # a wrong command must not end the server
                answer = {"error": f"{type(e).__name__}: {e}"}
            self.wfile.write(dumps(answer) + b"\n")

    def run(self, command, args):
        if command not in COMMANDS:
            raise ValueError(f"no such command; there are {' '.join(COMMANDS)}")
        if command == "set":  # hang, tokens
            for name, value in args.items():
                setattr(self.server.stub, name, set(value) if name == "tokens" else value)
            return None
        if command == "script":
            args["body"] = args["body"].encode()
        return getattr(self.server.stub, command)(**args)


def send_command(directory, command):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(directory, "control"))
        s.sendall(command.encode() + b"\n")
        s.shutdown(socket.SHUT_WR)
        answer = s.makefile().read().strip()
    print(answer)
    return 0 if "ok" in json.loads(answer) else 1


def main():
    parser = argparse.ArgumentParser(description="A stub kube-apiserver for tests.")
    parser.add_argument("--dir", required=True, help="for kubeconfig, certificates, control socket")
    parser.add_argument("--do", metavar="JSON", help="send a command to the stub running there")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--generate", metavar="SERVICESxENDPOINTS")
    parser.add_argument("--load", action="append", default=[], metavar="FILE", help="a List, JSON")
    parser.add_argument("--node", metavar="NAME")
    args = parser.parse_args()
    if args.do:
        return send_command(args.dir, args.do)

    os.makedirs(args.dir, exist_ok=True)
    stub = Stub(host=args.host, port=args.port, directory=args.dir)
    if args.node:
        stub.put(node(args.node))
    if args.generate:
        stub.generate(*map(int, args.generate.split("x")))
    for path in args.load:
        with open(path, encoding="utf-8") as f:
            content = json.load(f)
        stub.load(content["items"], kind=content["kind"].removesuffix("List"))
    stub.kubeconfig(os.path.join(args.dir, "kubeconfig"))
    control = os.path.join(args.dir, "control")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(control)
    server = socketserver.ThreadingUnixStreamServer(control, Control)
    server.daemon_threads = True
    server.stub = stub
    print(stub.url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
