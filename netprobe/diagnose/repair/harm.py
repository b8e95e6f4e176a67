"""What a repair would break: flows beside the probe that pass today, walked with it and without. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import filterfalse

from netprobe.model import InterfaceAddress, Namespace, Probe, Snapshot
from netprobe.model.lookup import where
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .repair import Loss, Repair
from .segment import Station, is_network, meet, own_addresses

_MOST = 6  # flows
_WEIGHED = 4  # repairs


def harmless(loss: Loss, repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
    """The repairs without those of the first few that would break what passes today; all if each would."""
    if len(repairs) < 2:
        return repairs
    flows = passing(loss)
    good = tuple(repair for repair in repairs[:_WEIGHED] if not breaks(loss, repair, flows))
    return (*(good or repairs[:_WEIGHED]), *repairs[_WEIGHED:])


def passing(loss: Loss) -> tuple[Probe, ...]:
    """The flows beside the probe that pass today."""
    asked = dict.fromkeys(filterfalse(partial(_is_own, loss), _beside(loss)))
    flows = [loss.echo(name, address) for name, address in asked][:_MOST]
    return tuple(flow for flow in flows if _passes(loss, loss.snapshot, flow))


def _is_own(loss: Loss, asked: tuple[str, str]) -> bool:
    """Whether a namespace asks itself."""
    name, address = asked
    return loss.snapshot[name].owner_of(address) is not None


def breaks(loss: Loss, repair: Repair, flows: tuple[Probe, ...]) -> bool:
    """Whether any of the flows would no longer pass."""
    return not all(_passes(loss, repair.mended, flow) for flow in flows)


def _passes(loss: Loss, snapshot: Snapshot, flow: Probe) -> bool:
    found = predict(snapshot, flow, ask=False, rulings=loss.rulings)
    return isinstance(found, Prediction) and found.passes


def _beside(loss: Loss) -> Iterator[tuple[str, str]]:
    """(who asks, the address asked for): to and from the stations beside the sender and beside the place of
    the loss, and back from the goal.
    """
    source = loss.probe.source
    if source.address is not None:
        for name in loss.snapshot.known((loss.probe.destination.namespace,)):
            yield name, source.address
    for name in loss.snapshot.known((source.namespace, loss.stop.place.namespace)):
        for there, station in _stations(loss, name):
            own = own_addresses(loss.snapshot[there], station, loss.version)
            yield from ((name, each.address) for each in own if _is_near(loss.snapshot[name], each))
            if there != source.namespace:
                yield there, loss.goal


def _is_near(namespace: Namespace, address: InterfaceAddress) -> bool:
    """Whether an address is of a network of the namespace beside: what is not may be there by mistake."""
    known = where(namespace.addresses, scope="global", version=address.version)
    networks = [*filter(is_network, known)]
    return not networks or meet([address], networks)


def _stations(loss: Loss, name: str) -> Iterator[Station]:
    """Who is on the segments of a namespace, as far as it was read."""
    for link in where(loss.snapshot.at(name).links, up=True):
        if loss.knows(name, link):
            yield from loss.stations(name, link)
