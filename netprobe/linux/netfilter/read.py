"""The rulesets of one namespace, of all engines, read only.

Rules of this file: the kernel is asked first which tables there are, so a namespace without rules costs no
process at all; each table is then printed by the tool that owns it; no tool runs that would load or create
anything. Not readable is never "no rules".
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Set
from contextlib import ExitStack, nullcontext

from msgspec.structs import replace

from netprobe.kernel.elsewhere import Place
from netprobe.linux import deadline, netns
from netprobe.model import AskedSet, Blind, IpSet, Ruleset, SetQuery, Table
from netprobe.rules.read.nft_json import NOT_UNDERSTOOD, read_listing

from . import remembered
from .ipset import named_in, read_sets
from .kernel import Inventory, KernelSet, Nfnetlink, outline, with_rules
from .listing import (
    LEGACY,
    NAMED,
    XTABLES,
    Printer,
    Scope,
    beside,
    in_pieces,
    label,
    listings,
    named,
    pieces,
    scopes,
    terse_scopes,
    together,
    with_elements,
)
from .owner import Key, managed, piecemeal, settled
from .proc import legacy_families, listening_queues, recent_lists
from .tools import Printed, Tools, run

FEW = 256  # a named set up to this size is read with the rules; of a larger one single elements are asked


def read_ruleset(fd: Place, name: str = "the namespace") -> Ruleset:
    """All rules of the open namespace `fd`, which messages call `name`, with their counters of now.

    Raises NotPermitted or CannotLook if it cannot be entered.
    """
    remembered.forget(wholly=True)
    with RulesetReading(fd, name) as reading:
        return reading.ruleset()


def ask_set(fd: Place, query: SetQuery) -> AskedSet:
    """What the kernel says about one element of a set; an answer with `error` when it could not be asked."""
    from .elements import ask_element

    with netns.inside(fd):
        try:
            with Nfnetlink() as netlink:
                return ask_element(netlink, query)
        except OSError as error:
            return AskedSet(query, False, error=error.strerror or str(error))


_NOTHING: tuple[Inventory, frozenset[KernelSet]] = (Inventory(()), frozenset())


class RulesetReading:
    """One reading of one namespace's rules: from the start of `with` the tools print them, `ruleset` waits
    for what they printed.

    Between the two there is time for other work. Raises as `read_ruleset`.
    """

    def __init__(self, fd: Place, name: str) -> None:
        self.fd, self.name = fd, name
        self.unseen: list[str] = []
        self._tools = Tools(fd)
        self._whole_listings = True

    def __enter__(self) -> RulesetReading:
        with netns.inside(self.fd), ExitStack() as undo:
            undo.callback(self._tools.close)
            self._generation = remembered.generation()
            self._known = remembered.tables(self._generation)
            found, self._large_sets = _NOTHING
            if self._known is None:
                with deadline.stopped():  # as long as there is more to list, for each of these is bounded
                    found, self._large_sets = self._outline()
            # what looks like a table of xtables; only its rules tell whether it is one
            supposed = managed(found)
            self._apart = frozenset(family for family, _ in piecemeal(found))
            left = supposed | piecemeal(found)
            native = scopes((key for key in found.tables if key not in left), self._apart)
            self._tools.start(self._listings(native))
            self._legacy = self._legacy_families()
            self._found = found
            if supposed:
                with deadline.stopped():
                    self._found = self._with_rules(found)
            self._tools.start(self._printing(native))
            undo.pop_all()
        return self

    def _listings(self, wanted: Iterable[Scope]) -> dict[str, tuple[str, ...]]:
        return listings(wanted, self._large_sets)

    def __exit__(self, *_: object) -> None:
        self._tools.close()

    def ruleset(self) -> Ruleset:
        """The whole ruleset."""
        with netns.inside(self.fd):
            recent, queues = recent_lists(), listening_queues()
        printed = self._tools.printed()
        with deadline.stopped() if printed else nullcontext():
            tables = [*self._of_kernel(printed), *self._of_old_engine(printed)]
        blind = tuple(Blind(f"the ruleset of {self.name}", why) for why in dict.fromkeys(self.unseen))
        return Ruleset(blind, tuple(tables), recent, queues, ipsets=self._ipsets(tables))

    def _of_kernel(self, printed: dict[str, Printed]) -> tuple[Table, ...]:
        """The tables of nf_tables; those of the same generation are not read twice."""
        if self._known is not None:
            return self._known
        tables = tuple(self._tables(self._found, printed))
        if not self.unseen:
            listings = self._listings_of_all(printed)
            remembered.keep_tables(self._generation, tables, self._found.sets, listings)
        return tables

    def _listings_of_all(self, printed: Mapping[str, Printed]) -> list[bytes] | None:
        """What nft has printed, where that is all that there is: xtables counts in each of its rules."""
        found = self._found
        if managed(found) or found.large or self._large_sets or not self._whole_listings:
            return None
        labels = [label(scope, "values") for scope in scopes(found.tables, self._apart)]
        return [printed[each].output for each in labels] if printed.keys() >= set(labels) else None

    def _of_old_engine(self, printed: Mapping[str, Printed]) -> list[Table]:
        return [each for family in self._legacy for each in self._read_old(LEGACY[family], printed)]

    def _ipsets(self, tables: Iterable[Table]) -> tuple[IpSet, ...]:
        """The sets that rules look into; those that cannot be had make the rules that name them
        undetermined.
        """
        try:
            with netns.inside(self.fd):
                return read_sets(named_in(tables))
        except OSError:
            return ()

    def _outline(self) -> tuple[Inventory, frozenset[KernelSet]]:
        """What nf_tables holds but for the rules, and which of its named sets are large."""
        try:
            with Nfnetlink() as netlink:
                found = outline(netlink)
                return found, frozenset(each for each in found.sets if not _small(netlink, each))
        except OSError as error:
            self._refused(error)
            return Inventory(()), frozenset()

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

    def _printing(self, listed: Set[Scope]) -> dict[str, tuple[str, ...]]:
        """The command lines for what xtables made, of both engines, for tables that are not `listed` and for
        small sets.
        """
        owned, whole = managed(self._found), LEGACY.values()
        commands = {
            name: line for each in self._whole(owned) for name, line in self._save(each, owned).items()
        }
        for key in piecemeal(self._found):
            from .chains import base_commands

            commands |= base_commands(self._found, key)
        for printer in (printer for printer in whole if printer.family in self._legacy):
            commands |= printer.commands(())
        large = piecemeal(self._found)
        rest = [key for key in self._found.tables if key not in owned | large]
        native, families = scopes(rest, self._apart), {key[0] for key in rest}
        commands |= self._listings(native - listed) | (NAMED if large - owned else {})
        return commands | beside(self._found, self._large_sets, families, large - owned)

    def _whole(self, owned: Set[Key]) -> list[Printer]:
        """The tools that print tables whole."""
        families = {key[0] for key in owned - self._found.large}
        return [printer for family, printer in XTABLES.items() if family in families]

    def _save(self, printer: Printer, owned: Set[Key]) -> dict[str, tuple[str, ...]]:
        """A tool's command lines: for all tables, or those beside large ones."""
        if printer.family not in self._apart:
            return printer.commands(())
        family = printer.family
        return printer.commands(sorted(key[1] for key in owned - self._found.large if key[0] == family))

    def _tables(self, found: Inventory, printed: dict[str, Printed]) -> list[Table]:
        """The tables of nf_tables in the kernel's order; what is left to nft is asked of it."""
        owned = managed(found)
        saved = {each.family: together(printed, self._save(each, owned)) for each in self._whole(owned)}
        tables = {
            key: table
            for family, output in saved.items()
            for key, table in _fitting(XTABLES[family], output, found).items()
            if key in owned
        }
        tables |= {key: self._partial(key, printed) for key in piecemeal(found)}
        rest = {key for key in found.tables if key not in tables}
        again = {each for each in scopes(rest, self._apart) if label(each, "values") not in printed}
        if again:
            printed |= run(self.fd, self._listings(again))
        for key, table in self._listed(found, printed, rest).items():
            tool = XTABLES.get(key[0])
            absent = key in owned and tool is not None and key[0] in saved and saved[key[0]].error
            tables[key] = replace(table, engine=tool.engine) if tool and absent else table
        tables |= {key: replace(tables[key], dormant=True) for key in found.dormant if key in tables}
        tables |= {key: replace(tables[key], owned=True) for key in found.owned if key in tables}
        return [tables[key] for key in found.tables if key in tables]

    def _partial(self, key: Key, printed: Mapping[str, Printed]) -> Table:
        """A large table, of which chains are read when a walk comes to them."""
        from .chains import partial

        table = partial(self.fd, self._found, key, printed)
        if table.engine != "nft":
            return table
        try:
            return named(table, printed)
        except NOT_UNDERSTOOD:
            error = next((printed[each].error for each in NAMED if printed[each].error), None)
            self.unseen.append(error or "nft printed sets that are not understood")
            return table

    def _read_old(self, printer: Printer, printed: Mapping[str, Printed]) -> list[Table]:
        output = together(printed, printer.commands(()))
        if output.error:
            self.unseen.append(output.error)
        return [] if output.error else printer.tables(output)

    def _listed(self, found: Inventory, printed: Mapping[str, Printed], wanted: set[Key]) -> dict[Key, Table]:
        """The tables that nft printed."""
        tables: dict[Key, Table] = {}
        asked = scopes(wanted, self._apart)
        terse = set(terse_scopes(asked, self._large_sets))
        for scope in sorted(asked):
            values, texts = printed[label(scope, "values")], printed[label(scope, "texts")]
            if values.error:
                self.unseen.append(values.error)
                continue
            try:
                for table in read_listing(
                    values.output, texts.output.decode("utf-8", "surrogateescape"), found.chains, wanted
                ):
                    key = (table.family, table.name)
                    tables[key] = with_elements(table, printed) if scope in terse else table
            except NOT_UNDERSTOOD as error:
                flagged = {key for key in wanted if scopes({key}, self._apart) == {scope}}
                tables |= self._in_pieces(found, flagged, texts, error)
        return tables

    def _in_pieces(
        self, found: Inventory, wanted: set[Key], texts: Printed, error: Exception
    ) -> dict[Key, Table]:
        """The tables that nft could not print whole, where one of them has flags."""
        said = texts.output.decode("utf-8", "surrogateescape")
        self._whole_listings = False
        try:
            printed = run(self.fd, pieces(found, wanted)) if wanted & (found.dormant | found.owned) else {}
            tables = in_pieces(found, wanted, printed, said)
        except NOT_UNDERSTOOD:
            tables = []
        if not tables:
            self.unseen.append(f"nft printed something that is not understood: {error}")
        return {(table.family, table.name): table for table in tables}


def _small(netlink: Nfnetlink, named: KernelSet) -> bool:
    if named.count is not None:
        return named.count <= FEW
    try:
        return netlink.few(named.family, named.table, named.name, FEW)
    except FileNotFoundError:  # it was there a moment ago
        return True


def _fitting(printer: Printer, output: Printed, found: Inventory) -> dict[Key, Table]:
    """The tables of an xtables tool that are what the kernel has; what it could not print whole is left to
    nft.
    """
    fitting = [settled(table, found) for table in printer.tables(output)] if not output.error else []
    return {(table.family, table.name): table for table in fitting if table is not None}
