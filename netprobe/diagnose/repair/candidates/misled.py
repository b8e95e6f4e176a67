"""A rule that leads to another chain than it was to: no rule leads to the one that was meant, or that one
leads to the other itself, which is a part of it. Pure.

See: iptables(8), -j; nft(8), jump, goto.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain as chained
from itertools import islice

from msgspec.structs import replace

from netprobe.diagnose import rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Place, Stop, Table
from netprobe.model.lookup import among, column, sole, where
from netprobe.model.place import stage_of

from .hooks import verdicts
from .orphans import TRANSLATING, orphans
from .sets import REFUSED

_MOST = 16  # rules of a namespace
_LARGE = 64  # chains of a table: generated rules lead where they are to


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule of the namespaces on the way, with the chain that was meant."""
    for namespace in map(loss.snapshot.at, loss.way):
        refused = namespace.name == loss.here.name and loss.stop.code in REFUSED
        for table in namespace.tables:
            for rule, meant in islice(_misled(table), _MOST):
                yield from _led(loss, namespace.name, refused, rule, meant)


def _misled(table: Table) -> Iterator[tuple[NatRule, Chain]]:
    """The rules that may lead to another chain than they were to, each with the one that may be meant."""
    own = where(table.chains, hook=None)
    small = len(own) <= _LARGE and not table.partial
    lost = [*sole(tuple(orphans(table)))] if small else []
    leading = [(chain, rule) for chain, rule in table.placed if rule.leads_to] if small else []
    led = {hook: _led_from(table, hook) for hook in dict.fromkeys(chain.hook for chain, _ in leading)}
    for chain, rule in leading:
        # else that one would be led to by nobody
        twice = lost if led[chain.hook][rule.leads_to] > 1 else ()
        wholes = filter(partial(_leads_to, table, rule.leads_to), own if chain.at else ())
        for meant in (*twice, *wholes):
            if meant.name not in (chain.name, rule.leads_to):
                yield NatRule(table, chain, rule, chain.at), meant


def _led_from(table: Table, hook: str | None) -> Counter[str]:
    """How often each chain is led to, by maps and from a hook: each leads to the chains that are for all."""
    others = among(table.chains, hook=(None, hook))
    by_rules = chained.from_iterable(column(each.rules, "leads_to") for each in others)
    return Counter((*(name for _, name in _mapped(table)), *by_rules))


def _mapped(table: Table) -> Iterator[tuple[str, str]]:
    return verdicts(chained.from_iterable(column(table.sets, "known")))


def _leads_to(table: Table, part: str, whole: Chain) -> bool:
    """Whether a chain leads to another one, by a rule or by a map."""
    nodes = [*chained.from_iterable(each.nodes for rule in whole.rules for each in rule.statements)]
    maps = among(table.sets, name={*column(where(nodes, kind="ref"), "text")})
    terms = (*nodes, *chained.from_iterable(column(maps, "known")))
    return part in (*column(whole.rules, "leads_to"), *(name for _, name in verdicts(terms)))


def _led(loss: Loss, name: str, refused: bool, rule: NatRule, meant: Chain) -> Iterator[Repair]:
    thing, led = rule.decision.object, rule.rule.leads_to
    text = f"{thing.id} of {name} leads to {led}, and not to {meant.name}: {loss.stop.text}"
    fix = rule_words.reworded(thing, rule.rule, led, meant.name)
    proof = (thing.text, loss.stop.text)
    if rule.chain.type == "nat" and rule.hook in TRANSLATING:
        code, _ = TRANSLATING[rule.hook]
        place = Place(name, None, stage_of(rule.hook))
        stop = Stop(code, place, text, thing, fix, proof)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=2)
    elif refused:
        stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
        yield from loss.repair(stop, Merit.RESTORES, agreeing=2)
