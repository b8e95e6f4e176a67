"""A link-local gateway that is nobody's: the router on the segment has another address since its interface
was made anew. Pure.

One of IPv6 may be the gateway of a route of IPv4, too (RFC 8950).
See: ip-route(8), via; net/ipv6/addrconf.c (addrconf_addr_gen).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose import hints
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model.lookup import where
from netprobe.predict import prefix
from netprobe.predict.trace import Routed

from .routes import mistaken, towards_a_gateway


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each router beside such a gateway, by its own link-local address."""
    for routed in loss.prediction.routed:
        via = routed.gateway
        if via is not None and prefix.needs_scope(via) and via not in loss.owned:
            yield from _beside(loss, routed)


def _beside(loss: Loss, routed: Routed) -> Iterator[Repair]:
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    link = towards_a_gateway(namespace, routed)
    if link is None or route is None:
        return
    for name, station in loss.others(namespace.name, link):
        router = loss.snapshot[name]
        leads = hints.leads(router, routed.dst, namespace)
        for own in where(router.addresses_of(station, 6), scope="link") if leads else ():
            stop = mistaken(namespace, routed, route, hints.Gateway(own.address, link))
            yield from loss.repair(stop, Merit.RESTORES)
