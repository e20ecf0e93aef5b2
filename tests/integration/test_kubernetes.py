#!/usr/bin/python3
"""Our DaemonSet over the one that kubeadm installs, by kubectl itself."""
import os
import re
import shutil
import tempfile
import unittest

import yaml

from kubernetes import Cluster, api_object, kubectl, load, merge

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(TOP, "tests/data/kubernetes")
SHIPPED = os.path.join(TOP, "packaging/kubernetes")
OURS = os.path.join(SHIPPED, "daemonset.yaml")
PATCH = os.path.join(SHIPPED, "kubeadm/kubeproxydaemonset+strategic.yaml")

# The fields of the API (apps/v1, core/v1) that the outcome may have: {field: type, or fields}, "!" for those it must
# have. [fields]: a list of such, with the key that must be unique in it.
ANY = object()
PROBE = {"httpGet!": {"path!": str, "port!": int, "scheme": str}, "failureThreshold": int, "periodSeconds": int,
         "successThreshold": int, "timeoutSeconds": int}
CONTAINER = {
    "name!": str, "image!": str, "imagePullPolicy": str, "command": [str], "args": [str],
    "env": ["name", {"name!": str, "valueFrom!": {"fieldRef!": {"fieldPath!": str, "apiVersion": str}}}],
    "resources": {"requests": {"cpu": str, "memory": str}},
    "securityContext!": {"privileged": bool, "allowPrivilegeEscalation": bool, "readOnlyRootFilesystem!": bool,
                         "capabilities": {"add": [str], "drop": [str]}},
    "livenessProbe": PROBE, "readinessProbe": PROBE,
    "volumeMounts!": ["mountPath", {"name!": str, "mountPath!": str, "readOnly": bool}],
    "terminationMessagePath": str, "terminationMessagePolicy": str,
}
LABELS = {"k8s-app!": str}
DAEMON_SET = {
    "apiVersion!": str, "kind!": str,
    "metadata!": {"name!": str, "namespace!": str, "labels!": LABELS, "annotations": {}, "resourceVersion": str,
                  "uid": str},
    "spec!": {
        "revisionHistoryLimit": int, "selector!": {"matchLabels!": LABELS},
        "updateStrategy": {"type!": str, "rollingUpdate": {"maxSurge": int, "maxUnavailable": int}},
        "template!": {
            "metadata!": {"labels!": LABELS, "creationTimestamp": ANY},
            "spec!": {
                "initContainers": ["name", CONTAINER], "containers!": ["name", CONTAINER],
                "serviceAccountName!": str, "serviceAccount": str, "hostNetwork!": bool,
                "priorityClassName!": str, "nodeSelector!": {"kubernetes.io/os!": str},
                "tolerations!": [{"operator!": str}],
                "securityContext!": {"fsGroup!": int, "seccompProfile!": {"type!": str}},
                "volumes!": ["name", {
                    "name!": str, "configMap": {"name!": str, "defaultMode": int},
                    "hostPath": {"path!": str, "type": str}}],
                "dnsPolicy": str, "restartPolicy": str, "schedulerName": str,
                "terminationGracePeriodSeconds": int,
            }}}}


def problems(value, form, at=""):
    """What is wrong with VALUE: unknown or missing fields, wrong types, duplicates."""
    if form is ANY:
        return []
    if isinstance(form, type):
        right = type(value) is form
        return [] if right else ["%s: %r is not of type %s" % (at, value, form.__name__)]
    if isinstance(form, list):
        if not isinstance(value, list):
            return ["%s: not a list" % at]
        found = [p for i, v in enumerate(value) for p in problems(v, form[-1], "%s[%d]" % (at, i))]
        if len(form) == 2:
            keys = [v[form[0]] for v in value]
            found += ["%s: %s twice" % (at, k) for k in set(keys) if keys.count(k) > 1]
        return found
    if not isinstance(value, dict):
        return ["%s: not an object" % at]
    known = {name.rstrip("!"): inner for name, inner in form.items()}
    found = [p for name, v in value.items() if name in known
             for p in problems(v, known[name], "%s.%s" % (at, name))]
    if form or at == "":
        found += ["%s.%s: unknown field" % (at, name) for name in value if name not in known]
    return found + ["%s.%s: missing" % (at, name[:-1]) for name in form
                    if name[-1] == "!" and name[:-1] not in value]


def unset_volumes(pod):
    """Mounts without a volume, volumes without exactly one source."""
    names = [v["name"] for v in pod["volumes"]]
    found = [m["mountPath"] for c in pod.get("initContainers", []) + pod["containers"]
             for m in c["volumeMounts"] if m["name"] not in names]
    return found + [v["name"] for v in pod["volumes"] if len(v) != 2]


def kubeadms():
    return load(os.path.join(DATA, "kubeadm-daemonset.yaml"))


def outcome(how, directory):
    """The DaemonSet in the cluster after HOW: apply, replace, kubeadm's patch, kustomize."""
    if how == "patch":
        return api_object(merge(kubeadms(), load(PATCH), directory))
    if how == "kustomize":
        with open(os.path.join(directory, "saved.yaml"), "w") as f:
            yaml.safe_dump(kubeadms(), f)
        shutil.copy(OURS, directory)
        with open(os.path.join(directory, "kustomization.yaml"), "w") as f:
            f.write("resources: [saved.yaml]\npatchesStrategicMerge: [daemonset.yaml]\n")
        return api_object(yaml.safe_load(kubectl(directory, "kustomize", directory)))
    with Cluster(api_object(kubeadms()), directory) as c:
        c.kubectl(how, "--validate=false", "-f", OURS)
        return c.object


class OverKubeadm(unittest.TestCase):
    def setUp(self):
        d = tempfile.TemporaryDirectory(prefix="kp-kubernetes-")
        self.addCleanup(d.cleanup)
        self.dir = d.name
        self.replaced = outcome("replace", self.dir)

    def test_replace(self):
        self.assertEqual(problems(self.replaced, DAEMON_SET), [])
        pod = self.replaced["spec"]["template"]["spec"]
        self.assertEqual(unset_volumes(pod), [])
        [main] = pod["containers"]
        self.assertEqual((main["securityContext"]["privileged"],
                          main["securityContext"]["allowPrivilegeEscalation"]), (False, False))
        added = main["securityContext"]["capabilities"]["add"]
        with open(os.path.join(TOP, "applier/lockdown.c")) as f:
            needed = re.findall(r"CAP_(\w+)", re.search(r"needed\[\] = {(.*?)}", f.read())[1])
        self.assertEqual(sorted(added), sorted(needed))

    def test_apply(self):
        """apply keeps what the manifest does not mention; so nothing may be left to keep."""
        applied = outcome("apply", self.dir)
        self.assertEqual(problems(applied, DAEMON_SET), [])
        self.assertEqual(applied["spec"], self.replaced["spec"])
        self.assertEqual(applied["metadata"]["labels"], self.replaced["metadata"]["labels"])

    def test_apply_again_changes_nothing(self):
        with Cluster(api_object(kubeadms()), self.dir) as c:
            c.kubectl("apply", "--validate=false", "-f", OURS)
            count = len(c.patches)
            self.assertIn("unchanged", c.kubectl("apply", "--validate=false", "-f", OURS))
            self.assertEqual(len(c.patches), count)

    def test_back_to_kubeadms(self):
        """The object that README has saved, put back."""
        with open(os.path.join(TOP, "README.md")) as f:
            self.assertIn("kube-proxy -o yaml | grep -v '^  resourceVersion:' >kubeadm.yaml", f.read())
        live = api_object(kubeadms())
        backup = os.path.join(self.dir, "backup.yaml")
        with Cluster(live, self.dir) as c:
            with open(backup, "w") as f:
                saved = c.kubectl("-n", "kube-system", "get", "daemonset", "kube-proxy", "-o", "yaml")
                f.write(re.sub("(?m)^  resourceVersion:.*\n", "", saved))
            c.kubectl("apply", "--validate=false", "-f", OURS)
            self.assertNotEqual(c.object["spec"], live["spec"])
            c.kubectl("replace", "--validate=false", "-f", backup)
            self.assertEqual(c.object["spec"], live["spec"])

    def test_kubeadm_patch(self):
        """The name says what kubeadm patches and how (kubeadm: Customizing with patches)."""
        self.assertEqual(outcome("patch", self.dir)["spec"], self.replaced["spec"])
        self.assertEqual(os.listdir(os.path.dirname(PATCH)), [os.path.basename(PATCH)])

    def test_kustomize(self):
        self.assertEqual(outcome("kustomize", self.dir)["spec"], self.replaced["spec"])
        shipped = yaml.safe_load(kubectl(self.dir, "kustomize", SHIPPED))
        self.assertEqual(api_object(shipped)["spec"], self.replaced["spec"])

    def test_validation_finds_what_an_older_manifest_had(self):
        """Names of volumes other than kubeadm's, and no "privileged: false": what must not come back."""
        ours = load(OURS)
        pod = ours["spec"]["template"]["spec"]
        pod["volumes"].append({"name": "modules", "hostPath": {"path": "/lib/modules"}})
        pod["containers"][0]["volumeMounts"].append({"name": "missing", "mountPath": "/x", "readonly": True})
        pod["volumes"][0]["hostPath"] = {"path": "/"}
        del pod["containers"][0]["securityContext"]["privileged"]
        merged = api_object(merge(api_object(kubeadms()), ours, self.dir))
        self.assertIs(merged["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"], True)
        self.assertEqual(sorted(unset_volumes(merged["spec"]["template"]["spec"])), ["/x", "kube-proxy"])
        self.assertEqual([p for p in problems(merged, DAEMON_SET) if "readonly" in p],
                         [".spec.template.spec.containers[0].volumeMounts[%d].readonly: unknown field" % i
                          for i, m in enumerate(merged["spec"]["template"]["spec"]["containers"][0]["volumeMounts"])
                          if m["mountPath"] == "/x"])


class WithoutKubeadm(unittest.TestCase):
    def test_files_fit_together(self):
        with open(os.path.join(SHIPPED, "without-kubeadm.yaml")) as f:
            objects = {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(f)}
        pod = load(OURS)["spec"]["template"]["spec"]
        account = [{"kind": "ServiceAccount", "name": pod["serviceAccountName"], "namespace": "kube-system"}]
        self.assertIn(("ServiceAccount", pod["serviceAccountName"]), objects)
        roles = {}
        for (kind, _), o in objects.items():
            if kind == "ClusterRoleBinding":
                self.assertEqual(o["subjects"], account)
                roles[o["roleRef"]["name"]] = o
        self.assertEqual(sorted(roles), ["kube-proxy-servicecidrs", "system:node-proxier"])
        self.assertEqual(objects["ClusterRole", "kube-proxy-servicecidrs"]["rules"],
                         [{"apiGroups": ["networking.k8s.io"], "resources": ["servicecidrs"],
                           "verbs": ["get", "list", "watch"]}])
        config = objects["ConfigMap", pod["volumes"][0]["configMap"]["name"]]["data"]
        self.assertEqual(sorted(config), ["config.conf", "kubeconfig.conf"])
        self.assertEqual(yaml.safe_load(config["config.conf"])["clientConnection"]["kubeconfig"],
                         "/var/lib/kube-proxy/kubeconfig.conf")


if __name__ == "__main__":
    unittest.main()
