"""
The API's protobuf from and to the objects that JSON has: what the stub apiserver answers. Written
from the API's published numbers, not from watcher/kube.proto, so that each checks the other; and
test_stub.py holds both directions to what a real server answered.
"""

import calendar
import json
import time

# name: (number, type). "*": repeated. s string, i number, b true or false, map of strings, time,
# f: false is the same as absent, port (IntOrString), json (FieldsV1), or a message. "...": it has more,
# which are not of interest.
MESSAGES = {
    "ObjectMeta": {
        "name": (1, "s"),
        "generateName": (2, "s"),
        "namespace": (3, "s"),
        "selfLink": (4, "s"),
        "uid": (5, "s"),
        "resourceVersion": (6, "s"),
        "generation": (7, "i"),
        "creationTimestamp": (8, "time"),
        "deletionTimestamp": (9, "time"),
        "labels": (11, "map"),
        "annotations": (12, "map"),
        "ownerReferences": (13, "*OwnerReference"),
        "finalizers": (14, "*s"),
        "managedFields": (17, "*ManagedFieldsEntry"),
    },
    "OwnerReference": {
        "kind": (1, "s"),
        "name": (3, "s"),
        "uid": (4, "s"),
        "apiVersion": (5, "s"),
        "controller": (6, "b"),
        "blockOwnerDeletion": (7, "b"),
    },
    "ManagedFieldsEntry": {
        "manager": (1, "s"),
        "operation": (2, "s"),
        "apiVersion": (3, "s"),
        "time": (4, "time"),
        "fieldsType": (6, "s"),
        "fieldsV1": (7, "json"),
        "subresource": (8, "s"),
    },
    "ListMeta": {
        "selfLink": (1, "s"),
        "resourceVersion": (2, "s"),
        "continue": (3, "s"),
        "remainingItemCount": (4, "i"),
    },
    "Status": {
        "metadata": (1, "ListMeta"),
        "status": (2, "s"),
        "message": (3, "s"),
        "reason": (4, "s"),
        "details": (5, "StatusDetails"),
        "code": (6, "i"),
    },
    "StatusDetails": {"name": (1, "s"), "group": (2, "s"), "kind": (3, "s")},
    "APIGroup": {
        "name": (1, "s"),
        "versions": (2, "*GroupVersion"),
        "preferredVersion": (3, "GroupVersion"),
    },
    "GroupVersion": {"groupVersion": (1, "s"), "version": (2, "s")},
    "Service": {
        "metadata": (1, "ObjectMeta"),
        "spec": (2, "ServiceSpec"),
        "status": (3, "ServiceStatus"),
    },
    "ServiceSpec": {
        "ports": (1, "*ServicePort"),
        "selector": (2, "map"),
        "clusterIP": (3, "s"),
        "type": (4, "s"),
        "externalIPs": (5, "*s"),
        "sessionAffinity": (7, "s"),
        "loadBalancerIP": (8, "s"),
        "loadBalancerSourceRanges": (9, "*s"),
        "externalName": (10, "s"),
        "externalTrafficPolicy": (11, "s"),
        "healthCheckNodePort": (12, "i"),
        "publishNotReadyAddresses": (13, "f"),
        "sessionAffinityConfig": (14, "SessionAffinityConfig"),
        "ipFamilyPolicy": (17, "s"),
        "clusterIPs": (18, "*s"),
        "ipFamilies": (19, "*s"),
        "allocateLoadBalancerNodePorts": (20, "b"),
        "loadBalancerClass": (21, "s"),
        "internalTrafficPolicy": (22, "s"),
        "trafficDistribution": (23, "s"),
    },
    "ServicePort": {
        "name": (1, "s"),
        "protocol": (2, "s"),
        "port": (3, "i"),
        "targetPort": (4, "port"),
        "nodePort": (5, "i"),
        "appProtocol": (6, "s"),
    },
    "SessionAffinityConfig": {"clientIP": (1, "ClientIPConfig")},
    "ClientIPConfig": {"timeoutSeconds": (1, "i")},
    "ServiceStatus": {"loadBalancer": (1, "LoadBalancerStatus")},
    "LoadBalancerStatus": {"ingress": (1, "*LoadBalancerIngress")},
    "LoadBalancerIngress": {"ip": (1, "s"), "hostname": (2, "s"), "ipMode": (3, "s")},
    "EndpointSlice": {
        "metadata": (1, "ObjectMeta"),
        "endpoints": (2, "*Endpoint"),
        "ports": (3, "*EndpointPort"),
        "addressType": (4, "s"),
    },
    "Endpoint": {
        "addresses": (1, "*s"),
        "conditions": (2, "EndpointConditions"),
        "hostname": (3, "s"),
        "targetRef": (4, "ObjectReference"),
        "deprecatedTopology": (5, "map"),
        "nodeName": (6, "s"),
        "zone": (7, "s"),
        "hints": (8, "EndpointHints"),
    },
    "EndpointV1beta1": {
        "addresses": (1, "*s"),
        "conditions": (2, "EndpointConditions"),
        "hostname": (3, "s"),
        "targetRef": (4, "ObjectReference"),
        "topology": (5, "map"),
        "nodeName": (6, "s"),
        "hints": (7, "EndpointHints"),
    },
    "EndpointConditions": {"ready": (1, "b"), "serving": (2, "b"), "terminating": (3, "b")},
    "EndpointHints": {"forZones": (1, "*HintName"), "forNodes": (2, "*HintName")},
    "HintName": {"name": (1, "s")},
    "EndpointPort": {
        "name": (1, "s"),
        "protocol": (2, "s"),
        "port": (3, "i"),
        "appProtocol": (4, "s"),
    },
    "ObjectReference": {
        "kind": (1, "s"),
        "namespace": (2, "s"),
        "name": (3, "s"),
        "uid": (4, "s"),
        "apiVersion": (5, "s"),
        "resourceVersion": (6, "s"),
        "fieldPath": (7, "s"),
    },
    "Endpoints": {"metadata": (1, "ObjectMeta"), "subsets": (2, "*EndpointSubset")},
    "EndpointSubset": {
        "addresses": (1, "*EndpointAddress"),
        "notReadyAddresses": (2, "*EndpointAddress"),
        "ports": (3, "*SubsetPort"),
    },
    "EndpointAddress": {
        "ip": (1, "s"),
        "targetRef": (2, "ObjectReference"),
        "hostname": (3, "s"),
        "nodeName": (4, "s"),
    },
    "SubsetPort": {
        "name": (1, "s"),
        "port": (2, "i"),
        "protocol": (3, "s"),
        "appProtocol": (4, "s"),
    },
    "Node": {
        "metadata": (1, "ObjectMeta"),
        "spec": (2, "NodeSpec"),
        "status": (3, "NodeStatus"),
    },
    "NodeSpec": {
        "podCIDR": (1, "s"),
        "providerID": (3, "s"),
        "unschedulable": (4, "f"),
        "taints": (5, "*Taint"),
        "podCIDRs": (7, "*s"),
    },
    "Taint": {"key": (1, "s"), "value": (2, "s"), "effect": (3, "s"), "timeAdded": (4, "time")},
    "NodeStatus": {"addresses": (5, "*NodeAddress"), "...": None},
    "NodeAddress": {"type": (1, "s"), "address": (2, "s")},
    "ServiceCIDR": {
        "metadata": (1, "ObjectMeta"),
        "spec": (2, "ServiceCIDRSpec"),
        "status": (3, "ServiceCIDRStatus"),
    },
    "ServiceCIDRSpec": {"cidrs": (1, "*s")},
    "ServiceCIDRStatus": {"...": None},
}
MESSAGES["EndpointSliceV1beta1"] = {
    **MESSAGES["EndpointSlice"],
    "endpoints": (2, "*EndpointV1beta1"),
}

MAGIC = b"k8s\0"
TIME = "%Y-%m-%dT%H:%M:%SZ"


# --- to protobuf ---


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    return varint(field << 3) + varint(n)


def data(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def encode_value(field, kind, value):
    if kind == "s":
        return data(field, value.encode("utf-8", "surrogateescape"))
    if kind in ("i", "b", "f"):
        return number(field, value)
    if kind == "map":
        return b"".join(
            data(field, data(1, k.encode()) + data(2, v.encode())) for k, v in value.items()
        )
    if kind == "time":
        seconds = calendar.timegm(time.strptime(value, TIME))
        return data(field, number(1, seconds) + number(2, 0))
    if kind == "port":
        if isinstance(value, int):
            return data(field, number(1, 0) + number(2, value) + data(3, b""))
        return data(field, number(1, 1) + number(2, 0) + data(3, value.encode()))
    if kind == "json":
        return data(field, data(1, json.dumps(value, separators=(",", ":")).encode()))
    return data(field, encode(kind, value))


def encode(message, obj):
    """The bytes of OBJ as MESSAGE."""
    fields = MESSAGES[message]
    out = []
    for name, value in obj.items():
        if value is None:
            continue
        if name not in fields:
            if "..." in fields or name in ("kind", "apiVersion"):
                continue
            raise ValueError(f"{message} has no field {name}")
        field, kind = fields[name]
        for one in value if kind.startswith("*") else [value]:
            out.append(encode_value(field, kind.lstrip("*"), one))
    return b"".join(out)


def envelope(kind, api_version, raw):
    meta = data(1, api_version.encode()) + data(2, kind.encode())
    return MAGIC + data(1, meta) + data(2, raw) + data(3, b"") + data(4, b"")


def object_list(kind, api_version, metadata, items):
    """A list's envelope, given the bytes of its items."""
    parts = [data(1, encode("ListMeta", metadata))]
    parts += [data(2, item) for item in items]
    return envelope(kind, api_version, b"".join(parts))


def frame(kind, enveloped):
    """One event of a watch."""
    event = data(1, kind.encode()) + data(2, data(1, enveloped))
    return len(event).to_bytes(4, "big") + event


# --- from protobuf ---


def fields_of(raw):
    """(number, value) of each field; the value is bytes or a number."""
    at = 0

    def read_varint():
        nonlocal at
        n = shift = 0
        while True:
            byte = raw[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while at < len(raw):
        key = read_varint()
        value = read_varint()
        if key & 7 == 2:
            at += value
            value = raw[at - value : at]
        elif key & 7 != 0:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def decode_value(kind, value):
    if kind == "s":
        return value.decode()
    if kind == "i":
        return value
    if kind in ("b", "f"):
        return bool(value)
    parts = dict(fields_of(value))
    if kind == "time":
        return time.strftime(TIME, time.gmtime(parts[1])) if 1 in parts else ""
    if kind == "port":
        return parts[3].decode() if parts[1] else parts[2]
    if kind == "json":
        return json.loads(parts[1])
    if kind == "map":
        return {parts[1].decode(): parts[2].decode()}
    return decode(kind, value)


def decode(message, raw):
    """MESSAGE's bytes as JSON has them, but for what is empty, which is left out."""
    by_number = {f[0]: (name, f[1]) for name, f in MESSAGES[message].items() if f}
    out = {}
    for field, value in fields_of(raw):
        if field not in by_number:
            if "..." in MESSAGES[message] or value in (0, b""):
                continue
            raise ValueError(f"{message} has a field {field}: {value}")
        name, kind = by_number[field]
        value = decode_value(kind.lstrip("*"), value)
        if kind.startswith("*"):
            out.setdefault(name, []).append(value)
        elif kind == "map":
            out.setdefault(name, {}).update(value)
        elif value not in ("", {}) and (value or kind == "b"):
            out[name] = value
    return out


def open_envelope(body):
    """(kind, apiVersion, the bytes of the message)"""
    if not body.startswith(MAGIC):
        raise ValueError("no envelope")
    unknown = dict(fields_of(body[4:]))
    meta = dict(fields_of(unknown[1]))
    return meta[2].decode(), meta[1].decode(), unknown[2]


def frames_of(body):
    """(type, the object's envelope) of each event."""
    while body:
        size = int.from_bytes(body[:4], "big")
        event = dict(fields_of(body[4 : 4 + size]))
        yield event[1].decode(), dict(fields_of(event[2]))[1]
        body = body[4 + size :]
