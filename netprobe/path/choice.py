"""Which address of a namespace is meant when it is named as the destination."""

from __future__ import annotations

from netprobe.model import Endpoint, InterfaceAddress, Snapshot

from . import prefix


def destination_address(snapshot: Snapshot, source: Endpoint, target: Endpoint, version: int | None = None) -> str | None:
    """The target's address that is on a network of the source, else its first global one; IPv4 unless told otherwise."""
    there, here = snapshot.namespaces.get(target.namespace or ""), snapshot.namespaces.get(source.namespace or "")
    if there is None:
        return None
    link = there.link_named(target.interface) if target.interface else None
    own = [a for a in there.addresses if a.scope == "global" and (link is None or a.index == link.index)]
    wanted = [a for a in own if version is None or prefix.version(a.address) == version]
    networks = [a for a in here.addresses if a.scope == "global"] if here else []

    def rank(address: InterfaceAddress) -> tuple[bool, bool]:
        near = any(prefix.contains(prefix.network(n.address, n.prefixlen), address.address) for n in networks)
        return (prefix.version(address.address) == 6 and version is None, not near)

    return min(wanted, key=rank).address if wanted else None
