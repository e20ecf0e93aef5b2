"""/metrics: the names people know, and numbers that follow what happens."""
import concurrent.futures
import contextlib
import fcntl
import itertools
import json
import os
import re
import subprocess
import threading
import time
import unittest
import urllib.parse
import urllib.request

import test_api  # noqa: F401: makes the stub's directory known
from apiserver import Stub
from harness import BUILD, Node, inside, service, sh, slice_of
from limits import patient

TAKES = 100  # seconds on an idle machine

HERE = os.path.dirname(os.path.abspath(__file__))
METRICS = 10249
CAUSE = "endpoints.kubernetes.io/last-change-trigger-time"

# What upstream itself calls a gauge and so ends with _total (promtool does not like it).
UPSTREAMS_OWN = {"kubeproxy_sync_proxy_rules_iptables_total",
                 "kubeproxy_sync_proxy_rules_no_local_endpoints_total"}


def upstream():
    """[(name, type, {label}, reason or None)]"""
    with open(os.path.join(HERE, "../data/upstream-metrics"), encoding="ascii") as f:
        for line in f:
            if not line.startswith("#"):
                name, kind, labels, *reason = line.rstrip("\n").split("\t")
                yield (name, kind, set() if labels == "-" else set(labels.split(",")),
                       reason[0] if reason else None)


class Page:
    """A scrape: types by name, values by sample ("name{a="b"}", labels sorted)."""

    def __init__(self, text):
        self.text, self.types, self.values, self.labels = text, {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            elif not line.startswith("#"):
                sample, value = line.rsplit(" ", 1)
                name, _, inner = sample.partition("{")
                labels = dict(re.findall(r'([a-z_]+)="([^"]*)"', inner))
                self.values[self.key(name, labels)] = float(value)
                self.labels.setdefault(name, set()).update(labels)

    @staticmethod
    def key(name, labels):
        return name + "".join("{%s=%s}" % item for item in sorted(labels.items()))

    def get(self, name, **labels):
        """The sum of the samples of NAME that have these LABELS."""
        wanted = ["{%s=%s}" % item for item in labels.items()]
        found = [v for k, v in self.values.items()
                 if k.split("{")[0] == name and all(w in k for w in wanted)]
        if not found:
            raise KeyError("%s %s in:\n%s" % (name, labels, self.text))
        return sum(found)


PAUSES = {"35", "230"}  # nanosleep, clock_nanosleep on x86-64


def system_call(pid):
    """The number of the one that a process is in, or "running"."""
    with open("/proc/%d/syscall" % pid, encoding="ascii") as f:
        return f.read().split()[0]


class Base(unittest.TestCase):
    def scrape(self):
        status, text = self.n.health("/metrics", METRICS)
        self.assertEqual(status, 200, text)
        return Page(text)

    def wait_for(self, name, condition, seconds=10, **labels):
        """Until CONDITION(value) is true; the page that has it."""
        box = []

        def look():
            box[:] = [self.scrape()]
            with contextlib.suppress(KeyError):
                return condition(box[0].get(name, **labels))
            return False

        self.n.wait("%s %s" % (name, labels), look, seconds)
        return box[0]

    def check_names(self, page, not_in_this_mode):
        for name, kind, labels, reason in upstream():
            here = [n for n in page.types if n == name or
                    (name.endswith("*") and n.startswith(name[:-1]))]
            if reason or not_in_this_mode(name):
                self.assertEqual(here, [], "%s: %s" % (name, reason))
                continue
            with self.subTest(name):
                self.assertEqual(here, [name])
                self.assertEqual(page.types[name], kind)
                samples = name + "_count" if kind == "histogram" else name
                extra = {"process"} if name.startswith("process_") else set()
                if samples in page.labels:
                    self.assertEqual(page.labels[samples], labels | extra)

    def check_promtool(self, page):
        r = subprocess.run(["promtool", "check", "metrics"], input=page.text, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patient(20))
        said = [line for line in r.stdout.splitlines()
                if line.split(" ")[0] not in UPSTREAMS_OWN]
        self.assertEqual(said, [])

    def check_processes(self, page):
        self.assertNotRegex(page.text, 'process="(relay|broker)"')
        for process in ("applier", "planner", "watcher", "listener"):
            pid = self.n.processes()["kube-proxy" + ("" if process == "applier" else
                                                     "-" + process)]
            with open("/proc/%d/statm" % pid, encoding="ascii") as f:
                resident = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
            told = page.get("process_resident_memory_bytes", process=process)
            self.assertLess(abs(told - resident), 2 << 20, process)
            self.assertLess(abs(page.get("process_start_time_seconds", process=process) -
                                os.stat("/proc/%d" % pid).st_mtime), 60)
            self.assertGreaterEqual(page.get("process_cpu_seconds_total", process=process), 0)


    ALERT = os.path.join(HERE, "../data/version-alert.yaml")

    def check_alert(self, series, fires):
        """Does kubernetes-mixin's KubeVersionMismatch fire where these SERIES are scraped?"""
        test = {"rule_files": [os.path.abspath(self.ALERT)], "evaluation_interval": "1m",
                "tests": [{"interval": "1m",
                           "input_series": [{"series": s, "values": "1x30"} for s in series],
                           "alert_rule_test": [{
                               "eval_time": "20m", "alertname": "KubeVersionMismatch",
                               "exp_alerts": [{"exp_labels": {"severity": "warning"}}]
                               if fires else []}]}]}
        path = os.path.join(self.n.dir, "alert-test.json")  # YAML includes JSON
        with open(path, "w", encoding="ascii") as f:
            json.dump(test, f)
        r = subprocess.run(["promtool", "test", "rules", path], text=True, timeout=patient(60),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(r.returncode, 0, "\n".join([r.stdout, *series]))

    def check_version(self, page):
        """Beside nodes of the release that `kube-proxy --version` names no alert fires; beside
        others it does."""
        line = sh(os.path.join(os.path.abspath(BUILD), "kube-proxy"), "--version")
        release = re.fullmatch(r"Kubernetes (v(\d+)\.(\d+)\.\d+)\n", line)
        self.assertIsNotNone(release, line)
        self.assertEqual(page.get("kubernetes_build_info", git_version=release[1],
                                  major=release[2], minor=release[3]), 1)
        ours = next(l for l in page.text.splitlines() if l.startswith("kubernetes_build_info{"))
        ours = ours.rsplit(" ", 1)[0].replace("}", ',job="kube-proxy"}')

        def others(version):
            return ['kubernetes_build_info{git_version="%s",job="%s"}' % (version, job)
                    for job in ("apiserver", "kubelet")] + [
                        'kubernetes_build_info{git_version="v1.11.1",job="coredns"}']

        minor = "v%s.%s." % (release[2], release[3])
        self.check_alert([ours, *others(release[1])], False)
        self.check_alert([ours, *others(minor + "97+k3s1")], False)
        self.check_alert([ours, *others("v%s.%d.1" % (release[2], int(release[3]) - 1))], True)
        own = next(l for l in page.text.splitlines() if l.startswith("kubeproxy_build_info{"))
        raw = sh(os.path.join(os.path.abspath(BUILD), "kube-proxy"), "--version=raw")
        self.assertIn("\nkube-proxy %s\n" % re.search(r'version="([^"]+)"', own)[1], raw)


class IptablesMode(Base):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=2).__enter__()
        cls.addClassCleanup(n.__exit__)
        cls.api = api = inside(n.node, Stub)
        cls.addClassCleanup(api.close)
        api.put(service("web", ["10.96.0.10", "fd00:96::10"], [("http", 80, "TCP")]))
        for family in (4, 6):
            api.put(slice_of("web", [n.pod_ip(0, family)], [("http", Node.PORT, "TCP")]))
        api.put(service("dns", ["10.96.0.53"], [("dns", 53, "UDP")]))
        api.put(slice_of("dns", [n.pod_ip(0)], [("dns", Node.PORT, "UDP")]))
        os.chmod(api.directory, 0o755)
        config = os.path.join(n.dir, "kubeconfig")
        api.kubeconfig(config)
        for path in (config, api.ca_file):
            os.chmod(path, 0o644)
        n.start("--kubeconfig", config, "--iptables-min-sync-period=0s")

    def test_names(self):
        page = self.wait_for("rest_client_requests_total", lambda v: v >= 3, code="200")
        self.n.health("/livez")
        page = self.scrape()
        self.check_names(page, lambda name: "nftables" in name)
        self.check_promtool(page)
        self.check_processes(page)
        self.check_version(page)
        self.assertGreaterEqual(page.get("kubeproxy_proxy_livez_total", code="200"), 1)
        self.assertGreaterEqual(page.get("kubeproxy_services"), 2)
        host = self.api.url.split("//")[1]
        self.assertGreaterEqual(page.get("rest_client_requests_total", host=host), 3)

    def check_rules(self, page):
        """As many as iptables-save shows, whoever counts."""
        for name, family in (("IPv4", 4), ("IPv6", 6)):
            for table in ("nat", "filter"):
                there = [l for l in self.n.save(family, table).splitlines()
                         if l.startswith("-A KUBE-")]
                self.assertEqual(
                    page.get("kubeproxy_sync_proxy_rules_iptables_total", ip_family=name,
                             table=table), len(there), (name, table))

    def test_a_change(self):
        n = self.n
        # Ours, done: what follows is this change alone.
        before = self.wait_for("kubeproxy_sync_proxy_rules_endpoint_changes_total",
                               lambda v: v >= 3)
        changed = slice_of("web", [n.pod_ip(0), n.pod_ip(1)], [("http", Node.PORT, "TCP")])
        # What happened before the proxy began is none of its delays; by now it has begun.
        began = time.time()
        changed["metadata"]["annotations"] = {
            CAUSE: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began)) +
                   ".%03dZ" % (began % 1 * 1000)}
        n.wait("a time to measure", lambda: time.time() > began + 0.3)
        expected = time.time() - began
        self.api.put(changed)
        name = "kubeproxy_network_programming_duration_seconds"
        page = self.wait_for(name + "_count", lambda v: v == before.get(
            name + "_count", ip_family="IPv4") + 1, ip_family="IPv4")
        took = page.get(name + "_sum", ip_family="IPv4") - before.get(
            name + "_sum", ip_family="IPv4")
        self.assertGreater(took, expected - 0.002)
        self.assertEqual(page.get(name + "_count", ip_family="IPv6"),
                         before.get(name + "_count", ip_family="IPv6"))

        def more(metric, by, **labels):
            self.assertEqual(page.get(metric, **labels) - before.get(metric, **labels), by,
                             (metric, labels))

        more("kubeproxy_sync_proxy_rules_endpoint_changes_total", 1)
        more("kubeproxy_sync_proxy_rules_service_changes_total", 0)
        more("kubeproxy_sync_proxy_rules_duration_seconds_count", 1, ip_family="IPv4")
        more("kubeproxy_sync_proxy_rules_duration_seconds_count", 0, ip_family="IPv6")
        more("kubeproxy_sync_partial_proxy_rules_duration_seconds_count", 1, ip_family="IPv4")
        more("kubeproxy_sync_full_proxy_rules_duration_seconds_count", 0, ip_family="IPv4")
        more("kubeproxy_applier_transactions_total", 1, result="ok")
        more("kubeproxy_endpoints", 1)
        # KUBE-SVC- with two endpoints, one of which is new: KUBE-SEP- has two rules.
        last = page.get("kubeproxy_sync_proxy_rules_iptables_last", ip_family="IPv4", table="nat")
        more("kubeproxy_sync_proxy_rules_iptables_total", 3, ip_family="IPv4", table="nat")
        self.assertIn(last, (4, 5))
        self.assertEqual(page.get("kubeproxy_sync_proxy_rules_iptables_last", ip_family="IPv6",
                                  table="nat"), 0)
        self.assertGreater(page.get("kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                                    ip_family="IPv4"), began)
        self.assertEqual(page.get("kubeproxy_sync_proxy_rules_endpoint_changes_pending"), 0)
        self.check_rules(page)

    def test_b_no_local_endpoints(self):
        self.api.put(service("near", ["10.96.0.20"], [("http", 80, "TCP")],
                             internalTrafficPolicy="Local"))
        self.api.put(slice_of("near", [{"addresses": [self.n.pod_ip(0)], "nodeName": "far",
                                        "conditions": {"ready": True}}],
                              [("http", Node.PORT, "TCP")]))
        name = "kubeproxy_sync_proxy_rules_no_local_endpoints_total"
        page = self.wait_for(name, lambda v: v == 1, ip_family="IPv4", traffic_policy="internal")
        self.assertEqual(page.get(name, ip_family="IPv4", traffic_policy="external"), 0)
        self.assertEqual(page.get(name, ip_family="IPv6"), 0)
        self.check_rules(page)

    def test_c_watch_restarts(self):
        before = self.wait_for("kubeproxy_watcher_watches_total", lambda v: v >= 1,
                               resource="services")
        time.sleep(max(0, 1.1 - self.since_watch()))  # or it did not work (WATCH_WORKED_MS)
        self.api.end_watches()
        page = self.wait_for(
            "kubeproxy_watcher_watches_total",
            lambda v: v == before.get("kubeproxy_watcher_watches_total", resource="services") + 1,
            resource="services")
        self.assertGreater(page.get("rest_client_request_duration_seconds_count"),
                           before.get("rest_client_request_duration_seconds_count"))
        self.assertEqual(page.get("kubeproxy_watcher_lists_total"),
                         before.get("kubeproxy_watcher_lists_total"), "nothing was listed anew")

    def since_watch(self):
        return time.monotonic() - max(r["time"] for r in self.api.requests)

    def test_d_bad_object(self):
        before = self.scrape()
        self.api.put({"apiVersion": "v1", "kind": "Service",
                      "metadata": {"name": "bad", "namespace": "default"},
                      "spec": {"clusterIP": "10.96.0.30", "ports": [{"port": 80,
                                                                     "protocol": "XYZ"}],
                               "type": "ClusterIP", "clusterIPs": "none"}})
        self.wait_for("kubeproxy_watcher_bad_objects_total",
                      lambda v: v > before.get("kubeproxy_watcher_bad_objects_total"))
        self.api.delete("Service", "default", "bad")

    def test_e_stale_udp_flows(self):
        n = self.n
        before = self.scrape()
        self.assertEqual(n.ask(n.client, "10.96.0.53", 53, "udp").split(" ")[0], "pod1")
        self.api.put(slice_of("dns", [n.pod_ip(1)], [("dns", Node.PORT, "UDP")]))
        name = "kubeproxy_conntrack_reconciler_deleted_entries_total"
        page = self.wait_for(name, lambda v: v == before.get(name, ip_family="IPv4") + 1,
                             ip_family="IPv4")
        self.assertGreater(
            page.get("kubeproxy_conntrack_reconciler_sync_duration_seconds_count",
                     ip_family="IPv4"),
            before.get("kubeproxy_conntrack_reconciler_sync_duration_seconds_count",
                       ip_family="IPv4"))

    def test_f_failure_and_lock(self):
        """A chain that is to be jumped to is gone: one failure, then everything is compared."""
        n = self.n
        rules = n.save(4, "nat").splitlines()
        sep = next(l.split()[1] for l in rules if l.startswith("-A KUBE-SEP-") and
                   "--to-destination %s:" % n.pod_ip(0) in l)
        svc = next(l.split()[1] for l in rules if l.endswith("-j " + sep))
        before = self.scrape()
        for command in (["-F", svc], ["-F", sep], ["-X", sep]):
            sh("ip", "netns", "exec", n.node, "iptables-legacy", "-t", "nat", *command)
        with open("/run/xtables.lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.api.put(slice_of("web", [n.pod_ip(0), n.pod_ip(1), "10.244.1.99"],
                                  [("http", Node.PORT, "TCP")]))
            # until it waits for the lock: a pause between two tries
            pid = n.processes()["kube-proxy"]
            n.wait("the applier's pause", lambda: system_call(pid) in PAUSES)
        stale = before.get("kubeproxy_applier_transactions_total", result="stale")
        page = self.wait_for("kubeproxy_applier_transactions_total", lambda v: v == stale + 1,
                             result="stale")
        page = self.wait_for(
            "kubeproxy_sync_full_proxy_rules_duration_seconds_count",
            lambda v: v > before.get("kubeproxy_sync_full_proxy_rules_duration_seconds_count",
                                     ip_family="IPv4"), ip_family="IPv4")
        for name in ("restore", "partial_restore"):
            name = "kubeproxy_sync_proxy_rules_iptables_%s_failures_total" % name
            self.assertEqual(page.get(name, ip_family="IPv4"),
                             before.get(name, ip_family="IPv4") + 1)
            self.assertEqual(page.get(name, ip_family="IPv6"), before.get(name, ip_family="IPv6"))
        self.assertEqual(page.get("kubeproxy_snapshots_total"),
                         before.get("kubeproxy_snapshots_total") + 1)
        waited = (page.get("kubeproxy_applier_lock_wait_seconds_total") -
                  before.get("kubeproxy_applier_lock_wait_seconds_total"))
        self.assertGreater(waited, 0)
        self.check_rules(page)

    def test_g_prometheus(self):
        """A real one scrapes it, and answers from what it got."""
        n = self.n
        with open(os.path.join(n.dir, "prometheus.yml"), "w", encoding="ascii") as f:
            f.write("scrape_configs:\n- job_name: kube-proxy\n  scrape_interval: 2s\n"
                    "  scrape_timeout: 2s\n  static_configs: [{targets: ['127.0.0.1:%d']}]\n"
                    % METRICS)
        with open(os.path.join(n.dir, "prometheus.log"), "w", encoding="ascii") as log:
            p = subprocess.Popen(
                ["ip", "netns", "exec", n.node, "prometheus", "--config.file=" + f.name,
                 "--storage.tsdb.path=" + os.path.join(n.dir, "tsdb"), "--log.level=warn",
                 "--web.listen-address=127.0.0.1:9090"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)

        def query(text):
            def ask():
                url = "http://127.0.0.1:9090/api/v1/query?query=" + urllib.parse.quote(text)
                with urllib.request.urlopen(url, timeout=patient(5)) as r:
                    return json.load(r)["data"]["result"]
            try:
                return inside(n.node, ask)
            except OSError:
                return []

        n.wait("two scrapes", lambda: query("sum_over_time(up[1m]) >= 2") or p.poll(), 20)
        self.assertEqual(int(query("kubeproxy_services")[0]["value"][1]),
                         self.scrape().get("kubeproxy_services"))
        quantile = query("histogram_quantile(0.99, sum by (le) "
                         "(kubeproxy_sync_proxy_rules_duration_seconds_bucket))")
        self.assertLess(0, float(quantile[0]["value"][1]))
        with open(log.name, encoding="utf-8") as f:
            self.assertNotIn("level=error", f.read())


class NftablesMode(Base):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=2).__enter__()
        cls.addClassCleanup(n.__exit__)
        n.start("--manifest-path", cls.objects(n, 1), "--proxy-mode=nftables",
                "--iptables-sync-period=200ms", "--iptables-min-sync-period=0s")

    @staticmethod
    def objects(n, pods):
        return n.write("objects.json", [
            service("web", ["10.96.0.10"], [("http", 80, "TCP")]),
            slice_of("web", [n.pod_ip(i) for i in range(pods)], [("http", Node.PORT, "TCP")])])

    def test_a_names(self):
        page = self.wait_for("kubeproxy_watcher_manifest_reads_total", lambda v: v == 1)
        self.n.health("/livez")
        page = self.scrape()
        self.check_names(page, lambda name: "_iptables_" in name or "full_proxy" in name or
                         "partial_proxy" in name)
        self.check_promtool(page)
        self.check_processes(page)
        self.assertNotIn("rest_client_requests_total", page.labels)

    def test_b_change_and_drift(self):
        n = self.n
        before = self.scrape()
        self.objects(n, 2)
        page = self.wait_for("kubeproxy_endpoints", lambda v: v == 2)
        put = {"operation": "put"}
        self.assertGreater(page.get("kubeproxy_applier_operations_total", **put),
                           before.get("kubeproxy_applier_operations_total", **put))
        before = page
        sh("ip", "netns", "exec", n.node, "nft", "delete", "table", "ip", "kube-proxy")
        found = before.get("kubeproxy_drift_found_total")
        page = self.wait_for("kubeproxy_drift_repaired_total",
                             lambda v: v == before.get("kubeproxy_drift_repaired_total") + 1)
        self.assertGreater(page.get("kubeproxy_drift_found_total"), found)
        self.assertTrue(n.ask(n.client, "10.96.0.10", 80).startswith("pod"))


class Pages(unittest.TestCase):
    """What else the metrics server says, and that a scrape works as often as one likes."""

    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=1).__enter__()
        cls.addClassCleanup(n.__exit__)
        n.start("--manifest-path", n.write("objects.json", []), "--iptables-sync-period=100ms",
                "--iptables-min-sync-period=50ms", "--feature-gates=A=true,B=false", "--vmodule=x=3")

    def ask(self, path, port=METRICS):
        status, body = self.n.health(path, port)
        self.assertEqual(status, 200, path)
        return body

    def test_mode(self):
        self.assertEqual(self.ask("/proxyMode"), "iptables")
        self.assertEqual(self.n.health("/metrics", 10256)[0], 404)
        self.assertEqual(self.n.health("/configz", 10256)[0], 404)

    def test_configuration(self):
        """What it shows is a configuration that says the same."""
        shown = json.loads(self.ask("/configz"))
        self.assertEqual(list(shown), ["kubeproxy.config.k8s.io"])
        config = shown["kubeproxy.config.k8s.io"]
        self.assertEqual(config["kind"], "KubeProxyConfiguration")
        self.assertEqual(config["mode"], "iptables")
        self.assertEqual(config["iptables"]["syncPeriod"], "100ms")
        self.assertEqual(config["featureGates"], {"A": True, "B": False})
        self.assertEqual(config["logging"]["vmodule"], [{"filePattern": "x", "verbosity": 3}])
        path = os.path.join(self.n.dir, "shown.json")
        with open(path, "w", encoding="ascii") as f:
            json.dump(config, f)
        os.chmod(path, 0o644)
        program = os.path.join(os.environ.get("KP_BUILD", "build"), "kube-proxy")
        written = sh(os.path.abspath(program), "--config", path, "--hostname-override=node-a",
                     "--write-config-to=-")
        self.assertIn('syncPeriod: "100ms"', written)
        self.assertIn('verbosity: 2', written)

    def test_flags_and_status(self):
        flags = self.ask("/flagz")
        self.assertTrue(flags.startswith("\nkube-proxy flags\nWarning: "))
        lines = flags.splitlines()
        for line in ("iptables-sync-period=100ms", "proxy-mode=iptables", "v=2", "vmodule=x=3"):
            self.assertIn(line, lines)
        status = self.ask("/statusz")
        self.assertRegex(status, r"^\nkube-proxy statusz\nWarning: ")
        self.assertRegex(status, r"\nUp: 0 hr 0\d min \d\d sec\n")
        self.assertRegex(status, r"\nBinary version: \d+\.\d+\.\d+\n"
                         r"Emulation version: 1\.\d+\.\d+\n")

    def test_drift(self):
        """Somebody flushes a chain: found, repaired, and counted."""
        n = self.n
        before = Page(self.ask("/metrics"))
        sh("ip", "netns", "exec", n.node, "iptables-legacy", "-t", "nat", "-F", "KUBE-MARK-MASQ")
        name = "kubeproxy_drift_repaired_total"
        n.wait("repair", lambda: Page(self.ask("/metrics")).get(name) == before.get(name) + 1)
        page = Page(self.ask("/metrics"))
        self.assertEqual(page.get("kubeproxy_drift_found_total"),
                         before.get("kubeproxy_drift_found_total") + 1)
        self.assertGreater(page.get("kubeproxy_drift_checks_total"),
                           before.get("kubeproxy_drift_checks_total"))

    def test_many_at_once(self):
        """More scrapers than the planner is asked for: each gets a whole page."""
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            pages = list(pool.map(lambda _: self.ask("/metrics"), range(200)))
        for text in pages:
            self.assertTrue(text.endswith("} 1\n"))
            self.assertIn("kubeproxy_services 0\n", text)


class OfTheRelay(unittest.TestCase):
    """The listener tells of the relay what the planner has of it."""

    def test_use_and_profiles(self):
        n = Node(pods=1).__enter__()
        self.addCleanup(n.__exit__)
        n.start("--manifest-path", n.write("objects.json", []), "--profiling",
                "--proxy-mode=userspace")
        page = n.health("/metrics", METRICS)[1]
        for name in ("relay", "broker"):
            told = re.search(r'process_resident_memory_bytes{process="%s"} (\d+)' % name, page)
            with open("/proc/%d/statm" % n.processes()["kube-proxy-" + name], encoding="ascii") as f:
                resident = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
            self.assertLess(abs(int(told.group(1)) - resident), 2 << 20, name)
        self.assertIn('kubeproxy_channel_waiting_bytes{channel="planner-relay"} ', page)
        self.assertEqual(n.health("/debug/pprof/heap?process=relay", METRICS)[0],
                         503 if "asan" in BUILD else 200)

    def test_none(self):
        n = Node(pods=1).__enter__()
        self.addCleanup(n.__exit__)
        n.start("--manifest-path", n.write("objects.json", []), "--profiling")
        self.assertNotIn('process="relay"', n.health("/metrics", METRICS)[1])
        self.assertEqual(n.health("/debug/pprof/heap?process=relay", METRICS)[0], 503)


class Profiling(unittest.TestCase):
    PROFILE = "/debug/pprof/profile?seconds=1&process="

    def test_off(self):
        """By default there is none, and nobody is asked for one."""
        with Node(pods=1) as n:
            n.start("--manifest-path", n.write("objects.json", []))
            self.assertEqual(n.health(self.PROFILE + "planner", METRICS)[0], 404)

    def test_profiles(self):
        """What pprof makes of each process's, while it has something to do."""
        n = Node(pods=1).__enter__()
        self.addCleanup(n.__exit__)
        services = [service("s%d" % i, ["10.96.%d.%d" % (i // 250, i % 250 + 1)],
                            [("http", 80, "TCP")]) for i in range(400)]
        n.start("--manifest-path", n.write("objects.json", services), "--profiling",
                "--iptables-min-sync-period=0s")
        for query in ("process=applier", "process=", "seconds=0", "seconds=26", "seconds=1x",
                      "seconds=99999999999"):
            self.assertEqual(n.health("/debug/pprof/profile?" + query, METRICS)[0], 400, query)
        whole = os.path.join(n.dir, "objects.json")
        others = itertools.cycle([n.write("other-%d" % i, services[i:]) for i in range(2)])
        busy = {"listener": lambda i: n.health("/metrics", METRICS),
                "planner": lambda i: n.health("/services", METRICS),
                # in turn, over all profiles: a name is not renamed to another of the same file
                "watcher": lambda _: (os.link(next(others), whole + ".new"),
                                      os.rename(whole + ".new", whole), time.sleep(0.01))}
        names = {"listener": "print_|evbuffer", "planner": "report_|services_|inspect|explain",
                 "watcher": "manifest_|decode_|field_|yaml"}
        for process, work in busy.items():
            with self.subTest(process):
                # On a machine that has other things to do a second may be too short.
                end = time.monotonic() + patient(15)
                while not re.search(names[process], said := self.profile(n, process, work)):
                    self.assertLess(time.monotonic(), end, said)
        self.assertTrue(n.processes().get("kube-proxy"), "all are alive")

    def test_heap(self):
        """What pprof makes of who holds how much."""
        n = Node(pods=1).__enter__()
        self.addCleanup(n.__exit__)
        services = [service("s%d" % i, ["10.96.%d.%d" % (i // 250, i % 250 + 1)],
                            [("http", 80, "TCP")]) for i in range(3000)]
        n.start("--manifest-path", n.write("objects.json", services), "--profiling")
        self.assertEqual(n.health("/debug/pprof/heap?process=applier", METRICS)[0], 400)
        if "asan" in BUILD:  # a sanitizer's malloc is in the place of ours
            self.assertEqual(n.health("/debug/pprof/heap", METRICS)[0], 503)
            return
        for process, name in (("planner", "store_"), ("watcher", "manifest_"), ("listener", "")):
            with self.subTest(process):
                profile = self.fetch(n, process, "/debug/pprof/heap?process=")
                self.assertRegex(profile[:80], rb"^heap profile: \d+: \d+ \[\d+: \d+\] @ heap_v2/16384\n")
                said = self.pprof(n, process, profile, "--inuse_space", "--cum")
                self.assertRegex(said, r"(?m)^Total: \d+\.\d MB\n(.*\n)*.* %s" % name)
                if process == "planner":  # 3,000 services: some megabytes, by the kernel's count
                    total = float(re.search(r"Total: (\d+\.\d) MB", said).group(1))
                    with open("/proc/%d/status" % n.processes()["kube-proxy-planner"]) as f:
                        anon = int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1)) / 1024
                    self.assertTrue(anon * 0.4 < total < anon * 1.3, (total, anon))

    def fetch(self, n, process, path=PROFILE):
        def ask():
            url = "http://127.0.0.1:%d%s%s" % (METRICS, path, process)
            with urllib.request.urlopen(url, timeout=patient(20)) as r:
                return r.read()
        return inside(n.node, ask)

    def profile(self, n, process, work):
        """What pprof says of a second of WORK for PROCESS."""
        i, profile = 0, []
        t = threading.Thread(target=lambda: profile.append(self.fetch(n, process)))
        t.start()
        while t.is_alive():
            work(i)
            i += 1
        t.join()
        self.assertEqual(len(profile), 1)
        return self.pprof(n, process, profile[0])

    def test_one_at_a_time(self):
        with Node(pods=1) as n:
            n.start("--manifest-path", n.write("objects.json", []), "--profiling")
            path = "/debug/pprof/profile?seconds=2&process=planner"
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                got = [0, 0]

                def asked():  # on a busy machine the second may come when the first is over
                    got[:] = pool.map(lambda _: n.health(path, METRICS)[0], range(2))
                    return sorted(got) != [200, 200]
                n.wait("two at once", asked)
            self.assertEqual(sorted(got), [200, 503])

    def pprof(self, n, process, profile, *flags):
        path = os.path.join(n.dir, process + ".prof")
        with open(path, "wb") as f:
            f.write(profile)
        program = os.path.join(os.environ.get("KP_BUILD", "build"), "kube-proxy-" + process)
        r = subprocess.run(["google-pprof", "--text", *flags, os.path.abspath(program), path],
                           text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patient(60))
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout + r.stderr


if __name__ == "__main__":
    unittest.main()
