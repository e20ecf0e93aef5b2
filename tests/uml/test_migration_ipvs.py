"""From the rules of another kube-proxy to our ipvs mode, under traffic: what tests/integration's
test_migration.py does, on a kernel that has IPVS."""
import unittest

from migration import FLAGS, NODE, Migration, MigrationNode, print_rows
from old_proxy import OldProxy


TAKES = 150  # seconds on an idle machine


class Ipvs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.n = MigrationNode().__enter__()
        cls.addClassCleanup(cls.n.__exit__)
        cls.addClassCleanup(print_rows)

    def tearDown(self):
        self.n.stop()
        self.n.run_to_end("--cleanup")
        self.n.inside("conntrack", "-F")

    def migrate(self, kind, mode):
        n = self.n
        old = OldProxy(n, kind, {f: [a] for f, a in NODE.items()})
        with Migration(self, n) as m:
            old.sync(m.world.before())
            m.flows()
            m.traffic.settle("web", "doomed")
            m.measure("%s -> %s" % (kind, mode), "web", "doomed")
            n.start("--manifest-path", n.write("objects.json", m.world.before()),
                    "--proxy-mode=" + mode, *FLAGS)
            m.traffic.settle("web", "doomed")
            m.row()
            m.measure("%s -> %s, then changes" % (kind, mode), "web", "fresh")
            n.write("objects.json", m.world.after())
            m.endpoint_and_service_gone()
            m.fresh_answers()
            m.traffic.settle("web", "fresh")
            # With a datagram IPVS forgets a flow whose server is gone: of web's flows from one port
            # those are at most 2 families, 3 clients and 3 frontends.
            m.row(failed=12 + 18)

    def test_iptables_legacy_to_ipvs(self):
        self.migrate("iptables-legacy", "ipvs")


if __name__ == "__main__":
    unittest.main()
