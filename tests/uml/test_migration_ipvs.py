"""Migrations from and to ipvs mode under traffic: what tests/integration's test_migration.py does, on a
kernel that has IPVS, but no nf_tables."""
import unittest

from there_and_back import ThereAndBack, add_pairs

TAKES = 250  # seconds on an idle machine


class Ipvs(ThereAndBack):
    @classmethod
    def setUpClass(cls):
        """IPVS soon forgets the flow of a single request: while it knows it, another one from the same
        port, by another address and to the same pod, may be without an answer."""
        super().setUpClass()
        cls.n.inside("ipvsadm", "--set", "0", "0", "5")

    def test_ipvs_to_userspace(self):
        """There alone: ipvs' own rules for the way back are where userspace mode's were."""
        self.migrate("ipvs", "userspace", back=False)


add_pairs(Ipvs, ("ipvs",), ("iptables", "ipvs"))
add_pairs(Ipvs, ("iptables-legacy",), ("ipvs",))

if __name__ == "__main__":
    unittest.main()
