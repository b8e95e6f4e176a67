"""Chains of a namespace's ruleset, edited; what the fixes of every firewall have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from netprobe.model import Chain, Rule, Ruleset, Snapshot, Table

from .order import Order

Where = tuple[str, str, str]
"""The engine, family and name of a table."""


def edited(order: Order, where: Where, name: str, edit: Callable[[Chain], Chain]) -> Snapshot:
    """The snapshot with one chain edited; KeyError when it is not there."""
    table = ruleset(order).table(*where)
    chain = table.chain(name) if table is not None else None
    if table is None or chain is None:
        raise KeyError(name)
    return with_chain(order, table, edit(chain))


def ruleset(order: Order) -> Ruleset:
    """The namespace's ruleset; KeyError when it was not read."""
    if order.namespace.ruleset is None:
        raise KeyError(order.name)
    return order.namespace.ruleset


def with_chain(order: Order, table: Table, chain: Chain) -> Snapshot:
    """The snapshot with a chain in the place of the one with its name, or behind the others of its table."""
    chains = [chain if each.name == chain.name else each for each in table.chains]
    if table.chain(chain.name) is None:
        chains.append(chain)
    return with_table(order, replace(table, chains=tuple(chains)))


def with_table(order: Order, table: Table) -> Snapshot:
    """The snapshot with a table in the place of the one with its name, or behind the others."""
    rules = ruleset(order)
    tables = {each.key: each for each in rules.tables} | {table.key: table}
    return order.with_fields(ruleset=replace(rules, tables=tuple(tables.values()))).snapshot


def without(chain: Chain, gone: Rule | None) -> Chain:
    """The chain without a rule; those behind move up, as their tools number them. KeyError for None."""
    if gone is None:
        raise KeyError(chain.name)
    return with_rules(chain, [rule for rule in chain.rules if rule is not gone])


def with_rules(chain: Chain, rules: Sequence[Rule]) -> Chain:
    """The chain with these rules, numbered anew."""
    return replace(chain, rules=tuple(replace(rule, number=at) for at, rule in enumerate(rules, 1)))
