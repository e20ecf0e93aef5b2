"""From each of our modes to each other one under traffic, as test_migration.py: the new mode's rules are
there before the old mode's go. Only what userspace mode relays ends with its relays."""
import itertools
import unittest

from migration import FLAGS, Migration
from there_and_back import Base

TAKES = 60
MODES = ("iptables", "nftables", "userspace")


class Modes(Base):
    def gone(self, before, after):
        """Nothing is left of the mode before."""
        n = self.n
        if before == "nftables":
            return "table ip kube-proxy" not in n.inside("nft", "list", "tables")
        return self.programmed() == (self.planned() if after != "nftables" else [])

    def switch(self, before, after):
        n = self.n
        with Migration(self, n) as m:
            t, world, relayed = m.traffic, m.world, before == "userspace"
            self.start(before, world.before())
            m.flows()
            t.settle("web", "doomed")
            m.measure("our %s -> our %s" % (before, after), "web", "doomed")
            self.path, self.flags = n.write("objects.json", world.before()), ["--proxy-mode=" + after, *FLAGS]
            self.start(after, world.before())
            n.wait("the end of %s mode's rules" % before, lambda: self.gone(before, after))
            if relayed:
                t.wait("web to answer", lambda f: f["silent"] == 0, "web", "doomed")
            t.settle("web", "doomed")
            m.row(failed=None if relayed else 0, broken=18 if relayed else 0)
            m.measure("our %s -> our %s, then changes" % (before, after), "web", "fresh")
            n.write("objects.json", world.after())
            m.endpoint_and_service_gone()
            m.fresh_answers()
            t.settle("web", "fresh")
            m.row(failed=12)
        self.assertEqual(n.stop(), 0)
        code, said = n.run_to_end("--cleanup")
        self.assertEqual(code, 0, said)


for pair in itertools.permutations(MODES, 2):
    def test(self, pair=pair):
        self.switch(*pair)
    setattr(Modes, "test_%s_to_%s" % pair, test)


if __name__ == "__main__":
    unittest.main()
