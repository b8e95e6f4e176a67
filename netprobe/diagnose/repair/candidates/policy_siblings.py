"""A policy rule that others of its kind have, each for a station, a network or an interface of its own, and
that one lacks. Pure.

Containers with addresses of another network, and interfaces of a cloud, are given their table one by one.
See: ip-rule(8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace, Object, PolicyRule, Route, RouteQuery, Stage
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, grouped, where
from netprobe.predict import fib, fixes, prefix, routing
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

_WORDS = {"src": "from", "dst": "to", "iif": "iif"}
_NAMES = {fib.LOCAL: "local", fib.MAIN: "main", fib.DEFAULT: "default"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """For each packet, what the rules for other networks beside would be for its goal's; for one that is
    forwarded, what those for other senders or ways in would be for its own.
    """
    for routed in loss.prediction.routed:
        for network in _beside(loss.snapshot[routed.namespace], routed.dst):
            yield from _as_others(loss, routed, "dst", network)
    for routed in but(loss.prediction.routed, iif=None):
        yield from _as_others(loss, routed, "src", f"{routed.src}/{prefix.bits(routed.dst)}")
        yield from _as_others(loss, routed, "dst", f"{routed.dst}/{prefix.bits(routed.dst)}")
        yield from _as_others(loss, routed, "iif", name_of(routed.iif, ""))


def _beside(namespace: Namespace, address: str) -> list[str]:
    """The networks of an address that a namespace is on, or knows a way to."""
    near = where(_known(namespace), version=prefix.version(address))
    return [route.dst for route in near if prefix.contains(route.dst, address)]


def _known(namespace: Namespace) -> tuple[Route, ...]:
    """The networks to which main leads."""
    return where(namespace.routes, table=fib.MAIN, is_to_a_network=True)


def _as_others(loss: Loss, routed: Routed, field: str, value: str) -> Iterator[Repair]:
    namespace, said = loss.snapshot[routed.namespace], attrgetter(field)
    asking = but(where(namespace.rules, version=prefix.version(routed.dst)), **{field: None})
    own = {*column(where(asking, action="lookup", **{field: value}), "table")}
    others = _to_shared_tables(field, own, [*filter(partial(_is_alone, field), asking)])
    alike = [*filter(partial(_is_alike, namespace, field, value), others)]
    for shape, rules in _by_shape(field, alike).items():
        known = where(asking, priority=shape.priority, table=shape.table)
        if value not in {*map(said, known)}:
            yield from _copied(loss, routed, field, replace(shape, **{field: value}), len(rules))
    if field == "iif" and not alike:
        yield from _as_most(loss, routed, others, value)


def _by_shape(field: str, rules: Sequence[PolicyRule]) -> dict[PolicyRule, tuple[PolicyRule, ...]]:
    return grouped(rules, lambda each: replace(each, **{field: None}))


def _as_most(loss: Loss, routed: Routed, alone: Sequence[PolicyRule], value: str) -> Iterator[Repair]:
    """A rule for a way in that no other is like, to the table to which what comes in by several others is
    led: it is for whatever comes in.
    """
    for table, rules in grouped(alone, attrgetter("table")).items():
        shape = replace(rules[0], iif=value)
        if table not in _NAMES and len({*map(attrgetter("iif"), rules)}) > 1:
            yield from _copied(loss, routed, "iif", shape, len(rules))


def _to_shared_tables(
    field: str, own: set[int | None], alone: Sequence[PolicyRule]
) -> tuple[PolicyRule, ...]:
    """The rules that lead others to tables to which none leads this one, and that are not for some apart: who
    is led there as well as to each of its `own` tables, where it has any, tells.
    """
    led = ({*column(rules, "table")} for rules in grouped(alone, attrgetter(field)).values())
    shared = {*chain.from_iterable(each for each in led if each >= own)}
    return among(alone, table=shared - own)


def _is_alone(field: str, rule: PolicyRule) -> bool:
    """Whether a rule asks for that alone, and leads to a table."""
    shape = replace(rule, **{field: None})
    return shape == PolicyRule(shape.priority, shape.version, table=shape.table, mask=shape.mask)


def _is_alike(namespace: Namespace, field: str, value: str, rule: PolicyRule) -> bool:
    """Whether a rule is for an interface of the kind of this one; or, as this one is, for one address that is
    behind such, or for a network there.
    """
    other, find = getattr(rule, field), {"iif": Namespace.link_named}.get(field, _way_to)
    links = find(namespace, value), find(namespace, other)
    kinds = [(each.kind, each.master) for each in filter(None, links)]
    same = _is_of_one(value) == _is_of_one(other)
    return same and len(kinds) == len(links) and kinds[0] == kinds[1]


def _is_of_one(written: str) -> bool:
    """Whether what a rule asks for is one address."""
    address, _, length = written.partition("/")
    return length != "" and length == str(prefix.bits(address))


def _way_to(namespace: Namespace, written: str) -> Link | None:
    """The interface beside which the station of one address is, or by which main leads to a network; None for
    others, its own address and the world.
    """
    for known in where(_known(namespace), dst=written):
        return namespace.link(known.indexes[0])
    query = RouteQuery(None, written.partition("/")[0])
    sought = (fib.lookup(namespace, query),) if _is_of_one(written) else ()
    legs = filter(None, map(attrgetter("leg"), where(sought, type="unicast")))
    return next(map(namespace.link_of, where(legs, via=None)), None)


def _copied(loss: Loss, routed: Routed, field: str, rule: PolicyRule, agreeing: int) -> Iterator[Repair]:
    named = routing.describe_rule(rule)
    table = _NAMES.get(rule.table or 0, str(rule.table))
    words = ("rule", "add", "pref", str(rule.priority), _WORDS[field], getattr(rule, field), "lookup", table)
    text = f"{routed.namespace} lacks the policy rule «{named}», of which it has {agreeing} for others"
    thing, fix = Object("policy-rule", named, f"{named} (missing)"), (fixes.ip(routed.dst, *words),)
    stop = lost("rule-wrong-table", routed.namespace, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)
