"""What the first packet of a connection costs: our KUBE-SERVICES beside the flat list of the same
services, as operators know it, and nftables mode beside no proxy at all, in one run.

SYNs go over a veth pair through PREROUTING and are dropped in mangle FORWARD, translated or not, so
every one is the first of its connection. The kernel does all of that within the sender's system
call: its CPU time is what is measured. Turns are taken batch by batch.
"""
import contextlib
import ctypes
import os
import random
import re
import socket
import statistics
import struct
import subprocess
import time

from harness import Node, inside, service, sh, slice_of
from layout import Saved, flatten

FLOWS = 1000  # a batch: as many as sendmmsg(2) takes
BATCHES = 31
SECONDS = 2  # ... or as many as fit, at least seven
ENDPOINTS = {4: "10.244.0.0/16", 6: "fd00:244::/32"}
libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
                ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("header", Msghdr), ("len", ctypes.c_uint)]


def cluster_ip(i, family):
    if family == 4:
        return socket.inet_ntoa(struct.pack(">I", (10 << 24 | 96 << 16) + 1 + i))
    return "fd00:96::%x:%x" % (i >> 16, (i & 0xffff) + 1)


def objects(count):
    """Two endpoints each; none of them answers, or is ever asked."""
    port = [("p", 8080, "TCP")]
    for i in range(count):
        name = "svc-%d" % i
        yield service(name, [cluster_ip(i, 4), cluster_ip(i, 6)], [("p", 80, "TCP")])
        yield slice_of(name, ["10.244.%d.%d" % (i >> 7 & 255, (i & 127) * 2 + e) for e in (0, 1)],
                       port)
        yield slice_of(name, ["fd00:244::%x:%x" % (i, 1 + e) for e in (0, 1)], port)


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(family, source, port, target):
    """An IP packet; conntrack takes none with a wrong checksum."""
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    addresses = socket.inet_pton(kind, source) + socket.inet_pton(kind, target)
    head = struct.pack(">HHIIBBHHH", port, 80, 1, 0, 5 << 4, 2, 65535, 0, 0)
    total = checksum(addresses + struct.pack(">HH", 6, len(head)) + head)
    tcp = head[:16] + struct.pack(">HH", total, 0)
    if family == 6:
        return struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + addresses + tcp
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + addresses
    return ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:] + tcp


class Sender:
    """A machine beside NODE that opens connections through it."""

    def __init__(self, node):
        self.node = node
        link = lambda ns, dev: re.search(r"ether (\S+)", sh("ip", "-n", ns, "link", "show",
                                                            dev)).group(1)
        mac = lambda text: bytes.fromhex(text.replace(":", ""))
        self.macs = mac(link(node.node, "client")) + mac(link(node.client, "eth0"))
        self.socket = inside(node.client, self.open)
        for family, tool in ((4, "iptables-legacy"), (6, "ip6tables-legacy")):
            for rule in (["-d", ENDPOINTS[family]], []):
                sh("ip", "netns", "exec", node.node, tool, "-t", "mangle", "-A", "FORWARD", *rule,
                   "-p", "tcp", "-j", "DROP")

    @staticmethod
    def open():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("eth0", 0))
        return s

    def batch(self, family, targets):
        """FLOWS messages, to be sent again and again: none is ever a connection."""
        frames = []
        for i, target in enumerate(targets):
            source = "198.51.100.2" if family == 4 else "2001:db8:1::2"
            frames.append(self.macs + (b"\x08\x00" if family == 4 else b"\x86\xdd") +
                          syn(family, source, 1024 + i, target))
        vectors = [Iovec(f, len(f)) for f in frames]
        messages = (Mmsghdr * len(frames))(*(
            Mmsghdr(Msghdr(iov=ctypes.pointer(v), iovlen=1)) for v in vectors))
        return messages, vectors, frames  # what the messages point to must live as long

    def send(self, batch):
        """Nanoseconds of CPU time a flow."""
        messages, left = batch[0], len(batch[0])
        began = time.thread_time_ns()
        sent = libc.sendmmsg(self.socket.fileno(), messages, left, 0)
        took = time.thread_time_ns() - began
        if sent != left:
            raise RuntimeError("sendmmsg: %d of %d" % (sent, left))
        return took / left

    def dropped(self, family):
        """How many came out translated, and how many as they were."""
        tool = "iptables-legacy" if family == 4 else "ip6tables-legacy"
        text = sh("ip", "netns", "exec", self.node.node, tool, "-t", "mangle", "-L", "FORWARD",
                  "-v", "-x", "-n")
        return [int(l.split()[0]) for l in text.splitlines() if "DROP" in l]


def flat(save):
    """SAVE with KUBE-SERVICES as one list. Chains in descending order: in any other one,
    iptables-restore takes minutes."""
    out = []
    for name, text in re.findall(r"^\*(nat)\n(.*?)^COMMIT$", save, re.M | re.S):
        table = Saved(text.splitlines())
        flatten(table)
        out += ["*" + name] + table.lines(lambda c: sorted(c, reverse=True)) + ["COMMIT"]
    return "\n".join(out) + "\n"


def load_flat(ours, theirs):
    for prefix in ("iptables", "ip6tables"):
        save = sh("ip", "netns", "exec", ours.node, prefix + "-legacy-save", "-t", "nat")
        subprocess.run(["ip", "netns", "exec", theirs.node, prefix + "-legacy-restore"],
                       input=flat(save), text=True, check=True)


def targets_of(count, family):
    rng = random.Random(count)
    return {
        "last": [cluster_ip(count - 1, family)] * FLOWS,
        "random": [cluster_ip(rng.randrange(count), family) for _ in range(FLOWS)],
        "none": ["192.0.2.77" if family == 4 else "2001:db8:2::77"] * FLOWS,
    }


def measure(senders, family, targets, translated):
    """[median of each sender]; all packets must have been translated, or none."""
    batches = [s.batch(family, targets) for s in senders]
    before = [s.dropped(family) for s in senders]
    runs, end = [], time.monotonic() + SECONDS
    while len(runs) < 7 or (len(runs) < BATCHES and time.monotonic() < end):
        runs.append([s.send(b) for s, b in zip(senders, batches)])
    sent = FLOWS * len(runs)
    want = [sent, 0] if translated else [0, sent]
    for s, was in zip(senders, before):
        came = [now - b for now, b in zip(s.dropped(family), was)]
        if came != want:
            raise RuntimeError("%d translated, %d not; wanted %d, %d" % (*came, *want))
    return [statistics.median(r) / 1000 for r in zip(*runs)]


def programmed(node, path, *flags):
    node.start("--manifest-path", path, *flags, wait=False)
    node.wait_synced(120)
    node.stop()


def show(title, figure, theirs_title, theirs):
    print("  %-42s %9.1f us   %-38s %9.1f us   %5.1f x" % (
        title, figure, theirs_title, theirs, theirs / figure), flush=True)


def bench(count):
    with contextlib.ExitStack() as stack:
        theirs, ours, nft = (stack.enter_context(Node(pods=0, prefix="kp-%s" % p)) for p in "fbd")
        senders = [Sender(ours), Sender(theirs), Sender(nft)]
        empty = {f: measure(senders, f, targets_of(count, f)["none"], False) for f in (4, 6)}
        path = ours.write("objects.json", list(objects(count)))
        programmed(ours, path)
        programmed(nft, path, "--proxy-mode=nftables")
        load_flat(ours, theirs)
        print("first packet of a connection, %d services" % count)
        for family in (4, 6):
            for title, targets in targets_of(count, family).items():
                mid = measure(senders, family, targets, title != "none")
                title = "IPv%d, to %s" % (
                    family, "no service" if title == "none" else "the %s service" % title)
                show(title + ", iptables mode", mid[0], "flat KUBE-SERVICES", mid[1])
                show(title + ", nftables mode", mid[2], "no rules at all", empty[family][2])
        for s in senders:
            s.socket.close()
