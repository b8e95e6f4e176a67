"""Whether a report is as expected, with the reason in a sentence. Pure.

Only the first cause and what is behind it (`because`) count as what blocks: a rule that would drop what a
dead link has stopped already proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from netprobe.model import Agreement, Cause, Flow, Namespace, Report, Snapshot, Verdict
from netprobe.model.check import Status
from netprobe.model.lookup import column, has, those_not_in

from .expectation import Expectation


class Judgement(Struct, frozen=True):
    """What became of an expectation; `notes` say what was not looked at."""

    status: Status
    reason: str
    notes: tuple[str, ...] = ()


Place = tuple[str | None, str | None]
"""A namespace, and an interface of it or None for any."""
Resolve = Callable[[str], Place | None]
"""The place that a word names; None where it names none, an address for example."""


def judge(wanted: Expectation, report: Report, snapshot: Snapshot, resolve: Resolve) -> Judgement:
    """Hold a report against an expectation. `snapshot` is what the report was made of, `resolve` knows the
    places that `via:` names.
    """
    if report.verdict is Verdict.UNDETERMINED:
        return Judgement(Status.UNDETERMINED, report.summary)
    if not wanted.reachable:
        return _of_blocked(wanted, report)
    if report.verdict is not Verdict.REACHABLE:
        return Judgement(Status.FAILED, report.summary)
    against = [*_answers(wanted, report), *_late(wanted, report), *_translation(wanted, report),
               *_astray(wanted, report, snapshot, resolve)]  # fmt: skip
    status = Status.FAILED if against else Status.HELD
    return Judgement(status, "; ".join(against) or report.summary, tuple(_unseen(wanted, report)))


def _unseen(wanted: Expectation, report: Report) -> Iterator[str]:
    """What is expected and was not looked at, as nothing was sent."""
    if report.agreement is not Agreement.PREDICTED_ONLY:
        return
    if wanted.max_rtt_ns is not None:
        yield "max_rtt was not looked at: nothing was sent"
    if wanted.unique or wanted.mac is not None:
        yield "who answers was not looked at: nothing was sent"


def _answers(wanted: Expectation, report: Report) -> Iterator[str]:
    """Who answered an ARP request, where that is not as expected."""
    stations = list(dict.fromkeys(column(report.answers, "mac")))
    if wanted.unique and len(stations) > 1:
        yield f"{len(stations)} stations answer: {', '.join(stations)}"
    if wanted.mac is None:
        return
    others = ", ".join(those_not_in(stations, (wanted.mac,)))
    if others:
        yield f"{others} answers, not {wanted.mac}"


def _late(wanted: Expectation, report: Report) -> Iterator[str]:
    slowest = max(report.rtt_ns, default=0)
    if wanted.max_rtt_ns is not None and slowest > wanted.max_rtt_ns:
        yield f"the answer took {_milliseconds(slowest)}, more than {_milliseconds(wanted.max_rtt_ns)}"


def _milliseconds(ns: int) -> str:
    return f"{ns / 1e6:.3g} ms"


# ---- what became of the addresses


def _translation(wanted: Expectation, report: Report) -> Iterator[str]:
    """What the addresses have become, where that is not as expected."""
    expected = {"source": wanted.nat_source, "destination": wanted.nat_destination}
    if not wanted.untranslated and not any(expected.values()):
        return
    if not report.path.request:
        yield "nobody saw what became of the addresses"
        return
    first, last = report.path.request[0].flow, report.path.request[-1].flow
    for word, side in _SIDES.items():
        now = _text(side(last))
        if wanted.untranslated and side(first) != side(last):
            yield f"the {word} {_text(side(first))} becomes {now}"
        if expected[word] not in (None, now, side(last)[0]):
            yield f"the {word} is {now} at the end, not {expected[word]}"


_Socket = tuple[str, int | None]


def _source(flow: Flow) -> _Socket:
    return flow.src, flow.sport


def _target(flow: Flow) -> _Socket:
    return flow.dst, flow.dport


_SIDES = {"source": _source, "destination": _target}


def _text(socket: _Socket) -> str:
    address, port = socket
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


# ---- the way


def _astray(wanted: Expectation, report: Report, snapshot: Snapshot, resolve: Resolve) -> Iterator[str]:
    """The first place that is not passed behind those before it."""
    at = 0
    for word in wanted.via:
        passes = _passes(word, snapshot, resolve)
        found = next((n for n, hop in enumerate(report.path.request[at:], at)
                      if passes(hop.namespace, hop.interface, hop.flow)), None)  # fmt: skip
        if found is None:
            way = " → ".join(dict.fromkeys(hop.namespace for hop in report.path.request))
            yield f"the request does not pass {word}: it goes {way}"
            return
        at = found


def _passes(word: str, snapshot: Snapshot, resolve: Resolve) -> Callable[[str, str | None, Flow], bool]:
    """Whether a hop (namespace, interface, packet) is at the place that a word names: a namespace, an
    interface, or whoever has an address - the namespace itself, or the neighbour that gets the frame.
    """
    place = resolve(word)
    if place is not None:
        name, interface = place
        return lambda there, out, _: there == name and interface in (None, out)

    def has(there: str, _: str | None, flow: Flow) -> bool:
        namespace = snapshot.get(there)
        return namespace is not None and _leads_to(namespace, word, flow.dst_mac)

    return has


def _leads_to(namespace: Namespace, address: str, mac: str | None) -> bool:
    if namespace.owner_of(address) is not None:
        return True
    return mac is not None and has(namespace.neighbours, address=address, mac=mac)


# ---- what blocks


def _of_blocked(wanted: Expectation, report: Report) -> Judgement:
    if report.verdict is not Verdict.UNREACHABLE:
        return Judgement(Status.FAILED, report.summary)
    expected = wanted.by or wanted.cause
    if expected is None:
        return Judgement(Status.HELD, report.summary)
    if not report.causes:
        return Judgement(Status.UNDETERMINED, f"{report.summary}: what blocks is not known")
    return _of_cause(wanted, report, expected)


def _of_cause(wanted: Expectation, report: Report, expected: str) -> Judgement:
    """Whether what blocks is what was expected to."""
    cause = report.causes[0]
    if any(_is_meant(wanted, each) for each in _chain(cause)):
        return Judgement(Status.HELD, report.summary)
    behind = any(_is_meant(wanted, each) for each in report.blockers)
    then = f"; {expected} would come after that" if behind else f", not {expected}"
    return Judgement(Status.FAILED, f"blocked by {_said(cause)}{then}")


def _chain(cause: Cause | None) -> Iterator[Cause]:
    while cause is not None:
        yield cause
        cause = cause.because


def _is_meant(wanted: Expectation, cause: Cause) -> bool:
    """Whether a cause has the code and the object that are expected."""
    if wanted.cause not in (None, cause.code):
        return False
    thing = cause.object
    return wanted.by is None or (thing is not None and wanted.by in (thing.id, thing.text))


def _said(cause: Cause) -> str:
    thing = cause.object
    return f"{cause.code} ({thing.id})" if thing is not None else cause.code
