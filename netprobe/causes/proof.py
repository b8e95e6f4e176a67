"""Further proof for a cause, out of the snapshot: counters, neighbour entries, tracked connections."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.evidence import Case
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Cause, Confidence, ConntrackEntry, Evidence, Namespace, Source
from netprobe.predict.prefix import version


def proven(cause: Cause | None, *evidence: Evidence) -> Cause | None:
    """The cause with more evidence behind its own.

    Its confidence stays: an old counter says nothing of this packet.
    """
    return None if cause is None else replace(cause, evidence=(*cause.evidence, *evidence))


def place_of(case: Case) -> Namespace | None:
    """The namespace in which the walk ended, as it was read."""
    name = case.stop.place.namespace if case.stop is not None else None
    return case.snapshot.namespaces.get(name or "")


def counters(case: Case, *names: str) -> tuple[Evidence, ...]:
    """Those of the counters that are not zero where the walk ended, as nstat(8) names them."""
    namespace = place_of(case)
    counted = namespace.counters if namespace is not None else {}
    return tuple(
        Evidence(Source.COUNTER, f"{name} stands at {counted[name]}", Confidence.OBSERVED)
        for name in names
        if counted.get(name)
    )


def neighbour(case: Case) -> tuple[Evidence, ...]:
    """The neighbour entry that the cause's interface has for the address asked for, when it tells that nobody
    answered.
    """
    namespace, address = place_of(case), _asked(case)
    link = (
        namespace.link_named(case.stop.place.interface or "")
        if namespace is not None and case.stop is not None
        else None
    )
    if namespace is None or link is None:
        return ()
    entries = [
        n
        for n in namespace.neighbours
        if n.index == link.index and n.address == address and n.state in ("failed", "incomplete")
    ]
    return tuple(
        Evidence(
            Source.NEIGHBOUR,
            f"{n.address} dev {link.name} is {n.state.upper()} in the neighbour table",
            Confidence.OBSERVED,
        )
        for n in entries[:1]
    )


def segment(case: Case) -> tuple[Evidence, ...]:
    """Who is on the segment of the cause's interface instead of who was asked for, with their addresses; of a
    crowd nothing, of which a few tell nobody anything.
    """
    stop, outcome, snapshot = case.stop, case.prediction, case.snapshot
    place = snapshot.link_at(stop.place) if stop is not None else None
    if stop is None or outcome is None or place is None or len(snapshot.namespaces) > _CROWD:
        return ()
    here, link = place
    near = Loss.of(snapshot, outcome, stop).beside(here.name, link, version(_asked(case)))
    told = ", ".join(f"{own.address} ({name}/{station.name})" for name, station, own in near[:_TOLD])
    more = f" and {len(near) - _TOLD} more" if len(near) > _TOLD else ""
    return (Evidence(Source.MODEL, f"on this segment are {told}{more}"),) if told else ()


_TOLD, _CROWD = 4, 64  # stations, namespaces


def _asked(case: Case) -> str:
    """The address of a neighbour object: "10.0.0.1 dev eth0" asks for 10.0.0.1."""
    thing = case.stop.object if case.stop is not None else None
    return thing.id.split(" ", 1)[0] if thing is not None else ""


def tracked(case: Case) -> tuple[Evidence, ...]:
    """The tracked connection that this probe's addresses already have where the walk ended."""
    name = case.stop.place.namespace if case.stop is not None else None
    return tuple(
        Evidence(Source.CONNTRACK, entry_text(entry), Confidence.OBSERVED)
        for entry in list(_entries(case, name))[:1]
    )


def _entries(case: Case, name: str | None) -> Iterator[ConntrackEntry]:
    ends = {(hop.flow.src, hop.flow.dst) for hop in case.request}
    for found in case.snapshot.connections:
        if found.namespace == name:
            yield from (entry for entry in found.entries if entry.original[:2] in ends)


def entry_text(entry: ConntrackEntry) -> str:
    """A tracked connection in the words of conntrack(8)."""
    halves = [
        f"src={src} dst={dst}" + (f" sport={sport} dport={dport}" if dport is not None else "")
        for src, dst, sport, dport in (entry.original, entry.reply)
    ]
    return " ".join([entry.protocol, *([entry.state] if entry.state else []), *halves])
