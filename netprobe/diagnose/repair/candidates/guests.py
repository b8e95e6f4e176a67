"""Who leads a network of its own into one in which it is a guest, nobody's gateway, or to who knows other
networks behind it, or has it as its gateway. Pure.

A server of a VPN in a LAN translates its clients, for no station there knows them; between two sites nothing
is translated, nor towards stations that send all else by the same router.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss
from netprobe.diagnose.repair.segment import own_addresses
from netprobe.model import Leg, Namespace, RouteQuery
from netprobe.model.config import is_particular
from netprobe.model.lookup import column, where
from netprobe.predict import fib, prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.trace import Routed

from . import sets


def translates_elsewhere(loss: Loss, router: Routed, source: str) -> bool:
    """Whether a guest right beside the destination, a station, translates the network of a source by rules
    that name it, for other ways out: so it is to do here as well.
    """
    if loss.prediction.leg is not Leg.REPLY or router.gateway is not None:
        return False
    stations = [*map(loss.snapshot.at, loss.bearers(loss.prediction.target))]
    led = all(map(partial(_is_led_by_another, loss.snapshot[router.namespace]), stations))
    return bool(stations) and led and _is_named(loss, router, source)


def _is_led_by_another(guest: Namespace, station: Namespace) -> bool:
    """Whether a station, which is no router itself, has gateways, and the guest is none of them."""
    led = any(station.gateways) and not any(map(guest.address, station.gateways))
    return led and not any(is_router(station, version) for version in (4, 6))


def _is_named(loss: Loss, router: Routed, source: str) -> bool:
    namespace = loss.snapshot[router.namespace]
    rules = nat_rules.rules_of_nat(namespace, "postrouting", source, "snat", "masquerade")
    named = (nat_rules.networks(each.statements, *nat_rules.FROM) for each in rules)
    return any(prefix.within(each, source) for each in named)


def is_let_in(loss: Loss, router: Routed, source: str) -> bool:
    """Whether rules that refuse a packet let in the router that it came by, and nobody knows a way of its own
    back to the source there: all that comes by that router is to have its address.
    """
    out, here = loss.out(router), loss.here
    if out is None or loss.stop.code not in sets.REFUSED or here.name == router.namespace:
        return False
    own = column(own_addresses(loss.snapshot[router.namespace], out, prefix.version(source)), "address")
    flow = loss.prediction.hops[-1].flow
    named = any(sets.names(here, replace(flow, src=each)) for each in own)
    known = is_particular(fib.lookup(here, RouteQuery(None, source)).route)
    return named and not known and not sets.names(here, flow)


def is_known_beyond(loss: Loss, router: Routed) -> bool:
    """Whether who is next sends all else by way of this router, whatever else it has been given; or is a
    router that translates what leaves it, and has routes to private networks by way of this one, or to the
    source one of its own, which translates nothing on the way there: what is behind is routed.
    """
    here, version = loss.snapshot[router.namespace], prefix.version(router.dst)
    stations = [*map(loss.snapshot.at, loss.bearers(router.via))]
    if any(map(partial(_sends_all_by, here), stations)):
        return True
    if nat_rules.translates(here, version, loss.out(router)):
        return False
    nexts = map(loss.snapshot.at, loss.bearers(router.gateway) if router.gateway is not None else ())
    translating = (each for each in nexts if nat_rules.translates(each, version))
    return any(_leads_back(here, each) or _knows(each, router.src) for each in translating)


def _sends_all_by(here: Namespace, station: Namespace) -> bool:
    """Whether a namespace has a default route by this one."""
    defaults = where(station.routes, is_default=True, type="unicast", table=fib.MAIN)
    return any(any(map(here.address, each.gateways)) for each in defaults)


def _knows(there: Namespace, source: str) -> bool:
    """Whether a namespace has a way back to a source of its own, and not that of all the world."""
    return is_particular(fib.lookup(there, RouteQuery(None, source)).route)


def _leads_back(here: Namespace, there: Namespace) -> bool:
    """Whether a namespace has routes to private networks by way of this one."""
    routes = where(there.routes, is_written=True, type="unicast", table=fib.MAIN)
    back = (each.dst for each in routes if any(map(here.address, each.gateways)))
    return any(nat_rules.is_private(each.partition("/")[0]) for each in back)
