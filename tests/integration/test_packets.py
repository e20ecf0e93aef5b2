"""Where packets go: ClusterIP services in iptables mode, from manifests, judged by the endpoints."""
import os
import socket
import struct
import subprocess
import time
import unittest

from harness import Node, ns_socket, service, sh, slice_of

VIP4, VIP6 = "10.96.0.10", "fd00:96::10"
HTTP = [("http", 80, "TCP"), ("dns", 53, "UDP")]
TARGET = [("http", Node.PORT, "TCP"), ("dns", Node.PORT, "UDP")]


class Packets(unittest.TestCase):
    """Three pods; the third is in no service unless a test puts it there."""

    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=3).__enter__()
        cls.addClassCleanup(cls.n.__exit__)

    def tearDown(self):
        self.n.stop()

    def objects(self, pods=(0, 1), **spec):
        n = self.n
        return [service("web", [VIP4, VIP6], HTTP, **spec),
                slice_of("web", [n.pod_ip(i) for i in pods], TARGET),
                slice_of("web", [n.pod_ip(i, 6) for i in pods], TARGET)]

    def run_with(self, objects, *flags):
        self.path = self.n.write("objects.json", objects)
        self.n.start("--manifest-path", self.path, *flags)

    def test_each_ready_endpoint_and_no_other(self):
        self.run_with(self.objects())
        for vip in (VIP4, VIP6):
            for port, proto in ((80, "tcp"), (53, "udp")):
                for source in (self.n.client, self.n.pods[2], self.n.node):
                    with self.subTest(vip=vip, proto=proto, source=source):
                        got = self.n.who(source, vip, port, proto, times=24)
                        self.assertEqual(set(got), {"pod1", "pod2"})

    def test_curl(self):
        self.run_with(self.objects())
        for host in (VIP4, "[%s]" % VIP6):
            seen = {sh("ip", "netns", "exec", self.n.client, "curl", "-s", "--max-time", "30",
                       "http://%s/" % host).split()[0] for _ in range(20)}
            self.assertEqual(seen, {"pod1", "pod2"})

    def test_the_choice_is_even(self):
        self.run_with(self.objects(pods=(0, 1, 2)))
        got = self.n.who(self.n.client, VIP4, 80, times=300)
        # 100 expected of each; five standard deviations (8.2) either way
        for pod in ("pod1", "pod2", "pod3"):
            self.assertTrue(59 <= got.get(pod, 0) <= 141, got)

    def test_sources_are_kept_without_local_detection(self):
        self.run_with(self.objects(pods=(0,)))
        self.assertEqual(self.n.ask(self.n.client, VIP4, 80), "pod1 198.51.100.2")
        self.assertEqual(self.n.ask(self.n.client, VIP6, 80), "pod1 2001:db8:1::2")
        self.assertEqual(self.n.ask(self.n.pods[1], VIP4, 80), "pod1 " + self.n.pod_ip(1))

    def test_cluster_cidr_masquerades_what_comes_from_outside(self):
        self.run_with(self.objects(pods=(0,)), "--cluster-cidr=10.244.0.0/16,fd00:244::/32")
        self.assertEqual(self.n.ask(self.n.client, VIP4, 80), "pod1 10.244.1.1")
        self.assertEqual(self.n.ask(self.n.client, VIP6, 80), "pod1 fd00:244:1::1")
        self.assertEqual(self.n.ask(self.n.pods[1], VIP4, 80), "pod1 " + self.n.pod_ip(1))
        self.assertEqual(self.n.ask(self.n.pods[1], VIP6, 80), "pod1 " + self.n.pod_ip(1, 6))

    def test_masquerade_all(self):
        self.run_with(self.objects(pods=(0,)), "--masquerade-all")
        self.assertEqual(self.n.ask(self.n.client, VIP4, 80), "pod1 10.244.1.1")
        self.assertEqual(self.n.ask(self.n.pods[1], VIP4, 80), "pod1 10.244.1.1")
        self.assertEqual(self.n.ask(self.n.pods[1], VIP6, 53, "udp"), "pod1 fd00:244:1::1")

    def test_masquerade_bit(self):
        self.run_with(self.objects(pods=(0,)), "--masquerade-all", "--iptables-masquerade-bit=5")
        self.assertEqual(self.n.ask(self.n.client, VIP4, 80), "pod1 10.244.1.1")
        self.assertIn("-A KUBE-MARK-MASQ -j MARK --set-xmark 0x20/0x20", self.n.save(4, "nat"))

    def test_hairpin_is_masqueraded(self):
        self.run_with(self.objects(pods=(0,)))
        self.assertEqual(self.n.ask(self.n.pods[0], VIP4, 80), "pod1 10.244.1.1")
        self.assertEqual(self.n.ask(self.n.pods[0], VIP6, 80), "pod1 fd00:244:1::1")
        self.assertEqual(self.n.ask(self.n.pods[0], VIP4, 53, "udp"), "pod1 10.244.1.1")

    def test_no_endpoint_is_rejected(self):
        self.run_with(self.objects(pods=(0,))[:1])
        for source in (self.n.client, self.n.node, self.n.pods[0]):
            for vip in (VIP4, VIP6):
                for port, proto in ((80, "tcp"), (53, "udp")):
                    with self.subTest(source=source, vip=vip, proto=proto):
                        self.assertEqual(self.n.ask(source, vip, port, proto), "refused")

    def test_terminating_endpoints_serve_when_none_is_ready(self):
        n = self.n
        leaving = {"addresses": [n.pod_ip(0)],
                   "conditions": {"ready": False, "serving": True, "terminating": True}}
        gone = {"addresses": [n.pod_ip(2)],
                "conditions": {"ready": False, "serving": False, "terminating": True}}
        ready = {"addresses": [n.pod_ip(1)]}  # unset counts as ready
        web = service("web", [VIP4], HTTP)
        self.run_with([web, slice_of("web", [leaving, gone], TARGET)])
        self.assertEqual(set(n.who(n.client, VIP4, 80)), {"pod1"})
        n.write("objects.json", [web, slice_of("web", [leaving, gone, ready], TARGET)])
        n.wait("the ready endpoint alone", lambda: n.who(n.client, VIP4, 80, times=8) == {"pod2": 8})

    def test_changes_follow_live(self):
        n = self.n
        self.run_with(self.objects(pods=(0,)), "--iptables-min-sync-period=0s")
        n.write("objects.json", self.objects(pods=(1,)))
        n.wait("pod2 alone", lambda: n.ask(n.client, VIP4, 80).startswith("pod2"))
        self.assertEqual(set(n.who(n.client, VIP4, 80)), {"pod2"})
        n.write("objects.json", self.objects(pods=(1, 2)))
        n.wait("pod3 too", lambda: "pod3" in n.who(n.client, VIP6, 80, times=6))
        self.assertEqual(set(n.who(n.client, VIP4, 80)), {"pod2", "pod3"})
        n.write("objects.json", [])
        n.wait("the service gone", lambda: VIP4 not in n.save(4))
        self.assertNotIn("KUBE-SVC-", n.save(4))
        self.assertNotIn("KUBE-SEP-", n.save(6))
        self.assertNotIn(VIP6, n.save(6))

    def test_sctp(self):
        """This kernel has no SCTP sockets: an INIT chunk by raw socket, seen where it arrives."""
        n = self.n
        self.run_with([service("sig", [VIP4, VIP6], [("s1", 3868, "SCTP")]),
                       slice_of("sig", [n.pod_ip(0)], [("s1", 3900, "SCTP")]),
                       slice_of("sig", [n.pod_ip(0, 6)], [("s1", 3900, "SCTP")])])
        for family, vip in ((socket.AF_INET, VIP4), (socket.AF_INET6, VIP6)):
            with ns_socket(n.pods[0], family, socket.SOCK_RAW, 132) as at_pod, \
                    ns_socket(n.client, family, socket.SOCK_RAW, 132) as sender:
                sender.sendto(sctp_init(40000, 3868), (vip, 0))
                packet = at_pod.recv(2048)
                if family == socket.AF_INET:
                    packet = packet[(packet[0] & 15) * 4:]
                self.assertEqual(struct.unpack("!HH", packet[:4]), (40000, 3900))

    def test_a_bad_object_does_not_stop_the_others(self):
        n = self.n
        bad = service("bad", ["10.96.0.300"], [("x", 80, "TCP")])
        worse = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "worse"}, "spec": 7}
        eps = slice_of("web", [n.pod_ip(0), "127.0.0.1", "999.1.1.1"], TARGET)
        self.run_with([bad, worse, service("web", [VIP4], HTTP), eps])
        self.assertEqual(n.who(n.client, VIP4, 80), {"pod1": 20})
        log = n.logged()
        for what in ("default/bad", "10.96.0.300", "default/worse", "127.0.0.1", "999.1.1.1"):
            self.assertIn(what, log)

    def test_a_broken_manifest_keeps_what_is_programmed(self):
        n = self.n
        self.run_with(self.objects(pods=(0,)))
        before = n.save(4)
        with open(self.path, "w") as f:
            f.write('{"apiVersion": "v1", "kind": \n  "List", ]')
        n.wait("the complaint", lambda: "objects.json" in n.logged().split("locked down")[1])
        time.sleep(0.3)
        self.assertEqual(n.save(4), before)
        n.write("objects.json", self.objects(pods=(1,)))
        n.wait("the mended manifest", lambda: n.ask(n.client, VIP4, 80).startswith("pod2"))


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def sctp_init(sport, dport):
    """RFC 9260, 3.3.2: an INIT chunk; conntrack takes no packet with a wrong checksum."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x1234, 65536, 1, 1, 1)
    head = struct.pack("!HHI", sport, dport, 0)
    crc = crc32c(head + b"\0\0\0\0" + chunk)
    return head + struct.pack("<I", crc) + chunk


class DryRun(unittest.TestCase):
    def test_a_broken_manifest_is_a_failure(self):
        with Node(pods=0) as n:
            path = os.path.join(n.dir, "broken.yaml")
            with open(path, "w") as f:
                f.write("kind: [\n")
            program = os.path.join(os.environ["KP_BUILD"], "kube-proxy")
            for _ in range(20):  # whichever of the two ends first
                r = subprocess.run([program, "--dry-run", "--manifest-path", path], text=True,
                                   stdin=subprocess.DEVNULL, capture_output=True)
                self.assertEqual((r.returncode, r.stdout), (78, ""))
                self.assertIn(path, r.stderr)

    def test_the_plan_is_what_gets_programmed(self):
        with Node(pods=1) as n:
            path = n.write("objects.json", [
                service("web", [VIP4, VIP6], HTTP), service("empty", ["10.96.0.11"], HTTP),
                slice_of("web", ["10.244.1.10", "10.244.1.11"], TARGET),
                slice_of("web", ["fd00:244:1::10"], TARGET)])
            flags = ["--manifest-path", path, "--hostname-override=node-a",
                     "--cluster-cidr=10.244.0.0/16"]
            program = os.path.join(os.environ["KP_BUILD"], "kube-proxy")
            plan = subprocess.run([program, "--dry-run", *flags], text=True, check=True,
                                  stdin=subprocess.DEVNULL, capture_output=True).stdout
            n.start(*flags[:2], *flags[3:])
            for family, part in zip((4, 6), plan.split("# IPv6")):
                want = sorted(l for l in part.splitlines() if l.startswith("-A"))
                got = sorted(l for l in n.save(family).splitlines() if l.startswith("-A"))
                self.assertEqual(want, got)


if __name__ == "__main__":
    unittest.main()
