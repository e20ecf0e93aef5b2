#!/usr/bin/python3
"""The container image: its bytes, what is in it, and its pod under runc, judged by packets."""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from apiserver import Stub
from container import CAPABILITIES, Image, Pod
from harness import Node, inside, ns_socket, plain_env, service, sh, slice_of
from limits import patient
from kubernetes import load
from limits import patient
from test_kubernetes import DATA, OURS, TOP, outcome

VIP4, VIP6 = "10.96.0.10", "fd00:96::10"
TOKEN = "s3cr3t-token"


def make(tree, output, **env):
    """Builds the image in the directory OUTPUT; returns the archive's path."""
    r = subprocess.run(["make", "image", "IMAGE_DIR=" + output], cwd=tree, text=True, timeout=3600,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env=dict(plain_env(), SOURCE_DATE_EPOCH="1700000000", **env))
    if r.returncode != 0:
        raise RuntimeError(r.stdout)
    return os.path.join(output, "kube-proxy.oci.tar")


def setUpModule():
    global tmp, archive, image
    tmp = tempfile.mkdtemp(prefix="kp-image-")
    unittest.addModuleCleanup(shutil.rmtree, tmp, ignore_errors=True)
    os.chmod(tmp, 0o755)
    archive = make(TOP, os.path.join(tmp, "built"))
    os.mkdir(os.path.join(tmp, "unpacked"), 0o755)
    image = Image(archive, os.path.join(tmp, "unpacked"))


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Archive(unittest.TestCase):
    def test_skopeo_reads_it(self):
        """skopeo (as podman load) parses the layout and verifies each digest."""
        copy = os.path.join(tmp, "copy")
        r = subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "oci-archive:" + archive, "dir:" + copy],
                           text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patient(300))
        self.assertEqual(r.returncode, 0, r.stdout)
        self.assertEqual(json.loads(read(copy + "/manifest.json")), image.manifest)

    def test_layout(self):
        self.assertEqual(json.loads(image.blobs["oci-layout"]), {"imageLayoutVersion": "1.0.0"})
        [entry] = image.index["manifests"]
        pod = load(OURS)["spec"]["template"]["spec"]
        for name in ("io.containerd.image.name", "org.opencontainers.image.ref.name"):
            self.assertEqual({entry["annotations"][name]},
                             {c["image"] for c in pod["initContainers"] + pod["containers"]})
        self.assertEqual(entry["platform"], {"os": "linux", "architecture": image.config["architecture"]})
        self.assertEqual(image.names, sorted(image.names))

    def test_same_bytes_from_elsewhere(self):
        """Another directory, umask, time zone and language; everything compiled anew."""
        tree = os.path.join(tmp, "elsewhere/tree")
        shutil.copytree(TOP, tree, symlinks=True, ignore=lambda folder, names: [
            n for n in names if folder == TOP and (n == ".git" or n.startswith("build"))])
        before = os.umask(0o077)
        try:
            second = make(tree, os.path.join(tree, "output"), TZ="Asia/Tokyo", LC_ALL="C.UTF-8", MAKEFLAGS="-j2")
        finally:
            os.umask(before)
        for name in ("kube-proxy.oci.tar", "kube-proxy.spdx.json"):
            self.assertEqual(read(os.path.join(os.path.dirname(archive), name)),
                             read(os.path.join(os.path.dirname(second), name)), name)


class Files(unittest.TestCase):
    def test_owners_and_modes(self):
        for m in image.members:
            self.assertEqual((m.uid, m.gid, m.mtime), (0, 0, 1700000000), m.name)
            self.assertTrue(m.issym() or m.mode & 0o7022 == 0, m.name)  # no setuid, nobody else may write
        self.assertEqual([m.name for m in image.members], sorted(m.name for m in image.members))

    def programs(self):
        return [m.name for m in image.members if m.isfile() and m.mode & 0o111 and ".so" not in m.name]

    def test_programs(self):
        """The product's and kmod: no shell, no package manager."""
        stage = os.path.join(os.path.dirname(archive), "stage")
        ours = [os.path.relpath(os.path.join(d, n), stage) for d, _, names in os.walk(stage) for n in names
                if read(os.path.join(d, n))[:4] == b"\x7fELF"]
        self.assertIn("usr/sbin/kube-proxy", ours)
        self.assertEqual(sorted(self.programs()),
                         sorted(ours + ["usr/bin/kmod", "usr/libexec/kube-proxy/kube-proxy-init"]))
        self.assertEqual(os.path.realpath(image.root + "/usr/local/bin/kube-proxy"),
                         image.root + "/usr/sbin/kube-proxy")

    def test_libraries_are_those_that_programs_load(self):
        """By the image's own loader, with nothing of this machine in reach."""
        loaded = set()
        for program in self.programs():
            r = subprocess.run(["chroot", image.root, "/lib64/ld-linux-x86-64.so.2", "--list", "/" + program],
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patient(60))
            self.assertEqual(r.returncode, 0, program + r.stdout)
            self.assertNotIn("not found", r.stdout)
            for path in re.findall(r"(/\S+) \(0x", r.stdout) + ["/lib64/ld-linux-x86-64.so.2"]:
                loaded.add(os.path.relpath(os.path.realpath(image.root + path), image.root))
        self.assertEqual({m.name for m in image.members if m.isfile() and ".so" in m.name}, loaded)

    def test_users(self):
        wanted = re.findall(r"^u (\S+)", read(os.path.join(TOP, "packaging/kube-proxy.sysusers")).decode(), re.M)
        rows = {line.split(":")[0]: line.split(":")
                for line in read(image.root + "/etc/passwd").decode().splitlines()}
        self.assertEqual(sorted(rows), sorted(wanted + ["root"]))
        self.assertEqual(len({r[2] for r in rows.values()}), len(rows))
        group = load(OURS)["spec"]["template"]["spec"]["securityContext"]["fsGroup"]
        self.assertEqual(int(rows["_kproxy-w"][3]), group)
        self.assertIn("_kproxy-w:x:%d:\n" % group, read(image.root + "/etc/group").decode())

    def test_authorities(self):
        bundle = read(image.root + "/etc/ssl/certs/ca-certificates.crt")
        self.assertGreater(bundle.count(b"-----BEGIN CERTIFICATE-----\n"), 100)
        self.assertEqual(bundle.count(b"-----BEGIN"), bundle.count(b"\n-----END CERTIFICATE-----\n"))


class BillOfMaterials(unittest.TestCase):
    """Against the fields that SPDX 2.3 demands (clauses 6, 7, 8 and 11), and against the image."""

    def setUp(self):
        self.doc = json.loads(read(os.path.join(os.path.dirname(archive), "kube-proxy.spdx.json")))

    def test_document(self):
        d = self.doc
        self.assertEqual((d["spdxVersion"], d["dataLicense"], d["SPDXID"]),
                         ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"))
        self.assertTrue(d["name"])
        self.assertRegex(d["documentNamespace"], r"^https://[^#\s]+$")
        self.assertEqual(d["creationInfo"]["created"], "2023-11-14T22:13:20Z")
        for creator in d["creationInfo"]["creators"]:
            self.assertRegex(creator, r"^(Person|Organization|Tool): \S")
        ids = ["SPDXRef-DOCUMENT"] + [e["SPDXID"] for e in d["packages"] + d["files"]]
        self.assertEqual(len(set(ids)), len(ids))
        for i in ids:
            self.assertRegex(i, r"^SPDXRef-[A-Za-z0-9.-]+$")
        for r in d["relationships"]:
            self.assertIn(r["relationshipType"], ("DESCRIBES", "CONTAINS"))
            self.assertLessEqual({r["spdxElementId"], r["relatedSpdxElement"]}, set(ids))
        self.assertEqual(sum(r["relationshipType"] == "DESCRIBES" for r in d["relationships"]), 1)

    def test_packages_are_those_of_this_machine(self):
        described = [p for p in self.doc["packages"] if p.get("primaryPackagePurpose") == "CONTAINER"]
        self.assertEqual([p["versionInfo"] for p in described], [image.index["manifests"][0]["digest"]])
        for p in self.doc["packages"]:
            self.assertTrue(p["name"] and p["versionInfo"] and p["downloadLocation"])
            self.assertEqual(p["filesAnalyzed"], p not in described)
            self.assertEqual("packageVerificationCode" in p, p["filesAnalyzed"])
            if "externalRefs" not in p:
                self.assertEqual(p["name"].split("/")[-1].split(":")[0], "kube-proxy")
                continue
            self.assertRegex(p["supplier"], r"^Organization: .+ \(.+@.+\)$")
            version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}\n", p["name"]], text=True,
                                     stdout=subprocess.PIPE, check=True, timeout=patient(60)).stdout.split()
            self.assertIn(p["versionInfo"], version, p["name"])
            [ref] = p["externalRefs"]
            self.assertEqual((ref["referenceCategory"], ref["referenceType"]), ("PACKAGE-MANAGER", "purl"))
            self.assertTrue(ref["referenceLocator"].startswith("pkg:deb/debian/%s@" % p["name"]))
            status = read("%s/var/lib/dpkg/status.d/%s" % (image.root, p["name"])).decode()
            self.assertIn("\nVersion: %s\n" % p["versionInfo"], status)
            self.assertTrue(read("%s/usr/share/doc/%s/copyright" % (image.root, p["name"])))

    def test_files_are_those_of_the_image(self):
        listed = {f["fileName"]: {c["algorithm"]: c["checksumValue"] for c in f["checksums"]}
                  for f in self.doc["files"]}
        self.assertEqual(sorted(listed), sorted("./" + m.name for m in image.members if m.isfile()))
        names = sorted(listed)
        for algorithm in ("sha1", "sha256"):
            out = subprocess.run([algorithm + "sum", *names], cwd=image.root, text=True, stdout=subprocess.PIPE,
                                 check=True, timeout=patient(60)).stdout.split()
            self.assertEqual(out[::2], [listed[n][algorithm.upper()] for n in names])
        owners = [r["relatedSpdxElement"] for r in self.doc["relationships"]
                  if r["relatedSpdxElement"].startswith("SPDXRef-File-")]
        self.assertEqual(sorted(owners), sorted(f["SPDXID"] for f in self.doc["files"]))


class Names(threading.Thread):
    """A name server at 127.0.0.1 of the node that knows one name (RFC 1035)."""

    def __init__(self, node, name, address):
        super().__init__(daemon=True)
        self.node = node
        self.socket = ns_socket(node, socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(None)
        self.socket.bind(("127.0.0.1", 53))
        self.known = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
        self.address = socket.inet_aton(address)
        self.asked = 0
        self.start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            if not query:
                return
            end = query.index(b"\0", 12) + 1
            name, kind = query[12:end], query[end:end + 4]
            self.asked += name == self.known
            found = name == self.known and kind == b"\0\1\0\1"  # an address, of the Internet
            head = query[:2] + (b"\x81\x80" if name == self.known else b"\x81\x83") + \
                struct.pack("!HHHH", 1, found, 0, 0)
            record = b"\xc0\x0c" + kind + struct.pack("!IH", 60, 4) + self.address
            self.socket.sendto(head + name + kind + (record if found else b""), peer)

    def close(self):
        with ns_socket(self.node, socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", 53))
        self.join()
        self.socket.close()


class Running(unittest.TestCase):
    """What "kubectl apply" makes of kubeadm's DaemonSet, on a node whose ConfigMap is kubeadm's."""

    def pod(self, how, mode):
        self.n = Node(pods=2).__enter__()
        self.addCleanup(self.n.__exit__)
        self.api = inside(self.n.node, lambda: Stub().__enter__())
        self.addCleanup(self.api.close)
        self.names = Names(self.n.node, "kubernetes.stub", "127.0.0.1")
        self.addCleanup(self.names.close)
        self.api.tokens = {TOKEN}
        self.api.put({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-a"},
                      "spec": {"podCIDR": "10.244.1.0/24"}, "status": {"addresses": []}})
        http, target = [("http", 80, "TCP")], [("http", Node.PORT, "TCP")]
        self.api.put(service("web", [VIP4, VIP6], http))
        for family in (4, 6):
            self.api.put(slice_of("web", [self.n.pod_ip(i, family) for i in (0, 1)], target))
        port = self.api.url.rsplit(":", 1)[1]
        kubeconfig = read(os.path.join(DATA, "kubeconfig.conf")).decode()
        config = read(os.path.join(TOP, "tests/fuzz/corpus/config/kubeadm.yaml")).decode()
        self.assertIn('\nmode: ""\n', config)
        merged = outcome(how, self.n.dir)["spec"]["template"]["spec"]
        pod = Pod(image, merged, self.n.node, self.n.dir, {"kube-proxy": {
            "kubeconfig.conf": kubeconfig.replace("SERVER", "https://kubernetes.stub:" + port),
            "config.conf": config.replace('\nmode: ""\n', '\nmode: "%s"\n' % mode)}},
            TOKEN, read(self.api.ca_file).decode())
        self.addCleanup(pod.close)
        return pod

    def start(self, pod):
        with open(self.n.log, "a") as log:
            self.n.proc = pod.start("kube-proxy", log)
        self.n.wait_synced(300)

    def sysctl(self, name):
        return int(sh("ip", "netns", "exec", self.n.node, "sysctl", "-n", "net.netfilter." + name))

    def answers(self):
        n = self.n
        for vip in (VIP4, VIP6):
            self.assertEqual(set(n.who(n.client, vip, 80)), {"pod1", "pod2"}, n.logged())

    def confined(self, pod):
        """Users, capabilities and filters of the processes as the kernel has them."""
        found, pids = {}, {}

        def settled():
            """The cleaner ends once it has found nothing of another kube-proxy."""
            pids.clear()
            pids.update(pod.pids("kube-proxy"))
            return pids.pop("kube-proxy-cleaner", None) is None

        self.n.wait("the cleaner to end", settled, 300)
        for program, pid in pids.items():
            with open("/proc/%d/status" % pid) as f:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            held = int(status["CapPrm"], 16)
            found[program] = (int(status["Uid"].split()[0]),
                              [c for i, c in enumerate(CAPABILITIES) if held >> i & 1],
                              status["NoNewPrivs"], status["Seccomp"], int(status["Seccomp_filters"]) >= 2)
        self.assertEqual(found, {
            "kube-proxy": (65600, ["NET_ADMIN"], "1", "2", True),
            "kube-proxy-planner": (65601, [], "1", "2", True),
            "kube-proxy-watcher": (65602, [], "1", "2", True),
            "kube-proxy-listener": (65603, [], "1", "2", True)})

    def serve(self, how, mode):
        pod = self.pod(how, mode)
        pod.initialize()
        self.start(pod)
        self.answers()
        self.assertGreater(self.names.asked, 0)
        self.assertEqual(self.n.inspect("/proxyMode"), (200, mode or "iptables"))
        self.confined(pod)
        self.assertNotIn(TOKEN, self.n.logged())
        self.assertEqual(self.n.stop(), 0)
        self.answers()  # the rules stay

    def test_iptables(self):
        """No mode is named, as kubeadm leaves it; merged by kubectl apply."""
        self.serve("apply", "")

    def test_nftables(self):
        """Merged by kubeadm's patch."""
        self.serve("patch", "nftables")

    def test_init_container(self):
        """It sets what the other cannot, in spite of a kernel without the modules."""
        pod = self.pod("apply", "")
        name = "nf_conntrack_tcp_timeout_established"
        sh("ip", "netns", "exec", self.n.node, "sysctl", "-qw", "net.netfilter.%s=1234" % name)
        code, output = pod.run("kube-proxy", ["/usr/local/bin/kube-proxy", "--init-only",
                                              "--config=/var/lib/kube-proxy/config.conf"])
        self.assertEqual((code, self.sysctl(name)), (0, 1234), output)
        self.assertIn("%s cannot be set to 86400: Read-only file system" % name, output)
        outputs = pod.initialize()
        self.assertEqual(self.sysctl(name), 86400, outputs)
        code, output = pod.run("parameters", ["/sbin/modprobe", "--version"])
        self.assertEqual((code, output.split()[:2]), (0, ["kmod", "version"]))

    def test_read_only_root(self):
        pod = self.pod("apply", "")
        code, output = pod.run("kube-proxy", ["/usr/local/bin/kube-proxy", "--write-config-to=/etc/passwd"])
        self.assertEqual(code, 78)
        self.assertRegex(output, "/etc/passwd: (Permission denied|Read-only file system)")


if __name__ == "__main__":
    unittest.main()
