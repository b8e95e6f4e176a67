"""What is done before a packet leaves, so that it is not done for the first time when its answer comes."""

from __future__ import annotations

import socket
from itertools import chain

import pytest

from netprobe.linux.sensors.haul import AT_ONCE, SLOTS, Buffers
from netprobe.linux.sensors.observations import Logbook
from netprobe.model import Endpoint, Leg, Probe, Protocol, Watch
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.mark import mark_of

PORTS = {Protocol.UDP: (40000,), Protocol.TCP: (40000,)}
ENDS = {4: ("10.0.0.2", "10.0.0.3"), 6: ("fd00::2", "fd00::3")}


def a_book(protocol: Protocol, version: int = 4, size: int = 56) -> tuple[Logbook, bytes]:
    """The book of a probe, and its first packet."""
    src, dst = ENDS[version]
    target = Endpoint("blue", address=dst, port=53 if protocol in PORTS else None)
    probe = Probe(protocol, "c0ffee00ab1e", Endpoint("red", "red", "eth0", src), target, count=2, size=size)
    book = Logbook(Watch(probe, ("red", "blue")))
    book.begin(mark_of(probe, PORTS.get(protocol, ())), src)
    [packet, _] = craft(Recipe(book.mark, src, dst, "02:00:00:00:00:01"))
    return book, packet


@pytest.mark.parametrize(
    ("protocol", "version"),
    [
        (Protocol.ICMP, 4),
        (Protocol.TCP, 4),
        (Protocol.UDP, 4),
        (Protocol.ICMPV6, 6),
        (Protocol.TCP, 6),
        (Protocol.UDP, 6),
    ],
)
@pytest.mark.parametrize("size", [56, 1])
def test_an_answer_that_nobody_sent_is_taken_for_one_and_leaves_nothing(protocol: Protocol, version: int, size: int) -> None:
    book, packet = a_book(protocol, version, 0 if protocol is Protocol.TCP else size)
    said = book.rehearsed(packet)
    assert [(each.kind, each.leg, each.sequence) for each in said] == [("answered", Leg.REPLY, 0)]
    assert not book.observations()
    assert not book.said()


def test_on_a_segment_nothing_is_heard_by_the_socket() -> None:
    book, packet = a_book(Protocol.ARP)
    assert not book.rehearsed(packet)


def test_frames_lie_until_the_place_is_needed_and_are_kept_then() -> None:
    ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    place, every = Buffers(), 3 * SLOTS + 1
    place.rehearse()
    with ours, other:
        hauls = []
        for number in range(every):
            other.send(b"%d" % number)
            if number % 3 == 2 or number == every - 1:
                hauls.append(place.receive(ours.fileno()))
    frames = [frame for _, _, frame in chain.from_iterable(hauls)]
    place.close()
    assert frames == [b"%d" % number for number in range(every)]


def test_as_many_as_there_are_up_to_those_of_one_call() -> None:
    ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    place = Buffers()
    with ours, other:
        other.setblocking(False)
        sent = 0
        try:
            while sent < AT_ONCE + 2:
                other.send(bytes(sent))
                sent += 1
        except BlockingIOError:
            pass
        first, second = place.receive(ours.fileno()), place.receive(ours.fileno())
        assert len(first) == min(AT_ONCE, sent)
        assert len(second) == sent - len(first)
        assert [*first.sizes(), *second.sizes()] == [*range(sent)]
        first.cut(2)
        assert [len(frame) for _, _, frame in first] == [0, 1]
        assert not len(place.receive(ours.fileno()))
