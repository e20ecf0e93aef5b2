"""
What kubectl and an apiserver make of manifests: merges by the real kubectl, on this machine alone.

    live = api_object(load("kubeadm.yaml"))           as the apiserver keeps it
    with Cluster(live, directory) as c:
        c.kubectl("apply", "-f", path)                 against a server with this one DaemonSet
        c.object                                       the outcome
    merge(live, load("patch.yaml"), directory)         kubectl patch --local --type=strategic
"""
import copy
import http.server
import json
import os
import subprocess
import threading

import yaml

URL = "/apis/apps/v1/namespaces/kube-system/daemonsets"


def load(path):
    with open(path) as f:
        return yaml.safe_load(f)


def kubectl(directory, *args, stdin=None):
    """Its output. DIRECTORY: for its cache; nothing else of the user's is read."""
    r = subprocess.run(["kubectl", *args], text=True, input=stdin, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=3000,
                       env=dict(os.environ, HOME=directory, KUBECONFIG=os.path.join(directory, "none")))
    if r.returncode != 0:
        raise RuntimeError("kubectl %s: exit %d: %s" % (" ".join(args), r.returncode, r.stderr))
    return r.stdout


def merge(obj, patch, directory):
    """PATCH (an object, or a strategic merge patch's text) over OBJ."""
    base = os.path.join(directory, "base.json")
    with open(base, "w") as f:
        json.dump(obj, f)
    text = patch if isinstance(patch, str) else json.dumps(patch)
    return json.loads(kubectl(directory, "patch", "--local", "-f", base, "--type=strategic", "-p", text,
                              "-o", "json"))


def _defaults(obj, **values):
    for key, value in values.items():
        obj.setdefault(key, value)


def api_object(obj):
    """
    OBJ as an apiserver would return it: with the defaults of apps/v1 and v1 (the API reference names each), and
    without fields whose value is the type's zero.
    """
    obj = copy.deepcopy(obj)
    _defaults(obj["spec"], revisionHistoryLimit=10)
    _defaults(obj["spec"]["updateStrategy"], rollingUpdate={"maxSurge": 0, "maxUnavailable": 1})
    pod = obj["spec"]["template"]["spec"]
    _defaults(pod, dnsPolicy="ClusterFirst", restartPolicy="Always", schedulerName="default-scheduler",
              securityContext={}, terminationGracePeriodSeconds=30,
              serviceAccount=pod["serviceAccountName"])
    for container in pod.get("initContainers", []) + pod["containers"]:
        _defaults(container, resources={}, terminationMessagePath="/dev/termination-log",
                  terminationMessagePolicy="File")
        for probe in (container[k] for k in container if k.endswith("Probe")):
            _defaults(probe, failureThreshold=3, periodSeconds=10, successThreshold=1, timeoutSeconds=1)
            _defaults(probe["httpGet"], scheme="HTTP")
        for variable in container.get("env", []):
            _defaults(variable["valueFrom"]["fieldRef"], apiVersion="v1")
        for mount in container["volumeMounts"]:
            if not mount.get("readOnly", True):
                del mount["readOnly"]
    for volume in pod["volumes"]:
        if "configMap" in volume:
            _defaults(volume["configMap"], defaultMode=0o644)
        if "hostPath" in volume:
            _defaults(volume["hostPath"], type="")
    return obj


class Cluster:
    """An apiserver that has one DaemonSet. What it makes of a PATCH is kubectl's own merge."""

    def __init__(self, obj, directory):
        self.object = dict(obj, metadata=dict(obj["metadata"], resourceVersion="1", uid="1"))
        self.directory = directory
        self.patches = []

    def __enter__(self):
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def send(self, code, body):
                data = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def body(self):
                return self.rfile.read(int(self.headers["Content-Length"])).decode()

            def do_GET(self):
                path = self.path.split("?")[0]
                name = cluster.object["metadata"]["name"]
                answer = cluster.object if path == "%s/%s" % (URL, name) else DISCOVERY.get(path)
                if answer is None:
                    self.send(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                    "reason": "NotFound", "code": 404, "message": "not found"})
                else:
                    self.send(200, answer)

            def store(self, obj):
                """As the next version, unless OBJ was read before somebody else's change."""
                version = cluster.object["metadata"]["resourceVersion"]
                if obj["metadata"].get("resourceVersion", version) != version:
                    self.send(409, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                    "reason": "Conflict", "code": 409, "message": "modified meanwhile"})
                    return
                cluster.object = api_object(obj)
                cluster.object["metadata"]["resourceVersion"] = str(int(version) + 1)
                self.send(200, cluster.object)

            def do_PATCH(self):
                kind, patch = self.headers["Content-Type"], self.body()
                if kind != "application/strategic-merge-patch+json":
                    self.send(415, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                    "reason": "UnsupportedMediaType", "code": 415, "message": kind})
                    return
                cluster.patches.append(json.loads(patch))
                self.store(merge(cluster.object, patch, cluster.directory))

            def do_PUT(self):
                self.store(json.loads(self.body()))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def kubectl(self, *args):
        return kubectl(self.directory, "--server=http://127.0.0.1:%d" % self.server.server_port, *args)


_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_GROUP = {"groupVersion": "apps/v1", "version": "v1"}
DISCOVERY = {
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "namespaces", "namespaced": False, "kind": "Namespace", "verbs": _VERBS}]},
    "/api/v1/namespaces/kube-system": {"kind": "Namespace", "apiVersion": "v1",
                                       "metadata": {"name": "kube-system"}},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
        {"name": "apps", "versions": [_GROUP], "preferredVersion": _GROUP}]},
    "/apis/apps/v1": {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1", "resources": [
        {"name": "daemonsets", "singularName": "daemonset", "namespaced": True, "kind": "DaemonSet",
         "verbs": _VERBS}]},
}
