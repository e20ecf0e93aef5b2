"""The rules that the Go kube-proxy writes for the services of a saved table: a chain per endpoint,
KUBE-SERVICES flat. What an operator's iptables-restore would load today.

Our own tables differ from it in large clusters only: service chains that translate themselves, and
KUBE-NET- chains between KUBE-SERVICES and the services.
"""
import base64
import hashlib
import re


def endpoint_chain(service, proto, endpoint):
    """Its name as upstream makes it."""
    digest = hashlib.sha256((service + proto + endpoint).encode()).digest()
    return "KUBE-SEP-" + base64.b32encode(digest).decode()[:16]


class Saved:
    """A table of iptables-save: its chains' lines and each chain's rules."""

    def __init__(self, lines):
        self.chains, self.rules = {}, {}
        for line in lines:
            if line.startswith(":"):
                self.chains[line[1:].split()[0]] = line
            elif line.startswith("-A "):
                self.rules.setdefault(line.split()[1], []).append(line)

    def lines(self, order=sorted):
        own = [c for c in self.chains if c not in self.rules or c.startswith("KUBE-")]
        return ([self.chains[c] for c in order(self.chains)] +
                [r for c in order(set(self.rules) | set(own)) for r in self.rules.get(c, [])])


def flatten(table):
    """Puts what the KUBE-NET- chains hold into KUBE-SERVICES."""
    def below(chain):
        for rule in table.rules.get(chain, []):
            target = rule.split()[-1]
            if target.startswith("KUBE-NET-"):
                yield from below(target)
            else:
                yield rule.replace("-A " + chain, "-A KUBE-SERVICES", 1)
    if "KUBE-SERVICES" in table.rules:
        table.rules["KUBE-SERVICES"] = list(below("KUBE-SERVICES"))
    for chains in (table.chains, table.rules):
        for name in [c for c in chains if c.startswith("KUBE-NET-")]:
            del chains[name]


def expand(table):
    """Gives each endpoint its chain. Without comments, which upstream leaves out as well."""
    names = {}  # service chain -> (service port's name)
    for rule in table.rules.get("KUBE-SERVICES", []):
        comment = re.search(r'--comment "(\S+) cluster IP"', rule)
        if comment:
            names[rule.split()[-1]] = comment.group(1)
    for chain in [c for c in table.rules if c.startswith(("KUBE-SVC-", "KUBE-SVL-"))]:
        changed = []
        for rule in table.rules[chain]:
            m = re.match(r"-A \S+ -p (\S+)(.*) -m \1 -j DNAT --to-destination (\S+)$", rule)
            if not m:
                changed.append(rule)
                continue
            proto, how, endpoint = m.groups()
            sep = endpoint_chain(names.get(chain, chain), proto, endpoint)
            changed.append("-A %s%s -j %s" % (chain, how, sep))
            table.chains[sep] = ":%s - [0:0]" % sep
            mask = 128 if "[" in endpoint else 32
            table.rules[sep] = [
                "-A %s -s %s/%d -j KUBE-MARK-MASQ" % (sep, endpoint.rpartition(":")[0].strip("[]"),
                                                     mask),
                "-A %s -p %s -m %s -j DNAT --to-destination %s" % (sep, proto, proto, endpoint)]
        table.rules[chain] = changed
    kept = [r for r in table.rules.get("KUBE-POSTROUTING", []) if "--bytecode" not in r]
    if kept:
        table.rules["KUBE-POSTROUTING"] = kept


def upstream(save, flat_only=False):
    """The text SAVE of iptables-save in upstream's layout. FLAT_ONLY: but for endpoints' chains."""
    out = []
    for table in re.findall(r"^\*(\S+)\n(.*?)^COMMIT$", save, re.M | re.S):
        t = Saved(table[1].splitlines())
        flatten(t)
        if not flat_only:
            expand(t)
        out += ["*" + table[0]] + t.lines() + ["COMMIT"]
    return "\n".join(out) + "\n"
