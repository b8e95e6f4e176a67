"""The router that a namespace could send to, on the segments that it is on. Pure."""

from __future__ import annotations

from netprobe.diagnose import hints
from netprobe.model import Link, Namespace

from .repair import Loss


def router_for(loss: Loss, name: str, wanted: str) -> hints.Gateway | None:
    """A router beside a namespace that knows the way to `wanted`; None where none is in sight."""
    here = loss.snapshot.namespaces.get(name)
    if here is None:
        return None
    beside = [(link, _beside(loss, name, link)) for link in here.links if link.up and link.kind != "loopback"]
    near = (hints.behind_cable(here, link, stations, wanted) for link, stations in beside)
    return hints.gateway(loss.snapshot, name, wanted) or next(filter(None, near), None)


def _beside(loss: Loss, name: str, link: Link) -> tuple[tuple[Namespace, Link], ...]:
    return tuple((loss.snapshot[there], station) for there, station in loss.stations(name, link))
