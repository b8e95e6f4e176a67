"""What the kernel tells by itself: messages decoded, and real ones heard in a lab."""

from __future__ import annotations

import struct

import pytest
from hearing import told_in

from netprobe.lab.lab import Lab
from netprobe.linux.notices import MOST_NOTICES, NamespaceSockets, attributes_of, messages_in, of_rules

NEWRULE, DELRULE, NEWTABLE, NEWELEMENT = (10 << 8 | number for number in (6, 8, 0, 12))


def attribute(number: int, value: bytes) -> bytes:
    size = 4 + len(value)
    return struct.pack("=HH", size, number) + value + b"\0" * (-size % 4)


RULE = bytes([2, 0, 0, 0]) + attribute(1, b"filter\0") + attribute(2, b"forward\0") + attribute(3, (7).to_bytes(8, "big"))


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (NEWRULE, RULE, ("rule", "nft ip filter forward handle 7", "new")),
        (DELRULE, RULE, ("rule", "nft ip filter forward handle 7", "gone")),
        (NEWTABLE, bytes([1, 0, 0, 0]) + attribute(1, b"t\0"), ("table", "nft inet t", "new")),
        (NEWELEMENT, bytes([10, 0, 0, 0]) + attribute(1, b"t\0") + attribute(2, b"bad\0"), ("set", "nft ip6 t bad", "")),
        (NEWRULE, RULE[:4], ("rule", "nft ip", "new")),
        (1 << 8, RULE, None),  # connection tracking
    ],
)
def test_rules(kind: int, body: bytes, told: tuple[str, str, str] | None) -> None:
    assert of_rules(kind, body) == told


@pytest.mark.parametrize("data", [b"", b"\1", b"\3\0\1\0", b"\xff\xff\1\0ab", bytes(15), struct.pack("=IHHII", 3, 16, 0, 0, 0)])
def test_what_is_cut_off_ends_it(data: bytes) -> None:
    assert list(messages_in(data)) == []
    attributes_of(data)


LINK = struct.pack("=BBHiII", 0, 0, 1, 7, 1, 0) + attribute(3, b"eth0\0")
NEIGHBOUR = {state: struct.pack("=BBHiHBB", 2, 0, 0, 7, state, 0, 0) + attribute(1, bytes([10, 0, 0, 1])) for state in (0x02, 0x40, 0x80)}


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (16, LINK, ("link", "eth0", "new")),
        (17, LINK, ("link", "eth0", "gone")),
        (16, LINK.replace(b"eth0", b"eth\xff"), ("link", "eth\udcff", "new")),
        (28, NEIGHBOUR[0x80], ("neighbour", "10.0.0.1 dev if7", "new")),
        (28, NEIGHBOUR[0x02], None),  # learned
        (28, NEIGHBOUR[0x40], None),  # of a group
        (88, b"", ("configuration", "", "")),
        (16, b"", None),
        (80, b"", None),
    ],
)
def test_network(kind: int, body: bytes, told: tuple[str, str, str] | None) -> None:
    sockets = NamespaceSockets("red")
    sockets.understand(struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body, False, 5)
    assert [(each.namespace, each.kind, each.name, each.what) for each in sockets.taken()] == ([("red", *told)] if told else [])


def test_who_changed_the_rules_is_said_after_it() -> None:
    def message(kind: int, body: bytes) -> bytes:
        return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)

    sockets = NamespaceSockets("host")
    for data in (message(NEWRULE, RULE), message(10 << 8 | 15, bytes(4) + attribute(3, b"nft\0")), message(DELRULE, RULE)):
        sockets.understand(data, True, 5)
    assert [(each.what, each.by) for each in sockets.taken()] == [("new", "nft"), ("gone", "")]


def test_a_storm_is_no_more_than_so_many() -> None:
    sockets = NamespaceSockets("red")
    data = struct.pack("=IHHII", 16 + len(LINK), 16, 0, 0, 0) + LINK
    for _ in range(MOST_NOTICES + 10):
        sockets.understand(data + bytes(-len(data) % 4), False, 5)
    assert len(sockets.taken()) == MOST_NOTICES


def test_several_messages() -> None:
    one = struct.pack("=IHHII", 17, 16, 0, 0, 0) + b"a\0\0\0"
    assert list(messages_in(one * 2)) == [(16, b"a"), (16, b"a")]


CHANGES = {  # what is done in `host`: what is told of it
    "ip link set {veth} down": ("link", "{veth}", "down"),
    "ip link add dum0 type bridge": ("link", "dum0", "new"),
    "ip link delete dum0": ("link", "dum0", "gone"),
    "ip link set {veth} up": ("link", "{veth}", "up"),
    "ip address add 192.0.2.1/24 dev {veth}": ("address", "192.0.2.1/24 dev {veth}", "new"),
    "ip address delete 192.0.2.1/24 dev {veth}": ("address", "192.0.2.1/24 dev {veth}", "gone"),
    "ip route add 198.51.100.0/24 dev {veth} metric 7": ("route", "198.51.100.0/24 metric 7", "new"),
    "ip route delete 198.51.100.0/24 dev {veth} metric 7": ("route", "198.51.100.0/24 metric 7", "gone"),
    "ip rule add pref 77 lookup 77": ("policy-rule", "IPv4 77", "new"),
    "ip neighbour add 192.0.2.9 lladdr 02:00:00:00:00:09 dev {veth}": ("neighbour", "192.0.2.9 dev {veth}", "new"),
    "sysctl -qw net.ipv4.conf.{veth}.rp_filter=1": ("sysctl", "net.ipv4.conf.{veth}.rp_filter", ""),
    "tc qdisc add dev {veth} root pfifo": ("link", "{veth}", ""),
    "nft add table inet watched": ("table", "nft inet watched", "new"),
}


@pytest.mark.lab
def test_the_kernel_tells_each_of_these(fresh_lab: Lab) -> None:
    for command, expected in CHANGES.items():
        veth = "eth0"
        told = fresh_lab.call(told_in, "host", command.format(veth=veth).split())
        wanted = tuple(part.format(veth=veth) for part in expected)
        assert wanted in [(each.kind, each.name, each.what) for each in told], (command, told)
    assert {each.by for each in told} == {"nft"}


@pytest.mark.lab
def test_what_is_not_followed_is_let_go(fresh_lab: Lab) -> None:
    """A socket would keep a deleted namespace alive."""
    fresh_lab.run(["ip", "netns", "add", "gone"], check=True)
    assert fresh_lab.call(told_in, "gone", ["ip", "netns", "delete", "gone"]) == []
