"""What the routing tables say about a packet's addresses: nft's fib expression
(net/ipv4/netfilter/nft_fib_ipv4.c).
"""

from __future__ import annotations

from netprobe.model.link import kind_of, name_of
from netprobe.rules import datatypes as dt
from netprobe.rules.packet import FibQuery, HookPacket, Surroundings

from .value import UNKNOWN, Reader, Rows, Seen


def _bound_to(packet: HookPacket, device: str | None) -> str | None:
    """The interface that a lookup is bound to, by "iif" or "oif"; None where it is to none."""
    link = {None: None, "iif": packet.iif, "oif": packet.oif}[device]
    return link.name if link is not None else None


def _fib_type(side: str, device: str | None) -> Reader:
    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if packet.ethertype == "arp":
            return None
        address = packet.flow.src if side == "saddr" else packet.flow.dst
        if around.address_type is None:
            return UNKNOWN
        kind = around.address_type(address, _bound_to(packet, device))
        return UNKNOWN if kind is None else dt.FIB_TYPES.get(kind, UNKNOWN)

    return read


def _fib_device(side: str, device: str | None, with_mark: bool, found: str) -> Reader:
    """`fib saddr . iif oif`: the device of the route (back) - with iif only if it is that one.

    Kernel: nft_fib_ipv4.c.
    """

    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if packet.ethertype == "arp":
            return None
        name = _leads_to(packet, around, side, _bound_to(packet, device), with_mark)
        return int(bool(name)) if found == "exists" and isinstance(name, str) else name

    return read


def _leads_to(packet: HookPacket, around: Surroundings, side: str, link: str | None, with_mark: bool) -> Seen:
    """The device of the route; of what came over lo, lo itself."""
    came = name_of(packet.iif, "")
    if kind_of(packet.iif) == "loopback":
        return came
    if around.fib is None or (with_mark and packet.mark is None):
        return UNKNOWN
    ends = (packet.flow.src, packet.flow.dst)
    near, far = ends if side == "saddr" else reversed(ends)
    mark = packet.mark if with_mark else None
    answer = around.fib(FibQuery(near, far, mark or 0, link or came))
    return UNKNOWN if answer is None else _leaving(answer.type, answer.devices, link)


def _leaving(kind: str, devices: tuple[str, ...], link: str | None) -> str:
    if kind != "unicast" or not devices:
        return ""
    name = devices[0] if link is None else link
    return name if name in devices else ""


ROWS: Rows = {}

for _side in ("saddr", "daddr"):
    for _suffix, _device in (("", None), (" . iif", "iif"), (" . oif", "oif")):
        ROWS[f"fib {_side}{_suffix} type"] = (dt.FIB_TYPE, _fib_type(_side, _device))
        for _marked in ("", " . mark"):
            _key = f"fib {_side}{_marked}{_suffix}"
            ROWS[f"{_key} oif"] = (dt.INTERFACE, _fib_device(_side, _device, bool(_marked), "name"))
            ROWS[f"{_key} oifname"] = (dt.INTERFACE, _fib_device(_side, _device, bool(_marked), "name"))
            ROWS[f"{_key} check"] = (dt.BOOLEAN, _fib_device(_side, _device, bool(_marked), "exists"))
