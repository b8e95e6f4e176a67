"""Neighbours: stations that do not answer, do not hear, or are remembered wrongly."""

from __future__ import annotations

from netprobe.lab.changes import SetSysctl

from .fault import Expected, Fault
from .steps import forgotten, iptables, neighbour, tool

_PEER = ("trace", "c1", "172.17.0.3")

NEIGHBOURS = (
    Fault(
        "c2-silent-to-arp",
        "c2 does not answer ARP for its own address: arp_ignore=8",
        ("arping", "c1", "c2"),
        (SetSysctl("c2", "net.ipv4.conf.eth0.arp_ignore", "8"),),
        Expected("arp-suppressed", "c2", "eth0", "request", "net.ipv4.conf.eth0.arp_ignore"),
    ),
    Fault(
        "old-mac-remembered",
        "c1 has a permanent neighbour entry with the MAC that c2 had before it was made anew",
        _PEER,
        (neighbour("c1", "eth0", "172.17.0.3", "02:42:ac:11:00:99"),),
        Expected("neigh-wrong-entry", "c1", "eth0", "request", "172.17.0.3 dev eth0 lladdr 02:42:ac:11:00:99"),
    ),
    Fault(
        "noarp",
        "ARP is switched off on c2's interface, as for a load balancer's loopback",
        _PEER,
        (tool("c2", "ip link set eth0 arp off", "ip link show eth0", "NOARP"), forgotten("c1", "eth0")),
        Expected("arp-disabled", "c2", "eth0", "request", "eth0"),
    ),
    Fault(
        "nd-filtered-in-the-container",
        "c2's firewall drops ICMPv6, neighbour solicitations included",
        ("trace", "c1", "fd00:172:17::3"),
        (iptables("c2", "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j DROP", "ip6tables"), forgotten("c1", "eth0", 6)),
        Expected("nd-filtered", "c2", None, "request", "ip6tables filter INPUT 1"),
    ),
)
