"""Policy rules with one thing in the place of another: a mark that nothing gives, a table that others of
their kind lead to, an address of nobody, an interface behind which their sender is not; that ask otherwise
than all of their kind; or that come too late. Pure.

See: ip-rule(8); net/core/fib_rules.c (fib_rules_lookup, fib_rule_match).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain as joined

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.model import Namespace, Object, PolicyRule, RouteQuery, Stage
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, has, not_among, where
from netprobe.predict import fib, fixes, policy, prefix, routing
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .policy_rules import hides_main
from .unheeded import marks_given

_MOST = 32  # rules of a namespace: who has more has them made
_Kind = Callable[[Loss, Routed, PolicyRule], Iterator[PolicyRule]]


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule of the namespaces on the way, as it was meant."""
    for routed in loss.decisions:
        namespace = loss.snapshot[routed.namespace]
        rules = where(namespace.rules, version=prefix.version(routed.dst), action="lookup")
        special = [*filter(is_special, rules)]
        for rule in special if len(special) <= _MOST else ():
            for meant in joined.from_iterable(kind(loss, routed, rule) for kind in _KINDS):
                yield from _as_meant(loss, namespace, routed, rule, meant)


def _as_meant(
    loss: Loss, namespace: Namespace, routed: Routed, rule: PolicyRule, meant: PolicyRule
) -> Iterator[Repair]:
    old, new = map(routing.describe_rule, (rule, meant))
    text = f"the policy rule «{old}» of {namespace.name} is not for the packet, as «{new}» would be"
    words = new.replace(":", "", 1).split()
    fix = (
        fixes.without_policy_rule(routed.dst, old),
        fixes.ip(routed.dst, "rule", "add", "pref", *words),
    )
    thing = Object("policy-rule", old, old)
    stop = lost("rule-wrong-table", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=2)


def _siblings(namespace: Namespace, rule: PolicyRule) -> tuple[PolicyRule, ...]:
    """The other rules of a namespace that somebody made."""
    rules = where(namespace.rules, version=rule.version, action="lookup")
    return tuple(each for each in rules if is_special(each) and each != rule)


def _earlier(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[PolicyRule]:
    """A rule behind the one that decided: nothing comes to it behind a default route of main's, and what is
    marked is marked for it. It belongs behind the last of its kind that comes in time.
    """
    namespace, decided = loss.snapshot[routed.namespace], routed.decision.rule
    if decided is None or decided.priority >= rule.priority or hides_main(namespace, decided):
        return
    if decided.table == fib.MAIN or rule.mark:
        known = column(_siblings(namespace, rule), "priority")
        timely = [each + 1 for each in known if each + 1 < decided.priority]
        yield replace(rule, priority=max(timely, default=decided.priority - 1))


def _by_its_mark(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[PolicyRule]:
    """A mark that nothing gives, for one that is given and for which no other rule asks; or under the mask
    that others look through.
    """
    namespace = loss.snapshot[routed.namespace]
    given, others = marks_given(namespace), but(_siblings(namespace, rule), mark=0)
    if not rule.mark or any(not (mark ^ rule.mark) & rule.mask and rule.mark & rule.mask for mark in given):
        return
    for mask in dict.fromkeys((rule.mask, *column(others, "mask"))):
        for mark in sorted(given):
            asked = any(not (mark ^ each.mark) & each.mask for each in others)
            if mark & mask and not asked:
                yield replace(rule, mark=mark & mask, mask=mask)


def _by_its_table(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[PolicyRule]:
    """A table to which another rule of its kind leads already, for one to which none of its kind does."""
    others = _siblings(loss.snapshot[routed.namespace], rule)
    alike = where(others, asks=rule.asks)
    if has(alike, table=rule.table):
        for table in sorted({*column(others, "table")} - {fib.MAIN, *column(alike, "table")}):
            yield replace(rule, table=table)


def _by_its_words(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[PolicyRule]:
    """A rule that asks otherwise than each that leads to the same table, or to one of its kind: as one of
    them; as none has a word more than it needs, where there are no others.
    """
    namespace = loss.snapshot[routed.namespace]
    others = _siblings(namespace, rule)
    alike = where(others, table=rule.table) or not_among(others, table=(fib.MAIN,))
    forms = {*column(alike, "asks")} or {_in_short(rule).asks}
    turned = joined.from_iterable(map(_turned, not_among((rule,), asks=forms)))
    query = RouteQuery(routed.src or None, routed.dst, iif=getattr(routed.iif, "index", None))
    for meant in not_among(among(turned, asks=forms), asked={*column(others, "asked")}):
        if meant.inverted != rule.inverted or policy.matches(namespace, meant, query):
            yield meant


def _turned(rule: PolicyRule) -> tuple[PolicyRule, ...]:
    """A rule with fewer words, or with one end, or one way, in the place of the other."""
    short = _in_short(rule)
    return short, replace(short, src=rule.dst, dst=rule.src), replace(short, iif=rule.oif, oif=rule.iif)


def _in_short(rule: PolicyRule) -> PolicyRule:
    """A rule for all protocols, that takes every route of its table, for those whom it names: main is asked
    for networks alone, and all but what a tunnel has marked goes into that (wg-quick(8)).
    """
    networks = {fib.MAIN: rule.suppress_prefixlen}.get(rule.table or 0)
    around = rule.inverted and rule.mark > 0
    plain = replace(rule, protocol=None, sports=None, dports=None)
    return replace(plain, suppress_prefixlen=networks, inverted=around)


def _by_its_ends(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[PolicyRule]:
    """An address of this namespace as the goal, which no rule behind the table local meets; one of nobody as
    the sender; an interface behind which the sender's network is not.
    """
    namespace, src = loss.snapshot[routed.namespace], (rule.src or "").partition("/")[0]
    if rule.dst is not None and namespace.address(rule.dst.partition("/")[0]) is not None and not src:
        yield replace(rule, src=rule.dst, dst=None)
    single = rule.src is not None and prefix.length(rule.src) == prefix.bits(src)
    if single and src not in loss.owned and namespace.address(routed.src) is not None:
        yield replace(rule, src=f"{routed.src}/{prefix.bits(src)}")
    led = namespace.link_of(fib.lookup(namespace, RouteQuery(None, src)).leg) if src and rule.iif else None
    if name_of(led, "") not in ("", rule.iif):
        yield replace(rule, iif=name_of(led, ""))


_KINDS: tuple[_Kind, ...] = (_earlier, _by_its_mark, _by_its_table, _by_its_ends, _by_its_words)
