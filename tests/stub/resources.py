"""
The resources that the stub apiserver serves, by version of Kubernetes, and their objects' forms.
"""

import json

import protobuf

# resource: kind, what a bookmark has besides its metadata
RESOURCES = {
    "services": ("Service", {"spec": {}, "status": {"loadBalancer": {}}}),
    "endpointslices": ("EndpointSlice", {"addressType": "", "endpoints": None, "ports": None}),
    "endpoints": ("Endpoints", {}),
    "nodes": (
        "Node",
        {
            "spec": {},
            "status": {
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
                "nodeInfo": dict.fromkeys(
                    "machineID systemUUID bootID kernelVersion osImage containerRuntimeVersion"
                    " kubeletVersion kubeProxyVersion operatingSystem architecture".split(),
                    "",
                ),
            },
        },
    ),
    "servicecidrs": ("ServiceCIDR", {"spec": {}, "status": {}}),
}
KINDS = {kind: resource for resource, (kind, _) in RESOURCES.items()}

# resource, apiVersion, first and last minor version that serves it
SERVED = [
    ("services", "v1", 0, 99),
    ("nodes", "v1", 0, 99),
    ("endpoints", "v1", 0, 99),
    ("endpointslices", "discovery.k8s.io/v1", 21, 99),
    ("endpointslices", "discovery.k8s.io/v1beta1", 17, 24),
    ("servicecidrs", "networking.k8s.io/v1", 33, 99),
    ("servicecidrs", "networking.k8s.io/v1beta1", 31, 36),
]


def dumps(value):
    return json.dumps(value, separators=(",", ":")).encode()


def prefix(api_version):
    return "/apis/" + api_version if "/" in api_version else "/api/" + api_version


def locate(path, minor):
    """(resource, apiVersion, namespace, name) of a path; Nones if 1.MINOR serves none such."""
    for resource, api_version, first, last in SERVED:
        start = prefix(api_version) + "/"
        if not first <= minor <= last or not path.startswith(start):
            continue
        parts = path[len(start) :].split("/")
        namespace = None
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        if parts[0] == resource and len(parts) <= 2:
            return resource, api_version, namespace, parts[1] if len(parts) == 2 else None
    return None, None, None, None


def group(minor):
    """/apis/discovery.k8s.io, or None."""
    versions = [
        {"groupVersion": v, "version": v.split("/")[1]}
        for r, v, first, last in SERVED
        if r == "endpointslices" and first <= minor <= last
    ]
    if not versions:
        return None
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "discovery.k8s.io",
        "versions": versions,
        "preferredVersion": versions[0],
    }


def as_v1beta1(obj):
    """A slice as servers before 1.20 have it: the node and its zone are topology."""
    endpoints = []
    for endpoint in obj.get("endpoints") or []:
        endpoint = dict(endpoint)
        topology = endpoint.pop("deprecatedTopology", {})
        for key, label in (
            ("nodeName", "kubernetes.io/hostname"),
            ("zone", "topology.kubernetes.io/zone"),
        ):
            if key in endpoint:
                topology[label] = endpoint.pop(key)
        if topology:
            endpoint["topology"] = topology
        endpoints.append(endpoint)
    return {**obj, "endpoints": endpoints}


class Entry:
    """An object with its serialisations, made when they are first asked for."""

    def __init__(self, resource, obj):
        self.kind = RESOURCES[resource][0]
        self.obj = obj
        self.deleted = False
        self.forms = {}

    def form(self, what, api_version):
        key = what, api_version
        if key not in self.forms:
            self.forms[key] = getattr(self, what)(api_version)
        return self.forms[key]

    def without_type(self, api_version):
        obj = as_v1beta1(self.obj) if api_version == "discovery.k8s.io/v1beta1" else self.obj
        return {k: v for k, v in obj.items() if k not in ("kind", "apiVersion")}

    # The forms: an item of a list, and an object by itself.

    def json_item(self, api_version):
        return dumps(self.without_type(api_version))

    def json(self, api_version):
        item = self.form("json_item", api_version)
        return b'{"kind":"%b","apiVersion":"%b",%b' % (
            self.kind.encode(),
            api_version.encode(),
            item[1:],
        )

    def proto_item(self, api_version):
        message = self.kind
        if api_version == "discovery.k8s.io/v1beta1":
            message += "V1beta1"
        return protobuf.encode(message, self.without_type(api_version))

    def proto(self, api_version):
        return protobuf.envelope(self.kind, api_version, self.form("proto_item", api_version))


def object_list(proto, resource, api_version, metadata, entries):
    """A list's body."""
    name = RESOURCES[resource][0] + "List"
    if proto:
        items = [e.form("proto_item", api_version) for e in entries]
        return protobuf.object_list(name, api_version, metadata, items)
    head = dumps({"kind": name, "apiVersion": api_version, "metadata": metadata})
    items = b",".join(e.form("json_item", api_version) for e in entries)
    return head[:-1] + b',"items":[' + items + b"]}\n"


def event(proto, kind, full):
    """One event of a watch, given its object by itself."""
    if proto:
        return protobuf.frame(kind, full)
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), full)


def bookmark(proto, resource, api_version, version, initial_end):
    kind, shape = RESOURCES[resource]
    meta = {"resourceVersion": str(version)}
    if initial_end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    if proto:
        message = protobuf.data(1, protobuf.encode("ObjectMeta", meta))
        full = protobuf.envelope(kind, api_version, message)
    else:
        full = dumps({"kind": kind, "apiVersion": api_version, "metadata": meta, **shape})
    return event(proto, "BOOKMARK", full)


def body_of(proto, obj):
    """A Status or another object of no resource."""
    if not proto:
        return dumps(obj)
    return protobuf.envelope(
        obj["kind"], obj["apiVersion"], protobuf.encode(obj["kind"], obj)
    )
