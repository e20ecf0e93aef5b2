"""
Pods, clients and their traffic, in the machine of tests/boot: called through agent.py, in whose process
the pods' servers are threads until the machine ends.

Each pod is a network namespace kp-NAME with an address of its own behind the node; on TCP and UDP port
8080 it answers with its name. The node forwards. A client is a pod that sends.
"""
import ctypes
import os
import socket
import subprocess
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
GATEWAY = "10.244.0.1"
PORT = 8080
PATIENCE = 120  # seconds: the machine may be slow, and an answer that is lost never comes


def ip(*args):
    subprocess.run(("ip",) + args, check=True, stdout=subprocess.DEVNULL)


def inside(pod, function):
    """Runs FUNCTION in the pod's network namespace, in a thread, which is all that changes."""
    result = []

    def enter():
        try:
            if pod:
                with open("/run/netns/kp-" + pod) as f:
                    if libc.setns(f.fileno(), 0x40000000) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
            result.append((function(), None))
        except OSError as e:
            result.append((None, e))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    value, error = result[0]
    if error:
        raise error
    return value


def serve_tcp(listener, name):
    def talk(s):
        with s:
            while s.recv(4096):
                s.sendall(name.encode())

    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


def serve_udp(s, name):
    while True:
        s.sendto(name.encode(), s.recvfrom(4096)[1])


def add_pod(name, address):
    netns = "kp-" + name
    ip("netns", "add", netns)
    ip("link", "add", "veth-" + name, "type", "veth", "peer", "name", "eth0", "netns", netns)
    ip("addr", "add", GATEWAY + "/32", "dev", "veth-" + name)
    ip("link", "set", "veth-" + name, "up")
    ip("-n", netns, "link", "set", "lo", "up")
    ip("-n", netns, "link", "set", "eth0", "up")
    ip("-n", netns, "addr", "add", address + "/32", "dev", "eth0")
    ip("-n", netns, "route", "add", GATEWAY, "dev", "eth0")
    ip("-n", netns, "route", "add", "default", "via", GATEWAY)
    ip("route", "add", address, "dev", "veth-" + name)

    def listen():
        tcp = socket.create_server(("0.0.0.0", PORT))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("0.0.0.0", PORT))
        return tcp, udp

    tcp, udp = inside(name, listen)
    threading.Thread(target=serve_tcp, args=(tcp, name), daemon=True).start()
    threading.Thread(target=serve_udp, args=(udp, name), daemon=True).start()


def setup(pods):
    """The node's address, and the pods {name: address}; those that are there already stay."""
    subprocess.run(["modprobe", "virtio_net"], check=True)
    ip("addr", "replace", "10.0.2.15/24", "dev", "eth0")
    ip("link", "set", "eth0", "up")
    ip("route", "replace", "default", "via", "10.0.2.2")
    for path in ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/forwarding"):
        with open(path, "w") as f:
            f.write("1")
    for name, address in pods.items():
        if not os.path.exists("/run/netns/kp-" + name):
            add_pod(name, address)
    return sorted(pods)


def request(pod, address, port, protocol="tcp", timeout=5):
    """Who answers the pod (the node itself, if it is ""); a word for the error otherwise."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM

    def ask():
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(timeout)
            s.connect((address, port))
            s.sendall(b"who\n")
            return s.recv(4096).decode()

    try:
        return inside(pod, ask)
    except TimeoutError:
        return "timeout"
    except ConnectionRefusedError:
        return "refused"
    except OSError as e:
        return "error: %s" % e


streams = {}


def start_traffic(name, pod, address, port):
    """New connections, one after the other, and one that stays, until end_traffic()."""
    stream = {"stop": threading.Event(), "asked": 0, "failed": [], "kept": ""}

    def keep():
        s = socket.create_connection((address, port), PATIENCE)
        s.settimeout(PATIENCE)
        return s

    def send():
        kept = inside(pod, keep)
        with kept:
            while not stream["stop"].is_set():
                stream["asked"] += 1
                answer = request(pod, address, port, timeout=PATIENCE)
                if answer in ("timeout", "refused") or answer.startswith("error"):
                    stream["failed"].append(answer)
                if not stream["kept"]:
                    try:
                        kept.sendall(b"still\n")
                        if not kept.recv(4096):
                            stream["kept"] = "closed"
                    except OSError as e:
                        stream["kept"] = str(e) or "timeout"
                time.sleep(0.1)

    stream["thread"] = threading.Thread(target=send, daemon=True)
    stream["thread"].start()
    streams[name] = stream


def end_traffic(name):
    """{"asked": requests, "failed": [what happened, ...], "kept": "" or what broke the connection}"""
    stream = streams.pop(name)
    stream["stop"].set()
    stream["thread"].join()
    return {k: stream[k] for k in ("asked", "failed", "kept")}
