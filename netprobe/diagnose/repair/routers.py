"""The router that a namespace could send to, on the segments that it is on. Pure."""

from __future__ import annotations

from netprobe.diagnose import hints
from netprobe.model import Leg, Link, Namespace

from .repair import Loss
from .segment import own_addresses, share


def router_for(loss: Loss, name: str, wanted: str) -> hints.Gateway | None:
    """A router beside a namespace that knows the way to `wanted`; None where none is in sight."""
    here = loss.snapshot.namespaces.get(name)
    if here is None:
        return None
    beside = [(link, _beside(loss, name, link)) for link in here.links if link.up and link.kind != "loopback"]
    near = (hints.behind_cable(here, link, stations, wanted) for link, stations in beside)
    return hints.gateway(loss.snapshot, name, wanted) or next(filter(None, near), None)


def came_from(loss: Loss, name: str) -> hints.Gateway | None:
    """The router that sent the request into a namespace that cannot answer it: it is one, whatever else it
    lacks.
    """
    here = loss.snapshot.namespaces.get(name)
    asked = loss.asked(Leg.REQUEST) if loss.prediction.leg is Leg.REPLY else ()
    link = next((routed.iif for routed in asked if routed.namespace == name), None)
    routers = {routed.namespace for routed in asked} - {name, loss.probe.source.namespace}
    if here is None or link is None:
        return None
    for there, station in loss.stations(name, link) if link.up else ():
        for address in own_addresses(loss.snapshot[there], station, loss.probe.version):
            onlink = not any(share(own, address) for own in own_addresses(here, link, loss.probe.version))
            if there in routers:
                return hints.Gateway(address.address, link, onlink)
    return None


def _beside(loss: Loss, name: str, link: Link) -> tuple[tuple[Namespace, Link], ...]:
    return tuple((loss.snapshot[there], station) for there, station in loss.stations(name, link))
