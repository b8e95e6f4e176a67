"""Further proof for a cause, out of the snapshot: counters, neighbour entries, tracked connections."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.evidence import Case
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Cause, Confidence, ConntrackEntry, Evidence, Link, Namespace, Object, Source
from netprobe.model.lookup import among, where
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
    here, link = _asker(case)
    entries = where(here.neighbours, index=link.index, address=_asked(case))
    return tuple(
        Evidence(
            Source.NEIGHBOUR,
            f"{entry.address} dev {link.name} is {entry.state.upper()} in the neighbour table",
            Confidence.OBSERVED,
        )
        for entry in among(entries, state=("failed", "incomplete"))[:1]
    )


def segment(case: Case) -> tuple[Evidence, ...]:
    """Who is on the segment of the cause's interface instead of who was asked for, with their addresses; of a
    crowd nothing, of which a few tell nobody anything.
    """
    here, link = _asker(case)
    if case.stop is None or case.prediction is None or len(case.snapshot.namespaces) > _CROWD:
        return ()
    loss = Loss.of(case.snapshot, case.prediction, case.stop)
    near = loss.beside(here.name, link, version(_asked(case)))
    told = ", ".join(f"{own.address} ({name}/{station.name})" for name, station, own in near[:_TOLD])
    more = f" and {len(near) - _TOLD} more" if len(near) > _TOLD else ""
    return (Evidence(Source.MODEL, f"this segment has {told}{more}"),) if told else ()


def _asker(case: Case) -> tuple[Namespace, Link]:
    """Where the walk ended, and by which interface; what has nothing where that was not read."""
    place = case.snapshot.link_at(case.stop.place) if case.stop is not None else None
    return place or (Namespace(""), Link(0, "", ""))


_TOLD, _CROWD = 4, 64  # stations, namespaces


def _asked(case: Case) -> str:
    """The address of a neighbour object: "10.0.0.1 dev eth0" asks for 10.0.0.1."""
    return named(case).id.split(" ", 1)[0]


def named(case: Case) -> Object:
    """What the walk's end names; a thing without a name where it names none."""
    return case.stop.thing if case.stop is not None else Object("", "")


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
