"""Tunnels and macvlan: the packet is fine, and what carries it is not."""

from __future__ import annotations

from .fault import Expected, Fault
from .networks import HOME_LAN, OVERLAY, ROUTED_OVERLAY
from .steps import no_route, tool

_PODS = ("trace", "pod1", "10.42.0.2")
_ROUTED_PODS = ("trace", "pod1", "10.244.2.2")
_AGAIN = (
    "sh -c 'ip link del vx0; ip link add vx0 type vxlan id {vni} local 192.168.50.{here} remote 192.168.50.{there} dstport {port}"
    " dev u0 nolearning;"
    " ip link set vx0 master br0 up'"
)

TUNNELS: tuple[Fault, ...] = (
    Fault(
        "other-vni",
        "node2's VXLAN was made anew with the number 43 instead of 42",
        _PODS,
        (tool("node2", _AGAIN.format(vni=43, port=4789, here=2, there=1), "ip -d link show vx0", "vxlan id 43"),),
        Expected("vxlan-vni-mismatch", "node1", "vx0", "request", "vx0"),
        OVERLAY,
    ),
    Fault(
        "other-tunnel-port",
        "node2's VXLAN was made anew with Linux's old port 8472",
        _PODS,
        (tool("node2", _AGAIN.format(vni=42, port=8472, here=2, there=1), "ip -d link show vx0", "dstport 8472"),),
        Expected("vxlan-port-mismatch", "node1", "vx0", "request", "vx0"),
        OVERLAY,
    ),
    Fault(
        "tunnel-to-nowhere",
        "node1's VXLAN leads to 192.168.50.9, an address that node2 had before",
        _PODS,
        (tool("node1", _AGAIN.format(vni=42, port=4789, here=1, there=9), "ip -d link show vx0", "remote 192.168.50.9"),),
        Expected("vxlan-remote-wrong", "node1", "vx0", "request", "00:00:00:00:00:00 dev vx0 dst 192.168.50.9"),
        OVERLAY,
    ),
    Fault(
        "forwarding-entry-missing",
        "the daemon died before it wrote node2's forwarding entry on node1",
        _ROUTED_PODS,
        (
            tool(
                "node1",
                "bridge fdb del 02:00:00:00:42:02 dev flannel.1 dst 192.168.50.2",
                "bridge fdb show dev flannel.1",
                "42:02",
                absent=True,
            ),
        ),
        Expected("vxlan-fdb-missing", "node1", "flannel.1", "request", "02:00:00:00:42:02 dev flannel.1"),
        ROUTED_OVERLAY,
    ),
    Fault(
        "forwarding-entry-to-an-old-node",
        "node1's forwarding entry leads to the address that node2 had before",
        _ROUTED_PODS,
        (
            tool(
                "node1",
                "bridge fdb replace 02:00:00:00:42:02 dev flannel.1 dst 192.168.50.9",
                "bridge fdb show dev flannel.1",
                "02:00:00:00:42:02 dst 192.168.50.9",
            ),
        ),
        Expected("vxlan-remote-wrong", "node1", "flannel.1", "request", "02:00:00:00:42:02 dev flannel.1 dst 192.168.50.9"),
        ROUTED_OVERLAY,
    ),
    Fault(
        "tunnel-neighbour-missing",
        "node1 lost its neighbour entry for node2's end of the tunnel, and there nobody answers ARP",
        _ROUTED_PODS,
        (tool("node1", "ip neigh del 10.244.2.0 dev flannel.1", "ip neigh show dev flannel.1", "lladdr", absent=True),),
        Expected("neigh-no-answer", "node1", "flannel.1", "request", "10.244.2.0 dev flannel.1"),
        ROUTED_OVERLAY,
    ),
    Fault(
        "macvlan-private",
        "the macvlan of the nas was set to the mode private",
        ("trace", "nas", "192.168.1.52"),
        (tool("nas", "ip link set eth0 type macvlan mode private", "ip -d link show eth0", "mode private"),),
        Expected("macvlan-mode-isolated", "nas", "eth0", "request", "eth0"),
        HOME_LAN,
    ),
    Fault(
        "host-asks-by-the-parent",
        "the host lost its route by the shim: on eth0 itself it cannot talk to its own macvlans",
        ("trace", "host", "nas"),
        (no_route("host", "192.168.1.51"),),
        Expected("macvlan-parent-isolated", "host", "eth0", "request", "eth0"),
        HOME_LAN,
    ),
)
