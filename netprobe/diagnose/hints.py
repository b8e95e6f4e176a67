"""What the others on a network show: who could be the gateway, and how long the network's prefix is. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from netprobe.model import InterfaceAddress, Link, Namespace, RouteQuery, Snapshot
from netprobe.predict import fib, prefix


class Gateway(Struct, frozen=True):
    """A next hop that would do: its address, the interface towards it, whether no network of its own says
    so.
    """

    via: str
    link: Link
    onlink: bool = False


def gateway(snapshot: Snapshot, name: str, dst: str) -> Gateway | None:
    """The router in sight that namespace `name` could send packets for `dst` to; None when there is none."""
    here = snapshot.namespaces.get(name)
    if here is None:
        return None
    for link in here.links:
        for other in snapshot.namespaces.values() if link.up else ():
            found = gateway_on(other, here, link, dst) if other.name != name else None
            if found is not None:
                return Gateway(found, link)
    return None


def behind_cable(
    here: Namespace, link: Link, stations: Iterable[tuple[Namespace, Link]], dst: str
) -> Gateway | None:
    """The router among the stations of a segment on which `here` has no more than a host's own prefix."""
    own = [a for a in here.addresses_of(link, prefix.version(dst)) if a.scope == "global"]
    if not own:
        return None
    for router, station in stations:
        if router.name == here.name or not leads(router, dst, here):
            continue
        for address in router.addresses_of(station, prefix.version(dst)):
            if address.scope == "global":
                return Gateway(address.address, link, onlink=True)
    return None


def gateway_on(router: Namespace, here: Namespace, link: Link, dst: str) -> str | None:
    """The address of `router` on the networks of one interface of `here`, if it could take packets for
    `dst`.
    """
    networks = [
        prefix.network(own.address, own.prefixlen)
        for own in here.addresses_of(link)
        if own.scope == "global" and prefix.version(own.address) == prefix.version(dst)
    ]
    if not networks or not leads(router, dst, here):
        return None
    found = (
        a.address
        for network in networks
        for a in router.addresses
        if a.scope == "global" and prefix.contains(network, a.address) and not is_network_itself(a)
    )
    return next(found, None)


def is_network_itself(own: InterfaceAddress) -> bool:
    """Whether an address is that of its own network: its neighbours take what is for it for a broadcast
    (fib_add_ifaddr).
    """
    return (
        prefix.network(own.address, own.prefixlen) == f"{own.address}/{own.prefixlen}" and own.prefixlen < 31
    )


def leads(router: Namespace, dst: str, asker: Namespace) -> bool:
    """Whether the destination is the router's own, or it forwards and has a route that does not lead back."""
    if fib.is_local(router, dst):
        return True
    switch = "net.ipv6.conf.all.forwarding" if prefix.version(dst) == 6 else "net.ipv4.ip_forward"
    way = fib.lookup(router, RouteQuery(None, dst))
    back = way.leg is not None and any(a.address == way.leg.via for a in asker.addresses)
    return router.sysctl(switch) == "1" and way.error is None and not back


def usual_length(snapshot: Snapshot, name: str, address: str) -> int | None:
    """The prefix length that the others have in whose network `address` lies; None when nobody else is of
    it.
    """
    bits = prefix.bits(address)
    found = Counter(
        other.prefixlen
        for namespace in snapshot.namespaces.values()
        if namespace.name != name
        for other in namespace.addresses
        if other.scope == "global"
        and other.prefixlen < bits
        and prefix.contains(prefix.network(other.address, other.prefixlen), address)
    )
    return found.most_common(1)[0][0] if found else None
