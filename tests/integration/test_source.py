#!/usr/bin/python3
"""Gates on the source itself, by other tools than the compiler that built what is tested here.

Each runs make in the build directories it has for that, whatever build the other tests are of; what
has not changed since a gate's last run is not built, and not looked at by clang-tidy, again.
"""
import ast
import os
import subprocess
import unittest

from harness import TOP, plain_env
from limits import patient

TAKES = 400  # seconds on an idle machine


def run(*cmd):
    return subprocess.run(cmd, cwd=TOP, env=plain_env(), text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patient(900))


def programs_in(interpreter):
    """Every file of the tree that starts with "#!" and names this interpreter."""
    found = []
    for folder, folders, files in os.walk(TOP):
        folders[:] = [f for f in folders if f != ".git" and not f.startswith("build")]
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                first = f.readline(80)
            if first.startswith(b"#!") and first.split(b"/")[-1].strip() in interpreter:
                found.append(path)
    return found


class Gates(unittest.TestCase):
    def make(self, *args):
        r = run("make", "-j%d" % os.cpu_count(), *args)
        self.assertEqual(r.returncode, 0, r.stdout)
        return r.stdout

    def test_format_and_clang_tidy(self):
        self.make("lint")

    def test_clang(self):
        self.assertIn(" passed, 0 failed", self.make("CC=clang", "check-unit"))

    def test_valgrind(self):
        self.assertIn(" passed, 0 failed", self.make("check-valgrind"))

    def test_fuzz(self):
        """A few seconds each: that the targets build, and hold on the seeds."""
        self.make("fuzz", "FUZZ_SECONDS=3")

    def test_shell_scripts(self):
        scripts = programs_in((b"sh", b"bash"))
        self.assertIn(os.path.join(TOP, "packaging/audit"), scripts)
        # Two of its remarks: $ within '' (an awk program), functions that traps and checks call.
        r = run("shellcheck", "--exclude=SC2016,SC2317", *scripts)
        self.assertEqual(r.returncode, 0, r.stdout)

    def test_python_compiles(self):
        scripts = programs_in((b"python3",)) + [os.path.join(TOP, "tests/integration/harness.py")]
        self.assertIn(os.path.abspath(__file__), scripts)
        for path in scripts:
            with self.subTest(path), open(path) as f:
                ast.parse(f.read(), path)


if __name__ == "__main__":
    unittest.main()
