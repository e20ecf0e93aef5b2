"""A malicious planner against the real parent: every refusal, and the kernel's tables unchanged.

tests/tools/hostile.c takes kube-proxy-planner's place in a directory of its own beside copies of
the other programs, and does what the file `scenario` there names.
"""
import os
import re
import shutil
import subprocess
import unittest

from harness import BUILD, Node, sh
from limits import patient

# scenario -> a part of the audit line. The parent exits with 1.
REFUSED = {
    "jump_cycle": "a jump to a chain this template may not jump to: ipv4 nat "
                  "KUBE-SVC-AIBAEAQCAIBAEAQC: endpoint-last name=default/web to=10.244.1.10 "
                  "port=8080 target=KUBE-SVC-AEAQCAIBAEAQCAIB",
    "jump_down": "a jump to a chain this template may not jump to",
    "jump_from_external": "a jump to a chain this template may not jump to: ipv4 nat "
                          "KUBE-EXT-AIBAEAQCAIBAEAQC: external-policy "
                          "target=KUBE-FW-AEAQCAIBAEAQCAIB",
    "jump_from_service": "a jump to a chain this template may not jump to: ipv4 nat "
                         "KUBE-SVC-AIBAEAQCAIBAEAQC: endpoint-last",
    "jump_past_firewall": "a jump to a chain this template may not jump to: ipv4 nat "
                          "KUBE-SERVICES: load-balancer-ip",
    "jump_other_table": "a jump to a chain that cannot exist: ipv4 nat KUBE-SERVICES: cluster-ip",
    "unknown_template": "a number out of range",
    "unknown_kind": "a number out of range",
    "unknown_family": "a number out of range",
    "hash_of_fixed_chain": "a chain that cannot exist",
    "hash_too_long": "bytes of the wrong length",
    "template_misplaced": "a template that may not stand in this chain: ipv4 nat "
                          "KUBE-SVC-AEAQCAIBAEAQCAIB: mark-masq",
    "template_without_arguments": "too few fields",
    "drop_everything": "a template that may not stand in this chain: ipv4 filter KUBE-SERVICES: "
                       "forward-invalid",
    "drop_misplaced": "a template that may not stand in this chain: ipv4 filter KUBE-SERVICES: "
                      "node-port-no-local-drop",
    "drop_in_nat": "a chain that cannot exist",
    "drop_everywhere": "a destination that is no plain unicast address: ipv4 filter "
                       "KUBE-PROXY-FIREWALL: firewall-drop dst=0.0.0.0",
    "drop_multicast": "a destination that is no plain unicast address: ipv4 filter "
                      "KUBE-EXTERNAL-SERVICES: external-no-local-drop dst=224.0.0.1",
    "drop_every_port": "a destination port 0: ipv4 filter KUBE-EXTERNAL-SERVICES: "
                       "node-port-no-local-drop",
    "accept_misplaced": "a template that may not stand in this chain: ipv4 filter "
                        "KUBE-EXTERNAL-SERVICES: health-check-accept",
    "accept_udp": "a port accepted for other than TCP: ipv4 filter KUBE-NODEPORTS: "
                  "health-check-accept proto=17 dport=80 name=default/web",
    "accept_every_port": "a destination port 0: ipv4 filter KUBE-NODEPORTS: health-check-accept",
    "service_in_filter": "a chain that cannot exist",
    "affine_never": "an affinity that is not of 1..86400 seconds: ipv4 nat "
                    "KUBE-SVC-AIBAEAQCAIBAEAQC: endpoint-affine name=default/web to=10.244.1.10 "
                    "port=8080 seconds=0 target=KUBE-SEP-AIBAEAQCAIBAEAQC",
    "affine_too_long": "seconds=86401",
    "range_of_other_family": "a prefix of the other address family: ipv4 nat "
                             "KUBE-FW-AIBAEAQCAIBAEAQC: source-range net=fd00::/8",
    "reject_everything": "a destination that is no plain unicast address: ipv4 filter "
                         "KUBE-SERVICES: no-endpoints-reject dst=0.0.0.0",
    "wrong_family": "an endpoint of the other address family: ipv4 nat KUBE-SEP-AIBAEAQCAIBAEAQC: "
                    "endpoint-dnat proto=6 name=default/web to=fd00::1 port=8080",
    "dnat_loopback": "an endpoint that is no plain unicast address: ipv4 nat "
                     "KUBE-SEP-AIBAEAQCAIBAEAQC: endpoint-dnat proto=6 name=default/web "
                     "to=127.0.0.1 port=8080",
    "dnat_link_local": "to=169.254.169.254",
    "dnat_multicast": "to=224.0.0.1",
    "dnat_unspecified": "to=0.0.0.0",
    "prefix_bits": "a prefix with host bits set",
    "prefix_host_bits": "a prefix with host bits set",
    "name_newline": "DNS labels: ipv4 nat KUBE-SEP-AIBAEAQCAIBAEAQC: endpoint-dnat proto=6 "
                    "name=default/web?-A INPUT -j ACCEPT to=10.244.1.10",
    "name_quote": "DNS labels",
    "protocol_icmp": "a protocol other than TCP, UDP and SCTP",
    "unknown_hook": "a number out of range",
    "unknown_operation": "an unknown operation",
    "item_server": "an operation of ipvs mode",
    "node_port_outside": "a node port outside --policy-node-port-range: ipv4 nat KUBE-NODEPORTS: "
                         "node-port proto=6 dport=22",
    "node_port_rejected": "a node port outside --policy-node-port-range: ipv4 filter "
                          "KUBE-EXTERNAL-SERVICES: node-port-no-endpoints-reject",
    "node_port_dropped": "a node port outside --policy-node-port-range: ipv4 filter "
                         "KUBE-EXTERNAL-SERVICES: node-port-no-local-drop proto=6 dport=10250",
    "health_check_outside": "a node port outside --policy-node-port-range: ipv4 filter "
                            "KUBE-NODEPORTS: health-check-accept proto=6 dport=22",
    "relay_reject_anywhere": "a relay's port that is none of this mode's: ipv4 filter "
                             "KUBE-EXTERNAL-SERVICES: relay-reject",
    "dnat_metadata": "an endpoint in --policy-denied-endpoints: ipv4 nat KUBE-SEP-AIBAEAQCAIBAEAQC: "
                     "endpoint-dnat proto=6 name=default/web to=168.63.129.16",
    "dnat_stranger": "an endpoint outside --policy-endpoints: ipv4 nat KUBE-SVC-AIBAEAQCAIBAEAQC: "
                     "dnat-last proto=6 to=198.51.100.1",
    "frontend_stranger": "an address outside --policy-frontends: ipv4 nat KUBE-SERVICES: "
                         "cluster-ip dst=198.51.100.1",
    "reject_stranger": "an address outside --policy-frontends: ipv4 filter KUBE-SERVICES: "
                       "no-endpoints-reject dst=198.51.100.1",
    "drop_stranger": "an address outside --policy-frontends: ipv4 filter KUBE-PROXY-FIREWALL: "
                     "firewall-drop dst=198.51.100.1",
    "chains_in_random_order": "a chain out of order: ipv4 nat KUBE-SVC-",
    "chain_twice": "a chain out of order: ipv4 nat KUBE-SVC-",
    "deleted_before_put": "an operation out of order: ipv4 nat KUBE-SVC-",
    "table_again": "an operation out of order: ipv4 nat KUBE-SERVICES",
    "quota_operations": "more operations than a transaction may have",
    "quota_rules": "more rules than a transaction may have",
    "quota_bytes": "more bytes than a transaction may have",
    "unknown_message": "an unknown message",
    "wrong_arity": "BEGIN: too many fields",
    "commit_without_begin": "COMMIT: not without BEGIN",
    "operations_without_begin": "OPS: not without BEGIN",
    "begin_twice": "BEGIN: not within a transaction",
    "wrong_generation": "a generation out of order",
    "wrong_base": "a base that is not the last generation done",
    "wrong_count": "a commit with another number of operations than came",
    "snapshot_in_transaction": "SNAPSHOT_REQUEST: not within a transaction",
    "rules_without_chain": "rules without a chain",
    "trailing_bytes": "frame: trailing bytes",
    "huge_count": "frame: a count beyond the end of the frame",
    "deep_nesting": "frame: nested too deeply",
    "a_map": "frame: a type the protocol does not use",
    "long_datagram": "frame: longer than a frame may be",
    "flood": "too many requests in a second",
    "never_read": "the planner takes no answers",
    "flows_not_shown": "FLOWS_DELETE: flows that were not shown",
    "flows_beyond_the_part": "FLOWS_DELETE: a flow that was not shown",
    "flows_twice": "FLOWS_DELETE: flows out of order",
    "flows_pass_in_pass": "FLOWS_REQUEST: flows asked for before the end of those asked for last",
    "flows_unknown_family": "FLOWS_REQUEST: a number out of range",
    "flows_in_transaction": "FLOWS_REQUEST: not within a transaction",
    "nftables_operation": "frame: an unknown message",
    "flows_after_the_end": "FLOWS_DELETE: flows that were not shown",
}

# scenario -> a part of the answer and of the audit line. The parent lives: the tables may have been
# changed by another program, which is nobody's fault.
STALE = {
    "jump_missing": "a chain is not there: cannot add ipv4 nat KUBE-SVC-AIBAEAQCAIBAEAQC: "
                    "endpoint-last name=default/web to=10.244.1.10 port=8080 "
                    "target=KUBE-SEP-BEEQSCIJBEEQSCIJ",
}

POLICY = ("--policy-frontends=10.96.0.0/12,fd00:96::/112", "--policy-endpoints=10.244.0.0/16,fd00::/8")

FOREIGN = """*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -s 192.0.2.0/24 -j ACCEPT
COMMIT
"""


class Escape(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=0, prefix="kp-e").__enter__()
        cls.addClassCleanup(n.__exit__)
        cls.bin = os.path.join(n.dir, "bin")
        os.mkdir(cls.bin, 0o755)
        for program, source in (("kube-proxy", "kube-proxy"),
                                ("kube-proxy-watcher", "kube-proxy-watcher"),
                                ("kube-proxy-listener", "kube-proxy-listener"),
                                ("kube-proxy-cleaner", "kube-proxy-cleaner"),
                                ("kube-proxy-planner", "tests/tools/hostile")):
            shutil.copy(os.path.join(BUILD, source), os.path.join(cls.bin, program))
        n.write("objects.json", [])
        sh("ip", "netns", "exec", n.node, "iptables-legacy-restore", input=FOREIGN)
        # What a good planner leaves there, for the bad ones to spoil.
        cls.begin("service")
        n.wait("a result", lambda: "hostile: result" in n.logged())
        assert "hostile: result 0:" in n.logged(), n.logged()
        n.stop()
        cls.before = cls.saved()
        assert "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER" in cls.before
        assert "-j DNAT --to-destination 10.244.1.10:8080" in cls.before

    @classmethod
    def begin(cls, scenario):
        n = cls.n
        for name in (n.log, n.audit):
            open(name, "w").close()
        path = os.path.join(cls.bin, "scenario")
        with open(path, "w") as f:
            f.write(scenario + "\n")
        os.chmod(path, 0o644)
        n.start("--manifest-path", os.path.join(n.dir, "objects.json"), *POLICY,
                program=os.path.join(cls.bin, "kube-proxy"), wait=False)

    @classmethod
    def saved(cls):
        """Both families' tables, without counters and time stamps."""
        text = "".join(sh("ip", "netns", "exec", cls.n.node, tool)
                       for tool in ("iptables-legacy-save", "ip6tables-legacy-save"))
        return re.sub(r" \[\d+:\d+\]", "", re.sub(r"(?m)^#.*\n", "", text))

    def tearDown(self):
        self.n.stop()

    @classmethod
    def tearDownClass(cls):
        print("attacks tried: %d" % len(REFUSED), flush=True)

    def refuse(self, scenario, words):
        if scenario.startswith("flows"):  # there is one to be shown
            self.conntrack("-F")
            self.conntrack("-I", "-p", "udp", "-s", "10.2.0.1", "-d", "10.96.0.10",
                           "--sport", "1000", "--dport", "53", "-t", "300")
        self.begin(scenario)
        code = self.n.proc.wait(patient(60))
        self.assertEqual(code, 1, self.n.logged())
        refused = [line for line in self.n.audited().splitlines() if " refused: " in line]
        self.assertEqual(len(refused), 1, self.n.audited())
        self.assertIn(words, refused[0])
        self.assertIn("the planner broke the rules", self.n.logged())
        self.assertEqual(self.saved(), self.before)
        if scenario.startswith("flows"):
            self.assertIn("dport=53", self.conntrack("-L"))

    def stale(self, scenario, words):
        n = self.n
        self.begin(scenario)
        n.wait("a result", lambda: "hostile: result" in n.logged())
        self.assertIn("hostile: result 2: " + words, n.logged())
        self.assertIn("refused: generation 1: " + words, n.audited())
        self.assertIn("result stale: " + words, n.audited())
        self.assertIsNone(n.proc.poll())
        self.assertEqual(n.stop(), 0)
        self.assertEqual(self.saved(), self.before)

    def test_zz_delete_referenced(self):
        """A chain that a rule still jumps to is emptied and stays; the last test of the class."""
        n = self.n
        self.begin("delete_referenced")
        n.wait("a result", lambda: "hostile: result" in n.logged())
        self.assertIn("hostile: result 0", n.logged())
        self.assertEqual(n.stop(), 0)
        emptied = [line for line in self.before.splitlines()
                   if not line.startswith("-A KUBE-SEP-AIBAEAQCAIBAEAQC ")]
        self.assertEqual(self.saved().splitlines(), emptied)

    def conntrack(self, *args):
        return sh("ip", "netns", "exec", self.n.node, "conntrack", *args)

    def test_flows_are_udp_and_nothing_else(self):
        """Asked to delete every flow that is shown: those of other protocols stay."""
        self.conntrack("-F")
        ends = ["--sport", "1000", "--dport", "53", "-t", "300"]
        for proto in (["udp"], ["tcp", "--state", "ESTABLISHED"],
                      ["sctp", "--state", "ESTABLISHED", "--orig-vtag", "1", "--reply-vtag", "2"]):
            for src, dst in (("10.2.0.1", "10.96.0.10"), ("fd02::1", "fd00:96::10")):
                self.conntrack("-I", "-p", *proto, "-s", src, "-d", dst, *ends)
        self.begin("flows_all")
        self.n.wait("both ends", lambda: self.n.logged().count("hostile: flows:") == 2)
        self.assertEqual(self.n.logged().count("hostile: flows: seen 1 deleted 1 error 0"), 2)
        self.assertIsNone(self.n.proc.poll())
        for family in ("ipv4", "ipv6"):
            left = self.conntrack("-L", "-f", family)
            self.assertEqual(left.count("dport=53"), 2, left)
            self.assertNotIn("udp ", left)
        self.assertIn("flows: deleted 1 of 1 IPv6 UDP flows", self.n.audited())
        self.assertEqual(self.n.stop(), 0)
        self.assertEqual(self.saved(), self.before)

    def test_cleaner_beside_a_planner_of_junk(self):
        """Anything but its one byte, once, ends the cleaner; nothing is removed, and the rest goes on."""
        n = self.n
        chain = lambda: subprocess.run(
            ["ip", "netns", "exec", n.node, "nft", "list", "chain", "ip", "nat", "KUBE-SERVICES"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        sh("ip", "netns", "exec", n.node, "nft", "add table ip nat; add chain ip nat KUBE-SERVICES; "
           "add rule ip nat KUBE-SERVICES accept")
        self.addCleanup(sh, "ip", "netns", "exec", n.node, "nft", "delete table ip nat")
        for scenario in ("cleaner_word", "cleaner_byte", "cleaner_frame", "cleaner_large"):
            with self.subTest(scenario):
                self.begin(scenario)
                n.wait("the cleaner's end", lambda: re.search(
                    r"cleaner \(pid \d+\) exited with status 1", n.logged()))
                self.assertIn("protocol violation by the planner: not the byte", n.logged())
                self.assertTrue(chain())
                self.assertIsNone(n.proc.poll())
                self.assertEqual(n.stop(), 0)

    def test_empty_datagram_is_a_hang_up(self):
        self.begin("empty_datagram")
        self.assertEqual(self.n.proc.wait(patient(60)), 1)
        self.assertIn("exiting with status 1, rules stay in place", self.n.logged())
        self.assertEqual(self.saved(), self.before)


def add(kind, scenario, words):
    def test(self):
        getattr(self, kind)(scenario, words)
    setattr(Escape, "test_%s_%s" % (kind, scenario), test)


for s, w in REFUSED.items():
    add("refuse", s, w)
for s, w in STALE.items():
    add("stale", s, w)


if __name__ == "__main__":
    unittest.main()
