"""Changes as fast as they come, killed at a random moment: afterwards the kernel is what it should be."""
import contextlib
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from apiserver import Stub
from harness import BUILD, Node, inside, service, slice_of

SERVICES = 40
ROUNDS = 12


def vip(i):
    return "10.96.%d.%d" % (i // 200, 1 + i % 200)


class Storm(unittest.TestCase):
    def gone(self, kind, name):
        with contextlib.suppress(KeyError):  # it may never have been there
            self.api.delete(kind, "default", name)

    def storm(self, rng):
        """Random services and slices come, change and go until stop is set."""
        while not self.stop.is_set():
            i = rng.randrange(SERVICES)
            name = "s%d" % i
            what = rng.randrange(4)
            if what == 0 and rng.random() < 0.5:
                self.gone("Service", name)
            elif what == 0:
                self.api.put(service(name, [vip(i)], [("a", 80, "TCP"), ("b", 53, "UDP")]))
            elif what == 1 and rng.random() < 0.3:
                self.gone("EndpointSlice", name + "-ipv4")
            else:
                addrs = ["10.1.%d.%d" % (i, rng.randrange(1, 9)) for _ in range(rng.randrange(1, 6))]
                self.api.put(slice_of(name, addrs, [("a", 8080, "TCP"), ("b", 53, "UDP")],
                                      name=name + "-ipv4"))
            time.sleep(0.001)

    def desired(self, kubeconfig):
        """What --dry-run says of the same apiserver."""
        plan = subprocess.run(
            ["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"), "--dry-run",
             "--kubeconfig", kubeconfig, "--hostname-override=node-a"],
            text=True, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60).stdout
        return sorted(l for l in plan.split("# IPv6")[0].splitlines() if l.startswith("-A"))

    def test_killed_in_a_storm(self):
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        print("    SEED=%d" % seed, flush=True)
        rng = random.Random(seed)
        with Node(pods=0) as n:
            self.n = n
            self.api = inside(n.node, lambda: Stub().__enter__())
            self.addCleanup(self.api.close)
            config = os.path.join(n.dir, "kubeconfig")
            self.api.kubeconfig(config)
            os.chmod(config, 0o644)
            os.chmod(self.api.ca_file, 0o644)
            os.chmod(self.api.directory, 0o755)
            for i in range(SERVICES):
                self.api.put(service("s%d" % i, [vip(i)], [("a", 80, "TCP"), ("b", 53, "UDP")]))
            for _ in range(ROUNDS):
                self.stop = threading.Event()
                storm = threading.Thread(target=self.storm, args=(random.Random(rng.random()),))
                storm.start()
                try:
                    n.start("--kubeconfig", config, "--iptables-min-sync-period=0s", wait=False)
                    time.sleep(rng.uniform(0.05, 0.5))
                    victim = rng.choice(sorted(n.processes().values()))
                    os.kill(victim, signal.SIGKILL)
                    n.proc.wait(10)
                    n.proc = None
                finally:
                    self.stop.set()
                    storm.join()
                n.start("--kubeconfig", config)
                want = self.desired(config)
                n.wait("the kernel as desired", lambda: sorted(
                    l for l in n.save(4).splitlines() if l.startswith("-A")) == want)
                self.assertEqual(n.stop(), 0)


if __name__ == "__main__":
    unittest.main()
