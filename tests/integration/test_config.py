#!/usr/bin/python3
"""A KubeProxyConfiguration file and the running proxy: what counts, what a change of it does."""
import json
import os
import socket
import subprocess
import tempfile
import time
import unittest

from apiserver import Stub
from harness import BUILD, Node, inside, ns_socket, service, sh, slice_of
from limits import patient
from test_api import WATCHER, config_of, start_process

VIP = "10.96.0.10"
PROGRAM = os.path.join(BUILD, "kube-proxy")
HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


def run(*flags):
    return subprocess.run([PROGRAM, *flags], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=patient(30))


class OneShot(unittest.TestCase):
    def setUp(self):
        d = tempfile.TemporaryDirectory(prefix="kp-config-")
        self.addCleanup(d.cleanup)
        self.dir = d.name
        os.chmod(self.dir, 0o777)  # the one-shot's own user writes there

    def file(self, text, name="f.yaml"):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    def test_written_file_reads_back_to_the_same(self):
        flags = ["--cluster-cidr=10.0.0.0/8,fd00::/8", "--feature-gates=SCTPSupport=true", "-v=3",
                 "--iptables-min-sync-period=250ms", "--masquerade-all", "--oom-score-adj=5",
                 "--healthz-port=99", "--kube-api-qps=0.5", "--hostname-override=Node-A"]
        path = os.path.join(self.dir, "written")
        r = run("--write-config-to=" + path, *flags)
        self.assertEqual((r.returncode, r.stdout, r.stderr), (0, "", ""))
        with open(path) as f:
            text = f.read()
        for line in ('clusterCIDR: "10.0.0.0/8,fd00::/8"', '  masqueradeAll: true', "  qps: 0.500",
                     '  minSyncPeriod: "250ms"', 'healthzBindAddress: "0.0.0.0:99"'):
            self.assertIn(line + "\n", text)
        os.chmod(path, 0o644)
        for source in (["--config=" + path], flags):
            r = run("--write-config-to=-", *source)
            self.assertEqual((r.returncode, r.stdout, r.stderr), (0, text, ""))

    def test_a_file_that_cannot_be_written(self):
        os.chmod(self.dir, 0o755)
        r = run("--write-config-to=%s/x" % self.dir)
        self.assertEqual(r.returncode, 78)
        self.assertIn("Permission denied: the user _kproxy-c may not create it", r.stderr)

    def test_what_a_file_cannot_say_is_said(self):
        r = run("--write-config-to=-", "--iptables-min-sync-period=0", "--healthz-bind-address=")
        self.assertEqual(r.returncode, 0)
        self.assertIn("--iptables-min-sync-period=0s cannot be said in a file", r.stderr)
        self.assertIn("--healthz-bind-address= cannot be said in a file", r.stderr)

    def test_flags_beside_the_file(self):
        path = self.file(HEAD + "clusterCIDR: 10.1.0.0/16\nhostnameOverride: other\n"
                         "logging: {verbosity: 1, vmodule: [{filePattern: a, verbosity: 1}]}\n")
        r = run("--config", path, "--hostname-override=mine", "-v=7", "--vmodule=b=2",
                "--cluster-cidr=10.2.0.0/16", "--metrics-port=0", "--write-config-to=-")
        self.assertEqual(r.returncode, 0, r.stderr)
        for line in ('clusterCIDR: "10.1.0.0/16"', 'hostnameOverride: "mine"', "  verbosity: 7"):
            self.assertIn(line + "\n", r.stdout)
        self.assertRegex(r.stdout, 'filePattern: "b"\n *verbosity: 2\n *- filePattern: "a"\n')
        self.assertRegex(r.stderr, "--cluster-cidr does not count beside --config; "
                         "the file has a field for it: clusterCIDR")
        self.assertRegex(r.stderr, "--metrics-port does not count beside --config")
        self.assertEqual(r.stderr.count("\n"), 2, r.stderr)

    def test_wrong_files(self):
        for text, said in (
                ("iptables: {syncPeriod: 1s, minSyncPeriod: 2s}\n",
                 "f.yaml: iptables.minSyncPeriod (2s) must not be longer than"),
                ("detectLocalMode: BridgeInterface\n",
                 'f.yaml: detectLocal.bridgeInterface "": expected an interface\'s name'),
                ("mode: kernelspace\n",
                 'f.yaml:3: mode "kernelspace": expected iptables, nftables, ipvs or userspace'),
                ("conntrack: {min: many}\n", 'f.yaml:3: conntrack.min "many": expected a whole')):
            with self.subTest(text):
                r = run("--config=" + self.file(HEAD + text), "--master=http://127.0.0.1:1")
                self.assertEqual(r.returncode, 78, r.stderr)
                self.assertIn(said, r.stderr)
        r = run("--config=%s/none" % self.dir, "--master=http://127.0.0.1:1")
        self.assertEqual(r.returncode, 78)
        self.assertIn("No such file", r.stderr)

    def test_thousands_of_lines(self):
        """Values' lines are sorted then, for which libc asks for the size of the memory."""
        path = self.file(HEAD + "featureGates:\n" + "".join(
            "  G%d: %s\n" % (i, "yes" if i < 10 else "7") for i in range(3000)))
        r = run("--config=" + path, "--write-config-to=-")
        self.assertEqual(r.returncode, 78, r.stderr[-500:])
        self.assertIn("f.yaml:14: featureGates.G10: expected true or false", r.stderr)

    def test_feature_gates(self):
        r = run("--dry-run", "--manifest-path=/dev/null", "--hostname-override=a",
                "--feature-gates=EndpointSlice=false,EndpointSliceProxying=true,NoSuchGate=true")
        self.assertIn("--feature-gates: EndpointSlice=false has no effect: this program always",
                      r.stderr)
        self.assertIn("no feature gate NoSuchGate is known here", r.stderr)
        self.assertNotIn("EndpointSliceProxying", r.stderr)


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=1).__enter__()
        cls.addClassCleanup(cls.n.__exit__)
        cls.n.write("objects.json", [
            service("web", [VIP], [("http", 80, "TCP")]),
            slice_of("web", [cls.n.pod_ip(0)], [("http", Node.PORT, "TCP")])])

    def setUp(self):
        self.path = os.path.join(self.n.dir, "config.yaml")
        open(self.n.log, "w").close()

    def tearDown(self):
        self.n.stop()
        sh("rm", "-rf", self.path, self.n.dir + "/mount")

    def put(self, text, path=None):
        path = path or self.path
        with open(path + ".new", "w") as f:
            f.write(HEAD + text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def start(self):
        return self.n.start("--config=" + self.path,
                            "--manifest-path=" + os.path.join(self.n.dir, "objects.json"))

    def said(self, text):
        self.n.wait(text, lambda: text in self.n.logged())

    def test_the_file_counts(self):
        self.put("iptables: {masqueradeBit: 7}\nhealthzBindAddress: 127.0.0.1\n")
        self.start()
        self.assertIn("0x80/0x80", self.n.save(table="nat"))

    def test_a_wrong_change_is_refused_and_a_good_one_taken(self):
        self.put("iptables: {masqueradeBit: 7}\n")
        proc = self.start()
        rules = self.n.save()
        self.put("# the same\niptables: {masqueradeBit: 7}\n")
        self.said("config.yaml has changed, but says what it said before")
        open(self.n.dir + "/another-file", "w").close()
        self.put("iptables: {masqueradeBit: 32}\n")
        self.said('config.yaml:3: iptables.masqueradeBit "32": expected a whole number from 0')
        self.said("what it said before stays in force")
        self.put("iptables: {masqueradeBit: 7, minSyncPeriod: 60s}\n")
        self.said("iptables.minSyncPeriod (60s) must not be longer")
        self.put("clientConnection: {kubeconfig: /nonexistent/k}\n")
        self.said('kubeconfig "/nonexistent/k": expected a file that can be read')
        os.unlink(self.path)
        self.said("what it said stays in force")
        self.assertIsNone(proc.poll())
        self.put("iptables: {masqueradeBit: 8}\n")
        self.assertEqual(proc.wait(patient(10)), 75)
        self.n.proc = None
        self.assertIn('iptables.masqueradeBit is now "8", not "7"', self.n.logged())
        self.assertIn("is valid; exiting for a planned restart", self.n.logged())
        self.assertEqual(self.n.save(), rules)
        self.start()
        self.assertIn("0x100/0x100", self.n.save(table="nat"))

    def test_a_port_that_is_taken(self):
        other = ns_socket(self.n.node, socket.AF_INET6, socket.SOCK_STREAM)
        with other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("::", 10256))
            other.listen()
            self.put("bindAddressHardFail: true\n")
            proc = self.n.start("--config=" + self.path, "--manifest-path=%s/objects.json" %
                                self.n.dir, wait=False)
            self.assertEqual(proc.wait(patient(10)), 1)
            self.n.proc = None
            self.assertIn("ends the proxy because of --bind-address-hard-fail", self.n.logged())
            self.put("bindAddressHardFail: false\n")
            proc = self.n.start("--config=" + self.path, "--manifest-path=%s/objects.json" %
                                self.n.dir, wait=False)
            self.said("services are still proxied; retrying every")
            self.said("synced: generation")
            self.assertIsNone(proc.poll())

    def test_with_an_apiserver(self):
        """The watcher's other sandbox lets it notice and judge a change as well."""
        api = inside(self.n.node, lambda: Stub().__enter__())
        self.addCleanup(api.close)
        kubeconfig = os.path.join(self.n.dir, "kubeconfig")
        api.kubeconfig(kubeconfig)
        for path, mode in ((api.directory, 0o755), (kubeconfig, 0o644), (api.ca_file, 0o644)):
            os.chmod(path, mode)
        self.path = os.path.join(self.n.dir, "etc", "config.yaml")  # not where credentials are
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        connection = "clientConnection: {kubeconfig: %s}\n" % kubeconfig
        self.put(connection)
        proc = self.n.start("--config=" + self.path)
        self.put(connection + "iptables: {masqueradeBit: 99}\n" + "# a line\n" * 2000)
        self.said('config.yaml:4: iptables.masqueradeBit "99": expected')
        self.put("clientConnection: {kubeconfig: /nonexistent/k}\n")
        self.said('kubeconfig "/nonexistent/k": expected a file that can be read')
        self.assertIsNone(proc.poll())
        self.put(connection + "iptables: {masqueradeAll: true}\n")
        self.assertEqual(proc.wait(patient(10)), 75)
        self.n.proc = None
        self.assertIn('iptables.masqueradeAll is now "true", not "false"', self.n.logged())

    def test_a_change_before_the_watcher_looks(self):
        """Between the one-shot's reading and the watcher's the file may change."""
        self.put("oomScoreAdj: 1\n")
        objects = os.path.join(self.n.dir, "objects.json")
        message = config_of(["--config=" + self.path, "--manifest-path=" + objects])
        for text, said in (("oomScoreAdj: 2000\n", "what it said before stays in force"),
                           ("oomScoreAdj: 2\n", "is valid; exiting for a planned restart")):
            self.put(text)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            life, death = os.pipe()
            config = os.memfd_create("config")
            os.write(config, message)
            with open(self.n.log, "w") as log:
                p = start_process([WATCHER], {3: config, 4: life, 5: theirs.fileno()}, stderr=log)
            try:
                self.said(said)
                if "valid" in said:
                    self.assertEqual(p.wait(patient(10)), 75)
                self.assertEqual(p.poll(), 75 if "valid" in said else None)
            finally:
                p.kill()
                p.wait()
                ours.close()
                theirs.close()
                for fd in (life, death, config):
                    os.close(fd)

    def test_a_mounted_config_map(self):
        """Its files are links by way of a directory that is swapped."""
        mount = self.n.dir + "/mount"
        for i, bit in ((1, 3), (2, 4)):
            os.makedirs("%s/..%d" % (mount, i))
            self.put("iptables: {masqueradeBit: %d}\n" % bit, "%s/..%d/config.yaml" % (mount, i))
        os.symlink("..1", mount + "/..data")
        os.symlink("..data/config.yaml", mount + "/config.yaml")
        self.path = mount + "/config.yaml"
        proc = self.start()
        os.symlink("..2", mount + "/..data_tmp")
        os.rename(mount + "/..data_tmp", mount + "/..data")
        self.assertEqual(proc.wait(patient(10)), 75)
        self.n.proc = None
        self.assertIn('iptables.masqueradeBit is now "4", not "3"', self.n.logged())


class Logs(unittest.TestCase):
    def test_every_process_writes_json(self):
        with Node(pods=1) as n:
            n.write("objects.json", [service("web", [VIP], [("http", 80, "TCP")])])
            n.start("--manifest-path=%s/objects.json" % n.dir, "--logging-format=json",
                    "--feature-gates=NoSuch=true", "-v=2")
            n.stop()
            lines = [json.loads(line) for line in n.logged().splitlines()]
        self.assertEqual({line["process"] for line in lines},
                         {"kube-proxy", "watcher", "planner", "listener"})
        for line in lines:
            self.assertEqual(set(line), {"ts", "severity", "process", "pid", "v", "msg"})
            self.assertLess(abs(line["ts"] / 1000 - time.time()), 60)
        self.assertIn(("warning", "--feature-gates: no feature gate NoSuch is known here; it has "
                       "no effect"), {(line["severity"], line["msg"]) for line in lines})
        self.assertIn(2, {line["v"] for line in lines})

    def test_levels_by_file(self):
        """The planner says what it has programmed at level 2, in answers.c."""
        with Node(pods=1) as n:
            n.write("objects.json", [])
            for patterns, appears in (("answ?rs=2", True), ("answ?rs=1,main=2", False)):
                open(n.log, "w").close()
                n.start("--manifest-path=%s/objects.json" % n.dir, "-v=0", "--vmodule=" + patterns)
                n.stop()
                self.assertEqual("planner] synced: generation" in n.logged(), appears, n.logged())


if __name__ == "__main__":
    unittest.main()
