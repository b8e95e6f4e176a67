"""Which address of a namespace is meant when it is named as the destination."""

from __future__ import annotations

from collections.abc import Mapping

from netprobe.errors import WrongQuestion
from netprobe.model import Endpoint, InterfaceAddress, Link, Namespace, Snapshot
from netprobe.model.lookup import where

from . import fib, prefix


def destination_address(
    snapshot: Snapshot, source: Endpoint, target: Endpoint, version: int | None = None
) -> str | None:
    """The target's address that is on a network of the source, else its first global one; IPv4 unless told
    otherwise.
    """
    there, here = snapshot.get(target.namespace), snapshot.get(source.namespace)
    if there is None:
        return None
    link = there.link_named(target.interface or "")
    own = there.addresses if link is None else there.addresses_of(link)
    wanted = [a for a in own if a.scope == "global" and version in (None, a.version)]
    networks = where(here.addresses, scope="global") if here else ()

    def rank(address: InterfaceAddress) -> tuple[int, bool]:
        return address.version, not fib.on_link(networks, address.address)

    return min(wanted, key=rank).address if wanted else None


def scope(here: Namespace, source: Endpoint, address: str, zone: str | None) -> str | None:
    """The interface of the source on which a link-local destination lies: the zone behind it, SRC's own, or
    the only one.

    Raises WrongQuestion where that is none of its interfaces, or where there is a choice. RFC 4007.
    """
    real = [link for link in here.links if link.port is None and not _is_loopback(link)]
    names = {link.name: link for link in real}
    zone = _name_of(zone, names)
    if zone is not None and source.interface not in (None, zone):
        raise WrongQuestion(
            f"{address} is to lie on {zone}, and {source.endpoint} is another interface",
            f"Write {address}%{source.interface}",
        )
    wanted = zone or source.interface
    if wanted is None:
        return _only_one(here, address, names)
    if wanted in names or not here.links:
        return wanted
    raise WrongQuestion(
        f"{here.name} has no interface {wanted} with link-local addresses", "It has " + ", ".join(names)
    )


def _name_of(zone: str | None, names: Mapping[str, Link]) -> str | None:
    """The name of an interface that a zone gives by its name or its index."""
    numbers = {str(link.index): name for name, link in names.items()}
    return zone if zone is None or zone in names else numbers.get(zone, zone)


def _is_loopback(link: Link) -> bool:
    return link.kind == "loopback" or link.name == "lo"


def _only_one(here: Namespace, address: str, names: Mapping[str, Link]) -> str | None:
    """The one interface on which an address can lie. Raises WrongQuestion where there is a choice."""
    own = {a.index for a in here.addresses if prefix.needs_scope(a.address)}
    able = [name for name, link in names.items() if link.index in own] or list(names)
    if len(able) > 1:
        written = "  ".join(f"{address}%{name}" for name in able)
        raise WrongQuestion(
            f"{address} is a link-local address, and {here.name} has more than one interface",
            f"Write one of: {written}",
        )
    return next(iter(able), None)
