"""What a repair would break: flows beside the probe that pass today, walked with it and without. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import chain, filterfalse, islice

from msgspec.structs import replace

from netprobe.diagnose.hints import is_network_itself
from netprobe.model import End, InterfaceAddress, Namespace, PolicyRule, Probe, RouteQuery, Snapshot
from netprobe.model.lookup import among, column, where
from netprobe.predict import fib, prefix
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .pinged import ping
from .repair import Loss, Repair, is_meant
from .segment import Station, is_network, meet, own_addresses

_MOST = 6  # flows
_WEIGHED = 12  # repairs
_SHOWN = 4  # of those a report has no more


def harmless(loss: Loss, repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
    """The repairs without those that would break what passes today, weighed until there are as many as are
    shown; all if each that is weighed would, and of detours alone, none of which is ever called the cause.
    """
    if len(repairs) < 2 or not any(map(is_meant, repairs)):
        return repairs
    flows, away = passing(loss, _beside(loss)), cache(partial(_away, loss))
    good, weighed = list[Repair](), 0
    for each in repairs[:_WEIGHED]:
        if len(good) == _SHOWN or loss.patience.is_over():
            break
        weighed += 1
        good += () if breaks(loss, each, (*flows, *_led(loss, each, away))) else (each,)
    return (*good, *repairs[weighed:]) if good else repairs


def passing(loss: Loss, asked: Iterable[tuple[str, str]]) -> tuple[Probe, ...]:
    """Of the first few flows (who asks, the address asked for) those that pass today."""
    others = dict.fromkeys(filterfalse(partial(_is_own, loss), asked))
    flows = [echo(loss, name, address) for name, address in others][:_MOST]
    return tuple(flow for flow in flows if _passes(loss, loss.snapshot, flow))


def echo(loss: Loss, name: str, address: str) -> Probe:
    """A ping from a namespace to an address."""
    return ping(loss.probe, name, address)


def _is_own(loss: Loss, asked: tuple[str, str]) -> bool:
    """Whether a namespace asks itself."""
    name, address = asked
    return loss.snapshot[name].owner_of(address) is not None


def breaks(loss: Loss, repair: Repair, flows: tuple[Probe, ...]) -> bool:
    """Whether any of the flows would no longer pass."""
    return not all(_passes(loss, repair.mended, flow) for flow in flows)


def _passes(loss: Loss, snapshot: Snapshot, flow: Probe) -> bool:
    found = predict(snapshot, flow, ask=False, rulings=loss.rulings)
    return isinstance(found, Prediction) and found.passes and not _is_taken(snapshot, found)


def _is_taken(snapshot: Snapshot, found: Prediction) -> bool:
    """Whether a flow is answered in the place of who has its destination."""
    return found.request.end is End.DELIVER and is_astray(snapshot, found)


def is_astray(snapshot: Snapshot, prediction: Prediction) -> bool:
    """Whether somebody took the request who does not bear its destination: a loopback stands for a whole
    network.
    """
    last = among(prediction.request.hops[-1:], namespace=snapshot)
    return any(snapshot[hop.namespace].owner_of(hop.flow.dst) is None for hop in last)


def _led(loss: Loss, repair: Repair, away: Callable[[str], tuple[Probe, ...]]) -> Iterator[Probe]:
    """The flows away from those who would send otherwise with a repair, to addresses that it leaves."""
    spaces = repair.mended.namespaces
    left = {*chain.from_iterable(column(each.addresses, "address") for each in spaces.values())}
    for name, mended in spaces.items():
        before = loss.snapshot.at(name)
        if (mended.routes, _upright(mended)) != (before.routes, _upright(before)):
            yield from (each for each in away(name) if each.destination.address in left)


def _upright(namespace: Namespace) -> frozenset[PolicyRule]:
    """The policy rules of a namespace, none of them turned round: what one takes that is turned round by
    mistake is for nobody to keep.
    """
    return frozenset(map(partial(replace, inverted=False, mask=0), namespace.rules))


def _away(loss: Loss, name: str) -> tuple[Probe, ...]:
    """The flows of a namespace that pass today: to the sender, and to others that its routes lead to."""
    return passing(loss, ((name, address) for address in _afar(loss, loss.snapshot[name])))


def _afar(loss: Loss, namespace: Namespace) -> Iterator[str]:
    """The sender's address, and one of each other namespace that is not beside; not the far side of a router
    by which itself that would be reached: no route is for that.
    """
    yield from filter(None, (loss.probe.source.address,))
    for other in loss.snapshot.namespaces.values():
        known = where(other.addresses, scope="global", version=loss.version)
        far = (each.address for each in known if not prefix.neighbours_of(each.address, namespace.addresses))
        yield from filterfalse(partial(_is_behind_itself, namespace, other), islice(far, 1))


def _is_behind_itself(namespace: Namespace, router: Namespace, address: str) -> bool:
    """Whether a namespace sends what is for an address of a router to another address of that."""
    via = fib.lookup(namespace, RouteQuery(None, address)).via
    return via is not None and router.address(via) is not None


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
    """Whether an address is of a network of the namespace beside, or its gateway: what is neither may be
    there by mistake, and so is the address of a whole network.
    """
    if is_network_itself(address):
        return False
    known = where(namespace.addresses, scope="global", version=address.version)
    return meet([address], [*filter(is_network, known)]) or address.address in namespace.gateways


def _stations(loss: Loss, name: str) -> Iterator[Station]:
    """Who is on the segments of a namespace, as far as it was read."""
    for link in where(loss.snapshot.at(name).links, up=True):
        if loss.knows(name, link):
            yield from loss.stations(name, link)
