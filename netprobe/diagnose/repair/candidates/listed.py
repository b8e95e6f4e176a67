"""A chain that lists what is let through, and behind which its caller refuses the rest: the packet is not in
the list. Or others beside its station are accepted one by one, and a policy refuses the rest. Pure.

See: iptables(8), -j, -P; nft(8), jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain as joined
from itertools import islice, product, takewhile
from operator import attrgetter, ne

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Flow, Leg, Object, RouteQuery, Rule, Statement, Table
from netprobe.model.lookup import among, column, has, sole, where
from netprobe.predict import fib, prefix
from netprobe.rules.naming import rule_decision

from . import elements, sets

_MOST = 16  # rules that are tried
_ENDS = {"accept", "return", "note", "counter"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """An entry like the others, for what the packet has, in each list before the rule that refused it."""
    flows = _refused(loss) if loss.stop.code in sets.REFUSED else ()
    for flow, refusing in product(flows, nat_rules.from_on(loss.here, loss.stop.thing)[:1]):
        for chain in filter(_is_list, _called_before(refusing)):
            more = (_one_more(loss, refusing.table, chain, each, flow) for each in chain.rules)
            yield from islice(joined.from_iterable(more), _MOST)
    for flow, table in product(flows, where(loss.here.tables, name=policy_of(loss.stop.thing))):
        entries = ((chain, each) for chain in table.chains for each in filter(_is_entry, chain.rules))
        more = (_as_others(loss, table, chain, each, flow) for chain, each in entries)
        yield from islice(joined.from_iterable(more), _MOST)


def _refused(loss: Loss) -> tuple[Flow, ...]:
    """The packet as it was refused; what its sender refused itself has made no hop."""
    hops = where(loss.hops, namespace=loss.here.name)
    sent = loss.prediction.leg is Leg.REQUEST and not loss.hops
    return (*column(hops[-1:], "flow"), *((replace(loss.probe.flow(), dst=loss.goal),) if sent else ()))


def policy_of(thing: Object) -> str | None:
    """The table of which a chain's policy refused; None of what is no policy."""
    return thing.line[-3] if thing.line[-1:] == ("policy",) else None


def _as_others(loss: Loss, table: Table, chain: Chain, entry: Rule, flow: Flow) -> Iterator[Repair]:
    """An entry for one station, and its port, as one for the station of the packet that is beside it."""
    tests, known = nat_rules.tests(entry), elements.seen(flow)
    asked = [(each.value, elements.value(each, known)) for each in among(tests, op=nat_rules.IS)]
    new = {old: other for old, other in asked if other is not None and not _has(old, other)}
    for end in nat_rules.said(tests, *_ENDS_OF):
        old, _, length = end.partition("/")
        if end in new and length in _ALONE and _is_beside(loss, old, new[end]):
            thing = rule_decision(table, chain, entry, loss.stop.place.stage.value).object
            text = f"{thing.id} of {loss.here.name} lets {old} through; none does so for {new[end]} beside it"
            fix = rule_words.appended(thing, entry, {**new, end: f"{new[end]}{end.removeprefix(old)}"})
            stop = replace(loss.stop, text=text, object=thing, commands=fix, advice="")
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


_ALONE = ("", "32", "128")
_ENDS_OF = ("ip saddr", "ip6 saddr", "ip daddr", "ip6 daddr")


def _has(old: str, other: str) -> bool:
    """Whether a network has an address in it."""
    return nat_rules.is_prefix(old) and prefix.contains(old, other)


def _is_beside(loss: Loss, old: str, new: str) -> bool:
    """Whether two addresses are of two stations that are on one segment beside the place of the loss; none
    that a translation gave the packet as its source.
    """
    made = nat_rules.rewriting(loss.prediction.request.hops, "src")
    if has(joined.from_iterable(map(attrgetter("changes"), made)), after=new):
        return False
    bearers = [{*loss.bearers(each)} for each in (old, new)]
    if not all(bearers) or not bearers[0].isdisjoint(bearers[1]):
        return False
    ways = {fib.lookup(loss.here, RouteQuery(None, each)).leg for each in (old, new)}
    return len(ways) == 1 == len(where(filter(None, ways), via=None))


def _called_before(refusing: NatRule) -> Iterator[Chain]:
    """The chains that rules before this one lead to, for all that it would refuse."""
    asked = nat_rules.tests(refusing.rule)
    before = takewhile(partial(ne, refusing.rule), refusing.chain.rules)
    calls = (each.leads_to for each in before if nat_rules.tests(each) == asked)
    return filter(None, map(refusing.table.chain, calls))


def _is_list(chain: Chain) -> bool:
    """Whether all that a chain does is to accept."""
    return all(map(_is_entry, chain.rules))


def _is_entry(rule: Rule) -> bool:
    kinds = {*map(attrgetter("kind"), rule.statements)} - nat_rules.TESTS
    return "accept" in kinds and kinds <= _ENDS


def _one_more(loss: Loss, table: Table, chain: Chain, entry: Rule, flow: Flow) -> Iterator[Repair]:
    thing = rule_decision(table, chain, entry, loss.stop.place.stage.value).object
    for old, alone in _instead(nat_rules.tests(entry), flow):
        new = _as_wide(loss, old, alone)
        text = f"{thing.id} of {loss.here.name} lets {old} through, as others are; no rule does {new}"
        proof = (thing.text, loss.stop.text)
        fix = rule_words.appended(thing, entry, {old: new})
        stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
        yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _as_wide(loss: Loss, old: str, alone: str) -> str:
    """What an entry for a network is to be for: the one beside the namespace in which an address is."""
    near = fib.best(loss.here, fib.MAIN, RouteQuery(None, alone))
    is_near = near is not None and near.protocol == "kernel" and near.is_to_a_network
    wide = old.partition("/")[2] not in _ALONE
    return near.dst if near is not None and is_near and wide else alone


def _instead(tests: tuple[Statement, ...], flow: Flow) -> Iterator[tuple[str, str]]:
    """The address that an entry is for, as its tool may write it, and what the packet has there."""
    for test in among(sole(tests), op=nat_rules.IS):
        old, new = test.value, elements.value(test, elements.seen(flow))
        if new is not None and nat_rules.is_prefix(old):
            yield from product((old, f"{old}/{prefix.bits(new)}"), (new,))
