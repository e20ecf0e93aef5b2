"""The Debian package: built twice, looked at by lintian, completed by shells, and taken through its life
with dpkg. What needs systemd as PID 1 or AppArmor is in tests/boot."""
import glob
import hashlib
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(TOP, "tests/boot"))
import deb as our_deb  # noqa: E402
from deb import VERSION  # noqa: E402

DEB = "kube-proxy_%s_amd64.deb" % VERSION
DBGSYM = "kube-proxy-dbgsym_%s_amd64.deb" % VERSION
USERS = ["_kproxy-a", "_kproxy-p", "_kproxy-w", "_kproxy-l", "_kproxy-c", "_kproxy-r",
         "_kproxy-b"]
LIMIT = 1700  # seconds for a build beside other jobs
TAKES = 180  # seconds, most of them for two builds

# Every file and link of the package beside the programs and their manual pages, with its mode.
CONTENTS = """
-rw-r--r-- ./etc/apparmor.d/abstractions/kube-proxy
-rw-r--r-- ./etc/apparmor.d/abstractions/kube-proxy-credentials
-rw-r--r-- ./etc/apparmor.d/kube-proxy
-rw-r--r-- ./etc/default/kube-proxy
-rw-r--r-- ./etc/logrotate.d/kube-proxy
-rw-r--r-- ./lib/systemd/system/kube-proxy-kubeconfig@.path
-rw-r--r-- ./lib/systemd/system/kube-proxy-kubeconfig@.service
-rw-r--r-- ./lib/systemd/system/kube-proxy.service
lrwxrwxrwx ./usr/bin/kube-proxy
-rw-r--r-- ./usr/lib/sysusers.d/kube-proxy.conf
-rw-r--r-- ./usr/lib/tmpfiles.d/kube-proxy.conf
-rwxr-xr-x ./usr/libexec/kube-proxy/kubeconfig-changed
-rwxr-xr-x ./usr/libexec/kube-proxy/kubeconfig-ready
-rwxr-xr-x ./usr/sbin/kube-proxy
-rw-r--r-- ./usr/share/bash-completion/completions/kube-proxy
-rw-r--r-- ./usr/share/doc/kube-proxy/README.Debian
-rw-r--r-- ./usr/share/doc/kube-proxy/README.md.gz
-rw-r--r-- ./usr/share/doc/kube-proxy/changelog.gz
-rw-r--r-- ./usr/share/doc/kube-proxy/copyright
-rw-r--r-- ./usr/share/zsh/vendor-completions/_kube-proxy
""".split("\n")[1:-1]
MANUALS = glob.glob(os.path.join(TOP, "*/kube-proxy*.8"))


def run(*cmd, **kw):
    return subprocess.run(cmd, **{"text": True, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                                  "stderr": subprocess.STDOUT, "timeout": LIMIT, "cwd": TOP, **kw})


def must(*cmd, **kw):
    r = run(*cmd, **kw)
    if r.returncode != 0:
        raise RuntimeError("%s: status %d\n%s" % (" ".join(cmd), r.returncode, r.stdout))
    return r.stdout


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def setUpModule():
    global tmp, built, tree
    tmp = tempfile.mkdtemp(prefix="kp-package-")
    built = our_deb.ensure()
    tree = os.path.join(tmp, "tree")
    must("dpkg-deb", "-x", os.path.join(built, DEB), tree)


def tearDownModule():
    shutil.rmtree(tmp)


class Package(unittest.TestCase):
    def test_a_second_build_is_bit_identical(self):
        again = os.path.join(tmp, "another-place")
        our_deb.build(again)
        for name in DEB, DBGSYM:
            self.assertEqual(digest(os.path.join(built, name)), digest(os.path.join(again, name)), name)

    def test_lintian_has_no_error_and_no_warning(self):
        changes = os.path.join(built, DEB.replace(".deb", ".changes"))
        r = run("lintian", "--allow-root", "-EvIL", "+pedantic", "--no-tag-display-limit", changes)
        tags = re.findall(r"^[EW]: .*", r.stdout, re.M)
        self.assertEqual((r.returncode, tags), (0, []), r.stdout)
        self.assertNotIn("internal error", r.stdout)

    def test_contents(self):
        found = []
        for line in must("dpkg-deb", "-c", os.path.join(built, DEB)).splitlines():
            mode, owner, _, _, _, path = line.split(None, 5)
            self.assertEqual(owner, "root/root", line)
            if mode.startswith("d"):
                self.assertEqual(mode, "drwxr-xr-x", line)
            else:
                found.append("%s %s" % (mode, path.split(" -> ")[0]))
        programs = [os.path.basename(p)[:-2] for p in MANUALS]
        programs.remove("kube-proxy")
        self.assertEqual(sorted(found), sorted(
            CONTENTS + ["-rwxr-xr-x ./usr/libexec/kube-proxy/" + name for name in programs] +
            ["-rw-r--r-- ./usr/share/man/man8/%s.gz" % os.path.basename(p) for p in MANUALS]))
        self.assertEqual(os.readlink(tree + "/usr/bin/kube-proxy"), "../sbin/kube-proxy")

    def test_debug_symbols_belong_to_the_programs(self):
        must("dpkg-deb", "-x", os.path.join(built, DBGSYM), os.path.join(tmp, "dbgsym"))
        for program in "sbin/kube-proxy", "libexec/kube-proxy/kube-proxy-planner":
            notes = must("readelf", "-n", "%s/usr/%s" % (tree, program))
            build_id = re.search(r"Build ID: (\w\w)(\w+)", notes)
            path = "%s/dbgsym/usr/lib/debug/.build-id/%s/%s.debug" % (tmp, build_id[1], build_id[2])
            self.assertIn(".debug_info", must("readelf", "-SW", path))

    def test_apparmor_profile_compiles_for_debian_12(self):
        profile = tree + "/etc/apparmor.d/kube-proxy"
        r = run("apparmor_parser", "--skip-kernel-load", "--skip-cache", "--Werror", "--features-file",
                "/etc/apparmor.d/abi/3.0", "-I", tree + "/etc/apparmor.d", "-I", "/etc/apparmor.d", profile)
        self.assertEqual((r.returncode, r.stdout), (0, ""))


class Shell:
    """An interactive shell on a terminal, into which keys are typed."""

    def __init__(self, argv, start):
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp,
                                        start_new_session=True,
                                        env={"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": tmp,
                                             "PS1": "ready> "})
        os.close(theirs)
        self.until_idle(start)

    def until_idle(self, keys):
        """Types KEYS, gives up the line, and returns what the terminal then showed."""
        os.write(self.terminal, (keys + "\x15echo D''ONE\r").encode())
        shown, end = "", time.monotonic() + 300
        # Keys typed before the prompt would be the terminal's to interpret, not the shell's.
        while not re.search(r"DONE\r*\n.*ready> ", shown, re.S):
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                raise RuntimeError("the shell does not answer; it shows: %r" % shown)
            shown += os.read(self.terminal, 4096).decode(errors="replace")
        return shown

    def complete(self, line):
        return self.until_idle(line + "\t\t")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


class Completion:
    """What both shells complete, as a user types it."""

    def test_flag(self):
        self.assertIn("--iptables-localhost-nodeports", self.shell.complete("kube-proxy --iptables-loc"))

    def test_value_of_an_enumeration(self):
        self.assertIn("--proxy-mode=nftables", self.shell.complete("kube-proxy --proxy-mode=nf"))
        self.assertIn("--proxy-mode userspace", self.shell.complete("kube-proxy --proxy-mode us"))
        shown = self.shell.complete("kube-proxy --proxy-mode=")
        for mode in "iptables", "nftables", "ipvs", "userspace":
            self.assertIn(mode, shown)
        self.assertIn("--dry-run=true", self.shell.complete("kube-proxy --dry-run=tr"))

    def test_file(self):
        with open(os.path.join(tmp, "some-kubeconfig"), "w"):
            pass
        self.assertIn("=some-kubeconfig", self.shell.complete("kube-proxy --kubeconfig=some-k"))

    def test_flags_without_effect_are_not_offered(self):
        shown = self.shell.complete("kube-proxy --azure-c")
        self.assertNotIn("--azure-container", shown)


class Bash(Completion, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shell = Shell(["bash", "--norc", "--noprofile", "-i"],
                          "bind 'set bell-style none'; . /usr/share/bash-completion/bash_completion\r"
                          ". %s/usr/share/bash-completion/completions/kube-proxy\r" % tree)
        cls.addClassCleanup(cls.shell.close)


class Zsh(Completion, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shell = Shell(["zsh", "-f", "-i"],
                          "fpath=(%s/usr/share/zsh/vendor-completions $fpath)\r"
                          "autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste\r" % tree)
        cls.addClassCleanup(cls.shell.close)


class Root:
    """A copy-on-write copy of this machine's root, in mount and network namespaces of its own."""
    SET_UP = """set -e
        mount -t tmpfs tmpfs "$1"
        mkdir "$1/upper" "$1/work" "$1/root"
        mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
        for d in proc sys dev; do mount --rbind "/$d" "$1/root/$d"; done
        mount -t tmpfs tmpfs "$1/root/run"
        mount -t tmpfs tmpfs "$1/root/tmp"
        ip link set lo up
        echo ready
        exec cat"""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="kp-root-")
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", self.SET_UP, "sh",
             self.dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.holder.stdout.readline()
        if line != "ready\n":
            raise RuntimeError(line + self.holder.stdout.read())

    def enter(self, *cmd):
        return ["nsenter", "--target", str(self.holder.pid), "--mount", "--net", "chroot",
                self.dir + "/root", "env", "DEBIAN_FRONTEND=noninteractive",
                "TMPDIR=/tmp", *cmd]

    def run(self, *cmd):
        return run(*self.enter(*cmd), cwd="/")

    def must(self, *cmd):
        return must(*self.enter(*cmd), cwd="/")

    def write(self, path, text):
        must(*self.enter("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', path), cwd="/",
             stdin=None, input=text)

    def copy_in(self, path):
        """Copies a file of the outside to the same name in /tmp."""
        name = "/tmp/" + os.path.basename(path)
        with open(path, "rb") as f:
            must(*self.enter("sh", "-c", 'cat >"$0"', name), cwd="/", stdin=f)
        return name

    def of_the_package(self):
        """The files below / that were made here and have kube-proxy's name; white-outs are none."""
        found = must("nsenter", "--target", str(self.holder.pid), "--mount", "find", self.dir + "/upper",
                     "-not", "-type", "c", "-name", "*kube*proxy*", cwd="/")
        return [line[len(self.dir) + 6:] for line in found.splitlines()]

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()
        os.rmdir(self.dir)


def make_deb(name, version, files, scratch):
    """A package of somebody else's, with FILES."""
    folder = os.path.join(scratch, name)
    for path in files:
        os.makedirs(os.path.dirname(folder + path), exist_ok=True)
        with open(folder + path, "w") as f:
            f.write("not ours\n")
    os.makedirs(folder + "/DEBIAN")
    with open(folder + "/DEBIAN/control", "w") as f:
        f.write("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
                "Description: a test's package\n" % (name, version))
    deb = folder + ".deb"
    must("dpkg-deb", "--root-owner-group", "-b", folder, deb)
    return deb


def make_older(scratch):
    """Our package as if it were of an older version, with another default for the flags."""
    folder = os.path.join(scratch, "older")
    must("dpkg-deb", "-R", os.path.join(built, DEB), folder)
    must("sed", "-i", "s/^Version: .*/Version: 0.0.1~test/", folder + "/DEBIAN/control")
    with open(folder + "/etc/default/kube-proxy", "a") as f:
        f.write("# older\n")
    deb = os.path.join(scratch, "kube-proxy-older.deb")
    must("dpkg-deb", "--root-owner-group", "-b", folder, deb)
    return deb


class Life(unittest.TestCase):
    def setUp(self):
        self.root = Root()
        self.addCleanup(self.root.close)
        self.scratch = tempfile.mkdtemp(prefix="kp-deb-")
        self.addCleanup(shutil.rmtree, self.scratch)
        self.deb = self.root.copy_in(os.path.join(built, DEB))

    def status(self):
        return self.root.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "kube-proxy").stdout.strip()

    def test_install(self):
        self.root.must("dpkg", "-i", self.deb)
        self.assertEqual(self.status(), "ii")
        for user in USERS:
            self.assertIn("nologin", self.root.must("getent", "passwd", user))
        self.assertEqual(self.root.must("stat", "-c", "%A %U %G", "/var/lib/kube-proxy", "/run/xtables.lock"),
                         "drwxr-x--- root _kproxy-w\n-rw-r----- root _kproxy-a\n")
        self.assertEqual(self.root.must("systemctl", "is-enabled", "kube-proxy.service").strip(), "enabled")
        written = self.root.must("kube-proxy", "--write-config-to=-", "--proxy-mode=ipvs")
        self.assertIn('mode: "ipvs"', written)
        self.assertIn("KUBE-PROXY", self.root.must("man", "-P", "cat", "kube-proxy").upper())

    def test_upgrade_keeps_what_the_administrator_changed(self):
        older = self.root.copy_in(make_older(self.scratch))
        self.root.must("dpkg", "-i", older)
        changed = 'KUBE_PROXY_ARGS="--config=/var/lib/kube-proxy/config.conf"\n'
        self.root.write("/etc/default/kube-proxy", changed)
        self.root.write("/etc/apparmor.d/local/kube-proxy", "/srv/kubernetes/** r,\n")
        self.root.write("/var/lib/kube-proxy/kubeconfig", "secret\n")
        self.root.must("systemctl", "disable", "kube-proxy.service")
        self.root.must("dpkg", "--force-confold", "-i", self.deb)
        self.assertEqual(self.root.must("dpkg-query", "-W", "-f", "${Version}", "kube-proxy"), VERSION)
        self.assertEqual(self.root.must("cat", "/etc/default/kube-proxy"), changed)
        self.assertNotIn("# older", self.root.must("cat", "/etc/default/kube-proxy.dpkg-dist"))
        self.assertIn("/srv/kubernetes", self.root.must("cat", "/etc/apparmor.d/local/kube-proxy"))
        self.assertEqual(self.root.must("cat", "/var/lib/kube-proxy/kubeconfig"), "secret\n")
        self.assertEqual(self.root.run("systemctl", "is-enabled", "kube-proxy.service").stdout.strip(),
                         "disabled")

    def rules(self):
        return self.root.must("nft", "list", "ruleset")

    def program_rules(self):
        """Starts the installed program until it has programmed the demo's Service, then ends it."""
        for name in "service.yaml", "slices.yaml":
            with open(os.path.join(TOP, "packaging/demo", name)) as f:
                self.root.write("/var/lib/kube-proxy/manifests/" + name, f.read())
        self.root.must("chmod", "-R", "a+rX", "/var/lib/kube-proxy/manifests")
        proxy = subprocess.Popen(self.root.enter(
            "/usr/sbin/kube-proxy", "--proxy-mode=nftables", "--hostname-override=demo",
            "--manifest-path=/var/lib/kube-proxy/manifests", "--audit-log=stderr"),
            cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            end = time.monotonic() + 300
            while "10.96.0.10" not in self.rules():
                if proxy.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("nothing is programmed")
                time.sleep(0.2)
        finally:
            proxy.terminate()
            output = proxy.communicate()[0]
            if proxy.returncode != 0:
                print(output)

    def test_remove_and_purge_leave_rules_and_no_file(self):
        self.root.must("dpkg", "-i", self.deb)
        self.program_rules()
        self.root.write("/etc/default/kube-proxy", "KUBE_PROXY_ARGS=--changed\n")
        self.root.write("/var/log/kube-proxy/audit.log", "a line\n")
        before = self.rules()

        self.root.must("dpkg", "-r", "kube-proxy")
        self.assertEqual(self.status(), "rc")
        self.assertEqual(self.rules(), before)
        self.assertNotEqual(self.root.run("test", "-e", "/usr/sbin/kube-proxy").returncode, 0)

        self.root.must("dpkg", "-i", self.deb)
        self.assertEqual(self.root.must("cat", "/etc/default/kube-proxy"), "KUBE_PROXY_ARGS=--changed\n")

        self.root.must("dpkg", "-P", "kube-proxy")
        self.assertEqual(self.rules(), before)
        # the administrator's files, and no other
        self.root.must("rm", "-r", "/var/lib/kube-proxy/manifests")
        self.root.must("rmdir", "/var/lib/kube-proxy")
        self.assertEqual(self.root.of_the_package(), [])
        for user in USERS:
            self.root.must("getent", "passwd", user)

        self.root.must("dpkg", "-i", self.deb)
        self.assertEqual(self.status(), "ii")
        self.assertEqual(self.root.run("kube-proxy", "--cleanup", "--audit-log=stderr").returncode, 0)
        self.assertNotIn("10.96.0.10", self.rules())
        self.root.must("dpkg", "-P", "kube-proxy")
        self.assertEqual(self.root.of_the_package(), [])

    def test_another_package_with_the_program(self):
        node = self.root.copy_in(make_deb("kubernetes-node", "1.36.0", ["/usr/bin/kubelet"], self.scratch))
        other = self.root.copy_in(make_deb("other-proxy", "1.36.0", ["/usr/bin/kube-proxy"], self.scratch))
        for package, deb, complaint in (
                ("kubernetes-node", node, "kube-proxy conflicts with kubernetes-node"),
                ("other-proxy", other, "trying to overwrite '/usr/bin/kube-proxy', which is also in package "
                                       "other-proxy")):
            with self.subTest(package):
                self.root.must("dpkg", "-i", deb)
                r = self.root.run("dpkg", "-i", self.deb)
                self.assertNotEqual(r.returncode, 0)
                self.assertIn(complaint, r.stdout)
                self.assertNotIn("ii", self.status())
                self.assertNotEqual(self.root.run("test", "-e", "/usr/sbin/kube-proxy").returncode, 0)
                self.root.must("dpkg", "-P", package)
        self.root.must("dpkg", "-i", self.deb)
        self.assertEqual(self.status(), "ii")

    def test_autopkgtest(self):
        """What debian/tests has, with the installed package: the demo and its packets."""
        source = os.path.join(self.scratch, "source.tar")
        must("tar", "-C", os.path.join(built, "kube-proxy-" + VERSION), "-cf", source, "debian", "packaging")
        self.root.must("mkdir", "/tmp/source")
        self.root.must("tar", "-C", "/tmp/source", "-xf", self.root.copy_in(source))
        # everything that the tests depend on is installed, and no archive can be reached
        self.root.must("sh", "-c", "rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
        r = self.root.run("autopkgtest", "--no-built-binaries", self.deb, "/tmp/source", "--", "null")
        self.assertEqual(r.returncode, 0, r.stdout)
        for name in "basic", "demo":
            self.assertRegex(r.stdout, r"(?m)^%s +PASS$" % name)


if __name__ == "__main__":
    unittest.main()
