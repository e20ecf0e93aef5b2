"""What an operator would give to `nft -f`: a chain for each service and for each endpoint behind a
verdict map, as the Go kube-proxy's nftables mode has it."""


def endpoint_chain(service, addr):
    return ["\tchain endpoint-%s-%s {" % (service, addr),
            "\t\tip saddr %s jump mark-for-masquerade" % addr,
            "\t\tmeta l4proto tcp dnat to %s:80" % addr, "\t}"]


def service_chain(service, addrs):
    choices = ", ".join("%d : goto endpoint-%s-%s" % (i, service, a) for i, a in enumerate(addrs))
    return ["\tchain service-%s {" % service,
            "\t\tnumgen random mod %d vmap { %s }" % (len(addrs), choices), "\t}"]


def whole(services):
    """services: {name: (cluster IP, [endpoint's address])}"""
    out = ["table ip kube-proxy {", "\tmap service-ips {",
           "\t\ttype ipv4_addr . inet_proto . inet_service : verdict", "\t\telements = {"]
    out += ["\t\t\t%s . tcp . 80 : goto service-%s," % (vip, name)
            for name, (vip, _) in services.items()]
    out += ["\t\t}", "\t}", "\tchain mark-for-masquerade {", "\t\tmeta mark set meta mark or 0x4000",
            "\t}"]
    for name, (_, addrs) in services.items():
        for addr in addrs:
            out += endpoint_chain(name, addr)
        out += service_chain(name, addrs)
    out += ["\tchain services {",
            "\t\tip daddr . meta l4proto . th dport vmap @service-ips", "\t}",
            "\tchain nat-prerouting {",
            "\t\ttype nat hook prerouting priority dstnat; policy accept;", "\t\tjump services",
            "\t}", "}"]
    return "\n".join(out) + "\n"


def one(name, addrs):
    """One endpoint of a service that is there is another."""
    return "\n".join(["flush chain ip kube-proxy service-" + name, "table ip kube-proxy {"] +
                     endpoint_chain(name, addrs[0]) + service_chain(name, addrs) + ["}", ""])
