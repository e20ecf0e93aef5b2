"""Userspace mode's relays beside HAProxy and socat, each as a plain TCP relay to one endpoint.

What counts is the work done for a second of the relay's own processor time: the machine's other
processors are busy with asking and answering. Each is asked directly, ours by its Service's address.
"""
import os
import socket
import subprocess
import threading
import time

from harness import Node, inside, ns_socket, service, slice_of

VIP, NODE, ENDPOINT = "10.96.0.10", "198.51.100.1", 9000
BLOCK = bytes(1 << 20)
BULK = 2 << 30
CONNECTIONS = 5000
REQUESTS = 30000

HAPROXY = """
global
    nbthread 1
    maxconn 4000
defaults
    mode tcp
    timeout connect 2s
    timeout client 1m
    timeout server 1m
    %s
frontend f
    bind :%d
    default_backend b
backend b
    server s %s:%d
"""


def cpu(pid):
    """Seconds of a process, and of its children that have ended."""
    with open("/proc/%d/stat" % pid) as f:
        t = f.read().rpartition(")")[2].split()
    return sum(map(int, t[11:15])) / os.sysconf("SC_CLK_TCK")


class Endpoint:
    """Drains what is long; echoes what is short."""

    def __init__(self, netns):
        self.s = ns_socket(netns, socket.AF_INET, socket.SOCK_STREAM)
        self.s.settimeout(None)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind(("", ENDPOINT))
        self.s.listen(4096)
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        buf = bytearray(1 << 20)
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            n = c.recv_into(buf)
            if n < 1000:
                c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while n:
                if n < 1000:
                    c.send(buf[:n])
                n = c.recv_into(buf)
            c.close()


def dial(to):
    s = socket.create_connection(to, 10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def bulk(to):
    with dial(to) as s:
        for _ in range(BULK // len(BLOCK)):
            s.sendall(BLOCK)
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass


def connections(to):
    for _ in range(CONNECTIONS):
        with dial(to) as s:
            s.send(b"question")
            s.recv(100)


def requests(to):
    with dial(to) as s:
        for _ in range(REQUESTS):
            s.send(b"question")
            s.recv(100)


def measure(netns, pids, work, to, amount):
    """(amount a second, amount a second of the relay's processor)"""
    used, began = sum(map(cpu, pids)), time.monotonic()
    inside(netns, work, to)
    took = time.monotonic() - began
    time.sleep(0.1)  # socat's children are waited for
    return amount / took, amount / max(sum(map(cpu, pids)) - used, 0.01)


def start(node, directory, name):
    """A relay of another program: (process, port)."""
    port = {"haproxy": 9101, "haproxy, splice-auto": 9102, "socat": 9103}[name]
    endpoint = (node.pod_ip(0), ENDPOINT)
    if name == "socat":
        command = ["socat", "-b", "65536", "TCP-LISTEN:%d,fork,reuseaddr,backlog=4096,nodelay" % port,
                   "TCP:%s:%d,nodelay" % endpoint]
    else:
        path = os.path.join(directory, "haproxy%d.cfg" % port)
        with open(path, "w") as f:
            f.write(HAPROXY % (("option splice-auto" if "splice" in name else "", port) + endpoint))
        command = ["haproxy", "-db", "-f", path]
    p = subprocess.Popen(["ip", "netns", "exec", node.node] + command, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while True:
        try:
            inside(node.client, lambda: dial((NODE, port)).close())
            return p, port
        except OSError:
            if time.monotonic() > end or p.poll() is not None:
                raise
            time.sleep(0.05)


def show(rows):
    ours = rows[0][1]
    print("  %-24s %s" % ("", "".join("%30s" % title for title, _, _, _ in WORK)))
    print("  %-24s %s" % ("", "%15s%15s" % ("a second", "a CPU second") * len(WORK)))
    for name, figures in rows:
        print("  %-24s %s" % (name, "".join(
            "%15.1f%15.1f" % (a / scale, b / scale)
            for (a, b), (_, _, _, scale) in zip(figures, WORK))))
    for name, figures in rows[1:]:
        print("  %-24s %s" % ("beside " + name, "".join(
            "%29.2fx" % (mine[1] / theirs[1]) for mine, theirs in zip(ours, figures))))


WORK = [("MB, one connection", bulk, BULK, 1e6), ("connections", connections, CONNECTIONS, 1),
        ("requests", requests, REQUESTS, 1)]


def bench():
    print("\nuserspace mode: one endpoint behind a relay, TCP")
    with Node(pods=1, prefix="kp-b") as n:
        endpoint = Endpoint(n.pods[0])
        path = n.write("objects.json", [
            service("web", [VIP], [("http", 80, "TCP")]),
            slice_of("web", [n.pod_ip(0)], [("http", ENDPOINT, "TCP")])])
        n.start("--manifest-path", path, "--proxy-mode=userspace")
        mine = [n.processes()["kube-proxy-" + name] for name in ("relay", "broker")]
        rows = [("this proxy", [measure(n.client, mine, work, (VIP, 80), amount)
                                for _, work, amount, _ in WORK])]
        for name in ("haproxy", "haproxy, splice-auto", "socat"):
            p, port = start(n, n.dir, name)
            rows.append((name, [measure(n.client, [p.pid], work, (NODE, port), amount)
                                for _, work, amount, _ in WORK]))
            p.terminate()
            p.wait()
        endpoint.s.close()
        show(rows)
