"""One case before the catalogue: the question, the prediction, what was seen, and where the two part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from msgspec import Struct, field
from msgspec.structs import replace

from netprobe.model import (
    Cause,
    Command,
    Confidence,
    End,
    Evidence,
    Hop,
    IcmpError,
    Leg,
    Observation,
    Place,
    Probe,
    Protocol,
    Snapshot,
    Source,
    Stage,
    Stop,
    Walk,
    lookup,
)
from netprobe.model.lookup import column
from netprobe.model.report import KINDS, PROOFS
from netprobe.predict.outcome import is_group
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed

from .correlate import answers, frames, unseen
from .repair.other import Other
from .unanswered import unanswered

UNTRIED = "the search for the cause took long and was ended"
"""How a note begins that says what was not tried."""


def told_of(untried: str) -> tuple[str, ...]:
    """The note on what was not tried; none where all was."""
    return (f"{UNTRIED}: {untried}",) if untried else ()


class Case(Struct, frozen=True):
    """Everything a cause may look at. `request` and `reply` are the hops with what was observed at each.

    `others` are repairs besides `stop` that alone would do. `before` is the configuration of an earlier run
    in which the probe passed, where one is known. `by_chance`: rules send some packets one way and others
    another, and this is the case of those that are lost. `untried`: of the repairs that could be the cause,
    what was not tried.
    """

    snapshot: Snapshot
    probe: Probe
    prediction: Prediction | None
    observations: Sequence[Observation]
    request: tuple[Hop, ...]
    reply: tuple[Hop, ...]
    watched: bool = True
    stop: Stop | None = None
    leg: Leg | None = None
    errors: tuple[IcmpError, ...] = field(default=())
    others: tuple[Other, ...] = ()
    before: Snapshot | None = None
    by_chance: bool = False
    untried: str = ""

    def of_kind(self, *kinds: str) -> tuple[Observation, ...]:
        """The observations of these kinds."""
        return lookup.among(self.observations, kind=kinds)

    @property
    def answers(self) -> tuple[Observation, ...]:
        """The answers that the sender takes: those to a neighbour solicitation are for its kernel, whose
        filters are behind the tap that hears them (ip6_input, ndisc_rcv); of TCP none that comes in a frame
        for more than one station (tcp_v4_rcv, tcp_v6_rcv).
        """
        end = self.foreseen.place if self.foreseen is not None else None
        at_home = Place(self.probe.source.namespace, self.probe.device, Stage.INPUT)
        refused = self.probe.protocol is Protocol.ND and end == at_home
        came = lookup.where(self.of_kind("seen"), namespace=at_home.namespace, bound="in", leg=Leg.REPLY)
        macs = column(came, "flow.dst_mac") if self.probe.protocol is Protocol.TCP else ()
        return () if refused or any(map(is_group, macs)) else answers(self.probe, self.observations)

    @property
    def walks(self) -> tuple[Walk, ...]:
        """The predicted ways; none where nothing was predicted."""
        return () if self.prediction is None else self.prediction.walks

    @property
    def is_unforeseen(self) -> bool:
        """Whether nobody can tell how a way ends."""
        return not self.walks or lookup.has(self.walks, end=End.UNDETERMINED)

    @property
    def foreseen(self) -> Stop | None:
        """What is predicted to stop the probe, on either way."""
        return None if self.prediction is None else self.prediction.stop

    @property
    def end(self) -> End | None:
        """How the request's way is predicted to end."""
        return None if self.prediction is None else self.prediction.request.end

    @property
    def broken(self) -> tuple[Hop, ...]:
        """The hops of the leg that failed."""
        return self.reply if self.leg is Leg.REPLY else self.request

    @property
    def lost_leg(self) -> Leg:
        """The leg that failed; the request where that is not told."""
        return self.leg or Leg.REQUEST

    @property
    def routed(self) -> tuple[Routed, ...]:
        """The predicted routing decisions."""
        return () if self.prediction is None else self.prediction.routed

    def hops(self, leg: Leg) -> tuple[Hop, ...]:
        """The hops of one leg."""
        return self.request if leg is Leg.REQUEST else self.reply

    def last_seen(self, leg: Leg) -> Hop | None:
        """The last hop of a leg at which the packet was seen."""
        return lookup.find(reversed(self.hops(leg)), observed=True)

    def first_missed(self, leg: Leg) -> Hop | None:
        """The first hop behind the last one seen where a sensor saw nothing."""
        return lookup.find(self.not_seen(leg), observed=False)

    def not_seen(self, leg: Leg) -> tuple[Hop, ...]:
        """The hops of a leg behind the last one seen."""
        return unseen(self.hops(leg))

    def suspects(self, leg: Leg) -> tuple[Stop, ...]:
        """What may have stopped a leg between the last hop it was seen at and the first one where it was
        missed.
        """
        behind, missed = self.not_seen(leg), self.first_missed(leg)
        end = len(behind) if missed is None else behind.index(missed) + 1
        return suspects_of(behind[:end])

    def is_missed(self, leg: Leg) -> bool:
        """Whether a sensor saw nothing behind the last hop of a leg that was seen."""
        return self.first_missed(leg) is not None

    def stopped(self, *codes: str) -> Stop | None:
        """The predicted end, when it is one of these codes."""
        if self.stop is not None and self.stop.code in codes:
            return self.stop
        return None

    def by_stop(self, code: str, *fix: Command) -> Cause | None:
        """The cause that the end of the walk names, when it is `code`; `fix` stands in where the walk knew no
        command.
        """
        stop = self.stopped(code)
        if stop is None:
            return None
        return self.cause(stop if stop.fix else replace(stop, commands=fix))

    def cause(self, stop: Stop, summary: str = "", *more: Evidence) -> Cause:
        """A cause made of a predicted end, with the evidence of the model and of the taps."""
        because = self.cause(stop.because) if stop.because else None
        evidence = (
            Evidence(Source.MODEL, stop.text),
            *(Evidence(Source.MODEL, p) for p in stop.proof),
            *more,
            *self.witnesses(stop.place),
        )
        seen = lookup.but(evidence, source=Source.MODEL)
        confidence = Confidence.CORROBORATED if seen else Confidence.INFERRED
        return Cause(stop.code, stop.place, summary or stop.text, stop.object, evidence, confidence, (),
            because,
                     stop.commands, stop.advice)  # fmt: skip

    def witnesses(self, place: Place | None = None) -> tuple[Evidence, ...]:
        """What the taps and sockets say about the place of the loss; `place` is that of the cause."""
        if not self.watched or self.leg is None:
            return ()
        last, missed = self.last_seen(self.leg), self.first_missed(self.leg)
        routed = lookup.where(self.routed, leg=self.leg)
        return (
            *_observed(Source.TAP, "last seen at {}", (self._arrived(place) or where(last),)),
            *_observed(Source.TAP, "not seen at {}", (where(missed),)),
            *self._proofs(place),
            *_observed(Source.ICMP, "{0.sender} sent ICMP type {0.type} code {0.code}", self.errors[:1]),
            *unanswered(self.hops(self.leg), routed, self.observations),
        )

    def _proofs(self, place: Place | None) -> Iterator[Evidence]:
        """What observations say by themselves, the first of each kind, source and namespace: the sender's
        socket of any loss, others of one in their namespace.
        """
        told = lookup.but(self.of_kind(*PROOFS), text="")
        for o in lookup.first(told, lambda o: (o.kind, o.source, o.namespace)).values():
            if place is None or o.source is Source.SOCKET or o.namespace == place.namespace:
                yield Evidence(o.source, KINDS[o.kind].proof.format(o.text), Confidence.OBSERVED)

    def _arrived(self, place: Place | None) -> str | None:
        """The place itself, where a question to everybody came: no walk leads there, if nobody answers."""
        if place is None or place.interface is None or not self.probe.protocol.on_segment:
            return None
        here = {"namespace": place.namespace, "interface": place.interface, "leg": self.leg}
        if lookup.find(frames(self.observations), **here):
            return f"{place.namespace}/{place.interface}"
        return None


def suspects_of(hops: Iterable[Hop]) -> tuple[Stop, ...]:
    """What may stop the packet at these hops, though nobody can tell by reading it."""
    return tuple(chain.from_iterable(column(hops, "suspects")))


def _observed(source: Source, text: str, found: Iterable[object]) -> Iterator[Evidence]:
    """What was seen of things, as far as there are any."""
    return (Evidence(source, text.format(each), Confidence.OBSERVED) for each in filter(None, found))


def where(hop: Hop | None) -> str:
    """A hop's place in a word: host/veth0, or the namespace alone; nothing where there is none."""
    if hop is None:
        return ""
    return "/".join(filter(None, (hop.namespace, hop.interface)))


def source_place(case: Case) -> Place:
    """The sender's own place, for a loss nothing more is known of."""
    return Place(case.probe.source.namespace, case.probe.source.interface, Stage.OUTPUT)
