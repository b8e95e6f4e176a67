"""The address that a packet is sent from, where an interface has several: another one is meant. Pure.

See: RFC 6724, 5; net/ipv6/addrconf.c (ipv6_get_saddr_eval); net/ipv4/devinet.c (inet_select_addr).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, filterfalse, product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import own_addresses, pointing_at
from netprobe.model import Command, InterfaceAddress, Leg, Link, Namespace, Object, Stage
from netprobe.model.lookup import among, but, column, has, holding, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from . import sets


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each address that would be the source, but for what it is, or for what is preferred to it."""
    yield from _deprecated(loss)
    yield from _of_the_link(loss)
    yield from _lasting(loss)
    yield from _unrouted(loss)
    yield from _of_a_service(loss)
    refused = loss.stop.code in sets.REFUSED and loss.version == 4
    for routed in where(loss.decisions, iif=None) if refused else ():
        yield from _known_there(loss, routed)


def _known_there(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """Another IPv4 address of the interface by which a machine sends, for itself or for a tunnel of its own,
    that the rules know which refuse it for the one that the kernel took, the first of the network. An
    interface without any sends from those of the others.
    """
    namespace, flow = loss.snapshot[routed.namespace], replace(loss.probe.flow(), dst=routed.dst)
    src = routed.src or fib.source_for(namespace, routed.decision, routed.dst) or ""
    link = loss.out(routed)
    came_as_sent = has(map(attrgetter("flow"), loss.hops[-1:]), src=src)
    if link is None or not came_as_sent or sets.names(loss.here, replace(flow, src=src)):
        return
    known = own_addresses(namespace, link, 4) or where(namespace.addresses, scope="global", version=4)
    for other in but(dict.fromkeys((*known, *_told_elsewhere(namespace, routed))), address=src):
        if sets.names(loss.here, replace(flow, src=other.address)):
            yield from _sent_from(loss, routed, link, src, other.address)


def _told_elsewhere(namespace: Namespace, routed: Routed) -> tuple[InterfaceAddress, ...]:
    """The addresses from which a machine is to send by other routes of who made this one."""
    made = {*column(filter(None, (routed.decision.route,)), "protocol")} - {"kernel"}
    return among(namespace.addresses, address={*column(among(namespace.routes, protocol=made), "source")})


def _sent_from(loss: Loss, routed: Routed, link: Link, src: str, other: str) -> Iterator[Repair]:
    """The route that a packet took, with the source that it is to have."""
    route, leg = routed.decision.route, routed.decision.leg
    assert route is not None
    assert leg is not None
    named = fib.describe(route, leg, link)
    text = (
        f"{routed.namespace} sends from {src} by the route {named}, and {loss.here.name} knows its address"
        f" {other}: {loss.stop.text}"
    )
    kept = {"kernel": ("proto", "kernel", "scope", "link"), "boot": ()}
    made = kept.get(route.protocol, ("proto", route.protocol))
    onlink = filter("onlink".__eq__, leg.flags)
    words = (*fib.words(route, leg, link), *fixes.option("metric", route.metric), *made, "src", other)
    thing, fix = Object("route", named, named), (fixes.ip(route.dst, "route", "replace", *words, *onlink),)
    stop = lost("route-wrong-src", routed.namespace, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES)


def _lasting(loss: Loss) -> Iterator[Repair]:
    """The lasting address of an interface that sends from temporary ones: rules where the packet was refused
    may know that alone.
    """
    namespace, source = loss.snapshot.at(loss.probe.source.namespace), loss.probe.source.address
    sent = namespace.address(source)
    if sent is None or not fib.is_temporary(sent) or not fib.prefers_temporary(namespace, sent.index):
        return
    flow = replace(loss.probe.flow(), dst=loss.goal)
    for link in where(namespace.links, index=sent.index):
        lasting = [*filterfalse(fib.is_temporary, namespace.addresses_of(link, 6))]
        known = any(sets.names(loss.here, replace(flow, src=each.address)) for each in lasting)
        key = f"net.ipv6.conf.{link.key}.use_tempaddr"
        named = f"{key} = {namespace.sysctl(key)}"
        text = f"{namespace.name} sends from {source}, a temporary address, which the far end does not know"
        thing, fix = Object("sysctl", key, named), fixes.sysctl(key, 1)
        stop = lost(
            "route-wrong-src", namespace.name, link, Stage.ROUTE, f"{text}: {named}", object=thing, fix=fix
        )
        yield from loss.repair(stop, Merit.restoring(known))


def _of_a_service(loss: Loss) -> Iterator[Repair]:
    """An IPv6 address without a network, which a machine bears for a service and sends from, where the rules
    that refuse it know the machine's own: no source any more (RFC 6724, 5, rule 3).
    """
    here = loss.snapshot.at(loss.probe.source.namespace)
    refused = column(loss.hops[-1:], "flow") if loss.stop.code in sets.REFUSED else ()
    sent = where(here.addresses, version=6, prefixlen=128)
    for flow, taken in product(refused, sent):
        own = sets.beside(here, taken) if taken.address == flow.src else ()
        for link in where(here.links, index=taken.index):
            if any(sets.names(loss.here, replace(flow, src=each.address)) for each in own):
                text = f"{here.name} sends from {taken.written}, and {loss.here.name} knows it by another one"
                words = ("ip", "address", "change", taken.written, "dev", link.name)
                fix = (Command.of(*words, "preferred_lft", "0", "valid_lft", "forever"),)
                thing = Object("address", f"{taken.written} dev {link.name}", taken.written)
                stop = lost("route-wrong-src", here.name, link, Stage.ROUTE, text, object=thing, fix=fix)
                yield from loss.repair(stop, Merit.RESTORES)


def _unrouted(loss: Loss) -> Iterator[Repair]:
    """An address of a network to which nobody else has a way: without it another one would be the source.
    Interfaces take IPv6 prefixes that they hear of, whether anybody leads there or not (RFC 4862), and
    addresses of their link alone beside those that are for all (RFC 3927, 1.9).
    """
    name, source = loss.probe.source.namespace, loss.probe.source.address or ""
    namespace = loss.snapshot.at(name)
    arrived = loss.prediction.leg is Leg.REPLY or loss.stop.code not in _ON_THE_WAY
    for own in where(namespace.addresses * arrived, address=source, scope=_SCOPES[loss.version]):
        others = but(loss.snapshot.namespaces.values(), name=name)
        known = chain.from_iterable(map(_networks, others))
        is_known = any(prefix.contains(network, source) for network in known)
        for link in () if is_known else where(namespace.links, index=own.index):
            text = (
                f"{name} sends from {source}, an address of {prefix.network_of(own)}, to which nobody in"
                " sight has a way"
            )
            thing = Object("address", f"{own.written} dev {link.name}", own.written)
            fix = (fixes.address("del", own, link),)
            stop = lost("route-wrong-src", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES, leg=Leg.REPLY)


_SCOPES = {4: "link", 6: "global"}
# ends at which nobody looked at a source
_ON_THE_WAY = {
    "neigh-no-answer",
    "no-route",
    "route-via-dead-device",
}


def _networks(namespace: Namespace) -> Iterator[str]:
    """The networks that a namespace is of, and where it leads to, but to all the world."""
    yield from map(prefix.network_of, namespace.addresses)
    yield from column(where(namespace.routes, is_to_a_network=True), "dst")


def _deprecated(loss: Loss) -> Iterator[Repair]:
    """An IPv6 address that is a source no more (RFC 4862, 5.5.4), so that one without a way back is taken."""
    namespace = loss.snapshot.at(loss.probe.source.namespace)
    for own in holding(where(namespace.addresses, scope="global"), flags="deprecated"):
        for link in where(namespace.links, index=own.index):
            text = (
                f"{own.written} on {link.name} in {namespace.name} is deprecated, so that"
                f" {loss.probe.source.address} is the source, which has no way back"
            )
            lives = ("preferred_lft", "forever", "valid_lft", "forever")
            fix = (Command.of("ip", "address", "change", own.written, "dev", link.name, *lives),)
            thing = Object("address", f"{own.written} dev {link.name}", f"{own.written} deprecated")
            stop = lost("route-wrong-src", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES)


def _of_the_link(loss: Loss) -> Iterator[Repair]:
    """An IPv4 address that was given for its link, or its host, alone, though its network is of those that
    are routed to: another interface's is the source (inet_select_addr).
    """
    way = {"addr-missing": ()}.get(loss.stop.code, loss.way)  # a route is told its source there
    for here in map(loss.snapshot.at, way):
        for link in but(here.links, kind="loopback"):
            given = among(here.addresses_of(link, 4), scope=("link", "host"))
            for own in filterfalse(_is_automatic, given):
                text = f"{own.written} on {link.name} in {here.name} is of scope {own.scope}: it is no source"
                fix = tuple(fixes.address(verb, own, link) for verb in ("del", "add"))
                thing = Object(
                    "address", f"{own.written} dev {link.name}", f"{own.written} scope {own.scope}"
                )
                stop = lost("route-wrong-src", here.name, link, Stage.ROUTE, text, object=thing, fix=fix)
                known = pointing_at(loss.snapshot, own.address, here.name)
                yield from loss.repair(stop, Merit.RESTORES, agreeing=known)


def _is_automatic(own: InterfaceAddress) -> bool:
    return prefix.is_link_local(own.address)
