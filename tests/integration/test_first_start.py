"""What an operator meets who starts the program for the first time: each mistake is said in plain
words, with what to do, and ends with the status that the manual page has for it."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BUILD, TOP, plain_env
from limits import patient

PROGRAM = os.path.join(os.path.abspath(BUILD), "kube-proxy")
CONFIG = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
KUBECONFIG = "apiVersion: v1\nkind: Config\n"
HEAD = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [\w-]+\] ")
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all",
          "--bounding-set=-all"]


class FirstStart(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="kp-first-")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        os.chmod(self.dir, 0o755)

    def file(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def run_it(self, *args, before=()):
        """In a network namespace of its own, in case it starts after all."""
        return subprocess.run(["unshare", "-n", *before, PROGRAM, *args], text=True, cwd=self.dir,
                              env=plain_env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=patient(60))

    def check(self, args, status, *said, before=()):
        with self.subTest(" ".join(args)):
            r = self.run_it(*args, before=before)
            lines = r.stderr.splitlines()
            self.assertEqual(r.returncode, status, r.stderr)
            for text in said:
                self.assertIn(text, r.stderr)
            if status == 2:  # on the command line: one line, without a log line's head
                self.assertEqual(len(lines), 1, r.stderr)
                self.assertRegex(lines[0], r"^kube-proxy: .*[;?] see --help$")
            else:
                self.assertTrue(all(HEAD.match(line) for line in lines), r.stderr)

    def test_command_line(self):
        for flag, said in (
                ("-proxy-mode=nftables", "flags have two dashes: --proxy-mode"),
                ("--conntrack-max=1", "did you mean --conntrack-max-per-core?"),
                ("--cluster-cidr=10.0.0.0/16,10.1.0.0/16", "two IPv4 prefixes"),
                ("--proxy-mode=ebpf", "expected iptables, nftables, ipvs or userspace"),
                ("start", "takes flags only")):
            self.check([flag], 2, said)
        self.check([], 2, "no source of Services: give --kubeconfig")

    def test_without_root(self):
        self.check(["--manifest-path=/usr"], 78, "missing capabilities: cap_net_admin",
                   "Start kube-proxy as root", before=NOBODY)

    def test_equal_users(self):
        """No process has another's uid or gid."""
        with open("/etc/passwd", encoding="ascii") as f:
            text = f.read()
        uid, gid = re.search(r"(?m)^_kproxy-w:x:(\d+):(\d+)", text).groups()
        for field, to in ((r"\g<1>%s:\g<3>" % uid, "uid"), (r"\g<1>\g<2>:%s" % gid, "gid")):
            with self.subTest(field=to):
                same = re.sub(r"(?m)^(_kproxy-l:x:)(\d+):(\d+)", field, text)
                self.assertNotEqual(same, text)
                mount = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"',
                         self.file("passwd", same)]
                self.check(["--manifest-path=/usr"], 78,
                           "users _kproxy-w and _kproxy-l share a uid or gid", before=mount)

    def test_missing_users(self):
        with open("/etc/passwd", encoding="ascii") as f:
            lines = f.readlines()
        for missing in (["_kproxy-p"], ["_kproxy-a", "_kproxy-l"]):
            passwd = self.file("passwd", "".join(
                line for line in lines if line.split(":")[0] not in missing))
            mount = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"',
                     passwd]
            self.check(["--manifest-path=/usr"], 78, "missing users: %s (" % " ".join(missing),
                       "for u in %s; do useradd" % " ".join(missing), before=mount)

    def test_kubeconfig(self):
        context = "current-context: a\ncontexts:\n- name: b\n  context: {cluster: c}\n"
        for path, said in (
                ("/no/such/file", ("No such file", "is the path right?")),
                (self.dir, ("it is a directory, not a file",)),
                (self.file("secret", KUBECONFIG, 0o600), ("readable by the group _kproxy-w",)),
                (self.file("empty", ""), ("is empty; expected a document of kind Config",)),
                (self.file("text", "hello\n"), ("is not a kubeconfig",)),
                (self.file("proxy", CONFIG), ("KubeProxyConfiguration is given with --config",)),
                (self.file("bare", KUBECONFIG), ("current-context: is missing",)),
                (self.file("context", KUBECONFIG + context), ('contexts: none has the name "a"',))):
            self.check(["--kubeconfig=" + path], 78, path, *said)

    def test_config(self):
        for path, said in (
                ("/no/such/file", "No such file"),
                (self.dir, "it is a directory, not a file"),
                (self.file("secret", CONFIG, 0o600), "readable by the group _kproxy-w"),
                (self.file("empty", ""), "the file is empty; expected a KubeProxyConfiguration"),
                (self.file("text", "hello\n"), ":1: expected a KubeProxyConfiguration"),
                (self.file("kubeconfig", KUBECONFIG), "a kubeconfig is given with --kubeconfig"),
                (self.file("version", CONFIG.replace("v1alpha1", "v1")),
                 "expected kubeproxy.config.k8s.io/v1alpha1"),
                (self.file("case", CONFIG + "clusterCidr: 10.0.0.0/8\nmode: x\n"),
                 "no field clusterCidr; did you mean clusterCIDR?")):
            self.check(["--config=" + path], 78, path, said)

    def test_manifests(self):
        self.check(["--manifest-path=/no/such"], 78, '"/no/such": cannot be read: No such file')
        self.check(["--manifest-path=" + self.file("secret", "", 0o600)], 78,
                   "readable by the group _kproxy-w")
        r = self.run_it("--dry-run", "--manifest-path=" + self.file("text", "a: 1\n"))
        self.assertEqual(r.returncode, 0)
        self.assertIn("text:1: not a Kubernetes object", r.stderr)

    def test_unknown_service(self):
        shutil.copytree(os.path.join(TOP, "packaging/demo"), self.dir + "/demo")
        for query, said in (
                ("namespace=demmo", 'did you mean namespace "demo"?'),
                ("name=no-such-service", 'there is no Service "no-such-service"')):
            r = self.run_it("--manifest-path=demo", "--hostname-override=a",
                            "--inspect=/services?" + query)
            self.assertEqual(r.returncode, 1, r.stderr)
            self.assertIn(said, r.stdout)

    def test_help_into_a_pipe_that_closes(self):
        """`kube-proxy --help | head -1` says nothing else."""
        r = subprocess.run(["sh", "-c", '"$0" --help-all | head -1', PROGRAM], text=True,
                           timeout=patient(60), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((r.stdout, r.stderr), ("Usage: kube-proxy [flags]\n", ""))


if __name__ == "__main__":
    unittest.main()
