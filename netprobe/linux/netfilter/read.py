"""The rulesets of one namespace, of all engines, read only.

Rules of this file: the kernel is asked first which tables there are, so a namespace without rules costs no
process at all; each table is then printed by the tool that owns it; no tool runs that would load or create
anything. Not readable is never "no rules".
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Set
from contextlib import ExitStack

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from netprobe.linux import deadline, netns
from netprobe.model import AskedSet, Blind, IpSet, NamedSet, Ruleset, SetQuery, Table
from netprobe.rules.read.iptables_save import read_save
from netprobe.rules.read.nft_json import read_listing

from .elements import ask_element
from .ipset import named_in, read_sets
from .kernel import Inventory, Nfnetlink, outline, with_rules
from .owner import Key, managed, settled
from .proc import legacy_families, listening_queues, recent_lists
from .tools import Printed, Tools, run

FEW = 256  # a named set up to this size is read with the rules; of a larger one single elements are asked


class Printer(Struct, frozen=True):
    """A tool that prints the tables of one engine in one family."""

    command: tuple[str, ...]
    engine: str
    family: str

    def tables(self, printed: Printed) -> list[Table]:
        """The tables in its output."""
        return read_save(printed.output.decode("utf-8", "surrogateescape"), self.engine, self.family)


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


def read_ruleset(fd: int, name: str = "the namespace") -> Ruleset:
    """All rules of the open namespace `fd`, which messages call `name`.

    Raises NotPermitted or CannotLook if it cannot be entered.
    """
    with RulesetReading(fd, name) as reading:
        return reading.ruleset()


def ask_set(fd: int, query: SetQuery) -> AskedSet:
    """What the kernel says about one element of a set; an answer with `error` when it could not be asked."""
    with netns.inside(fd):
        try:
            with Nfnetlink() as netlink:
                return ask_element(netlink, query)
        except OSError as error:
            return AskedSet(query, False, error=error.strerror or str(error))


class RulesetReading:
    """One reading of one namespace's rules: from the start of `with` the tools print them, `ruleset` waits
    for what they printed.

    Between the two there is time for other work. Raises as `read_ruleset`.
    """

    def __init__(self, fd: int, name: str) -> None:
        self.fd, self.name = fd, name
        self.unseen: list[str] = []
        self._tools = Tools(fd)

    def __enter__(self) -> RulesetReading:
        with netns.inside(self.fd), ExitStack() as undo:
            undo.callback(self._tools.close)
            with deadline.stopped():  # as long as there is more to list, for each of these is bounded
                found, self._small = self._outline()
            # what looks like a table of xtables; only its rules tell whether it is one
            supposed = managed(found)
            native = {family for family, table in found.tables if (family, table) not in supposed}
            self._tools.start(_listings(native, self._small))
            self._legacy = self._legacy_families()
            with deadline.stopped():
                self._found = self._with_rules(found) if supposed else found
            self._tools.start(self._printing(native))
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._tools.close()

    def ruleset(self) -> Ruleset:
        """The whole ruleset."""
        with netns.inside(self.fd):
            recent, queues = recent_lists(), listening_queues()
        printed = self._tools.printed()
        with deadline.stopped():
            tables = self._tables(self._found, printed)
        blind = tuple(Blind(f"the ruleset of {self.name}", why) for why in dict.fromkeys(self.unseen))
        return Ruleset(blind, tuple(tables), recent, queues, ipsets=self._ipsets(tables))

    def _ipsets(self, tables: Iterable[Table]) -> tuple[IpSet, ...]:
        """The sets that rules look into; those that cannot be had make the rules that name them
        undetermined.
        """
        try:
            with netns.inside(self.fd):
                return read_sets(named_in(tables))
        except OSError:
            return ()

    def _outline(self) -> tuple[Inventory, bool]:
        """What nf_tables holds but for the rules, and whether all its named sets are small."""
        try:
            with Nfnetlink() as netlink:
                found = outline(netlink)
                return found, all(
                    _small(netlink, each.family, each.table, each.name, each.count) for each in found.sets
                )
        except OSError as error:
            self._refused(error)
            return Inventory(()), True

    def _with_rules(self, found: Inventory) -> Inventory:
        """What nf_tables holds, with the rules."""
        try:
            with Nfnetlink() as netlink:
                return with_rules(netlink, found)
        except OSError as error:
            self._refused(error)
            return Inventory(())

    def _refused(self, error: OSError) -> None:
        # a kernel without nf_tables
        if error.errno not in (errno.EINVAL, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP):
            self.unseen.append(
                "CAP_NET_ADMIN is missing" if error.errno == errno.EPERM else error.strerror or str(error)
            )

    def _legacy_families(self) -> tuple[str, ...]:
        try:
            return legacy_families()
        except OSError as error:
            self.unseen.append(f"the tables of iptables-legacy: {error.strerror}")
            return ()

    def _printing(self, listed: Set[str]) -> dict[str, tuple[str, ...]]:
        """The command lines for what xtables made, of both engines, and for families that are not `listed`
        and have other tables.
        """
        owned = managed(self._found)
        printers = [printer for family, printer in XTABLES.items() if any(key[0] == family for key in owned)]
        printers += [LEGACY[family] for family in self._legacy]
        native = {family for family, table in self._found.tables if (family, table) not in owned} - listed
        return {printer.command[0]: printer.command for printer in printers} | _listings(native, self._small)

    def _tables(self, found: Inventory, printed: dict[str, Printed]) -> list[Table]:
        """The tables of nf_tables in the kernel's order, then those of the old engine; what is left to nft is
        asked of it.
        """
        owned = managed(found)
        xtables = [printer for printer in XTABLES.values() if printer.command[0] in printed]
        tables = {
            key: table
            for printer in xtables
            for key, table in _fitting(printer, printed, found).items()
            if key in owned
        }
        rest = {key for key in found.tables if key not in tables}
        again = {family for family, _ in rest if f"{family} values" not in printed}
        if again:
            printed |= run(self.fd, _listings(again, self._small))
        for key, table in self._listed(found, {family for family, _ in rest}, printed, rest).items():
            tool = XTABLES.get(key[0])
            absent = key in owned and tool is not None and printed[tool.command[0]].error
            tables[key] = replace(table, engine=tool.engine) if tool and absent else table
        tables |= {key: replace(tables[key], dormant=True) for key in found.dormant if key in tables}
        old = [each for family in self._legacy for each in self._read_old(LEGACY[family], printed)]
        return [tables[key] for key in found.tables if key in tables] + old

    def _read_old(self, printer: Printer, printed: Mapping[str, Printed]) -> list[Table]:
        output = printed[printer.command[0]]
        if output.error:
            self.unseen.append(output.error)
        return [] if output.error else printer.tables(output)

    def _listed(
        self, found: Inventory, families: Iterable[str], printed: Mapping[str, Printed], wanted: set[Key]
    ) -> dict[Key, Table]:
        """The tables that nft printed."""
        tables: dict[Key, Table] = {}
        for family in sorted(families):
            values, texts = printed[f"{family} values"], printed[f"{family} texts"]
            if values.error:
                self.unseen.append(values.error)
                continue
            try:
                for table in read_listing(
                    values.output, texts.output.decode("utf-8", "surrogateescape"), found.chains, wanted
                ):
                    tables[table.family, table.name] = (
                        table if self._small else replace(table, sets=_unread(table.sets))
                    )
            except (msgspec.MsgspecError, KeyError, ValueError, TypeError) as error:
                self.unseen.append(f"nft printed something that is not understood: {error}")
        return tables


def _small(netlink: Nfnetlink, family: str, table: str, name: str, count: int | None) -> bool:
    try:
        return count <= FEW if count is not None else netlink.few(family, table, name, FEW)
    except FileNotFoundError:  # it was there a moment ago
        return True


def _unread(sets: Iterable[NamedSet]) -> tuple[NamedSet, ...]:
    """The sets of a terse listing: their elements were not printed."""
    return tuple(replace(each, elements=None) for each in sets)


def _listings(families: Iterable[str], small: bool) -> dict[str, tuple[str, ...]]:
    """nft's command lines for whole families.

    Only `list ruleset` is terse without reading all elements (1.2 s for 100,000).
    """
    terse = () if small else ("-t",)
    commands: dict[str, tuple[str, ...]] = {}
    for family in families:
        commands[f"{family} values"] = ("nft", "-j", *terse, "list", "ruleset", family)
        commands[f"{family} texts"] = ("nft", "-a", "-s", *terse, "list", "ruleset", family)
    return commands


def _fitting(printer: Printer, printed: Mapping[str, Printed], found: Inventory) -> dict[Key, Table]:
    """The tables of an xtables tool that are what the kernel has; what it could not print whole is left to
    nft.
    """
    output = printed[printer.command[0]]
    fitting = [settled(table, found) for table in printer.tables(output)] if not output.error else []
    return {(table.family, table.name): table for table in fitting if table is not None}
