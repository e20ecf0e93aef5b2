"""
The unit in the other modes: configured, the machine boots, and what the kernel needs for the mode is there.
"""
import unittest

from node import Case, PROCESSES, WITH_RELAY

MODULES = {"iptables": ("ip_tables", "ip6_tables", "iptable_nat", "ip6table_nat"), "ipvs": ("ip_vs", "ip_vs_rr", "ip_set"),
           "userspace": ("ip_tables", "iptable_nat")}


class Modes(Case):
    def modules(self):
        return {line.split()[0] for line in self.m.run("cat", "/proc/modules").out.splitlines()}

    def life(self, mode):
        """Boot, traffic, the end of each process, stop."""
        self.n.fresh(mode)
        self.assertEqual(self.n.show("UnitFileState"), "enabled")  # as the package does it
        self.m.reboot()
        self.n.world()
        self.n.running()
        self.n.served()
        self.assertLessEqual(set(MODULES[mode]), self.modules())
        self.m.wait(lambda: self.n.show("StatusText") == "2 services, 3 endpoints, apiserver ok",
                    lambda: "STATUS: " + self.n.show("StatusText"))
        if mode != "userspace":  # whose relays break with their process
            self.n.traffic()
        processes = WITH_RELAY if mode == "userspace" else PROCESSES
        for process in processes:
            before = self.n.pids()
            self.m.run("kill", "-KILL", str(before[process]))
            self.n.running(not_pid=before["applier"])
            self.m.wait(lambda: sorted(self.n.pids()) == sorted(processes),
                        "all processes run after the %s's end" % process)
            self.n.served()
        if mode != "userspace":
            told = self.n.end_traffic()
            self.assertGreater(told["asked"], 10)
            self.assertEqual((told["failed"], told["kept"]), ([], ""))
        self.m.run("systemctl", "stop", "kube-proxy")
        self.assertEqual(self.n.show("ActiveState", "Result"), ["inactive", "success"])
        if mode != "userspace":
            self.assertIn(self.n.request(), ("a", "b"))

    def test_iptables(self):
        self.life("iptables")

    def test_ipvs(self):
        self.life("ipvs")

    def test_userspace(self):
        self.life("userspace")


if __name__ == "__main__":
    unittest.main()
