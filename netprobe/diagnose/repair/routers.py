"""The router that a namespace could send to, on the segments that it is on. Pure."""

from __future__ import annotations

from netprobe.diagnose import hints
from netprobe.model import Leg, Link, Namespace
from netprobe.model.lookup import but, where

from .repair import Loss
from .segment import own_addresses, share


def router_for(loss: Loss, name: str, wanted: str) -> hints.Gateway | None:
    """A router beside a namespace that knows the way to `wanted`; None where none is in sight."""
    here = loss.snapshot.at(name)
    links = but(where(here.links, up=True), kind="loopback")
    near = (hints.behind_cable(here, link, _beside(loss, name, link), wanted) for link in links)
    return hints.gateway(loss.snapshot, name, wanted) or next(filter(None, near), None)


def came_from(loss: Loss, name: str) -> hints.Gateway | None:
    """The router that sent the request into a namespace that cannot answer it: it is one, whatever else it
    lacks.
    """
    link = loss.came_in(name)
    if loss.prediction.leg is not Leg.REPLY or link is None or not link.up:
        return None
    routers = {routed.namespace for routed in loss.asked(Leg.REQUEST)} - {name, loss.probe.source.namespace}
    own = own_addresses(loss.snapshot[name], link, loss.probe.version)
    for router, station in _beside(loss, name, link):
        known = own_addresses(router, station, loss.probe.version) if router.name in routers else ()
        for address in known:
            return hints.Gateway(address.address, link, not any(share(each, address) for each in own))
    return None


def _beside(loss: Loss, name: str, link: Link) -> tuple[tuple[Namespace, Link], ...]:
    return tuple((loss.snapshot[there], station) for there, station in loss.stations(name, link))
