"""--proxy-mode blank: what the kernel has decides. A kernel without x_tables is had by a /proc that
does not show them, and by a filter that makes their socket options unknown."""
import ctypes
import os
import struct
import subprocess
import unittest

from harness import BUILD, TOP, Node, service, sh, slice_of
from limits import patient

VIP = "10.96.0.10"
# In a mount namespace of its own: a /proc whose net is empty, else the real one.
WITHOUT_PROC = """#!/bin/sh
exec unshare -m sh -e -c '
mount --make-rprivate /
mount --bind /proc %(real)s
mount -t tmpfs none /proc
for f in %(real)s/[a-z]*; do ln -s $f /proc/; done
rm /proc/net
mkdir /proc/net
exec "$@"' - %(program)s "$@"
"""


def without_options():
    """Before a child executes: x_tables' getsockopt() gives ENOPROTOOPT, as where nobody has
    registered them."""
    getsockopt, enoprotoopt = 55, 92  # x86-64
    code = [(0x20, 0, 0, 0),           # the call's number
            (0x15, 0, 3, getsockopt),  # another: it may
            (0x20, 0, 0, 32),          # the option
            (0x35, 0, 1, 64),          # below IPT_BASE_CTL: it may
            (0x06, 0, 0, 0x00050000 | enoprotoopt),
            (0x06, 0, 0, 0x7fff0000)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *c) for c in code))
    program = struct.pack("@HP", len(code), ctypes.addressof(filters))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) != 0:  # PR_SET_SECCOMP: a filter
        raise OSError(ctypes.get_errno(), "seccomp")


class Blank(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=1).__enter__()
        cls.addClassCleanup(n.__exit__)
        cls.path = n.write("objects.json", [
            service("web", [VIP], [("http", 80, "TCP")]),
            slice_of("web", [n.pod_ip(0)], [("http", Node.PORT, "TCP")])])
        os.mkdir(os.path.join(n.dir, "real"))
        cls.hidden = os.path.join(n.dir, "kube-proxy-without")
        with open(cls.hidden, "w") as f:
            f.write(WITHOUT_PROC % {"real": os.path.join(n.dir, "real"),
                                    "program": os.path.join(BUILD, "kube-proxy")})
        os.chmod(cls.hidden, 0o755)

    def tables(self):
        return sh("ip", "netns", "exec", self.n.node, "nft", "list", "tables")

    def runs(self, mode, why, *flags, program=None):
        """It says which and why, once, and works."""
        n, before = self.n, len(self.n.logged()) if os.path.exists(self.n.log) else 0
        n.start("--manifest-path", self.path, *flags, program=program)
        said = [line for line in n.logged()[before:].splitlines() if "proxy mode" in line]
        self.assertEqual(len(said), 1, said)
        self.assertIn("proxy mode %s: --proxy-mode is not set: %s" % (mode, why), said[0])
        self.assertEqual(n.ask(n.client, VIP, 80).split(" ")[0], "pod1")
        self.assertEqual("kube-proxy" in self.tables(), mode == "nftables")
        self.assertEqual("KUBE-SVC" in n.save(4), mode == "iptables")
        self.assertEqual(n.stop(), 0)

    def test_each_in_turn(self):
        """With x_tables, without, with them again."""
        self.runs("iptables", "the kernel has x_tables")
        self.n.start("--cleanup", wait=False)
        self.assertEqual(self.n.proc.wait(patient(30)), 0)
        self.runs("nftables", "the kernel has no x_tables (/proc/net/ip_tables_names is not there",
                  "--proxy-mode=", program=self.hidden)
        self.runs("iptables", "the kernel has x_tables", "--proxy-mode", "")

    def test_a_name_is_taken_as_it_is(self):
        n = self.n
        before = len(n.logged()) if os.path.exists(n.log) else 0
        n.start("--manifest-path", self.path, "--proxy-mode=iptables", program=self.hidden)
        self.assertNotIn("proxy mode", n.logged()[before:])
        self.assertIn("KUBE-SVC", n.save(4))
        self.assertEqual(n.stop(), 0)

    def without(self, *flags):
        return subprocess.run(["ip", "netns", "exec", self.n.node,
                               os.path.join(BUILD, "kube-proxy"), *flags], text=True, timeout=patient(60),
                              stdin=subprocess.DEVNULL, capture_output=True,
                              preexec_fn=without_options)

    def test_clean_up_where_there_are_no_x_tables(self):
        """What nftables mode left goes all the same."""
        self.n.start("--manifest-path", self.path, "--proxy-mode=nftables")
        self.assertEqual(self.n.stop(), 0)
        self.assertIn("table ip kube-proxy", self.tables())
        r = self.without("--cleanup", "--audit-log=" + self.n.audit)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertNotIn("kube-proxy", self.tables())

    def test_iptables_mode_where_there_are_no_x_tables(self):
        r = self.without("--manifest-path", self.path, "--proxy-mode=iptables")
        self.assertEqual(r.returncode, 78, r.stderr)
        self.assertIn("the kernel has no legacy iptables tables; load ip_tables", r.stderr)


class RealKernel(unittest.TestCase):
    """User-mode Linux without the modules, and whose nf_tables has no IP."""

    def test_without_x_tables(self):
        build = os.path.join(TOP, "build") if BUILD.endswith("-asan") else BUILD
        program = os.path.join(build, "kube-proxy")
        # a checkout may be where only root can read
        script = "p=%s; cp -r %s /run/demo; $p --manifest-path=/run/demo --hostname-override=a; " \
            "echo ended with $?; $p --cleanup; echo ended with $?" % (program, TOP + "/packaging/demo")
        said = subprocess.run(
            [os.path.join(TOP, "tests/uml/run"), "--without",
             "ip_tables,ip6_tables", "sh", "-c", script], text=True, timeout=patient(120),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, KP_BUILD=build)).stdout
        for words in ("proxy mode nftables: --proxy-mode is not set: the kernel has no x_tables",
                      "IPv4: nf_tables does not take the rules: Operation not supported: "
                      "ip table kube-proxy", "IPv6: nf_tables does not take",
                      "the kernel's nf_tables accepts the rules of neither family",
                      "ended with 78", "cleanup: nothing to remove", "ended with 0"):
            self.assertIn(words, said)


if __name__ == "__main__":
    unittest.main()
