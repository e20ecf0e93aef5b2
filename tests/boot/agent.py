#!/usr/bin/python3
"""
The machine's end of the channel of tests/boot/machine.py: a virtio serial port that carries lines of
JSON. A request has a number and is answered with the same number; each has a thread of its own.

    {"id": 1, "do": "boot"}                                   -> {"id": 1, "boot": this boot's id}
    {"id": 2, "do": "run", "argv": [...], "input": base64}    -> {"id": 2, "status": 0, "out": base64}
    {"id": 3, "do": "put", "path": ..., "mode": 420, "data": base64}
    {"id": 4, "do": "get", "path": ...}                       -> {"id": 4, "data": base64}
    {"id": 5, "do": "call", "module": path, "function": name, "args": [...]} -> {"id": 5, "result": ...}

"call" runs a function of a Python file in this process: what has to be quick, and what stays (threads,
sockets) until the machine or the agent ends. What fails is answered with {"id": ..., "error": text}.
"""
import base64
import glob
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import traceback

NAME = "kube-proxy.agent"


def boot():
    with open("/proc/sys/kernel/random/boot_id") as f:
        return {"boot": f.read().strip()}


def run(argv, input=""):
    r = subprocess.run(argv, input=base64.b64decode(input), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    return {"status": r.returncode, "out": base64.b64encode(r.stdout).decode()}


def put(path, mode, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(base64.b64decode(data))
    os.chmod(path, mode)
    return {}


def get(path):
    with open(path, "rb") as f:
        return {"data": base64.b64encode(f.read()).decode()}


loaded = {}
loading = threading.Lock()


def call(module, function, args):
    with loading:
        if module not in loaded:
            spec = importlib.util.spec_from_file_location("m%d" % len(loaded), module)
            loaded[module] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded[module])
    return {"result": getattr(loaded[module], function)(*args)}


DO = {"boot": boot, "run": run, "put": put, "get": get, "call": call}
writing = threading.Lock()


def answer(port, request):
    number = request.pop("id", None)
    try:
        reply = DO[request.pop("do")](**request)
    except Exception:
        reply = {"error": traceback.format_exc()}
    data = json.dumps({"id": number, **reply}).encode() + b"\n"
    with writing:
        while data:
            data = data[os.write(port, data):]


def open_port():
    for path in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(path) as f:
            if f.read().strip() == NAME:
                return os.open("/dev/" + path.split("/")[-2], os.O_RDWR)
    sys.exit("no virtio port " + NAME)


def main():
    port = open_port()
    buffer = b""
    while True:
        data = os.read(port, 1 << 20)
        if not data:  # the host's end is closed
            buffer = b""
            time.sleep(0.1)
            continue
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:  # the rest of a line that was begun before the agent
                continue
            threading.Thread(target=answer, args=(port, request), daemon=True).start()


if __name__ == "__main__":
    main()
