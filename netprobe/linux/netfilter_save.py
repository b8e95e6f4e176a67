"""What iptables-save(8) and ip6tables-save(8) print, as tables. Pure: text in, values out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from netprobe.model import Chain, Rule, Statement, Table

from .netfilter_arguments import Block, blocks, tokens
from .netfilter_targets import read_target
from .netfilter_xt import general, read_match

# Hooks with nft's priorities. Source: include/uapi/linux/netfilter_ipv4.h; nat is split between destination and source.
PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
NAT_PRIORITIES = {"prerouting": -100, "output": -100, "postrouting": 100, "input": 100}
HOOKS = {"PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward", "OUTPUT": "output", "POSTROUTING": "postrouting"}
TABLES = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}

_CHAIN = re.compile(r":(\S+) (\S+)")
_RULE = re.compile(r"(?:\[(\d+):(\d+)\] )?-A (\S+) ?(.*)")
_SPACED_CHAIN = re.compile(r'(?:\[(\d+):(\d+)\] )?-A "((?:\\.|[^"\\])*)" ?(.*)')


def read_save(text: str, engine: str, family: str) -> list[Table]:
    """The tables of one `iptables-save -c` output; `engine` "iptables" or "iptables-legacy", `family` "ip" or "ip6"."""
    tables: list[_Draft] = []
    for line in text.splitlines():
        if line.startswith("*"):
            tables.append(_Draft(engine, family, line[1:]))
        elif line.startswith(":") and tables:
            name, policy = _CHAIN.match(line).groups()  # type: ignore[union-attr] # the tool prints both
            tables[-1].chains[name] = (policy.lower(), [])
        elif line.startswith(("-A", "[")) and tables:
            tables[-1].add(line)
    return [draft.table() for draft in tables]


@dataclass(slots=True)
class _Draft:
    """A table while its lines are read: chains with policy ("-" for a user's chain) and rules."""

    engine: str
    family: str
    name: str
    chains: dict[str, tuple[str, list[Rule]]] = field(default_factory=dict)

    def add(self, line: str) -> None:
        found = _SPACED_CHAIN.match(line) or _RULE.match(line)
        if found is None:
            return
        packets, size, chain, arguments = found.groups()
        rules = self.chains.setdefault(chain, ("-", []))[1]
        statements, comment = read_arguments(arguments, self.family, self.chains)
        rules.append(
            Rule(
                len(rules) + 1,
                f"-A {chain} {arguments}".rstrip(),
                tuple(statements),
                packets=int(packets) if packets else None,
                bytes=int(size) if size else None,
                comment=comment,
            )
        )

    def table(self) -> Table:
        """The finished table, its chains in the tool's order."""
        return Table(self.engine, self.family, self.name, tuple(self._chain(name, *chain) for name, chain in self.chains.items()))

    def _chain(self, name: str, policy: str, rules: list[Rule]) -> Chain:
        if name not in TABLES.get(self.name, ()):
            return Chain(name, tuple(rules))
        hook = HOOKS[name]
        if self.name == "nat":
            return Chain(name, tuple(rules), hook, NAT_PRIORITIES[hook], "nat", policy)
        return Chain(name, tuple(rules), hook, PRIORITIES[self.name], "filter", policy)


def read_arguments(arguments: str, family: str, chains: dict[str, tuple[str, list[Rule]]]) -> tuple[list[Statement], str | None]:
    """The statements of one rule and its comment."""
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
