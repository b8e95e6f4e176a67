"""Was what a loss was concluded from still so, after the loss? What changed meanwhile, and what may be said
then. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from itertools import chain, filterfalse, repeat
from typing import Any

from msgspec.structs import replace

from netprobe.model import (
    AskRoute,
    Cause,
    ChainQuery,
    Difference,
    Hop,
    Namespace,
    Need,
    Place,
    Probe,
    ReadAsking,
    ReadChain,
    ReadFdb,
    ReadNamespace,
    ReadRoute,
    Report,
    RouteAnswer,
    Snapshot,
    Stop,
    Verdict,
)
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, not_among, those_not_in, where
from netprobe.model.place import id_of
from netprobe.predict import prefix
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed

from .diff import differences, is_learned
from .inventory import joined, said, some

CHANGED = "the configuration changed while netprobe was looking"
_ALONGSIDE = 12  # namespaces beside the way that are read again as well: stations of a segment, 5 ms each
_NAMED = 3  # changes that the report names

# in which one takes the others with it
_ORDER = ("namespace", "link", "wire", "bridge-port", "address", "policy-rule", "route")
_RANKS = {kind: rank for rank, kind in enumerate(_ORDER)}
_TRANSIENT = {"socket"}  # what programs open and close all the time
# what one IP version alone looks at: its name begins with an address
_OF_AN_ADDRESS = ("address", "route", "neighbour", "xfrm")


def resting(report: Report, prediction: Prediction, snapshot: Snapshot) -> tuple[str, ...]:
    """The namespaces that a conclusion rests on: those on the way, the cause's, and others that were read, if
    they are few.
    """
    probe = report.probe
    stops = filter(None, (prediction.stop, *column(prediction.walks, "stop")))
    decided: list[Hop | Routed] = [*prediction.hops, *prediction.routed]
    ended: list[Stop | Cause] = [*stops, *_chain(report.causes)]
    passed = (
        *column(decided, "namespace"),
        *column(ended, "place.namespace"),
        probe.source.namespace,
        probe.destination.namespace,
    )
    way = snapshot.known(passed)
    others = those_not_in(snapshot.namespaces, way)
    return (*way, *others[:_ALONGSIDE])


def _chain(causes: Iterable[Cause]) -> Iterator[Cause]:
    for cause in causes:
        yield from (cause, *_chain(filter(None, (cause.because,))))


def without(snapshot: Snapshot, names: Sequence[str]) -> Snapshot:
    """The snapshot as if these namespaces had not been read yet."""
    kept = {name: snapshot[name] for name in those_not_in(snapshot.namespaces, names)}
    answers = not_among(snapshot.answers, namespace=names)
    return replace(snapshot, namespaces=kept, answers=answers, blind=())


def questions(snapshot: Snapshot, names: Sequence[str]) -> tuple[Need, ...]:
    """What must be read for these namespaces, and asked of their kernels, to be known as `snapshot` knows
    them.
    """
    answers = among(snapshot.answers, namespace=names)
    parts = (_asked_of(snapshot[name]) for name in names)
    return (
        *map(ReadNamespace, names),
        *(AskRoute(asked.namespace, asked.query) for asked in answers),
        *chain.from_iterable(parts),
    )


# what of a namespace may be too much to be read whole, and is asked for
_ONE_BY_ONE: Mapping[str, Callable[[str, Any], Need]] = {
    "routed": ReadRoute,
    "forwarded": ReadFdb,
    "asking": ReadAsking,
}


def _asked_of(namespace: Namespace) -> Iterator[Need]:
    """What was read of a namespace one by one."""
    name = namespace.name
    for part, need in _ONE_BY_ONE.items():
        yield from map(need, repeat(name), getattr(namespace, part) or ())
    for rules in _chains(namespace):
        yield ReadChain(name, rules)


def _chains(namespace: Namespace) -> Iterator[ChainQuery]:
    """The chains that were read one by one."""
    for table in where(namespace.tables, partial=True):
        for each in where(table.chains, hook=None):
            yield ChainQuery(*table.key, each.name)


def families(prediction: Prediction) -> frozenset[int]:
    """The IP versions that a probe and what carries it are of: 4, 6 or both."""
    return versions_of(prediction.probe, prediction.hops)


def versions_of(probe: Probe, hops: Iterable[Hop]) -> frozenset[int]:
    """The same of a way as it was seen."""
    flows = [*column(hops, "flow")]
    tunnels = filter(None, column(flows, "outer"))
    return frozenset({probe.version, *column((*flows, *tunnels), "version")})


BOTH = frozenset({4, 6})


def changes(
    before: Snapshot, after: Snapshot, names: Sequence[str], versions: Set[int] = BOTH,
) -> tuple[Difference, ...]:  # fmt: skip
    """What somebody changed in these namespaces between two readings, what takes the rest with it first.

    What is of other IP versions than `versions` is left out, and what the kernel makes by itself: a
    link-local address comes a second after its interface (net/ipv6/addrconf.c).
    """
    found = (each for name in names for each in _of_one(before, after, name, versions))
    return tuple(sorted(found, key=rank))


def rank(each: Difference) -> int:
    """What takes others with it comes first."""
    return _RANKS.get(each.kind, len(_RANKS))


def _of_one(before: Snapshot, after: Snapshot, name: str, versions: Set[int]) -> Iterator[Difference]:
    if name not in after:
        yield Difference("namespace", name, "there", None, name)
        return
    lost = [*_lost(before[name], after[name])]
    if lost:
        yield Difference("namespace", name, "read", f"could not be read again ({lost[0]})", name)
        return
    found = filterfalse(is_transient, differences(before, after, name))
    tables = [*filterfalse(partial(is_of_another_version, versions=versions), found)]
    yield from tables
    if not among(tables, kind=_ORDER):
        yield from _answered_otherwise(before, after, name)


def _lost(before: Namespace, after: Namespace) -> Iterator[str]:
    """Why parts, or rules, that were read before could not be read again."""
    for part in those_not_in(after.unread, before.unread):
        yield after.unread[part]
    if before.ruleset is not None:
        for each in those_not_in(after.filters.blind, before.ruleset.blind):
            yield each.why


def is_of_another_version(each: Difference, versions: Set[int]) -> bool:
    """Whether it is of another IP version, or of IPv6's own addresses and groups, which no one configures."""
    if each.kind == "sysctl":  # IPv4's hold for more than IPv4: TCP and UDP have theirs there
        return 6 not in versions and each.name.startswith("net.ipv6.")
    if each.kind == "policy-rule":
        return int(each.name[len("IPv")]) not in versions
    if each.kind not in _OF_AN_ADDRESS:
        return False
    about = each.name.removeprefix("proxy ").partition(" ")[0].partition("/")[0]
    return prefix.version(about) not in versions or (prefix.needs_scope(about) and _only_more(each))


def _only_more(each: Difference) -> bool:
    """Whether what was there still is, and something came; the routes of one destination stand side by
    side.
    """
    before, after = ({*side.split("; ")} if side else set() for side in (each.before, each.after))
    return before <= after


def is_transient(each: Difference) -> bool:
    """Whether it comes and goes, or an entry was only learned."""
    return each.kind in _TRANSIENT or is_learned(each)


def _answered_otherwise(before: Snapshot, after: Snapshot, name: str) -> Iterator[Difference]:
    """Routes for which the kernel gives another answer though its tables are the same: they changed, and
    changed back.
    """
    asked = where(after.answers, namespace=name, why=None)
    now = {each.query: _said(after[name], each.answer) for each in asked}
    for each in where(before.answers, namespace=name):
        was = _said(before[name], each.answer)
        if now.get(each.query, was) != was:
            yield Difference("route", f"to {each.query.dst}", was, now[each.query], name)


def _said(namespace: Namespace, answer: RouteAnswer) -> str:
    """A route in few words: "unicast via 10.0.0.1 dev eth0"."""
    device = name_of(namespace.link(answer.index), "")
    return answer.error or joined(answer.type, said("via", answer.via), said("dev", device))


def note(changed: Sequence[Difference]) -> str:
    """What the report says about it."""
    said = list(dict.fromkeys(map(_in_words, changed)))
    return f"{CHANGED}: {some(said, _NAMED)}"


def _in_words(each: Difference) -> str:
    whole = each.kind == "namespace"
    thing = f"namespace {each.namespace}" if whole else f"{each.kind} {each.name} of {each.namespace}"
    if each.after is None:
        return f"{thing} is gone"
    if each.before is None:
        return f"{thing} is new"
    if whole:
        return f"{thing} {each.after}"
    return f"{thing} was «{each.before}», is «{each.after}»"


def told(report: Report) -> bool:
    """Whether the report says that something changed."""
    return any(each.startswith(CHANGED) for each in report.notes)


def same_cause(one: Report, other: Report) -> bool:
    """Whether two reports name the same thing: what changed between them has nothing to do with it."""
    first, second = _cause(one), _cause(other)
    if first is None or second is None:
        return False
    return _thing(first) == _thing(second)


def _thing(cause: Cause) -> tuple[str, Place, str]:
    return cause.code, cause.place, id_of(cause.object)


def _cause(report: Report) -> Cause | None:
    """The cause that a report names; the unknown one is none."""
    return next(iter(but(report.causes[:1], code="unknown")), None)


def undecided(report: Report) -> Report:
    """The report without its cause, which may be none by now."""
    return replace(report, causes=())


def concluded(report: Report) -> Report:
    """The report of a run in which something changed: where what was read last does not show a cause, the
    loss is undecided.
    """
    if report.verdict is Verdict.REACHABLE or not told(report) or _cause(report) is not None:
        return report
    source, target = report.probe.source.endpoint, report.probe.destination.endpoint
    if report.verdict is Verdict.INTERMITTENT:  # which was seen
        lost = f"{report.sent - report.received} of {report.sent} probes from {source} to {target} were lost"
        return replace(report, causes=(), summary=f"{lost}: {CHANGED}")
    summary = f"whether {target} is reachable from {source} could not be determined: {CHANGED}"
    return replace(report, verdict=Verdict.UNDETERMINED, causes=(), direction=None, summary=summary)
