"""Drives tests/tools/traffic: requests without a pause, and what became of them."""
import json
import os
import subprocess
import time

from harness import BUILD

COUNTS = ("sent", "answered", "failed", "misled", "broken", "resent")


class Traffic:
    def __init__(self):
        self.proc = subprocess.Popen([os.path.join(BUILD, "tests/tools/traffic")], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.stdin.close()
        self.proc.wait()
        self.proc.stdout.close()

    def tell(self, *words):
        self.proc.stdin.write(" ".join(map(str, words)) + "\n")
        self.proc.stdin.flush()

    def report(self, *groups):
        """The flows of these groups, of all without one."""
        self.tell("report")
        line = self.proc.stdout.readline()
        if not line:
            raise AssertionError("tests/tools/traffic ended: %s" % self.proc.wait())
        return [f for f in json.loads(line) if not groups or f["group"] in groups]

    def totals(self, *groups):
        flows = self.report(*groups)
        return {what: sum(f[what] for f in flows) for what in COUNTS}

    def wait(self, what, done, *groups, seconds=600):
        """Until done(flow) of each flow in these groups."""
        end = time.monotonic() + seconds
        while True:
            late = [f for f in self.report(*groups) if not done(f)]
            if not late:
                return
            if time.monotonic() > end:
                raise AssertionError("not within %d s: %s: %s" % (
                    seconds, what, "\n".join(map(str, late[:12]))))
            time.sleep(0.02)

    def settle(self, *groups, requests=8):
        """Until each flow has begun and ended that many more requests."""
        began = {f["label"]: f["sent"] for f in self.report(*groups)}
        self.wait("%d more requests of each flow" % requests,
                  lambda f: f["sent"] > began[f["label"]] + requests, *groups)
