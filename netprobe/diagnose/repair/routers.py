"""The router that a namespace could send to, on the segments that it is on. Pure."""

from __future__ import annotations

from netprobe.diagnose import hints
from netprobe.model import Leg, Link, Namespace
from netprobe.model.lookup import find

from .repair import Loss
from .segment import own_addresses, share


def router_for(loss: Loss, name: str, wanted: str) -> hints.Gateway | None:
    """A router beside a namespace that knows the way to `wanted`; None where none is in sight."""
    here = loss.snapshot.at(name)
    links = [link for link in here.links if link.up and link.kind != "loopback"]
    near = (hints.behind_cable(here, link, _beside(loss, name, link), wanted) for link in links)
    return hints.gateway(loss.snapshot, name, wanted) or next(filter(None, near), None)


def came_from(loss: Loss, name: str) -> hints.Gateway | None:
    """The router that sent the request into a namespace that cannot answer it: it is one, whatever else it
    lacks.
    """
    asked = loss.asked(Leg.REQUEST) if loss.prediction.leg is Leg.REPLY else ()
    here, came = loss.snapshot.at(name), find(asked, namespace=name)
    link = None if came is None else came.iif
    routers = {routed.namespace for routed in asked} - {name, loss.probe.source.namespace}
    if link is None or not link.up or name not in loss.snapshot:
        return None
    own = own_addresses(here, link, loss.probe.version)
    for there, station in loss.stations(name, link):
        for address in own_addresses(loss.snapshot[there], station, loss.probe.version)[: there in routers]:
            return hints.Gateway(address.address, link, not any(share(each, address) for each in own))
    return None


def _beside(loss: Loss, name: str, link: Link) -> tuple[tuple[Namespace, Link], ...]:
    return tuple((loss.snapshot[there], station) for there, station in loss.stations(name, link))
