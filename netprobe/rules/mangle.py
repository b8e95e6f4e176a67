"""What a rule does to a packet without deciding about it: marks, TTL, zone, addresses rewritten in place."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from msgspec.structs import replace

from netprobe.model import Statement
from netprobe.model.protocol import PORTED

from .expression import Scene, evaluate, type_of
from .packet import HookPacket, known_entry
from .ruling import Doubt
from .selectors import tracked

Change = Callable[[HookPacket, int | None], HookPacket]


def changed(statement: Statement, packet: HookPacket, scene: Scene) -> HookPacket | None:
    """The packet after a "set" or "notrack"; a value that we cannot tell becomes None (unknown), never a
    guess.

    None when there is no value (a map that does not hold the packet's key): the rule ends there, unless the
    statement is "optional". Also where it writes a header that the packet has not: nft puts a test of that
    before it, of which its listings tell nothing (nft_exthdr_tcp_set_eval breaks by itself).
    """
    if statement.kind == "notrack":
        return packet if tracked(packet) else replace(packet, state="untracked")
    if statement.left is None or statement.right is None:
        return packet
    change = CHANGES.get(statement.left.text)
    if not has_header(statement.left.text.partition(" ")[0], packet):
        return None
    if change is None:
        return packet
    value = evaluate(statement.right, packet, scene, type_of(statement.left))
    if value is None:
        return packet if "optional" in statement.options else None
    return change(packet, None if isinstance(value, Doubt | str) else value)


def has_header(name: str, packet: HookPacket) -> bool:
    """Whether a packet has the header of IP or of transport of this name; True for any other word."""
    if name in _VERSIONS:
        return packet.flow.version == _VERSIONS[name]
    return name not in PORTED or packet.flow.protocol.value == name


_VERSIONS = {"ip": 4, "ip6": 6}


def _mark(packet: HookPacket, value: int | None) -> HookPacket:
    return replace(packet, mark=value)


def _ct_mark(packet: HookPacket, value: int | None) -> HookPacket:
    if not tracked(packet):
        return packet
    return replace(packet, connection=replace(known_entry(packet), mark=value))


def _zone(direction: str) -> Change:
    """The zone of a connection that does not exist yet: of both directions, or of one."""

    def change(packet: HookPacket, value: int | None) -> HookPacket:
        if value is None or tracked(packet):
            return packet
        zones = {
            "both": (value, None),
            "original": (value, packet.zone_of_replies),
            "reply": (packet.zone, value),
        }
        zone, of_replies = zones[direction]
        return replace(packet, zone=zone, reply_zone=of_replies)

    return change


def _ttl(packet: HookPacket, value: int | None) -> HookPacket:
    return packet.with_flow(ttl=value)


def _tos(packet: HookPacket, value: int | None) -> HookPacket:
    return replace(packet, tos=value)


def _dscp(packet: HookPacket, value: int | None) -> HookPacket:
    return _tos(packet, _mixed(value, 2, packet.tos, 0x03))


def _ecn(packet: HookPacket, value: int | None) -> HookPacket:
    return _tos(packet, _mixed(value, 0, packet.tos, 0xFC))


def _mixed(value: int | None, by: int, old: int | None, kept: int) -> int | None:
    return None if value is None or old is None else value << by | old & kept


def _clamp(packet: HookPacket, value: int | None) -> HookPacket:  # noqa: ARG001 - by the route, mostly
    return replace(packet, clamped=True)


def _header(field: str, spelled: Callable[[int, HookPacket], object]) -> Change:
    """A field of the flow, as it is where the value is not known."""

    def change(packet: HookPacket, value: int | None) -> HookPacket:
        return packet if value is None else packet.with_flow(**{field: spelled(value, packet)})

    return change


def _address(field: str) -> Change:
    def spelled(value: int, packet: HookPacket) -> str:
        width = 16 if packet.flow.version == 6 else 4
        return str(ip_address(value.to_bytes(width, "big")))

    return _header(field, spelled)


def _port(field: str) -> Change:
    return _header(field, lambda value, _: value)


def _mac(field: str) -> Change:
    return _header(field, lambda value, _: value.to_bytes(6, "big").hex(":"))


def _answered(packet: HookPacket, value: int | None) -> HookPacket:
    return packet if value is None else replace(packet, answer=value.to_bytes(6, "big").hex(":"))


CHANGES: dict[str, Change] = {
    "meta mark": _mark, "ct mark": _ct_mark, "ct zone": _zone("both"),
    "ct original zone": _zone("original"), "ct reply zone": _zone("reply"),
    "ip ttl": _ttl, "ip6 hoplimit": _ttl, "ip dscp": _dscp, "ip6 dscp": _dscp, "ip tos": _tos,
    "ip6 tos": _tos, "ip ecn": _ecn, "ip6 ecn": _ecn,
    "ip saddr": _address("src"), "ip6 saddr": _address("src"), "ip daddr": _address("dst"),
    "ip6 daddr": _address("dst"),
    **{f"{each} {side}": _port(side) for each in (*PORTED, "th") for side in ("sport", "dport")},
    "tcp option maxseg size": _clamp,
    "ether saddr": _mac("src_mac"), "ether daddr": _mac("dst_mac"),
    "arp saddr ip": _address("src"), "arp daddr ip": _address("dst"), "arp saddr ether": _mac("src_mac"),
    "arp answer": _answered,
}  # fmt: skip
