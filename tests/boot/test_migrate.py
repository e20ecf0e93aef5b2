"""A migration whose kernel has IPVS and nf_tables: no other machine of the tests has both."""
import os
import shutil
import tempfile
import unittest

import deb
from node import TOP, Case

PROGRAMS = deb.BUILD[:-5] if deb.BUILD.endswith("-asan") else deb.BUILD
PLACE = "/srv/kube-proxy-tests"
RUN = """
cd %s && modprobe -a ip_tables ip6_tables &&
TMPDIR=/var/tmp KP_BUILD=$PWD/build PYTHONPATH=tests/integration:tests/stub \
unshare --mount --net --pid --mount-proc --fork --kill-child sh -c '
	mount -t tmpfs tmpfs /run && ip link set lo up && python3 tests/boot/ipvs_to_nftables.py'
""" % PLACE


class Migrate(Case):
    def test_ipvs_to_nftables(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in os.listdir(PROGRAMS):
                if name.startswith("kube-proxy") and os.access(os.path.join(PROGRAMS, name), os.X_OK):
                    self.pack(os.path.join(PROGRAMS, name), folder, "build")
            self.pack(os.path.join(PROGRAMS, "tests/tools/traffic"), folder, "build/tests/tools")
            for tests in ("integration", "stub", "boot"):
                for name in os.listdir(os.path.join(TOP, "tests", tests)):
                    if name.endswith(".py"):
                        self.pack(os.path.join(TOP, "tests", tests, name), folder, "tests/" + tests)
            self.m.copy(folder, PLACE)
        done = self.m.sh(RUN, check=False, limit=3600)
        print(done.out, flush=True)
        self.assertEqual(done.status, 0)

    @staticmethod
    def pack(source, folder, to):
        os.makedirs(os.path.join(folder, to), exist_ok=True)
        shutil.copy(source, os.path.join(folder, to))


if __name__ == "__main__":
    unittest.main()
