"""What is in the image: programs, the libraries they load, and the few files that those read."""
import os
import re
import subprocess
import tempfile

from debian import Packages, run
from tree import Tree

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OURS = "kube-proxy"  # the package of what is built here
# Above what distributions allocate and below what subuid(5) does, so that no user of the node has the same id.
FIRST_ID = 65600
AUTHORITIES = "/usr/share/ca-certificates/mozilla"


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Contents:
    """tree: the files. origin: {file: the package it comes from}. packages: Debian's, once all files are there."""

    def __init__(self, epoch):
        self.tree = Tree(epoch)
        self.origin = {}
        self.sources = {}  # file of this machine: the files of the image that it went into
        self.packages = None
        for name in ("bin", "sbin", "lib", "lib64"):
            self.tree.directory("usr/" + name)
            self.tree.link(name, "usr/" + name)

    def file(self, path, content, package, mode=0o644):
        self.tree.file(path, content, mode)
        self.origin[path] = package

    def from_package(self, path, mode=0o644):
        """A file of a Debian package and, if PATH is a symbolic link to it, that."""
        real = os.path.realpath(path)
        self.tree.file(real[1:], read(real), mode)
        self.sources.setdefault(real, set()).add(real[1:])
        name = re.sub(r"^/(bin|sbin|lib\w*)/", r"/usr/\1/", path)
        if name != real:
            self.tree.link(name, os.path.relpath(real, os.path.dirname(name)))

    def program(self, source, path):
        """A program built here, without debugging information."""
        with tempfile.TemporaryDirectory() as d:
            stripped = os.path.join(d, "stripped")
            subprocess.run(["strip", "--strip-unneeded", "-o", stripped, source], check=True)
            self.file(path, read(stripped), OURS, 0o755)
        self.libraries(source)

    def libraries(self, program):
        """
        Those that the loader maps. glibc has its name services for /etc/hosts and DNS in libc.so itself; what it
        would load later for others (libgcc_s for pthread_cancel(3), gconv modules) is not used.
        """
        out = run("ldd", program)
        if "not found" in out or "=>" not in out:
            raise SystemExit("ldd %s: a library is missing:\n%s" % (program, out))
        for path in re.findall(r"(/\S+) \(0x", out):
            self.from_package(path, 0o755)

    def authorities(self):
        """Debian's set of certificate authorities, without what this machine's administrator added to it."""
        path = "etc/ssl/certs/ca-certificates.crt"
        sources = [os.path.join(AUTHORITIES, name) for name in sorted(os.listdir(AUTHORITIES))]
        self.tree.file(path, b"".join(read(s).rstrip(b"\n") + b"\n" for s in sources))
        for source in sources:
            self.sources.setdefault(source, set()).add(path)

    def users(self):
        rows = re.findall(r'^u (\S+) \S+ "(.*?)"',
                          read(os.path.join(TOP, "packaging/kube-proxy.sysusers")).decode(), re.M)
        passwd, group = "root:x:0:0:root:/:/usr/sbin/nologin\n", "root:x:0:\n"
        for number, (name, comment) in enumerate(rows, FIRST_ID):
            passwd += "%s:x:%d:%d:%s:/:/usr/sbin/nologin\n" % (name, number, number, comment)
            group += "%s:x:%d:\n" % (name, number)
        self.file("etc/passwd", passwd.encode(), OURS)
        self.file("etc/group", group.encode(), OURS)
        self.file("etc/nsswitch.conf", b"hosts: files dns\n", OURS)

    def documents(self):
        """Which packages there are, and their licences."""
        self.packages = Packages(self.sources)
        for source, paths in self.sources.items():
            for path in paths:
                self.origin[path] = self.packages.owner[source]
        for name in sorted(self.packages.known):
            self.file("usr/share/doc/%s/copyright" % name, self.packages.copyright(name), name)
            self.file("var/lib/dpkg/status.d/" + name, self.packages.status(name), name)
        self.file("usr/share/doc/%s/copyright" % OURS, read(os.path.join(TOP, "LICENSE")), OURS)


def contents(stage, init, epoch):
    """
    STAGE: where "make install" installed with PREFIX=/usr; of it, the programs. INIT: the init container's program.
    """
    c = Contents(epoch)
    for folder, _, names in os.walk(stage):
        for source in (os.path.join(folder, name) for name in names):
            if read(source)[:4] == b"\x7fELF":
                c.program(source, os.path.relpath(source, stage))
    c.program(init, "usr/libexec/kube-proxy/kube-proxy-init")
    c.tree.link("usr/local/bin/kube-proxy", "../../sbin/kube-proxy")  # where kubeadm's DaemonSet has it
    c.from_package("/sbin/modprobe", 0o755)
    c.libraries("/sbin/modprobe")
    c.authorities()
    c.users()
    c.from_package("/etc/os-release")
    c.documents()
    # what is mounted, and must be there since the root file system is read-only
    for path in ("dev", "proc", "run", "sys", "usr/lib/modules", "var/lib/kube-proxy"):
        c.tree.directory(path)
    c.tree.link("var/run", "/run")
    return c
