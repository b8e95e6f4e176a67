"""A route to somewhere else that leads out of the loopback: by another interface. Pure.

See: ip-route(8); drivers/net/loopback.c (loopback_xmit).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import on_link
from netprobe.model import Command, Link, Namespace, Object, Stage
from netprobe.model.link import kind_of
from netprobe.model.lookup import has, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such route that was followed, by each of the interfaces that could be meant: of the network of its
    next hop, if there are any.
    """
    yield from _bare(loss)
    for routed in loss.prediction.routed:
        if kind_of(loss.out(routed)) == "loopback" and routed.decision.type == "unicast":
            namespace = loss.snapshot[routed.namespace]
            near = [*filter(partial(on_link, namespace, via=routed.via), namespace.outward)]
            for link in where(near or namespace.outward, up=True):
                yield from _led_out(loss, namespace, routed, link)


def _led_out(loss: Loss, namespace: Namespace, routed: Routed, link: Link) -> Iterator[Repair]:
    """The route by an interface; who bears its next hop may be there."""
    route, leg, looped = routed.decision.route, routed.decision.leg, loss.out(routed)
    if route is None or leg is None or looped is None:
        return
    named = " ".join(fib.words(route, leg, looped))
    text = f"the route {named} of {namespace.name} leads back to itself"
    near = leg.via is None or on_link(namespace, link, leg.via)
    out = replace(leg, index=link.index, flags=() if near else ("onlink",))
    fix = (fixes.ip(route.dst, "route", "replace", *fib.in_full(route, out, link)),)
    thing = Object("route", named, named)
    stop = lost("route-via-dead-device", namespace.name, looped, Stage.ROUTE, text, object=thing, fix=fix)
    agreeing = int(has(loss.addresses_beside(namespace.name, link, route.version), address=routed.via))
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)


def _bare(loss: Loss) -> Iterator[Repair]:
    """A loopback without the address that every namespace has for itself: somebody took it away."""
    namespace, goal = loss.snapshot.at(loss.probe.source.namespace), loss.goal
    own = _OWN[loss.version]
    for link in where(namespace.links, kind="loopback") if prefix.contains(own, goal) else ():
        if prefix.within(map(prefix.network_of, namespace.addresses_of(link)), goal):
            continue
        text = f"{link.name} of {namespace.name} does not have {own}, as every loopback has"
        thing = Object("address", f"{own} dev {link.name}", text)
        fix = (Command.of("ip", "address", "add", own, "dev", link.name),)
        stop = lost("addr-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES)


_OWN = {4: "127.0.0.1/8", 6: "::1/128"}
