"""What `netprobe demo --shell` says on entry: a walk through the tutorial's network.

A test types every command of it.
"""

from __future__ import annotations

_WIDTH = 49

LOOK = (
    ("ip netns", "the other namespaces"),
    ("ip -br addr; bridge link; ip route", "what the host has"),
    ("ip netns exec red ip route", "a command inside red"),
    ("ip netns exec red ping -c1 8.8.8.8", "red to the internet"),
    ("netprobe trace red 8.8.8.8", "the same, hop by hop"),
    ("netprobe arping c1 c2", "who has c2's address"),
    ("tcpdump -lni br0 icmp &", "watch; `kill %1` ends it"),
)

BREAK = (
    ("ip link set veth0 nomaster", "unplug red; then trace again"),
    ("ip link set veth0 master br0", "mended"),
    ("sysctl -w net.ipv4.ip_forward=0", "no router any more"),
    ("sysctl -w net.ipv4.ip_forward=1", "mended"),
)

REFUSED = "ip netns exec red ip route replace default via 10.0.0.1"
REFUSAL = "Error: Nexthop has invalid gateway."
ONLINK = "ip netns exec red ip route replace default via 10.0.0.1 dev eth0 onlink"
LINK_ROUTE_FIRST = ("ip netns exec red ip route add 10.0.0.1 dev eth0", REFUSED)


def _table(rows: tuple[tuple[str, str], ...]) -> str:
    return "".join(f"  {command:{_WIDTH}}{remark}\n" for command, remark in rows)


WALK = f"""\
You are in `host`, as its root. Network, mounts and processes are the lab's own
and end with `exit`; the files are the machine's.

Look and try:
{_table(LOOK)}
Break and mend:
{_table(BREAK)}
One command of the tutorial fails on today's kernels:
  {REFUSED}
  {REFUSAL}
red's address is a /32, a network of one: no route leads to 10.0.0.1 except
through a gateway, and a gateway has to be a neighbour. Say that it is on the
wire, which is what the lab did:
  {ONLINK}
or give it a route of its own first, and then the tutorial's command works:
  {LINK_ROUTE_FIRST[0]}
  {LINK_ROUTE_FIRST[1]}
"""
