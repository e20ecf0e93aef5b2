#!/usr/bin/python3
"""
A node with a pod, an apiserver and the units as shipped, under a real systemd: PID 1 of namespaces on this
machine's kernel (tests/boot/namespace).
"""
import base64
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from apiserver import Stub
from harness import BUILD, TOP, Node, inside, plain_env, service, slice_of
from limits import patient

NAMESPACE = os.path.join(TOP, "tests", "boot", "namespace")
# What the unit's sandbox is for is not a program with sanitizers, which "make check" builds beside it.
PROGRAMS = BUILD[:-5] if BUILD.endswith("-asan") else BUILD
# The machine's own users and files of a kube-proxy are not the test's.
INSTALL = """
cd $ROOT
sed -i '/^_kproxy-/d' etc/passwd etc/group etc/shadow etc/gshadow
rm -rf etc/default/kube-proxy etc/systemd/system/kube-proxy* var/lib/kube-proxy var/log/kube-proxy
make -s -C %s install BUILD=%s DESTDIR=$ROOT PREFIX=/usr >/dev/null
""" % (TOP, os.path.relpath(PROGRAMS, TOP))
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "%s", certificate-authority-data: %s}}]
users: [{name: u, user: {tokenFile: /var/lib/kube-proxy/token}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
# %d
"""
DIRECTORY = "/var/lib/kube-proxy/"
FILE, TOKEN = DIRECTORY + "kubeconfig", DIRECTORY + "token"
FLAGS = "--kubeconfig=/run/kube-proxy/kubeconfig --hostname-override=node-a "
VIP = "10.96.0.10"


class Systemd(unittest.TestCase):
    number = 0  # of kubeconfigs written; no two are the same

    @classmethod
    def setUpClass(cls):
        cls.n = cls.enterClassContext(Node(pods=1, prefix="kp-s"))
        cls.api = inside(cls.n.node, lambda: Stub().__enter__())
        cls.addClassCleanup(cls.api.close)
        cls.api.put({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-a"},
                     "spec": {"podCIDR": "10.244.1.0/24"}, "status": {"addresses": []}})
        cls.api.put(service("web", [VIP], [("http", 80, "TCP")]))
        cls.api.put(slice_of("web", [cls.n.pod_ip(0)], [("http", Node.PORT, "TCP")]))

        cls.init = None
        cls.dir = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="kp-systemd-"))
        os.chmod(cls.dir, 0o755)
        cls.log = cls.enterClassContext(tempfile.TemporaryFile("w+"))
        cls.proc = subprocess.Popen([NAMESPACE, cls.dir, "sh", "-ec", INSTALL],
                                    env=dict(plain_env(), NETNS="/run/netns/" + cls.n.node),
                                    stdin=subprocess.DEVNULL, stdout=cls.log, stderr=cls.log)
        cls.addClassCleanup(cls.end)
        cls.wait("systemd to be PID 1", cls.find_init, 60)
        cls.wait("the boot", lambda: cls.run_in("systemctl", "is-system-running").strip() in
                 ("running", "degraded"), 60)
        # as README says
        cls.must("systemd-sysusers")
        cls.must("systemd-tmpfiles", "--create", "kube-proxy.conf")

    @classmethod
    def find_init(cls):
        """Finds the PID of the systemd whose cgroup is ours."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cgroup" % pid) as f, open("/proc/%s/comm" % pid) as comm:
                    if os.path.basename(cls.dir) in f.read() and comm.read() == "systemd\n":
                        with open("/proc/%s/status" % pid) as status:
                            if re.search(r"^NSpid:\t.*\t1$", status.read(), re.M):
                                cls.init = pid
            except OSError:
                pass
        return cls.init

    @classmethod
    def end(cls):
        if cls.find_init():
            os.kill(int(cls.init), signal.SIGKILL)  # and with it all of its namespace
        else:
            cls.proc.terminate()
        cls.proc.wait(patient(60))

    @classmethod
    def wait(cls, what, condition, seconds=30):
        end = time.monotonic() + patient(seconds)
        while not condition():
            if cls.proc.poll() is not None or time.monotonic() > end:
                cls.log.seek(0)
                raise AssertionError("waited for %s: %s\n%s" % (
                    what, cls.log.read(), cls.run_in("journalctl", "--no-pager", "-n", "60")
                    if cls.init else ""))
            time.sleep(0.1)

    @classmethod
    def run_in(cls, *cmd, text=None, check=False):
        r = subprocess.run(["nsenter", "-t", cls.init, "-m", "-p", "-n", "-u", "-i", "-C", *cmd],
                           input=text, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=patient(60))
        if check and r.returncode != 0:
            raise AssertionError("%s: status %d: %s" % (" ".join(cmd), r.returncode, r.stdout))
        return r.stdout

    @classmethod
    def must(cls, *cmd, text=None):
        return cls.run_in(*cmd, text=text, check=True)

    def setUp(self):
        self.must("systemctl", "stop", "kube-proxy")
        self.run_in("systemctl", "reset-failed")
        self.run_in("sh", "-c", "rm -f %s* /etc/systemd/system/kube-proxy.service.d/*" % DIRECTORY)
        self.must("systemctl", "daemon-reload")
        self.cursor = self.must("journalctl", "-n", "0", "--show-cursor").split("cursor: ")[1].strip()
        self.api.tokens = {"token-1"}
        self.write(TOKEN, "token-1", "0440")
        self.must("chgrp", "_kproxy-w", TOKEN)

    # --- what an operator does and sees ---

    def write(self, path, text, mode="0600"):
        """As a whole, by rename."""
        self.must("sh", "-c", "umask 077; cat >$0.new && chmod %s $0.new && mv $0.new $0" % mode,
                  path, text=text)

    def kubeconfig(self):
        Systemd.number += 1
        with open(self.api.ca_file, "rb") as f:
            return KUBECONFIG % (self.api.url, base64.b64encode(f.read()).decode(), self.number)

    def write_kubeconfig(self):
        self.write(FILE, self.kubeconfig())  # root:root 0600

    def start(self, flags=FLAGS, dropin=""):
        self.write("/etc/default/kube-proxy", "KUBE_PROXY_ARGS=%s\n" % flags, "0644")
        if dropin:
            self.must("mkdir", "-p", "/etc/systemd/system/kube-proxy.service.d")
            self.write("/etc/systemd/system/kube-proxy.service.d/test.conf", dropin, "0644")
            self.must("systemctl", "daemon-reload")
        self.write_kubeconfig()
        self.must("systemctl", "start", "kube-proxy")
        self.wait_programmed()
        return self.show("MainPID")[0]

    def show(self, *names, unit="kube-proxy"):
        text = self.must("systemctl", "show", unit, "-p", ",".join(names))
        values = dict(line.split("=", 1) for line in text.splitlines())
        return [values[n] for n in names]

    def wait_programmed(self):
        self.wait("the rules", lambda: self.show("StatusText")[0] ==
                  "1 services, 1 endpoints, apiserver ok")

    def wait_anew(self, what, before):
        """The unit is active, with another main process than BEFORE; returns its PID."""
        def anew():
            state, pid = self.show("SubState", "MainPID")
            return state == "running" and pid != before
        self.wait(what, anew)
        return self.show("MainPID")[0]

    def journal(self, *options, unit="kube-proxy"):
        return self.must("journalctl", "--no-pager", "-o", "cat", "-u", unit,
                         "--after-cursor=" + self.cursor, *options)

    def pids(self):
        """{name: PID in the namespace} of the unit's processes."""
        text = self.must("sh", "-c", "for p in $(cat /sys/fs/cgroup/system.slice/kube-proxy.service/"
                         "cgroup.procs); do echo $p $(tr '\\0' ' ' </proc/$p/cmdline); done")
        return {os.path.basename(line.split()[1]): line.split()[0] for line in text.splitlines()}

    def check_answers(self):
        self.assertEqual(self.n.ask(self.n.client, VIP, 80).split(" ")[0], "pod1")

    def check_never_failed(self):
        """systemd's words on the unit; PID 1 has no log here, so by what it counts and keeps."""
        self.assertEqual(self.show("Result", "ActiveState"), ["success", "active"])
        self.assertEqual(self.must("systemctl", "--failed", "--no-legend"), "")

    def answering(self):
        """A context in which the Service is asked again and again; every answer must be right."""
        return Asking(self)


class Asking:
    """Asks the Service until it is left; an answer that is not the pod's fails the test."""

    def __init__(self, test):
        self.test, self.done, self.answers = test, threading.Event(), {}

    def __enter__(self):
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()

    def ask(self):
        n = self.test.n
        while not self.done.wait(0.05):
            who = n.ask(n.client, VIP, 80).split(" ")[0]
            self.answers[who] = self.answers.get(who, 0) + 1

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.test.assertEqual(list(self.answers), ["pod1"], self.answers)
