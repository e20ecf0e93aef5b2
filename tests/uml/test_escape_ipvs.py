"""ipvs mode: a planner that was taken over, and what the applier takes of it."""
import os
import re
import shutil
import unittest

from harness import BUILD, Node, sh
from limits import patient

TAKES = 60  # seconds on an idle machine

FOREIGN = "".join(f"-A -t {a}:80 -s wlc\n-a -t {a}:80 -r 192.0.2.78:81 -m -w 7\n"
                  for a in ("10.97.0.10", "10.98.0.10"))
REFUSED = {
    "item_excluded": "an address in --ipvs-exclude-cidrs: real server",
    "item_at_loopback": "an address that is no plain unicast address of its family: address of "
                        "kube-ipvs0",
    "item_to_loopback": "an endpoint that is no plain unicast address",
    "item_weight": "a weight above 1",
    "item_protocol": "a protocol other than TCP, UDP and SCTP",
    "item_node_port_outside": "a node port outside --policy-node-port-range: KUBE-NODE-PORT-TCP",
    "item_health_check_outside": "a node port outside --policy-node-port-range: "
                                 "KUBE-HEALTH-CHECK-NODE-PORT",
    "item_to_metadata": "an endpoint in --policy-denied-endpoints: real server",
    "item_to_stranger": "an endpoint outside --policy-endpoints: real server",
    "item_server_stranger": "an address outside --policy-frontends: virtual server",
    "item_address_stranger": "an address outside --policy-frontends: address of kube-ipvs0",
    "item_of_no_value": "a change of what has nothing to change",
}


class Escape(unittest.TestCase):
    def setUp(self):
        self.n = n = Node(pods=0, prefix="kp-e").__enter__()
        self.addCleanup(n.__exit__)
        self.bin = os.path.join(n.dir, "bin")
        os.mkdir(self.bin, 0o755)
        for program in ("kube-proxy", "kube-proxy-watcher", "kube-proxy-listener", "kube-proxy-cleaner"):
            shutil.copy(os.path.join(BUILD, program), self.bin)
        shutil.copy(os.path.join(BUILD, "tests/tools/hostile"),
                    os.path.join(self.bin, "kube-proxy-planner"))
        n.write("objects.json", [])
        self.inside("ipvsadm", "-R", input=FOREIGN)

    def inside(self, *command, **kw):
        return sh("ip", "netns", "exec", self.n.node, *command, **kw)

    def state(self):
        return self.inside("ipvsadm", "-Sn") + "".join(
            re.findall(r" inet6? \S+", self.inside("ip", "address", "show", "scope", "global")))

    def begin(self, scenario):
        n = self.n
        for name in (n.log, n.audit):
            open(name, "w").close()
        with open(os.path.join(self.bin, "scenario"), "w") as f:
            f.write(scenario + "\n")
        os.chmod(os.path.join(self.bin, "scenario"), 0o644)
        n.start("--manifest-path", os.path.join(n.dir, "objects.json"), "--proxy-mode=ipvs",
                "--ipvs-exclude-cidrs=10.97.0.0/16", "--policy-frontends=10.96.0.0/12",
                "--policy-endpoints=10.244.0.0/16",
                program=os.path.join(self.bin, "kube-proxy"), wait=False)

    def test_each(self):
        n = self.n
        self.begin("item_server")  # what a good planner may have
        n.wait("a result", lambda: "hostile: result" in n.logged())
        self.assertIn("hostile: result 0:", n.logged())
        n.stop()
        print("attacks tried: %d" % len(REFUSED), flush=True)
        before = self.state()
        self.assertIn("-a -t 10.96.0.10:80 -r 10.244.1.10:8080 -m -w 1", before)
        for scenario, words in REFUSED.items():
            with self.subTest(scenario):
                self.begin(scenario)
                self.assertEqual(n.proc.wait(patient(60)), 1, n.logged())
                refused = [l for l in n.audited().splitlines() if " refused: " in l]
                self.assertEqual(len(refused), 1, n.audited())
                self.assertIn(words, refused[0])
                self.assertEqual(self.state(), before)

    def test_what_is_not_ours(self):
        """It is nobody's crime to ask, for who asks need not know; but nothing of it is done."""
        n = self.n
        before = self.inside("ipvsadm", "-Sn")
        self.begin("item_foreign")
        n.wait("two results", lambda: n.logged().count("hostile: result ") == 2)
        n.stop()
        self.assertEqual(self.inside("ipvsadm", "-Sn"), before)
        self.assertIn("10.98.0.10", self.inside("ip", "address", "show", "dev", "kube-ipvs0"))
        refused = [l for l in n.audited().splitlines() if " refused: " in l]
        self.assertEqual(len(refused), 6, n.audited())
        self.assertIn("refused: File exists: virtual server: address 10.98.0.10", refused[0])
        for line, item in zip(refused[1:], ["real", "virtual", "real", "real", "virtual"]):
            self.assertIn(f"refused: not of a virtual server of ours: {item} server", line)
