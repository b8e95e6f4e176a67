"""The chains of an engine that are gone, or hang nowhere any more: something flushed the tables into which it
had hung them, as `iptables -F`, `nft flush ruleset` or a firewall's reload do. Pure.

See: iptables(8), -F; moby libnetwork/iptables (its chains are written when dockerd starts); netavark
src/firewall (when a container starts).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from netprobe.model import Cause, Namespace, Snapshot, Table
from netprobe.model.engines import EngineNetwork
from netprobe.model.lookup import among, column, not_among, where
from netprobe.rules.naming import owner

_XTABLES = ("iptables", "iptables-legacy")
_OF_RULES = ("policy", "rule", "nat-rule", "socket")
_ANEW = {"docker": "systemctl restart docker", "podman": "podman network reload --all"}


def notes(snapshot: Snapshot, cause: Cause) -> Iterator[str]:
    """What writes an engine's rules again, where a cause is one that they may have to do with."""
    if cause.object is not None and cause.object.kind in _OF_RULES:
        here = snapshot.at(cause.place.namespace)
        yield from _unhung(here)
        yield from _gone(here, snapshot.told_engines.networks)


def _unhung(here: Namespace) -> Iterator[str]:
    for table in among(where(here.tables, partial=False), engine=_XTABLES):
        own = [*column(where(table.chains, hook=None), "name")]
        for engine, command in _ANEW.items():
            made = [name for name in own if owner(name) == engine]
            if made and _led(table).isdisjoint(made):
                yield (
                    f"no rule leads to the chains of {engine} in the {table.engine} table {table.name} of"
                    f" {here.name} ({made[0]}): something flushed it since; to have them anew: {command}"
                )


def _gone(here: Namespace, networks: Iterable[EngineNetwork]) -> Iterator[str]:
    """Where an engine has a bridge in a namespace, and not one chain."""
    chains = {owner(table.name, each.name) for table in here.tables for each in table.chains}
    known = here.ruleset is not None and not here.ruleset.blind
    for network in not_among(networks, engine=chains) if known else ():
        command = _ANEW.get(network.engine)
        if command is not None and here.link_named(network.interface) is not None:
            yield (
                f"{network.engine} has its network {network.name} on {network.interface} of {here.name}, and"
                f" no chain there: something flushed its rules, or it is to write none; to have them anew:"
                f" {command}"
            )
            return


def _led(table: Table) -> set[str]:
    """The chains to which rules of a table lead."""
    statements = chain.from_iterable(column(table.rules, "statements"))
    return {*column(among(statements, kind=("jump", "goto")), "target")}
