"""MAC addresses of which somebody tells: a rule that lets one pass, which the sender's interface does not
have, and its port has; entries that somebody made on several stations, for an interface that has another
one. Pure.

A bridge takes over the MAC of a port by itself, until somebody gives it one (br_stp_recalculate_bridge_id).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace, Neighbour, Object, Snapshot, Stage
from netprobe.model.lookup import among, column, not_among, where
from netprobe.model.pattern import pattern
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost

from .sets import REFUSED

_MAC = pattern(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}")  # of one station: its first octet is even
_NOBODYS = {"00:00:00:00:00:00"}


def missed(snapshot: Snapshot) -> str | None:
    """The one MAC that rules, sets, or entries that somebody made tell of, and that no interface in sight
    has; None where there is none, or several.
    """
    spaces = snapshot.namespaces.values()
    told = filter(_MAC.fullmatch, chain.from_iterable(map(_told, spaces)))
    found = {*told}.difference(_NOBODYS, *(column(each.links, "mac") for each in spaces))
    return min(found) if len(found) == 1 else None


def _told(namespace: Namespace) -> Iterator[str]:
    """What rules and sets compare with, and whom the entries that somebody made are for."""
    for table in namespace.tables:
        statements = [*chain.from_iterable(column(table.rules, "statements"))]
        elements = chain.from_iterable(column(table.sets, "known"))
        yield from column(chain.from_iterable(each.nodes for each in (*statements, *elements)), "text")
        yield from chain.from_iterable(each.options.values() for each in statements)
    yield from column(where(namespace.fdb, static=True), "mac")


def candidates(loss: Loss) -> Iterator[Repair]:
    """The interface with the MAC that others know; the bridge that sent the refused frame, with the MAC that
    the rule lets pass, where a port has it.
    """
    yield from _as_others_know(loss)
    if loss.stop.code not in REFUSED:
        return
    tests = where(nat_rules.statements(loss.here, loss.stop.thing), kind="match", key="ether saddr")
    wanted = {*column(tests, "value")}
    for namespace in map(loss.snapshot.at, loss.way):
        for bridge in not_among(where(namespace.links, kind="bridge"), mac=wanted):
            for port in among(where(namespace.links, master=bridge.index), mac=wanted):
                text = (
                    f"{bridge.name} of {namespace.name} sends from {bridge.mac}; {loss.stop.thing.id} of"
                    f" {loss.here.name} lets {port.mac} pass, which is its port {port.name}'s"
                )
                fix = (fixes.link_set(bridge, "address", port.mac),)
                thing = Object("link", bridge.name, f"{bridge.name} address {bridge.mac}")
                stop = lost(
                    "mac-not-allowed", namespace.name, bridge, Stage.TRANSMIT, text, object=thing, fix=fix
                )
                yield from loss.repair(stop, Merit.RESTORES)


def _as_others_know(loss: Loss) -> Iterator[Repair]:
    """The interface that bears an address which others find at a MAC that nobody has: several namespaces were
    given that, or it made its own link-local address of it; it had that, and has another one since.
    """
    spaces = loss.snapshot.namespaces.values()
    borne = {*chain.from_iterable(column(each.links, "mac") for each in spaces)}
    for entry in not_among(column(loss.prediction.resolved, "entry"), mac=borne):
        for here in map(loss.snapshot.at, loss.bearers(entry.address)):
            link = here.link_of(here.address(entry.address))
            told = [*_told_by(loss, entry, here, link)]
            if link is not None and entry.mac is not None and len(told) > 1:
                text = f"{' and '.join(told)}; {link.name} of {here.name} has {link.mac}"
                fix = (fixes.link_set(link, "address", entry.mac),)
                thing = Object("link", link.name, f"{link.name} address {link.mac}")
                at = ("neigh-wrong-entry", here.name, link, Stage.NEIGHBOUR)
                stop = lost(*at, text, object=thing, fix=fix)
                yield from loss.repair(stop, Merit.RESTORES, agreeing=len(told))


def _told_by(loss: Loss, entry: Neighbour, here: Namespace, link: Link | None) -> Iterator[str]:
    """Who tells that an interface had the MAC of an entry: in which namespaces that was written, and the
    address that it made of it when it was switched on (addrconf_dev_config), besides who has learned it.
    """
    yield from (f"{each} was told that {entry.address} is at {entry.mac}" for each in telling(loss, entry))
    for made in where(here.addresses_of(link, 6), address=prefix.link_local(entry.mac)):
        yield f"packets for {entry.address} go to {entry.mac}"
        yield f"{here.name} has made {made.address} of that"


def telling(loss: Loss, entry: Neighbour) -> list[str]:
    """The namespaces in which somebody has written the same MAC for an address."""
    return [each.name for each in loss.snapshot.namespaces.values() if _tells(each, entry)]


def _tells(namespace: Namespace, entry: Neighbour) -> bool:
    """Whether somebody has written there which MAC an address has."""
    known = where(namespace.neighbours, address=entry.address, mac=entry.mac)
    return bool(where(known, state="permanent"))
