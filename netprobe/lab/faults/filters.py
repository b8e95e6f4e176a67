"""Filters: rules, policies, queues, qdiscs and programs that drop."""

from __future__ import annotations

from netprobe.lab.changes import DropForwarded

from .fault import Expected, Fault
from .steps import iptables, nft, tool

_OUT = ("trace", "red", "8.8.8.8")

FILTERS = (
    Fault(
        "forward-drop",
        "a rule of the host drops what goes from br0 to eth0",
        _OUT,
        (DropForwarded("host", "br0", "eth0"),),
        Expected("filtered-by-rule", "host", None, "request", "nft inet lab forward handle 5"),
    ),
    Fault(
        "docker-drops-by-policy",
        "Docker was started: its FORWARD policy DROP also hits red, which is none of its containers",
        _OUT,
        (tool("host", "iptables -P FORWARD DROP", "iptables -S", "-P FORWARD DROP"),),
        Expected("policy-drop", "host", None, "request", "iptables filter FORWARD policy", stage="forward"),
    ),
    Fault(
        "container-rejects",
        "c2's firewall rejects ICMP",
        ("trace", "c1", "172.17.0.3"),
        (iptables("c2", "-A INPUT -p icmp -j REJECT --reject-with icmp-port-unreachable"),),
        Expected("rejected-by-rule", "c2", None, "request", "iptables filter INPUT 1", stage="input"),
    ),
    Fault(
        "nft-ingress-drop",
        "an nft netdev chain on the uplink drops what 8.8.8.8 sends",
        _OUT,
        (nft("host", "add table netdev guard; add chain netdev guard in { type filter hook ingress device eth0 priority 0; };"
                     " add rule netdev guard in ip saddr 8.8.8.8 drop", "ip saddr 8.8.8.8 drop"),),
        Expected("filtered-by-rule", "host", "eth0", "reply", "nft netdev guard in handle 2", stage="ingress"),
    ),
)  # fmt: skip
