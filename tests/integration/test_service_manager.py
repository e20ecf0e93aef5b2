#!/usr/bin/python3
"""What the service manager gives the proxy and receives from it, without a service manager: the
environment, the notification socket, the journal's stream, exit statuses. tests/boot has a real one.
"""
import json
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import unittest

from harness import BUILD, TOP, Node, inside, service, slice_of

sys.path.insert(0, os.path.join(TOP, "tests", "stub"))
from apiserver import Stub  # noqa: E402
from limits import patient

PROGRAM = os.path.join(BUILD, "kube-proxy")
# For a shell: what JOURNAL_STREAM says if standard error is the journal.
STDERR = "$(stat -L -c %d:%i /proc/self/fd/2)"
HINT = "its seccomp filter does not allow a system call"


def replace(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


class Notified:
    """A notification socket, and each message that came, in order."""

    def __init__(self, n):
        self.path = os.path.join(n.dir, "notify")
        self.messages = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while True:
            message = self.socket.recv(4096).decode()
            if message == "end of test":
                return
            self.messages.append(message)

    def fields(self, name):
        """Every value that NAME= has had."""
        return [line.partition("=")[2] for m in list(self.messages) for line in m.split("\n")
                if line.startswith(name + "=")]

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end of test", self.path)
        self.thread.join()
        self.socket.close()
        os.unlink(self.path)


class Base(unittest.TestCase):
    def setUp(self):
        self.n = self.enterContext(Node(pods=1))
        self.notified = Notified(self.n)
        self.addCleanup(self.notified.close)

    def start(self, *flags, env=(), shell="", **kw):
        """Starts the daemon with a notification socket; SHELL runs in its process before it."""
        wrapper = os.path.join(self.n.dir, "start")
        with open(wrapper, "w") as f:
            f.write("#!/bin/sh\n%s\nexec %s \"$@\"\n" % (shell, PROGRAM))
        os.chmod(wrapper, 0o755)
        given = dict(env, NOTIFY_SOCKET=self.notified.path)
        os.environ.update(given)
        try:
            return self.n.start(*flags, program=wrapper, **kw)
        finally:
            for name in given:
                del os.environ[name]

    def manifest(self, objects=()):
        return "--manifest-path=" + self.n.write("objects.json", list(objects))


class Watchdog(Base):
    FAST = ("--iptables-sync-period=500ms", "--iptables-min-sync-period=0s")

    def test_meant_for_the_proxy(self):
        self.start(self.manifest(), *self.FAST, env={"WATCHDOG_USEC": "200000"},
                   shell="export WATCHDOG_PID=$$")
        self.n.wait("WATCHDOG=1", lambda: len(self.notified.fields("WATCHDOG")) > 3)

    def test_meant_for_another_process(self):
        self.start(self.manifest(), *self.FAST,
                   env={"WATCHDOG_USEC": "200000", "WATCHDOG_PID": str(os.getpid())})
        time.sleep(1)  # ten times as long as it takes otherwise
        self.assertEqual(self.notified.fields("WATCHDOG"), [])


class Status(Base):
    """STATUS= has what counts, changes by events, and is quiet otherwise."""

    def reaches(self, text):
        self.n.wait("STATUS=" + text, lambda: self.notified.fields("STATUS")[-1:] == [text])

    def test_manifests(self):
        self.start(self.manifest())
        self.assertEqual(self.notified.messages[0].split("\n")[0], "READY=1")
        self.reaches("0 services, 0 endpoints, from manifests")
        objects = [service("web", ["10.96.0.10"], [("http", 80, "TCP")]),
                   slice_of("web", [self.n.pod_ip(0), "10.244.9.9"], [("http", 8080, "TCP")])]
        self.manifest(objects)
        self.reaches("1 services, 2 endpoints, from manifests")
        count = len(self.notified.fields("STATUS"))
        time.sleep(3)  # three times as long as any message waits
        self.assertEqual(len(self.notified.fields("STATUS")), count)
        self.manifest()
        self.reaches("0 services, 0 endpoints, from manifests")

    def test_waiting_for_the_node(self):
        self.start(self.manifest(), "--detect-local-mode=NodeCIDR", wait=False)
        self.reaches("waiting for the Node to have podCIDRs or an address; 0 services, 0 endpoints, "
                     "from manifests")

    def test_apiserver(self):
        """It does not answer, answers, is gone."""
        api = inside(self.n.node, lambda: Stub().__enter__())
        self.addCleanup(api.close)
        kubeconfig = os.path.join(self.n.dir, "kubeconfig")
        api.kubeconfig(kubeconfig)
        for path, mode in ((api.directory, 0o755), (kubeconfig, 0o644), (api.ca_file, 0o644)):
            os.chmod(path, mode)
        api.down()
        self.start("--kubeconfig=" + kubeconfig, wait=False)
        self.reaches("waiting for Services and EndpointSlices; 0 services, 0 endpoints, apiserver "
                     "does not answer")
        inside(self.n.node, api.up)
        self.reaches("0 services, 0 endpoints, apiserver ok")
        api.down()
        self.reaches("0 services, 0 endpoints, apiserver does not answer")


class Filter(Base):
    """A process that its seccomp filter has killed is reported in words."""

    def test_child(self):
        self.start(self.manifest())
        pid = self.n.processes()["kube-proxy-planner"]
        os.kill(pid, signal.SIGSYS)
        self.assertEqual(self.n.proc.wait(patient(20)), 1)
        log = self.n.logged()
        self.assertRegex(log, r"planner \(pid %d\) was killed by signal 31: %s.*type=1326 and pid=%d"
                         % (pid, HINT, pid))

    def test_oneshot(self):
        """It is killed while it waits for room in a pipe, where --help goes."""
        ours, theirs = os.pipe()
        try:
            os.set_blocking(theirs, False)
            with self.assertRaises(BlockingIOError):
                while True:
                    os.write(theirs, b"x" * 4096)
            os.set_blocking(theirs, True)
            with open(self.n.log, "w") as log:
                self.n.proc = subprocess.Popen([PROGRAM, "--help"], stdout=theirs, stderr=log)
            self.n.wait("the one-shot", lambda: "kube-proxy-watcher" in self.n.processes())
            pid = self.n.processes()["kube-proxy-watcher"]
            os.kill(pid, signal.SIGSYS)
            self.assertEqual(self.n.proc.wait(patient(20)), 1)
        finally:
            os.close(ours)
            os.close(theirs)
        self.assertRegex(self.n.logged(), r"one-shot .*\(pid %d\).*%s.*pid=%d" % (pid, HINT, pid))


class Journal(Base):
    """Standard error is a socket, as journald's; JOURNAL_STREAM names it or something else."""

    def lines(self, named, *flags):
        ours, theirs = socket.socketpair()
        st = os.fstat(theirs.fileno())
        stream = "%d:%d" % (st.st_dev, st.st_ino + (0 if named else 1))
        with ours, open(self.n.log, "wb") as log:
            proc = subprocess.Popen(
                ["ip", "netns", "exec", self.n.node, PROGRAM, "--hostname-override=node-a",
                 "--audit-log=" + self.n.audit, "-v=2", self.manifest(), *flags],
                stdin=subprocess.DEVNULL, stderr=theirs, env=dict(os.environ, JOURNAL_STREAM=stream))
            theirs.close()
            self.n.proc = proc
            self.n.wait_synced()
            os.kill(self.n.processes()["kube-proxy-listener"], signal.SIGKILL)
            self.assertEqual(proc.wait(patient(20)), 1)
            ours.settimeout(patient(20))
            while True:
                data = ours.recv(65536)
                if not data:
                    break
                log.write(data)
        return self.n.logged().splitlines()

    def test_text(self):
        lines = self.lines(True, "--feature-gates=Unknown=true")
        for line in lines:
            self.assertRegex(line, r"^<[346]>(kube-proxy|planner|watcher|listener): \S")
        self.assertEqual({line.split(":")[0][3:] for line in lines},
                         {"kube-proxy", "planner", "watcher", "listener"})
        text = "\n".join(lines)
        self.assertRegex(text, r"(?m)^<3>kube-proxy: listener .* was killed by signal 9$")
        self.assertRegex(text, r"(?m)^<4>kube-proxy: .*feature.*Unknown")
        self.assertRegex(text, r"(?m)^<6>watcher: manifests: ")

    def test_fatal(self):
        r, w = os.pipe()
        st = os.fstat(w)
        with open(r) as said:
            p = subprocess.run([PROGRAM, self.manifest()], stderr=w, user="nobody", env=dict(
                os.environ, JOURNAL_STREAM="%d:%d" % (st.st_dev, st.st_ino)))
            os.close(w)
            self.assertEqual(p.returncode, 78)
            self.assertRegex(said.read(), "(?m)^<2>kube-proxy: missing capabilities")

    def test_json(self):
        for line in self.lines(True, "--logging-format=json"):
            self.assertRegex(line, r"^<[346]>(\{|kube-proxy: )")
            if line[3] == "{":
                self.assertIn("ts", json.loads(line[3:]))

    def test_redirected(self):
        for line in self.lines(False):
            self.assertRegex(line, r"^[IWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [a-z-]+\] ")


class Restart(Base):
    def test_sighup(self):
        """The status of a planned restart, no line above info, and no write to the kernel."""
        self.start(self.manifest(self.objects()), shell="export JOURNAL_STREAM=%s" % STDERR)
        before = self.n.save(), self.n.audited()
        begin = len(self.n.logged())
        self.n.proc.send_signal(signal.SIGHUP)
        self.assertEqual(self.n.proc.wait(patient(20)), 75)
        self.assertRegex(self.n.logged(), "(?m)^<6>kube-proxy: SIGHUP: exiting with status 75")
        self.assertNotRegex(self.n.logged()[begin:], "(?m)^<[0-4]>")
        self.start(self.manifest(self.objects()))
        self.assertEqual((self.n.save(), self.n.audited()), before)

    def test_changed_configuration(self):
        path = os.path.join(self.n.dir, "config.yaml")
        text = ("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
                "iptables: {masqueradeBit: %d}\n")
        replace(path, text % 7)
        self.start(self.manifest(), "--config=" + path, shell="export JOURNAL_STREAM=%s" % STDERR)
        begin = len(self.n.logged())
        replace(path, text % 8)
        self.assertEqual(self.n.proc.wait(patient(20)), 75)
        self.assertRegex(self.n.logged(), r"(?m)^<6>kube-proxy: watcher \(pid \d+\) exited for a "
                         "planned restart")
        self.assertNotRegex(self.n.logged()[begin:], "(?m)^<[0-4]>")

    def objects(self):
        return [service("web", ["10.96.0.10"], [("http", 80, "TCP")]),
                slice_of("web", [self.n.pod_ip(0)], [("http", Node.PORT, "TCP")])]


class AuditLog(Base):
    """
    The path comes from flags and files, and root opens it: what others could have made, could replace or can
    write to is refused, with what to do, and nothing of theirs is written to.
    """

    def setUp(self):
        super().setUp()
        self.logs = os.path.join(self.n.dir, "logs")
        os.mkdir(self.logs, 0o755)
        self.n.audit = os.path.join(self.logs, "audit")
        self.applier = pwd.getpwnam("_kproxy-a").pw_uid
        self.other = pwd.getpwnam("_kproxy-l").pw_uid

    def refused(self, expected):
        self.start(self.manifest(), wait=False)
        self.assertEqual(self.n.proc.wait(patient(20)), 78)
        self.assertRegex(self.n.logged(), re.escape("--audit-log=%s: " % self.n.audit) + expected)
        open(self.n.log, "w").close()

    def accepted(self):
        self.start(self.manifest())
        self.assertIn("generation 1", self.n.audited())
        self.n.stop()

    def target(self):
        """A file that root may write to, and the attacker may not."""
        path = os.path.join(self.n.dir, "target")
        with open(path, "w") as f:
            f.write("content\n")
        os.chmod(path, 0o600)
        return path

    def check_untouched(self):
        with open(os.path.join(self.n.dir, "target")) as f:
            self.assertEqual(f.read(), "content\n")

    def test_link(self):
        os.symlink(self.target(), self.n.audit)
        self.refused("%s cannot be opened: .*symbolic links are not followed" % self.n.audit)
        self.check_untouched()

    def test_link_to_nothing(self):
        target = os.path.join(self.n.dir, "made")
        os.symlink(target, self.n.audit)
        self.refused("%s cannot be opened: .*symbolic links are not followed" % self.n.audit)
        self.assertFalse(os.path.exists(target))

    def test_link_above(self):
        """A directory of the path is a link, in whichever place."""
        for depth in (1, 2):
            with self.subTest(depth):
                real = os.path.join(self.n.dir, "real%d" % depth)
                os.makedirs(real + "/below")
                link = os.path.join(self.n.dir, "link%d" % depth)
                os.symlink(real if depth == 2 else real + "/below", link)
                self.n.audit = link + ("/below/audit" if depth == 2 else "/audit")
                self.refused("%s cannot be opened: .*symbolic links are not followed" % link)
                self.assertFalse(os.path.exists(real + "/below/audit"))

    def test_hard_link(self):
        """Of a file that has the right owner: the log would go into it."""
        os.link(self.target(), self.n.audit)
        self.refused(r"the file has 2 names \(hard links\)")
        self.check_untouched()
        os.unlink(self.n.audit)
        self.accepted()

    def test_pipe(self):
        os.mkfifo(self.n.audit, 0o600)
        self.refused("expected a regular file")
        reader = os.open(self.n.audit, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.refused("expected a regular file")

    def test_socket_device_directory(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.n.audit)
            self.refused(".* cannot be opened: .*expected a regular file")
        os.unlink(self.n.audit)
        os.mknod(self.n.audit, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        self.refused("(expected a regular file|.* cannot be opened)")
        os.unlink(self.n.audit)
        os.mkdir(self.n.audit)
        self.refused(".* cannot be opened: Is a directory")

    def test_owner_and_mode(self):
        with open(self.n.audit, "w") as f:
            os.fchown(f.fileno(), self.other, 0)
        self.refused(r"%s belongs to uid %d; .*chown _kproxy-a" % (self.n.audit, self.other))
        os.chown(self.n.audit, self.applier, 0)
        os.chmod(self.n.audit, 0o620)
        self.refused("mode 0620 lets other users write to %s: chmod go-w" % self.n.audit)
        os.chmod(self.n.audit, 0o640)
        self.accepted()

    def test_directory_of_another(self):
        """Who owns a directory can put any file of root's there, or a link a moment later."""
        os.chown(self.logs, self.other, 0)
        self.refused("%s belongs to uid %d; expected root or _kproxy-a" % (self.logs, self.other))
        self.assertFalse(os.path.exists(self.n.audit))
        below = os.path.join(self.logs, "below")
        os.mkdir(below)
        self.n.audit = os.path.join(below, "audit")
        self.refused("%s belongs to uid %d; expected root or _kproxy-a" % (self.logs, self.other))
        os.chown(self.logs, self.applier, 0)
        self.accepted()

    def test_directory_that_others_can_write_to(self):
        for mode in (0o775, 0o757, 0o777):
            os.chmod(self.logs, mode)
            self.refused("mode %04o lets other users write to %s: chmod go-w" % (mode, self.logs))
            self.assertFalse(os.path.exists(self.n.audit))
        os.chmod(self.logs, 0o1777)  # as /tmp: what is root's nobody can replace
        self.accepted()

    def test_directory_above_of_a_group(self):
        """As Ubuntu has /var/log, of root and the group syslog; but not of the world."""
        below = os.path.join(self.logs, "below")
        os.mkdir(below)
        self.n.audit = os.path.join(below, "audit")
        os.chmod(self.logs, 0o777)
        self.refused("mode 0777 lets other users write to %s: chmod go-w" % self.logs)
        os.chmod(self.logs, 0o775)
        self.accepted()
        os.chown(self.logs, self.applier, 0)
        self.refused("mode 0775 lets other users write to %s: chmod go-w" % self.logs)

    def test_dots_and_slashes(self):
        self.n.audit = self.logs + "//./../logs/audit"
        self.accepted()

    def test_no_directory(self):
        self.n.audit = os.path.join(self.n.dir, "missing", "log")
        self.refused("%s cannot be opened: No such file or directory" % os.path.dirname(self.n.audit))


if __name__ == "__main__":
    unittest.main()
