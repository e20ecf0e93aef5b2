"""Another writer in the same tables, as fast as it can: nothing of its own is lost or revived, and
at the end nothing of ours is missing. Both take the xtables lock, as every iptables does."""
import os
import random
import subprocess
import threading
import time
import unittest

from harness import BUILD, Node, service, sh, slice_of
from limits import patient

SECONDS = float(os.environ.get("TWO_WRITERS_SECONDS", 15))
SERVICES = 20


class TwoWriters(unittest.TestCase):
    def iptables(self, *args):
        return sh("ip", "netns", "exec", self.n.node, "iptables-legacy", "-w", *args)

    def other(self, table, chain):
        """Adds and deletes rules until told to stop; records what must be there."""
        rng = random.Random(table)
        mine = set()
        try:
            while not self.stop.is_set():
                address = "192.0.2.%d" % rng.randrange(1, 255)
                rule = ("-s", address + "/32", "-j", "RETURN")
                self.iptables("-t", table, "-D" if address in mine else "-A", chain, *rule)
                mine ^= {address}
                self.turns += 1
        finally:
            self.expected[table] = sorted("-A %s -s %s/32 -j RETURN" % (chain, a) for a in mine)

    def objects(self, rng):
        o = []
        for i in range(SERVICES):
            o.append(service("s%d" % i, ["10.96.0.%d" % (1 + i)], [("a", 80, "TCP")]))
            o.append(slice_of("s%d" % i, ["10.1.%d.%d" % (i, rng.randrange(1, 200))
                                          for _ in range(rng.randrange(1, 4))],
                              [("a", 8080, "TCP")]))
        return o

    def test_neither_loses(self):
        rng = random.Random(1)
        self.expected, self.turns, self.stop = {}, 0, threading.Event()
        with Node(pods=0) as n:
            self.n = n
            path = n.write("objects.json", self.objects(rng))
            n.start("--manifest-path", path, "--iptables-min-sync-period=0s")
            others = [threading.Thread(target=self.other, args=a)
                      for a in (("nat", "PREROUTING"), ("filter", "FORWARD"))]
            for t in others:
                t.start()
            end = time.monotonic() + SECONDS
            enough = lambda: self.turns > 50 and n.audited().count("result ok") > 20
            try:
                while time.monotonic() < end or \
                        not enough() and time.monotonic() < end + patient(SECONDS):
                    n.write("objects.json", self.objects(rng))
                    time.sleep(0.02)
            finally:
                self.stop.set()
                for t in others:
                    t.join()
            commits = n.audited().count("result ok")
            print("    %d changes of others, %d of ours" % (self.turns, commits), flush=True)
            self.assertGreater(self.turns, 50)
            self.assertGreater(commits, 20)
            for table, chain in (("nat", "PREROUTING"), ("filter", "FORWARD")):
                got = sorted(l for l in n.save(4, table).splitlines()
                             if l.startswith("-A %s -s 192.0.2." % chain))
                self.assertEqual(got, self.expected[table])
            plan = subprocess.run([os.path.join(BUILD, "kube-proxy"), "--dry-run",
                                   "--manifest-path", path, "--hostname-override=node-a"],
                                  text=True, check=True, capture_output=True,
                                  stdin=subprocess.DEVNULL).stdout
            want = sorted(l for l in plan.split("# IPv6")[0].splitlines() if l.startswith("-A"))
            n.wait("ours as planned", lambda: sorted(
                l for l in n.save(4).splitlines()
                if l.startswith("-A") and "-s 192.0.2." not in l) == want)


if __name__ == "__main__":
    unittest.main()
