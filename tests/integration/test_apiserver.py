"""The whole daemon against an apiserver over TLS: what it says is where packets go."""
import os
import time
import unittest

from apiserver import Stub
from harness import Node, inside, service, slice_of

TAKES = 60  # seconds on an idle machine

VIP4, VIP6 = "10.96.0.10", "fd00:96::10"
HTTP = [("http", 80, "TCP")]
TARGET = [("http", Node.PORT, "TCP")]


class Apiserver(unittest.TestCase):
    def setUp(self):
        self.n = Node(pods=3).__enter__()
        self.addCleanup(self.n.__exit__)
        self.api = inside(self.n.node, lambda: Stub().__enter__())
        self.addCleanup(self.api.close)

    def start(self, *flags, **kw):
        config = os.path.join(self.n.dir, "kubeconfig")
        self.api.kubeconfig(config, token="s3cr3t-token")
        self.api.tokens = {"s3cr3t-token"}
        for name in [config, self.api.ca_file]:
            os.chmod(name, 0o644)
        os.chmod(self.api.directory, 0o755)
        self.n.start("--kubeconfig", config, "--iptables-min-sync-period=0s", *flags, **kw)

    def put_web(self, *pods):
        n = self.n
        self.api.put(service("web", [VIP4, VIP6], HTTP))
        self.api.put(slice_of("web", [n.pod_ip(i) for i in pods], TARGET))
        self.api.put(slice_of("web", [n.pod_ip(i, 6) for i in pods], TARGET))

    def answers(self, vip=VIP4, times=16):
        return set(self.n.who(self.n.client, vip, 80, times=times))

    def test_endpoints_come_and_go(self):
        n, api = self.n, self.api
        self.put_web(0, 1)
        self.start()
        self.assertEqual(self.answers(), {"pod1", "pod2"})
        self.assertEqual(self.answers(VIP6), {"pod1", "pod2"})
        self.put_web(2)
        n.wait("pod3 alone", lambda: self.answers(times=4) == {"pod3"})
        n.wait("pod3 alone", lambda: self.answers(VIP6, times=4) == {"pod3"})
        api.delete("EndpointSlice", "default", "web-ipv4")
        n.wait("rejection", lambda: self.answers(times=2) == {"refused"})
        self.assertEqual(self.answers(VIP6), {"pod3"})
        api.delete("Service", "default", "web")
        n.wait("the service gone", lambda: VIP6 not in n.save(6))
        self.assertNotIn("s3cr3t-token", n.logged() + n.audited())

    def put_endpoints(self, *pods):
        """The same as put_web, on a server without slices."""
        addresses = [{"ip": self.n.pod_ip(i), "nodeName": "elsewhere"} for i in pods]
        subset = {"addresses": addresses, "ports": [{"name": "http", "port": Node.PORT}]}
        self.api.put({"kind": "Endpoints", "apiVersion": "v1", "subsets": [subset],
                      "metadata": {"namespace": "default", "name": "web"}})

    def follows(self, put):
        n = self.n
        put(0)
        self.start()
        self.assertEqual(self.answers(times=4), {"pod1"})
        put(1, 2)
        n.wait("pod2 and pod3", lambda: self.answers() == {"pod2", "pod3"})
        n.stop()

    def test_endpoints_of_1_16(self):
        self.api.minor = 16
        self.api.put(service("web", [VIP4], HTTP))
        self.follows(self.put_endpoints)

    def test_slices_v1beta1(self):
        self.api.minor = 20
        self.follows(self.put_web)

    def test_json_in_pages(self):
        self.api.protobuf = False
        self.api.watchlist = "refused"
        self.api.watch_cache = False
        self.api.generate(600, 1)
        self.api.delete("Service", "default", "svc-9")  # it has web's address
        self.follows(self.put_web)

    def test_protobuf_streamed_and_service_cidrs(self):
        self.api.put({"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1",
                      "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}})
        self.api.generate(600, 1)
        self.api.delete("Service", "default", "svc-9")  # it has web's address
        self.follows(self.put_web)
        asked = {(r["resource"], r["verb"]) for r in self.api.requests}
        self.assertEqual(asked, {(None, "get"), ("services", "watchlist"), ("nodes", "watchlist"),
                                 ("endpointslices", "watchlist"), ("servicecidrs", "watchlist")})
        self.assertIn("servicecidrs: 1 received", self.n.logged())

    def test_nothing_before_both_lists(self):
        self.put_web(0)
        self.api.watchlist = "refused"
        self.api.fail(503, resource="endpointslices", verb="list", times=None)
        self.start(wait=False)
        self.n.wait("services to be listed", lambda: self.api.seen("services", "watch"))
        time.sleep(0.5)
        self.assertNotIn("KUBE", self.n.save(4))
        self.assertEqual(self.n.health("/healthz")[0], 503)
        self.api.heal()
        self.n.wait_synced()
        self.assertEqual(self.answers(), {"pod1"})

    def test_apiserver_away_and_back(self):
        n, api = self.n, self.api
        self.put_web(0)
        self.start()
        before, audited = n.save(4), n.audited()
        inside(n.node, api.down)
        time.sleep(2)
        self.assertEqual(n.save(4), before)
        self.assertEqual(self.answers(), {"pod1"})
        inside(n.node, api.up)
        self.put_web(1)
        n.wait("pod2 alone", lambda: self.answers(times=4) == {"pod2"}, 60)
        self.assertEqual(len(n.audited()) > len(audited), True)

    def test_expired_version_relists_and_drops_nothing(self):
        n, api = self.n, self.api
        self.put_web(0)
        api.put(service("gone", ["10.96.0.99"], HTTP))
        self.start()
        self.assertIn("10.96.0.99", n.save(4))
        inside(n.node, api.down)
        api.delete("Service", "default", "gone")
        self.put_web(0, 1)
        api.expire()
        inside(n.node, api.up)
        n.wait("what vanished meanwhile", lambda: "10.96.0.99" not in n.save(4), 60)
        n.wait("both", lambda: self.answers() == {"pod1", "pod2"})

    def test_5000_services_of_10_endpoints(self):
        n, api = self.n, self.api
        api.generate(5000, 10)
        began = time.monotonic()
        self.start()
        took = time.monotonic() - began
        nat, flt = n.save(4, "nat").splitlines(), n.save(4, "filter").splitlines()
        self.assertEqual(sum(l.startswith(":KUBE-SVC-") for l in nat), 5000)
        # The layout of large clusters: no chain for each endpoint, services in a tree.
        self.assertEqual(sum(l.startswith(":KUBE-SEP-") for l in nat), 0)
        dnat = [l.split()[-1] for l in nat if l.startswith("-A KUBE-SVC-") and " DNAT " in l]
        self.assertEqual((len(dnat), len(set(dnat))), (50000, 50000))
        self.assertEqual(sum(" -j KUBE-SVC-" in l for l in nat), 5000)
        self.assertLess(sum(l.startswith("-A KUBE-SERVICES ") for l in nat), 10)
        self.assertEqual(sum(l.startswith("-A KUBE-SERVICES ") for l in flt), 0)
        report = ["5,000 x 10 programmed %.1f s after start" % took]
        for name, pid in sorted(n.processes().items()):
            with open("/proc/%d/smaps_rollup" % pid) as f:
                pss = next(int(l.split()[1]) for l in f if l.startswith("Pss:"))
            with open("/proc/%d/status" % pid) as f:
                peak = next(int(l.split()[1]) for l in f if l.startswith("VmHWM:"))
            with open("/proc/%d/stat" % pid) as f:
                t = f.read().rpartition(")")[2].split()
            cpu = (int(t[11]) + int(t[12])) / os.sysconf("SC_CLK_TCK")
            report.append("%-20s PSS %6.1f MB  peak RSS %6.1f MB  CPU %.2f s" %
                          (name, pss / 1024, peak / 1024, cpu))
        print("\n    ".join(report), flush=True)
        audited = n.audited()
        n.stop()
        n.start("--kubeconfig", os.path.join(n.dir, "kubeconfig"))
        self.assertEqual(n.audited(), audited)


if __name__ == "__main__":
    unittest.main()
