"""ARP or ND between two stations of one segment: the request's way, and the answer's way back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import (
    End,
    Flow,
    Hop,
    Leg,
    Link,
    Namespace,
    Probe,
    Protocol,
    RouteQuery,
    Stage,
    Stop,
    Walk,
)
from netprobe.model.lookup import column, find, not_among, those_not_in, where

from . import fib, neighbour, prefix, unanswered
from .arp_reply import Station, noarp
from .arp_request import answer_to, enquire
from .drop import end_of, lost
from .outcome import Branch, Carry
from .trace import numbered
from .view import Ground, Packet


class Exchange(Struct, frozen=True, gc=False):
    """The two walks; `reply` None when nobody would answer. `device` is the interface that asks."""

    request: Walk
    reply: Walk | None = None
    device: str | None = None


def interface(ground: Ground, name: str, dst: str, wanted: str | None = None) -> Link | None:
    """The interface over which `name` reaches `dst` directly, without a router; None when it does not."""
    namespace = ground.namespace(name)
    if wanted is not None:
        return namespace.link_named(wanted)
    decision = fib.sought(namespace, RouteQuery(None, dst))
    if decision.error is not None or decision.leg is None or decision.type != "unicast":
        return None
    if decision.via is None:
        return namespace.link(decision.index)
    # a router is on the segment, also onlink
    legs = chain.from_iterable(route.nexthops for route in namespace.routes)
    return next((namespace.link(leg.index) for leg in legs if leg.via == dst), None)


def aimed(ground: Ground, carry: Carry, probe: Probe) -> Probe:
    """The probe by the interface on whose segment a station has the address that is asked for, where no
    route leads straight there: it is of another network, and answers all the same (arping(8), -I).
    """
    name, dst = probe.source.namespace, probe.destination.address
    assert name is not None
    assert dst is not None
    here, own = ground.namespace(name), probe.source
    if interface(ground, name, dst, own.interface) is not None or is_cut_off(here, dst, own.interface):
        return probe
    if prefix.is_loopback(dst):  # nobody answers for one (arp_process)
        return probe
    blank = Packet(Flow(own.address or "0.0.0.0", dst, probe.protocol), Leg.REQUEST)
    for link in filter(neighbour.needs_mac, where(here.outward, up=True, arp=True)):
        asked = enquire(ground, carry, (name, link), neighbour.request(here, link, dst, blank))
        if any(_has(ground, each, dst) for each in asked.heard):
            told = f"no route leads straight to {dst}: {link.name} asks, for who has it is on its segment"
            return replace(probe, source=replace(own, interface=link.name, notes=(*own.notes, told)))
    return probe


def _has(ground: Ground, at: tuple[str, Link], dst: str) -> bool:
    """Whether an address is a station's; of IPv6 at the interface that is asked (ndisc_recv_ns)."""
    there = ground.namespace(at[0])
    return there.has_on(at[1], dst) if ":" in dst else there.address(dst) is not None


def is_cut_off(namespace: Namespace, dst: str, wanted: str | None) -> bool:
    """Whether a station that does not reach `dst` directly may be meant to: by the interface that was named,
    by an address of its network on one that is off, or as no address tells on which networks it is.
    """
    own = where(namespace.addresses, version=prefix.version(dst), scope="global")
    on = {*column(where(namespace.outward, up=True), "index")}
    off = not_among(own, index=on)
    alone = where(off, prefixlen=prefix.bits(dst))
    networks = map(prefix.network_of, off)
    return wanted is not None or not those_not_in(own, alone) or prefix.within(networks, dst)


def exchange(ground: Ground, carry: Carry, probe: Probe) -> Exchange:
    """Walk the request to the station that owns the address, and its answer back."""
    name, dst = probe.source.namespace, probe.destination.address
    assert name is not None
    assert dst is not None
    link = interface(ground, name, dst, probe.source.interface)
    if link is None:
        stop = lost("no-route", name, None, Stage.ROUTE, f"{dst} is not on a segment of {name}")
        return Exchange(Walk((), End.DROP, stop))
    if neighbour.needs_mac(link) and not link.arp:  # arping(8) refuses such a one as well
        text = f"{link.name} has ARP switched off (NOARP): {name} asks nobody there who has {dst}"
        return Exchange(Walk((), End.DROP, noarp(name, link, text)))
    blank = Packet(Flow(probe.source.address or "0.0.0.0", dst, probe.protocol), Leg.REQUEST)
    request = neighbour.request(ground.namespace(name), link, dst, blank)
    found = enquire(ground, carry, (name, link), request)
    if found.answers:
        # the owner rather than who answers in its name
        branch, station = min(found.answers, key=lambda answer: answer[1].proxy)
        return Exchange(_delivered(branch, station), _back(carry, (name, link), branch, request), link.name)
    if found.exits and not found.unread:
        return Exchange(
            _numbered(found.exits[0], End.EXIT),
            _from_outside(carry, (name, link), found.exits[0], request),
            link.name,
        )
    hop = Hop(
        1, name, link.name, Stage.TRANSMIT, request.flow, bound="out", note="asks everybody on the segment"
    )
    if found.unread:
        return Exchange(Walk((hop,), End.UNDETERMINED, found.unread[0]), device=link.name)
    stop = unanswered.nobody(ground, carry, (name, link), request, found)
    return Exchange(Walk((hop,), end_of(stop), stop), device=link.name)


def _numbered(branch: Branch, end: End, stop: Stop | None = None) -> Walk:
    return Walk(numbered(branch.hops), end, stop)


def _delivered(branch: Branch, station: Station | None = None) -> Walk:
    assert branch.at is not None
    name, asked = branch.at[0], branch.packet.flow.dst
    note = (
        f"{name} answers for {asked} in its name, as a proxy"
        if station is not None and station.proxy
        else f"{asked} is {name}'s own"
    )
    last = Hop(
        0,
        branch.at[0],
        branch.at[1].name,
        Stage.DELIVER,
        branch.packet.flow,
        note=note,
        suspects=branch.packet.suspects,
    )
    return _numbered(replace(branch, hops=(*branch.hops, last)), End.DELIVER)


def _back(carry: Carry, asker: tuple[str, Link], branch: Branch, request: Packet) -> Walk:
    """The unicast answer to who asked."""
    assert branch.at is not None
    reply = answer_to(request, branch.at[1])
    return _home(asker, carry.transmit(*branch.at, replace(reply, leg=Leg.REPLY)))


def _from_outside(carry: Carry, asker: tuple[str, Link], branch: Branch, request: Packet) -> Walk:
    """The answer of a station out of sight: it is taken to come in where the request went out."""
    reply = answer_to(request, branch.gone.link)
    flow = replace(reply.flow, src_mac=None)
    answer = replace(reply, flow=flow, leg=Leg.REPLY, tags=branch.packet.tags)
    return _home(asker, carry.returned(branch.gone, answer))


def _home(asker: tuple[str, Link], branches: Sequence[Branch]) -> Walk:
    """The way of an answer: the branch that comes back to who asked, or why none does."""
    home = find(branches, at=asker) or branches[0]
    if home.at == asker:
        return _delivered(home)
    stop = home.stop or lost("neigh-no-answer", *asker, Stage.ARP, "the answer does not come back")
    return _numbered(home, end_of(stop), stop)


def is_ours(protocol: Protocol) -> bool:
    """Whether a probe of this protocol is an exchange on one segment."""
    return protocol.on_segment
