"""Laying what the taps saw over the predicted hops: seen here, not seen there, changed in between. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import filterfalse, takewhile

from msgspec.structs import replace

from netprobe.model import Flow, Hop, Leg, Observation, Probe, Protocol, Sighting, Stage
from netprobe.model.lookup import among, but, column, not_among, where
from netprobe.predict.trace import changes

_TAPPED = (
    Stage.TRANSMIT,
    Stage.RECEIVE,
    Stage.BRIDGE_PREROUTING,
    Stage.BRIDGE_INPUT,
    Stage.BRIDGE_POSTROUTING,
)
# sightings that a way has beside its hops: four times what a packet with a TTL of 64 leaves in a circle
_MOST_UNPREDICTED = 1000


def frames(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """The observations that are captured frames, by time."""
    seen = not_among(where(observations, kind="seen"), interface=(None, ""))
    return tuple(sorted(seen, key=lambda o: o.time_ns))


def answers(probe: Probe, observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """The answers that the sender's socket takes."""
    return tuple(o for o in where(observations, kind="answered") if probe.takes(o.flow))


def best_sequence(observations: Sequence[Observation]) -> int:
    """The probe to show: the first that was answered, else the one seen in most places."""
    answered: list[int] = [*column(where(observations, kind="answered"), "sequence")]
    if answered:
        return min(answered)
    counts = Counter(column(but(frames(observations), leg=None), "sequence"))
    return max(counts, key=lambda sequence: (counts[sequence], -sequence), default=0)


def lost_sequence(observations: Sequence[Observation], count: int) -> int:
    """A probe of `count` that was sent and not answered, or refused: the last one, because limits let the
    first ones pass.
    """
    return max({*range(count)} - taken(where(observations, kind="answered")), default=0)


def taken(answers: Iterable[Observation]) -> set[int]:
    """The probes that were answered, and not by a refusal."""
    return {*column(but(answers, text="refused"), "sequence")}


def lay(
    hops: Sequence[Hop], leg: Leg, observations: Sequence[Observation], tapped: frozenset[str], sequence: int
) -> tuple[Hop, ...]:
    """The predicted hops of one leg with what was observed at each, and the hops that were seen but not
    predicted.
    """
    left = list(where(frames(observations), leg=leg, sequence=sequence, error=None))
    if not any(hop.flow.protocol.on_segment for hop in hops):
        left = [*filterfalse(is_neighbour, left)]
    laid = [_laid(hop, left, tapped) for hop in hops]
    # A flood's copies on other ports are not the path; only a path that went elsewhere than predicted, or
    # a request that was to end before the first tap, is shown in full.
    seen = {*column(laid, "observed")}
    elsewhere = False in seen or (leg is Leg.REQUEST and True not in seen)
    extra = _different(but(left, bound="other")) if elsewhere else []
    return numbered(_with_changes(_merge(laid, extra)))


def _laid(hop: Hop, left: list[Observation], tapped: frozenset[str]) -> Hop:
    """A predicted hop with what was observed there, which is taken out of what is `left`."""
    match = _match(hop, left)
    if match is None:
        return replace(hop, observed=False if hop.bound and hop.namespace in tapped else None)
    left.remove(match)
    return replace(hop, observed=True, time_ns=match.time_ns, flow=match.flow or hop.flow)


def _different(seen: Iterable[Observation]) -> list[Observation]:
    """The sightings without copies at the same place with the same headers, of which somebody can send any
    number.
    """
    first = {(o.namespace, o.interface, o.bound, o.flow): o for o in reversed(list(seen))}
    return sorted(first.values(), key=lambda o: o.time_ns)[:_MOST_UNPREDICTED]


def unseen(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    """The hops behind the last one at which the packet was seen."""
    return tuple(reversed([*takewhile(_is_unseen, reversed(hops))]))


def _is_unseen(hop: Hop) -> bool:
    return not hop.observed


def is_neighbour(observation: Observation) -> bool:
    """Whether the frame is ARP or neighbour discovery rather than the probe."""
    return observation.flow is not None and observation.flow.protocol.on_segment


def _match(hop: Hop, seen: Sequence[Observation]) -> Observation | None:
    if hop.stage not in _TAPPED:
        return None
    bounds = _BOUNDS.get(hop.bound, ())
    here = where(seen, namespace=hop.namespace, interface=hop.interface)
    return min(among(here, bound=bounds), key=lambda o: bounds.index(o.bound), default=None)


# How a frame was bound that is seen at a hop; "other": it came in, and is for another station.
_BOUNDS: dict[str | None, tuple[str, ...]] = {"in": ("in", "other"), "out": ("out",)}


def _merge(laid: list[Hop], extra: Sequence[Observation]) -> list[Hop]:
    """Put the unpredicted sightings behind the last predicted hop that was seen before them."""
    for o in extra:
        behind = max((at for at, hop in enumerate(laid, 1) if _is_before(hop, o)), default=0)
        stage = Stage.TRANSMIT if o.bound == "out" else Stage.RECEIVE
        flow = o.flow or Flow("?", "?", Protocol.OTHER)
        hop = Hop(0, o.namespace, o.interface, stage, flow, predicted=False, observed=True, time_ns=o.time_ns,
                  note="seen here, not predicted", bound=o.bound)  # fmt: skip
        laid.insert(behind, hop)
    return laid


def _is_before(hop: Hop, seen: Observation) -> bool:
    return hop.time_ns is not None and hop.time_ns <= seen.time_ns


def numbered(hops: Iterable[Hop]) -> tuple[Hop, ...]:
    """The hops with numbers from 1, in their order."""
    return tuple(replace(hop, n=n) for n, hop in enumerate(hops, 1))


def _with_changes(hops: list[Hop]) -> list[Hop]:
    """Insert a translation hop wherever a header changed between two sightings and no predicted hop says
    so.
    """
    out: list[Hop] = []
    last = 0  # where in `out` the last hop is that was seen; before any, where it begins
    for hop in hops:
        if hop.observed:
            out += _unsaid(out[last:], hop)
            last = len(out)
        out.append(hop)
    return out


def _unsaid(since: list[Hop], hop: Hop) -> list[Hop]:
    """A hop for what was rewritten since the last one seen, the first of `since`, and nobody has said so."""
    if not since or not since[0].observed:
        return []
    before = since[0].flow
    told = {change.field for each in since[1:] for change in each.changes}
    missing = not_among(changes(before, hop.flow, ""), field=told)
    if not missing:
        return []
    source = among(missing, field=_OF_SOURCE)
    what, stage = ("SNAT", Stage.POSTROUTING) if source else ("DNAT", Stage.PREROUTING)
    found = tuple(replace(change, by=what) for change in missing)
    flow = replace(before, **{change.field: getattr(hop.flow, change.field) for change in missing})
    note = "observed, not predicted"
    return [Hop(0, hop.namespace, None, stage, flow, predicted=False, changes=found, note=note)]


_OF_SOURCE = {"src", "sport", "icmp_id"}


def is_probe(observation: Observation) -> bool:
    """Whether the frame is the probe itself or its answer, not an error about it and not a neighbour's
    business.
    """
    return observation.leg is not None and observation.error is None and not is_neighbour(observation)


def sightings(
    observations: Sequence[Observation], request: Sequence[Hop], reply: Sequence[Hop]
) -> tuple[Sighting, ...]:
    """Every captured frame in the order of the capture, with the hop it belongs to."""
    at: dict[tuple[Leg | None, str, str | None, str | None], int] = {
        (leg, hop.namespace, hop.interface, hop.bound): hop.n
        for leg, hops in ((Leg.REPLY, reply), (Leg.REQUEST, request)) for hop in hops
    }  # fmt: skip
    return tuple(
        Sighting(
            o.namespace, o.interface or "", o.bound or "", o.leg, o.sequence, o.time_ns, o.flow,
            at.get((o.leg, o.namespace, o.interface, o.bound)) if is_probe(o) else None, o.text,
        )
        for o in frames(observations)
    )  # fmt: skip
