"""nftables mode beside programs that write nf_tables all the time: their own tables, or ours."""
import contextlib
import socket
import struct
import threading
import time
import unittest

from harness import Node, ns_socket, service, sh, slice_of

# linux/netfilter/nfnetlink.h, nf_tables.h
NETLINK_NETFILTER, NLM_F_REQUEST, NLM_F_CREATE = 12, 1, 0x400
BATCH_BEGIN, BATCH_END, NFTABLES = 16, 17, 10
NEWTABLE, DELTABLE, DELSETELEM = NFTABLES << 8 | 0, NFTABLES << 8 | 2, NFTABLES << 8 | 14


def attr(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind, flags=0, family=0, resource=0, attrs=b""):
    return struct.pack("=LHHLLBBH", 20 + len(attrs), kind, NLM_F_REQUEST | flags, 0, 0, family, 0,
                       socket.htons(resource)) + attrs


def batch(*messages):
    return (message(BATCH_BEGIN, resource=NFTABLES) + b"".join(messages) +
            message(BATCH_END, resource=NFTABLES))


class Writer:
    """Commits to nf_tables of a namespace; nft would take milliseconds for each."""

    def __init__(self, netns):
        self.socket = ns_socket(netns, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.connect((0, 0))
        self.commits, self.over = 0, threading.Event()

    def other_table(self):
        """Makes a table of its own, and deletes it."""
        name = attr(1, b"other\0")
        kind, flags = ((NEWTABLE, NLM_F_CREATE), (DELTABLE, 0))[self.commits % 2]
        self.socket.send(batch(message(kind, flags, socket.AF_INET, attrs=name)))
        self.commits += 1

    def flush_set(self, name):
        """Takes every element out of a set of ours."""
        attrs = attr(1, b"kube-proxy\0") + attr(2, name.encode() + b"\0")
        self.socket.send(batch(message(DELSETELEM, 0, socket.AF_INET, attrs=attrs)))

    def __enter__(self):
        """Other tables come and go, a thousand times a second, until the end."""
        self.thread = threading.Thread(target=self.write)
        self.thread.start()
        return self

    def write(self):
        while not self.over.wait(0.001):
            self.other_table()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.socket.close()


def objects(services, endpoints):
    port, target = [("http", 80, "TCP")], [("http", Node.PORT, "TCP")]
    for i in range(services):
        yield service("s%d" % i, ["10.%d.%d.%d" % (96 + (i >> 16), i >> 8 & 255, i & 255)], port)
        yield slice_of("s%d" % i, ["10.%d.%d.%d" % (128 + e, i >> 8 & 255, i & 255)
                                   for e in range(endpoints)], target)


class NftWriters(unittest.TestCase):
    SERVICES, ENDPOINTS = 3000, 10

    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=0).__enter__()
        cls.addClassCleanup(n.__exit__)
        cls.flags = ["--manifest-path", n.write("objects.json",
                                                list(objects(cls.SERVICES, cls.ENDPOINTS))),
                     "--proxy-mode=nftables", "--iptables-min-sync-period=0s"]

    def setUp(self):
        self.n.stop()
        self.audited_before = len(self.n.audited())
        sh("ip", "netns", "exec", self.n.node, "nft", "flush", "ruleset")

    def audited(self):
        return self.n.audited()[self.audited_before:]

    def count(self, name):
        return sh("ip", "netns", "exec", self.n.node, "nft", "list", "set", "ip", "kube-proxy",
                  name).count("comment")

    def test_a_large_transaction_among_others(self):
        """It gets in, and what follows is read once and found to be right."""
        drifted = lambda: "drift" in self.audited()
        with Writer(self.n.node) as other:
            for _ in range(10):  # the other need not write just behind it
                self.setUp()
                self.n.start(*self.flags)
                with contextlib.suppress(AssertionError):
                    self.n.wait("the drift", drifted, 1)
                if drifted():
                    break
            self.assertTrue(drifted(), self.audited())
            commits = other.commits
        self.assertGreater(commits, 50)
        self.assertIn("other 2;", self.audited())  # both families' tables
        self.assertEqual(self.audited().count(" ops: "), 1, self.audited())
        self.assertEqual(self.count("services"), self.SERVICES)

    def test_what_changes_while_it_is_read(self):
        """Our table is changed; while it is read for that, something else in it is."""
        n, other = self.n, Writer(self.n.node)
        n.start(*self.flags)
        for pause in (2, 10, 30, 60):
            with self.subTest(milliseconds=pause):
                other.flush_set("endpoints-10")
                time.sleep(pause / 1000)  # which part it is in
                other.flush_set("services")
                n.wait("all of it", lambda: self.count("services") == self.SERVICES, 5)
        other.socket.close()


if __name__ == "__main__":
    unittest.main()
