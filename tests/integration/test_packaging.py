#!/usr/bin/python3
"""What is shipped beside the programs: unit, users, lock file, manual, audit page, demo, README."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import plain_env
from limits import patient

TAKES = 150  # seconds on an idle machine

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("KP_BUILD", os.path.join(TOP, "build"))
# systemd-analyze's measure, 0 (safe) to 10; README says what each remaining point is needed for.
EXPOSURE_MAX = 1.9
USERS = ["_kproxy-a", "_kproxy-p", "_kproxy-w", "_kproxy-l", "_kproxy-c", "_kproxy-r",
         "_kproxy-b"]


KUBERNETES_FLAGS = """
azure-container-registry-config bind-address cleanup cleanup-ipvs cluster-cidr config
config-sync-period conntrack-max-per-core conntrack-min conntrack-tcp-timeout-close-wait
conntrack-tcp-timeout-established feature-gates healthz-bind-address healthz-port help
hostname-override iptables-masquerade-bit iptables-min-sync-period iptables-sync-period
ipvs-exclude-cidrs ipvs-min-sync-period ipvs-scheduler ipvs-strict-arp ipvs-sync-period
kube-api-burst kube-api-content-type kube-api-qps kubeconfig log-flush-frequency masquerade-all
master metrics-bind-address metrics-port nodeport-addresses oom-score-adj profiling proxy-mode
proxy-port-range udp-timeout version write-config-to

bind-address-hard-fail conntrack-tcp-be-liberal conntrack-udp-timeout conntrack-udp-timeout-stream
detect-local-mode init-only iptables-localhost-nodeports ipvs-tcp-timeout ipvs-tcpfin-timeout
ipvs-udp-timeout logging-format pod-bridge-interface pod-interface-name-prefix
show-hidden-metrics-for-version v vmodule
"""


def run(*cmd, **kw):
    return subprocess.run(cmd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=patient(300), **{"cwd": TOP, **kw})


def read(path):
    with open(os.path.join(TOP, path)) as f:
        return f.read()


def flags():
    """{flag: its default or None}, as --help-all has them; -v is known by its letter."""
    text = run(os.path.join(BUILD, "kube-proxy"), "--help-all").stdout
    found = {}
    for entry in re.split(r"\n(?=  (?:-\w,|   ) --)", text):
        name = re.match(r"  (?:-\w,|   ) (--[\w-]+)", entry)
        if name:
            help_text = " ".join(entry.split("\n\n")[0].split())
            default = re.search(r" \(default ([^)]+)\)$", help_text)
            found["-v" if name[1] == "--v" else name[1]] = default and default[1].replace(", ", ",")
    return found


class Help(unittest.TestCase):
    def test_on_a_terminal(self):
        """stdio asks the kernel about a terminal, which the one-shot's filter does not allow."""
        ours, theirs = os.openpty()
        try:
            r = subprocess.run([os.path.join(BUILD, "kube-proxy-watcher"), "-C", "--version"],
                               stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=patient(30))
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            self.assertRegex(os.read(ours, 100).decode(), r"^Kubernetes v1\.\d+\.\d+\r?\n$")
        finally:
            os.close(ours)
            os.close(theirs)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory(prefix="kp-packaging-")
        cls.root = cls.tmp.name
        r = run("make", "install", "BUILD=" + os.path.relpath(BUILD, TOP), "DESTDIR=" + cls.root,
                "PREFIX=/usr")
        if r.returncode != 0:
            raise RuntimeError(r.stdout)
        units = cls.root + "/usr/lib/systemd/system/"
        with open(units + "kube-proxy.service") as f:
            cls.unit = f.read()
        cls.unit_copies = []  # with the programs where they are now
        for name in os.listdir(units):
            with open(units + name) as f, open(cls.root + "/" + name, "w") as copy:
                copy.write(re.sub(r"(?m)^(Exec\w+=[-+]*)/usr/(s?bin/kube|libexec)",
                                  r"\1%s/usr/\2" % cls.root, f.read()))
            cls.unit_copies.append(cls.root + "/" + name)
        cls.unit_copy = cls.root + "/kube-proxy.service"

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    def test_programs_are_where_the_unit_looks(self):
        path = re.search(r"^ExecStart=(\S+)", self.unit, re.M).group(1)
        self.assertTrue(os.access(self.root + path, os.X_OK), path)
        self.assertEqual(sorted(os.listdir(self.root + "/usr/libexec/kube-proxy")),
                         ["kube-proxy-broker", "kube-proxy-cleaner", "kube-proxy-listener", "kube-proxy-planner",
                          "kube-proxy-relay", "kube-proxy-watcher",
                          "kubeconfig-changed", "kubeconfig-ready"])

    def test_units_verify(self):
        self.assertEqual(len(self.unit_copies), 3)
        r = run("systemd-analyze", "verify", "--man=no", *self.unit_copies)
        self.assertEqual((r.returncode, r.stdout), (0, ""))

    def test_unit_exposure(self):
        r = run("systemd-analyze", "security", "--offline=true", "--no-pager", self.unit_copy)
        level = re.search(r"Overall exposure level.*: ([\d.]+)", r.stdout)
        self.assertIsNotNone(level, r.stdout)
        self.assertLessEqual(float(level.group(1)), EXPOSURE_MAX, r.stdout)

    def test_capabilities_are_those_the_parent_needs(self):
        source = re.search(r"needed\[\] = {(.*?)}", read("applier/lockdown.c")).group(1)
        needed = sorted(re.findall(r"CAP_\w+", source))
        self.assertTrue(needed)
        for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
            given = re.search(r"^%s=(.*)$" % key, self.unit, re.M).group(1).split()
            self.assertEqual(sorted(given), needed, key)
        added = re.search(r"add: \[(.*)\]", read("packaging/kubernetes/daemonset.yaml")).group(1)
        self.assertEqual(sorted("CAP_" + c for c in added.split(", ")), needed)

    def test_users_and_lock_file(self):
        root = self.root + "/machine"
        for d in ("etc", "run"):
            os.makedirs(os.path.join(root, d))
        with open(root + "/run/xtables.lock", "w") as f:  # as iptables leaves it
            os.fchmod(f.fileno(), 0o600)
        r = run("systemd-sysusers", "--root=" + root,
                self.root + "/usr/lib/sysusers.d/kube-proxy.conf")
        self.assertEqual(r.returncode, 0, r.stdout)
        with open(root + "/etc/passwd") as f:
            users = {line.split(":")[0]: line.strip().split(":") for line in f}
        self.assertEqual(sorted(users), sorted(USERS))
        self.assertEqual({u[6] for u in users.values()}, {"/usr/sbin/nologin"})
        r = run("systemd-tmpfiles", "--root=" + root, "--create",
                self.root + "/usr/lib/tmpfiles.d/kube-proxy.conf")
        st = os.stat(root + "/run/xtables.lock")
        self.assertEqual((st.st_mode & 0o7777, st.st_uid, st.st_gid),
                         (0o640, 0, int(users["_kproxy-a"][3])), r.stdout)


class Documents(unittest.TestCase):
    def test_manual_pages_are_clean(self):
        for d in ("applier/kube-proxy", "watcher/kube-proxy-watcher", "planner/kube-proxy-planner",
                  "listener/kube-proxy-listener", "relay/kube-proxy-relay", "broker/kube-proxy-broker", "cleaner/kube-proxy-cleaner"):
            r = run("mandoc", "-T", "lint", "-W", "warning", d + ".8")
            self.assertEqual(r.stdout, "")

    def test_flags_of_the_manual_page(self):
        """It has the flags of --help-all and no other, each with the same default."""
        options = read("applier/kube-proxy.8").split(".Sh OPTIONS")[1].split("\n.Sh ")[0]
        found = {}
        for item in re.split(r"^\.It (?=Fl )", options, flags=re.M)[1:]:
            name = re.match(r"Fl (?:\w , )?-?([\w-]+)", item)[1]
            default = re.findall(r"^The default is (\S+)\.$", item.replace("\\-", "-").replace("\\:", ""), re.M)
            self.assertLessEqual(len(default), 1, item)
            flag = "-v" if name == "v" else "--" + name
            self.assertNotIn(flag, found)
            found[flag] = default[0] if default else None
        self.assertGreater(len(found), 70)
        self.assertEqual(found, flags())

    def test_flags_of_the_readme(self):
        """Its table has the flags of --help-all and no other, each with the same default."""
        table = read("README.md").split("## Flags")[1].split("\n\n")[2]
        found = re.findall(r"`(-(?:v|-[\w-]+))(?:=([^`]+))?`", table)
        self.assertEqual(len(found), len(dict(found)), "a flag is there twice")
        self.assertEqual({name: default or None for name, default in found}, flags())

    def test_help_has_what_has_an_effect(self):
        """--help leaves out the flags that --help-all and the manual page call without effect."""
        shown = set(re.findall(r"^  (?:-\w,|   ) --([\w-]+)",
                               run(os.path.join(BUILD, "kube-proxy"), "--help").stdout, re.M))
        ignored = read("applier/kube-proxy.8").split(".Ss Accepted without effect")[1]
        ignored = set(re.findall(r"^\.It Fl -([\w-]+)", ignored.split("\n.Sh ")[0], re.M))
        self.assertGreater(len(ignored), 10)
        self.assertEqual(shown, {f.lstrip("-") for f in flags()} - ignored)
        for name in ignored:  # each of them takes a value, and says that it has no effect
            value = {"show-hidden-metrics-for-version": "1.35", "config-sync-period": "7m",
                     "log-flush-frequency": "7s", "logtostderr": "false"}.get(name, "true")
            r = run(os.path.join(BUILD, "kube-proxy"), "--%s=%s" % (name, value), "--dry-run",
                    "--hostname-override=a", "--manifest-path=packaging/demo")
            self.assertIn("--%s has no effect: " % name, r.stdout)

    def test_no_other_flag_warns(self):
        """A flag that is not among those without effect does not say that it has none."""
        for line in ("--metrics-port=10300", "--metrics-bind-address=127.0.0.1:10300",
                     "--healthz-port=10301", "--profiling", "--cleanup-ipvs=false",
                     "--ipvs-scheduler=wlc", "--proxy-port-range=40000-41000",
                     "--iptables-localhost-nodeports", "--bind-address-hard-fail"):
            r = run(os.path.join(BUILD, "kube-proxy"), line, "--dry-run", "--hostname-override=a",
                    "--manifest-path=packaging/demo")
            self.assertNotIn("no effect", r.stdout)
            self.assertNotIn("unknown", r.stdout)

    def test_exit_statuses(self):
        """README, manual page and --help have the same ones."""
        readme = re.findall(r"^\| (\d+) \|", read("README.md").split("| exit status |")[1], re.M)
        man = read("applier/kube-proxy.8").split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
        text = run(os.path.join(BUILD, "kube-proxy"), "--help").stdout.split("Exit status:")[1]
        self.assertEqual(readme, re.findall(r"^\.It (\d+)$", man, re.M))
        self.assertEqual(readme, re.findall(r"(?:^|;)\s+(\d+) ", text))

    def test_every_flag_of_kubernetes_is_taken(self):
        """The reference of 1.16, and what later releases added to it."""
        for line in KUBERNETES_FLAGS.split():
            self.assertIn("-v" if line == "v" else "--" + line, flags())

    def test_links_of_the_readme(self):
        for path in re.findall(r"\]\(([^)#]+)\)", read("README.md")):
            self.assertTrue(os.path.exists(os.path.join(TOP, path)), path)

    @staticmethod
    def is_made_meanwhile(folder, names):
        """What other tests make in the build directory, or this copy does not need."""
        if folder == TOP:
            return [n for n in names if n == ".git" or n.startswith("build-")]
        return [n for n in names if n in ("deb", "image", "lint", "corpus")] if folder == TOP + "/build" else []

    def test_commands_of_the_readme(self):
        """All but the two that run this test, or its neighbour below. In a copy of the tree, since
        the daemon's users must be able to read the manifests, and need not be for all the rest."""
        with tempfile.TemporaryDirectory(prefix="kp-readme-") as d:
            os.chmod(d, 0o755)
            copy = os.path.join(d, "tree")
            shutil.copytree(TOP, copy, symlinks=True, ignore=self.is_made_meanwhile)
            os.chmod(copy, 0o755)
            for block in re.findall(r"```sh\n(.*?)```", read("README.md"), re.S):
                if block.strip() in ("make demo", "make check"):
                    continue
                r = run("sh", "-euc", block, env=plain_env(), cwd=copy)
                self.assertEqual(r.returncode, 0, block + r.stdout)


class Audit(unittest.TestCase):
    def test_page(self):
        r = run("packaging/audit", BUILD)
        self.assertEqual(r.returncode, 0, r.stdout)
        for title in ("SIZE", "LIBRARIES", "CAPABILITIES", "SYSTEM CALLS", "OPERATIONS", "CHAINS",
                      "HOOKS", "TEMPLATES"):
            section = re.search(r"^%s  .*\n((?:  .*\n)+)" % title, r.stdout, re.M)
            self.assertIsNotNone(section, title + " is empty:\n" + r.stdout)
        libraries = r.stdout.split("LIBRARIES")[1].split("\n\n")[0]
        self.assertIn("libc.so", libraries)
        self.assertNotRegex(libraries, "curl|event|ssl|crypto|jansson|yaml")

    def test_budget_is_held(self):
        script = read("packaging/audit")
        for limit in re.findall(r"^\w+_max=\d+", script, re.M):
            path = os.path.join(TOP, "packaging", ".audit-test-%d" % os.getpid())
            try:
                with open(path, "w") as f:
                    f.write(script.replace(limit, limit.split("=")[0] + "=10"))
                r = run("sh", path, BUILD)
            finally:
                os.unlink(path)
            self.assertNotEqual(r.returncode, 0, limit)
            self.assertIn("budget", r.stdout)


class Demo(unittest.TestCase):
    def leavings(self):
        namespaces = [n for n in run("ip", "netns", "list").stdout.split() if "kp-demo" in n]
        return namespaces + [d for d in os.listdir(tempfile.gettempdir())
                             if d.startswith("kp-demo.")]

    def test_demo(self):
        r = run("packaging/demo/run", env=dict(os.environ, BUILD=BUILD))
        self.assertEqual(r.returncode, 0, r.stdout)
        self.assertNotIn("FAIL", r.stdout)
        self.assertEqual(self.leavings(), [])

    def test_interrupted(self):
        p = subprocess.Popen(["packaging/demo/run"], cwd=TOP, env=dict(os.environ, BUILD=BUILD),
                             start_new_session=True, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + patient(10)
        while len(self.leavings()) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(len(self.leavings()), 5)
        os.killpg(p.pid, signal.SIGINT)
        p.wait(patient(30))
        self.assertEqual(self.leavings(), [])


if __name__ == "__main__":
    unittest.main()
