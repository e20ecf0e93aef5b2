"""
Run in the machine by test_migrate.py: from another kube-proxy's ipvs mode to our nftables mode and back,
under traffic, as tests/integration/test_migration.py does it for other pairs.
"""
import unittest

from there_and_back import ThereAndBack, add_pairs


class Ipvs(ThereAndBack):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.n.inside("ipvsadm", "--set", "0", "0", "5")  # as tests/uml/test_migration_ipvs.py


add_pairs(Ipvs, ("ipvs",), ("nftables",))

if __name__ == "__main__":
    unittest.main()
