"""Answers from another source than was asked: which of them the far end sent, and which somebody else put in.

Pure.

A UDP answer has nothing of the probe in it, and anybody who guesses its port can send one; whoever has seen
the probe can answer any. The taps tell them apart: an answer comes out of the namespace where the request was
last seen to arrive, or in where it went out of sight, and from there on may be translated. What bears another
source and first shows up elsewhere is no answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Hop, Leg, Observation, Probe, Stage
from netprobe.model.lookup import but, find, first, where
from netprobe.predict.prediction import Prediction

from .correlate import frames, is_probe

NOISE = "no answer: its source was not asked, and it was not seen coming from the destination"
_Form = tuple[str, int | None, str, int | None]


class Heeded(Struct, frozen=True):
    """The observations that count, and a note on those that do not.

    A frame that does not count belongs to no leg.
    """

    observations: tuple[Observation, ...]
    notes: tuple[str, ...] = ()


def heeded(probe: Probe, prediction: Prediction | None, observations: Sequence[Observation]) -> Heeded:
    """Sort out what was put in by strangers."""
    if probe.protocol.on_segment:
        return Heeded(tuple(observations))
    ours = _origins(prediction, observations)
    kept = (_judged(probe, o, ours) for o in observations)
    sources = sorted({form[0] for form, own in ours.items() if not own})
    more = f" and {len(sources) - 1} others" if len(sources) > 1 else ""
    said = f"{more} sent datagrams to the probe's port that did not come from the destination"
    notes = tuple(source + said for source in sources[:1])
    return Heeded(tuple(filter(None, kept)), notes)


def _judged(probe: Probe, o: Observation, ours: dict[_Form, bool]) -> Observation | None:
    """An observation as it counts; None for an answer that nobody saw on its way."""
    if o.flow is None or (o.leg, o.error) != (Leg.REPLY, None):
        return o
    own = ours.get(_form(o))
    if o.kind == "answered":
        return o if own or probe.takes(o.flow) else None
    if o.kind == "seen" and own is False:
        return replace(o, leg=None, text=NOISE)
    return o


def _origins(prediction: Prediction | None, observations: Sequence[Observation]) -> dict[_Form, bool]:
    """The addresses and ports of the answers, and whether they came from the destination, by their first
    sighting.
    """
    seen = [*filter(is_probe, but(frames(observations), flow=None))]
    requests = where(seen, leg=Leg.REQUEST)
    far, ours = _far_side(prediction, requests), dict.fromkeys(_reversed(requests), True)
    bridges = _taking_up(prediction)
    passed: set[str] = set()  # the namespaces that an answer came into
    for o in where(seen, leg=Leg.REPLY):
        goes_out = o.bound == "out"
        inside = goes_out or (o.namespace, o.interface) in bridges
        begins = _comes_from(far, o) or (inside and o.namespace in passed)
        if ours.setdefault(_form(o), begins) and not goes_out:
            passed.add(o.namespace)
    return ours


def _taking_up(prediction: Prediction | None) -> set[tuple[str, str | None]]:
    """The bridges that are to hand an answer up to their host: what no port of theirs has seen was translated
    there (br_nf_pre_routing_finish).
    """
    if prediction is None or prediction.reply is None:
        return set()
    hops = where(prediction.reply.hops, stage=Stage.BRIDGE_INPUT)
    return {(hop.namespace, hop.interface) for hop in hops}


def _reversed(requests: Sequence[Observation]) -> set[_Form]:
    """The answers that are as they must be: each turns a request round."""
    return {o.flow.reversed().ends for o in requests if o.flow is not None}


def _form(o: Observation) -> _Form:
    assert o.flow is not None
    return o.flow.ends


def _far_side(prediction: Prediction | None, requests: Sequence[Observation]) -> Observation | None:
    """The request where it was seen last on its predicted way, or at all where there is none."""
    if prediction is None or not prediction.request.hops:
        return next(reversed(requests), None)
    at = first(requests, lambda o: (o.namespace, o.interface, o.bound))
    hops = reversed(prediction.request.hops)
    return next(filter(None, (at.get((hop.namespace, hop.interface, hop.bound)) for hop in hops)), None)


def _comes_from(far: Observation | None, answer: Observation) -> bool:
    """Whether an answer begins its way where the request ended."""
    if far is None or answer.time_ns < far.time_ns or answer.namespace != far.namespace:
        return False
    came_in, goes_out = far.bound == "in", answer.bound == "out"
    return came_in is goes_out and (came_in or answer.interface == far.interface)


def sent_by_another(hops: Sequence[Hop], observations: Sequence[Observation]) -> Observation | None:
    """An answer that leaves the far end with another source than the address the request arrived there for.

    `hops`: the request's.
    """
    last = find(reversed(hops), observed=True)
    if last is None or last.namespace != hops[-1].namespace:
        return None
    answers = where(frames(observations), leg=Leg.REPLY, namespace=last.namespace)
    leaving = where(answers, bound="out") if last.bound == "in" else but(answers, bound="out")
    went = next(filter(is_probe, but(leaving, flow=None)), None)
    asked = (last.flow.dst, last.flow.dport)
    return None if went is None or _form(went)[:2] == asked else went
