"""Messages of the kernel, as literal bytes, to values: no privilege needed."""

from __future__ import annotations

import struct

import pytest
from decoding import attribute, ip, record, u8, u16, u32
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netprobe.linux.alike import AlikeMessages
from netprobe.linux.netlink import Record, address, attributes, text
from netprobe.linux.record import Chosen
from netprobe.linux.tables import counters, fib, links, policy, sysctl
from netprobe.model import (
    BridgePort,
    InterfaceAddress,
    Link,
    LinkRef,
    Nexthop,
    PolicyRule,
    Route,
    RouteAnswer,
    RouteQuery,
    Settings,
)


def test_texts_and_addresses() -> None:
    assert (text("eth0"), text(b"e\xe9\x1b[31m")) == ("eth0", "e\udce9\x1b[31m")
    assert (address(ip("10.0.0.1")), address(ip("fd00::1"))) == ("10.0.0.1", "fd00::1")


def link_of(payload: bytes) -> Link:
    return links.link_of(record("link", payload))


def address_of(payload: bytes) -> InterfaceAddress:
    return links.address_of(payload)


def route_of(payload: bytes) -> Route:
    return fib.route_of(record("route", payload))


def rule_of(payload: bytes) -> PolicyRule:
    return policy.rule_of(payload)


def link(flags: int = 0x11043, arphrd: int = 1, *parts: bytes) -> bytes:
    return struct.pack("=BxHiII", 0, arphrd, 7, flags, 0) + b"".join(parts)


RULES = st.builds(
    lambda head, length, parts: struct.pack("=BBBBB2xBI", *head, *length, 0, 254, 1, 0) + b"".join(parts),
    st.sampled_from([(2, 0), (2, 32), (10, 0)]), st.sampled_from([(0,), (24,), (32,)]),
    st.lists(st.sampled_from([
        attribute(6, u32(7)), attribute(6, u32(9)), attribute(2, ip("10.0.0.1")), attribute(2, ip("10.0.0.2")),
        attribute(1, ip("10.1.0.0")),
        attribute(15, u32(99)), attribute(15, u32(1000)), attribute(14, b"\xff" * 4), attribute(14, u32(0)), attribute(3, b"eth0\0"),
        attribute(10, u32(5)), attribute(16, u32(15)), attribute(4, u32(40)), attribute(17, b"lo\0"), attribute(19, u8(1)),
        attribute(20, u32(1) + u32(2)), attribute(22, u8(6)), attribute(23, u16(1) + u16(9)), attribute(24, u16(2) + u16(3)),
    ]), max_size=6),
)  # fmt: skip


@given(st.lists(RULES, min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_a_policy_rule_that_is_like_another_is_read_as_it_would_be_alone(bodies: list[bytes]) -> None:
    assert [policy._read(each) for each in bodies] == [rule_of(each) for each in bodies]


ROUTES = st.builds(
    lambda head, rest, parts: struct.pack("=8BI", *head, 0, 0, 254, *rest) + b"".join(parts),
    st.sampled_from([(2, 0), (2, 24), (2, 32), (10, 24), (10, 0), (28, 0)]).map(lambda each: (*each,)),
    st.sampled_from([(3, 0, 1, 0), (2, 253, 1, 0), (2, 254, 2, 0), (3, 0, 6, 0), (3, 0, 1, 0x200), (3, 0, 1, 4)]),
    st.lists(st.sampled_from([
        attribute(1, ip("10.1.0.0")), attribute(1, ip("10.2.0.0")), attribute(7, ip("10.0.0.1")), attribute(7, ip("10.0.0.2")),
        attribute(4, u32(2)), attribute(4, u32(3)), attribute(5, ip("10.0.0.9")), attribute(5, ip("10.0.0.8")), attribute(6, u32(1)),
        attribute(15, u32(254)), attribute(15, u32(300)), attribute(8, attribute(2, u32(1400))), attribute(8, attribute(2, u32(1300))),
        attribute(12, u32(7)), attribute(12, u32(8)), attribute(21, u16(1)), attribute(30, u32(4)), attribute(2, ip("10.3.0.0")),
    ]), max_size=7),
)  # fmt: skip


@given(st.lists(ROUTES, min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_a_route_that_is_like_another_is_read_as_it_would_be_alone(bodies: list[bytes]) -> None:
    alike = fib.AlikeRoutes()
    read = [alike.read(each, lambda each=each: record("route", each)) for each in bodies]  # type: ignore[misc]
    alone = [(record("route", each), route_of(each)) for each in bodies]
    assert read == [route if raw["family"] in (2, 10) and not raw["flags"] & 0x200 else None for raw, route in alone]


WELL_FORMED = st.lists(st.builds(attribute, st.integers(0, 6) | st.just(0x8002), st.binary(max_size=9)), max_size=6).map(b"".join)


@given(st.lists(WELL_FORMED | st.binary(max_size=40), max_size=30), st.sampled_from([0, 4]))
@settings(max_examples=300, deadline=None)
def test_attributes_taken_out_at_once_are_those_of_any_message(bodies: list[bytes], at: int) -> None:
    chosen = Chosen(at, 2, 5, 1, 9)
    for body in [*bodies, *bodies]:
        found = attributes(bytes(at) + body, at)
        assert chosen.of(bytes(at) + body) == tuple(found.get(each) for each in (2, 5, 1, 9))


@given(st.lists(WELL_FORMED | st.binary(max_size=40), max_size=30), st.sampled_from([0, 4]))
@settings(max_examples=300, deadline=None)
def test_what_messages_have_of_their_own_is_told_from_what_is_alike(bodies: list[bytes], at: int) -> None:
    def rest(body: bytes) -> tuple[object, ...]:
        found = attributes(body, at)
        return body[:at], {kind: value for kind, value in found.items() if kind not in (2, 5, 1, 9)}

    alike = AlikeMessages(rest, at, 2, 5, 1, 9)
    for body in (bytes(at) + each for each in [*bodies, *bodies]):
        own = attributes(body, at)
        assert alike.of(body) == (rest(body), tuple(own.get(each) for each in (2, 5, 1, 9)))


def test_what_is_alike_is_decoded_once() -> None:
    decoded: list[bytes] = []
    alike = AlikeMessages(lambda body: decoded.append(body) or len(decoded), 4, 2, 7)
    bodies = [b"head" + attribute(1, b"same") + attribute(2, u32(n)) + attribute(3, b"\0") for n in range(9)]
    assert [alike.of(body) for body in bodies] == [(1, (u32(n), None)) for n in range(9)]
    assert alike.of(bodies[0].replace(b"head", b"tail")) == (2, (u32(0), None))
    assert len(decoded) == 2


def test_a_record() -> None:
    twice = attribute(0x8000 | 4, u32(1500)) + attribute(4, u32(1400))  # flags are no part of a type; the last one counts
    found = record("link", link(0x11043, 1, attribute(3, b"e\xe9\0\0"), twice, attribute(999, b"?")))
    assert (found["index"], found.text("IFLA_IFNAME"), found.get("IFLA_MTU")) == (7, "e\udce9", 1400)
    assert "IFLA_MASTER" not in found
    assert (found.get("IFLA_MASTER", 3), found.text("IFLA_MASTER")) == (3, "")
    absent = found.nest("IFLA_LINKINFO")
    assert not absent
    assert (absent.nest("IFLA_INFO_DATA").get("IFLA_BR_STP_STATE"), absent.array("IFLA_INFO_DATA")) == (None, [])


def info(kind: str, data: bytes = b"", slave: str = "", slave_data: bytes = b"") -> bytes:
    parts = attribute(1, kind.encode() + b"\0") + attribute(2, data)
    parts += attribute(4, slave.encode() + b"\0") + attribute(5, slave_data) if slave else b""
    return attribute(18, parts)


KINDS, DATA = st.sampled_from(["veth", "bridge", "vlan", "macvlan"]), st.sampled_from([b"", attribute(1, u32(1)), attribute(5, u32(1))])
PORT = [attribute(number, u8(value)) for number in (1, 4, 5, 8, 9, 10, 27, 30, 32, 33, 39) for value in (0, 1)]
INSIDE = st.one_of(
    st.builds(info, KINDS, DATA),
    st.builds(
        lambda parts: info("veth", b"", "bridge", b"".join(parts)),
        st.lists(st.sampled_from([*PORT, attribute(2, u16(9)), attribute(2, u16(8)), attribute(29, u32(77))]), max_size=4),
    ),
    st.builds(lambda lower: info("vxlan", attribute(1, u32(42)) + attribute(3, u32(lower))), st.integers(1, 2)),
)
OUTSIDE = st.sampled_from([
    attribute(1, b"\2\0\0\0\0\1"), attribute(1, ip("192.0.2.1")), attribute(3, b"eth0\0"), attribute(3, b"e\xe9\0"),
    attribute(4, u32(1500)), attribute(4, u32(1400)), attribute(5, u32(0)), attribute(5, u32(3)), attribute(10, u32(0)),
    attribute(10, u32(2)), attribute(13, u32(9)), attribute(37, struct.pack("=i", 0)), attribute(37, struct.pack("=i", 3)),
    attribute(39, u8(0)), attribute(39, u8(1)), attribute(43, attribute(2, u8(2)) + attribute(4, u32(9))),
    attribute(43, attribute(2, u8(0))),
])  # fmt: skip
MESSAGES = st.builds(
    lambda flags, kind, parts, inside: link(flags, kind, *parts, inside),
    st.sampled_from([0x11043, 0x1002, 0x49, 0x110C3]), st.sampled_from([1, 772]), st.lists(OUTSIDE, max_size=8), st.just(b"") | INSIDE,
)  # fmt: skip


@given(st.lists(MESSAGES, min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_an_interface_that_is_like_another_is_read_as_it_would_be_alone(messages: list[bytes]) -> None:
    alike = links.Alike()
    read = [alike.read(each, lambda each=each: record("link", each))[0] for each in messages]  # type: ignore[misc]
    assert read == [link_of(each) for each in messages]


def test_the_interfaces_and_routes_of_the_next_namespace_are_like_those_of_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    for module, name in ((links, "link_of"), (fib, "_route_of")):
        decode = getattr(module, name)
        monkeypatch.setattr(module, name, lambda found, decode=decode: asked.append(found) or decode(found))
    monkeypatch.setattr(links, "_of_all", links.Alike())
    monkeypatch.setattr(fib, "_of_all", fib.AlikeRoutes())
    monkeypatch.setattr(fib, "_known", {})
    for n in (1, 2, 3):
        [(read, _)] = links._read([link(0x11043, 1, attribute(1, bytes([2, 0, 0, 0, 0, n])), attribute(3, b"v%d\0" % n), info("veth"))])
        [led] = fib._decoded([route(2, 24, 254, 1, 0, attribute(1, ip(f"10.0.{n}.0")), attribute(4, u32(2)))])
        assert (read.name, led.dst.partition("/")[0]) == (f"v{n}", f"10.0.{n}.0")
    assert len(asked) == 2
    program = attribute(43, attribute(2, u8(2)) + attribute(4, u32(9)))  # what it answers is not in the message
    for _ in range(2):
        links._read([link(0x11043, 1, attribute(3, b"x\0"), info("veth"), program)])
    assert len(asked) == 4


def test_most_interfaces_are_decoded_once() -> None:
    decoded: list[bytes] = []
    alike = links.Alike()
    bodies = [
        link(0x11043, 1, attribute(1, bytes([2, 0, 0, 0, 0, n])), attribute(3, b"v%d\0" % n), attribute(5, u32(n)), info("veth"))
        for n in range(9)
    ]

    def decode(body: bytes) -> Record:
        decoded.append(body)
        return record("link", body)

    found = [alike.read(each, lambda each=each: decode(each))[0] for each in bodies]  # type: ignore[misc]
    assert [each.name for each in found] == [f"v{n}" for n in range(9)]
    assert decoded == bodies[:1]


def test_a_veth_and_its_far_end() -> None:
    common = (attribute(3, b"veth\xe9\0"), attribute(1, bytes.fromhex("02000000000a")), attribute(4, u32(1450)), info("veth"))
    near = link_of(link(0x11043, 1, *common, attribute(5, u32(2)), attribute(37, struct.pack("=i", 3))))
    assert (near.index, near.name, near.kind, near.mac, near.mtu) == (7, "veth\udce9", "veth", "02:00:00:00:00:0a", 1450)
    assert (near.up, near.carrier, near.arp) == (True, True, True)
    assert near.link == LinkRef(2, 3)
    assert link_of(link(0x11043, 1, *common, attribute(5, u32(2)))).link == LinkRef(2, None)
    assert link_of(link(0x11043, 1, *common, attribute(5, u32(0)))).link is None


def test_a_tunnel_that_was_moved() -> None:
    moved = link_of(link(0x11043, 1, info("vxlan", attribute(1, u32(42))), attribute(5, u32(7)), attribute(37, struct.pack("=i", 0))))
    assert moved.link == LinkRef(0, 0)


def test_flags_of_a_link() -> None:
    down = link_of(link(0x1182, 1))
    assert (down.up, down.carrier, down.arp) == (False, False, False)
    assert link_of(link(0x49, 772)).kind == "loopback"
    assert link_of(link(0x49, 1)).kind == ""


def test_a_bridge_port() -> None:
    data = b"".join(
        attribute(kind, u8(value)) for kind, value in ((1, 4), (4, 1), (5, 1), (8, 0), (9, 0), (27, 0), (30, 0), (33, 1), (39, 1))
    )
    port = link_of(link(0x11043, 1, attribute(10, u32(2)), info("veth", b"", "bridge", data)))
    assert port.master == 2
    assert port.port == BridgePort(
        "blocking", learning=False, unicast_flood=False, multicast_flood=False, broadcast_flood=False,
        isolated=True, hairpin=True, guard=True, locked=True,
    )  # fmt: skip
    assert link_of(link(0x11043, 1, attribute(10, u32(2)), info("veth", b"", "bond"))).port is None


def test_stacked_devices() -> None:
    data = attribute(1, u32(42)) + attribute(4, ip("192.0.2.1")) + attribute(2, ip("192.0.2.2")) + attribute(15, struct.pack("!H", 8472))
    vxlan = link_of(link(0x11043, 1, info("vxlan", data + attribute(3, u32(5)) + attribute(7, u8(0))))).vxlan
    assert vxlan is not None
    assert (vxlan.vni, vxlan.local, vxlan.remote, vxlan.port, vxlan.lower, vxlan.learning) == (42, "192.0.2.1", "192.0.2.2", 8472, 5, False)
    assert link_of(link(0x11043, 1, info("macvlan", attribute(1, u32(2))))).macvlan_mode == "vepa"
    heard = attribute(1, u32(16)) + attribute(5, attribute(4, bytes([2, 0, 0, 0, 0, 1])) + attribute(4, bytes([2, 0, 0, 0, 0, 2])))
    assert link_of(link(0x11043, 1, info("macvlan", heard))).macvlan_sources == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    assert link_of(link(0x11043, 1, info("vxlan", data + attribute(19, u8(1)) + attribute(20, u8(0))))).vxlan.flags == ("udp6zerocsumtx",)
    assert link_of(link(0x11043, 1, attribute(39, u8(1)))).protodown
    assert link_of(link(0x11043, 1, attribute(48, u32(2)))).downs == 2
    assert link_of(link(0x11043, 1, info("vlan", attribute(1, u16(100))))).vlan_id == 100
    assert link_of(link(0x11043, 1, attribute(43, attribute(2, u8(2)) + attribute(4, u32(9))))).xdp == "xdpgeneric id 9"
    assert link_of(link(0x11043, 778, attribute(1, ip("192.0.2.1")))).mac == "192.0.2.1"


def test_addresses() -> None:
    body = struct.pack("=BBBBI", 2, 16, 0x80, 0, 3)
    own = attribute(1, ip("10.0.0.2")) + attribute(2, ip("10.0.0.2")) + attribute(4, ip("10.0.255.255"))
    found = address_of(body + own + attribute(8, u32(0x281)))
    assert (found.index, found.address, found.prefixlen, found.broadcast, found.peer) == (3, "10.0.0.2", 16, "10.0.255.255", None)
    assert found.flags == ("secondary", "noprefixroute")
    remote = address_of(struct.pack("=BBBBI", 2, 32, 0x80, 253, 3) + attribute(1, ip("10.9.9.9")) + attribute(2, ip("10.0.0.2")))
    assert (remote.address, remote.peer, remote.scope) == ("10.0.0.2", "10.9.9.9", "link")
    failed = address_of(struct.pack("=BBBBI", 10, 64, 0xC8, 0, 3) + attribute(1, ip("fd00::2")))
    assert (failed.address, failed.flags) == ("fd00::2", ("dadfailed", "tentative"))


def route(family: int, length: int, table: int, kind: int, flags: int, *parts: bytes) -> bytes:
    return struct.pack("=BBBBBBBBI", family, length, 0, 0, table, 4, 0, kind, flags) + b"".join(parts)


def test_a_default_route() -> None:
    found = route_of(route(2, 0, 254, 1, 4, attribute(15, u32(1000)), attribute(4, u32(2)), attribute(5, ip("10.0.0.1"))))
    assert (found.dst, found.type, found.table, found.protocol) == ("0.0.0.0/0", "unicast", 1000, "static")
    assert found.nexthops == (Nexthop(2, "10.0.0.1", ("onlink",)),)
    assert route_of(route(10, 0, 254, 1, 0)).dst == "::/0"


def test_the_same_bytes_are_decoded_once_and_others_anew(monkeypatch):
    decoded = []
    one = fib._route_of
    monkeypatch.setattr(fib, "_known", {})
    monkeypatch.setattr(fib, "_MOST_KNOWN", 3)
    monkeypatch.setattr(fib, "_route_of", lambda record: decoded.append(record) or one(record))
    to = [route(2, 16, 254, 1, 0, attribute(1, ip("10.1.0.0")), attribute(4, u32(device))) for device in (1, 2, 3, 4)]
    assert route_of(to[0]) is route_of(to[0])
    assert [route_of(each).nexthops[0].index for each in to] == [1, 2, 3, 4]
    assert len(decoded) == 4
    assert len(fib._known) == 1  # no more than so many are kept


def test_routes_that_lead_nowhere() -> None:
    for kind, word in ((6, "blackhole"), (7, "unreachable"), (8, "prohibit"), (9, "throw"), (99, "99")):
        found = route_of(route(2, 8, 254, kind, 0, attribute(1, ip("10.0.0.0"))))
        assert (found.type, found.dst, found.nexthops) == (word, "10.0.0.0/8", ())


def test_a_multipath_route_with_its_metrics() -> None:
    one = attribute(5, ip("10.0.0.1"))
    two = attribute(18, u16(10) + ip("fe80::1"))
    legs = struct.pack("=HBBi", 8 + len(one), 0, 0, 2) + one + struct.pack("=HBBi", 8 + len(two), 17, 4, 3) + two
    metrics = attribute(2, u32(1400)) + attribute(1, u32(1 << 2))
    found = route_of(route(2, 24, 254, 1, 0, attribute(1, ip("10.1.0.0")), attribute(9, legs), attribute(8, metrics)))
    assert found.nexthops == (Nexthop(2, "10.0.0.1"), Nexthop(3, "fe80::1", ("dead", "linkdown")))
    assert (found.mtu, found.mtu_lock) == (1400, True)


def nexthop(flags: int, *parts: bytes) -> Record:
    return record("nexthop", struct.pack("=BBBBI", 2, 0, 0, 0, flags) + b"".join(parts))


def test_nexthop_objects() -> None:
    objects = {
        1: nexthop(4, attribute(5, u32(3)), attribute(6, ip("10.0.0.1"))),
        2: nexthop(0, attribute(5, u32(4))),
        3: nexthop(0, attribute(4, b"")),
        9: nexthop(0, attribute(2, struct.pack("=IBBHIBBH", 1, 0, 0, 0, 2, 4, 0, 0))),
    }

    def by(nhid: int) -> Route:
        return route_of(route(2, 16, 254, 1, 0, attribute(1, ip("10.1.0.0")), attribute(30, u32(nhid))))

    assert fib._resolved(by(9), objects).nexthops == (Nexthop(3, "10.0.0.1", ("onlink",)), Nexthop(4))
    assert fib._resolved(by(1), objects).nexthops == (Nexthop(3, "10.0.0.1", ("onlink",)),)
    assert fib._resolved(by(3), objects) == replace(by(3), type="blackhole", by_object=True)
    assert fib._resolved(by(8), objects) == by(8) == Route("10.1.0.0/16", nhid=8, protocol="static")


def test_a_policy_rule_with_everything() -> None:
    header = struct.pack("=BBBBBBBBI", 2, 8, 24, 16, 0, 0, 0, 1, 2)
    parts = {
        1: ip("10.0.0.0"), 2: ip("192.0.2.0"), 3: b"eth0\0", 17: b"e\xe9\0", 6: u32(100), 10: u32(1), 16: u32(0xFF), 15: u32(5000),
        14: u32(0), 20: u32(0) + u32(99), 22: u8(6), 23: u16(1) + u16(2), 24: u16(80) + u16(81), 19: u8(1),
    }  # fmt: skip
    found = rule_of(header + b"".join(attribute(kind, value) for kind, value in parts.items()))
    assert found == PolicyRule(
        100, 4, "lookup", 5000, "192.0.2.0/24", "10.0.0.0/8", "eth0", "e\udce9", 1, 0xFF, (0, 99), 6, (1, 2), (80, 81), 16, True,
        suppress_prefixlen=0, l3mdev=True,
    )  # fmt: skip
    nowhere = rule_of(struct.pack("=BBBBBBBBI", 10, 0, 0, 0, 0, 0, 0, 8, 0) + attribute(14, struct.pack("=i", -1)))
    assert (nowhere.version, nowhere.action, nowhere.table, nowhere.suppress_prefixlen, nowhere.mask) == (6, "prohibit", None, None, 0)


def test_what_is_forwarded_is_asked_for_as_roots() -> None:
    """Of a question with an input interface the kernel takes the uid for nobody's (inet6_rtm_getroute), of a packet for 0."""
    own, passing = (RouteQuery(None, "fd00::1", iif=iif, uid=uid) for iif, uid in ((None, 1000), (3, None)))
    asked = [dict(request.attributes)["RTA_UID"] for query in (own, passing) for request in fib.questions(query)]
    assert asked == [1000, 1000, 0, 0]


def test_an_answer_of_the_fib() -> None:
    body = route(2, 32, 254, 1, 0, attribute(1, ip("8.8.8.8")), attribute(4, u32(2)), attribute(5, ip("10.0.0.1")))
    assert fib.answer_of(record("route", body + attribute(7, ip("10.0.0.2")))) == RouteAnswer(
        None, "unicast", 254, 2, "10.0.0.1", "10.0.0.2"
    )


def af_spec(ipv4: bytes, ipv6: bytes) -> bytes:
    return attribute(2, ipv4) + attribute(10, ipv6)


def settings_of(name: str, spec: bytes, mtu: int) -> Settings:
    return Settings({}, dict(sysctl.of_interface(name, spec, mtu)))


def test_sysctls_of_an_interface_with_a_dot() -> None:
    array = struct.pack("=33i", *range(100, 133))
    found = settings_of("eth0.100", af_spec(attribute(1, array), attribute(2, struct.pack("=3i", 1, 64, 1400))), 1500)
    assert found["net.ipv4.conf.eth0/100.forwarding"] == "100"
    assert found["net.ipv4.conf.eth0/100.rp_filter"] == "107"
    assert found["net.ipv6.conf.eth0/100.hop_limit"] == "64"
    assert "net.ipv6.conf.eth0/100.disable_ipv6" not in found  # an older kernel's shorter array
    assert settings_of("eth0", af_spec(b"", b""), 1500) == {}
    same = af_spec(b"", attribute(2, struct.pack("=3i", 1, 64, 1500)))
    assert settings_of("eth0", same, 1500) == {"net.ipv6.conf.eth0.forwarding": "1", "net.ipv6.conf.eth0.hop_limit": "64"}, "follows"


def test_settings_are_a_mapping_like_any() -> None:
    table = {"forwarding": "1", "mtu": "1400"}
    found = Settings({"net.ipv4.ip_forward": "1"}, {"net.ipv4.conf.a": table, "net.ipv4.conf.b/5": table})
    plain = {
        "net.ipv4.ip_forward": "1", "net.ipv4.conf.a.forwarding": "1", "net.ipv4.conf.a.mtu": "1400",
        "net.ipv4.conf.b/5.forwarding": "1", "net.ipv4.conf.b/5.mtu": "1400",
    }  # fmt: skip
    assert found == plain == found == Settings(plain, {})
    assert (list(found), len(found)) == (list(plain), len(plain))
    assert [found[name] for name in plain] == list(plain.values())
    for name in ("", "net", "net.ipv4.conf.a", "net.ipv4.conf.a.mtus", "net.ipv4.conf.c.mtu"):
        assert name not in found
        assert found.get(name) is None
        assert found.get(name, "7") == "7"
        with pytest.raises(KeyError):
            found[name]
    assert found != {**plain, "net.ipv4.ip_forward": "0"}
    changed = Settings({"net.ipv4.ip_forward": "1"}, {"net.ipv4.conf.a": table, "net.ipv4.conf.b/5": {**table, "mtu": "9"}})
    assert found != changed
    assert Settings({"net.ipv4.conf.a.mtu": "7"}, {"net.ipv4.conf.a": table}) == {
        "net.ipv4.conf.a.mtu": "7",
        "net.ipv4.conf.a.forwarding": "1",
    }


def test_counters() -> None:
    assert counters.paired(["Ip: InReceives OutNoRoutes", "Ip: 17 2", "Tcp: MaxConn", "Tcp: -1"]) == {
        "IpInReceives": 17, "IpOutNoRoutes": 2, "TcpMaxConn": -1,
    }  # fmt: skip
    assert counters.listed(["Ip6InReceives   \t17", ""]) == {"Ip6InReceives": 17}
    per_cpu = ["entries drop insert_failed", "0000000c 00000001 00000010", "0000000c 00000002 00000000"]
    assert counters.per_cpu("conntrack", per_cpu) == {"conntrack.entries": 12, "conntrack.drop": 3, "conntrack.insert_failed": 16}
    assert counters.per_cpu("conntrack", []) == {}


def test_a_route_that_refuses_by_its_nexthop_object() -> None:
    """The kernel names its type after the object and gives it a leg by lo; a route that refuses itself has no object."""
    legs = (attribute(1, ip("10.1.0.0")), attribute(4, u32(1)))
    assert not route_of(route(2, 16, 254, 6, 0, *legs)).by_object
    assert route_of(route(2, 16, 254, 6, 0, *legs, attribute(30, u32(20)))).by_object
    assert not route_of(route(2, 16, 254, 1, 0, *legs, attribute(30, u32(20)))).by_object
