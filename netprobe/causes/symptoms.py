"""What follows from a root cause: the ends that other tools report in its place, each with the root behind it
(`because`).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.model import (
    Cause,
    Evidence,
    Hop,
    Leg,
    Object,
    Place,
    Report,
    RouteQuery,
    Snapshot,
    Source,
    Stage,
)
from netprobe.predict import fib

# What takes routes away, or makes an address one that nobody has a route to.
_TAKES_ROUTES = {
    "link-admin-down", "link-no-carrier", "link-missing", "addr-missing", "addr-wrong-subnet",
    "addr-wrong-prefix", "addr-dad-failed",
    "ipv6-disabled", "ra-not-accepted", "nat-missing", "nat-wrong-match", "nat-wrong-address", "nat-bypassed",
    "route-wrong-src",
    "rule-wrong-table", "rule-local-missing",
}  # fmt: skip


# Where a frame passes a bridge, whose namespace looks up no route for it.
_PASSING = (Stage.BRIDGE_PREROUTING, Stage.BRIDGE_FORWARD, Stage.BRIDGE_POSTROUTING)


def with_symptoms(report: Report, snapshot: Snapshot) -> Report:
    """The report with the root cause first and what follows from it behind."""
    if not report.causes:
        return report
    root, *others = _unrolled(report.causes[0])
    known = {root.code, *(other.code for other in others)}
    found = [
        replace(symptom, because=root) for symptom in _symptoms(report, snapshot) if symptom.code not in known
    ]
    return replace(report, causes=(root, *others, *report.causes[1:], *found))


def _unrolled(cause: Cause) -> list[Cause]:
    """A cause and those behind it, the root first."""
    return [*(_unrolled(cause.because) if cause.because is not None else []), cause]


def _symptoms(report: Report, snapshot: Snapshot) -> Iterator[Cause]:
    leg = report.direction or Leg.REQUEST
    path = report.path.of(leg)
    name, target = _end(report, leg, path)
    namespace = snapshot.namespaces.get(name or "")
    if namespace is None or target is None:
        return
    decision = fib.lookup(namespace, RouteQuery(None, target))
    passing = [hop.stage in _PASSING for hop in path if hop.predicted][-1:] == [True]
    if decision.error == "ENETUNREACH" and not passing and report.causes[0].code in _TAKES_ROUTES:
        text = f"{name} has no route to {target}"
        yield _symptom(
            "no-route", Place(name, None, Stage.ROUTE), text, Object("route", target, f"no route to {target}")
        )
    waiting = next((hop for hop in reversed(path) if hop.predicted and hop.stage is Stage.NEIGHBOUR), None)
    if waiting is not None:
        asked = decision.leg.via if decision.leg is not None and decision.leg.via else target
        entry = f"{asked} dev {waiting.interface}"
        text = f"{name} asks who has {asked} and gets no answer"
        yield _symptom("neigh-no-answer", waiting.place, text, Object("neighbour", entry, f"{entry} FAILED"))


def _symptom(code: str, place: Place, text: str, thing: Object) -> Cause:
    return Cause(code, place, text, thing, (Evidence(Source.MODEL, text),))


def _end(report: Report, leg: Leg, path: tuple[Hop, ...]) -> tuple[str | None, str | None]:
    """The namespace in which the broken direction ends, and the address that it wants to reach there."""
    predicted = [hop for hop in path if hop.predicted]
    if predicted:
        return predicted[-1].namespace, predicted[-1].flow.dst
    if leg is Leg.REQUEST:
        return report.probe.source.namespace, report.probe.destination.address
    arrived = report.path.request[-1] if report.path.request else None
    return (arrived.namespace, arrived.flow.src) if arrived is not None else (None, None)
