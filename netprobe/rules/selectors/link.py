"""Link layer headers and ARP (RFC 826)."""

# ruff: noqa: ARG001, ARG005 - the readers of one table take the same arguments
from __future__ import annotations

from netprobe.rules import datatypes as dt
from netprobe.rules.packet import HookPacket, Surroundings

from .ip import destination, source
from .value import UNKNOWN, Reader, Rows, Seen, constant, known, only


def _mac(side: str) -> Reader:
    def read(packet: HookPacket, around: Surroundings) -> Seen:
        mac = packet.flow.src_mac if side == "src" else packet.flow.dst_mac
        if mac is None:
            return None if packet.iif is None else UNKNOWN  # an output packet has no link header yet
        return dt.MAC.number(mac)

    return read


def _arp_operation(packet: HookPacket, around: Surroundings) -> Seen:
    return known(packet.flow.icmp_type)


def _arp_sender(packet: HookPacket, around: Surroundings) -> Seen:
    return UNKNOWN if packet.flow.src_mac is None else dt.MAC.number(packet.flow.src_mac)


def _arp_target(packet: HookPacket, around: Surroundings) -> Seen:
    """The target hardware address: zero in a request (RFC 826 leaves it open; the kernel sends zeros)."""
    if packet.flow.icmp_type == 1:
        return 0
    return UNKNOWN if packet.flow.dst_mac is None else dt.MAC.number(packet.flow.dst_mac)


def _answer(packet: HookPacket, around: Surroundings) -> Seen:
    return None if packet.answer is None else dt.MAC.number(packet.answer)


def _gratuitous(packet: HookPacket, around: Surroundings) -> Seen:
    """Whether the sender asks for its own address (ebt_arp.c, EBT_ARP_GRAT)."""
    return int(packet.flow.src == packet.flow.dst)


def _ethertype(packet: HookPacket, around: Surroundings) -> Seen:
    return dt.ETHERTYPES["vlan"] if packet.vlan is not None else dt.ETHERTYPES[packet.ethertype]


ROWS: Rows = {
    "ether saddr": (dt.MAC, _mac("src")),
    "ether daddr": (dt.MAC, _mac("dst")),
    "ether type": (dt.ETHERTYPE, _ethertype),
    "vlan id": (dt.NUMBER, lambda packet, around: packet.vlan),
    "arp operation": (dt.ARP_OPERATION, only("arp", _arp_operation)),
    "arp htype": (dt.NUMBER, only("arp", constant(1))),
    "arp ptype": (dt.ETHERTYPE, only("arp", constant(0x0800))),
    "arp hlen": (dt.NUMBER, only("arp", constant(6))),
    "arp plen": (dt.NUMBER, only("arp", constant(4))),
    "arp gratuitous": (dt.BOOLEAN, only("arp", _gratuitous)),
    "arp saddr ip": (dt.IPV4, only("arp", source)),
    "arp daddr ip": (dt.IPV4, only("arp", destination)),
    "arp saddr ether": (dt.MAC, only("arp", _arp_sender)),
    "arp daddr ether": (dt.MAC, only("arp", _arp_target)),
    "arp answer": (dt.MAC, only("arp", _answer)),
}  # fmt: skip
