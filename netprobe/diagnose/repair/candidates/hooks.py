"""From which hooks a chain is led to, and by which rules a packet was. Pure.

See: nft(8), CHAINS, VERDICT STATEMENTS; iptables(8), -j.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from operator import methodcaller

from netprobe.diagnose import nat_rules
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Chain, NamedSet, Rule, Table, Term
from netprobe.model.lookup import among, column, gathered, indexed, where


def leading_to(table: Table, goal: Chain) -> frozenset[str]:
    """The hooks whose packets may come to a chain of a table, by rules and maps; none where nothing leads
    there.
    """
    led = indexed(_leading, table.chains, table.sets)
    names = [goal.name]
    for name in names:  # it grows on the way
        names += {*led.get(name, ())}.difference(names)
    return frozenset(filter(None, column(among(table.chains, name={*names}), "hook")))


def led_to_the_end(loss: Loss) -> tuple[NatRule, ...]:
    """The rules by which the packet was led to the chain of the one that refused it, the last one first."""
    met = where(loss.prediction.rules, namespace=loss.here.name, stage=loss.stop.place.stage)[-1:]
    found = [*nat_rules.from_on(loss.here, loss.stop.thing)[:1]]
    for thing in reversed([*chain.from_iterable(column(met, "rules"))]):
        for rule in nat_rules.from_on(loss.here, thing)[:1] if found else ():
            if rule.table == found[-1].table and found[-1].chain.name in _targets(rule.rule, rule.table.sets):
                found.append(rule)
    return tuple(found[1:])


def _leading(chains: tuple[Chain, ...], sets: tuple[NamedSet, ...]) -> dict[str, tuple[str, ...]]:
    """For the name of each chain, those of the chains that lead there."""
    every = ((rule, each.name) for each in chains for rule in each.rules)  # ten thousand
    return gathered((to, name) for rule, name in every for to in _targets(rule, sets))


def _targets(rule: Rule, sets: tuple[NamedSet, ...]) -> Iterator[str]:
    """The chains to which a rule leads, by itself or by a map."""
    if rule.leads_to:
        yield rule.leads_to
    for each in where(rule.statements, kind="vmap"):
        terms = [*each.nodes]
        for held in among(sets, name={*column(where(terms, kind="ref"), "text")}):
            terms += held.known
        yield from (name for _, name in verdicts(terms))


def verdicts(terms: Iterable[Term]) -> Iterator[tuple[str, str]]:
    """How (jump, goto), and to which chain, each verdict in these leads."""
    said = where(chain.from_iterable(each.nodes for each in terms), kind="verdict")
    for verb, _, name in map(methodcaller("partition", " "), column(said, "text")):
        if verb in ("jump", "goto"):
            yield verb, name
