"""A rule that can never match: an earlier one of its chain takes all that it asks for. It is the exception,
and was to stand before that rule; so was a chain that lets in what is published, for whoever asks. The same
of policy rules. Pure.

See: iptables(8), -I; nft(8), insert rule; ip-rule(8), priority.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice, product, starmap, takewhile
from operator import attrgetter, ne

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.model import Leg, Namespace, Object, PolicyRule, Rule, Stage, Statement, Stop
from netprobe.model.lookup import among, but, column, has, not_among, where
from netprobe.predict import fixes, policy, prefix, routing
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed
from netprobe.rules.naming import PORT_KEYS, TRANSLATIONS

from .hooks import led_to_the_end
from .sets import REFUSED

_MOST = 16  # rules that are tried
_MET = 32  # rules that the packet met last: one may have met thousands, each with thousands behind it
_NO_TESTS = {"note", "accept", "drop", "reject", "goto", "jump"}  # what a rule has beside them
_ENDS = {(kind,) for kind in ("accept", "drop", "reject", "goto", "jump", *TRANSLATIONS)}
_CODES = {"src": "nat-wrong-address", "dst": "dnat-dead-target", "dport": "dnat-dead-target"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule behind one that decided, and for less than that, put before it."""
    decided = [*_decided(loss)]
    found = chain(
        chain.from_iterable(map(partial(_overtaken, loss), decided)),
        chain.from_iterable(map(partial(_asked_too_late, loss), decided)),
        _named_too_late(loss),
    )
    yield from islice(found, _MOST)
    for routed in loss.prediction.routed:
        yield from islice(_never_asked(loss, routed), _MOST)


def _decided(loss: Loss) -> Iterator[Stop]:
    """Each rule that the packet met where it was refused, and those that gave it other addresses, as the
    cause that it would be.
    """
    met = where(reversed(loss.prediction.rules), namespace=loss.here.name, leg=loss.prediction.leg)[:1]
    for passed in met if loss.stop.code in REFUSED else ():
        yield from (replace(loss.stop, object=thing) for thing in (*passed.rules[-_MET:], loss.stop.thing))
    for hop in but(loss.hops, object=None):
        for change in among(hop.changes, field=_CODES):
            yield Stop(_CODES[change.field], hop.place, loss.stop.text, hop.object)


def _overtaken(loss: Loss, stop: Stop) -> Iterator[Repair]:
    first, *later = nat_rules.from_on(loss.snapshot.at(stop.place.namespace), stop.thing) or (None,)
    for each in later:
        if first is not None and is_for_less(each.rule, first.rule) and _is_all_taken(loss, each, first):
            yield from _put_before(loss, stop, first, each)


def _is_all_taken(loss: Loss, later: nat_rules.NatRule, first: nat_rules.NatRule) -> bool:
    """Whether what refused the packet asks for no more than a rule does: a chain that is called takes what a
    rule in it asks for, and what those ask for that lead on in it, and gives the rest back.
    """
    if not first.rule.leads_to:
        return True
    led = takewhile(partial(ne, first), led_to_the_end(loss))
    steps = (
        *nat_rules.statements(loss.here, loss.stop.thing),
        *chain.from_iterable(column(led, "statements")),
    )
    asked = nat_rules.tests(later.rule)
    return all(map(partial(_is_implied, asked), not_among(steps, kind=_NO_TESTS)))


def _asked_too_late(loss: Loss, stop: Stop) -> Iterator[Repair]:
    """A chain that lets in a published port for whoever asks, which comes after one that keeps networks
    apart: both are called for every packet.
    """
    here = loss.here
    led = any(nat_rules.rewriting(where(loss.hops, namespace=here.name), "dst", "dport"))
    first, *later = (nat_rules.from_on(here, stop.thing) if led else ()) or (None,)
    if first is None or not first.rule.leads_to or nat_rules.tests(first.rule):
        return
    for each in later:
        called = where(each.table.chains, name=each.rule.leads_to)
        if called and not nat_rules.tests(each.rule) and any(map(_is_for_whoever, called[0].rules)):
            yield from _put_before(loss, stop, first, each)


def _named_too_late(loss: Loss) -> Iterator[Repair]:
    """A chain that speaks of the very address that is asked for, behind one by which the packet was led
    elsewhere for its port alone.
    """
    for hop in nat_rules.rewriting(loss.prediction.request.hops, "dst"):
        namespace = loss.snapshot.at(hop.namespace)
        taken = nat_rules.statements(namespace, hop.thing)
        met = where(loss.prediction.rules, namespace=hop.namespace, leg=Leg.REQUEST)
        things = [] if nat_rules.networks(taken, *nat_rules.TO) else [*chain(*column(met, "rules"))][-_MET:]
        asked = next(column(where(hop.changes, field="dst"), "before"))
        stop = Stop(_CODES["dst"], hop.place, loss.stop.text, hop.object)
        for rules in filter(None, map(partial(nat_rules.from_on, namespace), things)):
            for later in _naming(rules, asked):
                yield from _put_before(loss, stop, rules[0], later)


def _naming(rules: tuple[nat_rules.NatRule, ...], asked: str) -> Iterator[nat_rules.NatRule]:
    """Those behind the first, which leads to a chain, that lead to one which speaks of an address, for all
    that the first is for.
    """
    known = nat_rules.tests(rules[0].rule)
    chains = {each.name: each for each in rules[0].table.chains}
    leading = rules[1:] if rules[0].rule.leads_to else ()
    for each in (each for each in leading if each.rule.leads_to in chains):
        implied = {*map(repr, nat_rules.tests(each.rule))} <= {*map(repr, known)}
        if implied and any(map(partial(dnat_rules.is_for_one, asked), chains[each.rule.leads_to].rules)):
            yield each


def _never_asked(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """Each policy rule that selects the packet, behind the one that took it by a default route, and that is
    for less than that one.
    """
    namespace, taken, route = loss.snapshot[routed.namespace], routed.decision.rule, routed.decision.route
    if taken is None or route is None or not route.is_default or not taken.priority:
        return
    query = replace(routed.query, iif=getattr(routed.iif, "index", None))
    asked = where(tuple(policy.selected(namespace, query)), action="lookup")
    later = filter(is_special, asked[asked.index(taken) + 1 :] if taken in asked else ())
    for rule in filter(partial(_asks_for_more, taken), later):
        yield from loss.repair(_asked_first(namespace, routed.dst, rule, taken), Merit.RESTORES, agreeing=1)


def _asks_for_more(taken: PolicyRule, rule: PolicyRule) -> bool:
    """Whether a policy rule asks for all that another one asks for, and for more."""
    if rule.inverted or taken.inverted:
        return False
    networks = (rule.src, taken.src), (rule.dst, taken.dst)
    inside = all(wide is None or (part is not None and _holds(wide, part)) for part, wide in networks)
    asked, before = _asked_beside(rule), _asked_beside(taken)
    implied = all(value in (None, asked[name]) for name, value in before.items())
    same = asked == before and all(part == wide for part, wide in networks)
    return inside and implied and not same


_BESIDE = ("iif", "oif", "uids", "protocol", "sports", "dports")


def _asked_beside(rule: PolicyRule) -> dict[str, object]:
    """What a policy rule asks for beside networks, None for what it does not."""
    mark = (rule.mark, rule.mask) if rule.mark or rule.mask not in (0, 0xFFFFFFFF) else None
    return {"mark": mark, "tos": rule.tos or None, **{name: getattr(rule, name) for name in _BESIDE}}


def _asked_first(namespace: Namespace, dst: str, rule: PolicyRule, taken: PolicyRule) -> Stop:
    """A policy rule put before another one."""
    old = routing.describe_rule(rule)
    new = routing.describe_rule(replace(rule, priority=taken.priority - 1))
    text = (
        f"the policy rule «{old}» of {namespace.name} is never asked:"
        f" «{routing.describe_rule(taken)}» stands before it and takes all that it asks for"
    )
    add = fixes.ip(dst, "rule", "add", "pref", *new.replace(":", "", 1).split())
    fix = (add, fixes.without_policy_rule(dst, old))
    thing = Object("policy-rule", old, old)
    return lost("rule-wrong-table", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)


def _is_for_whoever(rule: Rule) -> bool:
    """Whether a rule accepts a port, and nothing but a port, whoever asks and by whatever interface."""
    tests = nat_rules.tests(rule)
    asked = {*column(tests, "key")} - {"meta l4proto", "ip protocol", "ip6 nexthdr"}
    return has(rule.statements, kind="accept") and bool(asked) and asked <= {*PORT_KEYS}


def _put_before(
    loss: Loss, stop: Stop, first: nat_rules.NatRule, later: nat_rules.NatRule
) -> Iterator[Repair]:
    thing = later.decision.object
    text = f"{thing.id} of {stop.place.namespace} stands behind a rule that takes all that it asks for"
    fix, proof = rule_words.put_before(thing, later.rule, first.rule), (first.rule.text, loss.stop.text)
    stop = replace(stop, text=text, object=thing, commands=fix, proof=proof, advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def is_for_less(later: Rule, first: Rule) -> bool:
    """Whether all that a rule would take is taken by another one, which takes more: both end their chain.
    What refuses everything is odd itself.
    """
    asked, before = nat_rules.tests(later), nat_rules.tests(first)
    excepting = before or among(first.statements, kind=TRANSLATIONS)
    taken = all(map(partial(_is_implied, asked), before))
    return all((excepting, taken, asked != before, _ends(later), _ends(first)))


def _ends(rule: Rule) -> bool:
    """Whether a rule is nothing but tests and an end: one that has a limit does not take all."""
    steps = not_among(rule.statements, kind={"note", *nat_rules.TESTS})
    return tuple(map(attrgetter("kind"), steps)) in _ENDS


def _is_implied(asked: tuple[Statement, ...], test: Statement) -> bool:
    """Whether what has passed some tests passes another one as well."""
    outer, inner = nat_rules.networks((test,), test.key), nat_rules.networks(asked, test.key)
    return test in asked or any(starmap(_holds, product(outer, inner)))


def _holds(network: str, other: str) -> bool:
    inside = prefix.contains(network, other.partition("/")[0])
    return inside and prefix.length(other) >= prefix.length(network)
