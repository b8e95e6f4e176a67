"""Which command lines print the tables of a namespace: whole families at a time, and single tables where a
family has one that is too large to be printed. A set with many elements is left out of what is printed; the
small ones beside it are printed one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import NamedSet, Table
from netprobe.rules.read.arguments import logical_lines
from netprobe.rules.read.iptables_save import read_save
from netprobe.rules.read.nft_json import listed, of_table, read_items, read_set

from .kernel import Inventory, KernelSet
from .owner import Key
from .tools import Printed

MAP = 0x8  # NFT_SET_MAP
MOST_RULES = 1100  # of the old engine, which tells only how many bytes they are
MOST_SETS = 32  # that are printed one by one, 3 ms each; of others single elements are asked

Scope = tuple[str, ...]
"""A family, or a family and a table of it."""


class Printer(Struct, frozen=True):
    """A tool that prints the tables of one engine in one family."""

    command: tuple[str, ...]
    engine: str
    family: str

    def tables(self, printed: Printed) -> list[Table]:
        """The tables in its output; of the old engine's, where there are very many rules, with the base
        chains alone.
        """
        text = printed.output.decode("utf-8", "surrogateescape")
        if self.engine != "iptables-legacy" or text.count(" -A ") <= MOST_RULES:
            return read_save(text, self.engine, self.family)
        tables = read_save(of_base_chains(text), self.engine, self.family)
        return [
            replace(table, chains=tuple(chain for chain in table.chains if chain.hook), partial=True)
            for table in tables
        ]

    def commands(self, tables: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The command line for all tables; with `tables` one for each of these."""
        lines = [(*self.command, "-t", table) for table in tables]
        return {" ".join(line): line for line in lines or [self.command]}


XTABLES = {
    "ip": Printer(("iptables-nft-save", "-c"), "iptables", "ip"),
    "ip6": Printer(("ip6tables-nft-save", "-c"), "iptables", "ip6"),
    "bridge": Printer(("ebtables-nft-save", "-c"), "ebtables", "bridge"),
    "arp": Printer(("arptables-nft-save", "-c"), "arptables", "arp"),
}
LEGACY = {
    "ip": Printer(("iptables-legacy-save", "-c"), "iptables-legacy", "ip"),
    "ip6": Printer(("ip6tables-legacy-save", "-c"), "iptables-legacy", "ip6"),
    "arp": Printer(("arptables-legacy-save",), "arptables-legacy", "arp"),
}


def of_base_chains(text: str) -> str:
    """What iptables-save printed, without the rules of chains that others jump to."""
    base: set[str] = set()
    kept = []
    for line in logical_lines(text):
        name = line.partition(" -A ")[2].partition(" ")[0]
        if line.startswith(":") and not line.partition(" ")[2].startswith("-"):
            base.add(line[1:].partition(" ")[0])
        if line.startswith("*"):
            base.clear()
        if not name or name in base:
            kept.append(line)
    return "\n".join(kept)


def together(printed: Mapping[str, Printed], labels: Iterable[str]) -> Printed:
    """What several command lines printed, as one; an error of one of them is one of all."""
    parts = [printed[label] for label in labels]
    error = next((part.error for part in parts if part.error), None)
    return Printed(b"\n".join(part.output for part in parts), error)


def scopes(tables: Iterable[Key], apart: Set[str]) -> set[Scope]:
    """What nft is asked for to see these tables: of the families `apart` single tables."""
    return {key if key[0] in apart else key[:1] for key in tables}


def label(scope: Scope, what: str) -> str:
    """The name of a listing: of its `values` or `texts`."""
    return " ".join((*scope, what))


def listings(wanted: Iterable[Scope], large: Iterable[KernelSet]) -> dict[str, tuple[str, ...]]:
    """nft's command lines; terse where a set is `large`.

    Only `list ruleset` is terse without reading all elements (1.2 s for 100,000).
    """
    much = {(each.family, each.table)[:size] for each in large for size in (1, 2)}
    commands: dict[str, tuple[str, ...]] = {}
    for scope in wanted:
        what = ("ruleset", *scope) if len(scope) == 1 else ("table", *scope)
        terse = ("-t",) if scope in much else ()
        commands[label(scope, "values")] = ("nft", "-j", *terse, "list", *what)
        commands[label(scope, "texts")] = ("nft", "-a", "-s", *terse, "list", *what)
    return commands


def beside(
    found: Inventory, large: Set[KernelSet], families: Set[str], tables: Set[Key]
) -> dict[str, tuple[str, ...]]:
    """nft's command lines for the small sets of families that have a large one, which are listed tersely, and
    of these tables.
    """
    terse = {each.family for each in large} & families
    small = [
        each
        for each in found.sets
        if (each.family in terse or (each.family, each.table) in tables) and each not in large
    ]
    return {_set_label(each.family, each.table, each.name): _set_line(each) for each in small[:MOST_SETS]}


def with_elements(table: Table, printed: Mapping[str, Printed]) -> Table:
    """A table of a terse listing, its sets with the elements that were printed one by one; of the others
    elements are asked.
    """
    return replace(table, sets=tuple(_filled(table, each, printed) for each in table.sets))


def _filled(table: Table, named: NamedSet, printed: Mapping[str, Printed]) -> NamedSet:
    found = printed.get(_set_label(table.family, table.name, named.name))
    read = read_set(found.output) if found is not None and not found.error else None
    return replace(named, elements=read.elements if read is not None else None)


def _set_label(*place: str) -> str:
    return " ".join(("set", *place))


def _set_line(each: KernelSet) -> tuple[str, ...]:
    kind = "map" if each.flags & MAP else "set"
    return ("nft", "-j", "list", kind, each.family, each.table, each.name)


NAMED = {"all that is named": ("nft", "-j", "-t", "list sets; list maps; list flowtables")}
"""nft's command line for what large tables have beside chains, of all tables together: without elements. Of
tens of thousands of chains each run of nft reads the names.
"""


def named(table: Table, printed: Mapping[str, Printed]) -> Table:
    """A large table with its sets and flowtables. Raises as `read_listing`."""
    key = (table.family, table.name)
    listings = (line for each in NAMED for line in printed[each].output.rstrip().split(b"\n"))
    items = [item for line in listings for item in listed(line)]  # one listing a command
    found = of_table(items, key)
    return with_elements(replace(table, sets=found.sets, flowtables=found.flowtables), printed)


_MOST_PIECES = 200  # chains that are printed one by one, 3 ms each


def pieces(found: Inventory, tables: Set[Key]) -> dict[str, tuple[str, ...]]:
    """nft's command lines for all that these tables have, which say nothing of the tables themselves: nft
    1.0.6 takes the words for their flags from beside its list of them, and may end there. Nothing where they
    have very many chains.
    """
    chains = [each for each in found.chains if (each.family, each.table) in tables]
    held = ("sets", "maps", "flowtables", "counters", "quotas", "limits")
    lines = (
        *(("list", "chain", each.family, each.table, each.name) for each in chains),
        *(("list", what) for what in held),
    )
    return {" ".join(line): ("nft", "-j", *line) for line in lines if len(chains) <= _MOST_PIECES}


def in_pieces(found: Inventory, tables: Set[Key], printed: Mapping[str, Printed], texts: str) -> list[Table]:
    """These tables of what was printed so. Raises as `read_listing`, KeyError where something is missing."""
    whole = {name: printed[name] for name in pieces(found, tables)}
    items = [item for each in whole.values() for item in listed(each.output)]
    heads = [{"table": {"family": family, "name": name}} for family, name in found.tables]
    return read_items([*heads, *items], texts, found.chains, {*tables} if whole else set())


def terse_scopes(wanted: Iterable[Scope], large: Iterable[KernelSet]) -> Iterator[Scope]:
    """Those of the listings that are terse."""
    much = {(each.family, each.table)[:size] for each in large for size in (1, 2)}
    return (scope for scope in wanted if scope in much)
