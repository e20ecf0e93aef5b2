#!/usr/bin/python3
"""
The unit of the kubeconfig, and how the proxy's unit starts and ends, under a real systemd. Judged by packets
and by what systemctl and journalctl show.
"""
import time
import unittest

from systemd import FILE, FLAGS, Systemd

TAKES = 90


class Units(Systemd):
    def test_first_kubeconfig(self):
        """A node that joins its cluster after the boot."""
        self.write("/etc/default/kube-proxy", "KUBE_PROXY_ARGS=%s\n" % FLAGS, "0644")
        self.must("systemctl", "enable", "--now", "kube-proxy")
        self.assertIn("waiting for the kubeconfig " + FILE,
                      self.run_in("systemctl", "status", "--no-pager", "kube-proxy"))
        self.assertEqual(self.show("ActiveState", "Result"), ["inactive", "exec-condition"])
        self.assertEqual(self.must("systemctl", "--failed", "--no-legend"), "")
        self.write_kubeconfig()
        self.wait_anew("the start when the kubeconfig appears", "0")
        self.wait_programmed()
        self.check_answers()
        self.assertEqual(self.show("Type", "NotifyAccess", "WatchdogUSec"),
                         ["notify", "main", "2min"])
        self.assertEqual(self.must("stat", "-c", "%U %G %a", "/run/kube-proxy/kubeconfig", FILE),
                         "root _kproxy-w 440\nroot root 600\n")
        users = [self.must("stat", "-c", "%U", "/proc/" + pid).strip()
                 for _, pid in sorted(self.pids().items())]
        self.assertEqual(users, ["_kproxy-a", "_kproxy-l", "_kproxy-p", "_kproxy-w"])

    def test_waiting_and_stopped(self):
        """Stopped before there was a kubeconfig: it stays stopped when there is."""
        self.must("systemctl", "start", "kube-proxy")
        self.assertEqual(self.show("ActiveState", "Result"), ["inactive", "exec-condition"])
        self.must("systemctl", "stop", "kube-proxy")
        self.check_stays_stopped()

    def check_stays_stopped(self):
        self.write_kubeconfig()
        time.sleep(5)
        self.assertEqual(self.show("ActiveState", "MainPID"), ["inactive", "0"])

    def test_changed_kubeconfig(self):
        pid = self.start()
        with self.answering():
            self.write_kubeconfig()
            pid = self.wait_anew("the restart after a rename", pid)
            self.must("sh", "-c", "cat >" + FILE, text=self.kubeconfig())
            pid = self.wait_anew("the restart after a write", pid)
            self.must("rm", FILE)  # no reason to end
            time.sleep(5)
            self.assertEqual(self.show("MainPID")[0], pid)
            self.write_kubeconfig()
            pid = self.wait_anew("the restart with the new file", pid)
            self.must("systemctl", "reload", "kube-proxy")
            text = self.kubeconfig()
            self.write(FILE, text)  # while it starts
            self.wait("the last content", lambda: self.run_in("cat", "/run/kube-proxy/kubeconfig") ==
                      text and self.show("SubState")[0] == "running")
            self.check_never_failed()
        self.must("systemctl", "stop", "kube-proxy")
        self.assertEqual(self.run_in("ls", "-A", "/run/kube-proxy"), "")
        self.check_stays_stopped()

    def test_stop_and_start(self):
        for mode in ("iptables", "nftables"):
            with self.subTest(mode=mode):
                self.start(FLAGS + "--proxy-mode=" + mode)
                with self.answering():
                    self.must("systemctl", "stop", "kube-proxy")
                    self.assertEqual(self.show("ActiveState", "Result"), ["inactive", "success"])
                    self.must("systemctl", "start", "kube-proxy")
                    self.wait_programmed()
                self.must("systemctl", "stop", "kube-proxy")
                self.check_answers()

    def test_wrong_flag(self):
        self.write("/etc/default/kube-proxy", "KUBE_PROXY_ARGS=--no-such-flag\n")
        self.run_in("systemctl", "start", "kube-proxy")
        self.assertEqual(self.show("ActiveState", "ExecMainStatus", "NRestarts"),
                         ["failed", "2", "0"])
        self.assertIn("--no-such-flag", self.journal("-p", "err"))


if __name__ == "__main__":
    unittest.main()
