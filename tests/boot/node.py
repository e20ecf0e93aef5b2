"""
The node that the tests of tests/boot share: one emulated machine with the Debian package installed, a
stub apiserver, two pods behind a Service, and a client. It is booted by the first test that asks for it
and ends with this process. Each test leaves the package installed; what else it changes, fresh() undoes.
"""
import atexit
import glob
import json
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "tests/stub")]
import apiserver  # noqa: E402
import deb  # noqa: E402
import image  # noqa: E402
from machine import API_ADDRESS, Machine  # noqa: E402

UNIT = "kube-proxy.service"
DEFAULTS = "/etc/default/kube-proxy"
KUBECONFIG = "/var/lib/kube-proxy/kubeconfig"  # the administrator's; the unit makes GIVEN of it
GIVEN = "/run/kube-proxy/kubeconfig"
AUTHORITY, TOKEN = "/etc/kubernetes/pki/ca.crt", "secret"
WORLD = "/usr/local/lib/kp-world.py"
CLUSTER_IP, OTHER_IP = "10.96.0.10", "10.96.0.11"
PODS = {"a": "10.244.0.10", "b": "10.244.0.11", "client": "10.244.0.20"}
PROCESSES = ("applier", "planner", "watcher", "listener")
WITH_RELAY = PROCESSES + ("relay", "broker")  # in userspace mode


def package():
    """The .deb of this tree, or KP_BOOT_PACKAGE."""
    return os.environ.get("KP_BOOT_PACKAGE") or glob.glob(deb.ensure() + "/kube-proxy_*.deb")[0]


def kubeconfig():
    address = "https://%s:%d" % API_ADDRESS
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "stub",
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
        "clusters": [{"name": "stub", "cluster": {"server": address, "certificate-authority": AUTHORITY,
                                                  "tls-server-name": "kubernetes.stub"}}],
        "users": [{"name": "stub", "user": {"token": TOKEN}}]}, indent=1)


class Node:
    def __init__(self, machine):
        self.m = machine

    # --- what is there before the product ---

    def prepare(self):
        """The apiserver with its objects, and what the tests call in the machine."""
        self.api = apiserver.Stub(port=self.m.port)
        self.api.tokens = {TOKEN}
        for obj in (apiserver.node("node", ["10.0.2.15"]), apiserver.service("web", CLUSTER_IP),
                    apiserver.service("dns", OTHER_IP, port=53, protocol="UDP"),
                    apiserver.endpoint_slice("web-1", "web", [PODS["a"], PODS["b"]]),
                    apiserver.endpoint_slice("dns-1", "dns", [PODS["b"]], protocol="UDP")):
            self.api.put(obj)
        for path, source in ((AUTHORITY, self.api.ca_file), (WORLD, os.path.join(HERE, "world.py"))):
            with open(source) as f:
                self.m.put(path, f.read())
        self.world()

    def world(self):
        """The node's address and the pods, at each boot."""
        self.m.call(WORLD, "setup", PODS)

    def install(self):
        self.m.copy(package(), "/root")
        self.m.sh("dpkg -i /root/%s" % os.path.basename(package()))

    # --- the unit ---

    def show(self, *names, unit=UNIT):
        """Properties of the unit, as text."""
        out = self.m.run("systemctl", "show", unit, *("--property=" + n for n in names)).out
        values = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        return values[names[0]] if len(names) == 1 else [values[n] for n in names]

    def pids(self):
        """{process: pid} of the running unit: applier, planner, watcher, listener, relay, broker."""
        out = self.m.sh("for p in $(cat /sys/fs/cgroup/system.slice/%s/cgroup.procs 2>/dev/null); do "
                        "echo $p $(readlink /proc/$p/exe); done" % UNIT).out
        found = {}
        for pid, *exe in (line.split() for line in out.splitlines()):
            name = os.path.basename(exe[0]) if exe else ""
            for process in WITH_RELAY:
                if process in name or (process == "applier" and name == "kube-proxy"):
                    found[process] = int(pid)
        return found

    def fresh(self, mode, *args):
        """Stops it, undoes what tests changed, and configures this mode. Rules of another mode stay."""
        self.m.sh("systemctl stop 'kube-proxy*'; systemctl reset-failed 'kube-proxy*'; "
                  "install -D -m 600 /dev/stdin %s" % KUBECONFIG, check=False, input=kubeconfig().encode())
        self.configure(mode, *args)

    def configure(self, mode, *args):
        flags = ["--kubeconfig=" + GIVEN, "--hostname-override=node", "--cluster-cidr=10.244.0.0/16",
                 "--proxy-mode=" + mode, *args]
        self.m.put(DEFAULTS, 'KUBE_PROXY_ARGS="%s"\n' % " ".join(flags))

    def start(self):
        self.m.run("systemctl", "start", UNIT)
        self.running()

    def running(self, not_pid=None):
        """Waits until it is active, with another main process than NOT_PID, and has said so; its pids."""
        def state():
            return self.show("ActiveState", "SubState", "MainPID")

        def is_running():
            active, sub, pid = state()
            return (active, sub) == ("active", "running") and pid not in ("0", str(not_pid))

        self.m.wait(is_running, lambda: "%s active again: %s" % (UNIT, state()))
        return self.pids()

    def journal(self, *options):
        out = self.m.run("journalctl", "--no-pager", "-o", "cat", "-u", UNIT, *options).out
        return [line for line in out.splitlines() if line != "-- No entries --"]

    def cursor(self):
        """Where the journal ends now: journal("--after-cursor=" + cursor)."""
        return re.search(r"^-- cursor: (\S+)", self.m.run("journalctl", "-n0", "--show-cursor").out, re.M)[1]

    # --- traffic ---

    def request(self, address=CLUSTER_IP, port=80, protocol="tcp", pod="client"):
        return self.m.call(WORLD, "request", pod, address, port, protocol)

    def served(self):
        """Waits until both ClusterIPs are answered, from a pod and from the node itself."""
        for pod in ("client", ""):
            self.m.wait(lambda: self.request(pod=pod) in ("a", "b"), "a pod answers %s on TCP" % (pod or "the node"))
        self.m.wait(lambda: self.request(OTHER_IP, 53, "udp") == "b", "a pod answers on UDP")

    def traffic(self, name="traffic"):
        self.m.call(WORLD, "start_traffic", name, "client", CLUSTER_IP, 80)

    def end_traffic(self, name="traffic"):
        return self.m.call(WORLD, "end_traffic", name)


the_node = None


def node():
    global the_node
    if the_node is None:
        folder = os.environ.get("KP_BOOT_MACHINE")  # one that "machine.py start" has booted
        machine = Machine(folder) if folder else Machine().__enter__()
        if not folder:
            atexit.register(machine.end)
            print("tests/boot: booted in %.0f s" % machine.boot_seconds[0], flush=True)
        the_node = Node(machine)
        the_node.prepare()
        if the_node.m.run("dpkg", "-s", "kube-proxy", check=False).status != 0:
            the_node.install()
    return the_node


class Case(unittest.TestCase):
    """A test in the machine; what the machine said follows a failure."""

    @classmethod
    def setUpClass(cls):
        cls.n = node()
        cls.m = cls.n.m
        try:
            cls.begin()
        except Exception:
            print(cls.m.last_words(), flush=True)
            raise

    @classmethod
    def begin(cls):
        """What the class needs before its tests."""

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        result = super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            print(self.m.last_words(), flush=True)
        return result


if __name__ == "__main__":  # what takes the network and a compiler
    image.ensure()
    package()
