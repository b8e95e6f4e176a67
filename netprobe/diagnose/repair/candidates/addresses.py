"""Addresses: missing, of the wrong network or length, where they should not be. Pure.

See: ip-address(8); net/ipv4/devinet.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.hints import is_network_itself
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import (
    free_address,
    is_network,
    own_addresses,
    pointing_at,
    share,
    usual_length,
)
from netprobe.model import Blank, Command, InterfaceAddress, Leg, Link, Namespace, Object, Stage, Stop
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .bridge_gone import SEVERAL, seekers


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each address of the way's interfaces that disagrees with its segment, and those that are not there."""
    version = loss.version
    for name in loss.around:
        namespace = loss.snapshot[name]
        for link in namespace.links:
            if link.kind != "loopback" and link.master is None:
                yield from _of_link(loss, namespace, link, version)
    for routed in loss.asked(Leg.REPLY):
        yield from _not_covering(loss, routed)
    yield from _wanted(loss)
    yield from _remembered(loss)
    yield from _captured(loss)
    yield from _doubled(loss)
    yield from _deprecated(loss)


def _of_link(loss: Loss, namespace: Namespace, link: Link, version: int) -> Iterator[Repair]:
    """What the addresses beside an interface say about its own, or about its having none."""
    own = own_addresses(namespace, link, version)
    others = loss.beside(namespace.name, link, version) if link.up else ()
    if not others:
        return
    if not own:
        yield from _of_bare_link(loss, namespace, link, version, [a for _, _, a in others])
    odd = not any(share(address, a) for address in own for _, _, a in others)
    for address in own:
        yield from _of_another_length(loss, namespace, link, address, [a for _, _, a in others])
        if odd and is_network(address):
            yield from _of_another_network(loss, namespace, link, address, others)


def _of_bare_link(
    loss: Loss, namespace: Namespace, link: Link, version: int, others: list[InterfaceAddress]
) -> Iterator[Repair]:
    yield from _on_another_link(loss, namespace, link, others)
    if _lacks_a_source(loss, namespace, link) or _needs_one(namespace, link, version):
        yield from _bare(loss, namespace, link, version, others)


def _of_another_length(
    loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress, others: list[InterfaceAddress]
) -> Iterator[Repair]:
    """An address with another prefix length than those beside it whose network it is of."""
    usual = usual_length(others, own.address)
    if usual is None or usual[0] == own.prefixlen:
        return
    length, alike = usual
    if any((a.address, a.prefixlen) == (own.address, length) for a in namespace.addresses_of(link)):
        return
    right = InterfaceAddress(own.index, own.address, length)
    written = f"{own.address}/{own.prefixlen}"
    fix = (fixes.address("add", right, link), fixes.address("del", own, link))
    text = (
        f"{written} on {link.name} in {namespace.name} has another length than the /{length} of its"
        " neighbours"
    )
    named = f"{written} dev {link.name}"
    stop = lost(
        "addr-wrong-prefix",
        namespace.name,
        link,
        Stage.ROUTE,
        text,
        object=Object("address", named, written),
        fix=fix,
    )
    merit = Merit.RESTORES
    if not is_network(own) and link.kind != "bridge":  # a host's prefix is often meant
        merit = Merit.ADDS if loss.stop.place.namespace == namespace.name else Merit.GOES_AROUND
    yield from loss.repair(stop, merit, agreeing=alike)


def _not_covering(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """An answer that does not find the interface the question came in by: no network there holds the
    asker.
    """
    came = loss.came_in(routed.namespace)
    leg = routed.decision.leg
    if came is None or (leg is not None and leg.index == came.index):
        return
    namespace = loss.snapshot[routed.namespace]
    asker = [
        a for station in loss.stations(namespace.name, came) for a in _bearing(loss, station, routed.dst)
    ]
    for own in own_addresses(namespace, came, prefix.version(routed.dst)):
        agrees = any(prefix.contains(_network(a), own.address) for a in asker)
        mute = bool(asker) and not is_network(own)  # a host's own prefix says nothing of its neighbours
        if prefix.contains(_network(own), routed.dst) or not (agrees or mute):
            continue
        written, length = f"{own.address}/{own.prefixlen}", prefix.shared(own.address, routed.dst)
        text = (
            f"{written} on {came.name} in {namespace.name} does not cover {routed.dst}, which is on that"
            " segment"
        )
        put = fixes.address("add", InterfaceAddress(own.index, own.address, length), came)
        stop = lost(
            "addr-wrong-prefix",
            namespace.name,
            came,
            Stage.ROUTE,
            text,
            object=Object("address", f"{written} dev {came.name}", written),
            fix=fixes.with_right_length(own, came),
        )
        merit = Merit.RESTORES if came.kind == "bridge" or is_network(own) else Merit.ADDS
        yield from loss.repair(stop, merit, trial=(put, fixes.address("del", own, came)))


def _bearing(loss: Loss, station: tuple[str, Link], address: str) -> list[InterfaceAddress]:
    return [a for a in loss.snapshot[station[0]].addresses_of(station[1]) if a.address == address]


def _of_another_network(
    loss: Loss,
    namespace: Namespace,
    link: Link,
    own: InterfaceAddress,
    others: tuple[tuple[str, Link, InterfaceAddress], ...],
) -> Iterator[Repair]:
    """An address of another network than all those beside it: the odd one out is wrong."""
    there, station, other = others[0]
    written = f"{own.address}/{own.prefixlen}"
    theirs = f"{other.address}/{other.prefixlen} of {there}/{station.name}"
    text = f"{written} of {namespace.name}/{link.name} is of another network than {theirs} beside it"
    lost_ones = [a for a in _asked_for(loss) if any(prefix.contains(_network(o), a) for _, _, o in others)]
    free = free_address(o for _, _, o in others)
    if free is None:
        return
    put = f"{lost_ones[0] if lost_ones else free.address}/{other.prefixlen}"
    gone = fixes.address("del", own, link)
    trial = (Command.of("ip", "address", "add", put, "dev", link.name), gone)
    blank = Command.of("ip", "address", "add", Blank(f"RIGHT-ADDRESS/{other.prefixlen}"), "dev", link.name)
    stop = Stop(
        "addr-wrong-subnet",
        lost("", namespace.name, link, Stage.ROUTE, "").place,
        text,
        Object("address", f"{written} dev {link.name}", f"{written} dev {link.name}"),
        trial if lost_ones else (blank, gone),
    )
    agreeing = len({(n, li.index) for n, li, _ in others}) + 100 * bool(lost_ones)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing, trial=trial)


def _network(address: InterfaceAddress) -> str:
    return prefix.network(address.address, address.prefixlen)


def _asked_for(loss: Loss) -> tuple[str, ...]:
    """The addresses that are asked for and that nobody has: gateways, the destination, ends of tunnels."""
    legs = [routed.decision.leg for routed in loss.prediction.routed]
    asked = [leg.via for leg in legs if leg is not None]
    asked += [loss.probe.destination.address, *(routed.dst for routed in loss.prediction.routed)]
    asked += [*_ends_of_tunnels(loss), *_gateways_of_others(loss)]
    return tuple(dict.fromkeys(a for a in asked if a and a not in loss.owned))


def _gateways_of_others(loss: Loss) -> Iterator[str | None]:
    """What the routes of all namespaces read call their next hop."""
    for namespace in loss.snapshot.namespaces.values():
        yield from (leg.via for route in namespace.routes for leg in route.nexthops)


def _ends_of_tunnels(loss: Loss) -> Iterator[str | None]:
    for namespace in loss.snapshot.namespaces.values():
        yield from (entry.remote for entry in namespace.fdb)
        yield from (link.vxlan.remote for link in namespace.links if link.vxlan is not None)


def _lacks_a_source(loss: Loss, namespace: Namespace, link: Link) -> bool:
    """Whether the packet ends where it leaves by this interface, for want of an address to send from: IPv6
    keeps its routes when an address goes.
    """
    at = loss.stop.place.namespace, loss.stop.place.interface
    return loss.stop.code == "addr-missing" and at == (namespace.name, link.name)


def _needs_one(namespace: Namespace, link: Link, version: int) -> bool:
    """Whether an interface without an address does nothing else: it is in no bridge, and no route leads by
    it.
    """
    routed = any(
        leg.index == link.index
        and prefix.version(route.dst) == version
        and not prefix.is_link_local(route.dst.partition("/")[0])
        and not prefix.is_multicast(route.dst.partition("/")[0])
        for route in namespace.routes
        for leg in route.nexthops
    )
    return link.up and link.master is None and not routed


def _bare(
    loss: Loss, namespace: Namespace, link: Link, version: int, others: list[InterfaceAddress]
) -> Iterator[Repair]:
    """An interface without an address among stations that have some: one that is asked for and nobody has,
    else any that is free, which only the reader can choose.
    """
    meant = None if link.kind != "bridge" else loss.probe.destination.address
    text = f"{link.name} in {namespace.name} has no IPv{version} address"
    for address in _asked_for(loss):
        usual = usual_length(others, address)
        joined = len(seekers(loss, namespace.name, address)) >= SEVERAL  # by a bridge, which had it
        if usual is not None and address != meant and not joined:
            put = Command.of("ip", "address", "add", f"{address}/{usual[0]}", "dev", link.name)
            told = f"{text}, and no station has {address}"
            yield from _given(loss, namespace, link, told, put, put, pointing_at(loss.snapshot, address))
    free = free_address(others)
    if free is not None and link.kind != "bridge":
        put = Command.of("ip", "address", "add", f"{free.address}/{free.prefixlen}", "dev", link.name)
        blank = Blank(f"ADDRESS/{free.prefixlen}")
        yield from _given(loss, namespace, link, text, Command.of(*put.words[:3], blank, *put.words[4:]), put)


def _given(
    loss: Loss, namespace: Namespace, link: Link, text: str, told: Command, put: Command, agreeing: int = 0
) -> Iterator[Repair]:
    thing = Object("address", f"dev {link.name}", text)
    stop = lost("addr-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=(told,))
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing, trial=(put,))


def _on_another_link(
    loss: Loss, namespace: Namespace, link: Link, others: list[InterfaceAddress]
) -> Iterator[Repair]:
    """An address of the network of a segment on an interface of the same namespace that is not on that
    segment.
    """
    version = prefix.version(others[0].address)
    for own in namespace.addresses:
        usual = usual_length(others, own.address)
        there = namespace.link(own.index)
        if (
            usual is None
            or there is None
            or own.scope != "global"
            or link.index in (there.index, there.master)
        ):
            continue
        if there.kind == "bridge" and any(
            share(own, a) for _, _, a in loss.beside(namespace.name, there, version)
        ):
            continue  # it is where its stations are
        put = InterfaceAddress(link.index, own.address, usual[0])
        text = f"{own.address} of {namespace.name} is on {there.name}, and its network is behind {link.name}"
        named = f"{own.address}/{own.prefixlen} dev {there.name}"
        fix = (fixes.address("del", own, there), fixes.address("add", put, link))
        thing = Object("address", named, named)
        stop = lost("addr-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=usual[1])


def _wanted(loss: Loss) -> Iterator[Repair]:
    """An address that others point to and nobody has, on the bridge or router they would find it at."""
    if loss.stop.code not in ("neigh-no-answer", "route-wrong-nexthop", "no-route", "forwarding-off"):
        return
    for address in _asked_for(loss):
        for name, link in loss.hearers():
            namespace = loss.snapshot[name]
            own = own_addresses(namespace, link, prefix.version(address))
            holding = [a for a in own if prefix.contains(_network(a), address)]
            if not own and link.kind == "bridge" and address != loss.probe.destination.address:
                yield from _of_a_bridge(loss, namespace, link, address)
            if not holding:
                continue
            put = InterfaceAddress(link.index, address, holding[0].prefixlen)
            text = f"no station has {address}, which others point to; {name}/{link.name} is of its network"
            thing = Object("address", f"{address}/{put.prefixlen} dev {link.name}", text)
            fix = (fixes.address("add", put, link),)
            stop = lost("addr-missing", name, link, Stage.ARP, text, object=thing, fix=fix)
            count = pointing_at(loss.snapshot, address)
            named = any(is_network_itself(a) for a in holding)  # no station can have that one
            sure = (count > 1 and link.kind == "bridge") or (named and count > 0)
            asked = address == loss.probe.destination.address  # who knows whose it was
            merit = Merit.GOES_AROUND if asked else Merit.ADDS
            yield from loss.repair(stop, Merit.RESTORES if sure else merit, agreeing=count)


def _remembered(loss: Loss) -> Iterator[Repair]:
    """A gateway that nobody has any more, and that is still sent to by the MAC it had: of a bridge without an
    address.
    """
    for routed in loss.prediction.routed:
        namespace, leg = loss.snapshot[routed.namespace], routed.decision.leg
        link = namespace.link_of(leg)
        if leg is None or link is None or leg.via is None or leg.via in loss.owned:
            continue
        for name, station in loss.stations(namespace.name, link):
            there = loss.snapshot[name]
            if station.kind == "bridge" and not own_addresses(there, station, prefix.version(leg.via)):
                yield from _of_a_bridge(loss, there, station, leg.via)


def _of_a_bridge(loss: Loss, namespace: Namespace, link: Link, address: str) -> Iterator[Repair]:
    """A bridge without an address, where those on it look for a gateway that nobody is."""
    source = loss.probe.source.address or address
    length = prefix.shared(address, source) if address != source else 24
    put = fixes.address("add", InterfaceAddress(link.index, address, length), link)
    text = f"no station has {address}, and {namespace.name}/{link.name} has no address"
    thing = Object("address", f"dev {link.name}", text)
    fix = (fixes.with_address(link, address),)
    stop = lost("addr-missing", namespace.name, link, Stage.ARP, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=pointing_at(loss.snapshot, address), trial=(put,))


def _captured(loss: Loss) -> Iterator[Repair]:
    """A packet that the last namespace takes for its own, though another one is meant."""
    meant_for = (loss.probe.destination, loss.probe.source)
    for walk, meant in zip(loss.prediction.walks, meant_for, strict=False):
        hops = walk.hops
        if hops and hops[-1].namespace != meant.namespace and hops[-1].namespace in loss.snapshot:
            yield from _taken(loss, loss.snapshot[hops[-1].namespace], hops[-1].flow.dst)


def _taken(loss: Loss, namespace: Namespace, dst: str) -> Iterator[Repair]:
    """The address by which a namespace takes `dst` for its own; one on a loopback stands for its whole
    network.
    """
    for own in namespace.addresses:
        link = namespace.link(own.index)
        whole = link is not None and link.kind == "loopback" and prefix.contains(_network(own), dst)
        if link is None or own.scope != "global" or not (own.address == dst or whole):
            continue
        named = f"{own.address}/{own.prefixlen} dev {link.name}"
        text = (
            f"{namespace.name} has {own.address}/{own.prefixlen} on {link.name}, and takes {dst} for its own"
        )
        fix = (fixes.address("del", own, link),)
        thing = Object("address", named, named)
        stop = lost("addr-duplicate", namespace.name, link, Stage.DELIVER, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.UNDOES)


def _doubled(loss: Loss) -> Iterator[Repair]:
    """A sender's address that another namespace bears as well: the answer goes there."""
    address, name = loss.probe.source.address, loss.probe.source.namespace
    namespace = loss.snapshot.get(name)
    if name is None or namespace is None or address is None:
        return
    others = [n.name for n in loss.snapshot.namespaces.values() if n.name != name and n.owner_of(address)]
    for own in namespace.addresses if others else ():
        link = namespace.link(own.index)
        if own.address != address or link is None:
            continue
        named = f"{address}/{own.prefixlen} dev {link.name}"
        text = f"{name} sends from {address}, which {others[0]} has as well"
        fix = (fixes.address("del", own, link),)
        thing = Object("address", named, named)
        stop = lost("addr-duplicate", name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.UNDOES)


def _deprecated(loss: Loss) -> Iterator[Repair]:
    """An IPv6 address that is a source no more (RFC 4862, 5.5.4), so that one without a way back is taken."""
    name = loss.probe.source.namespace or ""
    namespace = loss.snapshot.namespaces.get(name)
    for own in namespace.addresses if namespace is not None else ():
        link = namespace.link(own.index) if namespace is not None else None
        if "deprecated" not in own.flags or own.scope != "global" or link is None:
            continue
        written = f"{own.address}/{own.prefixlen}"
        text = (
            f"{written} on {link.name} in {name} is deprecated, so that {loss.probe.source.address} is the"
            " source, which has no way back"
        )
        lives = ("preferred_lft", "forever", "valid_lft", "forever")
        fix = (Command.of("ip", "address", "change", written, "dev", link.name, *lives),)
        thing = Object("address", f"{written} dev {link.name}", f"{written} deprecated")
        stop = lost("route-wrong-src", name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES)
