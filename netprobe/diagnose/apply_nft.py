"""Fixes of rules in the words of nft(8), carried out on a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from netprobe.model import Chain, Rule, Snapshot, Statement, Term
from netprobe.predict.allow import LIMITS, REFUSING, turned, without_limit

from .apply_tables import edited, with_rules, without
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
    limit away or accepts what was refused, `nft insert|add rule … RULE`, `nft chain FAMILY TABLE CHAIN
    '{ policy accept; }'`.
    """
    match order.words:
        case ["chain", family, table, chain, "{ policy accept; }"]:
            return edited(order, ("nft", family, table), chain, lambda c: replace(c, policy="accept"))
        case ["delete", "rule", family, table, chain, "handle", handle]:
            return edited(order, ("nft", family, table), chain, lambda c: without(c, _of(c, handle)))
        case ["replace", "rule", family, table, chain, "handle", handle, text]:
            return edited(order, ("nft", family, table), chain, lambda c: _replaced(c, _of(c, handle), text))
        case ["insert" | "add" as how, "rule", family, table, chain, *words]:
            return edited(
                order, ("nft", family, table), chain, lambda c: _grown(c, _rule(c, words), how == "insert")
            )
    raise KeyError(" ".join(order.words))


def _of(chain: Chain, handle: str) -> Rule | None:
    return next((rule for rule in chain.rules if rule.handle == int(handle)), None)


def _replaced(chain: Chain, old: Rule | None, text: str) -> Chain:
    """The chain with a rule that has lost its limit, or accepts what it refused; KeyError for any other
    text.
    """
    if old is None or text == old.text or text not in (without_limit(old.text), turned(old.text)):
        raise KeyError(text)
    kept = tuple(each for each in old.statements if each.kind not in LIMITS)
    if text == turned(old.text):
        kept = tuple(Statement("accept") if each.kind in REFUSING else each for each in old.statements)
    new = replace(old, text=text, statements=kept)
    return with_rules(chain, [new if rule is old else rule for rule in chain.rules])


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
