"""Routes that lead past a station that is right beside, and gateways on another segment. Pure.

See: ip-route(8); net/ipv4/fib_trie.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.hints import Gateway
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import is_network
from netprobe.model import InterfaceAddress, Link, Namespace, Object, Route, Stage
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .routes import followed, gateways, mistaken, rests_on_a_rule


def candidates(loss: Loss) -> Iterator[Repair]:
    """For each decision: the route to the station itself, and the gateways of the other segments."""
    for routed in loss.prediction.routed:
        for link in _others(loss, routed):
            yield from _to_the_station(loss, routed, link)
            yield from _by_its_gateways(loss, routed, link)


def _others(loss: Loss, routed: Routed) -> Iterator[Link]:
    """The interfaces that were not taken."""
    namespace = loss.snapshot[routed.namespace]
    taken = namespace.link_of(routed.decision.leg)
    for link in namespace.links:
        if link.kind != "loopback" and link.up and link.master is None and link != taken:
            yield link


def _to_the_station(loss: Loss, routed: Routed, link: Link) -> Iterator[Repair]:
    """The route to the one who has the destination's address on the segment of this interface."""
    namespace, route = loss.snapshot[routed.namespace], routed.decision.route
    own = _owner(loss, namespace, link, routed.dst)
    if own is None or (route is not None and route.type == "local"):
        return
    target = f"{routed.dst}/{128 if ':' in routed.dst else 32}"
    table = route.table if route is not None and rests_on_a_rule(routed) else fib.MAIN
    words = ("route", "replace", target, "dev", link.name)
    extra = () if table == fib.MAIN else ("table", str(table))
    text = f"{namespace.name} has no route to {routed.dst}, which is on {link.name}"
    code, thing = "no-route", Object("route", f"{target} dev {link.name}", text)
    if route is not None and route.type == "unicast" and prefix.length(route.dst) > 0:
        named = " ".join(followed(namespace, routed)[0])
        code, thing = "route-overlap", Object("route", named, named)
        text = f"the route {named} of {namespace.name} leads past {routed.dst}, which is on {link.name}"
    fix = (fixes.ip(routed.dst, *words, *extra),)
    stop = lost(code, namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    sure = _covers(namespace, link, routed.dst) or (not is_network(own) and _by_hosts(namespace, link))
    if loss.stop.code == "macvlan-parent-isolated":  # why there must be another way
        stop = replace(loss.stop, commands=fix)
    first = sure and table == fib.MAIN and not _is_written(route)
    yield from loss.repair(stop, Merit.RESTORES if first else Merit.ADDS)


def _is_written(route: Route | None) -> bool:
    """Whether somebody wrote the route that was taken, and not for all the world: it is what goes first."""
    return route is not None and route.protocol != "kernel" and prefix.length(route.dst) > 0


def _owner(loss: Loss, namespace: Namespace, link: Link, dst: str) -> InterfaceAddress | None:
    """The address of another station of the segment that is the destination's."""
    for name, station in loss.stations(namespace.name, link):
        for address in loss.snapshot[name].addresses_of(station) if name != namespace.name else ():
            if address.address == dst:
                return address
    return None


def _covers(namespace: Namespace, link: Link, dst: str) -> bool:
    """Whether the interface has a network of its own with the destination in it, and the route to that."""
    return any(
        prefix.contains(route.dst, dst) and route.protocol == "kernel"
        for route in namespace.routes
        if route.table == fib.MAIN and any(leg.index == link.index for leg in route.nexthops)
    )


def _by_hosts(namespace: Namespace, link: Link) -> bool:
    """Whether stations are reached by routes of their own: so others are, or a cable has no network."""
    others = any(
        route.protocol != "kernel" and prefix.length(route.dst) in (32, 128) and leg.via is None
        for route in namespace.routes
        for leg in route.nexthops
        if route.table == fib.MAIN
    )
    bare = link.kind != "bridge" and not any(a.scope == "global" for a in namespace.addresses_of(link))
    return others or bare


def _by_its_gateways(loss: Loss, routed: Routed, link: Link) -> Iterator[Repair]:
    """The same route by a gateway that the others on the segment of this interface use."""
    namespace, route, leg = loss.snapshot[routed.namespace], routed.decision.route, routed.decision.leg
    if route is None or leg is None or leg.via is None or len(route.nexthops) > 1:
        return
    own = {address.address for address in namespace.addresses}
    for via, agreeing in gateways(loss, namespace, link, route).items():
        if via in own or via == leg.via or not _covers(namespace, link, via):
            continue
        stop = mistaken(namespace, routed, route, Gateway(via, link))
        yield from loss.repair(stop, Merit.ADDS, agreeing=agreeing)
