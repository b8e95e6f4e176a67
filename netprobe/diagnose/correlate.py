"""Laying what the taps saw over the predicted hops: seen here, not seen there, changed in between. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from netprobe.model import Change, Flow, Hop, Leg, Observation, Protocol, Sighting, Stage

_TAPPED = (
    Stage.TRANSMIT,
    Stage.RECEIVE,
    Stage.BRIDGE_PREROUTING,
    Stage.BRIDGE_INPUT,
    Stage.BRIDGE_POSTROUTING,
)
# sightings that a way has beside its hops: four times what a packet with a TTL of 64 leaves in a circle
_MOST_UNPREDICTED = 1000
_REWRITTEN = ("src", "dst", "sport", "dport", "icmp_id")


def frames(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """The observations that are captured frames, by time."""
    return tuple(
        sorted((o for o in observations if o.kind == "seen" and o.interface), key=lambda o: o.time_ns)
    )


def best_sequence(observations: Sequence[Observation]) -> int:
    """The probe to show: the first that was answered, else the one seen in most places."""
    answered = sorted(o.sequence for o in observations if o.kind == "answered")
    if answered:
        return answered[0]
    counts: dict[int, int] = {}
    for o in frames(observations):
        if o.leg is not None:
            counts[o.sequence] = counts.get(o.sequence, 0) + 1
    return max(counts, key=lambda sequence: (counts[sequence], -sequence), default=0)


def lost_sequence(observations: Sequence[Observation], count: int) -> int:
    """A probe of `count` that was sent and not answered: the last one, because limits let the first ones
    pass.
    """
    answered = {o.sequence for o in observations if o.kind == "answered"}
    return max((sequence for sequence in range(count) if sequence not in answered), default=0)


def lay(
    hops: Sequence[Hop], leg: Leg, observations: Sequence[Observation], tapped: frozenset[str], sequence: int
) -> tuple[Hop, ...]:
    """The predicted hops of one leg with what was observed at each, and the hops that were seen but not
    predicted.
    """
    exchange = any(hop.flow.protocol.on_segment for hop in hops)
    seen = [
        o
        for o in frames(observations)
        if o.leg is leg and o.sequence == sequence and o.error is None and (exchange or not is_neighbour(o))
    ]
    left = list(seen)
    laid = []
    for hop in hops:
        match = _match(hop, left)
        if match is not None:
            left.remove(match)
            laid.append(_seen(hop, match))
        else:
            laid.append(replace(hop, observed=False if hop.bound and hop.namespace in tapped else None))
    # A flood's copies on other ports are not the path; only a path that went elsewhere than predicted, or
    # a request that was to end before the first tap, is shown in full.
    never = leg is Leg.REQUEST and not any(hop.observed for hop in laid)
    elsewhere = never or any(hop.observed is False for hop in laid)
    extra = _different(o for o in left if o.bound != "other") if elsewhere else []
    return _numbered(_with_changes(_merge(laid, extra)))


def _different(seen: Iterable[Observation]) -> list[Observation]:
    """The sightings without copies at the same place with the same headers, of which somebody can send any
    number.
    """
    first = {(o.namespace, o.interface, o.bound, o.flow): o for o in reversed(list(seen))}
    return sorted(first.values(), key=lambda o: o.time_ns)[:_MOST_UNPREDICTED]


def is_neighbour(observation: Observation) -> bool:
    """Whether the frame is ARP or neighbour discovery rather than the probe."""
    return observation.flow is not None and observation.flow.protocol.on_segment


def _match(hop: Hop, seen: Sequence[Observation]) -> Observation | None:
    if hop.bound is None or hop.stage not in _TAPPED:
        return None
    # "other": it came in, and is for another station
    bounds = (hop.bound, "other") if hop.bound == "in" else (hop.bound,)
    here = [
        o for o in seen if (o.namespace, o.interface) == (hop.namespace, hop.interface) and o.bound in bounds
    ]
    return min(here, key=lambda o: bounds.index(o.bound), default=None)


def _seen(hop: Hop, observation: Observation) -> Hop:
    return replace(hop, observed=True, time_ns=observation.time_ns, flow=observation.flow or hop.flow)


def _merge(laid: list[Hop], extra: Sequence[Observation]) -> list[Hop]:
    """Put the unpredicted sightings behind the last predicted hop that was seen before them."""
    for o in extra:
        before = [i for i, hop in enumerate(laid) if hop.time_ns is not None and hop.time_ns <= o.time_ns]
        stage = Stage.TRANSMIT if o.bound == "out" else Stage.RECEIVE
        flow = o.flow or Flow("?", "?", Protocol.OTHER)
        hop = Hop(0, o.namespace, o.interface, stage, flow, predicted=False, observed=True, time_ns=o.time_ns,
                  note="seen here, not predicted", bound=o.bound)  # fmt: skip
        laid.insert(before[-1] + 1 if before else 0, hop)
    return laid


def _with_changes(hops: list[Hop]) -> list[Hop]:
    """Insert a translation hop wherever a header changed between two sightings and no predicted hop says
    so.
    """
    out: list[Hop] = []
    last: Hop | None = None
    for hop in hops:
        if hop.observed and last is not None:
            out = _explain(out, last, hop)
        out.append(hop)
        last = hop if hop.observed else last
    return out


def _explain(out: list[Hop], last: Hop, hop: Hop) -> list[Hop]:
    start = max(i for i, h in enumerate(out) if h is last)
    between = out[start + 1 :]
    told = {c.field for h in between for c in h.changes}
    missing = [
        name
        for name in _REWRITTEN
        if getattr(last.flow, name) != getattr(hop.flow, name) and name not in told
    ]
    if not missing:
        return out
    source = any(name in ("src", "sport", "icmp_id") for name in missing)
    what = "SNAT" if source else "DNAT"
    stage = Stage.POSTROUTING if source else Stage.PREROUTING
    found = tuple(
        Change(name, str(getattr(last.flow, name)), str(getattr(hop.flow, name)), what) for name in missing
    )
    flow = replace(last.flow, **{name: getattr(hop.flow, name) for name in missing})
    made = Hop(
        0, hop.namespace, None, stage, flow, predicted=False, changes=found, note="observed, not predicted"
    )
    return [*out, made]


def _numbered(hops: Iterable[Hop]) -> tuple[Hop, ...]:
    return tuple(replace(hop, n=n) for n, hop in enumerate(hops, 1))


def is_probe(observation: Observation) -> bool:
    """Whether the frame is the probe itself or its answer, not an error about it and not a neighbour's
    business.
    """
    return observation.leg is not None and observation.error is None and not is_neighbour(observation)


def sightings(
    observations: Sequence[Observation], request: Sequence[Hop], reply: Sequence[Hop]
) -> tuple[Sighting, ...]:
    """Every captured frame in the order of the capture, with the hop it belongs to."""
    where = {
        (str(leg), hop.namespace, hop.interface or "", hop.bound or ""): hop.n
        for leg, hops in ((Leg.REPLY, reply), (Leg.REQUEST, request))
        for hop in hops
        if hop.bound
    }
    return tuple(
        Sighting(
            o.namespace, o.interface or "", o.bound or "", o.leg, o.sequence, o.time_ns, o.flow,
            where.get((str(o.leg), o.namespace, o.interface or "", o.bound or "")) if is_probe(o) else None,
            o.text,
        )
        for o in frames(observations)
    )  # fmt: skip
