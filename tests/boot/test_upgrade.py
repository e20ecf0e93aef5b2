"""The package's life under systemd: upgraded, removed, purged, installed again. The Service answers on."""
import unittest

from node import Case, DEFAULTS, PROCESSES


class Package(Case):
    def test_life(self):
        n, m = self.n, self.m
        n.fresh("nftables")
        n.start()
        n.served()
        n.traffic()
        before = n.pids()
        n.install()  # the same version again: what an upgrade does
        n.running(not_pid=before["applier"])
        m.wait(lambda: sorted(n.pids()) == sorted(PROCESSES), "four processes run after the upgrade")
        self.assertIn("--proxy-mode=nftables", m.run("cat", DEFAULTS).out)

        m.run("dpkg", "--remove", "kube-proxy")
        self.assertEqual(n.pids(), {})
        self.assertIn(n.request(), ("a", "b"))  # the rules stay
        self.assertIn("--proxy-mode=nftables", m.run("cat", DEFAULTS).out)
        self.assertNotIn("kube-proxy", m.run("cat", "/sys/kernel/security/apparmor/profiles").out)

        m.run("dpkg", "--purge", "kube-proxy")
        self.assertNotEqual(m.run("ls", DEFAULTS, check=False).status, 0)
        self.assertEqual(m.sh("find /etc /usr /lib/systemd -name '*kube-proxy*' ! -path '*/doc/*'").out, "")
        self.assertIn(n.request(), ("a", "b"))

        n.install()
        n.fresh("nftables")
        n.start()
        n.served()
        told = n.end_traffic()
        self.assertGreater(told["asked"], 10)
        self.assertEqual((told["failed"], told["kept"]), ([], ""))


if __name__ == "__main__":
    unittest.main()
