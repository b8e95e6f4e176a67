"""From which hooks a chain is led to. Pure.

See: nft(8), CHAINS, VERDICT STATEMENTS; iptables(8), -j.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model import Chain, NamedSet, Table
from netprobe.model.lookup import among, column, gathered, indexed, where

from .orphans import verdicts


def leading_to(table: Table, chain: Chain) -> frozenset[str]:
    """The hooks whose packets may come to a chain of a table, by rules and maps; none where nothing leads
    there.
    """
    led = indexed(_leading, table.chains, table.sets)
    names = [chain.name]
    for name in names:  # it grows on the way
        names += {*led.get(name, ())}.difference(names)
    return frozenset(filter(None, column(among(table.chains, name={*names}), "hook")))


def _leading(chains: tuple[Chain, ...], sets: tuple[NamedSet, ...]) -> dict[str, tuple[str, ...]]:
    """For the name of each chain, those of the chains that lead there."""
    return gathered((to, chain.name) for chain in chains for to in _led_to(chain, sets))


def _led_to(chain: Chain, sets: tuple[NamedSet, ...]) -> Iterator[str]:
    for rule in chain.rules:  # of ten thousand
        if rule.leads_to:
            yield rule.leads_to
        for each in where(rule.statements, kind="vmap"):
            named = {*column(where(each.nodes, kind="ref"), "text")}
            terms = [*each.nodes]
            for held in among(sets, name=named):
                terms += held.known
            yield from (name for _, name in verdicts(terms))
