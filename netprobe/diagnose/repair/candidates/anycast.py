"""What a namespace takes for something else than the station that has it: the first address of an IPv6
network, which each router there has too, and a next hop that it takes for everybody. Pure.

See: RFC 4291, 2.6.1; net/ipv6/addrconf.c (addrconf_join_anycast); net/ipv4/arp.c (arp_constructor).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import free_address
from netprobe.model import Blank, Command, InterfaceAddress, Namespace, Object, Route, Stage
from netprobe.model.lookup import among, but, column, has, not_among, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost


def candidates(loss: Loss) -> Iterator[Repair]:
    """The address of a station for which a router takes itself, where the packet or its answer ends there."""
    for last in (hop for walk in loss.prediction.walks for hop in walk.hops[-1:]):
        router, dst = loss.snapshot.at(last.namespace), last.flow.dst
        for route in where(router.routes, type="anycast", dst=f"{dst}/128"):
            for there in map(loss.snapshot.at, _bearers(loss, router, dst)):
                for own in but(where(there.addresses, address=dst), prefixlen=128):
                    yield from _with_another(loss, there, own, router)
                    yield from _not_any(loss, router, route, dst, there.name)
    yield from _taken_for_everybody(loss)


def _taken_for_everybody(loss: Loss) -> Iterator[Repair]:
    """The route by which somebody made the next hop a broadcast address: what is sent by way of it goes to
    everybody, and nobody passes that on.
    """
    led = ((each.namespace, each.via) for each in not_among(loss.decisions, via={None, loss.goal}))
    asked = ((loss.here.name, loss.goal),) if loss.stop.code == "route-overlap" else ()
    for name, via in (*led, *asked):
        here = loss.snapshot.at(name)
        alone = f"{via}/{prefix.bits(via)}"
        for route in but(where(here.routes, type="broadcast", dst=alone), protocol="kernel"):
            link = next(filter(None, map(here.link, route.indexes)), None)
            words = fib.words(route, None, link)
            named = " ".join(words)
            text = f"the route {named} of {here.name} makes everybody of {via}, by way of which it sends"
            fix: fixes.Fix = (fixes.ip(route.dst, "route", "del", *words),)
            if link is not None and has(here.entries_for(link, via), state="noarp"):
                fix = (*fix, fixes.forget_neighbour(via, link))
            thing = Object("route", named, named)
            stop = lost("route-overlap", here.name, link, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.UNDOES)


def _bearers(loss: Loss, router: Namespace, dst: str) -> list[str]:
    """Who has an address; those beside the router that has its network are asked for it."""
    own = prefix.neighbours_of(dst, where(router.addresses, scope="global"))
    for link in among(router.outward, index={*column(own, "index")}):
        loss.stations(router.name, link)
    return loss.bearers(dst)


def _not_any(loss: Loss, router: Namespace, route: Route, dst: str, bearer: str) -> Iterator[Repair]:
    """The router without the address of any router there: whom one asks for by it is another one."""
    for link in among(router.links, index=route.indexes):
        text = f"{router.name} takes {dst}, the first address of its network, for its own: {bearer} has it"
        words = ("route", "del", "anycast", dst, "dev", link.name, "table", "local")
        thing = Object("route", f"anycast {dst}", f"anycast {dst} dev {link.name} table local")
        fix = (fixes.ip(dst, *words),)
        stop = lost("route-overlap", router.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.UNDOES)


def _with_another(loss: Loss, there: Namespace, own: InterfaceAddress, router: Namespace) -> Iterator[Repair]:
    """An address of the same network in the place of one; which one is for the reader to say."""
    free, link = free_address([own, *router.addresses]), there.link(own.index)
    if free is None or link is None:
        return
    gone = fixes.address("del", own, link)
    words = ("ip", "-6", "address", "add")
    trial = (Command.of(*words, f"{free.address}/{own.prefixlen}", "dev", link.name), gone)
    fix = (Command.of(*words, Blank(f"RIGHT-ADDRESS/{own.prefixlen}"), "dev", link.name), gone)
    named = f"{own.written} dev {link.name}"
    text = (
        f"{own.address} is the first address of its network, which any router there has: {router.name} takes"
        " it for its own"
    )
    thing = Object("address", named, named)
    stop = lost("addr-duplicate", there.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, trial=trial)
