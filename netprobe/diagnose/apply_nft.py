"""Fixes of rules in the words of nft(8), carried out on a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from netprobe.model import Chain, Rule, Snapshot, Statement, Table, Term
from netprobe.model.lookup import exchanged
from netprobe.predict.allow import LIMITS, REFUSING, turned, without_limit

from .apply_tables import edited, ruleset, with_rules, with_table, without
from .nat_rules import swapped, written
from .order import Order

_VERDICTS = ("accept", "drop", "masquerade")
_KEYS = {
    ("iifname",): "meta iifname", ("oifname",): "meta oifname", ("meta", "l4proto"): "meta l4proto",
    ("ip", "saddr"): "ip saddr", ("ip", "daddr"): "ip daddr", ("ip6", "saddr"): "ip6 saddr",
    ("ip6", "daddr"): "ip6 daddr", ("tcp", "sport"): "tcp sport", ("tcp", "dport"): "tcp dport",
    ("udp", "sport"): "udp sport", ("udp", "dport"): "udp dport", ("icmp", "type"): "icmp type",
    ("icmpv6", "type"): "icmpv6 type", ("ct", "state"): "ct state", ("ether", "type"): "ether type",
}  # fmt: skip


def nft(order: Order) -> Snapshot:
    """`nft delete rule FAMILY TABLE CHAIN handle N`, `nft replace rule … handle N RULE` where that takes a
    limit away, accepts what was refused or leads elsewhere, `nft insert|add rule … RULE`, `nft chain FAMILY
    TABLE CHAIN '{ policy accept; }'`, `nft add table FAMILY TABLE`, which wakes a dormant one, and `nft
    add|delete element`.
    """
    match order.words:
        case ["add", "table", family, name]:
            return with_table(order, replace(_table(order, family, name), dormant=False))
        case ["chain", family, table, chain, "{ policy accept; }"]:
            return edited(order, ("nft", family, table), chain, lambda c: replace(c, policy="accept"))
        case ["delete" | "add" as how, "element", family, table, name, text]:
            return with_table(order, _with_element(_table(order, family, table), name, how, text))
        case ["delete", "rule", family, table, chain, "handle", handle]:
            return edited(order, ("nft", family, table), chain, lambda c: without(c, _of(c, handle)))
        case ["replace", "rule", family, table, chain, "handle", handle, text]:
            return edited(order, ("nft", family, table), chain, lambda c: _replaced(c, _of(c, handle), text))
        case ["insert" | "add" as how, "rule", family, table, chain, *words]:
            return edited(
                order, ("nft", family, table), chain, lambda c: _grown(c, _rule(c, words), how == "insert")
            )
    raise KeyError(" ".join(order.words))


def _table(order: Order, family: str, name: str) -> Table:
    found = ruleset(order).table("nft", family, name)
    if found is None:
        raise KeyError(name)
    return found


def _of(chain: Chain, handle: str) -> Rule | None:
    return next((rule for rule in chain.rules if rule.handle == int(handle)), None)


def _replaced(chain: Chain, old: Rule | None, text: str) -> Chain:
    """The chain with a rule that has lost its limit, accepts what it refused, or leads elsewhere; KeyError
    for any other text.
    """
    if old is None or text == old.text:
        raise KeyError(text)
    if text == without_limit(old.text):
        new = replace(old, text=text, statements=tuple(s for s in old.statements if s.kind not in LIMITS))
    elif text == turned(old.text):
        kept = tuple(Statement("accept") if each.kind in REFUSING else each for each in old.statements)
        new = replace(old, text=text, statements=kept)
    else:
        new = _led_elsewhere(old, text)
    return with_rules(chain, list(exchanged(chain.rules, old, new)))


def _led_elsewhere(old: Rule, text: str) -> Rule:
    """A rule in which one address stands in the place of another; KeyError for any other text."""
    before, after = old.text.split(), text.split()
    pairs = {pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]}
    if len(before) != len(after) or len(pairs) != 1:
        raise KeyError(text)
    was, now = (_address(word) for word in pairs.pop())
    if swapped(old.text, was, now) != text:
        raise KeyError(text)
    return replace(old, text=text, statements=tuple(_towards(each, was, now) for each in old.statements))


def _towards(statement: Statement, was: str, now: str) -> Statement:
    """A translation with another target."""
    if statement.kind != "dnat" or statement.right is None:
        return statement
    return replace(statement, right=_renamed(statement.right, was, now))


def _address(word: str) -> str:
    """The address in a word, without a port or a comma behind it."""
    word = word.rstrip(",")
    return word.rpartition(":")[0] if word.count(":") == 1 else word


def _renamed(term: Term, was: str, now: str) -> Term:
    args = tuple(_renamed(each, was, now) for each in term.args)
    return replace(term, text=now if term.text == was and term.kind == "value" else term.text, args=args)


def _with_element(table: Table, name: str, how: str, text: str) -> Table:
    """The table with an element of a map more, `{ KEY : DATUM }`, of a set, `{ KEY }`, or fewer."""
    held = table.set(name)
    if held is None or held.elements is None:
        raise KeyError(name)
    key, _, data = (part.strip() for part in text.strip("{} ").partition(" : "))
    kept = tuple(each for each in held.elements if _key(each) != key)
    if how == "delete" and len(kept) == len(held.elements):
        raise KeyError(text)
    if how == "add":
        kept = (*kept, Term("pair", args=(_term(key), _term(data))) if data else _term(key))
    return replace(table, sets=exchanged(table.sets, held, replace(held, elements=kept)))


def _key(element: Term) -> str:
    """What an element of a set is, or the key of one of a map."""
    return written(element.args[0] if element.kind == "pair" else element)


def _term(text: str) -> Term:
    parts = text.split(" . ")
    return Term("value", text) if len(parts) == 1 else Term("concat", args=tuple(map(_term, parts)))


def _grown(chain: Chain, rule: Rule, first: bool) -> Chain:
    return with_rules(chain, [rule, *chain.rules] if first else [*chain.rules, rule])


def _rule(chain: Chain, words: Sequence[str]) -> Rule:
    """A rule of simple tests and a verdict; KeyError for any other. nft gives it the next handle of its
    table, which no other rule of the chain has.
    """
    *tests, verdict = words
    if verdict not in _VERDICTS:
        raise KeyError(verdict)
    statements = [*_tests(tests), Statement(verdict)]
    handle = 1 + max((rule.handle or 0 for rule in chain.rules), default=0)
    return Rule(0, " ".join(words), tuple(statements), handle)


def _tests(words: Sequence[str]) -> list[Statement]:
    made, rest = [], list(words)
    while rest:
        size = 1 if rest[0] in ("iifname", "oifname") else 2
        key, rest = _KEYS[tuple(rest[:size])], rest[size:]
        negated = rest[0] == "!="
        value, rest = rest[negated], rest[negated + 1 :]
        made.append(_test(key, value.strip('"'), negated))
    return made


def _test(key: str, value: str, negated: bool) -> Statement:
    if key == "ct state":  # one bit of them is enough
        terms = tuple(Term("value", each) for each in value.split(","))
        right = terms[0] if len(terms) == 1 else Term("set", args=terms)
        return Statement("match", Term("key", key), "not in" if negated else "in", right)
    return Statement("match", Term("key", key), "!=" if negated else "==", Term("value", value))
