"""Health check node ports: what a load balancer outside is told of each node, as its Services and
endpoints come and go. In every mode that there is.
"""
import fcntl
import json
import os
import re
import socket
import unittest

from harness import BUILD, Node, inside, service, sh, slice_of
from test_service_packets import ENDING, NODE, READY

UPLINK = {4: "192.0.2.1", 6: "2001:db8:2::1"}
PORT = 32110
BODY = """{
\t"service": {
\t\t"namespace": "default",
\t\t"name": "%s"
\t},
\t"localEndpoints": %d,
\t"serviceProxyHealthy": true
}"""


def balanced(name, k, port=PORT, **spec):
    """A Service number K for a load balancer that asks PORT."""
    o = service(name, ["10.96.2.%d" % k, "fd00:96::2:%x" % k], [("http", 80, "TCP")],
                **dict({"type": "LoadBalancer", "externalTrafficPolicy": "Local",
                        "healthCheckNodePort": port}, **spec))
    o["spec"]["ports"][0]["nodePort"] = 30100 + k
    return o


def endpoints(name, *eps):
    """eps: (address, node, conditions)"""
    return slice_of(name, [{"addresses": [a], "nodeName": node, "conditions": conditions}
                           for a, node, conditions in eps], [("http", Node.PORT, "TCP")])


def node_object():
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"},
            "status": {"addresses": [{"type": "InternalIP", "address": a}
                                     for a in NODE.values()]}}


class HealthPorts(unittest.TestCase):
    flags = []
    anywhere = True  # the ports answer on all of the node's addresses

    @classmethod
    def setUpClass(cls):
        cls.n = Node(pods=1)
        cls.n.__enter__()
        cls.addClassCleanup(cls.n.__exit__)
        cls.pod = cls.n.pod_ip(0)

    def start(self, *objects, flags=()):
        self.addCleanup(self.n.stop)
        self.n.start("--manifest-path", self.n.write("objects.json", self.with_node(objects)),
                     "--iptables-min-sync-period=0s", *self.flags, *flags)

    def with_node(self, objects):
        return list(objects) + [node_object()]

    def put(self, *objects):
        self.n.write("objects.json", self.with_node(objects))

    def curl(self, address, port=PORT, *options):
        """(status, headers, body); status 0: nobody answers."""
        host = "[%s]" % address if ":" in address else address
        out = sh("ip", "netns", "exec", self.n.client, "curl", "-sgi", "--max-time", "30", *options,
                 "http://%s:%d/healthz" % (host, port), check=False)
        if not out:
            return 0, {}, ""
        head, _, body = out.partition("\n\n")
        status, *lines = head.splitlines()
        return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body

    def told(self, status, address=NODE[4], port=PORT):
        """Waits until the status is told; the answer's other parts."""
        box = []

        def asked():
            box[:] = self.curl(address, port)
            return box[0] == status

        self.n.wait("status %d of port %d" % (status, port), asked)
        return box[1], box[2]

    def test_answers(self):
        web, pod = balanced("web", 1), self.pod
        self.start(web, endpoints("web", (pod, "node-a", READY), ("10.244.9.1", "node-b", READY)))
        headers, body = self.told(200)
        self.assertEqual(body, BODY % ("web", 1))
        self.assertEqual(json.loads(body)["localEndpoints"], 1)
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(headers["X-Load-Balancing-Endpoint-Weight"], "1")
        self.assertEqual(self.curl(NODE[6])[::2], (200, body))
        for address in UPLINK.values():
            self.assertEqual(self.curl(address)[0], 200 if self.anywhere else 0, address)
        # Endpoints elsewhere, and such as end, are none of this node's.
        self.put(web, endpoints("web", (pod, "node-a", ENDING), ("10.244.9.1", "node-b", READY)))
        headers, body = self.told(503)
        self.assertEqual(body, BODY % ("web", 0))
        self.assertEqual(headers["X-Load-Balancing-Endpoint-Weight"], "0")
        self.put(web, endpoints("web", (pod, "node-a", READY), ("10.244.9.7", "node-a", READY)))
        headers, body = self.told(200)
        self.assertEqual(body, BODY % ("web", 2))
        self.assertEqual(headers["X-Load-Balancing-Endpoint-Weight"], "2")
        # The Node's end is for /healthz to tell; another port takes the place of this one.
        self.put(balanced("web", 1, PORT + 1), endpoints("web", (pod, "node-a", READY)))
        self.told(200, port=PORT + 1)
        self.told(0)
        # With policy Cluster any node will do.
        self.put(balanced("web", 1, PORT + 1, externalTrafficPolicy="Cluster"),
                 endpoints("web", (pod, "node-a", READY)))
        self.told(0, port=PORT + 1)

    def test_where_the_node_drops(self):
        """... what nobody lets in: health check node ports are let in while there are any."""
        n = self.n
        inside = lambda *command: sh("ip", "netns", "exec", n.node, *command)
        for tool, neighbours in (("iptables-legacy", "icmp"), ("ip6tables-legacy", "ipv6-icmp")):
            for rule in (("-i", "lo"), ("-p", neighbours)):
                inside(tool, "-A", "INPUT", *rule, "-j", "ACCEPT")
                self.addCleanup(inside, tool, "-D", "INPUT", *rule, "-j", "ACCEPT")
            inside(tool, "-P", "INPUT", "DROP")
            self.addCleanup(inside, tool, "-P", "INPUT", "ACCEPT")
        web = balanced("web", 1)
        for status, node in ((503, "node-b"), (200, "node-a")):
            objects = web, endpoints("web", (self.pod, node, READY))
            if n.proc is None:
                self.start(*objects)
            else:
                self.put(*objects)
            for family in (4, 6):
                self.told(status, NODE[family])
                self.assertEqual(self.curl(NODE[family], 10256, "--max-time", "0.3")[0], 0)
        inside("iptables-legacy", "-P", "INPUT", "ACCEPT")
        self.assertEqual(self.curl(NODE[4], 10256)[0], 200)  # so that it was the node that dropped

    def test_one_port_for_two(self):
        n, pod = self.n, self.pod
        first, second = balanced("first", 1), balanced("second", 2)
        theirs = endpoints("first", (pod, "node-a", READY)), endpoints("second",
                                                                       (pod, "node-a", READY))
        self.start(first, second, *theirs)
        self.assertEqual(self.told(200)[1], BODY % ("first", 1))
        self.assertRegex(n.logged(), "%d of service default/second: not served: service "
                                     "default/first has the same port" % PORT)
        self.put(second, *theirs)
        n.wait("the other's turn",
               lambda: self.curl(NODE[4])[2] == BODY % ("second", 1))

    def test_a_port_that_is_taken(self):
        """By another program: said, tried again, and nothing else stops."""
        n, pod = self.n, self.pod
        with inside(n.node, socket.socket, socket.AF_INET6, socket.SOCK_STREAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("::", PORT))
            other.listen()
            self.start(balanced("web", 1), balanced("good", 2, PORT + 1),
                       endpoints("web", (pod, "node-a", READY)),
                       endpoints("good", (pod, "node-a", READY)))
            self.assertEqual(self.told(200, port=PORT + 1)[1], BODY % ("good", 1))
            self.assertRegex(n.logged(), "health check node port %d of service default/web: cannot "
                             r"listen on \S+: Address already in use" % PORT)
        self.assertEqual(self.told(200)[1], BODY % ("web", 1))

    def test_an_unhealthy_proxy(self):
        """A change waits for longer than two sync periods: no load balancer should ask for more."""
        n, good = self.n, (balanced("web", 1), endpoints("web", (self.pod, "node-a", READY)))
        self.start(*good, flags=("--iptables-sync-period=500ms",))
        self.told(200)
        with open("/run/xtables.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.put(*good, balanced("new", 2, PORT + 1))
            headers, body = self.told(503)
            self.assertEqual(json.loads(body), {
                "service": {"namespace": "default", "name": "web"}, "localEndpoints": 1,
                "serviceProxyHealthy": False})
            self.assertEqual(headers["X-Load-Balancing-Endpoint-Weight"], "1")
            self.assertEqual(self.curl(NODE[4], PORT + 1)[0], 0)  # not programmed, not told
        self.told(200)
        self.told(503, port=PORT + 1)
        # A Node that goes is for /healthz alone: the endpoints on it still serve.
        n.write("objects.json", good)
        n.wait("the end of the Node", lambda: n.health("/healthz")[0] == 503)
        self.assertEqual(self.curl(NODE[4])[0], 200)

    def test_a_thousand(self):
        """All of them at once; and none is left when the Services have gone."""
        n, count = self.n, 1000
        some = (0, 1, 499, 998, 999)
        objects = [o for i in range(count) for o in (
            balanced("s%d" % i, 1, 31000 + i, clusterIP="10.97.%d.%d" % divmod(i, 250),
                     clusterIPs=["10.97.%d.%d" % divmod(i, 250)]),
            endpoints("s%d" % i, (self.pod, "node-a" if i % 2 else "node-b", READY)))]
        for o in objects:  # node ports of their own are not what this is about
            if o["kind"] == "Service":
                del o["spec"]["ports"][0]["nodePort"]
        self.start(*objects)
        for i in some:
            body = self.told(200 if i % 2 else 503, port=31000 + i)[1]
            self.assertEqual(body, BODY % ("s%d" % i, i % 2))
        with open("/proc/%d/smaps_rollup" % n.processes()["kube-proxy-listener"]) as f:
            pss = int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1))
        print("listener with %d health check node ports: PSS %d KiB" % (count, pss))
        if "asan" not in os.path.basename(BUILD):
            self.assertLess(pss, 16 * 1024)
        self.put()
        for i in some:
            self.told(0, port=31000 + i)
        left = sh("ip", "netns", "exec", n.node, "ss", "-Hltn")
        self.assertNotRegex(left, r":3[12]\d\d\d ")


class NodePortAddresses(HealthPorts):
    flags = ["--nodeport-addresses=198.51.100.0/24,2001:db8:1::/64"]
    anywhere = False
    test_one_port_for_two = test_a_port_that_is_taken = test_a_thousand = None
    test_an_unhealthy_proxy = test_where_the_node_drops = None

    def test_an_address_comes_and_goes(self):
        n, more = self.n, "198.51.100.77"
        self.start(balanced("web", 1), endpoints("web", (self.pod, "node-a", READY)))
        self.told(200)
        self.assertEqual(self.curl(UPLINK[4])[0], 0)
        sh("ip", "-n", n.node, "addr", "add", more + "/32", "dev", "client")
        self.told(200, more)
        sh("ip", "-n", n.node, "addr", "del", more + "/32", "dev", "client")
        self.told(0, more)
        self.assertEqual(self.curl(NODE[4])[0], 200)


class Nftables(HealthPorts):
    """Where node ports answer on the Node's own addresses unless it is told otherwise."""
    flags = ["--proxy-mode=nftables"]
    anywhere = False
    test_a_port_that_is_taken = test_an_unhealthy_proxy = test_where_the_node_drops = None


class Userspace(HealthPorts):
    flags = ["--proxy-mode=userspace"]
    test_a_port_that_is_taken = test_an_unhealthy_proxy = test_a_thousand = None
