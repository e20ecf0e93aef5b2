"""Userspace mode: the packets of the other modes' tests, from the same tables of cases."""
import itertools

import test_service_packets as cases
from limits import patient

TAKES = 70  # seconds on an idle machine


class Userspace:
    """What the cases go by in this mode: whoever asks, an endpoint sees the relay, on its node."""
    flags = cases.FLAGS + ["--proxy-mode=userspace", "--udp-timeout=1m"]
    marks = ("default/",)

    def rewrite(self, objects):
        """Endpoints alone are no rule's affair: the planner says when it is done with a change."""
        before = self.n.logged().count("synced: ")
        self.n.write("objects.json", objects)
        self.n.wait("a sync", lambda: self.n.logged().count("synced: ") > before)
        self.n.wait_idle()

    def answers(self, source, family, to, proto, want):
        relayed = {w + "*" if w.startswith(("pod", "host")) and not w.endswith("*") else w
                   for w in want}
        got = super().answers(source, family, to, proto, relayed)
        return want if got == relayed else got


class Policies(Userspace, cases.Policies):
    pass


class SourceRanges(Userspace, cases.SourceRanges):
    def test_a_relay_is_no_way_round(self):
        """Whom a range shuts out does not come in by the relay's own port either."""
        n = self.n
        s = cases.Service(1, loadBalancerSourceRanges=[cases.CLIENT[4] + "/32"])
        self.run_with(s.objects(self.both()))
        ports = {rule.split(" --dport ")[0].split(" -p ")[1].split()[0]:
                 int(rule.split(" --to-ports ")[1])
                 for rule in self.state(4).splitlines() if "-j REDIRECT" in rule}
        self.assertEqual(set(ports), {"tcp", "udp"})
        self.judge([("%s to %s" % (proto, address), source, 4, (address, port), proto, {"refused"})
                    for proto, port in ports.items()
                    for source, address in ((n.client, cases.NODE[4]), (n.pods[2], "10.244.1.1"),
                                            (n.node, "127.0.0.1"), (n.node, cases.NODE[4]))])


class Affinity(Userspace, cases.Affinity):
    """Round robin is no draw: another turn in between makes it visible who is remembered."""

    def one_more(self, to, proto="tcp"):
        self.answer(self.n.client, 6 if ":" in to[0] else 4, to, proto, patient(2))

    def test_affinity_expires(self):
        to, first = self.until_expired()
        for family in (4, 6):
            self.one_more(to[family])
            self.assertNotEqual(self.choices(to[family]), first[family])

    def test_each_port_has_its_own_clients(self):
        s = self.affine(10800)
        self.run_with(s.objects(self.three()))
        for family in (4, 6):
            tcp, udp = (s.address("cluster", family, proto) for proto in ("tcp", "udp"))
            first = self.choices(tcp)
            if self.answer(self.n.client, family, udp, "udp", patient(2)).rstrip("*") == first[-1]:
                # else the first client's turn would be the same
                self.answer(self.n.pods[2], family, udp, "udp", patient(2))
            self.assertNotEqual(self.choices(udp, "udp"), first)
            self.assertEqual(self.choices(tcp), first)


class DryRun(Userspace, cases.DryRun):
    pass
