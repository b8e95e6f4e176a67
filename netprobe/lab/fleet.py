"""The network of a lab of several hosts, as a value: an underlay that joins them, and a VXLAN over it.

The namespaces are called as a fleet calls them: `h1:host` is the one the host stands in, `h1:red` and
`h1:blue` are its containers, `wire` is the switch between the hosts. The lab's own `host` is a port of that
switch, too, and has no part in the overlay.

                 host 192.168.77.1
                   |
    ------------- wire: br0 ---------------------------------
       |                                |
      eth0 192.168.77.11               eth0 192.168.77.12
    h1:host                          h2:host
      vxlan100 -- br0                  vxlan100 -- br0
                  |   |                            |   |
             h1:red   h1:blue                 h2:red   h2:blue
          10.88.1.1   10.88.1.2            10.88.2.1   10.88.2.2
"""

from __future__ import annotations

from .namespaces import HOST
from .topology import Interface, LabBridge, LabFdbEntry, LabVxlan, Link, Sysctl, Topology, Veth

WIRE = "wire"
VNI = 100
TUNNEL = "vxlan100"
CONTAINERS = ("red", "blue")
MOST = 200  # the last octet of an address counts the hosts
_CONTROLLER = "192.168.77.1"
_FIRST = 10  # h1 is .11
_ALL = "00:00:00:00:00:00"  # the FDB entry for what no other entry is for, bridge(8)
_NO_IPV6 = "net.ipv6.conf.default.disable_ipv6"
_OVERLAY_MTU = 1450  # 50 bytes of Ethernet, IPv4, UDP and VXLAN headers (RFC 7348) fit in the underlay's 1500


def names(count: int) -> tuple[str, ...]:
    """The short names of so many hosts: h1, h2, ..."""
    return tuple(f"h{number}" for number in range(1, count + 1))


def underlay(number: int) -> str:
    """The address of host `number` (from 1) in the network between the hosts."""
    return f"192.168.77.{_FIRST + number}"


def overlay(number: int, container: int) -> str:
    """The address of container `container` (from 1) of host `number`."""
    return f"10.88.{number}.{container}"


def topology(count: int, containers: tuple[str, ...] = CONTAINERS) -> Topology:
    """So many hosts with these containers each. ValueError for more than the addresses are for."""
    if not 1 <= count <= MOST:
        raise ValueError(f"1 to {MOST} hosts, not {count}")
    links: list[Link] = [LabBridge(Interface(WIRE, "br0")), _cable(HOST, "ctl", _CONTROLLER)]
    for number, name in enumerate(names(count), 1):
        links += _host(number, name, containers)
    each = [f"{name}:{inner}" for name in names(count) for inner in (HOST, *containers)]
    fdb = (
        LabFdbEntry(f"{name}:{HOST}", TUNNEL, _ALL, underlay(other))
        for number, name in enumerate(names(count), 1)
        for other in range(1, count + 1)
        if other != number
    )
    return Topology(
        namespaces=(WIRE, *each), links=tuple(links), fdb=tuple(fdb),
        sysctls=tuple(Sysctl(name, _NO_IPV6, "1") for name in (HOST, WIRE, *each)),
    )  # fmt: skip


def _cable(namespace: str, port: str, address: str) -> Veth:
    return Veth(Interface(namespace, "eth0", (f"{address}/24",)), Interface(WIRE, port, master="br0"))


def _host(number: int, name: str, containers: tuple[str, ...]) -> list[Link]:
    """The links of one host."""
    home = f"{name}:{HOST}"
    inside = [
        Veth(
            Interface(f"{name}:{inner}", "eth0", (f"{overlay(number, place)}/16",), mtu=_OVERLAY_MTU),
            Interface(home, f"v-{inner}", master="br0", mtu=_OVERLAY_MTU),
        )
        for place, inner in enumerate(containers, 1)
    ]
    tunnel = Interface(home, TUNNEL, master="br0", mtu=_OVERLAY_MTU)
    return [
        LabBridge(Interface(home, "br0", mtu=_OVERLAY_MTU)),
        _cable(home, name, underlay(number)),
        LabVxlan(tunnel, VNI, underlay(number)),
        *inside,
    ]
