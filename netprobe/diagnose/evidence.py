"""One case before the catalogue: the question, the prediction, what was seen, and where the two part."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from netprobe.model import (
    Cause,
    Command,
    Confidence,
    Evidence,
    Hop,
    IcmpError,
    Leg,
    Observation,
    Place,
    Probe,
    Snapshot,
    Source,
    Stage,
    Stop,
)
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed

from .correlate import frames
from .repair.other import Other
from .unanswered import unanswered


class Case(Struct, frozen=True):
    """Everything a cause may look at. `request` and `reply` are the hops with what was observed at each.

    `others` are repairs besides `stop` that alone would do. `before` is the configuration of an earlier run
    in which the probe passed, where one is known.
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

    def of_kind(self, kind: str) -> tuple[Observation, ...]:
        """The observations of one kind."""
        return tuple(o for o in self.observations if o.kind == kind)

    def hops(self, leg: Leg) -> tuple[Hop, ...]:
        """The hops of one leg."""
        return self.request if leg is Leg.REQUEST else self.reply

    def last_seen(self, leg: Leg) -> Hop | None:
        """The last hop of a leg at which the packet was seen."""
        return next((hop for hop in reversed(self.hops(leg)) if hop.observed), None)

    def first_missed(self, leg: Leg) -> Hop | None:
        """The first hop behind the last one seen where a sensor saw nothing."""
        hops = self.hops(leg)
        last = self.last_seen(leg)
        behind = hops[hops.index(last) + 1 :] if last is not None else hops
        return next((hop for hop in behind if hop.observed is False), None)

    def suspects(self, leg: Leg) -> tuple[Stop, ...]:
        """What may have stopped a leg between the last hop it was seen at and the first one where it was
        missed.
        """
        hops = self.hops(leg)
        last, missed = self.last_seen(leg), self.first_missed(leg)
        start = hops.index(last) + 1 if last is not None else 0
        end = hops.index(missed) + 1 if missed is not None else len(hops)
        return tuple(stop for hop in hops[start:end] for stop in hop.suspects)

    def stopped(self, *codes: str) -> Stop | None:
        """The predicted end, when it is one of these codes."""
        return self.stop if self.stop is not None and self.stop.code in codes else None

    def by_stop(self, code: str, *fix: Command) -> Cause | None:
        """The cause that the end of the walk names, when it is `code`; `fix` stands in where the walk knew no
        command.
        """
        stop = self.stopped(code)
        return None if stop is None else self.cause(stop if stop.fix else replace(stop, commands=fix))

    def cause(self, stop: Stop, summary: str = "", *more: Evidence) -> Cause:
        """A cause made of a predicted end, with the evidence of the model and of the taps."""
        because = self.cause(stop.because) if stop.because else None
        evidence = (
            Evidence(Source.MODEL, stop.text),
            *(Evidence(Source.MODEL, p) for p in stop.proof),
            *more,
            *self.witnesses(stop.place),
        )
        seen = any(e.source is not Source.MODEL for e in evidence)
        confidence = Confidence.CORROBORATED if seen else Confidence.INFERRED
        return Cause(stop.code, stop.place, summary or stop.text, stop.object, evidence, confidence, (),
            because,
                     stop.commands, stop.advice)  # fmt: skip

    def witnesses(self, place: Place | None = None) -> tuple[Evidence, ...]:
        """What the taps and sockets say about the place of the loss; `place` is that of the cause."""
        if not self.watched or self.leg is None:
            return ()
        found = []
        last, missed = self.last_seen(self.leg), self.first_missed(self.leg)
        if (seen := self._arrived(place) or (where(last) if last is not None else None)) is not None:
            found.append(Evidence(Source.TAP, f"last seen at {seen}", Confidence.OBSERVED))
        if missed is not None:
            found.append(Evidence(Source.TAP, f"not seen at {where(missed)}", Confidence.OBSERVED))
        for refusal in [o for o in self.of_kind("refused") if o.text][:1]:
            found.append(
                Evidence(
                    Source.SOCKET, f"the sender's socket call failed: {refusal.text}", Confidence.OBSERVED
                )
            )
        for error in self.errors[:1]:
            found.append(
                Evidence(
                    Source.ICMP,
                    f"{error.sender} sent ICMP type {error.type} code {error.code}",
                    Confidence.OBSERVED,
                )
            )
        found += unanswered(*self._way(self.leg), self.observations)
        return tuple(found)

    def _arrived(self, place: Place | None) -> str | None:
        """The place itself, where a question to everybody came: no walk leads there, if nobody answers."""
        exchange = self.probe.protocol.on_segment
        if place is None or place.interface is None or not exchange:
            return None
        here = (place.namespace, place.interface, self.leg)
        came = any((o.namespace, o.interface, o.leg) == here for o in frames(self.observations))
        return f"{place.namespace}/{place.interface}" if came else None

    def _way(self, leg: Leg) -> tuple[tuple[Hop, ...], tuple[Routed, ...]]:
        """The hops of a leg, and its routing decisions."""
        routed = self.prediction.routed if self.prediction is not None else ()
        hops = self.hops(leg)
        return hops, tuple(each for each in routed if each.leg is leg)


def where(hop: Hop) -> str:
    """A hop's place in a word: host/veth0, or the namespace alone."""
    return f"{hop.namespace}/{hop.interface}" if hop.interface else hop.namespace


def source_place(case: Case) -> Place:
    """The sender's own place, for a loss nothing more is known of."""
    return Place(case.probe.source.namespace, case.probe.source.interface, Stage.OUTPUT)
