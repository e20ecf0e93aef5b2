"""ipvs mode: a tenant's Service asks for what is another's, as the other modes' tests do; from manifests, so that
no range of ClusterIPs is known."""
import unittest

import test_ownership as cases
import test_ownership_rank as rank


class Ownership(cases.Ownership):
    modes = ("ipvs",)
    refused, free = 4, (cases.VICTIM, cases.UNUSED)

    def begin(self, mode, objects):
        self.objects = list(objects)
        self.n.start("--manifest-path", self.written(), "--proxy-mode=" + mode,
                     "--cluster-cidr=10.244.0.0/16", "--ipvs-min-sync-period=0s")

    def end(self):
        self.n.stop()

    def written(self):
        return self.n.write("objects.json", self.objects)

    def put(self, objects):
        self.objects += objects
        self.written()

    def remove_victim(self):
        self.objects = [o for o in self.objects if o["metadata"]["namespace"] != "default"]
        self.written()


class Rank(rank.Rank):
    modes = ("ipvs",)


if __name__ == "__main__":
    unittest.main()
