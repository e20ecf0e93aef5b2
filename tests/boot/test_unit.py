"""
The unit as it is shipped, under systemd. What is asked is what a user of the node sees: does systemd call it
active, does a pod answer behind the ClusterIP, what does the journal say. A start takes minutes in an emulated
machine beside other work, so a test goes on with the unit that the one before has started.
"""
import re
import unittest

from node import CLUSTER_IP, Case, OTHER_IP, PROCESSES

EXPOSURE_MAX = 1.9  # systemd-analyze's measure, 0 (safe) to 10; README explains each point


class Shipped(Case):
    def listed(self):
        return CLUSTER_IP in self.m.run("nft", "list", "table", "ip", "kube-proxy", check=False).out

    def serving(self):
        if self.n.show("ActiveState") != "active":
            self.n.fresh("nftables")
            self.n.start()
        self.n.served()

    def test_1_starts_and_serves(self):
        """Type=notify, under AppArmor's profiles, with the kubeconfig root:root 0600 (CIS 4.1.3 and 4.1.4)."""
        self.serving()
        pids = self.n.pids()
        self.assertEqual(sorted(pids), sorted(PROCESSES))
        for process, pid in pids.items():
            confined = self.m.run("cat", "/proc/%d/attr/current" % pid).out.strip()
            self.assertRegex(confined, r"kube-proxy.* \(enforce\)$", process)
        self.m.wait(lambda: self.n.show("StatusText") == "2 services, 3 endpoints, apiserver ok",
                    lambda: "STATUS: " + self.n.show("StatusText"))

    def test_2_killed_process(self):
        """Whichever it is, all are replaced; meanwhile no request fails and no connection breaks."""
        self.serving()
        self.n.traffic()
        for process in PROCESSES:
            before = self.n.pids()
            self.m.run("kill", "-KILL", str(before[process]))
            self.n.running(not_pid=before["applier"])
            self.m.wait(lambda: len(self.n.pids()) == 4, "four processes run after the %s's end" % process)
            self.assertFalse(set(before.values()) & set(self.n.pids().values()), process)
            self.n.served()
        told = self.n.end_traffic()
        self.assertGreater(told["asked"], 10)
        self.assertEqual((told["failed"], told["kept"]), ([], ""))

    def test_3_stop_leaves_the_rules(self):
        self.serving()
        self.m.run("systemctl", "stop", "kube-proxy")
        self.assertEqual(self.n.show("ActiveState", "Result"), ["inactive", "success"])
        self.assertEqual(self.n.pids(), {})
        self.assertTrue(self.listed())
        self.assertIn(self.n.request(), ("a", "b"))
        self.assertEqual(self.n.request(OTHER_IP, 53, "udp"), "b")

    def test_4_wrong_flag(self):
        """Exit status 2, and systemd does not try again."""
        self.n.fresh("nftables", "--no-such-flag")
        cursor = self.n.cursor()
        self.assertNotEqual(self.m.run("systemctl", "start", "kube-proxy", check=False).status, 0)
        self.assertEqual(self.n.show("ActiveState", "Result", "ExecMainStatus", "NRestarts"),
                         ["failed", "exit-code", "2", "0"])
        self.assertIn("no-such-flag", "\n".join(self.n.journal("--after-cursor=" + cursor)))

    def test_5_audit_log_in_a_file(self):
        """Its chain goes on over a restart."""
        log = "/var/log/kube-proxy/audit.log"
        self.n.fresh("nftables", "--audit-log=" + log)
        for _ in range(2):
            self.m.run("nft", "delete", "table", "ip", "kube-proxy", check=False)
            self.m.run("systemctl", "restart", "kube-proxy")
            self.n.running()
            self.n.served()
        self.m.wait(lambda: self.m.run("grep", "-c", "result ok", log, check=False).out.strip() > "1", "two lines")
        said = self.m.run("kube-proxy", "--verify-audit-log=" + log).out
        self.assertIn(", 0 not chained to the one before; the first begins the log", said)

    def test_5_exposure(self):
        out = self.m.run("systemd-analyze", "security", "--no-pager", "kube-proxy", check=False).out
        level = re.search(r"Overall exposure level.*: ([\d.]+)", out)
        self.assertIsNotNone(level, out)
        self.assertLessEqual(float(level[1]), EXPOSURE_MAX, out)

    def test_6_nothing_was_denied(self):
        """By AppArmor or seccomp, in all tests before."""
        out = self.m.run("journalctl", "--no-pager", "-o", "cat", "_TRANSPORT=kernel", "+", "_TRANSPORT=audit").out
        self.assertIn('apparmor="STATUS"', out)  # the kernel's records do come here
        denied = [line for line in out.splitlines() if "kube" in line
                  and re.search(r'apparmor="DENIED"|type=1326|^SECCOMP', line)]
        self.assertEqual(denied, [])


if __name__ == "__main__":
    unittest.main()
