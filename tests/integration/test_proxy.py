"""The apiserver behind a proxy: by the kubeconfig's proxy-url, and by the environment."""
import os
import ssl
import unittest

import test_api
from apiserver import Stub, service
from harness import Node, inside
from harness import service as cluster_service
from harness import slice_of
from limits import patient
from proxy import Proxy
from test_api import SERVICES, wait

TAKES = 50  # seconds on an idle machine


class ProxyUrl(test_api.Base):
    def proxy(self, **kw):
        p = Proxy(**kw)
        self.addCleanup(p.close)
        return p

    def check(self, p, **access):
        self.stub.tokens = {"s3cr3t-token"}
        w = self.synced_watcher(token="s3cr3t-token", **access)
        self.assertTrue(p.heard)
        self.assertNotIn("s3cr3t-token", "".join(p.heard), "the proxy has no use for it")
        self.assertFalse(w.said("s3cr3t"))
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")
        return w

    def test_http(self):
        p = self.proxy()
        w = self.check(p, proxy_url=p.url)
        self.assertTrue(p.heard[0].startswith(f"CONNECT 127.0.0.1:{self.stub.port} "))
        wait(lambda: len(w.said(f"by the proxy {p.url}")) == 1, "it is said")

    def test_http_with_password(self):
        p = self.proxy()
        p.password = "me:s3cr3t"
        w = self.check(p, proxy_url=p.url.replace("://", "://me:s3cr3t@"))
        wait(lambda: len(w.said(f"by the proxy {p.url}")) == 1, "it is said")

    def test_http_with_wrong_password(self):
        p = self.proxy()
        p.password = "me:s3cr3t"
        w = self.watcher(proxy_url=p.url.replace("://", "://me:hunter2@"))
        wait(lambda: w.said("407"), "the proxy's refusal is told")
        self.assertFalse(w.said("hunter2"))
        self.assertEqual(self.stub.requests, [])

    def test_https_of_the_clusters_authority(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.stub.file("server.crt"), self.stub.file("server.key"))
        p = self.proxy(context=context)
        self.check(p, proxy_url=p.url)

    def test_https_of_another_authority(self):
        with Stub() as other:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(other.file("server.crt"), other.file("server.key"))
            p = self.proxy(context=context)
            w = self.watcher(proxy_url=p.url)
            wait(lambda: w.said("does not answer"), "it is not believed")
            self.assertEqual(p.heard, [])

    def test_socks(self):
        """The name is left to the proxy, as Go does."""
        p = self.proxy(socks=True)
        p.names = {"kubernetes.stub": "127.0.0.1"}
        p.password = "me:s3cr3t"
        self.check(p, proxy_url=p.url.replace("://", "://me:s3cr3t@"),
                   server=f"https://kubernetes.stub:{self.stub.port}")
        self.assertEqual(p.heard[0], f"kubernetes.stub:{self.stub.port}")

    def test_tls_server_name(self):
        p = self.proxy()
        self.check(p, proxy_url=p.url, tls_server_name="kubernetes.stub")
        self.assertTrue(p.heard[0].startswith(f"CONNECT 127.0.0.1:{self.stub.port} "))

    def test_proxy_that_goes_and_comes(self):
        p = self.proxy()
        w = self.check(p, proxy_url=p.url)
        p.close()
        wait(lambda: w.said("does not answer"), "its going is told", seconds=15)
        self.assertEqual(w.synced[SERVICES], 1)

    def test_password_of_the_apiserver(self):
        with test_api.Stub() as stub:
            stub.put(test_api.node(test_api.NODE))
            path = stub.kubeconfig(self.path("kubeconfig"))
            with open(path, encoding="utf-8") as f:
                text = f.read()
            text = text.replace('"user": {}', '"user": {"username": "me", "password": "s3cr3t"}')
            self.assertIn("s3cr3t", text)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            w = test_api.Watcher(path)
            self.addCleanup(w.__exit__)
            wait(lambda: w.node, "synced")
            self.assertEqual(stub.requests[0]["headers"]["Authorization"], "Basic bWU6czNjcjN0")
            self.assertFalse(w.said("s3cr3t"))


class Environment(unittest.TestCase):
    """The whole daemon: the parent hands the variables to the watcher, and to nobody else."""

    ADDRESS = "198.51.100.1"  # the node's; a loopback address never goes to a proxy

    def setUp(self):
        self.n = Node(pods=1).__enter__()
        self.addCleanup(self.n.__exit__)
        self.api = inside(self.n.node, lambda: Stub(host=self.ADDRESS))
        self.addCleanup(self.api.close)
        self.proxy = inside(self.n.node, Proxy)
        self.addCleanup(self.proxy.close)
        self.api.put(cluster_service("web", ["10.96.0.10"], [("http", 80, "TCP")]))
        self.api.put(slice_of("web", [self.n.pod_ip(0)], [("http", Node.PORT, "TCP")]))
        os.chmod(self.api.directory, 0o755)
        self.config = os.path.join(self.n.dir, "kubeconfig")
        self.api.kubeconfig(self.config)
        for path in (self.config, self.api.ca_file):
            os.chmod(path, 0o644)

    def start(self, **environment):
        os.environ.update(environment)
        try:
            self.n.start("--kubeconfig", self.config)
        finally:
            for name in environment:
                del os.environ[name]

    def test_https_proxy(self):
        url = self.proxy.url.replace("://", "://me:s3cr3t@")
        self.start(HTTPS_PROXY=url, HTTP_PROXY="http://nowhere.invalid", NO_PROXY="10.0.0.0/8")
        self.assertEqual(set(self.n.who(self.n.client, "10.96.0.10", 80, times=4)), {"pod1"})
        self.assertTrue(self.proxy.heard[0].startswith(f"CONNECT {self.ADDRESS}:{self.api.port} "))
        self.assertIn("by the proxy " + self.proxy.url, self.n.logged())
        self.assertNotIn("s3cr3t", self.n.logged() + self.n.audited())
        holders = set()
        for name, pid in self.n.processes().items():
            with open("/proc/%d/environ" % pid, "rb") as f:
                if b"s3cr3t" in f.read():
                    holders.add(name)
        # The parent has what it was started with; of its children only the watcher has it.
        self.assertEqual(holders, {"kube-proxy", "kube-proxy-watcher"})

    def test_no_proxy(self):
        self.start(https_proxy=self.proxy.url, no_proxy="198.51.100.0/24,other")
        self.assertEqual(self.proxy.heard, [])
        self.assertTrue(self.api.requests)

    def test_wrong_proxy(self):
        with self.assertRaises(AssertionError):
            self.start(HTTPS_PROXY="gopher://me:s3cr3t@proxy")
        self.assertEqual(self.n.proc.wait(patient(5)), 78)
        self.assertIn("HTTPS_PROXY in the environment: its scheme is none of", self.n.logged())
        self.assertNotIn("s3cr3t", self.n.logged())


if __name__ == "__main__":
    unittest.main()
