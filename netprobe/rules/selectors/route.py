"""What the routing tables say about a packet's addresses: nft's fib expression
(net/ipv4/netfilter/nft_fib_ipv4.c).
"""

from __future__ import annotations

from netprobe.model import Link
from netprobe.rules import datatypes as dt
from netprobe.rules.packet import FibQuery, HookPacket, Surroundings

from .value import UNKNOWN, Reader, Rows, Seen


def _bound_to(packet: HookPacket, name: str | None) -> Link | None:
    """The interface that a lookup is bound to, by "iif" or "oif"; None where it is to none."""
    return {None: None, "iif": packet.iif, "oif": packet.oif}[name]


def _fib_type(side: str, device: str | None) -> Reader:
    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if packet.ethertype == "arp":
            return None
        address = packet.flow.src if side == "saddr" else packet.flow.dst
        link = _bound_to(packet, device)
        kind = around.address_type(address, link.name if link else None) if around.address_type else None
        return UNKNOWN if kind is None else dt.FIB_TYPES.get(kind, UNKNOWN)

    return read


def _fib_device(side: str, device: str | None, with_mark: bool, found: str) -> Reader:
    """`fib saddr . iif oif`: the device of the route (back) - with iif only if it is that one.

    Kernel: nft_fib_ipv4.c.
    """

    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if packet.ethertype == "arp":
            return None
        link = _bound_to(packet, device)
        if packet.iif is not None and packet.iif.kind == "loopback":
            return 1 if found == "exists" else packet.iif.name
        near, far = (
            (packet.flow.src, packet.flow.dst) if side == "saddr" else (packet.flow.dst, packet.flow.src)
        )
        query = FibQuery(near, far, (packet.mark or 0) if with_mark else 0, link.name if link else None)
        answer = around.fib(query) if around.fib else None
        if answer is None or (with_mark and packet.mark is None):
            return UNKNOWN
        name = _leaving(answer.type, answer.devices, link)
        return int(bool(name)) if found == "exists" else name

    return read


def _leaving(kind: str, devices: tuple[str, ...], link: Link | None) -> str:
    if kind != "unicast" or not devices:
        return ""
    if link is None:
        return devices[0]
    return link.name if link.name in devices else ""


ROWS: Rows = {}

for _side in ("saddr", "daddr"):
    for _suffix, _device in (("", None), (" . iif", "iif"), (" . oif", "oif")):
        ROWS[f"fib {_side}{_suffix} type"] = (dt.FIB_TYPE, _fib_type(_side, _device))
        for _marked in ("", " . mark"):
            _key = f"fib {_side}{_marked}{_suffix}"
            ROWS[f"{_key} oif"] = (dt.INTERFACE, _fib_device(_side, _device, bool(_marked), "name"))
            ROWS[f"{_key} oifname"] = (dt.INTERFACE, _fib_device(_side, _device, bool(_marked), "name"))
            ROWS[f"{_key} check"] = (dt.BOOLEAN, _fib_device(_side, _device, bool(_marked), "exists"))
