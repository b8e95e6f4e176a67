"""What the others on a network show: who could be the gateway, and how long the network's prefix is."""

from __future__ import annotations

from collections import Counter

from netprobe.model import Link, Namespace, RouteQuery, Snapshot
from netprobe.predict import fib, prefix


def gateway(snapshot: Snapshot, name: str, dst: str) -> str | None:
    """The address of the router that namespace `name` could send packets for `dst` to; None when none is in
    sight.
    """
    here = snapshot.namespaces.get(name)
    if here is None:
        return None
    for own in here.addresses:
        link = here.link(own.index)
        if (
            link is None
            or not link.up
            or own.scope != "global"
            or prefix.version(own.address) != prefix.version(dst)
        ):
            continue
        network = prefix.network(own.address, own.prefixlen)
        for other in snapshot.namespaces.values():
            found = _on(other, network, dst, here) if other.name != name else None
            if found is not None:
                return found
    return None


def gateway_on(router: Namespace, here: Namespace, link: Link, dst: str) -> str | None:
    """The address of `router` on the networks of one interface of `here`, if it could take packets for `dst`."""
    networks = [
        prefix.network(own.address, own.prefixlen)
        for own in here.addresses_of(link)
        if own.scope == "global" and prefix.version(own.address) == prefix.version(dst)
    ]
    found = (_on(router, network, dst, here) for network in networks)
    return next((address for address in found if address is not None), None)


def _on(router: Namespace, network: str, dst: str, asker: Namespace) -> str | None:
    """The router's address on that network, if the destination is its own, or it forwards and has a route there
    that does not lead back to the asker.
    """
    switch = "net.ipv6.conf.all.forwarding" if prefix.version(dst) == 6 else "net.ipv4.ip_forward"
    way = fib.lookup(router, RouteQuery(None, dst))
    back = way.leg is not None and any(a.address == way.leg.via for a in asker.addresses)
    forwards = router.sysctl(switch) == "1" and way.error is None and not back
    if not forwards and not fib.is_local(router, dst):
        return None
    return next(
        (a.address for a in router.addresses if a.scope == "global" and prefix.contains(network, a.address)),
        None,
    )


def usual_length(snapshot: Snapshot, name: str, address: str) -> int | None:
    """The prefix length that the others have in whose network `address` lies; None when nobody else is of
    that network.
    """
    bits = 128 if prefix.version(address) == 6 else 32
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
