"""Sockets, queueing disciplines, tc filters and IPsec policies, as literal bytes, to values: no privilege needed."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from decoding import attribute, ip, record, u8, u32
from msgspec.structs import replace

from netprobe.linux.tables import sockets, tc, xfrm
from netprobe.model import Qdisc, Socket, TcFilter, XfrmPolicy


def socket_of(protocol: str, payload: bytes) -> Socket:
    return sockets.socket_of(protocol, record("socket", payload))


def qdisc_of(payload: bytes) -> Qdisc:
    return tc.qdisc_of(record("qdisc", payload))


def filter_of(payload: bytes, direction: str) -> TcFilter | None:
    return tc.filter_of(record("filter", payload), direction)


def policy_of(payload: bytes, *keys: Any) -> XfrmPolicy | None:
    return xfrm.policy_of(record("policy", payload), *keys)


def diag(family: int, state: int, src: bytes, sport: int, dst: bytes, dport: int, queue: tuple[int, int]) -> bytes:
    names = struct.pack("!HH16s16s", sport, dport, src, dst)
    return struct.pack("=BBBB", family, state, 0, 0) + names + struct.pack("=I8xIIIII", 5, 0, *queue, 1000, 0)


def test_a_listener() -> None:
    found = socket_of("tcp", diag(10, 10, bytes(16), 80, bytes(16), 0, (3, 128)) + attribute(11, u8(1)))
    assert (found.address, found.port, found.state, found.uid, found.interface, found.queue) == ("::", 80, "listen", 1000, 5, (3, 128))
    assert found.v6only
    assert found.peer is None
    assert found.transparent is None  # an older kernel does not say


def test_a_transparent_listener() -> None:
    for options, transparent in ((u8(0b0010_0000) + u8(0), True), (u8(0b1101_1111) + u8(7), False)):  # struct inet_diag_sockopt
        found = socket_of("tcp", diag(2, 10, bytes(16), 80, bytes(16), 0, (3, 128)) + attribute(22, options))
        assert found.transparent is transparent


def test_a_datagram_socket_with_its_buffer() -> None:
    mapped = bytes(10) + b"\xff\xff" + ip("10.0.0.1")
    memory = struct.pack("=9I", 4608, 212992, 0, 0, 0, 0, 0, 0, 17)
    found = socket_of("udp", diag(10, 1, mapped, 53, mapped, 54, (0, 0)) + attribute(7, memory))
    assert (found.address, found.state, found.queue) == ("10.0.0.1", "established", (4608, 212992))
    assert found.peer == ("10.0.0.1", 54)


def test_sockets_of_proc() -> None:
    line = " 5: 0100007F:0035 00000000:0000 07 00000000:00000900 00:00000000 00000000  1000        0 4711 2 0000000000000000 3"
    found = sockets.socket_of_line("udp", line)
    assert (found.address, found.port, found.state, found.uid, found.queue) == (
        "127.0.0.1",
        53,
        "unconnected",
        1000,
        (2304, 0),
    )
    line = f" 0: 000000FD000000000000000002000000:0050 {'0' * 32}:0000 0A 00000000:00000001 00:00000000 0 0 0 1 1 0 100 0 0 10 0"
    found = sockets.socket_of_line("tcp", line)
    assert (found.address, found.port, found.state, found.queue) == ("fd00::2", 80, "listen", (1, 0))


def tcmsg(handle: int, parent: int, information: int = 0) -> bytes:
    return struct.pack("=BxxxiIII", 0, 2, handle, parent, information)


def test_qdiscs() -> None:
    parameters = struct.pack("=BBHhHI", 0, 0, 0, 0, 0, 1000) + bytes(12) + struct.pack("=III", 3000, 0, 0)
    stats = attribute(7, attribute(3, struct.pack("=5I", 0, 0, 9, 0, 0)))
    found = qdisc_of(tcmsg(0x80010000, 0xFFFFFFFF) + attribute(1, b"tbf\0") + attribute(2, attribute(1, parameters)) + stats)
    assert (found.kind, found.handle, found.parent) == ("tbf", "8001:", "root")
    assert found.text == "qdisc tbf 8001: root rate 8000bit limit 3000b"
    netem = attribute(2, struct.pack("=6I", 0, 1000, 0x7FFFFFFF, 0, 0, 0))
    assert "loss 0.5" in qdisc_of(tcmsg(0x10000, 0x20001) + attribute(1, b"netem\0") + netem).text
    assert qdisc_of(tcmsg(0xFFFF0000, 0xFFFFFFF1) + attribute(1, b"clsact\0")).parent == "clsact"


def action(kind: str, parameters: bytes) -> bytes:
    return attribute(1, attribute(1, kind.encode() + b"\0") + attribute(2, attribute(2, parameters)))


def general(verdict: int) -> bytes:
    return struct.pack("=IIiii", 1, 0, verdict, 1, 1)


def test_filters() -> None:
    ip_at_49152 = 49152 << 16 | socket.htons(0x0800)
    mirred = general(4) + struct.pack("=iI", 1, 17)
    keys = struct.pack("!II", 0xFFFFFFFF, 0x08080808) + struct.pack("=ii", 16, 0)
    options = attribute(5, bytes(16) + keys) + attribute(7, action("mirred", mirred))
    found = filter_of(tcmsg(0x80000800, 0xFFFFFFF2, ip_at_49152) + attribute(1, b"u32\0") + attribute(2, options), "ingress")
    assert found == TcFilter(
        "ingress", "u32",
        "filter ingress protocol ip pref 49152 u32 chain 0 handle 0x80000800 match 08080808/ffffffff at 16 action mirred egress redirect",
        "mirred egress redirect", 17,
    )  # fmt: skip
    header = tcmsg(1, 0xFFFFFFF3, 1 << 16 | socket.htons(3))
    program = attribute(1, b"bpf\0") + attribute(2, attribute(7, b"npdrop\0") + attribute(11, u32(30)))
    bpf = filter_of(header + program, "egress")
    assert bpf is not None
    assert bpf.action is None
    assert "npdrop id 30" in bpf.text
    dropping = filter_of(header + attribute(1, b"matchall\0") + attribute(2, attribute(2, action("gact", general(2)))), "egress")
    assert dropping is not None
    assert dropping.action == "drop"
    assert filter_of(header + attribute(1, b"u32\0") + attribute(2, attribute(4, u32(1))), "egress") is None  # a hash table


DIRECT, SKIP_SW = u32(1), u32(2)


@pytest.mark.parametrize(
    ("protocol", "options", "answers"),
    [
        (3, attribute(8, DIRECT), ("drop", "pass")),
        (0x0800, attribute(8, DIRECT), ("continue", "drop", "pass")),  # frames of other protocols do not come to it
        (3, b"", None),  # it chooses a class
        (3, attribute(8, DIRECT) + attribute(9, SKIP_SW), None),  # hardware alone runs it
    ],
)
def test_answers_of_filters(monkeypatch: pytest.MonkeyPatch, protocol: int, options: bytes, answers: tuple[str, ...] | None) -> None:
    monkeypatch.setattr(tc.programs, "direct_answers", {30: ("drop", "pass")}.get)
    header = tcmsg(1, 0xFFFFFFF2, 1 << 16 | socket.htons(protocol)) + attribute(1, b"bpf\0")
    program = attribute(2, attribute(7, b"np\0") + options + attribute(11, u32(30)))
    found, behind = filter_of(header + program, "ingress"), filter_of(header + program + attribute(11, u32(4)), "ingress")
    assert found is not None
    assert behind is not None
    assert found.answers == answers
    assert behind.answers == (None if answers is None else ("continue", "drop", "pass"))  # in a chain that something must lead to


def test_filters_in_turn() -> None:
    def answers(*given: tuple[str, ...] | None) -> list[tuple[str, ...] | None]:
        return [each.answers for each in tc.in_turn([TcFilter("ingress", "bpf", "x", answers=a) for a in given])]

    assert answers(None, ("pass",), None, ("drop",)) == [None, ("pass",), (), ()]
    assert answers(("continue",), ("continue", "pass"), ("drop",)) == [("continue",), ("continue", "pass"), ("drop",)]
    assert answers(("drop", "pass"), ("drop",)) == [("drop", "pass"), ()]


def selector(src: str, dst: str, protocol: int = 0, dport: int = 0) -> bytes:
    ports = struct.pack("!HHHH", dport, 0xFFFF if dport else 0, 0, 0)
    return ip(dst).ljust(16, b"\0") + ip(src).ljust(16, b"\0") + ports + struct.pack("=HBBB3xiI", 2, 32, 32, protocol, 0, 0)


def policy(direction: int, action: int, *parts: bytes) -> bytes:
    body = selector("10.0.0.2", "10.0.0.3", 6, 80) + bytes(96) + struct.pack("=IIBBBB", 10, 0, direction, action, 0, 0) + bytes(4)
    return body + b"".join(parts)


def test_ipsec_policies() -> None:
    blocking = policy_of(policy(0, 1))
    text = "src 10.0.0.2/32 dst 10.0.0.3/32 proto 6 dport 80 dir in priority 10 action block"
    assert blocking == XfrmPolicy("in", "10.0.0.2/32", "10.0.0.3/32", "block", (), text, 10, protocol=6, dport=(80, 0xFFFF))
    assert policy_of(policy(3, 0)) is None  # a socket's own
    far = ip("192.0.2.2").ljust(16, b"\0")
    template = far + struct.pack("=IBxxxH2x16sIBBBx", 0, 50, 2, ip("192.0.2.1"), 7, 1, 0, 0) + bytes(12)
    without = policy_of(policy(1, 0, attribute(5, template)))
    assert without is not None
    assert without.templates == ("src 192.0.2.1 dst 192.0.2.2 proto esp reqid 7 mode tunnel",)
    assert without.keyed is False
    keyed = policy_of(policy(1, 0, attribute(5, template)), {(far, 50, 7, 1)})
    assert keyed is not None
    assert keyed.keyed is True


def test_what_ipsec_does_with_packets_that_no_policy_selects() -> None:
    assert xfrm.defaults_of(record("default", u8(2) + u8(2) + u8(2))) == ()
    found = xfrm.defaults_of(record("default", u8(2) + u8(2) + u8(1)))
    assert [(p.direction, p.src, p.action, p.default) for p in found] == [
        ("out", "0.0.0.0/0", "block", True),
        ("out", "::/0", "block", True),
    ]


def test_what_only_chooses_a_class_decides_nothing() -> None:
    """Whether a packet is lost in its class is the queue's doing; an action, and a program, may do more."""
    plain, dropping = TcFilter("egress", "u32", "filter u32"), TcFilter("egress", "u32", "filter u32 action drop", "drop")
    program = TcFilter("egress", "bpf", "filter bpf", answers=("pass",))
    assert [*tc.deciding([plain, dropping, program])] == [dropping, replace(program, answers=None)]
