"""What namespaces decide about the packets of tunnels, of which the walk tells the hops alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import islice

from msgspec.structs import replace

from netprobe.model import Leg, Place, Protocol, RouteQuery, Snapshot, Stage, Stop, Vxlan
from netprobe.model.lookup import column, not_among, where
from netprobe.predict import fib
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed

from .pinged import ping

_MOST = 32  # of routers between the ends of tunnels


def decisions(
    snapshot: Snapshot, found: Prediction, stop: Stop, way: tuple[str, ...], owned: Set[str]
) -> Iterator[Routed]:
    """The routing decisions about what tunnels of the namespaces on the way send to ends that somebody has,
    and those of the routers between.
    """
    for name in way:
        yield from _at_home(snapshot, found, stop, name, owned)
    yield from islice(_between(snapshot, found, stop), _MOST)


def _at_home(
    snapshot: Snapshot, found: Prediction, stop: Stop, name: str, owned: Set[str]
) -> Iterator[Routed]:
    here, leg = snapshot[name], found.lost_leg
    for link, vxlan in here.vxlans:
        # of one that leads into itself nobody has come to the other end
        looped = stop.place == Place(name, link.name, Stage.ENCAPSULATE)
        for remote in here.remotes_of(link):
            if looped or remote in owned:
                query = RouteQuery(vxlan.local, remote)
                yield Routed(name, leg, fib.lookup(here, query), vxlan.local or "", remote)


def _between(snapshot: Snapshot, found: Prediction, stop: Stop) -> Iterator[Routed]:
    """Where the loss is at a router that has decided about nothing else, or such a packet came back: of a
    question in a tunnel the walk does not tell even the hops.
    """
    known = {*column(found.routed, "namespace")}
    below = stop.place.namespace not in known or stop.code == "martian-source"
    for there in snapshot.namespaces.values() if below else ():
        for link, vxlan in there.vxlans:
            for remote in there.remotes_of(link):
                sent = _sent(snapshot, found, there.name, vxlan, remote)
                yield from not_among(sent, namespace={*known, there.name})


def _sent(snapshot: Snapshot, found: Prediction, name: str, vxlan: Vxlan, remote: str) -> Iterator[Routed]:
    """The routing decisions about what a tunnel sends to another end, as those of the leg that was lost."""
    asked = ping(found.probe, name, remote, vxlan.local)
    port = replace(asked.destination, port=vxlan.port)
    outcome = predict(snapshot, replace(asked, protocol=Protocol.UDP, destination=port), ask=False)
    there = where(outcome.routed, leg=Leg.REQUEST) if isinstance(outcome, Prediction) else ()
    yield from (replace(each, leg=found.lost_leg) for each in there)
