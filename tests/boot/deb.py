"""
The Debian package of this tree for all tests that need it: built once, with its unit tests left out, which
the suite has run, and again only after a source file has changed.
"""
import fcntl
import glob
import hashlib
import os
import re
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("KP_BUILD", os.path.join(TOP, "build"))
FOLDERS = ("applier", "broker", "cleaner", "common", "ipc", "listener", "packaging", "planner", "relay", "watcher")
with open(os.path.join(TOP, "Makefile")) as makefile:
    VERSION = re.search(r"^VERSION := (\S+)$", makefile.read(), re.M)[1]


def sources():
    """A hash of everything that the package is made of."""
    files = [os.path.join(TOP, name) for name in ("Makefile", "README.md", "LICENSE")]
    for folder in FOLDERS:
        files += [f for f in glob.glob(os.path.join(TOP, folder, "**"), recursive=True) if os.path.isfile(f)]
    key = hashlib.sha256()
    for path in sorted(files):
        if "__pycache__" not in path:
            with open(path, "rb") as f:
                key.update(("%s %o\n" % (path, os.stat(path).st_mode)).encode() + f.read())
    return key.hexdigest()


def build(folder):
    """Into FOLDER, in any case."""
    r = subprocess.run([os.path.join(TOP, "packaging/deb"), folder, VERSION], text=True,
                       env=dict(os.environ, DEB_BUILD_OPTIONS="nocheck"), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if r.returncode != 0:
        raise RuntimeError("packaging/deb: exit status %d\n%s" % (r.returncode, r.stdout[-8000:]))


def ensure():
    """The directory with the packages, the .changes file and the tree that they were built from."""
    folder = os.path.join(BUILD, "deb/suite")  # the Makefile keeps out of deb
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made_of = os.path.join(folder, "sources")
        key = sources()
        try:
            with open(made_of) as f:
                if f.read() == key:
                    return folder
            os.unlink(made_of)
        except FileNotFoundError:
            pass
        build(folder)
        with open(made_of, "w") as f:
            f.write(key)
    return folder
