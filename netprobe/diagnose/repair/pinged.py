"""A ping that stands for what passes beside the probe, and the routers by which it goes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.model import Endpoint, Leg, Probe, Protocol, Snapshot, Stop, Vxlan
from netprobe.model.lookup import column, not_among, where
from netprobe.predict import prefix
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed


def ping(probe: Probe, name: str, address: str, source: str | None = None) -> Probe:
    """A ping from a namespace to an address, of whatever IP version: as anybody's, however the probe was
    asked for.
    """
    protocol = Protocol.ICMPV6 if prefix.version(address) == 6 else Protocol.ICMP
    ends = {"source": Endpoint(name, name, address=source), "destination": Endpoint(address, address=address)}
    bare = replace(probe, **ends, protocol=protocol)
    bare = replace(bare, source_port=None, reused=False, mark=0, uid=0, device=None)
    return replace(bare, count=1, size=56, ttl=None, df=None)


def below_tunnels(snapshot: Snapshot, found: Prediction, stop: Stop) -> Iterator[Routed]:
    """What routers decide about the packets of tunnels, where the loss is at one that has decided about
    nothing else, or such a packet came back: the walk tells of those their hops alone, and of a question in
    them not even that.
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
