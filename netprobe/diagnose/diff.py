"""Two runs side by side: what changed in the answer, in the path and in the configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import chain, repeat

from msgspec.structs import replace

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
from netprobe.model.lookup import among, first, holding, those_not_in
from netprobe.model.place import id_of
from netprobe.rules.naming import policy_object, rule_object

from .inventory import inventory, joined, some

_COUNTER = re.compile(r"\b(packets|bytes|used) \d+")
_NONE = Object("policy", "")
# what may be too many to be read whole
_IN_PART = {"route": "routed", "fdb-entry": "forwarded", "sysctl": "asking"}
_ENTRIES = ("neighbour", "fdb-entry")
_SHOWN = 8  # elements of a set that are named
_READ = {True: "read", False: "not read"}


def compare(before: Report, after: Report, configured: tuple[Snapshot, Snapshot] | None) -> Comparison:
    """What differs between two runs; `configured` are their snapshots, None where one of them has none."""
    answer = tuple(_answer(before, after))
    if configured is None:
        return Comparison(answer)
    old, new = configured
    once = tuple(sorted({*old.namespaces} ^ {*new.namespaces}))
    both = (differences(old, new, name) for name in those_not_in(old.namespaces, once))
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
    for kind, old, new in pairs:
        if old != new:
            yield Difference(kind, "", old, new)
    yield from _hops(Leg.REQUEST, before.path.request, after.path.request)
    yield from _hops(Leg.REPLY, before.path.reply, after.path.reply)


def _question(report: Report) -> str:
    probe = report.probe
    port = probe.destination.behind_colon
    size = f" size {probe.size}" if probe.size != 56 else ""
    return f"{probe.source.endpoint} to {probe.destination.endpoint}{port} by {probe.protocol}{size}"


def _said(leg: Leg | None) -> str | None:
    return None if leg is None else str(leg)


def _cause(report: Report) -> str | None:
    if not report.causes:
        return None
    cause = report.causes[0]
    where = joined(cause.place.namespace or "", cause.place.interface or "", by="/")
    return joined(f"{cause.code} at {where}", id_of(cause.object), by=": ")


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
    if bool(before) is not bool(after):
        yield Difference(str(leg), "", _length(before), _length(after))
        return
    for hop, was, now in _beside(before, after):
        if was != now:
            yield Difference(f"{leg} hop", _named(hop), was, now, hop.namespace)


def _beside(before: Sequence[Hop], after: Sequence[Hop]) -> Iterator[tuple[Hop, str | None, str | None]]:
    """The hops of two paths, as far as they are at the same places beside each other, and what happened
    there in each.
    """
    matcher = SequenceMatcher(None, [*map(_place, before)], [*map(_place, after)], autojunk=False)
    for what, i, j, k, m in matcher.get_opcodes():
        was, now = [*map(_happened, before[i:j])], [*map(_happened, after[k:m])]
        if what == "equal":
            yield from zip(before[i:j], was, now, strict=True)
        else:
            yield from zip(before[i:j], was, repeat(None))
            yield from zip(after[k:m], repeat(None), now)


_SEEN = {None: "", True: "seen", False: "not seen"}


def _length(path: Sequence[Hop]) -> str | None:
    return f"{len(path)} hops" if path else None


def _place(hop: Hop) -> tuple[str, str | None, str, str | None]:
    return hop.namespace, hop.interface, str(hop.stage), hop.bound


def _named(hop: Hop) -> str:
    if hop.interface:
        return f"{hop.interface} {hop.stage}"
    return str(hop.stage)


def _happened(hop: Hop) -> str:
    """What a hop makes of the packet, without what is different in each probe: numbers, ids, times."""
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
    for thing in dict.fromkeys((*before, *after)):
        found = Difference(*thing, before.get(thing), after.get(thing), name)
        if found.before != found.after and not _by_itself(found, gone, unlike):
            yield _apart(found)
    yield from _rulesets(name, old[name].ruleset, new[name].ruleset)


def _apart(each: Difference) -> Difference:
    """The difference; of two lists of settings, those alone that differ."""
    if each.before is None or each.after is None:
        return each
    old, new = each.before.split(", "), each.after.split(", ")
    gone, come = _lacking(old, new), _lacking(new, old)
    if gone or come:
        return replace(each, before=gone, after=come)
    return each


def _lacking(some: list[str], others: list[str]) -> str:
    return ", ".join(those_not_in(some, others))


def _by_itself(each: Difference, links: set[str], unlike: Sequence[str]) -> bool:
    """Whether such a difference comes without anybody's doing: what was learned, or was not looked at, or
    goes with an interface. `unlike`: the kinds of which not the same was asked for.
    """
    if len(each.sides) == 2:
        return False
    goes_along = each.kind == "sysctl" and each.name.split(".")[-2].replace("/", ".") in links
    return goes_along or is_learned(each) or each.kind in ("wire", *unlike)


def is_learned(each: Difference) -> bool:
    """Whether an entry was only learned or forgotten, or moved with what it was learned from."""
    return each.kind in _ENTRIES and all(side.endswith(("learned", "failed")) for side in each.sides)


def _rulesets(name: str, before: Ruleset | None, after: Ruleset | None) -> Iterator[Difference]:
    if before is after:  # as most often, where a change is tried
        return
    if before is None or after is None:
        yield Difference("ruleset", "", _READ[before is not None], _READ[after is not None], name)
        return
    for key in first((*before.tables, *after.tables), _key):
        for difference in _table(before.table_of(key), after.table_of(key)):
            yield Difference(*difference, name)


_Plain = tuple[str, str, str | None, str | None]


def _table(old: Table, new: Table) -> Iterator[_Plain]:
    """The differences of one table, which is bare where there is none: policies, rules, sets."""
    for name in first((*old.chains, *new.chains), _name):
        before, after = _chain_of(old, name), _chain_of(new, name)
        if not (before.unread or after.unread):
            yield from _chain(old, new, before, after)
    for name in first((*old.sets, *new.sets), _name):
        yield from _set(old, name, old.set(name), new.set(name))


def _key(each: Table) -> tuple[str, str, str]:
    return each.key


def _name(each: Chain | NamedSet) -> str:
    return each.name


def _chain_of(table: Table, name: str) -> Chain:
    """The chain; an empty one where there is none. Of a large table not all chains are read."""
    unread = "the table is too large" if table.partial else ""
    return table.chain(name) or Chain(name, unread=unread)


def _chain(old: Table, new: Table, before: Chain, after: Chain) -> Iterator[_Plain]:
    (was_id, was), (now_id, now) = _policy(old, before), _policy(new, after)
    if was != now:
        yield "policy", now_id or was_id, was, now
    if before.rules != after.rules:
        yield from _rules(old, new, before, after)


def _policy(table: Table, chain: Chain) -> tuple[str, str | None]:
    """The name and the text of the policy of a base chain; a chain that others jump to has none."""
    policy = policy_object(table, chain) if chain.hook else _NONE
    return policy.id, policy.text or None


def _rules(old: Table, new: Table, before: Chain, after: Chain) -> Iterator[_Plain]:
    """Rules that are gone and rules that are new, in the order of the chain; one that only moved on is
    neither. Their ids are those that a person would type.
    """
    for i, j, k, m in replaced(texts(before), texts(after)):
        for rule in before.rules[i:j]:
            gone = rule_object(old, before, rule)
            yield gone.kind, gone.id, gone.text, None
        for rule in after.rules[k:m]:
            come = rule_object(new, after, rule)
            yield come.kind, come.id, None, come.text


def texts(chain: Chain) -> list[str]:
    """The rules of a chain without what they have counted."""
    return [_COUNTER.sub(r"\1", rule.text) for rule in chain.rules]


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


def _set(table: Table, name: str, old: NamedSet | None, new: NamedSet | None) -> Iterator[_Plain]:
    """Elements that one of the two sets lacks; a set that rules fill themselves (dynamic) is passed over."""
    at = f"{table.engine} {table.family} {table.name} @{name}"
    if holding(filter(None, (old, new)), flags="dynamic"):
        return
    if old is None or new is None:
        yield "set", at, _whole(old), _whole(new)
        return
    before, after = _elements(old), _elements(new)
    if before != after:
        yield "set", at, _listed(before - after) or "as before", _listed(after - before) or "without these"


def _whole(each: NamedSet | None) -> str | None:
    return None if each is None else _listed(_elements(each))


def _elements(each: NamedSet) -> set[str]:
    return {_term(element) for element in each.known}


def _term(term: Term) -> str:
    join = {"pair": " : ", "concat": " . "}.get(term.kind, ", ")
    return joined(term.text, join.join(map(_term, term.args)))


def _listed(elements: set[str]) -> str:
    return some(sorted(elements), _SHOWN)
