"""Fixes of rules in the words of iptables(8) and its kin, carried out on a snapshot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from netprobe.model import Chain, Rule, Snapshot, Table
from netprobe.model.lookup import column, find, where, without
from netprobe.predict import prefix
from netprobe.predict.fixes import xt_words
from netprobe.rules.read.iptables_save import ARGUMENTS, HOOKS, NAT_PRIORITIES, PRIORITIES, TABLES

from .apply_tables import Where, edited, ruleset, unused, with_chain, with_rules, with_table, without_rule
from .order import Order, must, refuse_if

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
        _, table, *words = words
    at = (engine, family, table)
    match words:
        case ["-F"]:
            known = _table(order, at)
            return with_table(order, replace(known, chains=tuple(with_rules(c, []) for c in known.chains)))
        case ["-N" | "-X" as how, chain]:
            return with_table(order, _OWN[how](_table(order, at), chain))
        case ["-D", chain, *rule]:
            return edited(order, at, chain, lambda c: without_rule(c, _meant(c, rule)))
        case [how, name, *rest]:
            known = _table(order, at)
            now = known.chain(name) or _base(at, name)
            return with_chain(order, known, _changed(how, family, known, now, rest))
    raise KeyError(" ".join(words))


def _changed(how: str, family: str, table: Table, chain: Chain, words: list[str]) -> Chain:
    """A chain of a table after `-P`, `-F`, `-A`, `-I` or `-R`."""
    rules, count = chain.rules, len(chain.rules)
    match how, *words:
        case "-P", "ACCEPT" | "DROP" as policy:
            return _with_policy(chain, policy.lower())
        case ("-F",):
            return with_rules(chain, [])
        case "-A", *rule:
            return with_rules(chain, [*rules, _rule(family, table, chain, rule)])
        case "-I" | "-R", number, *rule if number.isdigit():
            at, replaced = int(number) - 1, how == "-R"
            refuse_if(
                at not in range(count + 1 - replaced), number
            )  # Index of insertion, of replacement too big
            return with_rules(
                chain, [*rules[:at], _rule(family, table, chain, rule), *rules[at + replaced :]]
            )
        case "-I", *rule:
            return with_rules(chain, [_rule(family, table, chain, rule), *rules])
    raise KeyError(how)


def _table(order: Order, at: Where) -> Table:
    """A table; one that nobody used yet is empty."""
    return ruleset(order).table_of(at)


def _with_own(table: Table, name: str) -> Table:
    """The table with a chain of a person's own."""
    refuse_if(table.partial or table.chain(name), name)  # nobody has read whether there is one; or there is
    return replace(table, chains=(*table.chains, Chain(name)))


def _without_own(table: Table, name: str) -> Table:
    """The table without a chain of a person's own, which must be empty and not used."""
    gone = unused(table, name)
    refuse_if(table.partial or gone.hook or gone.rules, name)
    return replace(table, chains=without(table.chains, gone))


_OWN = {"-N": _with_own, "-X": _without_own}


def _with_policy(chain: Chain, policy: str) -> Chain:
    refuse_if(chain.hook is None, chain.name)  # a user's chain has none
    return replace(chain, policy=policy)


def _meant(chain: Chain, words: Sequence[str]) -> Rule:
    """The first rule of this number or with these words."""
    if len(words) == 1 and words[0].isdigit():
        return must(find(chain.rules, number=int(words[0])), words)
    meant = (rule for rule in chain.rules if xt_words(chain.name, rule.text) == tuple(words))
    return must(next(meant, None), words)


def _base(where: Where, name: str) -> Chain:
    """A chain that a table has from the beginning; KeyError for others, which would have to be made."""
    table = where[2]
    refuse_if(name not in TABLES.get(table, ()), name)
    hook = HOOKS[name]
    if table == "nat":
        return Chain(name, (), hook, NAT_PRIORITIES[hook], "nat")
    return Chain(name, (), hook, PRIORITIES[table])


def _rule(family: str, table: Table, chain: Chain, words: Sequence[str]) -> Rule:
    """The rule as its tool would print it, and read as that; KeyError where it is not understood."""
    printed = " ".join(map(_printed, _explicit(words) if family in _BITS else words))
    statements, comment = ARGUMENTS[family](printed, family, {*column(table.chains, "name")})
    refuse_if(where(statements, kind="unknown"), printed)
    return Rule(0, f"-A {chain.name} {printed}", tuple(statements), comment=comment)


def behind(words: Sequence[str], key: str) -> list[str]:
    """The words that stand behind a key."""
    return [word for before, word in pairwise(words) if before == key]


def _explicit(words: Sequence[str]) -> list[str]:
    """The words with `-m MODULE` where an option of the protocol's module stands without it."""
    protocol = "".join(behind(words, "-p")[:1])
    module = _MODULES.get(protocol, protocol)
    made, implied = list(words), [at for at, word in enumerate(words) if word in _IMPLIED]
    if implied and protocol and module not in behind(words, "-m"):
        at = implied[0] - (words[implied[0] - 1] == "!")
        made[at:at] = ["-m", module]
    return [_whole(before, word) for before, word in pairwise(["", *made])]


def _whole(before: str, word: str) -> str:
    """A word as iptables-save prints it: an address with its length, the echo request by its number."""
    if before in ("-s", "-d") and "/" not in word:
        return f"{word}/{prefix.bits(word)}"
    if (before, word) == ("--icmp-type", "echo-request"):
        return "8"
    return word


def _printed(word: str) -> str:
    """A word as xtables_save_string writes it."""
    if not _QUOTED.search(word):
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'
