"""What the sensors of one run reported, made into observations: as they come, and once more in the order of
time.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from netprobe.model import Flow, IcmpError, Leg, Observation, Protocol, Source, Watch
from netprobe.wire.answers import Word, pair
from netprobe.wire.dissect import ETHERNET, DissectedPacket, dissect, dissect_segment
from netprobe.wire.fragments import restored
from netprobe.wire.mark import PROTOCOL_NUMBERS, RUN_BYTES, TOKEN_BYTES, Mark, mark_of
from netprobe.wire.recognise import Recognised, Recogniser
from netprobe.wire.rehearsal import imagined

from .distant import DistantTap
from .haul import Haul, Taken
from .kept import Kept, Sample, sequence_of
from .sender import Heard
from .tap import PACKET_OTHERHOST, PACKET_OUTGOING, Caught, Tap

ANSWER_TYPES = (2, 136)  # ARP reply, neighbour advertisement
MOST_ERRORS = 1000  # of the kernel's, about the packets of one run


class Logbook:
    """The observations of one run: `progress` while it runs, `observations` as the final, ordered account."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.home = watch.probe.source.namespace or ""
        self._asked = (watch.probe.destination.address or "").partition("%")[0]
        self._said: list[Observation] = []  # not from a tap
        self._caught: list[Kept] = []
        self._taken: list[tuple[Tap | DistantTap, Haul | Sequence[Taken]]] = []  # not looked at yet
        self.waiting = 0  # how many frames these are
        self._unsaid: list[tuple[int, Flow | None, int]] = []
        self._so_far: list[Observation] = []
        # the ns since the epoch at which each sequence was handed to the kernel, refused ones too
        self._sent: dict[int, int] = {}
        # sequence, and whether it was answered by whom was asked
        self._answered: set[tuple[int, bool]] = set()
        # of ARP all are needed, whose answers are known by their order
        plain = watch.probe.protocol in PROTOCOL_NUMBERS
        self._sample = Sample(self._answered if plain else frozenset())
        self._flows: dict[Flow, Flow] = {}
        self._reported: set[tuple[int, IcmpError]] = set()
        self._ports: dict[str, set[int]] = {}
        self._start_ns = 0
        self._paired: tuple[Observation, ...] = ()
        self._paired_at = 0
        self.begin(mark_of(watch.probe), "")

    def begin(self, mark: Mark, source: str) -> None:
        """Take note of what the probe looks like on the wire and of the address it is sent from."""
        self.mark, self._source = mark, source
        self._ears, self._eyes = Recogniser(mark), Recogniser(mark)

    def expect(self, packet: bytes) -> Flow | None:
        """A packet is about to be sent: its flow, and from now on its answer is known."""
        read = self._read_back(packet)
        if read is not None:
            self._ears(read)
        return read.flow if read is not None else None

    def rehearsed(self, packet: bytes) -> Sequence[Observation]:
        """What would be said of an answer to a packet that is about to be sent; said nowhere."""
        protocol = PROTOCOL_NUMBERS.get(self.mark.protocol)
        if protocol is None:
            return ()
        book = Logbook(self.watch)
        book.begin(self.mark, self._source)
        book.expect(packet)
        book._sent[0] = 0
        answer = imagined(packet, self._source, self._asked, protocol)
        book.heard(Heard(0, answer))
        return book.said()

    def sent(self, sequence: int, flow: Flow | None, now_ns: int) -> None:
        """A packet was handed to the kernel; `flow` is what `expect` made of it."""
        self._start_ns = self._start_ns or now_ns
        self._sent[sequence] = now_ns
        self._unsaid.append((sequence, flow, now_ns))  # made an observation when there is time

    def _read_back(self, packet: bytes) -> DissectedPacket | None:
        probe = self.watch.probe
        if probe.protocol not in PROTOCOL_NUMBERS:
            return dissect(packet)
        return dissect_segment(packet, self._source, self._asked, PROTOCOL_NUMBERS[probe.protocol])

    def refused(self, sequence: int, error: OSError, now_ns: int) -> None:
        """The kernel refused a packet, or the socket for it."""
        self._sent[sequence] = now_ns  # some of its fragments may have left
        code = errno.errorcode.get(error.errno or 0, str(error))
        self._say("refused", now_ns, sequence=sequence, leg=Leg.REQUEST, text=code)

    def gave_up(self, error: OSError, now_ns: int) -> None:
        """Netprobe itself lacked what it takes to go on: before it sent anything, or while it waited for
        answers.
        """
        if not self._sent:
            self.refused(0, error, now_ns)
            return
        for kind in ("starved", "unheard"):  # the taps, and the sender's socket
            self._say(kind, now_ns, text=f"observing could not go on: {error.strerror}")

    def blind(self, namespace: str, why: str) -> None:
        """A namespace could not be looked at."""
        self._say("blind", self._start_ns, namespace=namespace, source=Source.TAP, text=why)

    def told(self, namespace: str, source: Source, text: str) -> None:
        """A sensor found something in a namespace, which is evidence of a loss there."""
        self._say("told", self._start_ns, namespace=namespace, source=source, text=text)

    def lost(self, namespace: str, frames: int, full: bool = False, beside: bool = False) -> None:
        """A tap had no room for some frames; one that was `full` took no more.

        What travels `beside` a probe proves less: without it the answer stands, and only that place was not
        looked at.
        """
        what = "the tap of neighbours and fragments" if beside else "the tap"
        kind = "unkept" if beside else "starved"
        if full:
            self._say(
                kind,
                self._start_ns,
                namespace=namespace,
                source=Source.TAP,
                text=f"{what} was flooded and took no more frames",
            )
        elif frames:
            self._say(
                kind,
                self._start_ns,
                namespace=namespace,
                source=Source.TAP,
                text=f"{what} lost {frames} frames",
            )

    def deaf(self, why: str) -> None:
        """Nothing more comes of the sender's own socket."""
        self._say("unheard", self._start_ns, text=why)

    def unheard(self, answers: int) -> None:
        """The sender's own socket had no room for so many answers."""
        if answers:
            self._say("unheard", self._start_ns, text=f"the socket of the probe lost {answers} answers")

    def heard(self, heard: Heard) -> None:
        """Something came back to the sender's socket. Of several answers to one packet the first counts.

        An answer or error that was there before its packet was sent belongs to something else, or is forged.
        """
        if heard.error is not None:
            self._told(heard, heard.error)
            return
        found = self._ears(heard.packet) if heard.packet is not None else None
        if heard.packet is None or found is None or found.leg is not Leg.REPLY or found.error is not None:
            return
        sequence: int | None = found.sequence
        if self.mark.protocol is Protocol.UDP and self._ears.sequence_in(heard.packet.payload) is None:
            sequence = self._last_asked(heard.stamp_ns)
        if sequence is None or not self._is_later(sequence, heard.stamp_ns):
            return
        answered = sequence, self.watch.probe.takes(found.flow)
        if answered not in self._answered:
            self._answered.add(answered)
            text = "refused" if self.mark.protocol.refuses(found.text) else ""
            self._say(
                "answered", heard.stamp_ns, sequence=sequence, leg=Leg.REPLY, flow=found.flow, text=text
            )

    def _told(self, heard: Heard, error: IcmpError) -> None:
        """An ICMP error that the kernel gave to the sender's socket: believed by the token in it."""
        token = self.mark.payload(0)[:RUN_BYTES]
        if not token or heard.payload[: len(token)] != token:
            return  # quoted too short, or made up: the taps see more of it
        complete = self.mark.has_token and len(heard.payload) >= TOKEN_BYTES
        sequence = self._ears.sequence_in(heard.payload) if complete else self._last_asked(heard.stamp_ns)
        if (
            sequence is None
            or not self._is_later(sequence, heard.stamp_ns)
            or (sequence, error) in self._reported
        ):
            return
        if len(self._reported) >= MOST_ERRORS:
            return
        self._reported.add((sequence, error))
        self._say(
            "refused", heard.stamp_ns, source=Source.ICMP, sequence=sequence, leg=Leg.REQUEST, error=error
        )

    def _is_later(self, sequence: int, stamp_ns: int) -> bool:
        """Whether this packet was sent, and before that moment."""
        return sequence in self._sent and self._sent[sequence] <= stamp_ns

    def _last_asked(self, stamp_ns: int) -> int | None:
        """The packet that an answer without a token belongs to: the last one sent before it that has no
        answer yet.
        """
        before = (sequence for sequence, sent_ns in reversed(self._sent.items()) if sent_ns <= stamp_ns)
        return next((sequence for sequence in before if (sequence, True) not in self._answered), None)

    def took(self, tap: Tap | DistantTap, taken: Haul | Sequence[Taken]) -> None:
        """A tap took some frames; they are looked at when somebody asks for what they are."""
        self._taken.append((tap, taken))
        self.waiting += len(taken)

    def look(self) -> None:
        """Look at what was taken so far: there is time."""
        unsaid, self._unsaid = self._unsaid, []
        for sequence, flow, now_ns in unsaid:
            self._say("sent", now_ns, sequence=sequence, leg=Leg.REQUEST, flow=flow)
        taken, self._taken, self.waiting = self._taken, [], 0
        frames = (tap.caught(each) for tap, some in taken for each in some)
        for frame in sorted(frames, key=lambda caught: caught.stamp_ns):
            self.caught(frame)
        self._sample.thin(self._caught, self._so_far)

    def caught(self, frame: Caught) -> None:
        """A tap caught a frame."""
        packet = dissect(frame.frame, frame.link_type)
        if packet is None:
            return
        found = self._eyes(packet, _point(frame))
        sequence = sequence_of(found)
        if self._sample.is_spare(sequence):
            return
        self._caught.append(Kept(frame, packet, sequence))
        if found is not None and self._is_of_the_run(frame, found):
            self._so_far.append(self._sighting(frame, found))

    def _is_of_the_run(self, frame: Caught, found: Recognised) -> bool:
        """Whether a frame may belong to what was sent: one that was there before it does not."""
        return found.leg is None or self._is_later(found.sequence, frame.stamp_ns + frame.bound_ns)

    def decided(self, now_ns: int) -> int:
        """How many of the first packets are answered, refused, or were sent longer ago than is waited for an
        answer.
        """
        ended = {each.sequence for each in self.observations() if each.kind in ("answered", "refused")}
        timeout = self.watch.probe.timeout_ns
        waiting = (at for at, ns in self._sent.items() if at not in ended and now_ns - ns < timeout)
        return min(waiting, default=len(self._sent))

    def said(self) -> Sequence[Observation]:
        """What is known without looking at the frames: answers that came back to the sender, refusals."""
        return self._said

    def progress(self) -> Sequence[Observation]:
        """What is known by now, good enough to decide whether to wait on."""
        self.look()
        if self.watch.probe.protocol in PROTOCOL_NUMBERS:
            return self._so_far
        known = len(self._caught) + len(self._said)
        if known > self._paired_at:  # the answers of ARP are known by their order only
            self._paired_at, self._paired = known, self.observations()
        return self._paired

    def observations(self) -> tuple[Observation, ...]:
        """Everything, in the order of time."""
        self.look()
        self._caught.sort(key=lambda kept: kept.frame.stamp_ns)
        found = self._recognised()
        answers = self._pair(found)
        seen = [
            self._sighting(
                frame, found[i] if i not in answers else replace(found[i], leg=Leg.REPLY, sequence=answers[i])
            )
            for i, (frame, _, _) in enumerate(self._caught)
            if i in found
        ]
        arrived = [replace(self._sighting(self._caught[i].frame, found[i]), kind="answered", leg=Leg.REPLY,
            sequence=sequence, frame=b"")
                   for i, sequence in answers.items() if self._is_home(self._caught[i].frame)]  # fmt: skip
        return tuple(
            sorted(
                (*self._said, *seen, *arrived),
                key=lambda observation: (observation.stamp_ns, observation.kind == "answered"),
            )
        )

    def _recognised(self) -> dict[int, Recognised]:
        """By index in what was caught.

        Later fragments last: they are known by their first one, which they may overtake.
        """
        eyes, found = Recogniser(self.mark), {}
        firsts: dict[object, bytes] = {}
        for i in sorted(range(len(self._caught)), key=lambda i: self._caught[i].packet.fragment > 0):
            frame, packet, _ = self._caught[i]
            recognised = eyes(packet, _point(frame))
            if recognised is not None and not self._is_of_the_run(frame, recognised):
                recognised = None
            if recognised is not None and packet.key is not None:
                datagram = (_point(frame), recognised.leg, recognised.sequence, recognised.error)
                if packet.fragment and datagram in firsts and frame.link_type == ETHERNET:
                    recognised = self._mend(i, firsts[datagram], recognised)
                firsts.setdefault(datagram, frame.frame)
            if recognised is not None:
                found[i] = recognised
        return found

    def _mend(self, i: int, first: bytes, recognised: Recognised) -> Recognised:
        """Give a later fragment the headers it had when it was caught."""
        frame = self._caught[i].frame
        data = restored(first, frame.frame)
        mended = dissect(data)
        if data == frame.frame or mended is None:
            return recognised
        self._caught[i] = self._caught[i]._replace(frame=replace(frame, frame=data), packet=mended)
        return replace(recognised, flow=mended.flow)

    def _pair(self, found: Mapping[int, Recognised]) -> dict[int, int]:
        """The answers to our ARP or ND requests, by index in what was caught, with their sequence."""
        if self.mark.protocol in PROTOCOL_NUMBERS:
            return {}
        asked = [
            i for i, recognised in sorted(found.items()) if recognised.flow.protocol is self.mark.protocol
        ]
        words = [_word(*self._caught[i][:2], found[i]) for i in asked]
        return {asked[n]: sequence for n, sequence in pair(words).items()}

    def _is_home(self, frame: Caught) -> bool:
        source = self.watch.probe.source
        incoming = frame.packet_type != PACKET_OUTGOING
        return (
            incoming
            and frame.namespace == self.home
            and frame.interface == (self.watch.probe.device or source.interface)
            and frame.index not in self._ports.get(frame.namespace, ())
        )

    def doubtful(self) -> Mapping[str, set[int]]:
        """The interfaces that saw frames to another station, or answers to a question on the segment, by
        namespace:

        `ports` wants to know which are bridge ports.
        """
        self.look()
        doubtful: dict[str, set[int]] = {}
        for frame, _, _ in self._caught:
            asked_here = self.watch.probe.protocol.on_segment and self._is_home(frame)
            if asked_here or frame.packet_type == PACKET_OTHERHOST:
                doubtful.setdefault(frame.namespace, set()).add(frame.index)
        return doubtful

    def ports(self, namespace: str, indexes: set[int]) -> None:
        """These interfaces of `namespace` are ports, where a frame to another station is an ordinary one
        coming in; what is for the port itself, its bridge takes before whoever asks there
        (net/core/dev.c, __netif_receive_skb_core: the rx_handler).
        """
        self._ports[namespace] = indexes

    def _sighting(self, frame: Caught, found: Recognised) -> Observation:
        flow = self._flows.setdefault(found.flow, found.flow)
        return Observation(
            Source.TAP, "seen", frame.namespace, frame.stamp_ns - self._start_ns, frame.interface,
            self._bound(frame), found.leg,
            found.sequence, flow, found.error, found.text, frame.frame, frame.wire_length,
            frame.stamp_ns, frame.link_type,
        )  # fmt: skip

    def _bound(self, frame: Caught) -> str:
        if frame.packet_type == PACKET_OUTGOING:
            return "out"
        stranger = frame.packet_type == PACKET_OTHERHOST and frame.index not in self._ports.get(
            frame.namespace, ()
        )
        return "other" if stranger else "in"

    def _say(
        self,
        kind: str,
        stamp_ns: int,
        *,
        source: Source = Source.SOCKET,
        namespace: str = "",
        sequence: int = 0,
        leg: Leg | None = None,
        flow: Flow | None = None,
        error: IcmpError | None = None,
        text: str = "",
    ) -> None:
        self._start_ns = self._start_ns or stamp_ns
        observation = Observation(
            source,
            kind,
            namespace or self.home,
            stamp_ns - self._start_ns,
            None,
            None,
            leg,
            sequence,
            flow and self._flows.setdefault(flow, flow),
            error,
            text,
            stamp_ns=stamp_ns,
        )
        self._said.append(observation)
        self._so_far.append(observation)


def _point(frame: Caught) -> tuple[str, str, bool]:
    return frame.namespace, frame.interface, frame.packet_type == PACKET_OUTGOING


def _word(frame: Caught, packet: DissectedPacket, found: Recognised) -> Word:
    """An ARP or ND packet as a question or an answer."""
    is_answer = found.flow.icmp_type in ANSWER_TYPES
    station = (packet.hardware[0] if packet.hardware else found.flow.src_mac) or ""
    sequence = found.sequence if found.leg is Leg.REQUEST else None
    outgoing = frame.packet_type == PACKET_OUTGOING
    return Word(
        (frame.namespace, frame.interface),
        outgoing,
        frame.stamp_ns,
        found.flow,
        sequence,
        station if is_answer else "",
        is_answer,
    )
