"""From the rules of every other kube-proxy to ours and back, under traffic: no request fails, no
connection breaks, no packet goes to an endpoint that is gone. The figures are printed at the end.

Up to 12 requests may fail while an endpoint goes: the answer to a UDP request in flight is lost when
its flow is deleted. What goes through userspace mode's relays ends with them."""
import unittest

from there_and_back import ThereAndBack, add_pairs

TAKES = 120


class Matrix(ThereAndBack):
    pass


add_pairs(Matrix, ("iptables-nft", "iptables-legacy", "iptables-1.20", "nftables"),
          ("iptables", "nftables", "userspace"))

if __name__ == "__main__":
    unittest.main()
