"""A route straight out of an interface that another host of the same network has by its own interface of that
name, and that this one lacks: what is for it takes the way of all else. Pure.

Nodes of a cluster are set up alike. See: ip-route(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import all_addresses, meet
from netprobe.model import Link, Namespace, Object, RouteQuery, Stage
from netprobe.model.link import kind_of, name_of
from netprobe.model.lookup import but, gathered, has, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed


def candidates(loss: Loss) -> Iterator[Repair]:
    """For each decision by a default route, or none: the routes of the peers."""
    for routed in loss.prediction.routed:
        taken = routed.decision.route
        if taken is None or taken.is_default:
            yield from _of_peers(loss, routed)


def _of_peers(loss: Loss, routed: Routed) -> Iterator[Repair]:
    namespace = loss.snapshot[routed.namespace]
    others = but(loss.snapshot.namespaces.values(), name=namespace.name)
    known = gathered(pair for other in others for pair in _straight(namespace, other, routed.dst))
    for (network, link), names in known.items():
        text = f"{namespace.name} has no route to {network} by {link.name}, as {', '.join(names)} has"
        fix = (fixes.ip(routed.dst, "route", "add", network, "dev", link.name),)
        thing = Object("route", network, f"no route to {network}")
        stop = lost("no-route", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(names))


def _straight(here: Namespace, other: Namespace, dst: str) -> Iterator[tuple[tuple[str, Link], str]]:
    """The networks to which somebody gave another one a route without a gateway, out of an interface of the
    same name and kind as one here, on the same network.
    """
    best = filter(None, [fib.best(other, fib.MAIN, RouteQuery(None, dst))])
    for each in where(best, is_written=True, is_to_a_network=True, gateways=[None]):
        theirs = other.link_of(each.nexthops[0])
        for link in where(here.links, up=True, name=name_of(theirs, ""), kind=kind_of(theirs)):
            shared = meet(all_addresses(here, link), all_addresses(other, theirs or link))
            own = {*map(prefix.network_of, here.addresses_of(link))}  # the kernel makes those
            if shared and each.dst not in own and not has(here.routes, dst=each.dst, table=fib.MAIN):
                yield (each.dst, link), other.name
