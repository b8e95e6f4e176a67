"""Messages of the kernel about neighbours, forwarding entries, groups and sets, as literal bytes, to values."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from decoding import attribute, ip, record, u8, u16, u32

from netprobe.linux.netfilter import ipset
from netprobe.linux.netlink import Netlink, Request
from netprobe.linux.tables import bridges, neighbours
from netprobe.model import (
    Bridge,
    FdbEntry,
    InterfaceAddress,
    IpSetEntry,
    Link,
    MulticastEntry,
    Neighbour,
    PortVlan,
)


def neighbour_of(payload: bytes) -> Neighbour:
    return neighbours.neighbour_of(payload)


def fdb_entry_of(payload: bytes) -> FdbEntry:
    return neighbours.fdb_entry_of(record("neighbour", payload))


def test_neighbours() -> None:
    body = struct.pack("=BxxxiHBB", 2, 3, 0x20, 0, 0) + attribute(1, ip("10.0.0.9"))
    assert neighbour_of(body) == Neighbour(3, "10.0.0.9", None, "failed")
    body = struct.pack("=BxxxiHBB", 10, 3, 0x80, 0x88, 0) + attribute(1, ip("fd00::9")) + attribute(2, bytes.fromhex("020000000001"))
    assert neighbour_of(body) == Neighbour(3, "fd00::9", "02:00:00:00:00:01", "permanent", proxy=True, router=True)


def test_a_bridge_without_one_entry_of_its_own() -> None:
    """With each port the kernel makes one; a bridge without ports need not have any."""
    links = tuple(Link(n, f"br{n}", "bridge", bridge=Bridge()) for n in (1, 2, 3))
    links = (*links, Link(4, "p1", "veth", master=1), Link(5, "p2", "veth", master=2))
    learned = FdbEntry(4, "02:00:00:00:00:09", 1)
    own = FdbEntry(5, "02:00:00:00:00:05", 2, state="permanent", local=True)
    found = bridges.with_emptied(links, (learned, own))
    assert [each.bridge.emptied for each in found if each.bridge is not None] == [True, False, False]


def test_forwarding_entries() -> None:
    mac = attribute(2, bytes.fromhex("020000000001"))
    learned = struct.pack("=BxxxiHBB", 7, 3, 0x02, 0x04, 0) + mac + attribute(9, u32(2)) + attribute(5, u16(10))
    assert fdb_entry_of(learned) == FdbEntry(3, "02:00:00:00:00:01", 2, 10)
    own = struct.pack("=BxxxiHBB", 7, 3, 0x80, 0x04, 0) + mac + attribute(9, u32(2))
    assert fdb_entry_of(own) == FdbEntry(3, "02:00:00:00:00:01", 2, state="permanent", local=True)
    sticky = struct.pack("=BxxxiHBB", 7, 3, 0x40, 0x44, 0) + mac + attribute(9, u32(2))
    assert fdb_entry_of(sticky) == FdbEntry(3, "02:00:00:00:00:01", 2, state="static", sticky=True)
    remote = (
        struct.pack("=BxxxiHBB", 7, 4, 0x80, 0x02, 0)
        + mac
        + attribute(1, ip("192.0.2.2"))
        + attribute(7, u32(9))
        + attribute(6, b"\x12\xb6")
    )
    assert fdb_entry_of(remote) == FdbEntry(4, "02:00:00:00:00:01", state="permanent", remote="192.0.2.2", vni=9, port=4790)


def test_who_listens_behind_which_port() -> None:
    def member(port: int, vlan: int, address: bytes, kind: int) -> bytes:
        info = struct.pack("=IBBH", port, 0, 0, vlan) + address.ljust(16, b"\0") + struct.pack(">H", kind) + b"\0\0"
        return attribute(1, attribute(1, info + attribute(1, u32(7))))  # with a timer behind it

    members = member(3, 0, ip("ff02::1:ff00:3"), 0x86DD) + member(2, 10, ip("224.1.2.3"), 0x0800) + member(4, 0, bytes(range(6)), 0)
    body = struct.pack("=BxxxI", 7, 2) + attribute(1, members) + attribute(2, attribute(1, u32(5) + attribute(1, u32(7))))
    assert tuple(bridges.groups_of(body)) == (
        MulticastEntry(2, 3, "ff02::1:ff00:3"), MulticastEntry(2, 2, "224.1.2.3", 10), MulticastEntry(2, 4, "00:01:02:03:04:05"),
        MulticastEntry(2, 5),
    )  # fmt: skip
    assert tuple(bridges.groups_of(struct.pack("=BxxxI", 7, 2))) == ()
    assert tuple(bridges.groups_of(b"\7")) == ()


@pytest.mark.parametrize("bridge", [Bridge(), Bridge(multicast_snooping=False, multicast_querier=True)])
def test_who_listens_is_not_asked_of_bridges_that_flood_all_the_same(bridge: Bridge) -> None:
    nobody: Any = None  # to whom a question is an error
    assert bridges.read_groups(nobody, [Link(2, "br0", "bridge", bridge=bridge)]) == ()


@pytest.mark.parametrize("bridge", [Bridge(queried=True), Bridge(multicast_querier=True)])
def test_who_listens_is_asked_of_one_that_chooses(bridge: Bridge) -> None:
    class Answering:
        def bodies(self, _: Request) -> list[bytes]:
            return [struct.pack("=BxxxI", 7, 2) + attribute(2, attribute(1, u32(5)))]

    answering: Any = Answering()
    assert bridges.read_groups(answering, [Link(2, "br0", "bridge", bridge=bridge)]) == (MulticastEntry(2, 5),)


def test_an_entry_of_several_ports_and_one_that_is_cut() -> None:
    def info(port: int, kind: int = 1, beside: bytes = b"") -> bytes:
        return attribute(kind, u32(port) + struct.pack("=BBH16s", 0, 0, 0, ip("224.1.2.3")) + struct.pack(">HH", 0x0800, 0) + beside)

    def ports(*entries: bytes) -> list[int]:
        body = struct.pack("=BxxxI", 7, 2) + attribute(1, b"".join(entries))
        return [each.port for each in bridges.groups_of(body)]

    timed = info(6, beside=attribute(1, u32(99)))
    assert ports(attribute(1, info(3)), attribute(1, info(4) + info(5)), attribute(1, timed), attribute(1, info(7))) == [3, 4, 5, 6, 7]
    assert ports(attribute(1, info(3, 2) + info(4)), attribute(1, info(5, 1 | 1 << 15)), attribute(1, info(6)[:30])) == [4, 5]
    assert ports(attribute(1, info(3)), attribute(1, info(4))[:-8]) == [3]
    assert ports(attribute(1, info(3)), bytes(40), attribute(1, info(4))) == [3]


def test_how_full_the_table_of_neighbours_is() -> None:
    config, stats = struct.pack("=HHI5I", 4, 400, 1013, *range(5)), struct.pack("=11Q", *range(10), 7)
    body = struct.pack("=Bxxx", 2) + attribute(4, u32(1024)) + attribute(5, config) + attribute(7, stats)
    assert neighbours.fill_of(body) == {"entries": 1013, "gc_thresh3": 1024, "table_fulls": 7}
    assert neighbours.fill_of(struct.pack("=Bxxx", 2) + attribute(4, u32(1024))) == {}


def test_interfaces_that_ask_for_neighbours_otherwise_than_usual() -> None:
    def of(index: int, app: int, everybody: int) -> bytes:
        settings = attribute(1, u32(index)) + attribute(9, u32(app)) + attribute(10, u32(3)) + attribute(11, u32(everybody))
        return struct.pack("=Bxxx", 10) + attribute(1, b"ndisc_cache\0") + attribute(6, settings)

    names = {2: "eth0", 3: "eth0/7"}
    assert neighbours.asking_of(of(2, 0, 3), names) == {}
    known_as = {"net.ipv6.neigh.eth0/7.mcast_solicit": "0", "net.ipv6.neigh.eth0/7.app_solicit": "1"}
    assert neighbours.asking_of(of(3, 1, 0), names) == known_as
    assert neighbours.asking_of(of(4, 0, 0), names) == {}  # the settings of those that are made from now on
    assert neighbours.asking_of(struct.pack("=Bxxx", 2), names) == {}


def test_the_tables_of_neighbours_and_who_asks_otherwise_are_asked_for_in_one_dump() -> None:
    """The kernel goes through the interfaces of all namespaces for each: of a row of routers it was the square."""
    config, stats = struct.pack("=HHI5I", 4, 400, 9, *range(5)), struct.pack("=11Q", *range(10), 7)

    def table(family: int) -> bytes:
        return struct.pack("=Bxxx", family) + attribute(4, u32(1024)) + attribute(5, config) + attribute(7, stats)

    def device(family: int) -> bytes:
        settings = attribute(1, u32(2)) + attribute(9, u32(0)) + attribute(11, u32(0))
        return struct.pack("=Bxxx", family) + attribute(6, settings)

    class Kernel(Netlink):
        def __init__(self) -> None:
            self.asked: list[Request] = []

        def bodies(self, request: Request) -> list[bytes]:
            self.asked.append(request)
            return [table(2), device(2), table(10), device(10)]

    kernel = Kernel()
    found, fill = neighbours.read_asking(kernel, [Link(2, "eth0")])
    assert len(kernel.asked) == 1
    stems = [f"net.ipv{version}.neigh.eth0" for version in (4, 6)]
    assert found == {f"{stem}.{what}_solicit": "0" for stem in stems for what in ("mcast", "app")}
    full = {"entries": 9, "gc_thresh3": 1024, "table_fulls": 7}
    assert fill == {f"{name}.{what}": n for name in ("arp_cache", "ndisc_cache") for what, n in full.items()}


def test_vlans_of_a_port() -> None:
    infos = b"".join(attribute(2, struct.pack("=HH", flags, vlan)) for flags, vlan in ((2 | 4, 1), (4, 10), (0, 11)))
    body = struct.pack("=BxHiII", 7, 1, 3, 0, 0) + attribute(26, infos)
    found = bridges.vlans_of(record("link", body))
    assert found == (PortVlan(1, pvid=True, untagged=True), PortVlan(10, untagged=True), PortVlan(11))


def test_a_set_of_ipset_in_two_messages() -> None:
    """The header is in the first alone, the entries in both (ip_set_dump_do)."""
    four = lambda text: attribute(1, attribute(1, ip(text)))  # noqa: E731 - IPSET_ATTR_IP { IPADDR_IPV4 }
    named = struct.pack("=BBH", 2, 7, 0) + attribute(1, u8(7)) + attribute(2, b"web\0")
    header = attribute(3, b"hash:net,port\0") + attribute(5, u8(2)) + attribute(7, attribute(24, struct.pack(">I", 2)))
    port = attribute(4, struct.pack(">H", 80)) + attribute(5, struct.pack(">H", 90)) + attribute(7, u8(6))
    first = attribute(8, attribute(7, four("10.0.0.0") + attribute(3, u8(8)) + port))
    nomatch = attribute(8, struct.pack(">I", 4))
    second = attribute(8, attribute(7, four("10.1.0.0") + attribute(3, u8(16)) + port + nomatch))
    found = ipset.set_of([record("ipset", named + header + first), record("ipset", named + second)])
    assert (found.name, found.type, found.version, found.netmask) == ("web", "hash:net,port", 4, None)
    assert found.entries == (
        IpSetEntry("10.0.0.0/8", ports=(80, 90), protocol=6),
        IpSetEntry("10.1.0.0/16", ports=(80, 90), protocol=6, nomatch=True),
    )


@pytest.mark.parametrize(
    ("flags", "mac", "more", "counts"),
    [
        (2, "33:33:00:00:00:01", b"", False),  # a group that a device listens to
        (2, "02:00:00:00:00:01", b"", True),
        (0, "33:33:00:00:00:01", b"", True),
        (2, "33:33:00:00:00:01", attribute(1, ip("10.0.0.1")), True),  # of a VXLAN device
    ],
)
def test_what_a_device_listens_to_is_no_forwarding_entry(flags: int, mac: str, more: bytes, counts: bool) -> None:
    body = struct.pack("=BxxxiHBB", 7, 3, 0x80, flags, 0) + attribute(2, bytes.fromhex(mac.replace(":", ""))) + more
    assert neighbours._leads_somewhere(body) is counts


def test_of_very_many_interfaces_those_with_an_address_are_the_ones_that_ask() -> None:
    many = tuple(Link(n, f"v.{n}") for n in range(1, 200))
    own = [InterfaceAddress(n, f"10.0.0.{n}", 24) for n in (7, 9, 7, 999)]
    assert neighbours.askers(many, own) == tuple(f"net.ipv{v}.neigh.v/{n}" for n in (7, 9) for v in (4, 6))
    crowd = [InterfaceAddress(n, f"10.0.0.{n}", 24) for n in range(1, 200)]
    assert len(neighbours.askers(many, crowd)) == 2 * neighbours.MOST_ASKERS
