"""Fixes of rules in the words of iptables(8) and its kin, carried out on a snapshot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from netprobe.model import Chain, Rule, Snapshot, Statement, Table
from netprobe.predict.fixes import xt_words
from netprobe.rules.read.iptables_save import ARGUMENTS, HOOKS, NAT_PRIORITIES, PRIORITIES, TABLES

from .apply_tables import Where, edited, ruleset, with_chain, with_rules, with_table, without
from .order import Order

TOOLS = {
    "iptables": ("iptables", "ip"), "ip6tables": ("iptables", "ip6"),
    "iptables-legacy": ("iptables-legacy", "ip"),
    "ip6tables-legacy": ("iptables-legacy", "ip6"), "ebtables": ("ebtables", "bridge"),
    "arptables": ("arptables", "arp"),
    "arptables-legacy": ("arptables-legacy", "arp"),
}  # fmt: skip

# Options that bring in the module named by -p, where no -m did (iptables, xshared.c: load_proto)
_IMPLIED = ("--sport", "--dport", "--source-port", "--destination-port", "--icmp-type", "--icmpv6-type",
            "--tcp-flags", "--syn")  # fmt: skip
_BITS = {"ip": 32, "ip6": 128}
_MODULES = {"ipv6-icmp": "icmp6", "icmpv6": "icmp6"}
_QUOTED = re.compile(r"[\s\"'\\]|^$")


def iptables(order: Order) -> Snapshot:
    """`TOOL [-t TABLE] -D CHAIN NUMBER|RULE`, `-P CHAIN POLICY`, `-A CHAIN RULE`, `-I CHAIN [NUMBER] RULE`,
    `-R CHAIN NUMBER RULE`, `-F [CHAIN]`, `-N CHAIN`, `-X CHAIN`.
    """
    engine, family = TOOLS[order.tool]
    words, table = list(order.words), "filter"
    if words[0] == "-t":
        table, words = words[1], words[2:]
    where = (engine, family, table)
    match words:
        case ["-P", chain, "ACCEPT" | "DROP" as policy]:
            table_of, now = _at(order, where, chain)
            return with_chain(order, table_of, _with_policy(now, policy.lower()))
        case ["-F"]:
            known = ruleset(order).table(*where) or Table(*where)
            return with_table(order, replace(known, chains=tuple(map(_empty, known.chains))))
        case ["-F", chain]:
            return with_chain(order, *_emptied(order, where, chain))
        case ["-N" | "-X" as how, chain]:
            return with_table(order, _with_own(ruleset(order).table(*where) or Table(*where), how, chain))
        case ["-D", chain, *rule]:
            return edited(order, where, chain, lambda c: without(c, _meant(c, rule)))
        case ["-A", chain, *rule]:
            return _added(order, where, chain, rule, None)
        case ["-I", chain, number, *rule] if number.isdigit():
            return _added(order, where, chain, rule, int(number))
        case ["-I", chain, *rule]:
            return _added(order, where, chain, rule, 1)
        case ["-R", chain, number, *rule] if number.isdigit():
            return edited(order, where, chain, lambda c: _with_another(order, where, c, int(number), rule))
    raise KeyError(" ".join(words))


def _empty(chain: Chain) -> Chain:
    return with_rules(chain, [])


def _emptied(order: Order, where: Where, name: str) -> tuple[Table, Chain]:
    table, chain = _at(order, where, name)
    return table, _empty(chain)


def _with_own(table: Table, how: str, name: str) -> Table:
    """The table with a chain of a person's own more or less; KeyError where there is one, or none that is
    empty and not used.
    """
    known = table.chain(name)
    if table.partial:
        raise KeyError(name)  # nobody has read whether there is one
    if how == "-N" and known is None:
        return replace(table, chains=(*table.chains, Chain(name)))
    used = known is None or known.hook is not None or known.rules
    if how == "-N" or used or name in [rule.leads_to for rule in table.rules]:
        raise KeyError(name)
    return replace(table, chains=tuple(chain for chain in table.chains if chain is not known))


def _with_policy(chain: Chain, policy: str) -> Chain:
    if chain.hook is None:
        raise KeyError(chain.name)  # a user's chain has none
    return Chain(
        chain.name, chain.rules, chain.hook, chain.priority, chain.type, policy, chain.devices, chain.handle
    )


def _meant(chain: Chain, words: Sequence[str]) -> Rule | None:
    """The first rule of this number or with these words."""
    if len(words) == 1 and words[0].isdigit():
        return next((rule for rule in chain.rules if rule.number == int(words[0])), None)
    return next((rule for rule in chain.rules if xt_words(chain.name, rule.text) == tuple(words)), None)


def _added(order: Order, where: Where, name: str, words: Sequence[str], at: int | None) -> Snapshot:
    """A rule at number `at`, or at the end."""
    table, chain = _at(order, where, name)
    rules = list(chain.rules)
    if at is not None and not 0 < at <= len(rules) + 1:
        raise KeyError(at)  # iptables: Index of insertion too big
    made = _rule(where[1], table, chain, words)
    rules.insert(len(rules) if at is None else at - 1, made)
    return with_chain(order, table, with_rules(chain, rules))


def _at(order: Order, where: Where, name: str) -> tuple[Table, Chain]:
    """A table and a chain of its; a table that nobody used yet has its usual chains, all empty."""
    table = ruleset(order).table(*where) or Table(*where)
    return table, table.chain(name) or _base(where, name)


def _with_another(order: Order, where: Where, chain: Chain, at: int, words: Sequence[str]) -> Chain:
    """The chain with another rule at a number; KeyError where it has none there."""
    table = ruleset(order).table(*where)
    if table is None or not 0 < at <= len(chain.rules):
        raise KeyError(at)  # iptables: Index of replacement too big
    rules = list(chain.rules)
    rules[at - 1] = _rule(where[1], table, chain, words)
    return with_rules(chain, rules)


def _base(where: Where, name: str) -> Chain:
    """A chain that a table has from the beginning; KeyError for others, which would have to be made."""
    table = where[2]
    if name not in TABLES.get(table, ()):
        raise KeyError(name)
    hook = HOOKS[name]
    if table == "nat":
        return Chain(name, (), hook, NAT_PRIORITIES[hook], "nat")
    return Chain(name, (), hook, PRIORITIES[table])


def _rule(family: str, table: Table, chain: Chain, words: Sequence[str]) -> Rule:
    """The rule as its tool would print it, and read as that; KeyError where it is not understood."""
    printed = " ".join(map(_printed, _explicit(words) if family in _BITS else words))
    statements, comment = ARGUMENTS[family](printed, family, {each.name for each in table.chains})
    if any(_is_unknown(each) for each in statements):
        raise KeyError(printed)
    return Rule(0, f"-A {chain.name} {printed}", tuple(statements), comment=comment)


def _is_unknown(statement: Statement) -> bool:
    return statement.kind == "unknown"


def _explicit(words: Sequence[str]) -> list[str]:
    """The words with `-m MODULE` where an option of the protocol's module stands without it."""
    named = [word for before, word in pairwise(words) if before == "-m"]
    protocol = next((word for before, word in pairwise(words) if before == "-p"), "")
    made, module = list(words), _MODULES.get(protocol, protocol)
    at = next((at for at, word in enumerate(words) if word in _IMPLIED), None)
    if at is not None and protocol and module not in named:
        at -= words[at - 1] == "!"
        made[at:at] = ["-m", module]
    return [_whole(before, word) for before, word in pairwise(["", *made])]


def _whole(before: str, word: str) -> str:
    """A word as iptables-save prints it: an address with its length, the echo request by its number."""
    if before in ("-s", "-d") and "/" not in word:
        return f"{word}/{128 if ':' in word else 32}"
    return "8" if (before, word) == ("--icmp-type", "echo-request") else word


def _printed(word: str) -> str:
    """A word as xtables_save_string writes it."""
    if not _QUOTED.search(word):
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'
