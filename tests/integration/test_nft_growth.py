"""nftables mode under load: many changes a second, and a cluster that outgrows its sets.

NFT_STORM=10000x10x60 takes so many services, endpoints of each, and thousands of changes, in place of
1000x5x8.
"""
import contextlib
import gc
import os
import socket
import statistics
import threading
import time
import unittest

from apiserver import Stub, endpoint_slice
from harness import BUILD, Node, inside, sh
from limits import patient

RATE = 1000  # changes a second, at most
NETLINK_NETFILTER, NFNLGRP_NFTABLES = 12, 7
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1


def named(i):
    """The endpoint that change I brings: one that no other change has."""
    return "10.%d.%d.%d" % (200 + i // 65536, i // 256 % 256, i % 256)


def first_addresses(which, endpoints):
    """Of service WHICH as Stub.generate() has them."""
    first = (10 << 24) + (128 << 16) + 1 + which * endpoints
    return [socket.inet_ntoa((first + i).to_bytes(4, "big")) for i in range(endpoints)]


class Witness(threading.Thread):
    """When the kernel told of the element of each change."""

    def __init__(self, netns):
        super().__init__()
        self.seen = {}
        self.lost = 0
        self.socket = inside(netns, lambda: socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER))
        self.socket.bind((0, 0))
        self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        self.socket.settimeout(0.2)
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                self.lost += 1
                continue
            now = time.monotonic()
            # every element that is put has its address in it; deletions come after: first one counts
            at = 0
            while (at := data.find(b"\x0a", at)) >= 0:
                number = int.from_bytes(data[at:at + 4], "big") - ((10 << 24) + (200 << 16))
                if 0 <= number < 1 << 20:
                    self.seen.setdefault(number, now)
                at += 1

    def __exit__(self, *exc):
        self.ended.set()
        self.join()
        self.socket.close()

    def __enter__(self):
        self.start()
        return self


class NftGrowth(unittest.TestCase):
    def begin(self, services, endpoints):
        """A proxy that has programmed so many services from an API."""
        n = self.n = Node(pods=1).__enter__()
        self.addCleanup(n.__exit__)
        api = self.api = inside(n.node, lambda: Stub().__enter__())
        self.addCleanup(api.close)
        api.generate(services, endpoints)
        config = os.path.join(n.dir, "kubeconfig")
        api.kubeconfig(config)
        for path in (config, api.ca_file):
            os.chmod(path, 0o644)
        os.chmod(api.directory, 0o755)
        n.start("--kubeconfig", config, "--proxy-mode=nftables", "--iptables-min-sync-period=0s")

    def nft(self, *command):
        return sh("ip", "netns", "exec", self.n.node, "nft", *command)

    def memory(self):
        """KiB that each process holds alone or in part."""
        found = {}
        for name, pid in self.n.processes().items():
            with open("/proc/%d/smaps_rollup" % pid) as f:
                found[name] = next(int(l.split()[1]) for l in f if l.startswith("Pss:"))
        return found

    def test_a_thousand_changes_a_second(self):
        services, endpoints, seconds = map(int, os.environ.get("NFT_STORM", "1000x5x8").split("x"))
        self.begin(services, endpoints)
        change = lambda i: endpoint_slice(
            "svc-%d-1" % (i % services), "svc-%d" % (i % services),
            [named(i)] + first_addresses(i % services, endpoints)[1:])
        put, count, warm = {}, RATE * seconds, RATE
        gc.disable()  # the API in this process would stand still for a second
        self.addCleanup(gc.enable)
        with Witness(self.n.node) as witness:
            began = time.monotonic()
            for i in range(count):
                # on a busy machine, slower: or a change would take the place of one not yet written
                while i >= services and i - services not in witness.seen and \
                        time.monotonic() < began + patient(seconds):
                    time.sleep(0.001)
                put[i] = time.monotonic()
                self.api.put(change(i))
                if i == warm:
                    before = self.memory()
                with contextlib.suppress(ValueError):  # too late already
                    time.sleep(began + (i + 1) / RATE - time.monotonic())
            took = time.monotonic() - began
            with contextlib.suppress(AssertionError):
                self.n.wait("all", lambda: all(i in witness.seen for i in range(count)))
            missing = [named(i) for i in range(count) if i not in witness.seen]
            self.assertEqual(missing, [], "of %d" % count)
            after = self.memory()
        late = sorted(witness.seen[i] - put[i] for i in range(count))
        print("%d changes in %.1f s: median %.1f ms, 99 %% %.1f ms, last %.1f ms; PSS %s -> %s KiB" % (
            count, took, 1000 * statistics.median(late), 1000 * late[count * 99 // 100],
            1000 * late[-1], sum(before.values()), sum(after.values())))
        self.assertEqual(witness.lost, 0, "the test's own socket")
        for name, kib in after.items():
            if "asan" not in os.path.basename(BUILD):  # which keeps what is freed
                self.assertLess(kib, before[name] * 1.1 + 1024, name)
        self.assertNotIn(" E", {l[:2] for l in self.n.logged().splitlines()})
        listing = self.nft("list", "map", "ip", "kube-proxy", "endpoints-%d" % endpoints)
        for i in range(count - min(services, count), count):
            self.assertIn(named(i) + " ", listing)

    def test_a_set_that_is_full(self):
        """Sets of over 4,096 elements get room for twice as many; then the table is made anew."""
        self.begin(850, 5)
        self.assertIn("size 8500", self.nft("list", "tables") + self.nft(
            "list", "map", "ip", "kube-proxy", "endpoints-5"))
        self.api.generate(1900, 5)
        n = self.n
        n.wait("all 1,900 services", lambda: "size 19000" in self.nft(
            "list", "map", "ip", "kube-proxy", "endpoints-5"), 20)
        self.assertIn("Too many open files in system", n.logged())
        listing = self.nft("list", "map", "ip", "kube-proxy", "endpoints-5")
        for i in range(1900):
            self.assertIn(first_addresses(i, 5)[4] + " ", listing)


if __name__ == "__main__":
    unittest.main()
