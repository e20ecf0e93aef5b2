"""ipvs mode: what a change is to the kernel, and how soon; among few services and among many."""
import contextlib
import os
import re
import socket
import tempfile
import threading
import time
import unittest

import test_ipvs
from harness import Node, service, slice_of

TAKES = 100  # seconds on an idle machine


def setUpModule():
    Case.n = Node(pods=0).__enter__()
    unittest.addModuleCleanup(Case.n.__exit__)


class Case(test_ipvs.Case):
    """Whom packets reach is not asked here."""


class Work(Case):
    """What changes is a message to the kernel, and what does not is none."""

    def done(self, since):
        """Items of each transaction, of which nothing else was a part, behind so many bytes."""
        text = self.n.audited()[since:]
        found = re.findall(r" ops: put 0 delete 0 hook 0 rules 0; items (\d+) done, 0 refused; "
                           r"result ok chain=", text)
        self.assertEqual(len(found), text.count(" ops: "), text)
        return list(map(int, found))

    def changed(self, objects):
        since = len(self.n.audited())
        self.rewrite(objects)
        return self.done(since)

    def test_an_endpoint_is_one_message(self):
        n = self.n
        web = service("web", ["10.96.1.1"], [("p", 80, "TCP")])
        dns = service("dns", ["10.96.1.2"], [("p", 53, "UDP")])
        at = lambda *a: [{"addresses": ["10.244.9.%d" % i], "nodeName": "node-b",
                          "conditions": {"ready": True}} for i in a]
        of_web = lambda *a: slice_of("web", at(*a), [("p", 8080, "TCP")])
        of_dns = lambda *a: slice_of("dns", at(*a), [("p", 8080, "UDP")])
        reals = lambda server: self.servers()[server][1]
        self.run_with([web, dns, of_web(1), of_dns(1)])
        self.assertEqual(self.changed([web, dns, of_web(1, 2), of_dns(1)]), [1])
        self.assertEqual(reals("-t 10.96.1.1:80"), {"10.244.9.%d:8080" % i: "-m -w 1" for i in (1, 2)})
        # Nothing of the one, and of the other an endpoint.
        web["metadata"]["labels"] = {"of": "no interest"}
        same = of_web(2, 1)
        same["metadata"]["annotations"] = {"of": "none either"}
        self.assertEqual(self.changed([web, dns, same, of_dns(1, 2)]), [1])
        # UDP's is gone at once; TCP's gets no more, and is gone when that has been looked at.
        self.assertEqual(self.changed([web, dns, same, of_dns(2)]), [1])
        self.assertEqual(list(reals("-u 10.96.1.2:53")), ["10.244.9.2:8080"])
        since = len(n.audited())
        n.write("objects.json", [web, dns, of_web(2), of_dns(2)])
        n.wait("weight 0", lambda: reals("-t 10.96.1.1:80").get("10.244.9.1:8080") != "-m -w 1")
        n.wait("its end", lambda: len(self.done(since)) == 2)
        self.assertEqual(self.done(since), [1, 1])
        self.assertEqual(reals("-t 10.96.1.1:80"), {"10.244.9.2:8080": "-m -w 1"})

    def test_changes_come_no_faster_than_they_may(self):
        """Two at once, then one each period: the start's, and three more."""
        n = self.n
        flags = [f for f in self.flags if "min-sync" not in f] + ["--ipvs-min-sync-period=2s"]
        sliced = slice_of("web", ["10.244.9.1"], [("p", 8080, "TCP")])
        objects = [service("web", ["10.96.1.1"], [("p", 80, "TCP")]), sliced]
        self.path = n.write("objects.json", objects)
        began = time.monotonic()
        n.start("--manifest-path", self.path, *flags)
        for i in (2, 3, 4):
            real = "10.244.9.%d:8080" % i
            sliced["endpoints"][0]["addresses"] = [real.split(":")[0]]
            n.write("objects.json", objects)
            n.wait(real, lambda: self.servers()["-t 10.96.1.1:80"][1].get(real) == "-m -w 1")
        self.assertGreaterEqual(time.monotonic() - began, 2 * 2)


@contextlib.contextmanager
def fed():
    """What a proxy that starts meanwhile says to the service manager."""
    words = []
    with tempfile.TemporaryDirectory() as d, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(os.path.join(d, "notify"))

        def listen():
            while word := s.recv(1000):
                words.append(word)

        listener = threading.Thread(target=listen)
        listener.start()
        os.environ["NOTIFY_SOCKET"] = os.path.join(d, "notify")
        try:
            yield words
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", os.environ.pop("NOTIFY_SOCKET"))
            listener.join()


class Many(Case):
    """
    Work is by the change and not by what there is. IPVS_MANY=50000 takes more services (and
    tests/uml/run --mem 6G); then 50 s of the first start's are the kernel's, which keeps an
    interface's addresses in a list.
    """

    def start(self, seconds):
        """Returns how long it took."""
        began = time.monotonic()
        self.n.start("--manifest-path", self.path, *self.flags, wait=False)
        self.n.wait_synced(seconds)
        return time.monotonic() - began

    def memory(self):
        """What each process has, in KiB."""
        found = {}
        for name, pid in self.n.processes().items():
            with open("/proc/%d/smaps_rollup" % pid) as f:
                found[name] = int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1))
        return found

    def test_many(self):
        n = self.n
        count = int(os.environ.get("IPVS_MANY", "1000"))
        patience = 30 + count / 200
        objects = [o for i in range(count) for o in (
            service("m%d" % i, ["10.97.%d.%d" % (i // 250, i % 250 + 1)], [("p", 80, "TCP")]),
            slice_of("m%d" % i, ["10.244.%d.%d" % (j, i % 250 + 1) for j in (2, 3)],
                     [("p", 8080, "TCP")]))]
        self.path = n.write("objects.json", objects)
        with fed() as words:
            cold = self.start(patience)
        self.assertEqual(len(self.servers()), count)
        written = int(re.search(r"items (\d+) done", n.audited()).group(1))
        self.assertGreater(written, 5 * count)
        # systemd hears while it is written that it is, or the first start would be its last
        self.assertEqual(words.count(b"WATCHDOG=1"), written // 1024)
        audited = len(n.audited())
        objects[777]["endpoints"][1]["addresses"] = ["10.244.9.9"]
        before = self.commits()
        began = time.monotonic()
        n.write("objects.json", objects)
        n.wait("the change", lambda: self.commits() > before, patience)
        change = time.monotonic() - began
        # looked for at once where that is little work, else once a minute
        n.wait("the old one's end", lambda: set(self.servers()["-t 10.97.1.139:80"][1]) == {
            "10.244.2.139:8080", "10.244.9.9:8080"}, 15 if count < 1500 else 60 + patience)
        done = lambda: re.findall(r" items (\d+) done", n.audited()[audited:])
        n.wait("the word of it", lambda: len(done()) > 1)
        # a set's entry, the new real server, the old one at weight 0; and its end
        self.assertEqual(done(), ["3", "1"])
        audited = n.audited()
        restart = self.start(patience)
        self.assertEqual(n.audited(), audited)
        print("%d services: cold %.2f s, one endpoint %.2f s, restart %.2f s, with the manifest's "
              "reading; KiB: %s" % (count, cold, change, restart, self.memory()))


if __name__ == "__main__":
    unittest.main()
