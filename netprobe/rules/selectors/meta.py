"""What only the kernel sees of a packet: interfaces, mark, kind, the socket (net/netfilter/nft_meta.c,
xt_physdev.c, xt_owner.c).
"""

# ruff: noqa: ARG001, ARG005 - the readers of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from netprobe.model import Link
from netprobe.rules import datatypes as dt
from netprobe.rules.moment import weekday
from netprobe.rules.packet import HookPacket, Listening, Surroundings

from .value import UNKNOWN, Reader, Rows, Seen, known, nothing


def _link(side: str, field: str) -> Reader:
    """A property of the interface in or out.

    Without one its name is "" and its index 0 (nft_meta_store_ifname), the rest breaks.
    """

    def read(packet: HookPacket, around: Surroundings) -> Seen:
        link: Link | None = {
            "iif": packet.iif,
            "oif": packet.oif,
            "in": packet.in_port,
            "out": packet.out_port,
            "br": packet.bridge,
        }[side]
        if link is None:
            return "" if field == "name" else None
        if field == "type":
            return 772 if link.kind == "loopback" else 1
        if field == "kind":
            return link.kind or None
        return link.name

    return read


def _mark(packet: HookPacket, around: Surroundings) -> Seen:
    return known(packet.mark)


def nfproto(packet: HookPacket, around: Surroundings) -> Seen:
    """The family of the packet, as NFPROTO_*."""
    return {"ip": 2, "ip6": 10, "arp": 3}[packet.ethertype]


def _ethertype(packet: HookPacket, around: Surroundings) -> Seen:
    return dt.ETHERTYPES[packet.ethertype]


def _pkttype(packet: HookPacket, around: Surroundings) -> Seen:
    return dt.PKTTYPE.number(packet.pkttype)


def _of_the_bridge(packet: HookPacket, around: Surroundings) -> Seen:
    """The address of the bridge that a frame came to (nft_meta_bridge.c)."""
    mac = getattr(packet.bridge, "mac", None)
    return UNKNOWN if mac is None else dt.MAC.number(mac)


def _port_known(side: str) -> Reader:
    def read(packet: HookPacket, around: Surroundings) -> Seen:
        return int((packet.in_port if side == "in" else packet.out_port) is not None)

    return read


def _bridged(packet: HookPacket, around: Surroundings) -> Seen:
    return int(packet.in_port is not None and packet.out_port is not None)


def _uid(packet: HookPacket, around: Surroundings) -> Seen:
    return packet.uid


def _gid(packet: HookPacket, around: Surroundings) -> Seen:
    return packet.gid if packet.gid is not None or packet.uid is None else UNKNOWN


def _has_socket(packet: HookPacket, around: Surroundings) -> Seen:
    return int(packet.uid is not None)


def of_socket(found: tuple[Listening, ...] | None, read: Callable[[Listening], bool | None]) -> Seen:
    """What the socket of a packet says; UNKNOWN where several may be meant and differ; None of no socket."""
    if found == ():
        return None
    answers = {read(each) for each in found or ()}
    return known(*answers) if len(answers) == 1 else UNKNOWN


def _socket(field: str) -> Reader:
    """nft looks the socket up where the packet has none yet (net/netfilter/nft_socket.c)."""
    return lambda packet, around: of_socket(around.listening(packet), attrgetter(field))


def _ipsec(packet: HookPacket, around: Surroundings) -> Seen:
    return int(packet.ipsec)


def _time(packet: HookPacket, around: Surroundings) -> Seen:
    """As nft prints it, in the local time zone."""
    now = around.moment
    return UNKNOWN if now is None else now.seconds + now.ahead


def _hour(packet: HookPacket, around: Surroundings) -> Seen:
    """The kernel compares in UTC: with another time zone its day ends elsewhere than the one printed."""
    now = around.moment
    return UNKNOWN if now is None or now.ahead else now.seconds % 86400


def _day(packet: HookPacket, around: Surroundings) -> Seen:
    return UNKNOWN if around.moment is None else weekday(around.moment.seconds)


ROWS: Rows = {
    "meta time": (dt.NUMBER, _time),
    "meta hour": (dt.NUMBER, _hour),
    "meta day": (dt.WEEKDAY, _day),
    "meta iifname": (dt.INTERFACE, _link("iif", "name")),
    "meta oifname": (dt.INTERFACE, _link("oif", "name")),
    "meta iif": (dt.INTERFACE, _link("iif", "name")),
    "meta oif": (dt.INTERFACE, _link("oif", "name")),
    "meta iiftype": (dt.DEVICE_TYPE, _link("iif", "type")),
    "meta oiftype": (dt.DEVICE_TYPE, _link("oif", "type")),
    "meta iifkind": (dt.WORD, _link("iif", "kind")),
    "meta oifkind": (dt.WORD, _link("oif", "kind")),
    "meta ibrname": (dt.INTERFACE, _link("br", "name")), "meta ibrhwaddr": (dt.MAC, _of_the_bridge),
    "meta obrname": (dt.INTERFACE, _link("br", "name")),
    "meta sdif": (dt.INTERFACE, nothing),
    "meta sdifname": (dt.INTERFACE, nothing),
    "meta mark": (dt.NUMBER, _mark),
    "meta nfproto": (dt.NFPROTO, nfproto),
    "meta protocol": (dt.ETHERTYPE, _ethertype),
    "meta pkttype": (dt.PKTTYPE, _pkttype),
    "meta skuid": (dt.NUMBER, _uid),
    "meta skgid": (dt.NUMBER, _gid),
    "xt skuid": (dt.NUMBER, lambda packet, around: -1 if packet.uid is None else packet.uid),
    "xt skgid": (dt.NUMBER, lambda packet, around: -1 if packet.uid is None else _gid(packet, around)),
    "meta ipsec": (dt.BOOLEAN, _ipsec),
    "meta secpath": (dt.BOOLEAN, _ipsec),
    "rt ipsec": (dt.BOOLEAN, _ipsec),
    "socket transparent": (dt.BOOLEAN, _socket("transparent")),
    "socket wildcard": (dt.BOOLEAN, _socket("wildcard")),
    "socket exists": (dt.BOOLEAN, _has_socket),
    "xt physdev-in": (dt.INTERFACE, _link("in", "name")),
    "xt physdev-out": (dt.INTERFACE, _link("out", "name")),
    "xt physdev-is-in": (dt.BOOLEAN, _port_known("in")),
    "xt physdev-is-out": (dt.BOOLEAN, _port_known("out")),
    "xt physdev-is-bridged": (dt.BOOLEAN, _bridged),
}  # fmt: skip
