"""Hostile frames, as a tap may catch them: from the kernel filter to every renderer.

The frames are those of the recorded faults, damaged, and some that mean nothing at all. Each case is one run: what its taps and
sockets got, put into a logbook, diagnosed on the recorded configuration, and shown in every format.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from bpf_machine import accepts
from frames_of_scapy import SPORT, samples
from msgspec.structs import replace

from netprobe import codec
from netprobe.engine import replay
from netprobe.formats import formatted
from netprobe.linux.sensors.haul import Taken
from netprobe.linux.sensors.observations import Logbook
from netprobe.linux.sensors.sender import _EXTENDED_ERROR, IP_RECVERR, IPV6_RECVERR, Heard, _icmp_error
from netprobe.linux.sensors.tap import PACKET_AUXDATA, SO_TIMESTAMPNS_NEW, SOL_PACKET, Tap
from netprobe.model import Observation, Run, Watch
from netprobe.render.pcapng import capture
from netprobe.render.terminal import Terminal
from netprobe.saved import load
from netprobe.wire.around import Around
from netprobe.wire.dissect import ETHERNET, RAW_IP, dissect
from netprobe.wire.filter import side_filter, tap_filter
from netprobe.wire.fragments import restored
from netprobe.wire.mark import PROTOCOL_NUMBERS, mark_of

from .outcome import Outcome

RECORDINGS = Path(__file__).parents[1] / "faults" / "recordings"
AT_ONCE = 40  # frames of one case
IN_A_ROW = 8  # cases of one recording
OUTPUTS = ("text", "wide", "markdown", "html", "svg", "json")
_LENGTHS = (0, 1, 13, 14, 15, 17, 18, 19, 20, 28, 33, 34, 35, 38, 41, 42, 49, 54, 57, 58, 61, 62, 70, 74)


class RecordedTap(Tap):
    """A tap without a socket, which knows the interfaces by number."""

    def __init__(self, namespace: str, interfaces: Sequence[str]) -> None:
        self.namespace = namespace
        self.names = dict(enumerate(interfaces))
        self.beside = self.full = False

    def name(self, index: int) -> str:
        """The interface's name; none has a number beyond them."""
        return self.names.get(index, f"if{index}")


@dataclass(frozen=True)
class Scene:
    """A recorded run, its taps, its frames by tap and interface number, and its packets in other wrappings."""

    run: Run
    taps: tuple[RecordedTap, ...]
    frames: tuple[tuple[int, int, Observation], ...]
    wrapped: tuple[bytes, ...]


@cache
def names() -> tuple[str, ...]:
    """The recordings of runs that saw something."""
    files = sorted(RECORDINGS.glob("*.pcapng"))
    return tuple(file.stem for file in files if (run := load(str(file))[1]) is not None and any(o.interface for o in run.observations))


@lru_cache(16)
def scene(name: str) -> Scene:
    """The scene of a recording."""
    _, run = load(str(RECORDINGS / f"{name}.pcapng"))
    assert run is not None
    seen = [o for o in run.observations if o.kind == "seen" and o.interface]
    places = {o.namespace: sorted({str(other.interface) for other in seen if other.namespace == o.namespace}) for o in seen}
    taps = tuple(RecordedTap(namespace, interfaces) for namespace, interfaces in places.items())
    numbers = {tap.namespace: n for n, tap in enumerate(taps)}
    frames = tuple((numbers[o.namespace], places[o.namespace].index(str(o.interface)), o) for o in seen)
    return Scene(run, taps, frames, tuple(wrappings_of(run)))


def wrappings_of(run: Run) -> Iterator[bytes]:
    """The probe of a run in tunnels, behind tags and extension headers, and in ICMP errors."""
    probe = run.report.probe
    if probe.protocol in PROTOCOL_NUMBERS:
        six = probe.version == 6
        mark = replace(mark_of(probe, (SPORT,)), size=min(probe.size, 200), count=2)
        yield from (sample.frame for sample in samples(mark, six))


def fuzz(count: int, seed: int) -> Outcome:
    """`count` frames, AT_ONCE of them in a case; the same for the same seed."""
    outcome = Outcome()
    for number, first in enumerate(range(0, count, AT_ONCE)):
        name, size = names()[number // IN_A_ROW % len(names())], min(AT_ONCE, count - first)
        dice = random.Random(f"{seed} {number}")
        outcome.check(f"--seed {seed} case {number} ({name})", lambda: examine(scene(name), dice, size), ())  # noqa: B023 - at once
    return outcome


def examine(of: Scene, dice: random.Random, size: int) -> None:
    """One run whose taps caught so many hostile frames among its own."""
    probe = of.run.report.probe
    ports = tuple({flow.sport for _, _, o in of.frames if (flow := o.flow) is not None and flow.sport is not None})
    watch = Watch(probe, tuple(tap.namespace for tap in of.taps), ports)
    mark = mark_of(probe, ports[:1], ports)
    book = Logbook(watch)
    book.begin(mark, probe.source.address or "")
    start = min((o.stamp_ns - o.time_ns for o in of.run.observations if o.stamp_ns), default=1)
    for sequence in range(probe.count):
        book.sent(sequence, probe.flow() if probe.source.address else None, start)
    programs = tap_filter(mark), side_filter(mark, Around(tuple({flow.src for _, _, o in of.frames if (flow := o.flow)}), ()))
    for _ in range(size):
        tap, taken, link_type = hostile(of, dice)
        accepts(dice.choice(programs), taken[2], 1 if link_type == ETHERNET else 65534)
        restored(dice.choice(of.frames)[2].frame, taken[2])
        book.took(of.taps[tap], [taken])
        if dice.random() < 0.2:
            hear(book, taken[2], dice)
    for tap, index, own in of.frames:
        book.took(of.taps[tap], [taken_of(own.frame, own, index)])
    book.progress()
    show(replace(of.run, observations=book.observations()))


def hear(book: Logbook, frame: bytes, dice: random.Random) -> None:
    """The same at the sender's sockets: a packet, or an ICMP error with what the kernel tells about it."""
    stamp = dice.choice((0, 1, 1 << 61))
    book.heard(Heard(stamp, dissect(frame[14:], RAW_IP)))
    level, kind = dice.choice(((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)))
    error = _icmp_error([(level, kind, frame[: dice.randrange(_EXTENDED_ERROR.size, _EXTENDED_ERROR.size + 40)])])
    if error is not None:
        book.heard(Heard(stamp, error=error, payload=frame[42:]))


def show(run: Run) -> None:
    """Diagnose a run and write it in every format."""
    again = replay(run)
    for output in OUTPUTS:
        formatted(again.report, output, Terminal(100, colour=True))
    capture(again, "netprobe trace", codec.run_to_json(again))


def hostile(of: Scene, dice: random.Random) -> tuple[int, Taken, int]:
    """A damaged frame, the tap that caught it, and how it begins."""
    tap, index, own = dice.choice(of.frames)
    kind = dice.randrange(8)
    if kind == 0:
        frame = dice.randbytes(dice.randrange(120))
    elif kind == 1:
        at = dice.choice(_LENGTHS)
        frame = own.frame[:at] + dice.choice(of.frames)[2].frame[at:]
    elif kind < 4 and of.wrapped:
        frame = damaged(dice.choice(of.wrapped), dice)
    else:
        frame = damaged(own.frame, dice)
    return tap, taken_of(frame, own, dice.choice((index, index, 999)), dice), own.link_type


def damaged(frame: bytes, dice: random.Random) -> bytes:
    """A frame with some bytes changed, most of them in its headers, and cut or prolonged."""
    data = bytearray(frame)
    for _ in range(dice.randrange(5)):
        if data:
            at = dice.randrange(min(len(data), dice.choice((20, 40, 60, 200))))
            data[at] = dice.choice((0, 0xFF, 0x0F, 0x40, data[at] ^ 1 << dice.randrange(8), dice.randrange(256)))
    cut = dice.randrange(4)
    if cut == 0:
        del data[dice.choice(_LENGTHS) :]
    elif cut == 1:
        del data[dice.randrange(len(data) + 1) :]
    return bytes(data) + (dice.randbytes(dice.randrange(40)) if dice.random() < 0.1 else b"")


def taken_of(frame: bytes, own: Observation, index: int, dice: random.Random | None = None) -> Taken:
    """What recvmsg(2) gives with a frame: struct sockaddr_ll and the control messages, both damaged when there are dice."""
    hatype = 1 if own.link_type == ETHERNET else 65534
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, 0, index, hatype, {"out": 4, "other": 3}.get(own.bound or "", 0), 6, bytes(8))
    stamp = struct.pack("=qq", *divmod(own.stamp_ns, 10**9))
    extra = struct.pack("=IIIHHHH", 0, own.wire_length, len(frame), 0, 14, 0, 0)
    if dice is not None:
        address = address[:4] + struct.pack("=iHB", index, dice.choice((hatype, 1, 772, 65534)), dice.randrange(8)) + address[11:]
        extra = struct.pack("=IIIHHHH", dice.choice((0, 16, 80, dice.randrange(1 << 32))), dice.randrange(1 << 32), 0, 0, 0,
                            dice.randrange(1 << 16), dice.choice((0x8100, 0x88A8, 0)))  # fmt: skip
    control = _message(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, stamp) + _message(SOL_PACKET, PACKET_AUXDATA, extra)
    if dice is not None and dice.random() < 0.2:
        control = damaged(control, dice)
    return address, control, frame


def _message(level: int, kind: int, data: bytes) -> bytes:
    """One control message (cmsg(3))."""
    head = struct.pack("@Nii", struct.calcsize("@Nii") + len(data), level, kind)
    return head + data + bytes(-len(head + data) % struct.calcsize("@N"))
