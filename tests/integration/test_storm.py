"""Changes as fast as they come, and a process killed at a random moment: nothing half done stays.

KP_STORM_ROUNDS=50 plays so many rounds, in place of as many as fit into forty seconds; SEED=N plays
the same random choices again (not the same moments).
"""
import contextlib
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from apiserver import Stub
from harness import BUILD, Node, inside, service, sh, slice_of
from limits import patient

TAKES = 60  # seconds on an idle machine

SERVICES = 40
SECONDS = 40
FLAGS = ["--cluster-cidr=10.1.0.0/16,fd00:1::/32"]
PROGRAMS = ["kube-proxy", "kube-proxy-planner", "kube-proxy-watcher", "kube-proxy-listener"]
FOREIGN = """*filter
:MINE - [0:0]
-A INPUT -s 192.0.2.9/32 -j MINE
COMMIT
*nat
:MINE - [0:0]
-A POSTROUTING -s 192.0.2.9/32 -j MINE
COMMIT
"""


def vips(i):
    return ["10.96.%d.%d" % (i // 200, 1 + i % 200), "fd00:96::%x" % (1 + i)]


def tables(text):
    """{table: {chain: its rules in order}} of what iptables-save or --dry-run prints, all that is
    neither empty and built in nor the foreign chain's."""
    found, table = {}, None
    for line in text.splitlines():
        if line.startswith("*"):
            table = found.setdefault(line[1:], {})
        elif line.startswith(":KUBE-"):
            table.setdefault(line.split()[0][1:], [])
        elif line.startswith("-A ") and "MINE" not in line:
            table.setdefault(line.split()[1], []).append(line)
    return found


class Storm(unittest.TestCase):
    def gone(self, kind, name):
        with contextlib.suppress(KeyError):  # it may never have been there
            self.api.delete(kind, "default", name)

    def put_service(self, rng, i):
        more = rng.choice((
            {}, {"sessionAffinity": "ClientIP"}, {"internalTrafficPolicy": "Local"},
            {"externalIPs": ["203.0.113.%d" % (1 + i)]},
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["198.51.100.0/24"],
             "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000 + i}))
        obj = service("s%d" % i, vips(i), [("a", 80, "TCP"), ("b", 53, "UDP")], **more)
        if more.get("type"):
            obj["spec"]["ports"][0]["nodePort"] = 30000 + i
            obj["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.%d" % (101 + i)}]}}
        self.api.put(obj)

    def put_slice(self, rng, i):
        form, name = rng.choice((("10.1.%d.%d", "ipv4"), ("fd00:1::%x:%x", "ipv6")))
        self.api.put(slice_of(
            "s%d" % i, [form % (i, rng.randrange(1, 9)) for _ in range(rng.randrange(1, 6))],
            [("a", 8080, "TCP"), ("b", 53, "UDP")], name="s%d-%s" % (i, name)))

    def storm(self, rng):
        """Random services and slices come, change and go until stop is set."""
        while not self.stop.is_set():
            i = rng.randrange(SERVICES)
            what = rng.random()
            if what < 0.1:
                self.gone("Service", "s%d" % i)
            elif what < 0.25:
                self.put_service(rng, i)
            elif what < 0.35:
                self.gone("EndpointSlice", "s%d-%s" % (i, rng.choice(("ipv4", "ipv6"))))
            else:
                self.put_slice(rng, i)
            self.changes += 1
            time.sleep(0.001)

    def desired(self):
        """What --dry-run says of the same apiserver, per family."""
        plan = subprocess.run(
            ["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"), "--dry-run",
             "--kubeconfig", self.config, "--hostname-override=node-a", *FLAGS],
            text=True, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=patient(60)).stdout
        return [tables(text) for text in plan.split("# IPv6")]

    def actual(self):
        return [tables(self.n.save(family)) for family in (4, 6)]

    def kill(self, rng, program):
        """kill -9 of one process at some moment; the others must end by themselves."""
        n = self.n
        n.wait("every process", lambda: len(n.processes()) == len(PROGRAMS))
        time.sleep(rng.uniform(0, 0.5))
        pids = n.processes()
        os.kill(pids[program], signal.SIGKILL)
        code = n.proc.wait(patient(10))
        n.proc = None
        self.assertEqual(code, -signal.SIGKILL if program == "kube-proxy" else 1, n.logged())
        n.wait("the end of all", lambda: not any(os.path.exists("/proc/%d" % p)
                                                 for p in pids.values()))

    def round(self, rng, program):
        n = self.n
        self.stop = threading.Event()
        storm = threading.Thread(target=self.storm, args=(random.Random(rng.random()),))
        storm.start()
        try:
            n.start("--kubeconfig", self.config, "--iptables-min-sync-period=0s", *FLAGS,
                    wait=False)
            self.kill(rng, program)
        finally:
            self.stop.set()
            storm.join()
        want = self.desired()
        if self.actual() != want:
            self.behind += 1
        n.start("--kubeconfig", self.config, *FLAGS)
        n.wait("the kernel as desired", lambda: self.actual() == want)
        self.assertEqual(n.stop(), 0)

    def start_api(self):
        self.api = inside(self.n.node, lambda: Stub().__enter__())
        self.addCleanup(self.api.close)
        self.config = os.path.join(self.n.dir, "kubeconfig")
        self.api.kubeconfig(self.config)
        os.chmod(self.config, 0o644)
        os.chmod(self.api.ca_file, 0o644)
        os.chmod(self.api.directory, 0o755)

    def test_killed_in_a_storm(self):
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        rounds = int(os.environ.get("KP_STORM_ROUNDS", 0))
        print("    SEED=%d" % seed, flush=True)
        rng = random.Random(seed)
        self.changes = self.behind = played = 0
        with Node(pods=0) as n:
            self.n = n
            for tool in ("iptables-legacy-restore", "ip6tables-legacy-restore"):
                sh("ip", "netns", "exec", n.node, tool,
                   input=FOREIGN.replace("192.0.2.9/32", "192.0.2.9/32" if tool[2] == "t"
                                         else "2001:db8::9/128"))
            before = n.save(4), n.save(6)
            self.start_api()
            for i in range(SERVICES):
                self.put_service(rng, i)
            end = time.monotonic() + SECONDS
            while played < rounds if rounds else time.monotonic() < end or played < len(PROGRAMS):
                self.round(rng, PROGRAMS[played % len(PROGRAMS)])
                played += 1
            print("    %d rounds, %d changes; %d times the kernel was behind when it ended" %
                  (played, self.changes, self.behind), flush=True)
            sh("ip", "netns", "exec", n.node, os.path.join(BUILD, "kube-proxy"), "--cleanup",
               "--audit-log=" + n.audit)
            self.assertEqual((n.save(4), n.save(6)), before)


if __name__ == "__main__":
    unittest.main()
