"""--cleanup: what this and other kube-proxies left is gone, and everything else as it was before."""
import fcntl
import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import BUILD, Node, service, sh, slice_of
from limits import patient

# What others have in the same tables: an administrator's chains, and the kubelet's, which are not
# kube-proxy's whatever their names. {drop}: the kubelet's rules against martian packets, IPv4's only.
OTHERS = """*mangle
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-SVC-NOTAHASH - [0:0]
:MINE - [0:0]
-A INPUT -j KUBE-FIREWALL
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "kubernetes service portals" -j ACCEPT
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j MINE
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
-A MINE -p udp -m udp --dport 53 -j RETURN
COMMIT
*nat
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-DROP - [0:0]
:MINE - [0:0]
-A PREROUTING -j MINE
-A POSTROUTING -p tcp -m tcp --dport 25 -j MASQUERADE
-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
-A MINE -p tcp -m tcp --dport 9 -j RETURN
COMMIT
"""

# As kube-proxy's iptables mode leaves them: hooks prepended, chains per service and endpoint.
IPTABLES_MODE = """*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-I INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-I INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-I INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-I OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-I OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment "default/none has no endpoints" -m addrtype --dst-type LOCAL -m tcp --dport 30002 -j REJECT
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-NODEPORTS -p tcp -m comment --comment "default/web:http health check node port" -m tcp --dport 30003 -j ACCEPT
COMMIT
*nat
:KUBE-EXT-LOLE4ISW44XBNF3G - [0:0]
:KUBE-FW-LOLE4ISW44XBNF3G - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-SEP-MD6HSDFHS2AB5QIW - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-LOLE4ISW44XBNF3G - [0:0]
:KUBE-SVL-LOLE4ISW44XBNF3G - [0:0]
:KUBE-XLB-LOLE4ISW44XBNF3G - [0:0]
-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -p tcp -m comment --comment "default/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-LOLE4ISW44XBNF3G
-A KUBE-SERVICES -p tcp -m comment --comment "default/web:http loadbalancer IP" -m tcp --dport 80 -j KUBE-FW-LOLE4ISW44XBNF3G
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m comment --comment "default/web:http" -m tcp --dport 30001 -j KUBE-XLB-LOLE4ISW44XBNF3G
-A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "default/web:http loadbalancer IP" -j KUBE-XLB-LOLE4ISW44XBNF3G
-A KUBE-FW-LOLE4ISW44XBNF3G -m comment --comment "default/web:http loadbalancer IP" -j KUBE-MARK-DROP
-A KUBE-XLB-LOLE4ISW44XBNF3G -m comment --comment "masquerade LOCAL traffic for default/web:http LB IP" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
-A KUBE-XLB-LOLE4ISW44XBNF3G -m comment --comment "Balancing rule 0 for default/web:http" -j KUBE-SEP-MD6HSDFHS2AB5QIW
-A KUBE-EXT-LOLE4ISW44XBNF3G -j KUBE-SVL-LOLE4ISW44XBNF3G
-A KUBE-SVC-LOLE4ISW44XBNF3G -m comment --comment "default/web:http" -j KUBE-SEP-MD6HSDFHS2AB5QIW
-A KUBE-SVL-LOLE4ISW44XBNF3G -m comment --comment "default/web:http" -j KUBE-SEP-MD6HSDFHS2AB5QIW
-A KUBE-SEP-MD6HSDFHS2AB5QIW -p tcp -m comment --comment "default/web:http" -m recent --set --name KUBE-SEP-MD6HSDFHS2AB5QIW --rsource -m tcp -j DNAT --to-destination {endpoint}
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
COMMIT
"""
HOOK_OF_1_19 = """*filter
-I INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
COMMIT
"""
IPVS_MODE = """*filter
:KUBE-FORWARD - [0:0]
:KUBE-IPVS-FILTER - [0:0]
:KUBE-IPVS-OUT-FILTER - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SOURCE-RANGES-FIREWALL - [0:0]
-I INPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER
-I INPUT -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL
-I INPUT -m comment --comment "kubernetes health check rules" -j KUBE-NODE-PORT
-I FORWARD -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL
-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-I OUTPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-OUT-FILTER
-A KUBE-PROXY-FIREWALL -j KUBE-SOURCE-RANGES-FIREWALL
-A KUBE-SOURCE-RANGES-FIREWALL -j DROP
-A KUBE-NODE-PORT -m comment --comment "Kubernetes health check node port" -j ACCEPT
COMMIT
*nat
:KUBE-LOAD-BALANCER - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -m comment --comment "Kubernetes service lb portal" -j KUBE-LOAD-BALANCER
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ
-A KUBE-NODE-PORT -p tcp -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE
COMMIT
"""
USERSPACE_MODE = """*filter
:KUBE-NODEPORT-NON-LOCAL - [0:0]
-I INPUT -m comment --comment "Ensure that non-local NodePort traffic can flow" -j KUBE-NODEPORT-NON-LOCAL
COMMIT
*nat
:KUBE-NODEPORT-CONTAINER - [0:0]
:KUBE-NODEPORT-HOST - [0:0]
:KUBE-PORTALS-CONTAINER - [0:0]
:KUBE-PORTALS-HOST - [0:0]
-I PREROUTING -m comment --comment "handle ClusterIPs; NOTE: this must be before the NodePort rules" -j KUBE-PORTALS-CONTAINER
-I OUTPUT -m comment --comment "handle ClusterIPs; NOTE: this must be before the NodePort rules" -j KUBE-PORTALS-HOST
-A PREROUTING -m addrtype --dst-type LOCAL -m comment --comment "handle service NodePorts; NOTE: this must be the last rule in the chain" -j KUBE-NODEPORT-CONTAINER
-A OUTPUT -m addrtype --dst-type LOCAL -m comment --comment "handle service NodePorts; NOTE: this must be the last rule in the chain" -j KUBE-NODEPORT-HOST
-A KUBE-PORTALS-CONTAINER -p tcp -m comment --comment "default/web:http" -m tcp --dport 80 -j REDIRECT --to-ports 40001
COMMIT
"""


class Cases:
    kind = None  # of iptables

    def setUp(self):
        self.n = Node(pods=2).__enter__()
        self.addCleanup(self.n.__exit__)

    def restore(self, text):
        """As iptables-restore --noflush takes it, in both families."""
        for tool, endpoint in zip(self.tools("iptables"), ("10.1.1.1:8080", "[fd00:1::1]:8080")):
            sh("ip", "netns", "exec", self.n.node, tool + "-restore", "--noflush",
               input=text.replace("{endpoint}", endpoint))

    def tools(self, name):
        return "%s-%s" % (name, self.kind), "%s-%s" % (name.replace("ip", "ip6", 1), self.kind)

    def saved(self):
        return self.save(4), self.save(6)

    def cleanup(self, *flags, code=0):
        """Returns what was logged."""
        r = subprocess.run(["ip", "netns", "exec", self.n.node, os.path.join(BUILD, "kube-proxy"),
                            "--cleanup", "--audit-log=" + self.n.audit, *flags], text=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=patient(60))
        self.assertEqual(r.returncode, code, r.stderr)
        self.assertEqual(r.stdout, "")
        return r.stderr

    def left_by(self, text):
        """What is restored beside others' rules is gone afterwards, and theirs are as before."""
        self.restore(OTHERS)
        before = self.saved()
        self.restore(text)
        self.assertNotEqual(self.saved(), before)
        log = self.cleanup()
        self.assertEqual(self.saved(), before)
        for family in ("ip", "ip6"):
            self.assertRegex(log, r"iptables-%s, table %s nat: removed a kube-proxy's \d+ chains, \d+ rules"
                             % (self.kind, family))
        self.assertIn("cleanup: nothing of a kube-proxy is left", log)
        self.assertIn("cleanup: nothing to remove", self.cleanup())
        self.assertEqual(self.saved(), before)

    def test_of_iptables_mode(self):
        self.left_by(IPTABLES_MODE + HOOK_OF_1_19)

    def test_of_ipvs_mode(self):
        """Of iptables; what it has beside, which waits for this proxy's own, is not touched."""
        self.left_by(IPVS_MODE)

    def test_of_userspace_mode(self):
        self.left_by(USERSPACE_MODE)

    def test_of_every_mode_one_after_another(self):
        self.left_by(IPTABLES_MODE + HOOK_OF_1_19 + IPVS_MODE + USERSPACE_MODE)

    def test_a_start_takes_other_modes_away(self):
        """Without --cleanup: what is not iptables mode's of today is gone after the first sync."""
        n = self.n
        path = n.write("objects.json", [service("web", ["10.96.0.10"], [("http", 80, "TCP")]),
                                        slice_of("web", [n.pod_ip(0)], [("http", Node.PORT, "TCP")])])
        self.restore(OTHERS)
        n.start("--manifest-path", path)
        self.assertEqual(n.stop(), 0)
        want = self.saved()
        self.restore(IPTABLES_MODE + HOOK_OF_1_19 + IPVS_MODE + USERSPACE_MODE)
        n.start("--manifest-path", path)
        # as sets: the hooks that both have stand there twice
        want = [set(text.splitlines()) for text in want]
        n.wait("the others' end", lambda: [set(text.splitlines()) for text in self.saved()] == want)
        self.assertTrue(n.ask(n.client, "10.96.0.10", 80).startswith("pod"))

    def test_what_cannot_be_reached(self):
        """No apiserver, no file, and nothing there to begin with: nothing is needed, or written."""
        self.restore("*filter\nCOMMIT\n*nat\nCOMMIT\n")
        before = self.saved()
        log = self.cleanup("--kubeconfig=/nonexistent/kubeconfig", "--cleanup-ipvs")
        self.assertEqual(self.saved(), before)
        self.assertIn("cleanup: nothing to remove", log)

    def test_a_chain_in_use(self):
        """Another program's chain jumps to one of ours: that stays, empty unless its content is for
        everybody, and is named; the exit status says so."""
        self.restore(OTHERS)
        self.restore(IPTABLES_MODE)
        self.restore("*nat\n-A MINE -p tcp -m tcp --dport 99 -j KUBE-MARK-MASQ\nCOMMIT\n"
                     "*filter\n-A MINE -p tcp -m tcp --dport 99 -j KUBE-FORWARD\nCOMMIT\n")
        log = self.cleanup(code=1)
        self.assertIn("not everything could be removed", log)
        for family, text in (("ip", self.save(4)), ("ip6", self.save(6))):
            for table, name in (("nat", "KUBE-MARK-MASQ"), ("filter", "KUBE-FORWARD")):
                self.assertRegex(log, r"table %s %s: there are 1 chains, \d rules, for example %s, .*; "
                                 r"kept: rules of another program jump to it" % (family, table, name))
                self.assertIn("-A MINE -p tcp -m tcp --dport 99 -j " + name, text)
            self.assertIn("-A KUBE-MARK-MASQ -j MARK", text)  # CNI's portmap may use it
            self.assertNotIn("-A KUBE-FORWARD", text)
            self.assertNotIn("KUBE-SERVICES", text)
        before = self.saved()
        self.cleanup(code=1)
        self.assertEqual(self.saved(), before)
        for tool in self.tools("iptables"):
            sh("ip", "netns", "exec", self.n.node, tool, "-t", "nat", "-F", "MINE")
            sh("ip", "netns", "exec", self.n.node, tool, "-F", "MINE")
        self.cleanup()
        self.assertNotRegex("".join(self.saved()), "KUBE-(MARK-MASQ|FORWARD)")

    def test_a_family_that_is_not_programmed(self):
        """Another program owns table ip6 kube-proxy: the old IPv6 rules stay, byte for byte; --cleanup
        removes them."""
        n = self.n
        self.restore(OTHERS)
        others = self.saved()
        self.restore(IPTABLES_MODE)
        four, six = self.saved()
        owner = subprocess.Popen(["ip", "netns", "exec", n.node, "nft", "-i"], text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(owner.wait)
        self.addCleanup(owner.stdin.close)
        owner.stdin.write("add table ip6 kube-proxy { flags owner; }\n")
        owner.stdin.flush()
        n.wait("the owner's table", lambda: "ip6 kube-proxy" in
               sh("ip", "netns", "exec", n.node, "nft", "list", "tables"))
        n.start("--proxy-mode=nftables", "--manifest-path", n.write("objects.json", [
            service("web", ["10.96.0.10"], [("http", 80, "TCP")]),
            slice_of("web", [n.pod_ip(0)], [("http", Node.PORT, "TCP")])]))
        n.wait("the rest to be named", lambda: "kept: this proxy does not program this address family"
               in n.logged())
        self.assertIn("this family is left alone", n.logged())
        n.wait("the cleaner's end", lambda: "kube-proxy-cleaner" not in n.processes(cleaner=True))
        self.assertNotEqual(four, others[0])
        self.assertEqual(self.saved(), (others[0], six))
        self.assertTrue(n.ask(n.client, "10.96.0.10", 80).startswith("pod"))
        self.assertIn("does not program this address family", n.inspect("/diff")[1])
        self.assertEqual(n.stop(), 0)
        self.assertRegex(self.cleanup("--cleanup-keep=nftables"),
                         r"table ip6 nat: removed a kube-proxy's")
        self.assertEqual(self.saved(), others)


class Legacy(Cases, unittest.TestCase):
    """Of iptables-legacy, in x_tables."""
    kind = "legacy"

    def save(self, family):
        return self.n.save(family)

    def test_our_own(self):
        """Every sort of chain there is; what an administrator had stays in its order."""
        n = self.n
        self.restore(OTHERS)
        before = self.saved()
        both = ["10.96.0.10", "fd00:96::10"]
        n.start("--cluster-cidr=10.244.0.0/16,fd00:244::/32", "--manifest-path",
                n.write("objects.json", [
                    service("web", both, [("http", 80, "TCP"), ("dns", 53, "UDP")],
                            type="LoadBalancer", sessionAffinity="ClientIP",
                            externalTrafficPolicy="Local", healthCheckNodePort=30009,
                            loadBalancerSourceRanges=["198.51.100.0/24", "2001:db8::/32"],
                            externalIPs=["203.0.113.1", "2001:db8:9::1"]),
                    service("none", ["10.96.0.11", "fd00:96::11"], [("http", 80, "TCP")]),
                    slice_of("web", [n.pod_ip(0), n.pod_ip(1)],
                             [("http", Node.PORT, "TCP"), ("dns", Node.PORT, "UDP")]),
                    slice_of("web", [n.pod_ip(0, 6)],
                             [("http", Node.PORT, "TCP"), ("dns", Node.PORT, "UDP")])]))
        self.assertTrue(n.ask(n.client, both[0], 80).startswith("pod"))
        self.assertTrue(n.ask(n.client, both[1], 80).startswith("pod"))
        self.assertEqual(n.stop(), 0)
        self.assertNotEqual(self.saved()[0], before[0])
        self.assertNotEqual(self.saved()[1], before[1])
        self.assertNotIn(" cleaner] E", self.cleanup())
        self.assertEqual(self.saved(), before)
        self.assertIn("nothing to remove", self.cleanup())

    # --- when it cannot go at once; the lock is a file of the test's own over the machine's ---

    def begin_locked_out(self):
        self.restore(OTHERS)
        self.restore(IPTABLES_MODE)
        lock = os.path.join(self.n.dir, "lock")
        self.lock = open(lock, "w")
        self.addCleanup(self.lock.close)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.n.proc = subprocess.Popen(
            ["ip", "netns", "exec", self.n.node, "unshare", "--mount", "sh", "-c",
             'mount --bind "$0" /run/xtables.lock && exec "$@"', lock,
             os.path.join(BUILD, "kube-proxy"), "--cleanup", "--audit-log=" + self.n.audit],
            stdin=subprocess.DEVNULL, stdout=open(self.n.log, "a"), stderr=subprocess.STDOUT)
        self.n.wait("the cleaner, locked down", lambda: self.seccomp() == "2")

    def seccomp(self):
        """Mode of the cleaner's seccomp: 2 is a filter."""
        try:
            with open("/proc/%d/status" % self.n.processes(cleaner=True)["kube-proxy-cleaner"]) as f:
                return dict(l.split(":\t", 1) for l in f.read().splitlines() if ":\t" in l)["Seccomp"]
        except (KeyError, OSError):
            return ""

    def ended(self):
        proc, self.n.proc = self.n.proc, None
        return proc.wait(patient(60))

    def test_waits_for_the_lock(self):
        self.begin_locked_out()
        time.sleep(0.5)
        self.assertIn("KUBE-SERVICES", self.n.save(4))
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        self.assertEqual(self.ended(), 0, self.n.logged())
        self.assertNotIn("KUBE-SERVICES", self.n.save(4))

    def test_a_cleaner_that_dies_is_a_failure(self):
        self.begin_locked_out()
        pids = self.n.processes(cleaner=True)
        self.assertEqual(sorted(pids), ["kube-proxy", "kube-proxy-cleaner"])
        held = [os.readlink("/proc/%d/fd/%s" % (pids["kube-proxy"], fd))
                for fd in os.listdir("/proc/%d/fd" % pids["kube-proxy"])]
        self.assertIn(os.readlink("/proc/%d/fd/4" % pids["kube-proxy-cleaner"]), held)
        os.kill(pids["kube-proxy-cleaner"], signal.SIGKILL)
        self.assertEqual(self.ended(), 1, self.n.logged())
        self.assertIn("killed by signal 9", self.n.logged())
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        self.assertIn("KUBE-SERVICES", self.n.save(4))

    def test_interrupted(self):
        """The cleaner does not outlive its parent."""
        self.begin_locked_out()
        cleaner = self.n.processes(cleaner=True)["kube-proxy-cleaner"]
        self.n.proc.terminate()
        self.assertNotEqual(self.ended(), 0, self.n.logged())
        self.n.wait("the cleaner's end", lambda: not os.path.exists("/proc/%d" % cleaner))
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        self.assertIn("KUBE-SERVICES", self.n.save(4))

    def test_beside_another_kube_proxy(self):
        """Refused as well, unless the rules that it programs are kept."""
        other, kind = os.path.join(self.n.dir, "kube-proxy"), "iptables-" + self.kind
        shutil.copy("/bin/sleep", other)
        proc = subprocess.Popen(["ip", "netns", "exec", self.n.node, other, "1000"])
        self.addCleanup(proc.wait)
        self.addCleanup(proc.kill)
        self.n.wait("the other one to run", lambda: open("/proc/%d/comm" % proc.pid).read() == "kube-proxy\n")
        self.restore(OTHERS)
        others = self.saved()
        self.restore(IPTABLES_MODE)
        before = self.saved()
        self.assertIn("(pid %d)" % proc.pid, self.cleanup(code=1))
        log = self.cleanup("--cleanup-keep=nftables," + kind)
        self.assertIn("cleanup: keeping %s (--cleanup-keep)" % kind, log)
        self.assertEqual(self.saved(), before)
        self.cleanup("--cleanup-keep=nftables")
        self.assertEqual(self.saved(), others)

    def test_beside_a_running_one(self):
        """Refused: it would put its rules back."""
        n = self.n
        n.start("--manifest-path", n.write("objects.json", [
            service("web", ["10.96.0.10"], [("http", 80, "TCP")]),
            slice_of("web", [n.pod_ip(0)], [("http", Node.PORT, "TCP")])]))
        before = self.saved()
        self.assertIn("a kube-proxy runs in this network namespace (pid %d)" % n.proc.pid,
                      self.cleanup(code=1))
        self.assertIn("a kube-proxy runs in this network namespace (pid %d)" %
                      n.processes()["kube-proxy-planner"],
                      self.cleanup("--cleanup-keep=iptables-nft,iptables-legacy", code=1))
        self.assertEqual(self.saved(), before)


class Nft(Cases, unittest.TestCase):
    """Of iptables-nft, in nf_tables."""
    kind = "nft"

    def save(self, family):
        text = sh("ip", "netns", "exec", self.n.node, self.tools("iptables")[family == 6] + "-save")
        return "\n".join(l for l in text.splitlines() if not l.startswith("#"))

    def test_policy_drop_at_a_start(self):
        """What the old one accepts must pass: KUBE-FORWARD stays with its jump, and is named."""
        n = self.n
        self.restore(OTHERS)
        self.restore(IPTABLES_MODE)
        for tool in self.tools("iptables"):
            sh("ip", "netns", "exec", n.node, tool, "-P", "FORWARD", "DROP")
        n.start("--cluster-cidr=10.244.0.0/16,fd00:244::/32", "--manifest-path",
                n.write("objects.json", [
                    service("web", ["10.96.0.10"], [("http", 80, "TCP")]),
                    slice_of("web", [n.pod_ip(0)], [("http", Node.PORT, "TCP")])]))
        n.wait("the rest to go", lambda: "KUBE-SERVICES" not in self.save(4) + self.save(6))
        for family in (4, 6):
            kept = [l for l in self.save(family).splitlines()
                    if "KUBE" in l and l not in OTHERS.splitlines()]
            self.assertEqual([l for l in kept if "KUBE-FORWARD" not in l and "KUBELET" not in l], [])
            self.assertIn(":KUBE-FORWARD - [0:0]", kept)
            self.assertEqual(sum("-A FORWARD" in l for l in kept), 1)
            self.assertEqual(sum("-A KUBE-FORWARD" in l for l in kept), 3)
        self.assertTrue(n.ask(n.client, "10.96.0.10", 80).startswith("pod"))
        log = n.logged()
        self.assertIn("kept, because policy is DROP", log)
        self.assertIn("iptables-nft -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT", log)
        self.assertIn("ip6tables-nft -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT", log)


if __name__ == "__main__":
    unittest.main()
