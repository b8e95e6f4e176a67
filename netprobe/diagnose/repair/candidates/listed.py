"""A chain that lists what is let through, and behind which its caller refuses the rest: the packet is not in
the list. Pure.

See: iptables(8), -j; nft(8), jump.
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
from netprobe.model import Chain, Flow, Rule, Statement, Table
from netprobe.model.lookup import among, where
from netprobe.predict import prefix
from netprobe.rules.naming import rule_decision

from . import sets

_MOST = 16  # rules that are tried
_ENDS = {"accept", "return", "note", "counter"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """An entry like the others, for what the packet has, in each list before the rule that refused it."""
    hops = where(loss.hops, namespace=loss.here.name) if loss.stop.code in sets.REFUSED else ()
    for last, refusing in product(hops[-1:], nat_rules.from_on(loss.here, loss.stop.thing)[:1]):
        for chain in filter(_is_list, _called_before(refusing)):
            more = (_one_more(loss, refusing.table, chain, each, last.flow) for each in chain.rules)
            yield from islice(joined.from_iterable(more), _MOST)


def _called_before(refusing: NatRule) -> Iterator[Chain]:
    """The chains that rules before this one lead to, for all that it would refuse."""
    asked = nat_rules.tests(refusing.rule)
    before = takewhile(partial(ne, refusing.rule), refusing.chain.rules)
    calls = (each.leads_to for each in before if asked and nat_rules.tests(each) == asked)
    return filter(None, map(refusing.table.chain, calls))


def _is_list(chain: Chain) -> bool:
    """Whether all that a chain does is to accept."""
    return all(map(_is_entry, chain.rules))


def _is_entry(rule: Rule) -> bool:
    kinds = {*map(attrgetter("kind"), rule.statements)} - nat_rules.TESTS
    return "accept" in kinds and kinds <= _ENDS


def _one_more(loss: Loss, table: Table, chain: Chain, entry: Rule, flow: Flow) -> Iterator[Repair]:
    thing = rule_decision(table, chain, entry, loss.stop.place.stage.value).object
    for old, new in _instead(nat_rules.tests(entry), flow):
        text = f"{thing.id} of {loss.here.name} lets {old} through, as others are; no rule does {new}"
        proof = (thing.text, loss.stop.text)
        fix = rule_words.appended(thing, entry, old, new)
        stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
        yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _instead(tests: tuple[Statement, ...], flow: Flow) -> Iterator[tuple[str, str]]:
    """The address that an entry is for, as its tool may write it, and what the packet has there."""
    for test in among(tests, op=nat_rules.IS) if len(tests) == 1 else ():
        old, new = test.value, sets.value(test, sets.seen(flow))
        if new is not None and nat_rules.is_prefix(old):
            yield from product((old, f"{old}/{prefix.bits(new)}"), (new,))
