"""Two runs side by side: what changed in the answer, in the path and in the configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import chain

from netprobe.model import (
    Chain,
    Comparison,
    Difference,
    Hop,
    Leg,
    NamedSet,
    Object,
    Report,
    Ruleset,
    Snapshot,
    Table,
    Term,
)
from netprobe.model.lookup import among, first
from netprobe.model.place import id_of
from netprobe.rules.naming import policy_object, rule_object

from .inventory import inventory, joined

_COUNTER = re.compile(r"\b(packets|bytes|used) \d+")
_NONE = Object("policy", "")
_IN_PART = {"route": "routed", "fdb-entry": "forwarded"}  # what may be too many to be read whole
_SHOWN = 8  # elements of a set that are named


def compare(before: Report, after: Report, configured: tuple[Snapshot, Snapshot] | None) -> Comparison:
    """What differs between two runs; `configured` are their snapshots, None where one of them has none."""
    answer = tuple(_answer(before, after))
    if configured is None:
        return Comparison(answer)
    old, new = configured
    once = tuple(sorted({*old.namespaces} ^ {*new.namespaces}))
    both = (differences(old, new, name) for name in old.namespaces if name not in once)
    return Comparison(answer, tuple(chain.from_iterable(both)), once)


# ---- the answer


def _answer(before: Report, after: Report) -> Iterator[Difference]:
    pairs = (
        ("question", _question(before), _question(after)),
        ("verdict", str(before.verdict), str(after.verdict)),
        ("direction", _said(before.direction), _said(after.direction)),
        ("cause", _cause(before), _cause(after)),
        ("answered", _share(before), _share(after)),
        ("agreement", str(before.agreement), str(after.agreement)),
    )
    yield from (Difference(kind, "", old, new) for kind, old, new in pairs if old != new)
    yield from _hops(Leg.REQUEST, before.path.request, after.path.request)
    yield from _hops(Leg.REPLY, before.path.reply, after.path.reply)


def _question(report: Report) -> str:
    probe = report.probe
    port = f":{probe.destination.port}" if probe.destination.port else ""
    size = f" size {probe.size}" if probe.size != 56 else ""
    return f"{probe.source.endpoint} to {probe.destination.endpoint}{port} by {probe.protocol}{size}"


def _said(leg: Leg | None) -> str | None:
    return None if leg is None else str(leg)


def _cause(report: Report) -> str | None:
    for cause in report.causes:
        where = joined(cause.place.namespace or "", cause.place.interface or "", by="/")
        return joined(f"{cause.code} at {where}", id_of(cause.object), by=": ")
    return None


def _share(report: Report) -> str:
    """All, some or none: how many exactly depends on how many were sent."""
    if not report.sent:
        return "nothing sent"
    if report.received >= report.sent:
        return "all"
    return "some" if report.received else "none"


def _hops(leg: Leg, before: Sequence[Hop], after: Sequence[Hop]) -> Iterator[Difference]:
    """Hops that are new, gone, or at which something else happens; of a path that one of the runs has not,
    its length.
    """
    if not before or not after:
        lengths = (_length(before), _length(after))
        yield from (Difference(str(leg), "", *lengths) for _ in filter(None, lengths))
        return
    for old, new in _beside(before, after):
        was, now = _happened(old), _happened(new)
        hop = old or new
        if was != now and hop is not None:
            yield Difference(f"{leg} hop", _named(hop), was, now, hop.namespace)


def _beside(before: Sequence[Hop], after: Sequence[Hop]) -> Iterator[tuple[Hop | None, Hop | None]]:
    """The hops of two paths beside each other, as far as they are at the same places."""
    matcher = SequenceMatcher(None, [*map(_place, before)], [*map(_place, after)], autojunk=False)
    for what, i, j, k, m in matcher.get_opcodes():
        if what == "equal":
            yield from zip(before[i:j], after[k:m], strict=True)
        else:
            yield from ((hop, None) for hop in before[i:j])
            yield from ((None, hop) for hop in after[k:m])


_SEEN = {None: "", True: "seen", False: "not seen"}


def _length(path: Sequence[Hop]) -> str | None:
    return f"{len(path)} hops" if path else None


def _place(hop: Hop) -> tuple[str, str | None, str, str | None]:
    return hop.namespace, hop.interface, str(hop.stage), hop.bound


def _named(hop: Hop) -> str:
    return f"{hop.interface} {hop.stage}" if hop.interface else str(hop.stage)


def _happened(hop: Hop | None) -> str | None:
    """What a hop makes of the packet, without what is different in each probe: numbers, ids, times."""
    if hop is None:
        return None
    flow = hop.flow
    port = f":{flow.dport}" if flow.dport is not None and flow.icmp_type is None else ""
    changed = among(hop.changes, field=("src", "dst", "dport"))
    return joined(
        f"{flow.src} to {flow.dst}{port}",
        f"ttl {flow.ttl}" if flow.ttl is not None else "",
        *(f"{c.by} {c.field} {c.before} to {c.after}" for c in changed),
        id_of(hop.object),
        _SEEN[hop.observed],
        by=", ",
    )


# ---- the configuration


def differences(old: Snapshot, new: Snapshot, name: str) -> Iterator[Difference]:
    """What is configured otherwise in namespace `name`, which both snapshots hold; what comes about by itself
    is left out.
    """
    before, after = inventory(old, name, new[name]), inventory(new, name, old[name])
    unlike = [
        kind for kind, asked in _IN_PART.items() if getattr(old[name], asked) != getattr(new[name], asked)
    ]
    gone = {key for kind, key in before.keys() ^ after.keys() if kind == "link"}
    for kind, key in dict.fromkeys((*before, *after)):
        was, now = before.get((kind, key)), after.get((kind, key))
        if was != now and not _by_itself(kind, key, was, now, gone, unlike):
            yield Difference(kind, key, *_apart(was, now), name)
    yield from _rulesets(name, old[name].ruleset, new[name].ruleset)


def _apart(was: str | None, now: str | None) -> tuple[str | None, str | None]:
    """Of two lists of settings, those that differ."""
    if was is None or now is None or ", " not in was + now:
        return was, now
    old, new = was.split(", "), now.split(", ")
    gone, come = _lacking(old, new), _lacking(new, old)
    return (gone, come) if gone or come else (was, now)


def _lacking(some: list[str], others: list[str]) -> str:
    return ", ".join(each for each in some if each not in others)


def _by_itself(
    kind: str, key: str, was: str | None, now: str | None, links: set[str], unlike: Sequence[str]
) -> bool:
    """Whether such a difference comes without anybody's doing: what was learned, or was not looked at, or
    goes with an interface. `unlike`: the kinds of which not the same was asked for.
    """
    if None not in (was, now):
        return False
    if kind in ("neighbour", "fdb-entry") and kind not in unlike:
        return (was or now or "").endswith(("learned", "failed"))
    if kind == "sysctl":
        return key.split(".")[-2].replace("/", ".") in links
    return kind in ("wire", *unlike)


def _rulesets(name: str, before: Ruleset | None, after: Ruleset | None) -> Iterator[Difference]:
    if before is after:  # as most often, where a change is tried
        return
    if before is None or after is None:
        was, now = ("not read" if each is None else "read" for each in (before, after))
        yield Difference("ruleset", "", was, now, name)
        return
    old, new = ({table.key: table for table in each.tables} for each in (before, after))
    for key in dict.fromkeys((*old, *new)):
        bare = Table(*key)
        for difference in _table(old.get(key, bare), new.get(key, bare)):
            yield Difference(*difference, name)


_Plain = tuple[str, str, str | None, str | None]


def _table(old: Table, new: Table) -> Iterator[_Plain]:
    """The differences of one table, which is bare where there is none: policies, rules, sets."""
    for name in first((*old.chains, *new.chains), _name):
        if _is_known(old, name) and _is_known(new, name):
            yield from _chain(old, new, old.chain(name) or Chain(name), new.chain(name) or Chain(name))
    for name in first((*old.sets, *new.sets), _name):
        yield from _set(old, name, old.set(name), new.set(name))


def _name(each: Chain | NamedSet) -> str:
    return each.name


def _chain(old: Table, new: Table, before: Chain, after: Chain) -> Iterator[_Plain]:
    (was_id, was), (now_id, now) = _policy(old, before), _policy(new, after)
    if was != now:
        yield "policy", now_id or was_id, was, now
    if before.rules != after.rules:
        yield from _rules(old, new, before, after)


def _is_known(table: Table, name: str) -> bool:
    """Whether it is known what a chain holds, if it is there: of a large table not all chains are read."""
    chain = table.chain(name)
    return not chain.unread if chain is not None else not table.partial


def _policy(table: Table, chain: Chain) -> tuple[str, str | None]:
    """The name and the text of the policy of a base chain; a chain that others jump to has none."""
    policy = policy_object(table, chain) if chain.hook else _NONE
    return policy.id, policy.text or None


def _rules(old: Table, new: Table, before: Chain, after: Chain) -> Iterator[_Plain]:
    """Rules that are gone and rules that are new, in the order of the chain; one that only moved on is
    neither. Their ids are those that a person would type.
    """
    was, now = before.rules, after.rules
    texts = ([uncounted(rule.text) for rule in rules] for rules in (was, now))
    for i, j, k, m in replaced(*texts):
        gone = [rule_object(old, before, rule) for rule in was[i:j]]
        yield from ((rule.kind, rule.id, rule.text, None) for rule in gone)
        come = [rule_object(new, after, rule) for rule in now[k:m]]
        yield from ((rule.kind, rule.id, None, rule.text) for rule in come)


def replaced(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """The pieces of two lists that differ: before[i:j] became after[k:m]."""
    # what is alike at both ends: to look at thousands of rules one by one would take seconds
    first = _alike(before, after)
    old, new = before[first:], after[first:]
    last = _alike(old[::-1], new[::-1])
    matcher = SequenceMatcher(None, old[: len(old) - last], new[: len(new) - last], autojunk=False)
    for what, i, j, k, m in matcher.get_opcodes():
        if what != "equal":
            yield i + first, j + first, k + first, m + first


def _alike(before: Sequence[str], after: Sequence[str]) -> int:
    """How many lines two lists begin with alike."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))


def uncounted(text: str) -> str:
    """The text of a rule without what it has counted."""
    return _COUNTER.sub(r"\1", text)


def _set(table: Table, name: str, old: NamedSet | None, new: NamedSet | None) -> Iterator[_Plain]:
    """Elements that one of the two sets lacks; a set that rules fill themselves (dynamic) is passed over."""
    at = f"{table.engine} {table.family} {table.name} @{name}"
    if any("dynamic" in each.flags for each in filter(None, (old, new))):
        return
    if old is None or new is None:
        was, now = (None if each is None else _listed(_elements(each)) for each in (old, new))
        yield "set", at, was, now
        return
    before, after = _elements(old), _elements(new)
    if before != after:
        yield "set", at, _listed(before - after) or "as before", _listed(after - before) or "without these"


def _elements(each: NamedSet) -> set[str]:
    return {_term(element) for element in each.elements or ()}


def _term(term: Term) -> str:
    join = {"pair": " : ", "concat": " . "}.get(term.kind, ", ")
    return joined(term.text, join.join(map(_term, term.args)))


def _listed(elements: set[str]) -> str:
    shown = sorted(elements)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
