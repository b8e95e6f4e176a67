"""A link-local gateway that is nobody's on the segment: the router there has another address since its
interface was made anew; or the gateway is on the segment of another interface. Pure.

One of IPv6 may be the gateway of a route of IPv4, too (RFC 8950).
See: ip-route(8), via; net/ipv6/addrconf.c (addrconf_addr_gen).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose import hints
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace
from netprobe.model.lookup import but, where
from netprobe.predict import prefix
from netprobe.predict.trace import Routed

from .routes import mistaken, towards_a_gateway


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each router beside such a gateway, by its own link-local address; and the gateway itself, where it is
    beside another interface.
    """
    for routed in loss.prediction.routed:
        via = routed.gateway
        if via is not None and prefix.needs_scope(via):
            yield from _beside(loss, routed, via)


def _beside(loss: Loss, routed: Routed, via: str) -> Iterator[Repair]:
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    link = towards_a_gateway(namespace, routed)
    if link is None or route is None or via in dict(_gateways(loss, namespace, link, routed.dst)):
        return
    # who has one address at each of his cables lacks it here
    for own in dict(_gateways(loss, namespace, link, routed.dst)) if via not in loss.owned else ():
        yield from loss.repair(mistaken(namespace, routed, route, hints.Gateway(own, link)), Merit.RESTORES)
    for other in but(where(namespace.outward, up=True), index=link.index):
        if via in dict(_gateways(loss, namespace, other, routed.dst)):
            stop = mistaken(namespace, routed, route, hints.Gateway(via, other))
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _gateways(loss: Loss, namespace: Namespace, link: Link, dst: str) -> Iterator[tuple[str, str]]:
    """The link-local addresses on the segment of an interface of who could take packets for `dst`, each with
    who that is.
    """
    for name, station in loss.others(namespace.name, link):
        if hints.leads(loss.snapshot[name], dst, namespace):
            for own in where(loss.snapshot[name].addresses_of(station, 6), scope="link"):
                yield own.address, name
