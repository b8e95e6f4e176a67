"""Tables of nft that only the program that made them can change: its own command stands in the place of one
that the kernel would refuse. Pure.

See: nft(8), "flags owner"; net/netfilter/nf_tables_api.c (nft_table_has_owner); firewall-cmd(1).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from msgspec.structs import replace

from netprobe.diagnose.nat_rules import said
from netprobe.model import Cause, Command, Namespace, Report, Rule, Snapshot, Stage, Table
from netprobe.model.command import line
from netprobe.model.lookup import among, has, those_not_in, where

_ZONE = "filter_IN_"  # the chain of a zone of firewalld, before its name
_FORK = "filter_INPUT_"  # the chains from which the zones part
_OF_POLICY = "filter_IN_policy_"
_PORTED = ("tcp", "udp")


def with_owners(report: Report, snapshot: Snapshot) -> Report:
    """The report without commands that change a table of somebody else's."""
    if not has(_tables(snapshot), owned=True):
        return report
    causes, blockers, alternatives = (
        tuple(_allowed(cause, report, snapshot) for cause in each)
        for each in (report.causes, report.blockers, report.alternatives)
    )
    return replace(report, causes=causes, blockers=blockers, alternatives=alternatives)


def _tables(snapshot: Snapshot) -> Iterator[Table]:
    return (table for namespace in snapshot.namespaces.values() for table in namespace.tables)


def _allowed(cause: Cause, report: Report, snapshot: Snapshot) -> Cause:
    """The cause with what changes an owned table told, or done by its owner."""
    here = snapshot.at(cause.place.namespace)
    for table in where(here.tables, engine="nft", owned=True):
        refused = [*_changing(cause.commands, table)]
        if refused:
            instead = tuple(_by_firewalld(cause, report, here, table))
            advice = (
                f"only the program that made the table {table.family} {table.name} can change it; what it"
                f" lacks: {line(refused[0])}"
            )
            commands = (*those_not_in(cause.commands, refused), *instead)
            return replace(cause, commands=commands, advice="" if instead else advice)
    return cause


def _changing(commands: tuple[Command, ...], table: Table) -> Iterator[Command]:
    """The commands that change a table."""
    for command in commands:
        if command.words[:1] == ("nft",) and (table.family, table.name) in pairwise(command.words):
            yield command


def _by_firewalld(cause: Cause, report: Report, here: Namespace, table: Table) -> Iterator[Command]:
    """What opens a port of the host in the zone of the interface that the packet came in by; nothing of other
    places, and of tables that are not firewalld's.
    """
    if table.name != "firewalld" or cause.place.stage is not Stage.INPUT:
        return
    ends = where(report.path.request, namespace=here.name)[-1:]
    for flow in among((hop.flow for hop in ends), protocol=_PORTED):
        for zone in [*_zones(table, cause.place.interface or "")][:1]:
            yield Command.of("firewall-cmd", f"--zone={zone}", f"--add-port={flow.dport}/{flow.protocol}")


def _zones(table: Table, interface: str) -> Iterator[str]:
    """The zones to which firewalld assigns an interface, that of all others last."""
    rules = [rule for chain, rule in table.placed if chain.name.startswith(_FORK)]
    own = [rule for rule in rules if interface in said(rule.statements, "iifname", "meta iifname")]
    rest = [rule for rule in rules if not said(rule.statements, "iifname", "meta iifname")]
    yield from (name for rule in (*own, *rest) for name in _names(rule))


def _names(rule: Rule) -> list[str]:
    """The zone whose chain a rule leads to."""
    to = rule.leads_to
    return [to.removeprefix(_ZONE)] if to.startswith(_ZONE) and not to.startswith(_OF_POLICY) else []
