"""The audit log: what was changed, in words; its chain; and that nothing is done that it cannot record."""
import os
import re
import subprocess
import unittest

from harness import BUILD, Node, service, slice_of

TAKES = 40
CHAIN = re.compile(r" chain=([0-9a-f]{32})$")


def verify(path):
    r = subprocess.run([os.path.join(BUILD, "kube-proxy"), "--verify-audit-log=" + path], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return r.returncode, r.stdout


def fill(path):
    """Until there is no room for a byte."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, b"x" * 512)
    except OSError:
        pass
    os.close(fd)


class Audit(unittest.TestCase):
    modes = ("iptables", "nftables")

    def setUp(self):
        self.n = Node(pods=2).__enter__()
        self.addCleanup(self.n.__exit__)

    def objects(self, count):
        return [obj for i in range(count) for obj in (
            service(f"s{i}", [f"10.96.{i // 250}.{i % 250 + 1}"], [("", 80, "TCP")]),
            slice_of(f"s{i}", [self.n.pod_ip(0)], [("", Node.PORT, "TCP")]))]

    def start(self, mode, objects):
        n = self.n
        n.start("--manifest-path", n.write("objects.json", objects), "--proxy-mode=" + mode,
                "--iptables-min-sync-period=0s")

    def change(self, objects, words):
        n = self.n
        before = len(n.audited())
        n.write("objects.json", objects)
        n.wait(words, lambda: re.search(words, n.audited()[before:]) and "result ok" in n.audited()[before:])
        return n.audited()[before:].splitlines()

    ADDED = {"iptables": r"adds ipv4 nat KUBE-SERVICES: cluster-ip dst=10\.96\.0\.3 proto=6 dport=80 name=default/s2 ",
             "nftables": r"adds ip services address=10\.96\.0\.3 proto=6 port=80 name=default/s2"}
    REMOVED = {"iptables": r"removes 1 of \d+ rules: ipv4 nat KUBE-SERVICES",
               "nftables": r"deletes ip services address=10\.96\.0\.3 proto=6 port=80"}

    def test_changes_in_words(self):
        """A frontend that comes and goes is told by its name, and nothing that stayed."""
        for mode in self.modes:
            with self.subTest(mode=mode):
                self.start(mode, self.objects(2))
                lines = self.change(self.objects(3), self.ADDED[mode])
                self.assertFalse([l for l in lines if "default/s0" in l or "default/s1" in l], lines)
                lines = self.change(self.objects(2), self.REMOVED[mode])
                self.assertFalse([l for l in lines if "default/s0" in l or "default/s1" in l], lines)
                self.n.stop()
                self.assertEqual(verify(self.n.audit)[0], 0, verify(self.n.audit))

    def test_a_large_transaction_is_bounded(self):
        for mode in self.modes:
            with self.subTest(mode=mode):
                open(self.n.audit, "w").close()
                self.start(mode, self.objects(300))
                self.n.stop()
                first = [l for l in self.n.audited().splitlines() if " generation 1:" in l]
                self.assertEqual(len(first), 64)

    def test_the_chain(self):
        """It goes on over restarts; a line changed, taken out or added is found."""
        n = self.n
        for i in range(2):
            self.start("nftables", self.objects(2 + i))
            n.stop()
        code, said = verify(n.audit)
        self.assertEqual(code, 0, said)
        self.assertIn(" 0 not chained to the one before; the first begins the log", said)
        lines = n.audited().splitlines(True)
        self.assertTrue(all(CHAIN.search(l.rstrip()) for l in lines), lines)
        other = os.path.join(n.dir, "other")
        for name, changed, line in (
                ("changed", lines[:2] + [lines[2].replace("10.96", "10.97")] + lines[3:], 3),
                ("taken out", lines[:3] + lines[4:], 4),
                ("added", lines[:3] + ["2026-01-01T00:00:00Z generation 9: nothing\n"] + lines[3:], 4),
                ("swapped", lines[:2] + [lines[3], lines[2]] + lines[4:], 3)):
            with self.subTest(name):
                with open(other, "w") as f:
                    f.writelines(changed)
                code, said = verify(other)
                self.assertEqual(code, 1, said)
                self.assertIn("line %d: " % line, said)
        with open(other, "w") as f:
            f.writelines(lines[3:])
        code, said = verify(other)
        self.assertEqual(code, 0, said)
        self.assertIn("the first continues a file that ended before it", said)

    def test_what_cannot_be_read(self):
        self.assertEqual(verify("/nonexistent")[0], 78)
        code, said = verify("/dev/null")
        self.assertEqual((code, said), (1, "no line could be read\n"))
        r = subprocess.run([os.path.join(BUILD, "kube-proxy"), "--verify-audit-log=/a", "--v=1"], text=True,
                           stderr=subprocess.PIPE)
        self.assertEqual(r.returncode, 2)
        self.assertIn("--verify-audit-log=FILE is given alone", r.stderr)

    def test_nothing_is_done_that_cannot_be_recorded(self):
        """The log's file system is full: what is programmed stays, what is wanted waits, and comes."""
        n = self.n
        full = os.path.join(n.dir, "full")
        os.mkdir(full, 0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0755", "none", full], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", full])
        n.audit = os.path.join(full, "audit")
        for mode in self.modes:
            with self.subTest(mode=mode):
                self.start(mode, self.objects(1))
                fill(os.path.join(full, "ballast"))
                ask = lambda i: n.ask(n.client, f"10.96.0.{i + 1}", 80, timeout=0.7).split(" ")[0]
                n.write("objects.json", self.objects(40))  # more lines than a page has room for
                n.wait("the refusal", lambda: "the audit log cannot be written: nothing is changed" in n.logged())
                self.assertEqual(ask(0), "pod1")
                self.assertNotEqual(ask(39), "pod1")
                os.unlink(os.path.join(full, "ballast"))
                n.wait("what waited", lambda: ask(39) == "pod1", 40)
                n.stop()
                os.unlink(n.audit)


if __name__ == "__main__":
    unittest.main()
