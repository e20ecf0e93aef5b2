"""
The apiserver away for a while, the clock set while it runs, how often it is asked, and that
nothing of the credentials is ever in a log.
"""
import base64
import contextlib
import mmap
import os
import struct
import subprocess
import time
import unittest

import test_api
from apiserver import Stub, service
from harness import Node, inside, slice_of
from harness import service as cluster_service
from proxy import Proxy
from test_api import SERVICES, wait

TAKES = 80  # seconds on an idle machine

AWAY_SECONDS = float(os.environ.get("KP_AWAY_SECONDS", "12"))


class Away(unittest.TestCase):
    def test_away_and_back(self):
        """Not a byte of the rules changes, nothing is written, and the watches are resumed."""
        n = Node(pods=1).__enter__()
        self.addCleanup(n.__exit__)
        api = inside(n.node, Stub)
        self.addCleanup(api.close)
        api.put(cluster_service("web", ["10.96.0.10", "fd00:96::10"], [("http", 80, "TCP")]))
        for family in (4, 6):
            api.put(slice_of("web", [n.pod_ip(0, family)], [("http", Node.PORT, "TCP")]))
        os.chmod(api.directory, 0o755)
        config = os.path.join(n.dir, "kubeconfig")
        api.kubeconfig(config)
        for path in (config, api.ca_file):
            os.chmod(path, 0o644)
        n.start("--kubeconfig", config)
        time.sleep(1.1)
        before, audited, asked = (n.save(4), n.save(6)), n.audited(), len(api.requests)
        version = str(api.version)

        inside(n.node, api.down)
        end = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < end:
            for address in ("10.96.0.10", "fd00:96::10"):
                self.assertEqual(n.ask(n.client, address, 80).split(" ")[0], "pod1")
            self.assertEqual((n.save(4), n.save(6)), before)
            time.sleep(0.5)
        self.assertEqual(len(api.requests), asked)
        inside(n.node, api.up)
        n.wait("all watch again",
               lambda: len({r["resource"] for r in api.requests[asked:]}) >= 3, 40)
        time.sleep(1)
        for r in api.requests[asked:]:
            with self.subTest(r["path"]):
                self.assertEqual(r["verb"], "watch", "no list")
                self.assertEqual(r["query"]["resourceVersion"], version, "from where it was")
        self.assertEqual((n.save(4), n.save(6)), before)
        self.assertEqual(n.audited(), audited, "nothing was written, not even the same")
        self.assertEqual(n.logged().count("does not answer"), 1, "said once")
        self.assertEqual(n.logged().count("answers again after"), 1)
        api.put(cluster_service("new", ["10.96.0.11"], [("http", 80, "TCP")]))
        n.wait("it follows", lambda: "10.96.0.11" in n.save(4))


# Adds a number of seconds, from a shared file, to the date; not to the clock that never jumps.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static volatile long *ahead;
__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("KP_CLOCK"), O_RDONLY);
	ahead = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
}
int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(id, t);
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		t->tv_sec += *ahead;
	return r;
}
time_t time(time_t *out)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}
int gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec t;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}
"""


class Clock(test_api.Base):
    def test_date_that_jumps(self):
        """Only how long certificates are valid depends on the date; theirs are for two days."""
        with open(self.path("clock.c"), "w", encoding="ascii") as f:
            f.write(CLOCK)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.path("clock.so"),
                        self.path("clock.c")], check=True)
        with open(self.path("ahead"), "w+b") as f:
            f.write(struct.pack("l", 0))
            f.flush()
            ahead = mmap.mmap(f.fileno(), 8)
        # a sanitizer wants to be the first library, and need not be
        w = self.watcher(wrap=["env", "ASAN_OPTIONS=verify_asan_link_order=0",
                               "LD_PRELOAD=" + self.path("clock.so"),
                               "KP_CLOCK=" + self.path("ahead")])
        self.wait_synced(w)
        for i, hours in enumerate((1, 30, 2, 20)):
            with self.subTest(hours):
                ahead[:8] = struct.pack("l", hours * 3600)
                time.sleep(1)
                name = f"after-{hours}"
                self.stub.put(service(name, f"10.96.1.{hours}"))
                self.wait_service(w, name)
                before = len(self.stub.seen("services", "watch"))
                self.stub.drop()
                # after the first pause of the back-off, and not an hour
                wait(lambda: len(self.stub.seen("services", "watch")) > before, "a new watch")
                self.assertEqual(w.synced[SERVICES], 1)
        said = [line[1:5] for line in w.log_lines]
        self.assertGreater(len(set(said)), 1, "the log has the date as it was set")
        ahead[:8] = struct.pack("l", 80 * 3600)
        self.stub.drop()
        wait(lambda: w.said("certificate has expired"), "what does depend on it", seconds=15)
        ahead[:8] = struct.pack("l", 0)
        wait(lambda: w.said("answers again"), "and no longer", seconds=15)


class HowOften(test_api.Base):
    def test_qps(self):
        began = time.monotonic()
        w = self.watcher("--kube-api-qps=2", "--kube-api-burst=1")
        wait(lambda: w.synced[SERVICES], "synced", seconds=20)
        wait(lambda: len(self.stub.requests) >= 8, "some requests", seconds=20)
        # A list in place of a refused one has its turn.
        times = sorted(r["time"] for r in self.stub.requests if r["verb"] != "refused")
        for i, t in enumerate(times):  # a request may be noted late, but not before it is sent
            self.assertGreater(t - began, 0.45 * i)

    def test_burst(self):
        w = self.watcher("--kube-api-qps=0.001", "--kube-api-burst=20")
        wait(lambda: w.synced[SERVICES], "synced without a wait")

    def test_pages_do_not_wait(self):
        self.stub.watch_cache = False
        self.stub.generate(2100, 0)
        w = self.watcher("--kube-api-qps=0.2", "--kube-api-burst=1")
        wait(lambda: len(w.objects[SERVICES]) == 2101, "all listed", seconds=20)
        pages = self.stub.seen("services", "list")
        self.assertEqual(len(pages), 5)
        self.assertLess(pages[-1]["time"] - pages[0]["time"], 4 / 0.2)

    def test_retry_after_of_a_liar(self):
        for asks, at_most in (("999999999999999999999", 300000), ("300", 300000)):
            with self.subTest(asks):
                self.stub.fail(429, retry_after=asks, resource="services", verb="list", times=1)
                w = self.watcher()
                wait(lambda: w.said(f"services: next try in {at_most} ms"), "five minutes")
                w.stop()

    def test_retry_after_as_a_date(self):
        """Would depend on both clocks: the back-off's own time counts, as client-go's."""
        self.stub.fail(429, retry_after="Fri, 31 Dec 2999 23:59:59 GMT", resource="services",
                       verb="list", times=1)
        w = self.watcher()
        wait(lambda: w.synced[SERVICES], "listed", seconds=5)


class Secrets(test_api.Base):
    """With -v=10, whatever goes wrong."""

    TOKEN, PASSWORD = "s3cr3t-t0ken", "s3cr3t-pa55word"

    def check(self, w, *secrets):
        text = "\n".join(w.log_lines)
        self.assertGreater(len(text), 200)
        with open(self.stub.client_key, encoding="ascii") as f:
            key = f.read()
        with open(self.stub.client_cert, encoding="ascii") as f:
            cert = f.read()
        lines = [line for line in (key + cert).splitlines() if len(line) > 20]
        lines += [base64.b64encode(key.encode()).decode()[20:60]]
        for secret in [self.TOKEN, self.PASSWORD, base64.b64encode(
                f"me:{self.PASSWORD}".encode()).decode(), "PRIVATE", "Bearer", *lines, *secrets]:
            self.assertNotIn(secret, text)

    def go_through(self, w):
        """Everything that is worth a line."""
        self.stub.put(service("b", "10.96.0.2"))
        time.sleep(0.5)
        self.stub.fail(401, times=2)
        self.stub.drop()
        wait(lambda: w.said("HTTP 401"), "refused", seconds=20)
        self.stub.fail(500, times=2, message="an error with nothing in it")
        self.stub.fail(302, times=2, headers={"Location": "https://h/?token=" + self.TOKEN})
        wait(lambda: w.said("HTTP 302") or w.said("HTTP 500"), "errors", seconds=40)
        self.stub.down()
        wait(lambda: w.said("does not answer"), "down", seconds=20)

    def test_token(self):
        w = self.watcher("-v=10", token=self.TOKEN)
        self.wait_synced(w)
        self.go_through(w)
        self.check(w)

    def test_token_file_and_proxy(self):
        proxy = Proxy()
        self.addCleanup(proxy.close)
        proxy.password = "me:" + self.PASSWORD
        with open(self.path("token"), "w", encoding="ascii") as f:
            f.write(self.TOKEN)
        w = self.watcher("-v=10", token_file=self.path("token"),
                         proxy_url=proxy.url.replace("://", f"://me:{self.PASSWORD}@"))
        self.wait_synced(w)
        with open(self.path("token"), "w", encoding="ascii") as f:
            f.write(self.TOKEN + " " + self.TOKEN)
        wait(lambda: w.said("a blank or control character"), "a wrong token")
        proxy.password = "other"
        for s in list(proxy.sockets):
            with contextlib.suppress(OSError):
                s.shutdown(2)
        wait(lambda: w.said("does not answer"), "refused by the proxy", seconds=20)
        self.check(w)

    def test_client_certificate(self):
        for name, source in (("c", self.stub.client_cert), ("k", self.stub.client_key)):
            with open(source, encoding="ascii") as f, \
                    open(self.path(name), "w", encoding="ascii") as out:
                out.write(f.read())
        w = self.watcher("-v=10", client_cert=(self.path("c"), self.path("k")))
        self.wait_synced(w)
        with open(self.path("k"), "r+", encoding="ascii") as f:
            f.truncate(120)
        wait(lambda: w.said("no complete PEM private key"), "a broken key")
        self.go_through(w)
        self.check(w)


if __name__ == "__main__":
    unittest.main()
