"""What the tests of migrations share: the node, its services, the traffic, and a way there and back.

A migration is the same in every pair. Another kube-proxy's rules answer; ours starts beside them, is
ready, and removes them; then an endpoint goes, one Service is deleted and another one is made. On the
way back ours is stopped, the other kube-proxy programs its rules again, ours are removed, and an
endpoint goes. All the time every flow sends its next request as soon as the last one is answered.
"""
import os
import subprocess
import sys

from harness import BUILD, Node, service, sh, slice_of
from traffic import Traffic

FLAGS = ["--cluster-cidr=10.244.0.0/16,fd00:244::/32", "--iptables-min-sync-period=0s",
         "--ipvs-min-sync-period=0s", "--nodeport-addresses=198.51.100.1/32,2001:db8:1::1/128"]
# A relay that gives up after 250 ms, the default, loses answers on a busy machine.
RELAY_FLAGS = ["--udp-timeout=10s"]
NODE = {4: "198.51.100.1", 6: "2001:db8:1::1"}
PORT = 9090  # where the pods answer
TARGETS = [("http", PORT, "TCP"), ("dns", PORT, "UDP")]


class World:
    """The Services: web has pods 1 to 3 or 1 and 2; doomed gets deleted, fresh gets made."""
    WEB = {4: ("10.96.0.10", "203.0.113.10"), 6: ("fd00:96::10", "2001:db8:9::10")}
    DOOMED = {4: "10.96.0.11", 6: "fd00:96::11"}
    FRESH = {4: "10.96.0.12", 6: "fd00:96::12"}
    NODE_PORTS = {"web": (30080, 30053), "doomed": (30081, 30054), "fresh": (30082, 30055)}

    def __init__(self, node):
        self.n = node

    def one(self, name, addresses, pods, **spec):
        n = self.n
        s = service(name, addresses, [("http", 80, "TCP"), ("dns", 53, "UDP")], type="NodePort", **spec)
        for port, node_port in zip(s["spec"]["ports"], self.NODE_PORTS[name]):
            port["nodePort"] = node_port
        return [s] + [slice_of(name, [n.pod_ip(i, f) for i in pods], TARGETS) for f in (4, 6)]

    def web(self, *pods):
        return self.one("web", [a[0] for a in self.WEB.values()], pods,
                        externalIPs=[a[1] for a in self.WEB.values()])

    def before(self):
        return self.web(0, 1, 2) + self.one("doomed", list(self.DOOMED.values()), (0, 1))

    def after(self):
        return self.web(0, 1) + self.one("fresh", list(self.FRESH.values()), (0, 1))


class MigrationNode(Node):
    """Four pods, the last of which is a client; and a router that refuses what nobody translated."""

    def __init__(self, **kw):
        super().__init__(pods=4, **kw)

    def _make(self):
        super()._make()
        ip = lambda *a: sh("ip", "-n", self.client, *a)
        ip("addr", "add", "192.0.2.0/31", "dev", "eth1")
        ip("-6", "addr", "add", "2001:db8:2::2/64", "dev", "eth1", "nodad")
        for six in ((), ("-6",)):
            ip(*six, "rule", "add", "iif", "eth1", "unreachable")
        sh("ip", "netns", "exec", self.client, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1",
           "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        sh("ip", "netns", "exec", self.node, "sysctl", "-q", "-w", "net.ipv4.icmp_ratelimit=0",
           "net.ipv6.icmp.ratelimit=0")

    def inside(self, *command, **kw):
        return sh("ip", "netns", "exec", self.node, *command, **kw)

    def run_to_end(self, *flags):
        """kube-proxy with these flags until it ends; (exit status, what it wrote)."""
        r = subprocess.run(["ip", "netns", "exec", self.node, os.path.join(BUILD, "kube-proxy"),
                            "--hostname-override=node-a", "--audit-log=" + self.audit, *flags],
                           text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=1800)
        return r.returncode, r.stdout


class Migration:
    """Traffic through a node, and the steps; a row of figures per migration."""
    rows = []

    def __init__(self, test, node):
        self.test, self.n = test, node
        self.world = World(node)

    def __enter__(self):
        self.traffic = t = Traffic()
        for i in range(3):
            t.tell("server", self.n.pods[i], "pod%d" % (i + 1), PORT)
        return self

    def __exit__(self, *_):
        self.traffic.__exit__()

    # --- flows ---

    def flows(self, external_from_node=True):
        n, t = self.n, self.traffic
        for family in (4, 6):
            cluster, external = World.WEB[family]
            for source in (n.client, n.pods[3], n.node):
                places = [(cluster, (80, 53)), (NODE[family], World.NODE_PORTS["web"])]
                if source != n.node or external_from_node:
                    places.append((external, (80, 53)))
                for address, (http, dns) in places:
                    for kind in ("new", "kept"):
                        t.tell("flow", "web", kind, source, address, http)
                    for kind in ("udp", "port"):
                        t.tell("flow", "web", kind, source, address, dns)
            for group, addresses in (("doomed", World.DOOMED), ("fresh", World.FRESH)):
                for source in (n.client, n.pods[3]):
                    http, dns = World.NODE_PORTS[group]
                    t.tell("flow", group, "new", source, addresses[family], 80)
                    t.tell("flow", group, "new", source, NODE[family], http)
                    t.tell("flow", group, "port", source, addresses[family], 53)
                    t.tell("flow", group, "port", source, NODE[family], dns)
        t.tell("pause", "fresh")

    def measure(self, name, *groups):
        """Begins a row."""
        self.name, self.groups, self.began = name, groups, self.traffic.totals(*groups)
        for g in groups:
            self.traffic.tell("forget", g)

    def row(self, *, failed=0, broken=0):
        """Ends it: at most that many requests failed (None: any number) and connections broke; none
        was misled."""
        now = self.traffic.totals(*self.groups)
        got = {what: now[what] - self.began[what] for what in now}
        type(self).rows.append("%-44s %6d sent %4d failed %4d misled %4d broken %4d resent" % (
            self.name, got["sent"], got["failed"], got["misled"], got["broken"], got["resent"]))
        why = [f["label"] + ": " + f["why"] for f in self.traffic.report(*self.groups) if f["why"]]
        good = (failed is None or got["sent"] > 50) and not got["misled"] and \
            (failed is None or got["failed"] <= failed) and got["broken"] <= broken
        if not good:
            log = self.n.logged()[-3000:] if os.path.exists(self.n.log) else ""
            self.test.fail("%s\n%s\n%s" % (type(self).rows[-1], "\n".join(why[:20]), log))

    def no_more(self, pod):
        """web's flows have not been answered by a pod for a while; from now on none may be."""
        self.traffic.wait("no answer of " + pod, lambda f: f["kind"] == "kept" or
                          f["answered"] - f["last"][pod] >= 25, "web")
        self.traffic.tell("gone", "web", pod)

    def endpoint_and_service_gone(self):
        """After the change to World.after(): what is gone does not answer, what is new does."""
        t = self.traffic
        self.no_more("pod3")
        t.wait("doomed to be silent", lambda f: f["silent"] >= 2, "doomed")
        t.tell("dead", "doomed")

    def fresh_answers(self):
        t = self.traffic
        t.tell("resume", "fresh")
        t.wait("fresh to answer", lambda f: f["answered"] > 0 and f["silent"] == 0, "fresh")

    # --- there and back ---

    def all_is_there_again(self):
        self.traffic.tell("back", "web", "pod3")
        self.traffic.tell("live", "doomed")
        self.traffic.tell("pause", "fresh")


def print_rows():
    print("\n".join(Migration.rows), flush=True)
    sys.stdout.flush()
