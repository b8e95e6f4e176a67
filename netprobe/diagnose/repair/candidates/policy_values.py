"""Policy rules with one thing in the place of another: a mark that nothing gives, a table that others of
their kind lead to, an address of this namespace as the goal, an interface behind which their sender is not;
that ask otherwise than all of their kind; or that come too late. Pure.

See: ip-rule(8); net/core/fib_rules.c (fib_rules_lookup, fib_rule_match).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, product

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import is_special
from netprobe.model import Namespace, PolicyRule, RouteQuery
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, has, not_among, where
from netprobe.predict import fib, policy, routing

from .policy_rules import hides_main
from .rows import PolicyRow, Wording
from .unheeded import marks_given


def _siblings(namespace: Namespace, rule: PolicyRule) -> tuple[PolicyRule, ...]:
    """The other rules of a namespace that somebody made."""
    rules = where(namespace.rules, version=rule.version, action="lookup")
    return tuple(each for each in rules if is_special(each) and each != rule)


def _earlier(row: PolicyRow) -> Iterator[Wording]:
    """A rule behind the one that decided: nothing comes to it behind a default route of main's, what is
    marked is marked for it, and main is asked for networks before others are for all. It belongs behind the
    last of its kind that comes in time.
    """
    decided, rule = row.routed.decision.rule, row.rule
    late = decided is not None and decided.priority < rule.priority
    wanted = decided is not None and late and not hides_main(row.packet.here, decided)
    special = (rule.mark, rule.suppress_prefixlen) != (0, None)
    if decided is not None and wanted and (decided.table == fib.MAIN or special):
        known = column(_siblings(row.packet.here, rule), "priority")
        timely = [each + 1 for each in known if each + 1 < decided.priority]
        yield Wording({f"{rule.priority}:": f"{max(timely, default=decided.priority - 1)}:"})


def _by_its_mark(row: PolicyRow) -> Iterator[Wording]:
    """A mark that nothing gives, for one that is given and for which no other rule asks; or under the mask
    that others look through.
    """
    rule, given = row.rule, marks_given(row.packet.here)
    others = but(_siblings(row.packet.here, rule), mark=0)
    if not rule.mark or any(not (mark ^ rule.mark) & rule.mask and rule.mark & rule.mask for mark in given):
        return
    for mask in dict.fromkeys((rule.mask, *column(others, "mask"))):
        for mark in sorted(given):
            asked = any(not (mark ^ each.mark) & each.mask for each in others)
            if mark & mask and not asked:
                meant = replace(rule, mark=mark & mask, mask=mask)
                yield Wording(dict.fromkeys((routing.mark_of(rule),), routing.mark_of(meant)))


def _by_its_table(row: PolicyRow) -> Iterator[Wording]:
    """A table to which another rule of its kind leads already, for one to which none of its kind does."""
    others = _siblings(row.packet.here, row.rule)
    alike = where(not_among(others, table=(fib.MAIN,)), asks=row.rule.asks)
    if has(alike, table=row.rule.table):
        for table in sorted({*column(others, "table")} - {fib.MAIN, *column(alike, "table")}):
            yield Wording({str(row.rule.table): str(table)})


def _by_its_words(row: PolicyRow) -> Iterator[Wording]:
    """A rule that asks otherwise than each that leads to the same table, or to one of its kind: as one of
    them; as none has a word more than it needs, where there are no others.
    """
    here, rule, routed = row.packet.here, row.rule, row.routed
    others = _siblings(here, rule)
    # main's are like none of another table: they let pass what is not by its default route
    elsewhere = {fib.MAIN: ()}.get(rule.table or 0, not_among(others, table=(fib.MAIN,)))
    alike = where(others, table=rule.table) or elsewhere
    short = _in_short(rule)
    forms = {*column(alike, "asks")} or {short.asks}
    forms |= {*column(but((short,), mark=0), "asks")}  # what is marked is marked for it
    forms |= {*column(where(elsewhere, asks=short.asks), "asks")} - {rule.asks}
    turned = chain.from_iterable(map(_turned, not_among((rule,), asks=forms)))
    iif = getattr(routed.iif, "index", None)
    query = RouteQuery(routed.src or None, routed.dst, iif=iif, mark=rule.mark)
    # nobody comes to a rule behind the one that decides
    comes = rule.priority <= getattr(routed.decision.rule, "priority", rule.priority)
    for meant in not_among(among(turned, asks=forms), asked={*column(others, "asked")}):
        if meant.inverted != rule.inverted or (comes and policy.matches(here, meant, query)):
            yield Wording({routing.describe_rule(rule): routing.describe_rule(meant)})


def _turned(rule: PolicyRule) -> tuple[PolicyRule, ...]:
    """A rule with fewer words, or with one end, or one way, in the place of the other."""
    short = _in_short(rule)
    return short, replace(short, src=rule.dst, dst=rule.src), replace(short, iif=rule.oif, oif=rule.iif)


def _in_short(rule: PolicyRule) -> PolicyRule:
    """A rule for all protocols and users, that takes every route of its table, for those whom it names: main
    is asked for networks alone, and all but what a tunnel has marked goes into that (wg-quick(8)).
    """
    networks = {fib.MAIN: rule.suppress_prefixlen}.get(rule.table or 0)
    around = rule.inverted and rule.mark > 0
    plain = replace(rule, protocol=None, sports=None, dports=None, uids=None, tos=0)
    return replace(plain, suppress_prefixlen=networks, inverted=around)


def _by_its_ends(row: PolicyRow) -> Iterator[Wording]:
    """An address of this namespace as the goal, which no rule behind the table local meets; the way in as the
    way out; an interface behind which the sender's network is not.
    """
    here, rule = row.packet.here, row.rule
    if rule.oif == row.packet.iif:  # what is forwarded has no way out yet
        yield Wording({"oif": "iif"})
    if rule.dst is not None and not rule.src and here.address(rule.dst.partition("/")[0]) is not None:
        yield Wording({"all": rule.dst, "to": "", rule.dst: ""})
    for src, way in product(row.networks("src"), row.said("iif")):
        led = here.link_of(fib.lookup(here, RouteQuery(None, src.partition("/")[0])).leg)
        yield from (Wording({way: name}) for name in {name_of(led, way)} - {way})


KINDS = (_earlier, _by_its_mark, _by_its_table, _by_its_ends, _by_its_words)
