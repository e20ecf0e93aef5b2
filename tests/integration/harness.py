"""A small cluster node for tests: namespaces, endpoints that say who they are, the real daemon.

    with Node(pods=2) as n:
        n.start("--manifest-path", n.write("objects.json", [...]))
        n.wait_synced()
        n.ask(n.client, "10.96.0.10", 80)  -> "pod1 198.51.100.2": who answered, whom it saw

One namespace is the node; each pod has one, joined to the node by a veth pair; `client` is a
machine outside. Endpoints answer on TCP and UDP with their name and the peer address they saw, so
that a test judges by where packets went and whether they were masqueraded. All sockets are made by
threads that entered the namespace, so there is no process per endpoint to lose.
"""
import contextlib
import ctypes
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from limits import patient

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("KP_BUILD", os.path.join(TOP, "build"))
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def sh(*cmd, check=True, **kw):
    r = subprocess.run(cmd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=patient(120), **kw)
    if check and r.returncode != 0:
        raise RuntimeError("%s: exit %d: %s" % (" ".join(cmd), r.returncode, r.stdout))
    return r.stdout


def plain_env():
    """The environment without what a make that runs us was told (SANITIZE=1, CC=...)."""
    told = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "KP_BUILD", "SANITIZE", "BUILD",
            "CC", "CFLAGS", "ONLY")
    return {k: v for k, v in os.environ.items() if k not in told}


def inside(netns, function, *args):
    """Calls function(*args) in a thread that has entered the namespace; returns its result."""
    box = []

    def body():
        try:
            fd = os.open("/run/netns/" + netns, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns " + netns)
            finally:
                os.close(fd)
            box.append((function(*args), None))
        except BaseException as e:  # carried to the caller
            box.append((None, e))

    t = threading.Thread(target=body)
    t.start()
    t.join()
    value, error = box[0]
    if error is not None:
        raise error
    return value


def _socket(family, kind, proto=0):
    s = socket.socket(family, kind, proto)
    s.settimeout(patient(3))
    if kind == socket.SOCK_STREAM and proto == socket.IPPROTO_SCTP:  # tell of ICMP errors, as TCP
        s.setsockopt(*((socket.IPPROTO_IPV6, 25) if family == socket.AF_INET6 else  # IPV6_RECVERR
                       (socket.IPPROTO_IP, 11)), 1)  # IP_RECVERR
    return s


def ns_socket(netns, family, kind, proto=0):
    return inside(netns, _socket, family, kind, proto)


# What socket(2) is told of each protocol. SCTP sockets are for tests/uml.
KINDS = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0),
         "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP)}


def family_of(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def asleep(pid):
    """Whether every thread of a process waits for something."""
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, task)) as f:
            if f.read().rpartition(")")[2].split()[0] != "S":
                return False
    return True


def lives(pid):
    """... and is no zombie."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Client(http.client.HTTPConnection):
    """Asks the metrics port, from within the node; connections are kept."""
    PORT = 10249

    def __init__(self, node, buffer=None):
        super().__init__("127.0.0.1", self.PORT, timeout=patient(20))
        self.node = node
        self.buffer = buffer

    def connect(self):
        self.sock = ns_socket(self.node.node, socket.AF_INET, socket.SOCK_STREAM)
        if self.buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))

    def get(self, path, accept=None, method="GET"):
        """(status, body, headers)"""
        self.request(method, path, headers={"Accept": accept} if accept else {})
        r = self.getresponse()
        return r.status, r.read().decode(), r.headers


class Endpoints:
    """Serves every pod's ports from one thread."""

    def __init__(self):
        self.names = {}  # fd -> (socket, name)
        self.poll = select.poll()
        self.wake_r, self.wake_w = os.pipe()
        self.poll.register(self.wake_r, select.POLLIN)
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def add(self, netns, name, port, kinds=("tcp", "udp"), address=""):
        """On every address, or on one."""
        for family in [family_of(address)] if address else (socket.AF_INET, socket.AF_INET6):
            for kind in kinds:
                s = ns_socket(netns, family, *KINDS[kind])
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((address, port))
                if s.type == socket.SOCK_STREAM:
                    s.listen(512)
                with self.lock:
                    self.names[s.fileno()] = (s, name)
                self.poll.register(s, select.POLLIN)
        os.write(self.wake_w, b"x")

    def loop(self):
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.wake_r:
                    if os.read(fd, 1) == b"q":
                        return
                    continue
                with self.lock:
                    s, name = self.names[fd]
                try:
                    if s.type == socket.SOCK_STREAM:
                        threading.Thread(target=self.answer, args=(s.accept(), name),
                                         daemon=True).start()
                    else:
                        _, peer = s.recvfrom(2048)
                        s.sendto(("%s %s" % (name, peer[0])).encode(), peer)
                except OSError:
                    pass

    @staticmethod
    def answer(accepted, name):
        conn, peer = accepted
        try:
            conn.settimeout(patient(3))
            conn.recv(4096)
            body = ("%s %s\n" % (name, peer[0])).encode()
            conn.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except OSError:
            pass
        finally:
            conn.close()

    def close(self):
        os.write(self.wake_w, b"q")
        self.thread.join()
        for s, _ in self.names.values():
            s.close()
        os.close(self.wake_r)
        os.close(self.wake_w)


class Node:
    PORT = 8080

    def __init__(self, pods=2, prefix="kp-t"):
        self.id = "%s%d" % (prefix, os.getpid() % 100000)
        self.node = self.id + "n"
        self.client = self.id + "c"
        self.pods = [self.id + "p%d" % (i + 1) for i in range(pods)]
        self.dir = tempfile.mkdtemp(prefix="kp-test-")
        os.chmod(self.dir, 0o755)
        self.proc = None
        self.clients = []  # connections to the metrics port
        self.log = os.path.join(self.dir, "log")
        self.audit = os.path.join(self.dir, "audit")
        self.endpoints = None

    # --- the machines ---

    def pod_ip(self, i, family=4):
        return "10.244.1.%d" % (10 + i) if family == 4 else "fd00:244:1::%x" % (0x10 + i)

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        for ns in [self.node, self.client] + self.pods:
            sh("ip", "netns", "add", ns)
            sh("ip", "-n", ns, "link", "set", "lo", "up")
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            sh("ip", "netns", "exec", self.node, "sysctl", "-q", "-w", name + "=1")
        self._link(self.client, "client", "198.51.100.1/24", "198.51.100.2/24",
                   "2001:db8:1::1/64", "2001:db8:1::2/64")
        # A default route, as a real node has: the kernel routes before it translates. By another
        # interface than the client's, or the node would first tell the client of a shorter way.
        sh("ip", "-n", self.node, "link", "add", "uplink", "type", "veth", "peer", "name", "eth1",
           "netns", self.client)
        sh("ip", "-n", self.node, "addr", "add", "192.0.2.1/31", "dev", "uplink")
        sh("ip", "-n", self.node, "addr", "add", "2001:db8:2::1/64", "dev", "uplink", "nodad")
        sh("ip", "-n", self.client, "link", "set", "eth1", "up")
        sh("ip", "-n", self.node, "link", "set", "uplink", "up")
        sh("ip", "-n", self.node, "route", "add", "default", "via", "192.0.2.0")
        sh("ip", "-n", self.node, "-6", "route", "add", "default", "via", "2001:db8:2::2")
        self.endpoints = Endpoints()
        for i, ns in enumerate(self.pods):
            four, six = self.pod_ip(i), self.pod_ip(i, 6)
            self._link(ns, "pod%d" % (i + 1), "10.244.1.1/32", four + "/32",
                       "fd00:244:1::1/128", six + "/128", routed=True)
            self.endpoints.add(ns, "pod%d" % (i + 1), self.PORT)

    def _link(self, ns, dev, node4, peer4, node6, peer6, routed=False):
        ip = lambda where, *a: sh("ip", "-n", where, *a)
        sh("ip", "-n", self.node, "link", "add", dev, "type", "veth", "peer", "name", "eth0",
           "netns", ns)
        for where, d, a4, a6 in ((self.node, dev, node4, node6), (ns, "eth0", peer4, peer6)):
            sh("ip", "netns", "exec", where, "sysctl", "-q", "-w",
               "net.ipv6.conf.%s.accept_dad=0" % d)
            ip(where, "addr", "add", a4, "dev", d)
            ip(where, "-6", "addr", "add", a6, "dev", d, "nodad")
            ip(where, "link", "set", d, "up")
        gw4, gw6 = node4.split("/")[0], node6.split("/")[0]
        if routed:
            ip(self.node, "route", "add", peer4, "dev", dev)
            ip(self.node, "-6", "route", "add", peer6, "dev", dev)
            ip(ns, "route", "add", node4, "dev", "eth0")
            ip(ns, "-6", "route", "add", node6, "dev", "eth0")
        ip(ns, "route", "add", "default", "via", gw4, "dev", "eth0")
        ip(ns, "-6", "route", "add", "default", "via", gw6, "dev", "eth0")

    def __exit__(self, *_):
        self.stop()
        if self.endpoints:
            self.endpoints.close()
        for ns in [self.node, self.client] + self.pods:
            sh("ip", "netns", "del", ns, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- the daemon ---

    def write(self, name, objects):
        """Writes objects (a list: a v1 List) for the watcher to read, whole at once."""
        path = os.path.join(self.dir, name)
        with open(path + ".new", "w") as f:
            json.dump({"apiVersion": "v1", "kind": "List", "items": objects}, f)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)
        return path

    def start(self, *flags, program=None, wait=True):
        self.stop()  # one that a failed subtest left
        program = program or os.path.join(BUILD, "kube-proxy")
        with open(self.log, "a") as log:
            self.proc = subprocess.Popen(
                ["ip", "netns", "exec", self.node, program, "--hostname-override=node-a",
                 "--audit-log=" + self.audit, "-v=2", *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.wait_synced()
        return self.proc

    def wait(self, what, condition, seconds=15):
        """Until condition() holds or the daemon ends. SECONDS: as patient() takes them."""
        seconds = patient(seconds)
        end = time.monotonic() + seconds
        while not condition():
            if self.proc is not None and self.proc.poll() is not None:
                raise AssertionError("the daemon ended (%s) while waiting for: %s\n%s" %
                                     (self.proc.returncode, what, self.logged()))
            if time.monotonic() > end:
                raise AssertionError("not within %d s: %s\n%s" % (seconds, what, self.logged()))
            time.sleep(0.02)

    def wait_synced(self, seconds=30):
        """Until /healthz says so: the first sync is done."""
        self.wait("healthz 200", lambda: self.health("/healthz")[0] == 200, seconds)

    def health(self, path, port=10256):
        """(status, body) of the daemon's health server, (0, reason) if there is none."""
        try:
            s = ns_socket(self.node, socket.AF_INET, socket.SOCK_STREAM)
            with s:
                s.connect(("127.0.0.1", port))
                s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" %
                           path).encode())
                data = b""
                while True:
                    more = s.recv(65536)
                    if not more:
                        break
                    data += more
            head, _, body = data.partition(b"\r\n\r\n")
            return int(head.split()[1]), body.decode()
        except (OSError, IndexError, ValueError) as e:
            return 0, str(e)

    def inspect(self, path):
        """(status, body) of the metrics server, on a connection that nobody asks on just now."""
        client = self.clients.pop() if self.clients else Client(self)
        try:
            status, body, _ = client.get(path)
        except ConnectionError:  # the server has closed one that was idle for long
            client.close()
            status, body, _ = client.get(path)
        self.clients.append(client)
        return status, body

    def stop(self, sig=signal.SIGTERM):
        while self.clients:
            self.clients.pop().close()
        if self.proc is None:
            return None
        pids = []
        if self.proc.poll() is None:
            pids = self.processes(cleaner=True).values()
            self.proc.send_signal(sig)
        try:
            code = self.proc.wait(patient(20))
        except subprocess.TimeoutExpired:
            self.proc.kill()
            code = self.proc.wait()
        self.proc = None
        # the children end behind their parent, and have its ports so long
        self.wait("the end of the children", lambda: not any(map(lives, pids)))
        return code

    def processes(self, cleaner=False):
        """{program: pid} of the running daemon's processes; the cleaner, which may end at any moment,
        only if it is asked for."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/status" % pid) as f:
                    status = dict(line.split(":\t", 1) for line in f.read().splitlines()
                                  if ":\t" in line)
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    name = os.path.basename(f.read().split(b"\0")[0].decode())
            except (OSError, ValueError):
                continue
            if name == "kube-proxy-cleaner" and not cleaner:
                continue
            if name.startswith("kube-proxy") and (
                    int(pid) == self.proc.pid or status.get("PPid") == str(self.proc.pid)):
                found[name] = int(pid)
        return found

    @contextlib.contextmanager
    def held(self, program="kube-proxy"):
        """Within it, a process of the daemon stands still; by default the one that writes rules."""
        pid = self.processes()[program]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def wait_idle(self, seconds=15):
        """
        Until the daemon has nothing more to do but what a timer will begin: each of its threads
        sleeps whenever one looks, and no line is logged, for a fifth of a second. A message on its
        way makes its receiver runnable, however busy the machine is.
        """
        pids = self.processes().values()

        def idle():
            before = self.logged(), self.audited()
            for _ in range(10):
                if not all(map(asleep, pids)):
                    return False
                time.sleep(0.02)
            return before == (self.logged(), self.audited())

        self.wait("the daemon idle", idle, seconds)

    def logged(self):
        with open(self.log) as f:
            return f.read()

    def audited(self):
        try:
            with open(self.audit) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def transactions(self, since=0):
        """The audit's lines of how transactions ended, behind so many bytes of it."""
        return [line for line in self.audited()[since:].splitlines() if " ops: " in line]

    def save(self, family=4, table=None):
        """iptables-save of the node, without counters and time stamps."""
        tool = "iptables-legacy-save" if family == 4 else "ip6tables-legacy-save"
        text = sh("ip", "netns", "exec", self.node, tool, *(["-t", table] if table else []))
        return "\n".join(line.split(" [")[0] if line.startswith(":") else line
                         for line in text.splitlines() if not line.startswith("#"))

    # --- packets ---

    def ask(self, netns, addr, port, proto="tcp", timeout=patient(2)):
        """What the endpoint said: "podN PEER", or the error's name: "refused", "timeout"."""
        with ns_socket(netns, family_of(addr), *KINDS[proto]) as s:
            s.settimeout(timeout)
            try:
                s.connect((addr, port))
                try:
                    s.send(b"GET / HTTP/1.0\r\n\r\n")
                except PermissionError:
                    pass  # refused on its way out of this very host; the error comes behind it
                data = s.recv(4096)
            except ConnectionRefusedError:
                return "refused"
            except (TimeoutError, socket.timeout):
                return "timeout"
            except OSError as e:
                return "error: %s" % e
        return data.decode().split("\r\n\r\n")[-1].strip()

    def who(self, netns, addr, port, proto="tcp", times=20):
        """{endpoint or error: count} over several connections."""
        counts = {}
        for _ in range(times):
            name = self.ask(netns, addr, port, proto).split(" ")[0]
            counts[name] = counts.get(name, 0) + 1
        return counts


# --- objects ---

def service(name, cluster_ips, ports, ns="default", **spec):
    """ports: [(name, port, protocol), ...]"""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": ns},
            "spec": dict({"clusterIP": cluster_ips[0], "clusterIPs": list(cluster_ips),
                          "type": "ClusterIP",
                          "ports": [dict({"port": p, "protocol": proto}, **({"name": n} if n else {}))
                                    for n, p, proto in ports]}, **spec)}


def slice_of(service_name, addrs, ports, ns="default", name=None, **conditions):
    """addrs: addresses, or endpoint dicts; ports: [(name, port, protocol), ...]"""
    eps = [a if isinstance(a, dict) else
           {"addresses": [a], "conditions": dict({"ready": True}, **conditions)} for a in addrs]
    first = eps[0]["addresses"][0] if eps else "0.0.0.0"
    family = "IPv6" if ":" in first else "IPv4"
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name or "%s-%s" % (service_name, family.lower()),
                         "namespace": ns,
                         "labels": {"kubernetes.io/service-name": service_name}},
            "addressType": family, "endpoints": eps,
            "ports": [{"name": n, "port": p, "protocol": proto} for n, p, proto in ports]}
