"""Who could be the gateway: a neighbour on one of the own networks that forwards and knows the way on."""

from __future__ import annotations

from netprobe.model import Namespace, RouteQuery, Snapshot

from . import fib, prefix


def gateway(snapshot: Snapshot, name: str, dst: str) -> str | None:
    """The address of the router that namespace `name` could send packets for `dst` to; None when none is in sight."""
    here = snapshot.namespaces.get(name)
    if here is None:
        return None
    for own in here.addresses:
        link = here.link(own.index)
        if link is None or not link.up or own.scope != "global" or prefix.version(own.address) != prefix.version(dst):
            continue
        network = prefix.network(own.address, own.prefixlen)
        for other in snapshot.namespaces.values():
            found = _on(other, network, dst) if other.name != name else None
            if found is not None:
                return found
    return None


def _on(router: Namespace, network: str, dst: str) -> str | None:
    """The router's address on that network, if it forwards and has a route to `dst`."""
    switch = "net.ipv6.conf.all.forwarding" if prefix.version(dst) == 6 else "net.ipv4.ip_forward"
    if router.sysctl(switch) != "1" or fib.lookup(router, RouteQuery(None, dst)).error is not None:
        return None
    return next((a.address for a in router.addresses if a.scope == "global" and prefix.contains(network, a.address)), None)
