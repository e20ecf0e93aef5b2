#!/usr/bin/python3
"""
Makes the disk that tests/boot/machine.py boots: Debian 12 with systemd, Debian's kernel, the package's
dependencies and what the tests use, and an agent (agent.py) that runs commands for the host.

The image is kept in /var/cache/kube-proxy-tests (KP_BOOT_CACHE: elsewhere) for the week in which it was
made, so that it has Debian's updates. A change of the list of packages or of this file makes another.

usage: tests/boot/image.py      makes the image if necessary, and prints its directory. As root.
"""
import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get("KP_BOOT_CACHE", "/var/cache/kube-proxy-tests")
SUITE = "bookworm"

# The cloud kernel has no drivers for hardware, and everything of netfilter and IPVS.
PACKAGES = """
systemd-sysv dbus udev linux-image-cloud-amd64 tiny-initramfs kmod procps python3 openssl
iproute2 iptables nftables ipvsadm ipset conntrack apparmor logrotate bash-completion adduser
libbsd0 libcap2 libcurl4 libevent-core-2.1-7 libevent-extra-2.1-7 libip4tc2 libip6tc2 libjansson4 libmd0
libnl-3-200 libnl-genl-3-200 libnl-nf-3-200 libnl-route-3-200 libprotobuf-c1 libseccomp2
libssl3 libyaml-0-2
""".split()
# What no test looks at. Of the hardware database udev would make an index, which takes a while.
LEFT_OUT = ["/usr/share/%s/*" % d for d in ("man", "doc", "info", "locale", "zoneinfo", "i18n")] + [
    "/lib/udev/hwdb.d/*", "/usr/lib/udev/hwdb.d/*"]

# What only costs time in an emulated machine: coldplug, consoles, file systems and timers that no test
# uses. Modules are loaded by their users alone, so that a test sees who loads what.
MASKED = """
systemd-udev-trigger.service getty.target modprobe@.service e2scrub_reap.service
systemd-pstore.service systemd-random-seed.service systemd-update-utmp.service
systemd-update-utmp-runlevel.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount
sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount
proc-sys-fs-binfmt_misc.automount apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
e2scrub_all.timer fstrim.timer logrotate.timer
""".split()

FILES = {
    # an empty one makes a first boot, which presets every unit
    "/etc/machine-id": "6b756265000000000000000070726f78\n",
    "/etc/hostname": "node\n",
    "/etc/hosts": "127.0.0.1 localhost node\n::1 localhost\n",
    "/etc/fstab": "",
    # An emulated machine beside other work is slow.
    "/etc/systemd/system.conf.d/slow.conf": "[Manager]\nDefaultTimeoutStartSec=900\nDefaultTimeoutStopSec=300\n",
    "/etc/systemd/journald.conf.d/tests.conf": "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n",
    "/etc/systemd/system/kp-agent.service": """\
[Unit]
Description=Runs commands for the host's tests

[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/kp-agent
Restart=always
Environment=LANG=C.UTF-8 SYSTEMD_PAGER= SYSTEMD_COLORS=0 HOME=/root DEBIAN_FRONTEND=noninteractive
OOMScoreAdjust=-1000

[Install]
WantedBy=multi-user.target
""",
}


def sources():
    """Where this machine gets Debian 12 from, as lines of sources.list."""
    r = subprocess.run(["apt-get", "indextargets", "--format",
                        "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages"],
                       stdout=subprocess.PIPE, text=True, check=True)
    lines = set()
    for origin, suite, component, uri in (line.split("|") for line in r.stdout.splitlines()):
        if origin == "Debian" and suite.split("-")[0] == SUITE and component == "main":
            lines.add("deb %s %s main" % (uri, suite))
    if not lines:
        sys.exit("tests/boot/image.py: apt knows no source of Debian %s; add one and run apt-get update"
                 % SUITE)
    return sorted(lines)


def key():
    what = hashlib.sha256(time.strftime("%G-%V").encode())
    for name in ("image.py", "agent.py"):
        with open(os.path.join(HERE, name), "rb") as f:
            what.update(f.read())
    return "%s-%s" % (SUITE, what.hexdigest()[:12])


def run(*command):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors="replace", stdin=subprocess.DEVNULL)
    if r.returncode != 0:
        sys.exit("tests/boot/image.py: %s: exit status %d\n%s" % (command[0], r.returncode, r.stdout))


def write(root, path, text):
    os.makedirs(os.path.dirname(root + path), exist_ok=True)
    with open(root + path, "w") as f:
        f.write(text)


def configure(root):
    """What makes the installed system one that boots fast and runs the agent."""
    for path, text in FILES.items():
        write(root, path, text)
    units = root + "/etc/systemd/system"
    for unit in MASKED:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(units, unit))
        os.symlink("/dev/null", os.path.join(units, unit))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(units + "/default.target")
    os.symlink("/lib/systemd/system/multi-user.target", units + "/default.target")
    os.makedirs(units + "/multi-user.target.wants", exist_ok=True)
    os.symlink("../kp-agent.service", units + "/multi-user.target.wants/kp-agent.service")
    shutil.copy(os.path.join(HERE, "agent.py"), root + "/usr/local/lib/kp-agent")


def build(folder):
    """Leaves root.img, vmlinuz and initrd in FOLDER."""
    began = time.monotonic()
    print("tests/boot: making the machine's disk (%s, %d packages)" % (SUITE, len(PACKAGES)), flush=True)
    root = os.path.join(folder, "root")
    write(folder, "/sources.list", "\n".join(sources()) + "\n")
    # The initrd holds what is needed to find the disk and the agent's channel, and nothing else.
    initrd = ("chroot \"$1\" sh -euc 'mktirfs -m no -M no -o /boot/initrd "
              "--include-modules=virtio_pci,virtio_blk,virtio_console \"$(ls /lib/modules)\"'")
    run("mmdebstrap", "--mode=root", "--variant=apt", "--include=" + ",".join(PACKAGES),
        "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=force-unsafe-io",
        *("--dpkgopt=path-exclude=" + p for p in LEFT_OUT), "--customize-hook=" + initrd,
        SUITE, root, os.path.join(folder, "sources.list"))
    configure(root)
    shutil.copy(glob.glob(root + "/boot/vmlinuz-*")[0], os.path.join(folder, "vmlinuz"))
    shutil.move(root + "/boot/initrd", os.path.join(folder, "initrd"))
    image = os.path.join(folder, "root.img")
    with open(image, "wb") as f:
        f.truncate(2 << 30)
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, image)
    shutil.rmtree(root)
    print("tests/boot: made in %.0f s" % (time.monotonic() - began), flush=True)


def ensure():
    """The directory with this week's root.img, vmlinuz and initrd."""
    os.makedirs(CACHE, exist_ok=True)
    wanted = os.path.join(CACHE, key())
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(wanted):
            with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as folder:
                build(folder)
                for old in glob.glob(os.path.join(CACHE, SUITE + "-*")):
                    shutil.rmtree(old)
                os.chmod(folder, 0o755)
                os.rename(folder, wanted)
                os.mkdir(folder)
    return wanted


if __name__ == "__main__":
    print(ensure())
