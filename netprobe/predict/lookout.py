"""What to look for while the probe is on its way: ports, addresses and pairs of addresses, from the
prediction. Pure.

The taps leave out the ARP and the fragments of others, of which a busy or hostile segment has a hundred
thousand a second. Whose are ours is known where the way is: the addresses of the packet as each hop sees it,
the next hops, and those that ask for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.model import End, Flow, Hop, Namespace, Probe, RouteQuery, Snapshot, Walk, Watch

from . import fib
from .prediction import Prediction

# of one IP version: each is a few instructions of the kernel filter, of which there are 4096
MOST_ADDRESSES = 48
MOST_PAIRS = 32


def watch(probe: Probe, snapshot: Snapshot, prediction: Prediction | None) -> Watch:
    """What to send and what to look for; everybody's neighbours and fragments where the way is not known to
    its end.
    """
    namespaces = tuple(snapshot.namespaces)
    interfaces = {name: len(each.links) for name, each in snapshot.namespaces.items()}
    if prediction is None:
        return Watch(probe, namespaces, interfaces=interfaces)
    flows = [hop.flow for hop in prediction.request.hops]
    ports = tuple(sorted({flow.sport for flow in flows if flow.sport is not None}))
    services = tuple(sorted({flow.dport for flow in flows if flow.dport is not None}))
    if not _is_known(prediction):
        return Watch(probe, namespaces, ports, services, interfaces=interfaces)
    return Watch(
        probe, namespaces, ports, services, _addresses(snapshot, prediction), _pairs(prediction), interfaces
    )


def _walks(prediction: Prediction) -> tuple[Walk, ...]:
    return (prediction.request, *([prediction.reply] if prediction.reply else []))


def _is_known(prediction: Prediction) -> bool:
    """Whether both ways are known as far as they lead."""
    return all(walk.end is not End.UNDETERMINED for walk in _walks(prediction))


def _hops(prediction: Prediction) -> list[Hop]:
    return [hop for walk in _walks(prediction) for hop in walk.hops]


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
    found = [address for end in (probe.source, probe.destination) if (address := end.address)]
    found += [
        address for hop in _hops(prediction) for flow in _layers(hop.flow) for address in (flow.src, flow.dst)
    ]
    found += _next_hops(snapshot, prediction)
    found += [address for name, link in _interfaces(prediction) for address in _own(snapshot, name, link)]
    return _most(address.partition("%")[0] for address in found)


def _next_hops(snapshot: Snapshot, prediction: Prediction) -> Iterator[str]:
    for routed in prediction.routed:
        yield routed.dst
        yield from (
            leg.via
            for leg in (routed.decision.leg, *routed.decision.candidates)
            if leg is not None and leg.via
        )
    for hop in _hops(prediction):  # a tunnel's packet has a next hop of its own
        namespace = snapshot.namespaces.get(hop.namespace)
        if hop.flow.outer is not None and namespace is not None:
            leg = fib.lookup(namespace, RouteQuery(hop.flow.outer.src, hop.flow.outer.dst)).leg
            yield from [leg.via] if leg is not None and leg.via else []


def _interfaces(prediction: Prediction) -> Iterator[tuple[str, int | str]]:
    """The interfaces on the way, by namespace, as name or index."""
    yield from ((hop.namespace, hop.interface) for hop in _hops(prediction) if hop.interface)
    yield from (
        (r.namespace, leg.index)
        for r in prediction.routed
        if (leg := r.decision.leg) is not None and leg.index is not None
    )


def _own(snapshot: Snapshot, name: str, link: int | str) -> tuple[str, ...]:
    """The addresses of an interface, and of the bridge whose port it is."""
    namespace = snapshot.namespaces.get(name)
    found = namespace and (namespace.link_named(link) if isinstance(link, str) else namespace.link(link))
    if not namespace or not found:
        return ()
    return _addressed(namespace, found.index, found.master)


def _addressed(namespace: Namespace, *indexes: int | None) -> tuple[str, ...]:
    return tuple(
        address.address
        for address in namespace.addresses
        if address.index in indexes and address.scope != "host"
    )


def _most(addresses: Iterable[str]) -> tuple[str, ...]:
    """Each once, and the first ones of each IP version."""
    known = [
        address for address in dict.fromkeys(addresses) if address and address not in ("?", "0.0.0.0", "::")
    ]
    four, six = [a for a in known if ":" not in a], [a for a in known if ":" in a]
    return (*four[:MOST_ADDRESSES], *six[:MOST_ADDRESSES])


def _pairs(prediction: Prediction) -> tuple[tuple[str, str], ...] | None:
    """The addresses of the packet and of its answer, wherever they are changed.

    None when they are too many to tell apart, and where the request is predicted to be lost: should it get
    further, nobody knows how it is translated there.
    """
    if prediction.request.end is End.DROP:
        return None
    flows = [prediction.probe.flow(), *(flow for hop in _hops(prediction) for flow in _layers(hop.flow))]
    ends = [(flow.src.partition("%")[0], flow.dst.partition("%")[0]) for flow in flows]
    pairs = tuple(
        dict.fromkeys(pair for src, dst in ends for pair in ((src, dst), (dst, src)) if src and dst)
    )
    return pairs if len(pairs) <= MOST_PAIRS else None
