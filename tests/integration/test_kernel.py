"""The kernel's parameters at start: raised, set, left alone, and what is said when they cannot be.

Those that are the machine's and not a network namespace's are files of the test's own, mounted over
the kernel's in a mount namespace of the daemon's own.
"""
import os
import re
import subprocess
import unittest

from harness import BUILD, TOP, Node, sh
from limits import patient
from test_processes import reachable

ALONE = True  # some sysctls are the machine's

CONNTRACK = "/proc/sys/net/netfilter/nf_conntrack_"


class Kernel(unittest.TestCase):
    def setUp(self):
        self.n = Node(pods=0).__enter__()
        self.addCleanup(self.n.__exit__)

    def parameter(self, path):
        return int(sh("ip", "netns", "exec", self.n.node, "cat", path))

    def run_in(self, wrapper, *flags, program=os.path.join(BUILD, "kube-proxy")):
        """Runs with --init-only; returns what was logged of parameters, a line each."""
        r = subprocess.run(["ip", "netns", "exec", self.n.node, *wrapper,
                            program, "--init-only", *flags], text=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=patient(60))
        self.assertEqual((r.returncode, r.stdout), (0, ""), r.stderr)
        return [line.split("] ", 1)[1] for line in r.stderr.splitlines()]

    def over(self, **files):
        """A wrapper that has nf_conntrack_* be these numbers, in files that cat() reads."""
        fake = os.path.join(self.n.dir, "netfilter")
        os.makedirs(fake, exist_ok=True)
        for name, value in files.items():
            with open(os.path.join(fake, "nf_conntrack_" + name), "w") as f:
                f.write("%d\n" % value)
        return ["unshare", "--mount", "sh", "-c",
                'mount --bind "$0" /proc/sys/net/netfilter && exec "$@"', fake]

    def fake(self, name):
        with open(os.path.join(self.n.dir, "netfilter", "nf_conntrack_" + name)) as f:
            return int(f.read())

    def test_defaults(self):
        """A day and an hour, as upstream; UDP, and what else there is, stay as they are."""
        names = os.listdir("/proc/sys/net/netfilter")
        names = [n for n in names if n.startswith("nf_conntrack_") and n != "nf_conntrack_count"]
        read = lambda: {n: sh("ip", "netns", "exec", self.n.node, "cat",
                              "/proc/sys/net/netfilter/" + n) for n in names}
        before = read()
        self.n.start("--manifest-path", self.n.write("objects.json", []))
        want = dict(before, nf_conntrack_tcp_timeout_established="86400\n",
                    nf_conntrack_tcp_timeout_close_wait="3600\n")
        self.assertNotEqual(before, want)
        self.assertEqual(read(), want)
        self.assertEqual(self.parameter("/proc/sys/net/ipv4/conf/all/route_localnet"), 0)
        self.assertEqual(self.n.stop(), 0)

    def test_as_flagged(self):
        """Time-outs up and down; a second time there is nothing to say."""
        flags = ["--conntrack-tcp-timeout-established=100h", "--conntrack-tcp-timeout-close-wait=30s",
                 "--conntrack-udp-timeout=1500ms", "--conntrack-udp-timeout-stream=10m",
                 "--conntrack-tcp-be-liberal", "--iptables-localhost-nodeports"]
        want = {"tcp_timeout_established": 360000, "tcp_timeout_close_wait": 30, "udp_timeout": 2,
                "udp_timeout_stream": 600, "tcp_be_liberal": 1}
        said = "\n".join(self.run_in([], *flags))
        for name, value in want.items():
            self.assertEqual(self.parameter(CONNTRACK + name), value)
            self.assertRegex(said, re.escape(CONNTRACK + name) + " set to %d; it was " % value)
        self.assertEqual(self.parameter("/proc/sys/net/ipv4/conf/all/route_localnet"), 1)
        self.assertNotIn("/proc", "\n".join(self.run_in([], *flags)))
        zeros = ["--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"]
        self.assertNotIn("/proc", "\n".join(self.run_in([], *zeros)))
        self.assertEqual(self.parameter(CONNTRACK + "tcp_be_liberal"), 1)  # nobody asked for 0

    def test_init_only_makes_no_rule_and_leaves_no_process(self):
        before = self.n.save(4)
        sh("ip", "netns", "exec", self.n.node, "iptables-legacy-restore", input="*filter\nCOMMIT\n*nat\nCOMMIT\n")
        self.run_in([])
        self.assertNotIn("KUBE", before + self.n.save(4) + self.n.save(6))
        self.assertEqual(sh("ip", "netns", "pids", self.n.node), "")

    def test_connections(self):
        """Raised to what the processors want, or the least; never lowered; 0: left alone."""
        cpus = os.cpu_count()
        quiet = ["--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"]
        for had, buckets, flags, want, want_buckets in (
                (65536, 16384, [], max(131072, 32768 * cpus), max(131072, 32768 * cpus) // 4),
                (65536, 65536, ["--conntrack-min=70000", "--conntrack-max-per-core=1"],
                 70000, 65536),
                (1000, 7, ["--conntrack-min=0", "--conntrack-max-per-core=2000"],
                 2000 * cpus, 500 * cpus),
                (99999999, 99999999, [], 99999999, 99999999),
                (5, 5, ["--conntrack-max-per-core=0"], 5, 5),
                (5, 5, ["--conntrack-max-per-core=2147483647"], min(2147483647 * cpus, 2147483647),
                 2147483647 // 4)):
            with self.subTest(flags=flags, had=had):
                self.run_in(self.over(max=had, buckets=buckets), *quiet, *flags)
                self.assertEqual((self.fake("max"), self.fake("buckets")), (want, want_buckets))

    def test_what_cannot_be_set_is_a_warning(self):
        """Each with path and value; the proxy runs all the same."""
        wrapper = self.over(max=5, buckets=2, tcp_timeout_established=7)
        wrapper[4] = wrapper[4].replace("&& exec", "&& mount -o remount,bind,ro "
                                        "/proc/sys/net/netfilter && exec")
        said = "\n".join(self.run_in(wrapper, "--conntrack-min=70000", "--conntrack-max-per-core=1"))
        self.assertIn(CONNTRACK + "max cannot be set to 70000: Read-only file system; it stays 5",
                      said)
        self.assertIn(CONNTRACK + "buckets cannot be set to 17500: Read-only file system", said)
        self.assertIn(CONNTRACK + "tcp_timeout_established cannot be set to 86400", said)
        self.assertIn(CONNTRACK + "tcp_timeout_close_wait: No such file or directory; it should be "
                      "3600", said)
        n = self.n
        path = n.write("objects.json", [])
        program = os.path.join(n.dir, "kube-proxy-in-a-read-only-proc")
        with open(program, "w") as f:
            f.write('#!/bin/sh\nexec %s %s "$@"\n' % (
                " ".join("'%s'" % w for w in wrapper), os.path.join(BUILD, "kube-proxy")))
        os.chmod(program, 0o755)
        n.start("--manifest-path", path, program=program)
        self.assertIn("W", n.logged())
        self.assertIn(CONNTRACK + "tcp_timeout_established cannot be set", n.logged())
        self.assertEqual(n.stop(), 0)

    def test_as_the_unit_does_it(self):
        """Root sets them; the proxy, whose /proc/sys is read-only, finds nothing to set or to say."""
        n = self.n
        sh("packaging/users", cwd=TOP)
        sh("systemd-tmpfiles", "--create", os.path.join(TOP, "packaging/kube-proxy.tmpfiles"))
        program = reachable(n.dir)
        caps = "+net_admin,+setuid,+setgid,+setpcap"
        as_user = ["setpriv", "--reuid=_kproxy-a", "--regid=_kproxy-a", "--clear-groups",
                   "--inh-caps=" + caps, "--ambient-caps=" + caps, "--bounding-set=-all," + caps,
                   "--no-new-privs"]
        # NET_ADMIN alone may write what is the network namespace's, where no wall is before it
        said = "\n".join(self.run_in(as_user, "--conntrack-udp-timeout=77s", program=program))
        self.assertIn(CONNTRACK + "udp_timeout set to 77", said)
        self.run_in([], "--conntrack-udp-timeout=78s", program=program)
        walled = ["unshare", "--mount", "sh", "-c", "mount --bind /proc/sys /proc/sys && "
                  "mount -o remount,bind,ro /proc/sys && exec \"$@\"", "sh", *as_user]
        self.assertEqual(self.run_in(walled, "--conntrack-udp-timeout=78s", program=program), [])
        said = "\n".join(self.run_in(walled, "--conntrack-udp-timeout=79s", program=program))
        self.assertIn(CONNTRACK + "udp_timeout cannot be set to 79: Read-only file system", said)

    def test_place_when_memory_runs_out(self):
        """Of all four processes; a low one is the parent's alone (tests/uml/test_old_kernel.py)."""
        n = self.n
        path = n.write("objects.json", [])
        n.start("--manifest-path", path, "--oom-score-adj=123")
        places = {}
        for name, pid in n.processes().items():
            with open("/proc/%d/oom_score_adj" % pid) as f:
                places[name] = int(f.read())
        self.assertEqual((len(places), set(places.values())), (4, {123}))
        self.assertEqual(n.stop(), 0)
        # what only CAP_SYS_RESOURCE may do is tried, and said
        program = os.path.join(n.dir, "kube-proxy-without-resource")
        with open(program, "w") as f:
            f.write('#!/bin/sh\nexec capsh --drop=cap_sys_resource -- -c \'exec "$0" "$@"\' %s "$@"\n' %
                    os.path.join(BUILD, "kube-proxy"))
        os.chmod(program, 0o755)
        n.start("--manifest-path", path, program=program)
        self.assertIn("/proc/self/oom_score_adj cannot be set to -999: Permission denied; it stays",
                      n.logged())
        self.assertEqual(n.stop(), 0)


if __name__ == "__main__":
    unittest.main()
