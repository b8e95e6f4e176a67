"""Rules that decide by chance or by number: what a chain is for the packets for which they fall one way.

A service with several endpoints is such a chain: iptables -m statistic, or nft numgen and jhash
(net/netfilter/xt_statistic.c, nft_numgen.c, nft_hash.c).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.model import Rule, Statement, Term
from netprobe.model.lookup import exchanged, indexed
from netprobe.model.pattern import pattern

MOST = 16  # outcomes that are looked at
_DICE = ("numgen", "hash")
_RANGE = pattern(r"mod (\d+)(?: offset (\d+))?")


def fallen(rules: tuple[Rule, ...]) -> Iterator[tuple[Rule, ...]]:
    """The rules of a chain for each outcome: one that holds by chance does and those before it did not, or
    none does; where a number is drawn, each that it may be.
    """
    chances, draws = indexed(_dice, rules)
    left = rules
    for rule in chances:
        yield exchanged(left, rule, _settled(rule, "1"))
        left = exchanged(left, rule, _settled(rule, "0"))
    if chances and left != rules:
        yield left
    for rule, numbers in draws:
        for number in numbers:
            drawn = tuple(_drawn(statement, str(number)) for statement in rule.statements)
            yield exchanged(rules, rule, replace(rule, statements=drawn))


def _dice(rules: tuple[Rule, ...]) -> tuple[tuple[Rule, ...], tuple[tuple[Rule, range], ...]]:
    """The rules of a chain that hold by chance, and those that draw a number, with what they may draw: few of
    ten thousand, which a search for the cause goes through for each of its trials.
    """
    chances = {id(rule): rule for rule in rules for each in rule.statements if each.kind == "statistic"}
    drawing = {
        id(rule): rule
        for rule in rules
        for each in rule.statements
        for term in (each.left, each.right, each.port)
        if term is not None and (term.args or term.kind in _DICE)
    }
    drawn = ((rule, _numbers(rule)) for rule in drawing.values())
    return (*chances.values(),), tuple((rule, numbers) for rule, numbers in drawn if numbers)


def _settled(rule: Rule, chance: str) -> Rule:
    """The rule as it always holds (a chance of 1), or never (0)."""
    dice = Statement("statistic", options={"mode": "random", "probability": chance})
    return replace(rule, statements=tuple(dice if s.kind == dice.kind else s for s in rule.statements))


def _terms(statement: Statement) -> dict[str, Term]:
    """The expressions of a statement, by where they stand."""
    terms = {"left": statement.left, "right": statement.right, "port": statement.port}
    return {place: term for place, term in terms.items() if term is not None}


def _numbers(rule: Rule) -> range:
    """The numbers that a rule may draw."""
    dies = [
        node.text
        for each in rule.statements
        for term in (each.left, each.right, each.port)
        if term is not None and (term.args or term.kind in _DICE)
        for node in (term, *term.args)
        if node.kind in _DICE
    ]
    found = _RANGE.search(" ".join(dies)) if dies else None
    if found is None:
        return range(0)
    first = int(found[2] or 0)
    return range(first, first + int(found[1]))[:MOST]


def _drawn(statement: Statement, number: str) -> Statement:
    """The statement with a number where it is drawn."""
    terms = {place: _shown(term, number) for place, term in _terms(statement).items()}
    return replace(statement, **terms)


def _shown(term: Term, number: str) -> Term:
    drawn = dict.fromkeys(_DICE, Term("value", number))
    args = tuple(drawn.get(each.kind, each) for each in term.args)
    return drawn.get(term.kind, replace(term, args=args))
