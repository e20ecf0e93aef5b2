"""
A pod's containers under runc, as the kubelet and containerd would start them.

Real: runc (namespaces, capabilities, seccomp, read-only root, masked paths, cgroup), the image, the pod's spec.
Imitated here: what the kubelet makes of the pod (volumes with their owners and modes, the account's token that
admission adds, $(VARIABLES), order of containers) and the config.json that containerd's CRI plugin writes.

    image = Image(archive, directory)               unpacked, digests verified
    pod = Pod(image, spec, node, directory, objects)
    pod.initialize()                                the init containers, one after the other, until each has ended
    process = pod.start("kube-proxy", log)          a Popen of runc
    pod.pids("kube-proxy"); pod.close()
"""
import copy
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

from limits import patient

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# containerd, pkg/cri/opts and oci/spec.go: what a container that is not privileged must not read, or not write
MASKED = ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
          "/sys/devices/virtual/powercap"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
# containerd, oci/spec.go: without "capabilities" in the pod
DEFAULT_CAPABILITIES = """AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP
SETGID SETPCAP SETUID SYS_CHROOT""".split()
# capabilities(7), by number
CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()


class Image:
    """An OCI archive: self.root, its files; self.config, how to run it."""

    def __init__(self, archive, directory):
        with tarfile.open(archive) as tar:
            self.names = tar.getnames()
            self.blobs = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
        self.index = json.loads(self.blobs["index.json"])
        self.manifest = json.loads(self.blob(self.index["manifests"][0]))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.root = os.path.join(directory, "rootfs")
        os.mkdir(self.root, 0o755)
        self.members = []
        for layer in self.manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(self.blob(layer)), mode="r:gz") as tar:
                self.members += tar.getmembers()
                tar.extractall(self.root, numeric_owner=True)

    def blob(self, descriptor):
        """The content that a descriptor names, whose size and digest must be as it says."""
        data = self.blobs["blobs/" + descriptor["digest"].replace(":", "/")]
        if len(data) != descriptor["size"] or \
                "sha256:" + hashlib.sha256(data).hexdigest() != descriptor["digest"]:
            raise ValueError("%s: not as its descriptor says" % descriptor["digest"])
        return data


def _own_capabilities():
    """Those that this machine's root has: a container cannot have others."""
    with open("/proc/self/status") as f:
        bits = int(re.search(r"^CapBnd:\s*(\w+)", f.read(), re.M)[1], 16)
    return {name for i, name in enumerate(CAPABILITIES) if bits >> i & 1}


def seccomp(capabilities):
    """containerd's default profile for a container with these capabilities ("CAP_..."), on amd64."""
    blocked, last = {"clone", "clone3", "personality"}, 0
    with open(os.path.join(DATA, "container/seccomp-blocked")) as f:
        for row in (line.split() for line in f if not line.startswith("#")):
            if row[0] == "LAST":
                last = int(row[1])
            elif row[0] not in capabilities:
                blocked.update(row[1:])
    if "CAP_SYS_ADMIN" in capabilities or capabilities & {"CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG"}:
        raise ValueError("calls that two capabilities allow are not distinguished here")
    with open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h") as f:
        calls = dict(re.findall(r"#define __NR_(\w+) (\d+)", f.read()))
    allowed = sorted(c for c, n in calls.items() if int(n) <= last and c not in blocked)
    namespaces = 0x7E020000  # CLONE_NEW*
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            {"names": allowed, "action": "SCMP_ACT_ALLOW"},
            *({"names": ["personality"], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 0, "value": v, "op": "SCMP_CMP_EQ"}]}
              for v in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)),
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": namespaces, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},  # ENOSYS
        ],
    }


def _mount(destination, kind, *options):
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}


def _bind(destination, source, read_only):
    return {"destination": destination, "type": "bind", "source": source,
            "options": ["rbind", "rprivate", "ro" if read_only else "rw"]}


class Pod:
    """SPEC: a pod's, host network. NODE: the network namespace that is the host's. OBJECTS: {ConfigMap: {key: text}}."""

    def __init__(self, image, spec, node, directory, objects, token, authority):
        self.image, self.node, self.directory = image, node, directory
        self.spec = copy.deepcopy(spec)
        if not self.spec.get("hostNetwork"):
            raise ValueError("a pod with a network of its own")
        self.group = self.spec["securityContext"]["fsGroup"]
        self.runtime = ["runc", "--root", os.path.join(directory, "runc")]
        self.volumes = {}  # name: path on the host
        for volume in self.spec["volumes"]:
            name = volume["name"]
            if "configMap" in volume:
                self.volumes[name] = self._projected(name, {
                    key: (text, 0o644) for key, text in objects[volume["configMap"]["name"]].items()})
            elif volume["hostPath"].get("type") == "FileOrCreate":
                self.volumes[name] = volume["hostPath"]["path"]
                with open(self.volumes[name], "a"):
                    pass
            else:  # a directory that is missing on the host: containerd makes it
                path = volume["hostPath"]["path"]
                self.volumes[name] = path if os.path.isdir(path) else self._directory(name)
        # What admission adds to every pod: a projected volume, whose token's mode is 0600 without fsGroup.
        self.volumes["kube-api-access"] = self._projected("kube-api-access", {
            "token": (token, 0o600), "ca.crt": (authority, 0o644), "namespace": ("kube-system", 0o644)})
        for container in self.spec.get("initContainers", []) + self.spec["containers"]:
            container["volumeMounts"].append(
                {"name": "kube-api-access", "mountPath": ACCOUNT, "readOnly": True})
        self.files = self._directory("etc")
        for name, text in (("hosts", "127.0.0.1 localhost\n"), ("hostname", "node-a\n"),
                           ("resolv.conf", "nameserver 127.0.0.1\n"), ("termination-log", "")):
            with open(os.path.join(self.files, name), "w") as f:
                os.fchmod(f.fileno(), 0o644)
                f.write(text)
        self.started = []

    def _directory(self, name):
        path = os.path.join(self.directory, "pod", name)
        os.makedirs(path, 0o755)
        return path

    def _projected(self, name, files):
        """As the kubelet writes volumes: links to ..data, a link to a directory that it replaces as a whole. With
        fsGroup (pkg/volume/volume_linux.go, SetVolumeOwnership): the group, readable by it, setgid."""
        path = self._directory(name)
        os.mkdir(os.path.join(path, "..2026_01"))
        os.symlink("..2026_01", os.path.join(path, "..data"))
        for key, (text, mode) in files.items():
            file = os.path.join(path, "..data", key)
            with open(file, "w") as f:
                f.write(text)
                os.fchown(f.fileno(), 0, self.group)
                os.fchmod(f.fileno(), mode | 0o440)
            os.symlink("..data/" + key, os.path.join(path, key))
        for directory in (path, os.path.join(path, "..2026_01")):
            os.chown(directory, 0, self.group)
            os.chmod(directory, 0o2775)
        return path

    def container(self, name):
        return next(c for c in self.spec.get("initContainers", []) + self.spec["containers"]
                    if c["name"] == name)

    def _capabilities(self, context):
        if context.get("privileged"):
            return {"CAP_" + c for c in _own_capabilities()}
        change = context.get("capabilities", {})
        held = set() if "ALL" in change.get("drop", []) else \
            set(DEFAULT_CAPABILITIES) - set(change.get("drop", []))
        return {"CAP_" + c for c in held | set(change.get("add", []))}

    def _process(self, container):
        context = container["securityContext"]
        held = sorted(self._capabilities(context))
        env = {v["name"]: {"spec.nodeName": "node-a"}[v["valueFrom"]["fieldRef"]["fieldPath"]]
               for v in container.get("env", [])}
        expand = lambda text: re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), text)
        command = container.get("command") or self.image.config["config"]["Entrypoint"]
        return {
            "user": {"uid": 0, "gid": 0, "additionalGids": [0, self.group]},
            "args": [expand(a) for a in command + container.get("args", [])],
            "env": self.image.config["config"]["Env"] + ["HOSTNAME=node-a"] +
            ["%s=%s" % item for item in env.items()],
            "cwd": "/",
            # none inheritable or ambient: containerd since 1.6.2 (CVE-2022-24769)
            "capabilities": {kind: held for kind in ("bounding", "effective", "permitted")},
            "noNewPrivileges": not context.get("allowPrivilegeEscalation",
                                               True) and not context.get("privileged"),
        }

    def _config(self, name):
        container = self.container(name)
        context = container["securityContext"]
        privileged = context.get("privileged", False)
        writable = "rw" if privileged else "ro"
        process = self._process(container)
        config = {
            "ociVersion": "1.0.2", "process": process,
            "root": {"path": self.image.root,
                     "readonly": context.get("readOnlyRootFilesystem", False)},
            "mounts": [
                _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
                _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
                _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666",
                       "mode=0620", "gid=5"),
                _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
                _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", writable),
                _mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", writable),
                *(_bind("/etc/" + f, os.path.join(self.files, f), context["readOnlyRootFilesystem"])
                  for f in ("hosts", "hostname", "resolv.conf")),
                _bind("/dev/termination-log", os.path.join(self.files, "termination-log"), False),
                *(_bind(m["mountPath"], self.volumes[m["name"]], m.get("readOnly", False))
                  for m in container["volumeMounts"]),
            ],
            "linux": {
                "cgroupsPath": "/" + self.id(name),
                "resources": {"devices": [{"allow": privileged, "access": "rwm"}],
                              "cpu": {"shares": 10}},
                # the host's network, and so its UTS namespace
                "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "mount"},
                               {"type": "network", "path": "/run/netns/" + self.node}],
                "maskedPaths": [] if privileged else MASKED,
                "readonlyPaths": [] if privileged else READ_ONLY,
            },
        }
        profile = self.spec["securityContext"].get("seccompProfile", {}).get("type", "Unconfined")
        if profile == "RuntimeDefault" and not privileged:
            config["linux"]["seccomp"] = seccomp(set(process["capabilities"]["bounding"]))
        return config

    def id(self, name):
        return "%s-%s" % (self.node, name)

    def start(self, name, log, args=None):
        """ARGS: another command in the container's place."""
        config = self._config(name)
        if args:
            config["process"]["args"] = args
        bundle = os.path.join(self.directory, "pod", "bundle-" + name)
        os.makedirs(bundle, exist_ok=True)
        with open(os.path.join(bundle, "config.json"), "w") as f:
            json.dump(config, f)
        self.started.append(name)
        return subprocess.Popen(self.runtime + ["run", "--bundle", bundle, self.id(name)],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def run(self, name, args=None):
        """A container until it ends: (exit status, output)."""
        process = self.start(name, subprocess.PIPE, args)
        try:
            output = process.communicate(timeout=patient(120))[0].decode()
        finally:
            process.kill()
        return process.returncode, output

    def initialize(self):
        """{init container: output}; each must end with status 0, or the kubelet would not go on."""
        outputs = {}
        for container in self.spec.get("initContainers", []):
            code, outputs[container["name"]] = self.run(container["name"])
            if code != 0:
                raise AssertionError("%s ended with status %d: %s" %
                                     (container["name"], code, outputs[container["name"]]))
        return outputs

    def pids(self, name):
        """Of the processes in a container, by program."""
        out = subprocess.run(self.runtime + ["ps", "--format=json", self.id(name)], check=True,
                             stdout=subprocess.PIPE, timeout=patient(60)).stdout
        found = {}
        for pid in json.loads(out):
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    found[os.path.basename(f.read().split(b"\0")[0].decode())] = pid
            except FileNotFoundError:
                pass  # it has ended meanwhile
        return found

    def close(self):
        for name in self.started:
            subprocess.run(self.runtime + ["delete", "--force", self.id(name)], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=patient(120))
        shutil.rmtree(os.path.join(self.directory, "pod"), ignore_errors=True)
