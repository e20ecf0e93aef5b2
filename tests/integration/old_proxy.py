"""The rules that other kube-proxies leave on a node, made from the same objects that ours gets.

    old = OldProxy(node, "iptables-nft")
    old.sync(objects)      programs them, as a start or a later sync of that kube-proxy does
    old.leftovers()        what of it is still in the kernel: a sorted list of names

Kinds: iptables-nft and iptables-legacy (chains of 1.28 to 1.36, by that iptables), iptables-1.20
(KUBE-XLB- chains and jumps to the kubelet's KUBE-MARK-DROP, by iptables-nft), nftables (1.31 to 1.36)
and ipvs (1.27 to 1.36, its iptables rules by iptables-legacy). Chains, sets, maps and elements have
the names, the order and the content of the Go kube-proxy; the tools that it runs load them.
"""
import re
import subprocess

from harness import sh
from old_iptables import HOOKS, iptables_text
from old_ipvs import IPVS_HOOKS, IPVS_PARAMETERS, IPVS_SETS, IpvsState, ipvs_iptables_text, ipvs_set
from old_nftables import nftables_text

KINDS = ("iptables-nft", "iptables-legacy", "iptables-1.20", "nftables", "ipvs")

# Chains of the kubelet, in the tables in which it has them. {tool}-restore --noflush takes them.
KUBELET = """*mangle
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
COMMIT
*nat
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-DROP - [0:0]
-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
COMMIT
"""


def save(node, *command):
    """What iptables-save and the like print, without the warnings that come in between."""
    return subprocess.run(["ip", "netns", "exec", node.node, *command], text=True, check=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=1200).stdout


class OldProxy:
    def __init__(self, node, kind, node_addresses):
        """node_addresses: {4: [...], 6: [...]}, where node ports answer in nftables and ipvs mode."""
        if kind not in KINDS:
            raise ValueError("OldProxy: unknown kind " + kind)
        self.n, self.kind, self.node_addresses = node, kind, node_addresses

    def inside(self, *command, **kw):
        return sh("ip", "netns", "exec", self.n.node, *command, **kw)

    def sync(self, objects):
        for family in (4, 6):
            if self.kind == "nftables":
                self.inside("nft", "-f", "-",
                            input=nftables_text(objects, family, self.node_addresses[family]))
            elif self.kind == "ipvs":
                self.sync_ipvs(objects, family)
            else:
                self.sync_iptables(iptables_text(objects, family, self.kind == "iptables-1.20"),
                                   family, HOOKS)

    def tool(self, family, suffix=""):
        legacy = self.kind in ("iptables-legacy", "ipvs")
        return "%s-%s%s" % ("ip6tables" if family == 6 else "iptables",
                            "legacy" if legacy else "nft", suffix)

    def sync_iptables(self, text, family, hooks):
        """Chains that are not in the text any more are deleted, as a sync deletes stale ones."""
        saved = save(self.n, self.tool(family, "-save"))
        for table in ("nat", "filter"):
            part = saved.partition("*%s\n" % table)[2].partition("COMMIT")[0]
            had = set(re.findall(r"^:(KUBE-(?:SVC|SVL|SEP|EXT|FW|XLB)-\S+)", part, re.M))
            if self.kind == "ipvs":
                had = set()  # it does not know them
            mine = text.partition("*%s\n" % table)[2].partition("COMMIT")[0]
            stale = had - set(re.findall(r"^:(\S+)", mine, re.M))
            text = text.replace("*%s\n" % table, "*%s\n%s" % (
                table, "".join(":%s - [0:0]\n" % c for c in sorted(stale))))
            end = text.index("COMMIT", text.index("*%s\n" % table))
            text = text[:end] + "".join("-X %s\n" % c for c in sorted(stale)) + text[end:]
        for table, chain, new, comment, target in hooks:
            rule = '%s %s-m comment --comment "%s" -j %s\n' % (
                chain, "-m conntrack --ctstate NEW " if new else "", comment, target)
            if "-A " + rule not in saved.partition("*%s\n" % table)[2].partition("COMMIT")[0]:
                end = text.index("COMMIT", text.index("*%s\n" % table))
                text = text[:end] + "-I " + rule + text[end:]
        self.inside(self.tool(family, "-restore"), "-w", "10", "--noflush", input=text)

    def sync_ipvs(self, objects, family):
        want = IpvsState(objects, family, self.node_addresses[family])
        self.inside("ip", "link", "add", "kube-ipvs0", "type", "dummy", check=False)
        lines = []
        for name, kind in IPVS_SETS.items():
            inet = "" if kind == "bitmap:port" else " family inet" + ("6" if family == 6 else "")
            size = " range 0-65535" if kind == "bitmap:port" else " hashsize 1024 maxelem 65536"
            lines.append("create %s %s%s%s" % (ipvs_set(name, family), kind, inet, size))
        wanted = {"add %s %s" % (name, e) for name, es in want.entries.items() for e in es}
        ours = tuple("add %s " % ipvs_set(name, family) for name in IPVS_SETS)
        gone = [l for l in self.inside("ipset", "save").splitlines()
                if l.startswith(ours) and l not in wanted]
        lines += sorted(wanted) + ["del" + l[3:] for l in gone]
        self.inside("ipset", "-exist", "restore", input="\n".join(lines) + "\n")
        have = set(self.inside("ipset", "save").splitlines())
        assert wanted <= have, (sorted(wanted - have), sorted(have))
        have = {}
        saved = self.inside("ipvsadm", "-Sn")
        self.inside("sysctl", "-q", "-w", *("net.ipv4.vs.%s=1" % s for s in IPVS_PARAMETERS))
        for line in saved.splitlines():
            verb, rest = line[:2], line[3:].split()
            if ("[" in rest[1]) == (family == 6):
                reals = have.setdefault(" ".join(rest[:2]), {})
                if verb == "-a":
                    reals[rest[3]] = rest[-1]
        lines = []
        for server, reals in want.servers.items():
            if server not in have:
                lines.append("-A %s -s rr" % server)
            there = have.get(server, {})
            lines += ["-%s %s -r %s -m -w 1" % ("e" if r in there else "a", server, r)
                      for r in sorted(reals) if there.get(r) != "1"]
            gone = "-e %s -r %s -m -w 0" if server.startswith("-t") else "-d %s -r %s"  # gracefully
            lines += [gone % (server, r) for r in sorted(there.keys() - reals)]
        held = self.inside("ip", "-o", "-%d" % family, "addr", "show", "dev", "kube-ipvs0")
        held = {a.split("/")[0] for a in re.findall(r" inet6? (\S+)", held)}
        ours = {joined_address(s) for s in want.servers} | held
        lines += ["-D " + s for s in have if s not in want.servers and joined_address(s) in ours]
        self.inside("ipvsadm", "-R", input="\n".join(lines) + "\n")
        for verb, addresses in (("add", want.addresses - held), ("del", held - want.addresses)):
            for a in sorted(addresses):
                self.inside("ip", "addr", verb, a + ("/128" if family == 6 else "/32"), "dev",
                            "kube-ipvs0", *(("nodad",) if family == 6 and verb == "add" else ()))
        self.sync_iptables(ipvs_iptables_text(family), family, IPVS_HOOKS)

    @staticmethod
    def removal(saved):
        """What iptables-restore --noflush needs to remove every kube-proxy's chains and jumps."""
        kubelet = set(re.findall(r"KUBE-[\w-]+", KUBELET))
        chains = set(re.findall(r"^:(KUBE-\S+)", saved, re.M)) - kubelet
        for table in re.findall(r"^\*(\S+)\n(.*?)^COMMIT", saved, re.M | re.S):
            mine = [c for c in re.findall(r"^:(KUBE-\S+)", table[1], re.M) if c in chains]
            jumps = [l for l in table[1].splitlines() if l.startswith("-A ") and
                     l.split()[1] not in chains and l.rpartition("-j ")[2].split()[0] in chains]
            yield "\n".join(["*" + table[0]] + [":%s - [0:0]" % c for c in mine] +
                            ["-D" + l[2:] for l in jumps] + ["-X " + c for c in mine] + ["COMMIT", ""])

    def leftovers(self):
        """Names of what is in the kernel where this kube-proxy has its rules."""
        if self.kind == "nftables":
            return sorted(t for t in self.inside("nft", "list", "tables").splitlines()
                          if t in ("table ip kube-proxy", "table ip6 kube-proxy"))
        found = set()
        for family in (4, 6):
            for line in save(self.n, self.tool(family, "-save")).splitlines():
                found.update(c for c in re.findall(r"KUBE-[\w-]+", line.split("--comment")[0])
                             if c not in re.findall(r"KUBE-[\w-]+", KUBELET))
                found.update(re.findall(r"-j (KUBE-[\w-]+)", line))
        found -= set(re.findall(r"KUBE-[\w-]+", KUBELET))
        if self.kind == "ipvs":
            found.update(re.findall(r"^Name: (KUBE-\S+)", self.inside("ipset", "list", "-t"), re.M))
            found.update(re.findall(r"kube-ipvs0", self.inside("ip", "-o", "link")))
        return sorted(found)


def joined_address(server):
    """The address of an ipvsadm virtual server, as "-t 10.0.0.1:80"."""
    return server.split(" ")[1].rpartition(":")[0].strip("[]")
