"""Selectors that no table knows, by the header that they are of: a packet without it has nothing there, and
the rule ends; of one with it nothing is known.
"""

# ruff: noqa: ARG001, ARG005 - the readers of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable

from netprobe.model import ROUTED, Protocol
from netprobe.model.pattern import pattern
from netprobe.rules import datatypes as dt
from netprobe.rules.packet import HookPacket, Surroundings

from .conntrack import tracked
from .ip import carried
from .value import UNKNOWN, Reader, Seen

_CARRIED: dict[str, tuple[Protocol, ...]] = {
    **{str(each): (each,) for each in ROUTED.values()},
    "icmpv6": (Protocol.ICMPV6, Protocol.ND),
}
# transport and tunnel headers that no probe has, and its answer neither
_FOREIGN = frozenset(
    ("sctp", "dccp", "udplite", "esp", "ah", "comp", "igmp", "gre", "gretap", "vxlan", "geneve")
).difference(_CARRIED)
_OPTION = pattern(r"(exthdr|ip option|tcp option|sctp chunk|dccp option) \S+( .*)?")
# of which packets it can be asked whether there is one (net/netfilter/nft_exthdr.c): of the others of any
_ASKED = {"exthdr": "ip6", "ip option": "ip"}


def reader(selector: str) -> tuple[dt.Datatype, Reader]:
    """The type and reader of a selector that no table has: UNKNOWN where the packet may have it."""
    option = _OPTION.fullmatch(selector)
    if option is not None:
        return dt.NUMBER if option[2] else dt.BOOLEAN, _option(option[1], presence=not option[2])
    return dt.WORD, _where(_HEADERS.get(selector.partition(" ")[0], _always))


def _option(name: str, presence: bool) -> Reader:
    """Extension headers of IPv6, options of IPv4 and TCP, chunks of SCTP: fragments have one, TCP any."""

    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if _MAY_HAVE.get(name, _is_other)(packet):
            return UNKNOWN
        asked = _ASKED.get(name, packet.ethertype) == packet.ethertype
        return 0 if presence and asked else None

    return read


def _where(has: Callable[[HookPacket], bool]) -> Reader:
    return lambda packet, around: UNKNOWN if has(packet) else None


def _always(packet: HookPacket) -> bool:
    return True


def _is_other(packet: HookPacket) -> bool:
    return packet.flow.protocol is Protocol.OTHER


def _carries(protocols: tuple[Protocol, ...]) -> Callable[[HookPacket], bool]:
    return lambda packet: packet.flow.protocol in (*protocols, Protocol.OTHER) and carried(packet)


_HEADERS: dict[str, Callable[[HookPacket], bool]] = {
    "ip": lambda packet: packet.ethertype == "ip",
    "ip6": lambda packet: packet.ethertype == "ip6",
    "arp": lambda packet: packet.ethertype == "arp",
    "vlan": lambda packet: packet.vlan is not None,
    "ct": tracked,
    "ipsec": lambda packet: packet.ipsec,
    **{name: _carries(protocols) for name, protocols in _CARRIED.items()},
    **{name: _carries(()) for name in _FOREIGN},
}
_MAY_HAVE = {
    "exthdr": lambda packet: packet.fragment is not None or _is_other(packet),
    "tcp option": _HEADERS["tcp"],
}
