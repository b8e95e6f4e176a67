"""What iptables-save(8), ebtables-save(8) and arptables-save(8) print, as tables.

Pure: text in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

from msgspec import Struct

from netprobe.model import Chain, Rule, Statement, Table, Term
from netprobe.model.pattern import pattern

from .arguments import Block, blocks, logical_lines, tokens
from .ebtables import arptables_arguments, ebtables_arguments
from .terms import key, unknown
from .xt_match import general, read_match
from .xt_target import is_target, read_target

# Hooks with nft's priorities. Source: include/uapi/linux/netfilter_ipv4.h; nat is split between destination
# and source.
PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
NAT_PRIORITIES = {"prerouting": -100, "output": -100, "postrouting": 100, "input": 100}
HOOKS = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
TABLES = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}

_CHAIN = pattern(r":(\S+) (\S+)", re.ASCII)
_RULE = pattern(r'(?:\[(\d+):(\d+)\] )?-A (?:"((?:\\.|[^"\\])*)"|(\S+)) ?(.*)', re.ASCII | re.DOTALL)
Arguments = Callable[[str, str, Collection[str]], tuple[list[Statement], str | None]]


def read_save(text: str, engine: str, family: str) -> list[Table]:
    """The tables of one output of a -save command; `engine` and `family` as in `Table`."""
    tables: list[_PrintedTable] = []
    read = ARGUMENTS[family]
    for line in logical_lines(text):
        if line.startswith("*"):
            tables.append(_PrintedTable(engine, family, line[1:]))
        elif tables and (chain := _CHAIN.match(line)):
            tables[-1].chains[chain[1]] = (chain[2].lower(), [])
        elif tables and (rule := _RULE.match(line)):
            tables[-1].add(rule, read)
    return [draft.table() for draft in tables]


@lru_cache(maxsize=8)  # a loss has it read twice, and it seldom changes
def read_chain(text: str, name: str, family: str) -> Chain:
    """The chain that `iptables -S NAME` prints, its rules alone; what is no target is a chain that they jump
    to.
    """
    drafted, at = _PrintedTable("", family, "", _Chains()), 0
    while at < len(text):
        if alike := _RULE_FOR_ONE.match(text, at):
            drafted.add_for_one(alike)
            at = alike.end()
            continue
        line = next(logical_lines(text, at))
        if rule := _RULE.match(line):
            drafted.add(rule, ARGUMENTS[family])
        at += len(line) + 1
    return Chain(name, tuple(drafted.chains.get(name, ("-", []))[1]))


class _Chains(dict[str, tuple[str, list[Rule]]]):
    """The chains of a table of which one is read: all that is no target's name."""

    def __contains__(self, name: object) -> bool:
        return not is_target(str(name))


class _PrintedTable(Struct):
    """A table while its lines are read: chains with policy ("-" for a user's chain) and rules."""

    engine: str
    family: str
    name: str
    chains: dict[str, tuple[str, list[Rule]]] = {}

    def add(self, line: re.Match[str], read: Arguments) -> None:
        packets, size, quoted, plain, arguments = line.groups()
        chain = quoted or plain
        rules = self.chains.setdefault(chain, ("-", []))[1]
        try:
            statements, comment = read(arguments, self.family, self.chains)
        except (LookupError, ValueError, TypeError):  # another release's words
            statements, comment = [unknown(arguments)], None
        counts = (int(packets), int(size)) if packets else (None, None)
        text = f"-A {chain} {arguments}".rstrip()
        rules.append(
            Rule(len(rules) + 1, text, tuple(statements), packets=counts[0], bytes=counts[1], comment=comment)
        )

    def add_for_one(self, line: re.Match[str]) -> None:
        """Add a rule for one destination, one of thousands in a chain."""
        text, chain, *arguments = line.groups()
        rules = self.chains.setdefault(chain, ("-", []))[1]
        statements, comment = _for_one(arguments, self.family, self.chains)
        rules.append(Rule(len(rules) + 1, text, tuple(statements), comment=comment))

    def table(self) -> Table:
        """The finished table, its chains in the tool's order."""
        chains = tuple(self._chain(name, *chain) for name, chain in self.chains.items())
        return Table(self.engine, self.family, self.name, chains)

    def _chain(self, name: str, policy: str, rules: list[Rule]) -> Chain:
        """A chain with the hook and priority that its name stands for, where the kernel does not tell (the
        old engine).
        """
        if policy == "-":
            return Chain(name, tuple(rules))
        if name not in HOOKS:
            return Chain(name, tuple(rules), policy=policy)
        hook = HOOKS[name]
        if self.name == "nat" and self.family in ("ip", "ip6"):
            return Chain(name, tuple(rules), hook, NAT_PRIORITIES[hook], "nat", policy)
        return Chain(name, tuple(rules), hook, PRIORITIES.get(self.name, 0), "filter", policy)


def read_arguments(
    arguments: str, family: str, chains: Collection[str]
) -> tuple[list[Statement], str | None]:
    """The statements of one rule and its comment."""
    alike = _FOR_ONE.fullmatch(arguments)
    return _for_one(alike.groups(), family, chains) if alike else read_each(arguments, family, chains)


# A rule for one destination, as kube-proxy writes ten thousand of, alike but for address, comment and target.
_ONE = (
    r"-d ([\da-f.:]+/\d+) ((?:-p \w+ )?)"
    r"(?:-m comment --comment (?:\"([^\"\\]*)\"|([\w:./]+)) )?"
    r"((?:-m (?:tcp|udp|sctp) --dport [\d:]+ )?)-j ([\w-]+)"
)
_FOR_ONE = pattern(_ONE, re.ASCII)
_RULE_FOR_ONE = pattern(rf'(-A ([^\s"]\S*) {_ONE})(?:\n|\Z)', re.ASCII)


def _for_one(
    arguments: Sequence[str], family: str, chains: Collection[str]
) -> tuple[list[Statement], str | None]:
    """The same of what `_ONE` takes apart."""
    destination, before, quoted, plain, after, target = arguments
    first = Statement("match", key(f"{family} daddr"), "==", Term("value", destination))
    if target in chains:  # as nearly always
        jump = [Statement("jump", target=target)]
    else:
        jump = read_target(Block("target", target), family, ())
    comment = plain if quoted is None else quoted
    return [first, *_tests(before + after, family), *jump], comment or None


@lru_cache(maxsize=256)
def _tests(arguments: str, family: str) -> tuple[Statement, ...]:
    return tuple(read_each(arguments, family, ())[0])


def read_each(arguments: str, family: str, chains: Collection[str]) -> tuple[list[Statement], str | None]:
    """The same, each argument in its turn."""
    found = blocks(tokens(arguments))
    statements = general(found[0], family)
    comment = None
    for block in found[1:]:
        if block.kind == "match":
            statements += read_match(block, family)
            comment = _comment(block) or comment
        else:
            statements += read_target(block, family, chains)
    return statements, comment


def _comment(block: Block) -> str | None:
    return block.value("--comment") if block.name == "comment" else None


ARGUMENTS: dict[str, Arguments] = {
    "ip": read_arguments,
    "ip6": read_arguments,
    "bridge": ebtables_arguments,
    "arp": arptables_arguments,
}
