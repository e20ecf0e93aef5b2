"""A malicious planner in nftables mode: it can add neither rule nor chain nor set, nor an element
that no packet may follow; every refusal, and the kernel's tables unchanged.

tests/tools/hostile_nft.c takes kube-proxy-planner's place, as hostile.c does in test_escape.py.
"""
import os
import shutil
import unittest

from harness import BUILD, Node, sh
from limits import patient

# scenario -> a part of the audit line. The parent exits with 1.
REFUSED = {
    "unknown_set": "NFT_OPS: a number out of range",
    "unknown_family": "NFT_OPS: a number out of range",
    "unknown_operation": "NFT_OPS: an unknown operation",
    "affinity_number": "NFT_OPS: a number out of range",
    "affinity_too_long": "NFT_OPS: a number out of range",
    "dynamic_set": "a set that is not the planner's to fill: ip affinity-0",
    "timeouts_set": "a set that is not the planner's to fill: ip affinity-timeouts number=1 "
                    "seconds=10",
    "dnat_loopback": "an endpoint of the other family, or no plain unicast address: ip "
                     "endpoints-1 address=10.96.0.1 proto=6 port=80 number=0 to=127.0.0.1 "
                     "port=8080 name=default/web",
    "dnat_link_local": "to=169.254.169.254",
    "dnat_multicast": "to=224.0.0.1",
    "dnat_other_family": "an endpoint of the other family",
    "frontend_loopback": "an address of the other family, or no plain unicast one: ip services "
                         "address=127.0.0.1",
    "frontend_anywhere": "ip no-endpoints address=0.0.0.0",
    "protocol_icmp": "a protocol other than TCP, UDP and SCTP: ip services address=10.96.0.1 "
                     "proto=1",
    "drop_all": "a ServiceCIDR wider than /8 or /48: ip service-cidrs net=0.0.0.0/0",
    "drop_half_of_ipv6": "a ServiceCIDR wider than /8 or /48: ip6 service-cidrs net=2000::/3",
    "drop_loopback": "a ServiceCIDR of no plain unicast addresses: ip service-cidrs net=127.0.0.0/8",
    "drop_stranger": "a ServiceCIDR outside --policy-frontends: ip service-cidrs net=198.51.100.0/24",
    "frontend_stranger": "an address outside --policy-frontends: ip services address=198.51.100.1 "
                         "proto=6 port=443",
    "reject_stranger": "an address outside --policy-frontends: ip no-endpoints address=198.51.100.1",
    "cluster_ip_stranger": "an address outside --policy-frontends: ip cluster-ips",
    "firewall_stranger": "an address outside --policy-frontends: ip firewall",
    "hairpin_stranger": "an endpoint outside --policy-endpoints: ip hairpin",
    "dnat_metadata": "an endpoint in --policy-denied-endpoints: ip endpoints-1",
    "dnat_stranger": "an endpoint outside --policy-endpoints: ip endpoints-1",
    "number_never_drawn": "a number that is never drawn: ip endpoints-3",
    "name_text": "a name that is not namespace/name or namespace/name:port of DNS labels: ip "
                 "services address=10.96.0.1 proto=6 port=80 name=default/web\" }?flush ruleset",
    "install_late": "a table made after other operations on it",
    "forget_elsewhere": "clients of a set that has none: ip services",
    "a_rule": "frame: an unknown message",
    "a_check": "frame: an unknown message",
    "quota_operations": "more operations than a transaction may have",
}

FOREIGN = """table ip filter {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ip saddr 192.0.2.0/24 accept
	}
}
"""


class Escape(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = n = Node(pods=0, prefix="kp-en").__enter__()
        cls.addClassCleanup(n.__exit__)
        cls.bin = os.path.join(n.dir, "bin")
        os.mkdir(cls.bin, 0o755)
        for program, source in (("kube-proxy", "kube-proxy"),
                                ("kube-proxy-watcher", "kube-proxy-watcher"),
                                ("kube-proxy-listener", "kube-proxy-listener"),
                                ("kube-proxy-cleaner", "kube-proxy-cleaner"),
                                ("kube-proxy-planner", "tests/tools/hostile_nft")):
            shutil.copy(os.path.join(BUILD, source), os.path.join(cls.bin, program))
        n.write("objects.json", [])
        sh("ip", "netns", "exec", n.node, "nft", "-f", "-", input=FOREIGN)
        # What a good planner leaves there, for the bad ones to spoil.
        cls.begin("service")
        n.wait("a result", lambda: "hostile: result" in n.logged())
        assert "hostile: result 0:" in n.logged(), n.logged()
        n.stop()
        cls.before = cls.saved()
        assert "ip saddr 192.0.2.0/24 accept" in cls.before
        assert ('10.96.0.1 . tcp . 80 . 0 comment "default/web" : 10.244.1.10 . 8080'
                in cls.before), cls.before

    @classmethod
    def begin(cls, scenario):
        n = cls.n
        for name in (n.log, n.audit):
            open(name, "w").close()
        path = os.path.join(cls.bin, "scenario")
        with open(path, "w") as f:
            f.write(scenario + "\n")
        os.chmod(path, 0o644)
        n.start("--manifest-path", os.path.join(n.dir, "objects.json"), "--proxy-mode=nftables",
                "--policy-frontends=10.96.0.0/12", "--policy-endpoints=10.244.0.0/16",
                program=os.path.join(cls.bin, "kube-proxy"), wait=False)

    @classmethod
    def saved(cls):
        return sh("ip", "netns", "exec", cls.n.node, "nft", "-a", "list", "ruleset")

    def tearDown(self):
        self.n.stop()

    @classmethod
    def tearDownClass(cls):
        print("attacks tried: %d" % len(REFUSED), flush=True)

    def refuse(self, scenario, words):
        self.begin(scenario)
        code = self.n.proc.wait(patient(60))
        self.assertEqual(code, 1, self.n.logged())
        refused = [line for line in self.n.audited().splitlines() if " refused: " in line]
        self.assertEqual(len(refused), 1, self.n.audited())
        self.assertIn(words, refused[0])
        self.assertIn("the planner broke the rules", self.n.logged())
        self.assertEqual(self.saved(), self.before)


def case(scenario, words):
    return lambda self: self.refuse(scenario, words)


for _scenario, _words in REFUSED.items():
    setattr(Escape, "test_" + _scenario, case(_scenario, _words))


if __name__ == "__main__":
    unittest.main()
