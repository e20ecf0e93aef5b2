#!/usr/bin/python3
"""
An emulated machine with Debian 12 and systemd as its first process, for tests.

In a test:

    with Machine() as m:                        # boots; the disk is the image's, and forgets
        m.run("systemctl", "start", "kube-proxy")       # fails the test unless it exits with 0
        m.sh("grep -c . /etc/passwd", check=False).status
        m.put("/etc/default/kube-proxy", "KUBE_PROXY_ARGS=...\\n", mode=0o644)
        m.copy("build/kube-proxy.deb", "/root/")        # a file or a directory's content
        m.get("/var/log/kube-proxy/audit.log")          # bytes
        m.call(path_in_machine, "function", 1, "two")   # see agent.py
        m.wait(lambda: ..., "what is waited for")
        m.reboot()

From a shell, to look around or to try something again and again:

    tests/boot/machine.py start DIR         boots one that stays, with its sockets and console in DIR
    tests/boot/machine.py DIR COMMAND...    runs a command in it (a word with blanks: by sh)
    tests/boot/machine.py DIR --copy FROM TO
    tests/boot/machine.py stop DIR

It has two processors and 1 GiB of memory. Its network, 10.0.2.0/24 on eth0, has one other address: what connects
to API_ADDRESS is connected to 127.0.0.1 of this machine, on the port in DIR/port. Nothing is kept of what it
writes. Its processors are emulated, and a boot takes 25 seconds of processor time; with KP_BOOT_ACCEL=kvm it
takes some seconds, where /dev/kvm works (in a virtual machine it may be there and not work). Time limits are
for a busy machine: a condition that holds ends the wait at once.
"""
import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import agent  # noqa: E402
import image  # noqa: E402

QEMU = "qemu-system-x86_64"
BOOT_LIMIT = 1500  # seconds
LIMIT = 900  # for a command or a condition
API_ADDRESS = "10.0.2.100", 6443
ACCEL = os.environ.get("KP_BOOT_ACCEL", "tcg,thread=multi")


class Failed(AssertionError):
    """A command that did not exit with 0, a machine that does not answer, a wait that is over."""


class Done:
    def __init__(self, status, out):
        self.status, self.out = status, out


class Channel:
    """The host's end of the channel; see agent.py."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""
        self.number = time.monotonic_ns()  # not one of whoever used the channel before

    def close(self):
        self.socket.close()

    def send(self, do, **fields):
        self.number += 1
        data = json.dumps({"id": self.number, "do": do, **fields}).encode() + b"\n"
        self.socket.settimeout(LIMIT)
        self.socket.sendall(data)
        return self.number

    def receive(self, numbers, seconds):
        """The answer to one of these requests, or None; answers to others are dropped."""
        end = time.monotonic() + seconds
        while True:
            *lines, self.buffer = self.buffer.split(b"\n")
            for i, line in enumerate(lines):
                try:
                    reply = json.loads(line)
                except ValueError:
                    continue
                if reply["id"] in numbers:
                    self.buffer = b"\n".join(lines[i + 1:] + [self.buffer])
                    return reply
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 20)
            except TimeoutError:
                return None
            if not data:
                raise Failed("the machine has ended")
            self.buffer += data


class Machine:
    def __init__(self, folder=None):
        """FOLDER: that of a machine that "start" has booted; it stays."""
        self.folder = folder or tempfile.mkdtemp(prefix="kp-boot-")
        self.own = folder is None
        self.process = self.channel = self.boot_id = None
        self.port = int(self.text("port")) if folder and os.path.exists(self.path("port")) else None
        self.boot_seconds = []

    def path(self, name):
        return os.path.join(self.folder, name)

    # --- power ---

    def command(self):
        disk = image.ensure()
        forward = "guestfwd=tcp:%s:%d-cmd:socat STDIO TCP:127.0.0.1:%d" % (*API_ADDRESS, self.port)
        return [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
                "-accel", ACCEL, "-cpu", "host" if ACCEL == "kvm" else "max",
                "-smp", "2", "-m", "1024",
                "-kernel", disk + "/vmlinuz", "-initrd", disk + "/initrd", "-append",
                "root=/dev/vda rootfstype=ext4 rw console=ttyS0 panic=-1 mitigations=off audit=1 "
                "quiet systemd.show_status=0 net.ifnames=0",
                # writes go to a file that has no name
                "-drive", "file=%s/root.img,format=raw,if=virtio,cache=unsafe,snapshot=on" % disk,
                "-chardev", "file,id=console,path=" + self.path("console"),
                "-serial", "chardev:console", "-device", "virtio-serial",
                "-chardev", "socket,id=agent,server=on,wait=off,path=" + self.path("agent"),
                "-device", "virtserialport,chardev=agent,name=" + agent.NAME,
                "-netdev", "user,id=net,restrict=on," + forward,
                "-device", "virtio-net,netdev=net,romfile=",
                "-device", "virtio-rng"]

    def start(self, stays=False):
        """Boots it, and waits for the agent. Unless it STAYS, it ends with this process."""
        if not shutil.which(QEMU):
            raise Failed("%s is missing: packaging/deps test" % QEMU)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        with open(self.path("port"), "w") as f:
            f.write("%d\n" % self.port)
        wrapper = [] if stays else ["setpriv", "--pdeathsig=KILL"]
        with open(self.path("qemu"), "wb") as errors:
            self.process = subprocess.Popen(wrapper + self.command(), stdin=subprocess.DEVNULL,
                                            stdout=errors, stderr=errors, start_new_session=stays,
                                            env=dict(os.environ, TMPDIR="/var/tmp"))
        with open(self.path("pid"), "w") as f:
            f.write("%d\n" % self.process.pid)
        end = time.monotonic() + 30
        while not os.path.exists(self.path("agent")):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed("qemu does not start: " + self.text("qemu"))
            time.sleep(0.05)
        self.await_boot(time.monotonic())
        return self

    def await_boot(self, began, not_this=None):
        """Waits for the agent of another boot than NOT_THIS."""
        if self.channel is None:
            self.channel = Channel(self.path("agent"))
        asked = set()
        while time.monotonic() < began + BOOT_LIMIT:
            asked.add(self.channel.send("boot"))
            reply = self.channel.receive(asked, 2)
            if reply and reply.get("boot", not_this) != not_this:
                self.boot_id = reply["boot"]
                self.boot_seconds.append(time.monotonic() - began)
                return
        raise Failed("the machine did not boot within %d s" % BOOT_LIMIT)

    def reboot(self):
        began = time.monotonic()
        self.channel.send("run", argv=["systemctl", "reboot"])
        self.await_boot(began, self.boot_id)

    def end(self):
        if self.channel:
            self.channel.close()
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            print(self.text("qemu") + self.text("console"), flush=True)
            self.end()
            raise

    def __exit__(self, *_):
        self.end()

    # --- what runs in it ---

    def ask(self, do, limit=LIMIT, **fields):
        if self.channel is None:
            self.channel = Channel(self.path("agent"))
        reply = self.channel.receive({self.channel.send(do, **fields)}, limit)
        if reply is None:
            raise Failed("no answer within %d s: %s %r" % (limit, do, fields.get("argv", "")))
        if "error" in reply:
            raise Failed(reply["error"])
        return reply

    def run(self, *argv, input=b"", check=True, limit=LIMIT):
        """Runs a command as root; .status and .out (standard output and error, text)."""
        reply = self.ask("run", limit, argv=list(argv), input=base64.b64encode(input).decode())
        done = Done(reply["status"], base64.b64decode(reply["out"]).decode(errors="replace"))
        if check and done.status != 0:
            raise Failed("%s: exit status %d\n%s" % (" ".join(argv), done.status, done.out))
        return done

    def sh(self, script, **options):
        return self.run("sh", "-c", script, **options)

    def put(self, path, text, mode=0o644):
        data = text.encode() if isinstance(text, str) else text
        self.ask("put", path=path, mode=mode, data=base64.b64encode(data).decode())

    def get(self, path):
        return base64.b64decode(self.ask("get", path=path)["data"])

    def copy(self, source, to):
        """A file into the directory TO, or a directory's content; they are root's in there."""
        buffer = io.BytesIO()

        def roots(member):
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            return None if "__pycache__" in member.name else member

        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(source, "." if os.path.isdir(source) else os.path.basename(source), filter=roots)
        self.sh('mkdir -p "%s" && tar -x -C "%s"' % (to, to), input=buffer.getvalue())

    def call(self, module, function, *args):
        return self.ask("call", module=module, function=function, args=list(args))["result"]

    def wait(self, condition, what, limit=LIMIT):
        """Waits until CONDITION() is true; returns what it returned."""
        end = time.monotonic() + limit
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise Failed("not within %d s: %s" % (limit, what() if callable(what) else what))
            time.sleep(0.2)

    # --- what it said ---

    def text(self, name):
        try:
            with open(self.path(name), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def last_words(self):
        """For whoever looks at a failure."""
        parts = ["--- console\n" + self.text("console")[-3000:]]
        try:
            for title, script in (
                    ("systemctl status kube-proxy", "systemctl status --no-pager -l -n0 kube-proxy*"),
                    ("journal", "journalctl -b --no-pager -o short-precise -n 80")):
                parts.insert(0, "--- %s\n%s" % (title, self.sh(script, check=False, limit=60).out))
        except (Failed, OSError) as e:
            parts.append("--- the machine does not answer: %s" % e)
        return "\n".join(parts)


def main():
    args = sys.argv[1:]
    if len(args) == 2 and args[0] == "start":
        os.makedirs(args[1], exist_ok=True)
        m = Machine(args[1])
        m.start(stays=True)
        print("booted in %.0f s" % m.boot_seconds[0])
        return 0
    if len(args) == 2 and args[0] == "stop":
        with open(os.path.join(args[1], "pid")) as f:
            os.kill(int(f.read()), signal.SIGTERM)
        shutil.rmtree(args[1])
        return 0
    if len(args) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    m = Machine(args[0])
    if args[1] == "--copy":
        m.copy(args[2], args[3])
        return 0
    done = m.sh(args[1], check=False) if len(args) == 2 else m.run(*args[1:], check=False)
    sys.stdout.write(done.out)
    return done.status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, OSError) as e:
        sys.exit("tests/boot/machine.py: %s" % e)
