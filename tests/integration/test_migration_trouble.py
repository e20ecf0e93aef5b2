"""Migrations that meet something: no apiserver, a firewall, somebody else's jump, a kill in the middle."""
import os
import re
import signal
import time
import unittest

from harness import service, slice_of
from migration import FLAGS, NODE, PORT, Migration, MigrationNode, World
from old_proxy import OldProxy, save
from there_and_back import TOOLS, add_foreign, foreign

TAKES = 60
MANY = 1000
ROUNDS = 4

HOOKED = """
table inet early {
	chain pre { type nat hook prerouting priority -101; }
	chain passing { type filter hook forward priority 0; }
	chain first { type filter hook prerouting priority -300; }
}
table ip late {
	chain post { type nat hook postrouting priority 100; }
	chain drops { type filter hook forward priority -150; }
}
table ip6 late {
	chain pre { type nat hook prerouting priority -90; }
}
"""
TAKES_ALL = """
table ip taker {{
	chain pre {{
		type nat hook prerouting priority {priority};
		ip daddr {ip} tcp dport 80 redirect to :9
	}}
}}
"""


def modules_loaded():
    """Names; a kernel without modules has no such file."""
    try:
        with open("/proc/modules") as f:
            return [line.split()[0] for line in f]
    except FileNotFoundError:
        return []


class Trouble(unittest.TestCase):
    def setUp(self):
        self.n = MigrationNode().__enter__()
        self.addCleanup(self.n.__exit__)
        self.world = World(self.n)

    def old(self, kind):
        return OldProxy(self.n, kind, {f: [a] for f, a in NODE.items()})

    def start(self, mode, objects, *flags):
        self.n.start("--manifest-path", self.n.write("objects.json", objects),
                     "--proxy-mode=" + mode, *FLAGS, *flags)

    def everything(self):
        n = self.n
        text = [save(n, tool + "-save") for tool in TOOLS] + [save(n, "nft", "-s", "list", "ruleset")]
        return "\n".join(l.split(" [")[0] for t in text for l in t.splitlines() if l[:1] != "#")

    def test_no_apiserver(self):
        """The old rules, of every kind at once, stay and answer; no byte of them changes."""
        n = self.n
        with Migration(self, n) as m:
            for kind in ("iptables-nft", "iptables-legacy", "nftables"):
                self.old(kind).sync(self.world.before())
            before = self.everything()
            m.flows()
            m.traffic.settle("web")
            m.measure("no apiserver", "web", "doomed")
            for mode in ("iptables", "nftables", "userspace"):
                n.start("--master=http://127.0.0.1:9", "--proxy-mode=" + mode, *FLAGS, wait=False)
                n.wait("an attempt to reach it", lambda: "127.0.0.1:9" in n.logged() and
                       n.health("/livez")[0] != 0, 30)
                m.traffic.settle("web", requests=15)
                self.assertEqual(self.everything(), before)
                n.stop()
            m.row()

    def test_somebody_elses_jump(self):
        """KUBE-MARK-MASQ stays, with its rule, as long as another's chain jumps there."""
        n, old = self.n, self.old("iptables-nft")
        add_foreign(n)
        old.sync(self.world.before())
        n.inside("iptables-nft", "-t", "nat", "-N", "USER")
        n.inside("iptables-nft", "-t", "nat", "-A", "USER", "-p", "udp", "--dport", "99", "-j",
                 "KUBE-MARK-MASQ")
        jump = "-A USER -p udp -m udp --dport 99 -j KUBE-MARK-MASQ"
        before = foreign(n)
        self.start("nftables", self.world.before())
        n.wait("all but that chain to be gone", lambda: old.leftovers() == ["KUBE-MARK-MASQ"], 30)
        status, said = n.inspect("/diff")
        self.assertIn("KUBE-MARK-MASQ", said)
        _, said = n.inspect("/metrics")
        self.assertRegex(said, r'kubeproxy_leftover_rules\{[^}]*\} [1-9]')
        self.assertIn(jump, save(n, "iptables-nft-save"))
        self.assertEqual(foreign(n), before)
        n.stop()
        code, said = n.run_to_end("--cleanup")
        self.assertNotEqual(code, 0, said)
        self.assertIn("KUBE-MARK-MASQ", said)
        self.assertEqual((old.leftovers(), foreign(n)), (["KUBE-MARK-MASQ"], before))
        n.inside("iptables-nft", "-t", "nat", "-F", "USER")
        code, said = n.run_to_end("--cleanup")
        self.assertEqual((code, old.leftovers()), (0, []), said)

    def test_cleanup_and_check_node(self):
        """Of each kind: --check-node names it and changes nothing; --cleanup removes all of it."""
        n = self.n
        add_foreign(n)
        for kind, words in (("iptables-nft", "iptables-nft"), ("iptables-1.20", "iptables-nft"),
                            ("iptables-legacy", "iptables-legacy"), ("nftables", "kube-proxy")):
            with self.subTest(kind=kind):
                before = self.everything()
                old = self.old(kind)
                old.sync(self.world.before())
                loaded, modules = self.everything(), modules_loaded()
                code, said = n.run_to_end("--check-node", *FLAGS)
                self.assertRegex(said, r"(?m)^WARNING +rules +.*" + words)
                self.assertEqual(self.everything(), loaded)
                self.assertEqual(modules_loaded(), modules)
                code, said = n.run_to_end("--cleanup")
                self.assertEqual((code, old.leftovers()), (0, []), said)
                self.assertEqual(self.everything(), before)
                _, said = n.run_to_end("--check-node", *FLAGS)
                self.assertNotRegex(said, r"(?m)^WARNING +rules")

    def hook_order(self, mode):
        """{hook: (verdict, [chains], the rest)} of --check-node, which changes nothing."""
        before = self.everything()
        _, said = self.n.run_to_end("--check-node", "--proxy-mode=" + mode, *FLAGS)
        self.assertEqual(self.everything(), before)
        lines = re.findall(r"(?m)^(\S+) +hook order +(\w+), \w+: ([^;\n]*)(.*)$", said)
        self.assertEqual([l[1] for l in lines], ["prerouting", "output", "input", "forward", "postrouting"])
        return {hook: (verdict, chains.split(", "), rest) for verdict, hook, chains, rest in lines}

    def test_hook_order(self):
        """--check-node: the base chains of each hook, and a warning if another's nat comes first."""
        n = self.n
        self.assertEqual(self.hook_order("nftables")["prerouting"], ("ok", ["ours (-100)"], ""))
        n.inside("nft", "-f", "-", input=HOOKED)
        told = self.hook_order("nftables")
        self.assertEqual(told["prerouting"][:2], ("WARNING", [
            "inet early pre (-101)", "ours (-100)", "ip6 late pre (-90)"]))
        self.assertIn("a chain before ours translates", told["prerouting"][2])
        self.assertEqual(told["output"], ("ok", ["ours (-100)"], ""))
        self.assertEqual(told["forward"], ("ok", [
            "ip late drops (-150)", "ours (-110)", "inet early passing (0)"], ""))
        self.assertEqual(told["postrouting"][:2], ("ok", ["ours (100)", "ip late post (100)"]))
        self.assertIn("at the same priority", told["postrouting"][2])
        n.inside("iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", "9")
        told = self.hook_order("nftables")
        self.assertEqual(told["prerouting"][1], [
            "inet early pre (-101)", "ours (-100)", "iptables-legacy ip nat (-100)",
            "ip6 late pre (-90)"])
        # Our own legacy tables are not another program's; our nftables tables are.
        self.start("nftables", self.world.before())
        n.stop()
        self.assertEqual(self.hook_order("nftables")["prerouting"][1], told["prerouting"][1])
        told = self.hook_order("iptables")
        self.assertEqual(told["prerouting"][:2], ("WARNING", [
            "inet early pre (-101)", "ours (-100)", "ip kube-proxy nat-prerouting (-100)",
            "ip6 kube-proxy nat-prerouting (-100)", "ip6 late pre (-90)"]))
        self.assertEqual(told["input"][1], [
            "ip kube-proxy filter-input (-110)", "ip6 kube-proxy filter-input (-110)", "ours (0)"])

    def test_the_first_of_a_hook_decides(self):
        """What the warning says, by packets: the chain before ours translates, the later one does not."""
        n, ip = self.n, World.WEB[4][0]
        ask = lambda: n.ask(n.client, ip, 80)
        self.start("nftables", [service("web", [ip], [("http", 80, "TCP")]),
                                slice_of("web", [n.pod_ip(0)], [("http", n.PORT, "TCP")])])
        self.assertTrue(ask().startswith("pod"))
        for priority, answer in ((-99, "pod"), (-101, "refused")):
            n.inside("nft", "-f", "-", input=TAKES_ALL.format(ip=ip, priority=priority))
            self.assertRegex(ask(), "^" + answer, priority)
            n.inside("nft", "delete", "table", "ip", "taker")
        self.assertTrue(ask().startswith("pod"))

    def test_a_firewall_of_iptables_nft(self):
        """Policy DROP: Services pass while the old rules accept them, and by the advice given."""
        n, old = self.n, self.old("iptables-nft")
        old.sync(self.world.before())
        for tool in ("iptables-nft", "ip6tables-nft"):
            n.inside(tool, "-P", "FORWARD", "DROP")
            n.inside(tool, "-A", "FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
        with Migration(self, n) as m:
            for family in (4, 6):
                m.traffic.tell("flow", "web", "new", n.client, NODE[family], 30080)
                m.traffic.tell("flow", "web", "kept", n.client, NODE[family], 30080)
                m.traffic.tell("flow", "web", "udp", n.client, NODE[family], 30053)
            m.traffic.settle("web", requests=15)
            m.measure("policy DROP, iptables-nft -> iptables", "web")
            self.start("iptables", self.world.before())
            n.wait("the warning", lambda: "policy DROP" in n.logged(), 30)
            m.traffic.settle("web", requests=30)
            m.row()
            n.stop()
            # Followed, as the lines of the log say.
            said = n.logged()
            for tool in ("iptables-nft", "ip6tables-nft"):
                advice = "%s -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT" % tool
                self.assertIn(advice, said)
                n.inside(*advice.split())
            m.measure("policy DROP, the advice followed", "web")
            self.start("iptables", self.world.before())
            m.traffic.settle("web", requests=15)
            n.stop()
            code, said = n.run_to_end("--cleanup")
            self.assertEqual((code, old.leftovers()), (0, []), said)
            m.measure("policy DROP, ours alone", "web")
            self.start("iptables", self.world.before())
            m.traffic.wait("answers", lambda f: f["silent"] == 0, "web")
            m.measure("policy DROP, ours alone", "web")
            m.traffic.settle("web", requests=15)
            m.row()

    def test_health_checks_where_input_drops(self):
        """Policy DROP in iptables-nft: they pass while the old rules accept them, which stay for that, and
        by the advice given."""
        n, port = self.n, 30200
        objects = [service("lb", ["10.96.0.20"], [("http", 80, "TCP")], type="LoadBalancer",
                           externalTrafficPolicy="Local", healthCheckNodePort=port),
                   slice_of("lb", [n.pod_ip(0)], [("http", PORT, "TCP")])]
        old = self.old("iptables-nft")
        old.sync(objects)
        n.inside("iptables-nft", "-P", "INPUT", "DROP")
        n.inside("iptables-nft", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT")
        answer = lambda: n.ask(n.client, NODE[4], port, timeout=1)
        self.start("iptables", objects)
        n.wait("the warning", lambda: "policy DROP" in n.logged(), 30)
        self.assertIn("localEndpoints", answer())
        n.stop()
        advice = "iptables-nft -I INPUT -p tcp --dport PORT -j ACCEPT"
        self.assertIn(advice, n.logged())
        code, said = n.run_to_end("--cleanup")
        self.assertEqual((code, old.leftovers()), (0, []), said)
        self.start("iptables", objects)
        self.assertEqual(answer(), "timeout")
        n.inside(*advice.replace("PORT", str(port)).split())
        self.assertIn("localEndpoints", answer())

    def many(self):
        objects = self.world.before()
        for i in range(MANY):
            name, ip = "s%d" % i, "10.97.%d.%d" % divmod(i, 250)
            objects.append(service(name, [ip], [("http", 80, "TCP")]))
            objects.append(slice_of(name, ["10.1.%d.%d" % divmod(5 * i % 60000 + k, 250)
                                           for k in range(5)], [("http", PORT, "TCP")]))
        return objects

    def test_killed_in_the_middle(self):
        """kill -9 of kube-proxy or of its cleaner, again and again: the next start finishes."""
        n, old = self.n, self.old("iptables-nft")
        add_foreign(n)
        before, objects = foreign(n), self.many()
        old.sync(objects)
        for i in range(ROUNDS):
            self.start_only("nftables", objects)
            victim = "kube-proxy-cleaner" if i % 2 else "kube-proxy"
            n.wait("it to run", lambda: "kube-proxy-planner" in n.processes(), 30)
            time.sleep(0.05 + 0.3 * i)  # at some moment or other
            pid = n.processes().get(victim, n.proc.pid)
            try:
                os.kill(pid if victim != "kube-proxy" else n.proc.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.n.stop()
        self.start("nftables", objects)
        n.wait("nothing to be left", lambda: not old.leftovers(), 120)
        self.assertEqual(foreign(n), before)
        status, said = n.inspect("/diff?format=json")
        self.assertEqual(status, 200, said)
        self.assertNotIn("KUBE-", said)

    def start_only(self, mode, objects):
        self.n.start("--manifest-path", self.n.write("objects.json", objects),
                     "--proxy-mode=" + mode, *FLAGS, wait=False)


if __name__ == "__main__":
    unittest.main()
