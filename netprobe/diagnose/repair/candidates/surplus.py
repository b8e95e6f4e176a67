"""Addresses too many: each brings a route along, by which packets go astray, or is what they are sent from.
Pure.

See: net/ipv4/fib_frontend.c (fib_add_ifaddr); net/ipv6/addrconf.c (addrconf_prefix_route).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import is_network, making, meet, own_addresses
from netprobe.model import Link, Namespace, Object, Route, RouteQuery, Stage
from netprobe.model.lookup import but, has, where, without
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

_ALONE = {"dummy", "loopback"}  # behind which nobody is


def candidates(loss: Loss) -> Iterator[Repair]:
    """The address behind each route of the kernel's that was followed, and those that the packet had."""
    for routed in loss.prediction.routed:
        yield from _made_by_one(loss, routed)
    sent = ((hop.namespace, hop.flow.src) for hop in loss.prediction.request.hops)
    for name, source in dict.fromkeys([(loss.probe.source.namespace, loss.probe.source.address), *sent]):
        yield from _sent_from(loss, loss.snapshot.at(name), source)


def is_by_mistake(loss: Loss, routed: Routed) -> bool:
    """Whether a route comes with an address of another network than all beside its interface, which has one
    of theirs, too; or takes for neighbours what a gateway beside would get without it.
    """
    link = loss.out(routed)
    if link is None or routed.decision.route is None:
        return False
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    beside = loss.addresses_beside(namespace.name, link, route.version)
    own = own_addresses(namespace, link, route.version)
    made_it = making(own, route.dst)
    odd = bool(made_it) and meet(own, beside) and not meet(made_it, beside)
    return odd or (route.is_written and _stands_before_a_gateway(loss, namespace, route, link, routed.dst))


def _stands_before_a_gateway(loss: Loss, namespace: Namespace, route: Route, link: Link, dst: str) -> bool:
    """Whether a route without a gateway stands before one by the same interface to a gateway that is there;
    of whom the others of the segment have no such route.
    """
    written = namespace.routes if route.gateways == [None] else ()
    rest = replace(namespace, routes=without(written, route))
    leg = fib.lookup(rest, RouteQuery(None, dst)).leg
    if leg is None or leg.index != link.index or leg.via not in loss.owned:
        return False
    others = loss.others(namespace.name, link)
    return not any(_leads_straight(loss.snapshot[name], end, route.dst) for name, end in others)


def _leads_straight(namespace: Namespace, link: Link, network: str) -> bool:
    """Whether a namespace takes those of a network for neighbours by an interface."""
    return has(namespace.routes_by(link), dst=network, indexes=[link.index], gateways=[None])


def _made_by_one(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The address that brought a route along by which nobody is: of another network than all beside it."""
    route, link = routed.decision.found, loss.out(routed)
    if link is None or (route.protocol, route.type) != ("kernel", "unicast"):
        return
    namespace = loss.snapshot[routed.namespace]
    beside = loss.addresses_beside(namespace.name, link, route.version)
    own = own_addresses(namespace, link, route.version)
    made_it = making(own, route.dst)
    elsewhere = _is_by_another(loss, namespace, link, routed.dst)
    for address in made_it if beside or link.kind in _ALONE or elsewhere else ():
        if not meet([address], beside):
            named = f"{address.written} dev {link.name}"
            code = "addr-duplicate" if len(loss.bearers(address.address)) > 1 else "route-overlap"
            text = (
                f"{named} of {namespace.name} makes a neighbour of {routed.dst}: nobody there is of its"
                " network"
            )
            fix, thing = (fixes.address("del", address, link),), Object("address", named, named)
            stop = lost(code, namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
            # a loopback has addresses of its own, and no network
            odd = len(own) > 1 or link.kind == "loopback" or elsewhere
            yield from loss.repair(stop, Merit.restoring(odd, Merit.UNDOES), agreeing=1)


def _is_by_another(loss: Loss, namespace: Namespace, link: Link, address: str) -> bool:
    """Whether who has an address is beside another interface of a namespace."""
    others = but(where(namespace.outward, up=True), index=link.index)
    version = prefix.version(address)
    return any(has(loss.addresses_beside(namespace.name, each, version), address=address) for each in others)


def _sent_from(loss: Loss, namespace: Namespace, source: str | None) -> Iterator[Repair]:
    """A source of another network than all beside its interface, which has one of theirs, too; where a rule
    gave it to the packet, the rule has chosen among those that a router may well have.
    """
    address = namespace.address(source)
    link = namespace.link_of(address)
    if address is None or link is None or not is_network(address):
        return
    beside = loss.addresses_beside(namespace.name, link, address.version)
    own = own_addresses(namespace, link, address.version)
    if address not in own or meet([address], beside) or not meet(own, beside):
        return
    named = f"{address.written} dev {link.name}"
    text = f"{namespace.name} sends from {named}: nobody there is of its network, and there is another one"
    fix, thing = (fixes.address("del", address, link),), Object("address", named, named)
    stop = lost("addr-wrong-subnet", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    given = nat_rules.changed(loss.prediction.request.hops, namespace.name, "src")
    yield from loss.repair(stop, Merit.restoring(given is None, Merit.UNDOES), agreeing=1)
