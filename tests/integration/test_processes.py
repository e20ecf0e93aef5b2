"""The four processes: who they are, what they may, how they end, what a restart does."""
import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import BUILD, Node, TOP, service, sh, slice_of
from limits import patient

VIP = "10.96.0.10"
PROGRAM = os.path.join(BUILD, "kube-proxy")
SANITIZED = "asan" in os.path.basename(BUILD)
ROLES = {"kube-proxy": "_kproxy-a", "kube-proxy-planner": "_kproxy-p",
         "kube-proxy-watcher": "_kproxy-w", "kube-proxy-listener": "_kproxy-l"}
RELAY = {"kube-proxy-relay": "_kproxy-r", "kube-proxy-broker": "_kproxy-b"}
CAP_NET_ADMIN = 1 << 12


def reachable(directory):
    """The program, copied with its children to where any user can execute it."""
    for name in ROLES:
        shutil.copy(os.path.join(BUILD, name), directory)
    return os.path.join(directory, "kube-proxy")


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def alive(pid):
    try:
        return status(pid)["State"][0] not in "ZX"
    except OSError:
        return False


def objects(n):
    return [service("web", [VIP], [("http", 80, "TCP")]),
            slice_of("web", [n.pod_ip(0)], [("http", Node.PORT, "TCP")])]


class Processes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=1).__enter__()
        cls.addClassCleanup(cls.n.__exit__)
        cls.n.write("objects.json", objects(cls.n))

    def start(self, *flags, **kw):
        n = self.n
        n.start("--manifest-path", os.path.join(n.dir, "objects.json"), *flags, **kw)
        # `ip netns exec` executes the daemon in its own place
        return n.processes()

    def tearDown(self):
        self.n.stop()
        open(self.n.log, "w").close()

    def test_four_users_one_capability(self):
        self.check_users(self.start(), ROLES)

    def test_with_a_relay_where_it_is_needed(self):
        """In userspace mode, and for node ports on loopback addresses; its own user, and no capability."""
        for flags in (["--proxy-mode=userspace"], ["--iptables-localhost-nodeports"],
                      ["--iptables-localhost-nodeports", "--proxy-mode=nftables"]):
            with self.subTest(flags):
                self.check_users(self.start(*flags), ROLES | RELAY)

    def check_users(self, pids, users):
        self.assertEqual(set(pids), set(users))
        for name, user in users.items():
            with self.subTest(name):
                s = status(pids[name])
                uid = str(pwd.getpwnam(user).pw_uid)
                gid = str(pwd.getpwnam(user).pw_gid)
                self.assertEqual(s["Uid"].split("\t"), [uid] * 4)
                self.assertEqual(s["Gid"].split("\t"), [gid] * 4)
                self.assertEqual(s["Groups"].strip(), "")
                want = CAP_NET_ADMIN if name == "kube-proxy" else 0
                self.assertEqual(int(s["CapEff"], 16), want)
                self.assertEqual(int(s["CapPrm"], 16), want)
                for other in ("CapInh", "CapBnd", "CapAmb"):
                    self.assertEqual(int(s[other], 16), 0, other)
                self.assertEqual(s["Seccomp"], "2")
                self.assertEqual(s["NoNewPrivs"], "1")

    def test_limits(self):
        for name, pid in self.start().items():
            if name == "kube-proxy":
                continue
            with open("/proc/%d/limits" % pid) as f:
                limits = {line[:26].strip(): line[26:].split()[:2] for line in f}
            self.assertEqual(limits["Max core file size"], ["0", "0"])
            self.assertEqual(limits["Max processes"], ["64", "64"])
            with open("/proc/%d/oom_score_adj" % pid) as f:
                self.assertEqual(f.read(), "0\n")

    def wait_without_cleaner(self):
        """Until the planner has closed its channel to the cleaner, which has ended."""
        planner = self.n.processes()["kube-proxy-planner"]
        self.n.wait("the cleaner's end", lambda: "kube-proxy-cleaner" not in self.n.processes(cleaner=True))
        self.n.wait("the end of its channel", lambda: not os.path.exists("/proc/%d/fd/9" % planner) or
                    not os.readlink("/proc/%d/fd/9" % planner).startswith("socket:"))

    def test_descriptors(self):
        """Each child has its channels and nothing of another's; nobody but the parent the audit."""
        pids = self.start()
        self.wait_without_cleaner()
        for name, pid in pids.items():
            links = [os.readlink("/proc/%d/fd/%s" % (pid, fd))
                     for fd in os.listdir("/proc/%d/fd" % pid)]
            with self.subTest(name):
                self.assertEqual(any(l.endswith(self.n.audit) for l in links),
                                 name == "kube-proxy", links)
                self.assertEqual(any("xtables.lock" in l for l in links), name == "kube-proxy")
                if name == "kube-proxy-planner":
                    self.assertEqual(sum(l.startswith("socket:") for l in links), 3, links)

    def test_with_a_relay_descriptors(self):
        """The planner has one channel more, the listener no socket more, relay and broker two between them."""
        pids = self.start("--proxy-mode=userspace", "--healthz-port=10256")
        self.wait_without_cleaner()
        sockets = {name: sum(os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:")
                             for fd in os.listdir("/proc/%d/fd" % pid)) for name, pid in pids.items()}
        self.assertEqual(sockets["kube-proxy-planner"], 4)
        # two to the broker, and the Service's, whose address is IPv4's
        self.assertEqual(sockets["kube-proxy-relay"], 3)
        self.assertEqual(sockets["kube-proxy-broker"], 3)  # to the planner, two to the relay

    def test_the_parent_links_no_parser(self):
        linked = sh("ldd", PROGRAM)
        for library in ("curl", "libevent", "libssl", "libcrypto", "jansson", "yaml"):
            self.assertNotIn(library, linked)

    def test_a_killed_child_ends_all_and_no_rule(self):
        for name in ROLES:
            if name == "kube-proxy":
                continue
            with self.subTest(name):
                pids = self.start()
                before = self.n.save()
                os.kill(pids[name], signal.SIGKILL)
                self.assertEqual(self.n.proc.wait(patient(10)), 1)
                self.n.proc = None
                role = name.rpartition("-")[2]
                self.assertIn("%s (pid %d) was killed by signal 9" % (role, pids[name]),
                              self.n.logged())
                self.assertEqual(self.n.save(), before)
                self.wait_gone(pids)
                self.assertTrue(self.n.ask(self.n.client, VIP, 80).startswith("pod1"))

    def wait_gone(self, pids):
        end = time.monotonic() + patient(5)
        while any(alive(p) for p in pids.values()):
            self.assertLess(time.monotonic(), end, "left behind: %r" %
                            {n: p for n, p in pids.items() if alive(p)})
            time.sleep(0.02)

    def test_no_child_outlives_a_killed_parent_not_even_a_stopped_one(self):
        pids = self.start()
        children = {n: p for n, p in pids.items() if n != "kube-proxy"}
        for pid in children.values():
            os.kill(pid, signal.SIGSTOP)
        os.kill(pids["kube-proxy"], signal.SIGKILL)
        self.n.proc.wait(patient(10))
        self.n.proc = None
        self.wait_gone(children)

    def test_term_ends_cleanly_and_rules_stay(self):
        pids = self.start()
        before = self.n.save()
        self.assertEqual(self.n.stop(signal.SIGTERM), 0)
        self.wait_gone(pids)
        self.assertEqual(self.n.save(), before)

    def test_restart_with_nothing_changed_writes_nothing(self):
        self.start()
        self.n.stop()
        audited, before = self.n.audited(), self.n.save()
        counters = sh("ip", "netns", "exec", self.n.node, "iptables-legacy-save", "-c")
        self.start()
        self.assertEqual(self.n.audited(), audited)  # not one transaction
        self.assertEqual(self.n.save(), before)
        self.assertIn("KUBE-SVC", counters)

    def test_restart_writes_only_what_changed(self):
        n = self.n
        n.write("objects.json", objects(n) + [service("other", ["10.96.0.11"],
                                                      [("http", 80, "TCP")])])
        self.start()
        n.stop()
        n.write("objects.json", objects(n))
        audited = n.audited()
        self.start()
        lines = n.transactions(len(audited))
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("put 1 ", lines[0])  # filter KUBE-SERVICES, IPv4 alone
        self.assertNotIn("10.96.0.11", n.save())

    def test_foreign_rules_are_never_touched(self):
        n = self.n
        inside = ["ip", "netns", "exec", n.node, "iptables-legacy"]
        for rule in (["-t", "nat", "-N", "KUBE-KUBELET-CANARY"], ["-t", "nat", "-N", "MINE"],
                     ["-t", "nat", "-A", "MINE", "-d", "192.0.2.1", "-j", "ACCEPT"],
                     ["-t", "nat", "-A", "PREROUTING", "-d", "192.0.2.7", "-j", "MINE"],
                     ["-t", "nat", "-N", "KUBE-SVC-NOTAHASH"],
                     ["-A", "FORWARD", "-s", "192.0.2.9", "-j", "DROP"]):
            sh(*inside, *rule)
        foreign = [l for l in n.save().splitlines() if "192.0.2." in l or "CANARY" in l
                   or "NOTAHASH" in l]
        self.start()
        n.write("objects.json", [])
        n.wait("no service", lambda: VIP not in n.save())
        n.write("objects.json", objects(n))
        n.wait("the service", lambda: VIP in n.save())
        after = n.save().splitlines()
        for line in foreign:
            self.assertIn(line, after)

    def test_a_foreign_jump_to_a_stale_chain_stops_nothing(self):
        """What another proxy left still jumps to a chain of ours: it is emptied, not fought over."""
        n = self.n
        stale = "KUBE-SVC-AAAAAAAAAAAAAAAA"
        inside = ["ip", "netns", "exec", n.node, "iptables-legacy", "-t", "nat"]
        for rule in (["-N", stale], ["-A", stale, "-d", "192.0.2.3", "-j", "RETURN"],
                     ["-N", "KUBE-EXT-OTHERS"], ["-A", "KUBE-EXT-OTHERS", "-j", stale]):
            sh(*inside, *rule)
        self.start()
        self.assertTrue(n.ask(n.client, VIP, 80).startswith("pod1"))
        self.assertIn("-A KUBE-EXT-OTHERS -j " + stale, n.save())
        self.assertNotIn("-A " + stale, n.save())
        n.stop()
        audited = n.audited()
        self.start()  # it is empty already: nothing to write
        self.assertNotIn("result ok", n.audited()[len(audited):])
        n.stop()
        sh(*inside, "-F", "KUBE-EXT-OTHERS")
        self.start()
        self.assertNotIn(stale + "\n", n.save())
        sh(*inside, "-X", "KUBE-EXT-OTHERS")

    def test_a_held_lock_delays_and_no_more(self):
        """Another program holds the xtables lock longer than the applier waits."""
        n = self.n
        self.start("--iptables-min-sync-period=0s")
        with open("/run/xtables.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            n.write("objects.json", [])
            n.wait("the complaint", lambda: "xtables.lock" in n.logged(), 20)
            self.assertIn(VIP, n.save())
            fcntl.flock(lock, fcntl.LOCK_UN)
        n.wait("the change", lambda: VIP not in n.save())
        n.write("objects.json", objects(n))
        n.wait("the service", lambda: VIP in n.save())
        self.assertEqual(n.stop(), 0)

    def test_audit_by_syslog(self):
        """--audit-log's default where there is a /dev/log: here a socket of ours in a /dev of ours."""
        n = self.n
        dev = os.path.join(n.dir, "dev")
        os.mkdir(dev)
        open(os.path.join(dev, "null"), "w").close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(os.path.join(dev, "log"))
            os.chmod(os.path.join(dev, "log"), 0o666)
            log.settimeout(patient(20))
            n.write("objects.json", objects(n) + [service("new", ["10.96.0.12"],
                                                          [("http", 80, "TCP")])])
            n.proc = subprocess.Popen(
                ["unshare", "-m", "sh", "-c",
                 "mount --bind /dev/null $0/null && mount --rbind $0 /dev && exec \"$@\"", dev,
                 "ip", "netns", "exec", n.node, PROGRAM, "--manifest-path",
                 os.path.join(n.dir, "objects.json"), "--hostname-override=node-a"],
                stdin=subprocess.DEVNULL, stdout=open(n.log, "a"), stderr=subprocess.STDOUT)
            line = ""
            while " ops: " not in line:
                line = log.recv(4096).decode()
                self.assertTrue(line.startswith("<86>kube-proxy-audit[%d]: generation 1" % n.proc.pid), line)
            self.assertRegex(line, r": generation 1 ops: put 1 .*ok chain=[0-9a-f]{32}$")
            n.wait_synced()
            n.stop()
        n.write("objects.json", objects(n))

    def test_the_parent_holds_every_life_line(self):
        """Whatever descriptors it was started with: a fixed number must not take the place of one."""
        n = self.n
        for inherited in range(12):
            fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(inherited)]
            try:
                n.proc = subprocess.Popen(
                    ["ip", "netns", "exec", n.node, os.path.join(BUILD, "kube-proxy"),
                     "--manifest-path", os.path.join(n.dir, "objects.json"),
                     "--hostname-override=node-a", "--audit-log=" + n.audit], pass_fds=fds,
                    stdin=subprocess.DEVNULL, stdout=open(n.log, "a"), stderr=subprocess.STDOUT)
            finally:
                for fd in fds:
                    os.close(fd)
            n.wait_synced()
            links = lambda pid: {os.readlink("/proc/%d/fd/%s" % (pid, fd))
                                 for fd in os.listdir("/proc/%d/fd" % pid)}
            held = links(n.proc.pid)
            for name, pid in n.processes().items():
                if name != "kube-proxy":
                    line = os.readlink("/proc/%d/fd/4" % pid)
                    self.assertTrue(line.startswith("pipe:"), line)
                    self.assertIn(line, held, "%s, %d inherited" % (name, inherited))
            self.assertEqual(n.stop(), 0)

    def test_the_systemd_way_ambient_capabilities(self):
        """As the unit does it: a user of its own with four ambient capabilities, never root."""
        n = self.n
        sh("packaging/users", cwd=TOP)
        lock = "/run/xtables.lock"
        open(lock, "a").close()
        os.chown(lock, 0, pwd.getpwnam("_kproxy-a").pw_gid)
        os.chmod(lock, 0o640)
        open(n.audit, "a").close()
        shutil.chown(n.audit, "_kproxy-a")
        caps = "+net_admin,+setuid,+setgid,+setpcap"
        n.proc = subprocess.Popen(
            ["ip", "netns", "exec", n.node, "setpriv", "--reuid=_kproxy-a", "--regid=_kproxy-a",
             "--clear-groups", "--inh-caps=" + caps, "--ambient-caps=" + caps,
             "--bounding-set=-all," + caps, "--no-new-privs", reachable(n.dir), "--manifest-path",
             os.path.join(n.dir, "objects.json"), "--hostname-override=node-a",
             "--audit-log=" + n.audit],
            stdin=subprocess.DEVNULL, stdout=open(n.log, "a"), stderr=subprocess.STDOUT)
        n.wait_synced()
        for name, pid in n.processes().items():
            self.assertEqual(int(status(pid)["CapEff"], 16),
                             CAP_NET_ADMIN if name == "kube-proxy" else 0)
            self.assertEqual(status(pid)["Uid"].split("\t")[0],
                             str(pwd.getpwnam(ROLES[name]).pw_uid))
        self.assertEqual(n.ask(n.client, VIP, 80).split()[0], "pod1")


class StartUp(unittest.TestCase):
    """What a person at a terminal gets."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="kp-test-")
        cls.addClassCleanup(shutil.rmtree, directory)
        os.chmod(directory, 0o755)
        cls.program = reachable(directory)

    def run_it(self, *flags, user=None, **kw):
        cmd = [self.program, *flags]
        if user:
            cmd = ["setpriv", "--reuid=" + user, "--regid=nogroup", "--clear-groups",
                   "--inh-caps=-all", "--bounding-set=-all"] + cmd
        return subprocess.run(cmd, text=True, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=patient(20), **kw)

    def test_help_and_version_need_no_privilege(self):
        for user in (None, "nobody"):
            r = self.run_it("--help", user=user)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            self.assertIn("--manifest-path", r.stdout)
            r = self.run_it("--version", user=user)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            self.assertRegex(r.stdout, r"\d+\.\d+\.\d+")

    def test_a_wrong_flag(self):
        r = self.run_it("--iptables-masquerade-bit=32", "--manifest-path=/tmp")
        self.assertEqual(r.returncode, 2)
        self.assertIn("--iptables-masquerade-bit", r.stderr)
        self.assertIn("32", r.stderr)
        r = self.run_it("--manifest-pat=/tmp")
        self.assertEqual(r.returncode, 2)
        self.assertIn("--manifest-path", r.stderr)  # the nearest one is named

    def test_without_privilege_says_what_is_missing(self):
        r = self.run_it("--manifest-path=/usr", user="nobody")
        self.assertEqual(r.returncode, 78)
        for cap in ("cap_net_admin", "cap_setuid", "cap_setgid", "cap_setpcap"):
            self.assertIn(cap, r.stderr)

    def test_missing_children_are_named(self):
        with Node(pods=0) as n:
            lonely = os.path.join(n.dir, "kube-proxy")
            shutil.copy(PROGRAM, lonely)
            r = subprocess.run([lonely, "--version"], text=True, capture_output=True, timeout=patient(20))
            self.assertEqual(r.returncode, 78)
            self.assertIn("kube-proxy-watcher", r.stderr)

    def test_notify(self):
        """Type=notify: READY=1 when all four stand, STOPPING=1 on SIGTERM."""
        with Node(pods=0) as n, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            path = os.path.join(n.dir, "notify")
            s.bind(path)
            s.settimeout(patient(20))
            os.environ["NOTIFY_SOCKET"] = path
            try:
                n.start("--manifest-path", n.write("o.json", []))
            finally:
                del os.environ["NOTIFY_SOCKET"]
            self.assertIn(b"READY=1", s.recv(1000))
            n.stop()
            message = s.recv(1000)
            while message.startswith(b"STATUS="):
                message = s.recv(1000)
            self.assertEqual(message, b"STOPPING=1")

    def test_watchdog(self):
        self.check_watchdog()

    def test_watchdog_with_a_relay(self):
        self.check_watchdog("--proxy-mode=userspace", relay=RELAY)

    def check_watchdog(self, *flags, relay=()):
        """WATCHDOG=1 while /livez is 200 and everyone on its way lives; within half the time."""
        fed = b"WATCHDOG=1"

        def next_message(s):
            """All but STATUS=."""
            while (message := s.recv(1000)).startswith(b"STATUS="):
                pass
            return message

        def silent(s):
            """What was on its way has come, and no more does within ten times the pace."""
            s.settimeout(1)
            end = time.monotonic() + patient(10)
            with self.assertRaises(socket.timeout):
                while time.monotonic() < end:
                    next_message(s)
            s.settimeout(patient(20))

        with Node(pods=0) as n, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            path = os.path.join(n.dir, "notify")
            s.bind(path)
            s.settimeout(patient(20))
            os.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC="200000")
            began = time.monotonic()
            try:
                n.start("--manifest-path", n.write("o.json", []), "--iptables-sync-period=500ms",
                        "--iptables-min-sync-period=0s", *flags)
            finally:
                del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
            self.assertIn(b"READY=1", next_message(s))
            # Half the time is between two; what is read late has waited in the socket.
            self.assertEqual([next_message(s) for _ in range(20)], [fed] * 20)
            self.assertGreater(time.monotonic() - began, 20 * 0.1 / 2)
            for name in (*relay, "kube-proxy-listener", "kube-proxy-planner", "kube-proxy-watcher"):
                pid = n.processes()[name]
                os.kill(pid, signal.SIGSTOP)
                silent(s)
                os.kill(pid, signal.SIGCONT)
                self.assertEqual(next_message(s), fed)
            # A change that waits for longer than two sync periods: another has the lock.
            with open("/run/xtables.lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                n.write("o.json", objects(n))
                n.wait("livez 503", lambda: n.health("/livez")[0] == 503)
                silent(s)
            n.wait("livez 200", lambda: n.health("/livez")[0] == 200)
            self.assertEqual(next_message(s), fed)


class Installation(unittest.TestCase):
    def test_install_and_run_from_there(self):
        with Node(pods=1) as n:
            prefix = os.path.join(n.dir, "opt")
            sh("make", "-C", TOP, "install", "BUILD=" + os.path.relpath(BUILD, TOP),
               "PREFIX=" + prefix, *(["SANITIZE=1"] if SANITIZED else []))
            have = {os.path.relpath(os.path.join(d, f), prefix)
                    for d, _, fs in os.walk(prefix) for f in fs}
            self.assertLessEqual({
                "sbin/kube-proxy", "libexec/kube-proxy/kube-proxy-watcher",
                "libexec/kube-proxy/kube-proxy-planner", "libexec/kube-proxy/kube-proxy-listener",
                "libexec/kube-proxy/kube-proxy-relay", "libexec/kube-proxy/kube-proxy-broker",
                "share/man/man8/kube-proxy.8", "lib/systemd/system/kube-proxy.service",
                "lib/sysusers.d/kube-proxy.conf", "lib/tmpfiles.d/kube-proxy.conf"}, have)
            n.start("--manifest-path", n.write("objects.json", objects(n)),
                    program=os.path.join(prefix, "sbin/kube-proxy"))
            self.assertTrue(n.ask(n.client, VIP, 80).startswith("pod1"))

    def test_systemd_unit(self):
        with Node(pods=0) as n:
            unit = os.path.join(n.dir, "kube-proxy.service")
            with open(os.path.join(TOP, "packaging/kube-proxy.service")) as f:
                text = f.read()
            with open(unit, "w") as f:
                f.write(text.replace("/usr/sbin/kube-proxy", PROGRAM).replace(
                    "/usr/libexec/kube-proxy", os.path.join(TOP, "packaging")))
            self.assertEqual(sh("systemd-analyze", "verify", "--man=no", unit).strip(), "")
            out = sh("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
            level = float(re.search(r"exposure level for .*: ([\d.]+)", out).group(1))
            self.assertLess(level, 2.5, out)


if __name__ == "__main__":
    unittest.main()
