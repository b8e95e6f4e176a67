"""Chains of a namespace's ruleset, edited; what the fixes of every firewall have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from netprobe.model import Chain, Rule, Ruleset, Snapshot, Table
from netprobe.model.lookup import has, without

from .order import Order, must, refuse_if

Where = tuple[str, str, str]
"""The engine, family and name of a table."""


def edited(order: Order, where: Where, name: str, edit: Callable[[Chain], Chain]) -> Snapshot:
    """The snapshot with one chain edited; KeyError when it is not there."""
    table = must(ruleset(order).table(*where), where)
    return with_chain(order, table, edit(must(table.chain(name), name)))


def ruleset(order: Order) -> Ruleset:
    """The namespace's ruleset; KeyError when it was not read."""
    return must(order.namespace.ruleset, order.name)


def with_chain(order: Order, table: Table, chain: Chain) -> Snapshot:
    """The snapshot with a chain in the place of the one with its name, or behind the others of its table."""
    chains = {each.name: each for each in table.chains} | {chain.name: chain}
    return with_table(order, replace(table, chains=tuple(chains.values())))


def with_table(order: Order, table: Table) -> Snapshot:
    """The snapshot with a table in the place of the one with its name, or behind the others."""
    rules = ruleset(order)
    tables = {each.key: each for each in rules.tables} | {table.key: table}
    return order.with_fields(ruleset=replace(rules, tables=tuple(tables.values()))).snapshot


def unused(table: Table, name: str) -> Chain:
    """The chain of a table that none of its rules leads to; KeyError else (EBUSY)."""
    refuse_if(has(table.rules, leads_to=name), name)
    return must(table.chain(name), name)


def without_rule(chain: Chain, gone: Rule) -> Chain:
    """The chain without a rule; those behind move up, as their tools number them."""
    return with_rules(chain, without(chain.rules, gone))


def with_rules(chain: Chain, rules: Sequence[Rule]) -> Chain:
    """The chain with these rules, numbered anew."""
    return replace(chain, rules=tuple(replace(rule, number=at) for at, rule in enumerate(rules, 1)))
