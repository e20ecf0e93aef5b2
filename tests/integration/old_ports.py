"""Service ports and their endpoints, as the generators of other kube-proxies' rules need them."""
import base64
import hashlib

CLUSTER_CIDR = {4: "10.244.0.0/16", 6: "fd00:244::/32"}


class Port:
    """A service port in one family, and its endpoints."""

    def __init__(self, service, port, family, endpoints):
        meta, spec = service["metadata"], service["spec"]
        mine = lambda addresses: [a for a in addresses if ":" in a] if family == 6 else \
            [a for a in addresses if ":" not in a]
        self.service = "%s/%s" % (meta["namespace"], meta["name"])
        self.port_name = port.get("name", "")
        self.name = self.service + (":" + self.port_name if self.port_name else "")
        self.proto = port["protocol"].lower()
        self.port = port["port"]
        self.node_port = port.get("nodePort", 0)
        self.cluster_ip = mine(spec["clusterIPs"])[0]
        self.external_ips = mine(spec.get("externalIPs", []))
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
        self.balancer_ips = mine([i["ip"] for i in ingress])
        self.ranges = mine(spec.get("loadBalancerSourceRanges", []))
        self.local = spec.get("externalTrafficPolicy") == "Local"
        self.affinity = spec.get("sessionAffinity") == "ClientIP"
        self.health_port = spec.get("healthCheckNodePort", 0)
        self.endpoints = sorted(endpoints)

    @property
    def external(self):
        return bool(self.external_ips or self.balancer_ips or self.node_port)


def ports_of(objects, family):
    """The service ports of a list of Services and EndpointSlices, all of whose endpoints are local."""
    targets = {}
    for o in objects:
        if o["kind"] != "EndpointSlice" or o["addressType"] != "IPv%d" % family:
            continue
        key = o["metadata"]["namespace"], o["metadata"]["labels"]["kubernetes.io/service-name"]
        for port in o["ports"]:
            targets.setdefault((*key, port["name"]), []).extend(
                (e["addresses"][0], port["port"]) for e in o["endpoints"])
    found = []
    for o in objects:
        if o["kind"] == "Service" and any((":" in a) == (family == 6) for a in o["spec"]["clusterIPs"]):
            meta = o["metadata"]
            found += [Port(o, p, family,
                           targets.get((meta["namespace"], meta["name"], p.get("name", "")), []))
                      for p in o["spec"]["ports"]]
    return found


def joined(endpoint):
    return ("[%s]:%d" if ":" in endpoint[0] else "%s:%d") % endpoint


def hashed(*parts, length=16):
    return base64.b32encode(hashlib.sha256("".join(parts).encode()).digest()).decode()[:length]
