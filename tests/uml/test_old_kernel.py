"""Linux 6.1 without Landlock and without a vDSO: the walls that are left stand, and it works."""
import os
import re
import subprocess
import unittest

import test_service_packets as cases
from harness import BUILD
from limits import patient
from test_processes import status

TAKES = 60  # seconds on an idle machine

PROCESSES = {"kube-proxy", "planner", "watcher", "listener"}


class OldKernel(cases.Case):
    def test_a_life(self):
        """Start, changes, a flow that has to go, the end: no filter kills for what is needed."""
        n = self.n
        s = cases.Service(1, sessionAffinity="ClientIP")
        self.run_with(s.objects(self.both()))
        self.n.wait("a word of each", lambda: PROCESSES | {"cleaner"} == set(re.findall(
            r" (\S+)\] this kernel has no Landlock", n.logged())))
        for name, pid in n.processes().items():
            with self.subTest(name):
                self.assertEqual([status(pid)[k] for k in ("Seccomp", "NoNewPrivs", "CapBnd")],
                                 ["2", "1", "0" * 16])
                with open("/proc/%d/oom_score_adj" % pid) as f:
                    self.assertEqual(int(f.read()), -999 if name == "kube-proxy" else 0)
        for frontend in cases.FRONTENDS:
            for family in (4, 6):
                for proto in ("tcp", "udp"):
                    said = self.answer(n.client, family, s.address(frontend, family, proto), proto, patient(2))
                    self.assertIn(said, ("pod1*", "pod2*"))
        for who in (0, 1):
            rest = [e for e in self.both() if e[0] not in (n.pod_ip(who), n.pod_ip(who, 6))]
            self.rewrite(s.objects(rest))
            for family in (4, 6):
                to = s.address("cluster", family, "udp")
                self.assertEqual(self.answers(n.client, family, to, "udp", {"pod%d*" % (2 - who)}),
                                 {"pod%d*" % (2 - who)})
        self.assertEqual(n.stop(), 0)
        before, rules = self.commits(), (self.state(4), self.state(6))
        n.start("--manifest-path", self.path, *self.flags)
        self.assertEqual((self.commits(), (self.state(4), self.state(6))), (before, rules))
        self.rewrite([])
        self.assertEqual(n.stop(), 0)

    def test_filters_kill(self):
        """The sandbox's own tests, on this kernel."""
        r = subprocess.run([os.path.join(BUILD, "tests/unit/common_sandbox")], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patient(60),
                           env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP"))
        self.assertEqual(r.returncode, 0, r.stdout)
        self.assertGreaterEqual(len(re.findall(r"(?m)^ok \d", r.stdout)), 3, r.stdout)

    def test_nftables_mode_names_what_is_missing(self):
        """This kernel has nf_tables, but no family of it for IP."""
        n = self.n
        proc = n.start("--manifest-path", n.write("none.json", []), "--proxy-mode=nftables",
                       wait=False)
        self.assertEqual(proc.wait(patient(30)), 78, n.logged())
        self.assertIn("nf_tables", n.logged().splitlines()[-1])


if __name__ == "__main__":
    unittest.main()
