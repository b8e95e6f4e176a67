"""Crafts the probe's packets with scapy: the only file that imports it.

Every address is given: scapy would else take the one of the namespace in which it was imported. IP probes
come without their IP header, because the sender's own kernel builds it; ARP and ND probes are whole frames.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address
from types import ModuleType
from typing import Any

from msgspec import Struct

from netprobe.model import MSS, Protocol

from .mark import Mark
from .stand_ins import UNUSED_BY, without_unused

BROADCAST = "ff:ff:ff:ff:ff:ff"
NONCE_OPTION = 14  # RFC 3971 section 5.3.2: six bytes that a receiver passes over
SHORTEST_FRAME = 60  # bytes of an Ethernet frame without its checksum


class Recipe(Struct, frozen=True, gc=False):
    """A probe to craft: its mark, its addresses, and the sender's MAC for ARP and ND.

    An address has no %interface. `ecn`: a SYN that asks for it (RFC 3168, 6.1.1); `mss`: that it
    tells, None the usual one.
    """

    mark: Mark
    src: str
    dst: str
    src_mac: str | None = None
    dst_mac: str = BROADCAST
    ecn: bool = False
    mss: int | None = None


Craft = Callable[[Recipe], Iterable[bytes]]
"""What makes the packets of a recipe, in this process or in another."""


def craft(recipe: Recipe, first: int = 0) -> Iterator[bytes]:
    """The packets of a probe from the `first` on, each made when it is asked for: one by scapy, which takes
    a third of a millisecond, and the others after it.

    Raises ValueError at once for a protocol that cannot be sent.
    """
    make = _MAKERS.get(recipe.mark.protocol)
    if make is None:
        raise ValueError(f"a probe cannot be {recipe.mark.protocol}")
    load_scapy()
    return _made(recipe, first, make)


def _made(recipe: Recipe, first: int, make: Callable[[Recipe, int], bytes]) -> Iterator[bytes]:
    model = b""
    for sequence in range(first, recipe.mark.count):
        after = _after(model, recipe.mark, sequence) if model else None
        model = after if after is not None else make(recipe, sequence)
        yield model


def _after(model: bytes, mark: Mark, sequence: int) -> bytes | None:
    """Another packet of the same probe: with the numbers of `sequence`, and the checksum that follows from
    the other's (RFC 1624). None where that cannot be said.
    """
    if mark.protocol not in _NEXT:
        return None
    at, renumber = _NEXT[mark.protocol]
    wanted = renumber(model, mark, sequence)
    if len(wanted) != len(model):
        return None
    changed = _sum(wanted) - _sum(model)  # the old checksum is in both
    known = 0xFFFF - int.from_bytes(model[at : at + 2], "big")
    checksum = 0xFFFF - ((known + changed - 1) % 0xFFFF + 1)
    if mark.protocol is Protocol.UDP and not checksum:  # 0 says that there is none (RFC 768)
        checksum = 0xFFFF
    return wanted[:at] + checksum.to_bytes(2, "big") + wanted[at + 2 :]


def _next_echo(model: bytes, mark: Mark, sequence: int) -> bytes:
    return model[:6] + mark.icmp_sequence(sequence).to_bytes(2, "big") + mark.payload(sequence)


def _next_datagram(model: bytes, mark: Mark, sequence: int) -> bytes:
    return mark.source_port(sequence).to_bytes(2, "big") + model[2:8] + mark.payload(sequence)


def _next_syn(model: bytes, mark: Mark, sequence: int) -> bytes:
    ports = mark.source_port(sequence).to_bytes(2, "big") + model[2:4]
    return ports + mark.tcp_sequence(sequence).to_bytes(4, "big") + model[8:]


# where the checksum stands, and how a packet is made of the one before; scapy makes those of other protocols
_NEXT: dict[Protocol, tuple[int, Callable[[bytes, Mark, int], bytes]]] = {
    Protocol.ICMP: (2, _next_echo),
    Protocol.ICMPV6: (2, _next_echo),
    Protocol.UDP: (6, _next_datagram),
    Protocol.TCP: (16, _next_syn),
}


def _sum(data: bytes) -> int:
    """The sum of the words of 16 bits, modulo 65535: the bytes are one number of base 65536."""
    return int.from_bytes(data + b"\0" * (len(data) % 2), "big") % 0xFFFF


def _echo(recipe: Recipe, sequence: int) -> bytes:
    from scapy.layers.inet import ICMP

    mark = recipe.mark
    return bytes(ICMP(type=8, id=mark.icmp_id, seq=mark.icmp_sequence(sequence)) / mark.payload(sequence))


def _echo6(recipe: Recipe, sequence: int) -> bytes:
    load_six()
    from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6

    mark = recipe.mark
    echo = ICMPv6EchoRequest(id=mark.icmp_id, seq=mark.icmp_sequence(sequence), data=mark.payload(sequence))
    return _without_header(IPv6(src=recipe.src, dst=recipe.dst) / echo, 40)


def _udp(recipe: Recipe, sequence: int) -> bytes:
    from scapy.layers.inet import UDP

    mark = recipe.mark
    datagram = UDP(sport=mark.source_port(sequence), dport=mark.port or 0) / mark.payload(sequence)
    return _over_ip(recipe, datagram)


def _tcp(recipe: Recipe, sequence: int) -> bytes:
    from scapy.layers.inet import TCP

    mark = recipe.mark
    sport, dport, number = mark.source_port(sequence), mark.port or 0, mark.tcp_sequence(sequence)
    flags = "SEC" if recipe.ecn else "S"
    options = [
        ("MSS", recipe.mss or MSS[6 if ":" in recipe.dst else 4])
    ]  # as every stack's SYN: there are rules that drop others
    return _over_ip(
        recipe, TCP(sport=sport, dport=dport, seq=number, flags=flags, window=64240, options=options)
    )


def _over_ip(recipe: Recipe, segment: Any) -> bytes:
    if ":" in recipe.dst:
        load_six()
        from scapy.layers.inet6 import IPv6

        return _without_header(IPv6(src=recipe.src, dst=recipe.dst) / segment, 40)
    from scapy.layers.inet import IP

    return _without_header(IP(src=recipe.src, dst=recipe.dst) / segment, 20)


def _without_header(packet: Any, length: int) -> bytes:
    # the header was needed for the checksum of the segment only
    return bytes(packet)[length:]


def _arp(recipe: Recipe, sequence: int) -> bytes:
    from scapy.layers.l2 import ARP, Ether

    ether = Ether(src=recipe.src_mac, dst=recipe.dst_mac, type=0x0806)
    request = ARP(op=1, hwsrc=recipe.src_mac, psrc=recipe.src, hwdst="00:00:00:00:00:00", pdst=recipe.dst)
    return (bytes(ether / request) + recipe.mark.token(sequence)).ljust(SHORTEST_FRAME, b"\0")


def _solicitation(recipe: Recipe, sequence: int) -> bytes:
    load_six()
    from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, ICMPv6NDOptUnknown, IPv6
    from scapy.layers.l2 import Ether

    group, group_mac = solicited_node(recipe.dst)
    dst_mac = group_mac if recipe.dst_mac == BROADCAST else recipe.dst_mac
    nonce = ICMPv6NDOptUnknown(type=NONCE_OPTION, len=1, data=recipe.mark.token(sequence)[2:])
    ip = IPv6(src=recipe.src, dst=group, hlim=255)
    return bytes(
        Ether(src=recipe.src_mac, dst=dst_mac, type=0x86DD)
        / ip
        / ICMPv6ND_NS(tgt=recipe.dst)
        / ICMPv6NDOptSrcLLAddr(lladdr=recipe.src_mac)
        / nonce
    )


def solicited_node(address: str) -> tuple[str, str]:
    """The multicast group and its MAC that a solicitation for `address` goes to (RFC 4291 section 2.7.1, RFC
    2464 section 7).
    """
    low = IPv6Address(address).packed[-3:]
    return (
        f"ff02::1:ff{low[0]:02x}:{low[1]:02x}{low[2]:02x}",
        f"33:33:ff:{low[0]:02x}:{low[1]:02x}:{low[2]:02x}",
    )


_MAKERS: dict[Protocol, Callable[[Recipe, int], bytes]] = {
    Protocol.ICMP: _echo,
    Protocol.ICMPV6: _echo6,
    Protocol.UDP: _udp,
    Protocol.TCP: _tcp,
    Protocol.ARP: _arp,
    Protocol.ND: _solicitation,
}


def load_scapy(lean: bool = False) -> None:
    """Import the layers we craft with, without reading routes and interfaces, and without a cache folder in
    the user's home.

    `lean` leaves out scapy's vendor and service tables (a third of the time); only for a process that does
    nothing else.
    """
    if "scapy.layers.inet" in sys.modules:
        return
    with ExitStack() as without:
        without.enter_context(_no_home_folder())
        if lean:  # before anything of scapy comes in
            _leave_out_tables()
            without.enter_context(_no_table_of_wireshark())
        _load_layers()
        load_six()


def load_scapy_alone() -> None:
    """The same in a process that will never do anything else: of scapy only what crafts, which takes half the
    time of the lean one, and of its layers not those of IPv6, which come when they are needed.
    """
    if "scapy.layers.inet" in sys.modules:
        return
    try:
        with _no_home_folder(), _no_table_of_wireshark(), without_unused():
            _leave_out_tables()
            _load_layers(ipv6_enabled=False)
    except Exception:  # another scapy, which does use what it is denied
        for name in [name for name in sys.modules if name.partition(".")[0] == "scapy" or name in UNUSED_BY]:
            del sys.modules[name]
        load_scapy(lean=True)


def _load_layers(**settings: bool) -> None:
    with _no_interfaces():
        from scapy.config import conf

        conf.route_autoload = conf.route6_autoload = False
        for name, value in settings.items():
            setattr(conf, name, value)
        import scapy.layers.inet
        import scapy.layers.l2  # noqa: F401


def load_six() -> None:
    """Import the layers of IPv6, a sixth of all, where they are not there yet."""
    if "scapy.layers.inet6" in sys.modules:
        return
    from scapy.config import conf

    conf.ipv6_enabled = True
    import scapy.layers.inet6  # noqa: F401


@contextmanager
def _no_interfaces() -> Iterator[None]:
    """scapy lists the interfaces of our own namespace as it is imported, 2 ms each, and fails at a name that
    is no UTF-8.
    """
    from scapy.interfaces import NetworkInterfaceDict

    reload = NetworkInterfaceDict.reload
    NetworkInterfaceDict.reload = lambda _: None  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        NetworkInterfaceDict.reload = reload  # type: ignore[method-assign]


@contextmanager
def _no_home_folder() -> Iterator[None]:
    # scapy.main makes these folders at import; one that cannot be made is left alone
    names = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "/proc/netprobe-wants-no-folder"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _no_table_of_wireshark() -> Iterator[None]:
    """scapy reads the 50,000 vendors that Wireshark knows, where that is installed: 50 ms."""
    exists = os.path.exists
    os.path.exists = lambda path: not str(path).endswith("wireshark/manuf") and exists(path)
    try:
        yield
    finally:
        os.path.exists = exists


def _leave_out_tables() -> None:
    for name, content in (("scapy.libs.manuf", ""), ("scapy.libs.bluetoothids", {})):
        module = ModuleType(name)
        module.__dict__["DATA"] = content
        sys.modules[name] = module
