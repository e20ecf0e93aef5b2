"""The machine that tests/uml run in: what it passes on, and that nothing of it stays."""
import os
import subprocess
import tempfile
import unittest

from harness import BUILD, TOP
from limits import patient

RUN = os.path.join(TOP, "tests/uml/run")


def run(*args, **kw):
    return subprocess.run([RUN, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=patient(60), **kw)


class Machine(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.env = dict(os.environ, TMPDIR=self.dir.name, KP_BUILD=BUILD)

    def tearDown(self):
        self.assertEqual(os.listdir(self.dir.name), [])

    def test_output_directory_environment_and_status(self):
        script = ('cat /proc/version; pwd; printf "%s\\n" "$WORDS" "$@"; printf "\\a\\r\\n\\004\\377" >&2;'
                  "! touch here 2>/dev/null; head -c 3000000 /dev/zero; exit 77")
        r = run("sh", "-c", script, "-", "one 'two", "$three", cwd=self.dir.name,
                env=dict(self.env, WORDS="a \"b\" 'c' $d"))
        self.assertEqual((r.returncode, r.stderr), (77, b"\a\r\n\004\377"))
        lines = r.stdout.split(b"\n", 5)
        self.assertRegex(lines[0], rb"^Linux version 6\.1\.")
        self.assertEqual(lines[1:5], [self.dir.name.encode(), b"a \"b\" 'c' $d", b"one 'two",
                                      b"$three"])
        self.assertEqual(lines[5], bytes(3000000))

    def test_modules_are_there_or_not(self):
        r = run("--without=ip_vs_wlc,veth", "sh", "-c", "ipvsadm -A -t 10.0.0.1:80 -s rr; echo $?;"
                "ipvsadm -A -t 10.0.0.1:81 -s wlc; echo $?; ip link add a type veth; echo $?",
                env=self.env)
        self.assertEqual([l for l in r.stdout.split() if l.isdigit()], [b"0", b"255", b"1"], r)

    def test_a_command_that_hangs(self):
        r = run("--timeout=15", "sh", "-c", "echo begun; sleep 1000", env=self.env)
        self.assertEqual((r.returncode, r.stdout), (124, b"begun\n"), r)
        self.assertIn(b"15 s", r.stderr)

    def test_a_machine_that_falls(self):
        r = run("sh", "-c", "echo c >/proc/sysrq-trigger", env=self.env)
        self.assertEqual(r.returncode, 125, r)
        self.assertIn(b"Kernel panic", r.stderr)
        r = run("--mem=8M", "true", env=self.env)
        self.assertEqual(r.returncode, 125, r)


if __name__ == "__main__":
    unittest.main()
