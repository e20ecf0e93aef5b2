"""How long a test waits for what must come.

A wait ends when its condition holds, so its limit costs nothing until something is broken. Limits
are ten times what an idle machine needs: on a busy one a process may not run for seconds.
"""
import time

PATIENCE = 10


def patient(seconds):
    """The limit of a wait that takes at most SECONDS on an idle machine."""
    return seconds * PATIENCE


def wait(condition, what, seconds=10):
    """Until condition() holds. WHAT: its name, or a function that tells what there is instead."""
    end = time.monotonic() + patient(seconds)
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" %
                                 (patient(seconds), what() if callable(what) else what))
        time.sleep(0.01)
