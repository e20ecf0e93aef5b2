#!/usr/bin/python3
"""
What happens to the running unit: it hangs, is reloaded, has its configuration, its token and its log files
replaced. All the while its Service answers. Judged by packets and by what systemctl and journalctl show.
"""
import unittest

from harness import Node, service, slice_of
from systemd import DIRECTORY, FLAGS, TOKEN, VIP, Systemd

TAKES = 150
CONFIG = DIRECTORY + "config.conf"
AUDIT = "/var/log/kube-proxy/audit.log"
OTHER_VIP = "10.96.0.11"


class Life(Systemd):
    def config(self, port):
        self.write(CONFIG, """apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node-a
healthzBindAddress: 127.0.0.1:%d
clientConnection: {kubeconfig: /run/kube-proxy/kubeconfig}
""" % port, "0440")
        self.must("chgrp", "_kproxy-w", CONFIG)

    def healthz(self, port):
        return self.run_in("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}",
                           "http://127.0.0.1:%d/healthz" % port) == "200"

    def test_watchdog(self):
        """Whichever process hangs, all are replaced."""
        pid = self.start(FLAGS + "--proxy-mode=nftables", "[Service]\nWatchdogSec=20\n")
        with self.answering():
            for process in sorted(self.pids()):
                with self.subTest(process=process):
                    before = self.pids()
                    self.must("kill", "-STOP", before[process])
                    pid = self.wait_anew("the restart after %s hung" % process, pid)
                    self.wait_programmed()
                    self.assertFalse(set(before.values()) & set(self.pids().values()))
        self.assertEqual(self.show("NRestarts"), ["4"])

    def test_killed(self):
        """In userspace mode nothing answers without the proxy: it is there again at once."""
        for mode in ("iptables", "userspace"):
            with self.subTest(mode=mode):
                self.must("systemctl", "stop", "kube-proxy")
                self.run_in("systemctl", "reset-failed", "kube-proxy")  # fails if it is not loaded
                pid = self.start(FLAGS + "--proxy-mode=" + mode)
                count = 6 if mode == "userspace" else 4  # there with relay and broker
                self.assertEqual(len(self.pids()), count)
                for process in sorted(self.pids()):
                    self.must("kill", "-KILL", self.pids()[process])
                    pid = self.wait_anew("the restart after the end of " + process, pid)
                    self.wait_programmed()
                    self.wait("every process", lambda: len(self.pids()) == count)
                    self.wait("answers after the end of " + process, lambda: self.n.ask(
                        self.n.client, VIP, 80).startswith("pod1"))
                self.assertEqual(self.show("NRestarts"), [str(count)])

    def test_reload(self):
        """SIGHUP ends it with status 75, which is no failure, and the new flags count."""
        pid = self.start(FLAGS + "--proxy-mode=nftables --healthz-bind-address=127.0.0.1:10300")
        self.wait("a healthy node", lambda: self.healthz(10300))
        with self.answering():
            self.write("/etc/default/kube-proxy", "KUBE_PROXY_ARGS=%s\n" % (
                FLAGS + "--proxy-mode=nftables --healthz-bind-address=127.0.0.1:10301"), "0644")
            self.must("systemctl", "reload", "kube-proxy")
            self.wait_anew("the restart", pid)
            self.wait("health at the new port", lambda: self.healthz(10301))
            self.check_never_failed()
        self.assertFalse(self.healthz(10300))

    def test_changed_configuration(self):
        """A planned restart; a wrong file is refused, and the proxy goes on with the old one."""
        self.config(10300)
        pid = self.start("--config=" + CONFIG)
        self.wait("a healthy node", lambda: self.healthz(10300))
        with self.answering():
            self.config(10301)
            pid = self.wait_anew("the restart", pid)
            self.wait("health at the new port", lambda: self.healthz(10301))
            self.check_never_failed()
            self.write(CONFIG, "mode: [no such\n", "0440")
            self.must("chgrp", "_kproxy-w", CONFIG)
            self.wait("a word about it", lambda: CONFIG in self.journal("-p", "warning"))
            self.assertTrue(self.healthz(10301))
            self.assertEqual(self.show("MainPID", "ActiveState"), [pid, "active"])

    def test_renewed_token(self):
        """The kubeconfig is a copy, but what it refers to is read again, without a restart."""
        pid = self.start(FLAGS + "--proxy-mode=nftables -v=1")
        self.write(TOKEN, "token-2", "0440")
        self.must("chgrp", "_kproxy-w", TOKEN)
        self.wait("a word about it", lambda: "a new token" in self.journal())
        self.api.tokens = {"token-2"}
        self.api.end_watches()
        self.api.put(service("late", [OTHER_VIP], [("http", 80, "TCP")]))
        self.api.put(slice_of("late", [self.n.pod_ip(0)], [("http", Node.PORT, "TCP")]))
        try:
            self.wait("the Service that came with the new token", lambda: self.n.ask(
                self.n.client, OTHER_VIP, 80).startswith("pod1"))
            self.assertEqual(self.show("MainPID")[0], pid)
        finally:
            self.api.delete("Service", "default", "late")
            self.api.delete("EndpointSlice", "default", "late-ipv4")

    def test_journal(self):
        """Priorities, and none of klog's heads: journald has the time and the process."""
        self.start(FLAGS + "--proxy-mode=nftables --cluster-cidr=10.244.1.1/16")
        warnings = self.journal("-p", "warning")
        self.assertIn("10.244.1.1/16", warnings)
        everything = self.journal()
        self.assertGreater(len(everything.splitlines()), len(warnings.splitlines()))
        self.assertNotRegex(everything, r"(?m)^[IWE]\d{4} |^<\d>")

    def test_log_rotation(self):
        """logrotate moves the audit log away, and the proxy that is restarted writes a new one."""
        pid = self.start(FLAGS + "--proxy-mode=nftables --audit-log=" + AUDIT)
        self.must("test", "-s", AUDIT)
        with self.answering():
            self.must("logrotate", "-f", "/etc/logrotate.d/kube-proxy")
            self.wait_anew("the restart", pid)
            self.wait_programmed()
            self.check_never_failed()
        self.must("test", "-s", AUDIT + ".1")
        self.assertEqual(self.must("stat", "-c", "%U %a", AUDIT), "_kproxy-a 640\n")
        self.must("sh", "-c", "ls -l /proc/%s/fd | grep -q '%s$'" % (
            self.show("MainPID")[0], AUDIT))


if __name__ == "__main__":
    unittest.main()
