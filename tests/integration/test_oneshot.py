#!/usr/bin/python3
"""
The one-shot that reads flags and files: a user of its own, with the watcher's group. What files it may read,
what it leaves to the watcher, and what it must not be able to do.
"""
import contextlib
import fcntl
import grp
import os
import pwd
import shutil
import subprocess
import sys
import unittest

from harness import BUILD, TOP, Node, inside, service, slice_of

sys.path.insert(0, os.path.join(TOP, "tests", "stub"))
from apiserver import Stub  # noqa: E402
from limits import patient

PROGRAM = os.path.join(BUILD, "kube-proxy")
ONESHOT, WATCHER = pwd.getpwnam("_kproxy-c"), pwd.getpwnam("_kproxy-w")
CONFIG = ("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
          "iptables: {masqueradeBit: 7}\n")


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


class OneShot(unittest.TestCase):
    def setUp(self):
        self.n = self.enterContext(Node(pods=1))

    @contextlib.contextmanager
    def stopped_in_a_write(self):
        """Its pid, while it waits for room in a pipe, where --help goes."""
        ours, theirs = os.pipe()
        try:
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
            os.write(theirs, b"x" * 4096)
            with open(self.n.log, "w") as log:
                self.n.proc = subprocess.Popen([PROGRAM, "--help"], stdout=theirs, stderr=log)
            self.n.wait("the one-shot", lambda: "kube-proxy-watcher" in self.n.processes())
            pid = self.n.processes()["kube-proxy-watcher"]
            self.n.wait("its filter", lambda: status(pid)["Seccomp"] == "2")
            yield pid
        finally:
            os.close(ours)
            os.close(theirs)
            self.n.proc.wait(patient(20))
            self.n.proc = None

    def test_user(self):
        with self.stopped_in_a_write() as pid:
            seen = status(pid)
        self.assertEqual(set(seen["Uid"].split()), {str(ONESHOT.pw_uid)})
        self.assertEqual(set(seen["Gid"].split()), {str(ONESHOT.pw_gid)})
        self.assertEqual(seen["Groups"].split(), [str(grp.getgrnam("_kproxy-w").gr_gid)])
        self.assertEqual((int(seen["CapPrm"], 16), int(seen["CapBnd"], 16), seen["NoNewPrivs"]), (0, 0, "1"))

    def test_no_signal_to_the_watcher(self):
        """With the watcher's uid it could end a running proxy, or read its memory."""
        self.n.start("--manifest-path=" + self.n.write("objects.json", []))
        pid = self.n.processes()["kube-proxy-watcher"]
        as_user = lambda user, *command: subprocess.run(
            ["setpriv", "--reuid=" + user, "--regid=" + user, "--groups=_kproxy-w",
             "--inh-caps=-all", "--bounding-set=-all", *command], stderr=subprocess.PIPE, text=True)
        self.assertEqual(as_user("_kproxy-w", "kill", "-0", str(pid)).returncode, 0)
        r = as_user("_kproxy-c", "kill", "-0", str(pid))
        self.assertIn("not permitted", r.stderr)
        r = as_user("_kproxy-c", "cat", "/proc/%d/environ" % pid)
        self.assertIn("denied", r.stderr)

    # --- files ---

    def file(self, path, text, mode, owner=0, group=0):
        with open(path, "w") as f:
            f.write(text)
        os.chown(path, owner, group)
        os.chmod(path, mode)
        return path

    def directory(self):
        """As /var/lib/kube-proxy is."""
        path = os.path.join(self.n.dir, "closed")
        os.mkdir(path)
        os.chown(path, 0, WATCHER.pw_gid)
        os.chmod(path, 0o750)
        return path

    def test_files_of_the_group(self):
        """What a kubeadm node has: root:_kproxy-w 0640 in a directory of root:_kproxy-w 0750."""
        d = self.directory()
        config = self.file(d + "/config.conf", CONFIG, 0o640, group=WATCHER.pw_gid)
        objects = self.n.write("objects.json", [
            service("web", ["10.96.0.10"], [("http", 80, "TCP")]),
            slice_of("web", [self.n.pod_ip(0)], [("http", Node.PORT, "TCP")])])
        os.rename(objects, d + "/objects.json")
        os.chown(d + "/objects.json", 0, WATCHER.pw_gid)
        os.chmod(d + "/objects.json", 0o640)
        self.n.start("--config=" + config, "--manifest-path=" + d + "/objects.json")
        self.assertIn("pod1", self.n.ask(self.n.client, "10.96.0.10", 80))
        self.assertIn("0x80/0x80", self.n.save())

    def test_credentials_of_the_watcher_alone(self):
        """Kubeconfig and token of _kproxy-w, 0600: the one-shot leaves them to the watcher."""
        api = inside(self.n.node, lambda: Stub().__enter__())
        self.addCleanup(api.close)
        d = self.directory()
        kubeconfig = os.path.join(d, "kubeconfig")
        api.kubeconfig(kubeconfig, token_file=d + "/token")
        for path in (api.directory, api.ca_file):
            os.chmod(path, 0o755)
        token = self.file(d + "/token", "secret", 0o600, WATCHER.pw_uid, WATCHER.pw_gid)
        with open(kubeconfig) as f:
            text = f.read()
        for mode in (0o640, 0o600):
            with self.subTest("kubeconfig %o" % mode):
                self.file(kubeconfig, text, mode, WATCHER.pw_uid, WATCHER.pw_gid)
                self.n.start("--kubeconfig=" + kubeconfig)
                self.n.stop()
        self.assertIn("tokenFile", text)
        os.chown(token, 0, 0)
        self.n.start("--kubeconfig=" + kubeconfig, wait=False)
        self.assertEqual(self.n.proc.wait(patient(20)), 78)
        self.assertRegex(self.n.logged(), r"watcher\] kubeconfig .*tokenFile: .*readable by the group _kproxy-w")

    def test_configuration_of_another(self):
        """The configuration itself must be open to the group: said, with what to do."""
        config = self.file(self.n.dir + "/config", CONFIG, 0o600, WATCHER.pw_uid, WATCHER.pw_gid)
        self.n.start("--config=" + config, "--manifest-path=/usr", wait=False)
        self.assertEqual(self.n.proc.wait(patient(20)), 78)
        self.assertIn("it must be readable by the group _kproxy-w", self.n.logged())


# scenario of tests/tools/hostile_oneshot.c -> what the parent says of the CONFIG
BROKEN = {
    "announced-count": "a count beyond the end of the frame",
    "announced-length": "a length beyond the end of the frame",
    "nested": "nested too deeply",
    "a-map": "a type the protocol does not use",
    "not-an-array": "not an array",
    "no-type": "no message type",
    "another-message": "not a CONFIG message",
    "cut-short": "a length beyond the end of the frame",
    "trailing": "trailing bytes",
    "field-missing": "too few fields",
    "field-more": "too many fields",
    "mode-unknown": "a number out of range",
    "mode-blank": "an unknown mode",
    "version": "from a program of another version",
    "text-with-nul": "a string with a NUL byte",
    "text-too-long": "a string too long",
    "prefixes-too-many": "too many elements",
    "prefix-host-bits": "a prefix with host bits set",
    "long": "longer than a frame may be",
}


class TakenOver(unittest.TestCase):
    """What it sends to the parent, which still has all its privileges."""

    def setUp(self):
        self.n = self.enterContext(Node(pods=0))
        self.bin = os.path.join(self.n.dir, "bin")
        os.mkdir(self.bin, 0o755)
        for program, source in (("kube-proxy", "kube-proxy"),
                                ("kube-proxy-planner", "kube-proxy-planner"),
                                ("kube-proxy-listener", "kube-proxy-listener"),
                                ("kube-proxy-cleaner", "kube-proxy-cleaner"),
                                ("kube-proxy-watcher", "tests/tools/hostile_oneshot")):
            shutil.copy(os.path.join(BUILD, source), os.path.join(self.bin, program))

    def send(self, scenario):
        """The parent's exit status and what it said; the kernel is as before."""
        rules = lambda: subprocess.run(["ip", "netns", "exec", self.n.node, "nft", "list", "ruleset"],
                                       stdout=subprocess.PIPE, check=True).stdout
        before = rules()
        r = subprocess.run(["ip", "netns", "exec", self.n.node, self.bin + "/kube-proxy", scenario],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=patient(60))
        self.assertEqual(rules(), before)
        return r.returncode, r.stdout

    def test_broken(self):
        for scenario, words in BROKEN.items():
            with self.subTest(scenario):
                code, said = self.send(scenario)
                self.assertEqual(code, 1, said)
                self.assertIn("the configuration is broken: %s\n" % words, said)

    def test_silent(self):
        self.assertEqual(self.send("silent"), (0, ""))

    def test_log_file(self):
        """A path of its choice is opened with the parent's rights, and refused."""
        code, said = self.send("path-of-a-directory")
        self.assertEqual(code, 78, said)
        self.assertIn("--audit-log=/etc: ", said)

    def test_nothing_is_allocated(self):
        """The code that the parent reads the message with does not even link an allocator."""
        for name in ("frame", "config"):
            r = subprocess.run(["nm", "-u", os.path.join(BUILD, "ipc", name + ".o")],
                               stdout=subprocess.PIPE, text=True, check=True)
            self.assertIn("memset", r.stdout)
            self.assertNotRegex(r.stdout, r"\b(m|c|re)alloc|\bstrn?dup|\bmmap")


if __name__ == "__main__":
    unittest.main()
