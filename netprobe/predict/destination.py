"""Which address of a namespace is meant when it is named as the destination."""

from __future__ import annotations

from netprobe.errors import WrongQuestion
from netprobe.model import Endpoint, InterfaceAddress, Namespace, Snapshot

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
    link = there.link_named(target.interface) if target.interface else None
    own = [a for a in there.addresses if a.scope == "global" and (link is None or a.index == link.index)]
    wanted = [a for a in own if version is None or prefix.version(a.address) == version]
    networks = [a for a in here.addresses if a.scope == "global"] if here else []

    def rank(address: InterfaceAddress) -> tuple[bool, bool]:
        near = fib.on_link(networks, address.address)
        return (prefix.version(address.address) == 6 and version is None, not near)

    return min(wanted, key=rank).address if wanted else None


def scope(here: Namespace, source: Endpoint, address: str, zone: str | None) -> str | None:
    """The interface of the source on which a link-local destination lies: the zone behind it, SRC's own, or
    the only one.

    Raises WrongQuestion where that is none of its interfaces, or where there is a choice. RFC 4007.
    """
    real = [
        link for link in here.links if link.kind != "loopback" and link.name != "lo" and link.port is None
    ]
    names = [link.name for link in real]
    if zone is not None and zone not in names:
        zone = {str(link.index): link.name for link in real}.get(zone, zone)
    if zone is not None and source.interface not in (None, zone):
        raise WrongQuestion(
            f"{address} is to lie on {zone}, and {source.endpoint} is another interface",
            f"Write {address}%{source.interface}",
        )
    wanted = zone or source.interface
    if wanted is not None:
        if wanted in names or not here.links:
            return wanted
        raise WrongQuestion(
            f"{here.name} has no interface {wanted} with link-local addresses", "It has " + ", ".join(names)
        )
    own = {a.index for a in here.addresses if prefix.needs_scope(a.address)}
    able = [link.name for link in real if link.index in own] or names
    if len(able) > 1:
        written = "  ".join(f"{address}%{name}" for name in able)
        raise WrongQuestion(
            f"{address} is a link-local address, and {here.name} has more than one interface",
            f"Write one of: {written}",
        )
    return next(iter(able), None)
