"""The account of a run, from frames that need no kernel: order, bounds, answers, lost frames, blind spots."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from netprobe.linux.sensors import kept
from netprobe.linux.sensors.observations import Logbook
from netprobe.linux.sensors.sender import Heard
from netprobe.linux.sensors.tap import PACKET_OTHERHOST, PACKET_OUTGOING, Caught
from netprobe.model import Endpoint, IcmpError, Leg, Observation, Probe, Protocol, Watch
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.dissect import RAW_IP, dissect
from netprobe.wire.mark import mark_of

START = 1_800_000_000_000_000_000
MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
IN, OUT = 0, PACKET_OUTGOING


def a_book(protocol: Protocol = Protocol.ICMP, count: int = 3, size: int = 56) -> Logbook:
    source = Endpoint("red", "red", "eth0", "10.0.0.2")
    target = Endpoint("blue", address="10.0.0.3", port=53 if protocol is Protocol.UDP else None)
    probe = Probe(protocol, "c0ffee00ab1e", source, target, count=count, size=size)
    book = Logbook(Watch(probe, ("red", "blue")))
    book.begin(mark_of(probe, (40000,) if protocol is Protocol.UDP else ()), "10.0.0.2")
    return book


def packets(book: Logbook) -> list[bytes]:
    return list(craft(Recipe(book.mark, "10.0.0.2", "10.0.0.3", MAC)))


def caught(frame: bytes, time: int, place: tuple[str, str] = ("red", "eth0"), kind: int = IN, index: int = 2) -> Caught:
    return Caught(*place, START + time, kind, frame, len(frame), 1, index)


def sent(book: Logbook, *sequences: int, at: int = 0) -> list[bytes]:
    """Hand packets of the probe to the kernel; all of the probe's packets."""
    made = packets(book)
    for sequence in sequences:
        book.sent(sequence, book.expect(made[sequence]), START + at)
    return made


def ip(payload: bytes | Raw, src: str = "10.0.0.2", dst: str = "10.0.0.3", protocol: int = 1) -> bytes:
    return bytes(Ether(src=MAC, dst=OTHER) / IP(src=src, dst=dst, proto=protocol) / payload)


def test_sightings_stand_in_the_order_of_time_whatever_tap_was_read_first() -> None:
    book = a_book()
    packet = packets(book)[1]
    book.sent(1, book.expect(packet), START)
    book.caught(caught(ip(packet), 30, ("blue", "eth0")))
    book.caught(caught(ip(packet), 10, kind=OUT))
    book.lost("blue", 0)
    got = book.observations()
    assert [(o.kind, o.namespace, o.bound, o.time_ns, o.sequence) for o in got] == [
        ("sent", "red", None, 0, 1), ("seen", "red", "out", 10, 1), ("seen", "blue", "in", 30, 1),
    ]  # fmt: skip
    assert got[0].stamp_ns == START
    assert len(book.progress()) == 3


def test_a_frame_to_another_station_is_in_on_a_port_and_other_elsewhere() -> None:
    book = a_book()
    packet = sent(book, 0)[0]
    book.caught(caught(ip(packet), 1, kind=PACKET_OTHERHOST, index=7))
    book.caught(caught(ip(packet), 2, kind=PACKET_OTHERHOST, index=8))
    assert book.doubtful() == {"red": {7, 8}}
    book.ports("red", {7})
    assert [o.bound for o in book.observations() if o.kind == "seen"] == ["in", "other"]


def test_what_was_not_seen_is_said() -> None:
    book = a_book()
    book.blind("blue", "no tap: Operation not permitted")
    book.refused(2, OSError(errno.ENETUNREACH, "Network is unreachable"), START)
    book.lost("red", 12)
    book.lost("host", 3, beside=True)
    book.lost("c1", 0, full=True)
    got = {o.kind: (o.namespace, o.sequence, o.text) for o in book.observations()}
    assert got == {
        "blind": ("blue", 0, "no tap: Operation not permitted"),
        "refused": ("red", 2, "ENETUNREACH"),
        "starved": ("c1", 0, "the tap was flooded and took no more frames"),
        "unkept": ("host", 0, "the tap of neighbours and fragments lost 3 frames"),
    }
    assert ("red", "the tap lost 12 frames") in [(o.namespace, o.text) for o in book.observations() if o.kind == "starved"]


def test_one_who_could_not_go_on_has_not_seen_what_followed() -> None:
    """Before the first packet it is a probe that could not be sent; behind it, taps and socket heard no more."""
    short = OSError(errno.ENOMEM, "Cannot allocate memory")
    book = a_book()
    book.gave_up(short, START)
    assert [(o.kind, o.text) for o in book.observations()] == [("refused", "ENOMEM")]
    book = a_book()
    sent(book, 0)
    book.gave_up(short, START + 9)
    text = "observing could not go on: Cannot allocate memory"
    assert [(o.kind, o.text) for o in book.observations()] == [("sent", ""), ("starved", text), ("unheard", text)]


def test_the_first_answer_to_a_packet_counts() -> None:
    book = a_book()
    for sequence, packet in enumerate(packets(book)[:2]):
        book.sent(sequence, book.expect(packet), START + sequence)
    answer = IP(src="10.0.0.3", dst="10.0.0.2") / ICMP(type=0, id=book.mark.icmp_id) / Raw(book.mark.payload(1))
    for later in (5, 9):
        book.heard(Heard(START + later, dissect(bytes(answer), RAW_IP)))
    assert [(o.sequence, o.time_ns, o.leg) for o in book.observations() if o.kind == "answered"] == [(1, 5, Leg.REPLY)]


def test_a_udp_answer_without_our_token_belongs_to_the_last_question_before_it() -> None:
    book = a_book(Protocol.UDP)
    answer = dissect(bytes(IP(src="10.0.0.3", dst="10.0.0.2") / UDP(sport=53, dport=40000) / Raw(b"hello")), RAW_IP)
    for sequence, packet in enumerate(packets(book)):
        book.sent(sequence, book.expect(packet), START + 100 * sequence)
    for later in (150, 250, 260):
        book.heard(Heard(START + later, answer))
    assert [o.sequence for o in book.observations() if o.kind == "answered"] == [1, 2, 0]


def kinds(book: Logbook, kind: str) -> list[Observation]:
    return [o for o in book.observations() if o.kind == kind]


@pytest.mark.parametrize("payload", [b"hello", None])
def test_a_datagram_that_was_there_before_the_question_is_no_answer(payload: bytes | None) -> None:
    """With our own token in it, too: a program that repeats what it once heard."""
    book = a_book(Protocol.UDP)
    answer = IP(src="10.0.0.3", dst="10.0.0.2") / UDP(sport=53, dport=40000) / Raw(payload or book.mark.payload(0))
    early, late = Heard(START - 1, dissect(bytes(answer), RAW_IP)), Heard(START + 7, dissect(bytes(answer), RAW_IP))
    flow = book.expect(packets(book)[0])
    book.heard(early)
    book.sent(0, flow, START)
    book.heard(early)
    assert kinds(book, "answered") == []
    book.heard(late)
    assert [o.time_ns for o in kinds(book, "answered")] == [7]


def test_frames_from_before_the_send_are_not_the_probe() -> None:
    book = a_book()
    made = packets(book)
    answer = bytes(IP(src="10.0.0.3", dst="10.0.0.2") / ICMP(type=0, id=book.mark.icmp_id) / Raw(book.mark.payload(0)))
    book.caught(caught(ip(answer[20:], "10.0.0.3", "10.0.0.2"), -5))
    sent(book, 0)
    book.caught(caught(ip(made[0]), -3, kind=OUT))
    book.caught(caught(ip(made[1]), 4, kind=OUT))  # which was never sent
    book.caught(caught(ip(made[0]), 6, kind=OUT))
    assert [o.time_ns for o in kinds(book, "seen")] == [6]
    assert [o.time_ns for o in book.progress() if o.kind == "seen"] == [6]


def test_somebody_elses_answer_does_not_take_the_place_of_the_one_that_was_asked() -> None:
    book = a_book(Protocol.UDP)
    sent(book, 0)
    for source in ("10.0.0.66", "10.0.0.67", "10.0.0.3"):
        answer = IP(src=source, dst="10.0.0.2") / UDP(sport=53, dport=40000) / Raw(b"hello")
        book.heard(Heard(START + 5, dissect(bytes(answer), RAW_IP)))
    assert [o.flow.src for o in kinds(book, "answered") if o.flow] == ["10.0.0.66", "10.0.0.3"]


def test_an_answer_by_arp_is_for_who_asks_at_an_interface_and_not_where_its_bridge_takes_it() -> None:
    book = a_book(Protocol.ARP)
    made = sent(book, 0)
    book.caught(caught(made[0], 1, kind=OUT))
    answer = Ether(src=OTHER, dst=MAC) / ARP(op=2, psrc="10.0.0.3", hwsrc=OTHER, pdst="10.0.0.2", hwdst=MAC)
    book.caught(caught(bytes(answer), 5))
    assert book.doubtful() == {"red": {2}}
    book.ports("red", set())
    assert [o.time_ns for o in kinds(book, "answered")] == [5]
    book.ports("red", {2})
    assert kinds(book, "answered") == []
    assert [o.time_ns for o in kinds(book, "seen")] == [1, 5]


def test_an_icmp_error_read_from_the_socket() -> None:
    book = a_book(Protocol.UDP)
    sent(book, 2)
    for _ in range(2):
        book.heard(Heard(START + 1, error=IcmpError("10.0.0.3", 3, 3), payload=book.mark.payload(2)))
    (got,) = kinds(book, "refused")
    assert (str(got.source), got.sequence, got.error) == ("icmp", 2, IcmpError("10.0.0.3", 3, 3))


@pytest.mark.parametrize(
    ("payload", "time"),
    [(b"", 1), (b"guess", 1), (bytes(56), 1), ("whole", -1), ("of another", 1)],
)
def test_an_icmp_error_about_something_that_was_not_sent(payload: bytes | str, time: int) -> None:
    book = a_book(Protocol.UDP)
    sent(book, 2)
    quoted = {"whole": book.mark.payload(2), "of another": book.mark.payload(1)}.get(str(payload), payload)
    assert isinstance(quoted, bytes)
    book.heard(Heard(START + time, error=IcmpError("10.0.0.3", 3, 3), payload=quoted))
    assert kinds(book, "refused") == []


def test_a_later_fragment_that_overtakes_its_first_and_was_written_over() -> None:
    book = a_book(size=2000)
    whole = IP(src="10.0.0.2", dst="10.0.0.3", id=7, proto=1) / Raw(sent(book, 0)[0])
    first, later = (bytes(Ether(src=MAC, dst=OTHER) / part) for part in fragment(whole, 1400))
    changed = bytes(Ether(src=OTHER, dst=MAC) / IP(later[14:]))
    book.caught(caught(changed, 1, kind=OUT))
    book.caught(caught(first, 2, kind=OUT))
    got = [o for o in book.observations() if o.kind == "seen"]
    assert [(o.text, o.leg, o.flow.src_mac) for o in got if o.flow] == [("fragment at 1400", Leg.REQUEST, MAC), ("", Leg.REQUEST, MAC)]
    assert got[0].frame == later


def test_arp_answers_have_their_sequence_and_arrive_at_home() -> None:
    book = a_book(Protocol.ARP)
    reply = bytes(Ether(src=OTHER, dst=MAC) / ARP(op=2, hwsrc=OTHER, psrc="10.0.0.3", hwdst=MAC, pdst="10.0.0.2"))
    for sequence, frame in enumerate(packets(book)[:2]):
        book.sent(sequence, book.expect(frame), START + 100 * sequence)
        book.caught(caught(frame, 100 * sequence + 1, kind=OUT))
        book.caught(caught(reply, 100 * sequence + 5))
    assert [(o.sequence, o.time_ns) for o in book.progress() if o.kind == "answered"] == [(0, 5), (1, 105)]
    assert [(o.leg, o.sequence) for o in book.observations() if o.kind == "seen"] == [
        (Leg.REQUEST, 0), (Leg.REPLY, 0), (Leg.REQUEST, 1), (Leg.REPLY, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("words", range(16))
@pytest.mark.parametrize("length", [15, 34, 35, 37, 60])
def test_a_later_fragment_whose_header_was_cut(words: int, length: int) -> None:
    """Once the first fragment is known the later ones get its header: from one with an IHL beyond its length nothing is taken."""
    book = a_book(size=2000)
    whole = IP(src="10.0.0.2", dst="10.0.0.3", id=7, proto=1) / Raw(sent(book, 0)[0])
    first, later = (bytes(Ether(src=MAC, dst=OTHER) / part) for part in fragment(whole, 1400))
    damaged = bytearray(later[:length])
    damaged[14] = 0x40 | words
    book.caught(caught(first, 1, kind=OUT))
    book.caught(caught(bytes(damaged), 2, kind=OUT))
    assert [len(o.frame) for o in kinds(book, "seen")][:1] == [len(first)]


@pytest.mark.parametrize("frame", [b"", b"\0" * 13, b"\xff" * 60])
def test_frames_that_mean_nothing_are_passed_over(frame: bytes) -> None:
    book = a_book()
    book.caught(caught(frame, 1))
    assert book.observations() == ()


def run_of(book: Logbook, count: int, lost: int, every: int) -> None:
    """Packets that are seen to leave and to come back, in turns looked at; of one there is no answer, nor sight of one."""
    made = list(craft(Recipe(book.mark, "10.0.0.2", "10.0.0.3", MAC)))
    for sequence, packet in enumerate(made[:count]):
        at = sequence * 1000
        book.sent(sequence, book.expect(packet), START + at)
        book.caught(caught(ip(packet), at + 10, kind=OUT))
        if sequence != lost:
            reply = packet.replace(b"\x08", b"\x00", 1)
            book.caught(caught(ip(reply, "10.0.0.3", "10.0.0.2"), at + 20))
            flow = dissect(ip(reply, "10.0.0.3", "10.0.0.2"))
            assert flow is not None
            book.heard(Heard(START + at + 30, flow))
        if sequence % every == 0:
            book.look()


@pytest.mark.parametrize("every", [1, 70, 100_000])
def test_of_thousands_of_answered_packets_a_sample_is_kept_and_of_a_lost_one_all_that_was_seen(monkeypatch, every: int) -> None:
    monkeypatch.setattr(kept, "SAMPLE", 20)
    monkeypatch.setattr(kept, "OFTEN", 60)
    book = a_book(count=400)
    run_of(book, 400, 321, every)
    got = book.observations()
    seen = {o.sequence for o in got if o.kind == "seen"}
    assert {*range(20), 321} <= seen
    assert len(seen) < 90
    assert len([o for o in got if o.kind == "sent"]) == 400
    assert {o.sequence for o in got if o.kind == "answered"} == {*range(400)} - {321}
    assert len({id(o.flow) for o in got}) <= 3  # equal headers are one value
    assert len(book.progress()) < 2 * 400 + 2 * 90


def test_of_a_few_packets_everything_is_kept() -> None:
    book = a_book(count=200)
    run_of(book, 200, -1, 7)
    assert len([o for o in book.observations() if o.kind == "seen"]) == 400
