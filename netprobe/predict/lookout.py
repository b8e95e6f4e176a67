"""What to look for while the probe is on its way: ports, addresses and pairs of addresses, from the
prediction. Pure.

The taps leave out the ARP and the fragments of others, of which a busy or hostile segment has a hundred
thousand a second. Whose are ours is known where the way is: the addresses of the packet as each hop sees it,
the next hops, and those that ask for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from operator import attrgetter

from netprobe.model import End, Flow, Link, Namespace, Probe, RouteQuery, Snapshot, Watch
from netprobe.model.lookup import but, column, grouped

from . import fib, prefix
from .prediction import Prediction

# of one IP version: each is a few instructions of the kernel filter, of which there are 4096
MOST_ADDRESSES = 48
MOST_PAIRS = 32
_NOBODYS = ("", "?", "0.0.0.0", "::")


def watch(probe: Probe, snapshot: Snapshot, prediction: Prediction | None) -> Watch:
    """What to send and what to look for; everybody's neighbours and fragments where the way is not known to
    its end.
    """
    namespaces = tuple(snapshot.namespaces)
    interfaces = {name: len(each.links) for name, each in snapshot.namespaces.items()}
    if prediction is None:
        return Watch(probe, namespaces, interfaces=interfaces)
    flows = [hop.flow for hop in prediction.request.hops]
    ports = _numbers(flow.sport for flow in flows)
    services = _numbers(flow.dport for flow in flows)
    if not _is_known(prediction):
        return Watch(probe, namespaces, ports, services, interfaces=interfaces)
    return Watch(
        probe, namespaces, ports, services, _addresses(snapshot, prediction), _pairs(prediction), interfaces
    )


def _numbers(ports: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(sorted({port for port in ports if port is not None}))


def _is_known(prediction: Prediction) -> bool:
    """Whether both ways are known as far as they lead."""
    return all(walk.end is not End.UNDETERMINED for walk in prediction.walks)


def _flows(prediction: Prediction) -> Iterator[Flow]:
    """The packet at each hop, with its tunnels."""
    return chain.from_iterable(_layers(hop.flow) for hop in prediction.hops)


def _layers(flow: Flow) -> Iterator[Flow]:
    """A flow, and those around it in tunnels."""
    while True:
        yield flow
        if flow.outer is None:
            return
        flow = flow.outer


def _addresses(snapshot: Snapshot, prediction: Prediction) -> tuple[str, ...]:
    """Who asks for whom on the way: first the packet's own addresses and the next hops, then all of the
    interfaces it passes.
    """
    probe = prediction.probe
    found = [probe.source.address, probe.destination.address]
    for flow in _flows(prediction):
        found += (flow.src, flow.dst)
    found += _next_hops(snapshot, prediction)
    for namespace, link in _interfaces(snapshot, prediction):
        found += _addressed(namespace, link)
        found += _addressed(namespace, namespace.link(link.master))  # of the bridge whose port it is, too
    found += chain.from_iterable(map(_of_a_host, filter(None, map(snapshot.get, snapshot.homes))))
    return _most(address.partition("%")[0] for address in filter(None, found))


def _of_a_host(home: Namespace) -> tuple[str | None, ...]:
    """Whom a host may ask for on behalf of its tunnels: their other ends, and its gateways."""
    return (*map(attrgetter("remote"), home.fdb), *sorted(filter(None, home.gateways)))


def _next_hops(snapshot: Snapshot, prediction: Prediction) -> Iterator[str | None]:
    for routed in prediction.routed:
        legs = filter(None, (routed.decision.leg, *routed.decision.candidates))
        yield routed.dst
        yield from (leg.via for leg in legs)
    for hop in prediction.hops:  # a tunnel's packet has a next hop of its own
        namespace = snapshot.get(hop.namespace)
        if hop.flow.outer is not None and namespace is not None:
            yield fib.lookup(namespace, RouteQuery(hop.flow.outer.src, hop.flow.outer.dst)).via


def _interfaces(snapshot: Snapshot, prediction: Prediction) -> Iterator[tuple[Namespace, Link]]:
    """The interfaces on the way, and those that the routes name."""
    yield from filter(None, (snapshot.link_at(hop.place) for hop in prediction.hops))
    for routed in prediction.routed:
        namespace = snapshot.at(routed.namespace)
        link = namespace.link(routed.decision.index)
        if link is not None:
            yield namespace, link


def _addressed(namespace: Namespace, link: Link | None) -> tuple[str, ...]:
    return tuple(column(but(namespace.addresses_of(link), scope="host"), "address"))


def _most(addresses: Iterable[str]) -> tuple[str, ...]:
    """Each once, and the first ones of each IP version."""
    known = [address for address in dict.fromkeys(addresses) if address not in _NOBODYS]
    of = grouped(known, prefix.version)
    return (*of.get(4, ())[:MOST_ADDRESSES], *of.get(6, ())[:MOST_ADDRESSES])


def _pairs(prediction: Prediction) -> tuple[tuple[str, str], ...] | None:
    """The addresses of the packet and of its answer, wherever they are changed.

    None when they are too many to tell apart, and where the request is predicted to be lost: should it get
    further, nobody knows how it is translated there.
    """
    if prediction.request.end is End.DROP:
        return None
    pairs: dict[tuple[str, str], None] = {}
    for flow in (prediction.probe.flow(), *_flows(prediction)):
        src, dst = flow.src.partition("%")[0], flow.dst.partition("%")[0]
        if src and dst:
            pairs |= dict.fromkeys(((src, dst), (dst, src)))
    return tuple(pairs) if len(pairs) <= MOST_PAIRS else None
