"""What was found: hops, observations, causes and the report, shaped as the JSON that scripts rely on."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import force_setattr

from .command import Command, lines
from .flow import Flow, IcmpError, Probe
from .lookup import among
from .place import Blind, Object, Place, Stage

HELD = " is held by "  # in the note on a port: which program holds it, no recording tells


class Verdict(StrEnum):
    """The answer to the question that was asked."""

    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"
    INTERMITTENT = "intermittent"
    UNDETERMINED = "undetermined"


class Leg(StrEnum):
    """Which way a packet goes: the request from SRC to DST, or the reply back."""

    REQUEST = "request"
    REPLY = "reply"


class Agreement(StrEnum):
    """How prediction and observation stand to each other."""

    CONFIRMED = "confirmed"
    PREDICTED_ONLY = "predicted-only"
    OBSERVED_ONLY = "observed-only"
    DISAGREE = "disagree"


class Source(StrEnum):
    """Where a piece of evidence comes from."""

    MODEL = "model"
    TAP = "tap"
    WITNESS = "witness"
    COUNTER = "counter"
    CONNTRACK = "conntrack"
    SOCKET = "socket"
    ICMP = "icmp"
    NEIGHBOUR = "neighbour"


class Confidence(StrEnum):
    """How sure a statement is: seen, seen from two sides, concluded, or not known."""

    OBSERVED = "observed"
    CORROBORATED = "corroborated"
    INFERRED = "inferred"
    UNKNOWN = "unknown"


NO_OBJECT = Object("", "")


class Change(Struct, frozen=True, gc=False, rename={"before": "from", "after": "to"}):
    """One header field that changed at a hop, and what changed it (MASQUERADE, SNAT, DNAT, REDIRECT, forward,
    ...).

    A msgspec Struct, not a dataclass, because its JSON keys "from" and "to" cannot be Python field names.
    """

    field: str
    before: str
    after: str
    by: str


class Hop(Struct, frozen=True, gc=False):
    """One place that decides about or shows the packet; `flow` is the packet as it leaves here.

    `observed` None: no sensor there; False: a sensor was armed there and saw nothing. `time_ns` counts from
    the send. `bound` is the side of the interface on which a tap sees the packet ("in", "out"), None for a
    place without a tap. `suspects` lie between the hop before and this one: what may stop the packet there,
    though nobody can tell by reading it. `reached` False: it lies behind the place where the packet ended,
    and is shown as the way that is still to go. `ends`: it is the decision that ended the packet, in a place
    to which it came and where the cause does not lie.
    """

    n: int
    namespace: str
    interface: str | None
    stage: Stage
    flow: Flow
    predicted: bool = True
    observed: bool | None = None
    time_ns: int | None = None
    changes: tuple[Change, ...] = ()
    object: Object | None = None
    note: str = ""
    bound: str | None = None
    suspects: tuple[Stop, ...] = ()
    reached: bool = True
    ends: bool = False

    @property
    def place(self) -> Place:
        """The hop's place, without the packet."""
        return Place(self.namespace, self.interface, self.stage)

    @property
    def thing(self) -> Object:
        """The object; one of no kind and without an id where there is none."""
        return self.object or NO_OBJECT

    @property
    def tunnel_end(self) -> str | None:
        """The end of the tunnel that the packet is in; None where it is in none."""
        return self.flow.tunnel_end

    def change_of(self, *fields: str) -> Change | None:
        """The first change of one of these fields, or None."""
        return next(iter(among(self.changes, field=fields)), None)


class End(StrEnum):
    """How a walk ends."""

    DELIVER = "deliver"
    DROP = "drop"
    EXIT = "exit"
    UNDETERMINED = "undetermined"


class Stop(Struct, frozen=True, gc=False):
    """Why a predicted path does not go on: `code` of the cause that explains it, its place, object and proof.

    `suspects` are other readings of the same end, most likely first, for the diagnosis to weigh against what
    was seen. `commands` mend it; those that are `advice` alone go there. `fix` follows from both: the lines
    that a person would paste.
    """

    code: str
    place: Place
    text: str
    object: Object | None = None
    commands: tuple[Command, ...] = ()
    proof: tuple[str, ...] = ()
    because: Stop | None = None
    advice: str = ""
    fix: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _write_fix(self)

    @property
    def thing(self) -> Object:
        """The object; one of no kind and without an id where there is none."""
        return self.object or NO_OBJECT

    @property
    def about(self) -> tuple[str | None, str, str]:
        """What it names: the namespace, the kind of the object, and what tells it from others."""
        return self.place.namespace, self.thing.kind, self.thing.key

    @property
    def identity(self) -> tuple[str, str | None, str]:
        """What makes two ends one: code, namespace and object, however they are told."""
        return self.code, self.place.namespace, self.thing.id

    @property
    def is_to_fill_in(self) -> bool:
        """Whether a word of its commands is for the reader to know."""
        return any(command.blanks for command in self.commands)

    @property
    def is_unknown(self) -> bool:
        """Whether it says that nobody knows."""
        return self.code == "unknown"


def _write_fix(end: Stop | Cause) -> None:
    """The lines of `fix`, out of commands and advice.

    Where there are neither (an old report), what was read stays.
    """
    commands = tuple(command for command in end.commands if command.words)
    notes = (command.note for command in end.commands if not command.words)
    advice = end.advice or next(notes, "")
    if not commands and not advice:
        return
    force_setattr(end, "commands", commands)
    force_setattr(end, "advice", advice)
    written = map(str, lines(commands, end.place.namespace))
    remark = (f"# {' '.join(advice.split())}",) if advice else ()
    force_setattr(end, "fix", (*written, *remark))


class Walk(Struct, frozen=True, gc=False):
    """A predicted way of one packet: hops, how it ends, and why when it does not arrive."""

    hops: tuple[Hop, ...]
    end: End
    stop: Stop | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The namespace of each hop."""
        return tuple(hop.namespace for hop in self.hops)

    def __post_init__(self) -> None:
        if self.end in (End.DROP, End.UNDETERMINED) and self.stop is None:
            raise ValueError(f"a walk that ends in {self.end} must say why")


class Kind(Struct, frozen=True, gc=False):
    """What observations of one kind prove.

    `gap`: a place was not looked at, or not all the time; their `text` says which and why. `unseeing`: what
    the tap of their namespace did not see may have been there. `unsure`: an answer may have come that nobody
    saw. `unheard`: one may have come that the sender did not hear. `proof`: what is said of a loss, {} being
    their text; "" is nothing.
    """

    gap: bool = False
    unseeing: bool = False
    unsure: bool = False
    unheard: bool = False
    proof: str = ""


KINDS = {
    "sent": Kind(),  # handed to the kernel; `flow` has the ports really used
    "seen": Kind(),  # by a tap, the frame
    "answered": Kind(),  # the source got the answer; `text` is "refused" when that is a TCP reset
    # the socket call failed, `text` is the errno; with `error` set, an ICMP error read from the socket
    "refused": Kind(proof="the sender's socket call failed: {}"),
    "told": Kind(proof="{}"),  # what any other sensor found, in its own words
    "starved": Kind(gap=True, unseeing=True, unsure=True),  # a tap lost frames
    "unkept": Kind(gap=True),  # frames beside the probe were lost, ARP and later fragments
    "unheard": Kind(gap=True, unheard=True),  # the source's own socket had no room for answers
    "blind": Kind(gap=True, unseeing=True),  # a place could not be looked at
}
GAPS, UNSEEING, UNSURE, UNHEARD, PROOFS = (
    frozenset(name for name, kind in KINDS.items() if getattr(kind, each))
    for each in ("gap", "unseeing", "unsure", "unheard", "proof")
)


class Observation(Struct, frozen=True, gc=False):
    """One sensor's report on one packet of the probe.

    `kind` is one of KINDS, which say what it proves. `leg` None is a packet that belongs to
    neither (ARP, ND); an ICMP error has the leg of the packet that it quotes. `sequence` counts the probes
    from 0. `bound`: "in" or "out" of the interface; "other" for a frame to another station. `time_ns` counts
    from the first send, `stamp_ns` is the same moment since the epoch. `text` of a TCP segment is its flags
    ("SYN", "SYN ACK", "RST ACK"), of a later IP fragment "fragment at BYTES". `link_type` is pcap's LINKTYPE_
    of `frame`: 1 Ethernet, 101 a bare IP packet.
    """

    source: Source
    kind: str
    namespace: str
    time_ns: int
    interface: str | None = None
    bound: str | None = None
    leg: Leg | None = None
    sequence: int = 0
    flow: Flow | None = None
    error: IcmpError | None = None
    text: str = ""
    frame: bytes = b""
    wire_length: int = 0
    stamp_ns: int = 0
    link_type: int = 1

    @property
    def tunnel_end(self) -> str | None:
        """The end of the tunnel that the packet is in; None where it is in none, or no packet."""
        return self.flow.tunnel_end if self.flow is not None else None


class Evidence(Struct, frozen=True, gc=False):
    """One proof of a cause, with its source and how sure it is."""

    source: Source
    text: str
    confidence: Confidence = Confidence.INFERRED


class Changed(Object, frozen=True, gc=False):
    """An object that is otherwise than in an earlier run, or would be after a fix: where it is, and what it
    was and is.

    `before` None: it is new; `after` None: it is gone; both None: that is not known.
    """

    namespace: str = ""
    before: str | None = None
    after: str | None = None


class Cause(Struct, frozen=True, gc=False):
    """The thing to change: code, place, object, proof and fix; `because` is the cause behind it.

    `fix` holds lines to paste into the shell that netprobe was started from, quoted; a line that is not to be
    run as it stands is a comment to the shell. `commands` has the same as words, `advice` what no command
    does. `fix` follows from these two; in a report of an older netprobe it stands alone. `reason`
    says of an alternative why it comes second.
    """

    code: str
    place: Place
    summary: str
    object: Object | None = None
    evidence: tuple[Evidence, ...] = ()
    confidence: Confidence = Confidence.INFERRED
    fix: tuple[str, ...] = ()
    because: Cause | None = None
    commands: tuple[Command, ...] = ()
    advice: str = ""
    reason: str = ""
    changes: tuple[Changed, ...] = ()

    def __post_init__(self) -> None:
        _write_fix(self)


class Paths(Struct, frozen=True, gc=False):
    """The hops of both directions."""

    request: tuple[Hop, ...] = ()
    reply: tuple[Hop, ...] = ()

    def of(self, leg: Leg) -> tuple[Hop, ...]:
        """The hops of one direction."""
        return {Leg.REQUEST: self.request, Leg.REPLY: self.reply}[leg]


class Sighting(Struct, frozen=True, gc=False):
    """One captured frame, as the JSON lists it: the same order and number as the frames of the capture."""

    namespace: str
    interface: str
    bound: str
    leg: Leg | None
    sequence: int
    time_ns: int
    flow: Flow | None
    hop: int | None = None
    text: str = ""


class Answer(Struct, frozen=True, gc=False):
    """One answer of a station on the segment, for arping: who, how, after how many ns."""

    sequence: int
    address: str
    mac: str
    time_ns: int
    broadcast: bool
    note: str = ""


class Timings(Struct, frozen=True, gc=False):
    """How long the parts of a run took, in ns; what is one part is no other one's.

    `search_ns` is what the search for the cause took: candidates, each walked again, both ways.
    """

    snapshot_ns: int = 0
    predict_ns: int = 0
    observe_ns: int = 0
    diagnose_ns: int = 0
    search_ns: int = 0


class Since(Struct, frozen=True, gc=False):
    """An earlier run of the same question in which all was well, and what is otherwise now.

    `time` is when it started, in ns since the epoch; `at` is the same for people, in local time.
    """

    capture: str
    time: int
    at: str = ""
    changed: tuple[Changed, ...] = ()


class PassedRules(Struct, frozen=True, gc=False):
    """The rules that a packet has met and that matched, at one hook of the walk, in their order."""

    leg: Leg
    namespace: str
    stage: Stage
    rules: tuple[Object, ...]


class Report(Struct, frozen=True, gc=False):
    """The answer to one question: what scripts read and renderers show.

    `complete` False: it was interrupted. `sent` packets are decided then, of as many as `probe.count` asked
    for; where these are all, the cause was not found yet. `rules` are those that matched on the predicted
    way, whatever they said.
    """

    command: str
    probe: Probe
    verdict: Verdict
    summary: str
    schema: Literal["netprobe.report/1"] = "netprobe.report/1"
    direction: Leg | None = None
    sent: int = 0
    received: int = 0
    rtt_ns: tuple[int, ...] = ()
    path: Paths = field(default_factory=Paths)
    causes: tuple[Cause, ...] = ()
    blockers: tuple[Cause, ...] = ()
    alternatives: tuple[Cause, ...] = ()
    since: Since | None = None
    agreement: Agreement = Agreement.PREDICTED_ONLY
    blind: tuple[Blind, ...] = ()
    errors: tuple[IcmpError, ...] = ()
    answers: tuple[Answer, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    notes: tuple[str, ...] = ()
    capture: str | None = None
    timings: Timings = field(default_factory=Timings)
    complete: bool = True
    rules: tuple[PassedRules, ...] = ()
