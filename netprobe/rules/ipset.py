"""Whether a packet is in a set of ipset(8). Pure.

Kernel: net/netfilter/xt_set.c (set_match), net/netfilter/ipset/ip_set_core.c (ip_set_test), and the types
beside it.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from netprobe.model import IpSet, IpSetEntry, Protocol, Statement

from . import octets
from .expression import Scene
from .packet import HookPacket
from .ruling import Doubt, Reason, weighed

_WEIGHED = {"match-set", "return-nomatch", "update-counters", "update-subcounters"}
DEEPEST = 8  # lists of lists


def holds(statement: Statement, packet: HookPacket, scene: Scene) -> bool | Doubt:
    """Whether the packet is in the set that a rule of iptables names; a doubt where its entries were not
    read.
    """
    found = _in(statement.target, statement, packet, scene, DEEPEST)
    return found if found is not None else Doubt(Reason.UNKNOWN, statement.text)


def _in(name: str, statement: Statement, packet: HookPacket, scene: Scene, depth: int) -> bool | None:
    named = scene.ruleset.ipset(name) if depth else None
    if named is None or named.entries is None:
        return None
    found = _member(named, statement, packet, scene, depth)
    # how often an entry was met is asked of members alone (set_match_v3)
    return None if found and statement.options.keys() - _WEIGHED else found


def _member(named: IpSet, statement: Statement, packet: HookPacket, scene: Scene, depth: int) -> bool | None:
    assert named.entries is not None
    if named.type == "list:set":
        members = [_in(e.name, statement, packet, scene, depth - 1) for e in named.entries]
        return weighed(members, True)
    sides = statement.options.get("match-set", "").split(",")
    dimensions = named.type.partition(":")[2].split(",")
    if len(sides) < len(dimensions) or named.version not in (None, packet.flow.version):
        return False
    # the longest prefix decides
    for entry in sorted(named.entries, key=_length, reverse=True):
        fits = _fits(named, dimensions, sides, entry, packet)
        if fits is None:
            return None
        if fits:
            return not entry.nomatch
    return False


def _length(entry: IpSetEntry) -> int:
    return sum(int(text.partition("/")[2] or 128) for text in (entry.first, entry.second))


def _fits(
    named: IpSet, dimensions: list[str], sides: list[str], entry: IpSetEntry, packet: HookPacket
) -> bool | None:
    """Whether an entry holds the packet in each dimension; None where one is not known of the packet."""
    addresses = iter((entry.first, entry.second))
    answers = []
    for dimension, side in zip(dimensions, sides, strict=False):
        network = next(addresses) if dimension in ("ip", "net") else ""
        answers.append(_fits_in(dimension, side == "src", network, named, entry, packet))
    return weighed(answers, False)


def _fits_in(
    dimension: str, source: bool, network: str, named: IpSet, entry: IpSetEntry, packet: HookPacket
) -> bool | None:
    flow = packet.flow
    address, port, mac = flow.dst, flow.dport, flow.dst_mac
    if source:
        address, port, mac = flow.src, flow.sport, flow.src_mac
    link = getattr(packet, _INTERFACES[source, entry.physdev])
    match dimension:
        case "ip" | "net":
            return _contains(network, address, named.netmask)
        case "port":
            return _has_port(entry, packet, port)
        case "mac":
            return _has_mac(entry, packet, mac)
        case "iface":
            return link is not None and link.name == entry.interface
        case "mark":
            return _is(packet.mark, entry.mark)
    return None


# by which a packet comes and goes, and of a bridge its ports
_INTERFACES = {
    (True, False): "iif",
    (False, False): "oif",
    (True, True): "in_port",
    (False, True): "out_port",
}


def _is(seen: str | int | None, wanted: str | int | None) -> bool | None:
    return None if seen is None else seen == wanted


def _contains(network: str, address: str, netmask: int | None) -> bool:
    first, dash, last = network.partition("-")
    number, version = ip_address(address), ip_address(first.partition("/")[0]).version
    if number.version != version:
        return False
    if dash:
        return int(ip_address(first)) <= int(number) <= int(ip_address(last))
    masked = first if "/" in first or netmask is None else f"{first}/{netmask}"
    return number in ip_network(masked, strict=False)


def _has_mac(entry: IpSetEntry, packet: HookPacket, mac: str | None) -> bool | None:
    """An output packet has no link header yet; an entry without a MAC takes the first one that it meets
    (bitmap_ipmac_do_test).
    """
    if packet.iif is None or not entry.mac:
        return packet.iif is not None
    return _is(mac, entry.mac)


def _has_port(entry: IpSetEntry, packet: HookPacket, port: int | None) -> bool | None:
    """ICMP has its type and code in the place of a port, but for a set of ports alone (ip_set_get_ip4_port,
    ip_set_get_ip_port). A later fragment has none.
    """
    flow = packet.flow
    if flow.protocol is Protocol.OTHER:
        return None
    if entry.protocol not in (None, flow.protocol.number) or packet.fragment is not None:
        return False
    if not flow.protocol.has_ports:
        if entry.protocol is None:
            return False
        port = octets.bits(octets.transport(packet), 0, 16)
    if port is None:
        return None
    return entry.ports is not None and entry.ports[0] <= port <= entry.ports[1]
