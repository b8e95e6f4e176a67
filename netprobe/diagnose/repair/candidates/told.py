"""Addresses that nobody has, and of which something in sight tells where they belong. Pure.

A program listens on one, a tunnel sends from it, or a rule translates what is for it; a route of one host
leads straight to an interface; a neighbour still knows the MAC that answered for it; the stations beside have
the same numbers in both families. And those that a namespace has which has its own next hop there: it takes
no such route while it has the address (fib_check_nh).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, filterfalse, islice

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.hints import is_network_itself
from netprobe.diagnose.nat_rules import all_said, chains_of_nat
from netprobe.diagnose.repair import numbered
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, is_network, meet, own_addresses, usual_length
from netprobe.model import (
    Command,
    InterfaceAddress,
    Link,
    Namespace,
    Neighbour,
    Object,
    Route,
    Socket,
    Stage,
)
from netprobe.model.command import inside
from netprobe.model.lookup import among, but, column, find, grouped, has, not_among, sole, those_not_in, where
from netprobe.predict import fixes, prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.drop import lost

from .sets import refusing_for_its_goal


class _Tale(Struct, frozen=True):
    """An address and where it belongs, and who says so; `router`: who leads straight to it; `taken`: what
    takes it away where it is.
    """

    name: str
    link: Link
    address: str
    why: str
    router: str | None = None
    taken: tuple[Command, ...] = ()

    @property
    def version(self) -> int:
        """The IP version of the address."""
        return prefix.version(self.address)

    @property
    def is_link_local(self) -> bool:
        """Whether nobody routes to it."""
        return prefix.is_link_local(self.address)


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each of them where it belongs; from another interface of the same namespace where it is on that."""
    tales = (*_listened_on(loss), *_sent_from(loss), *_translated(loss), *_led_to(loss))
    tales += (*_sent_to(loss), *_remembered(loss), *_numbered(loss), *_by_way_of_itself(loss))
    tales += (*_at_a_neighbour(loss),)
    told = grouped(where(tales, version=loss.version, is_link_local=False), _what)
    for each in told.values():
        yield from _put(loss, each[0], len(each))


def _by_way_of_itself(loss: Loss) -> Iterator[_Tale]:
    """The addresses of a namespace that routes of its own have as next hop: of a station beside without
    one.
    """
    for name in loss.way:
        here = loss.snapshot[name]
        for own in among(here.addresses, address=here.gateways):
            for link in where(here.links, index=own.index):
                taken = tuple(inside(name, (fixes.address("del", own, link),)))
                why = f"{name} has it, and routes of {name} lead by way of it"
                for there, end in loss.others(name, link):
                    if not own_addresses(loss.snapshot[there], end, own.version):
                        yield _Tale(there, end, own.address, why, taken=taken)


def _at_a_neighbour(loss: Loss) -> Iterator[_Tale]:
    """The address of an interface without any that a station beside has: its own next hop, or one with the
    number that the interface has in the other family. That it is a second one there tells nothing.
    """
    for name, link in islice(_idle(loss), _MOST):
        number = numbered.told(loss, name, link, loss.version)
        for there, end in loss.others(name, link):
            other = loss.snapshot[there]
            own = own_addresses(other, end, loss.version)
            odd = among(own, address={number, *other.gateways})
            for one in sole(odd):
                taken = inside(there, (fixes.address("del", one, end),))
                yield _Tale(name, link, one.address, f"{there} beside it has it besides its own", taken=taken)


_MOST = 8  # interfaces, behind each of which may be others to read


def _idle(loss: Loss) -> Iterator[Station]:
    """The interfaces on the way without addresses, and without routes, which would go with the last one."""
    for name in loss.way:
        here = loss.snapshot[name]
        led = filter(_is_led_out, where(here.routes, version=loss.version))
        used = {*chain.from_iterable(column(led, "indexes"))}
        used |= {*column(where(here.addresses, version=loss.version, scope="global"), "index")}
        for link in not_among(where(here.outward, up=True, master=None), index=used):
            yield name, link


def _is_led_out(route: Route) -> bool:
    return not prefix.needs_scope(route.dst.partition("/")[0])


def _what(tale: _Tale) -> tuple[str, int, str]:
    """What several may say alike."""
    return tale.name, tale.link.index, tale.address


def _put(loss: Loss, tale: _Tale, agreeing: int) -> Iterator[Repair]:
    namespace, link = loss.snapshot[tale.name], tale.link
    there = namespace.address(tale.address)
    if there is None:
        yield from _new(loss, namespace, tale, agreeing)
        return
    for now in but(where(namespace.links, index=there.index), index=link.index):
        named = f"{there.written} dev {now.name}"
        put = fixes.address("add", replace(there, index=link.index), link)
        fix = (fixes.address("del", there, now), put)
        yield from _repair(loss, tale, "addr-missing", named, fix, Merit.RESTORES, agreeing)


def _new(loss: Loss, namespace: Namespace, tale: _Tale, agreeing: int) -> Iterator[Repair]:
    """An address that the namespace does not have, in the place of one that is odd where there is one."""
    link, length = tale.link, _length(loss, namespace, tale)
    odd, merit = _odd(loss, namespace, tale), _merit(loss, namespace, tale)
    put = fixes.address("add", InterfaceAddress(link.index, tale.address, length), link)
    fix: fixes.Fix = (*tale.taken, put)
    code, named = "addr-missing", f"dev {link.name}"
    if odd is not None:
        code, named, merit = "addr-wrong-subnet", f"{odd.written} dev {link.name}", Merit.RESTORES
        gone = fixes.address("del", odd, link)
        # behind one of its own network it would be the second, and go with it (__inet_del_ifa)
        fix = (*tale.taken, *((gone, put) if is_network_itself(odd) else (put, gone)))
    elif own_addresses(namespace, link, tale.version):
        named = f"{tale.address}/{length} dev {link.name}"
    yield from _repair(loss, tale, code, named, fix, merit, agreeing)


def _repair(
    loss: Loss, tale: _Tale, code: str, named: str, fix: fixes.Fix, merit: Merit, agreeing: int
) -> Iterator[Repair]:
    link, text = tale.link, f"{tale.address} is not on {tale.link.name} of {tale.name}, and {tale.why}"
    stop = lost(code, tale.name, link, Stage.ROUTE, text, object=Object("address", named, text), fix=fix)
    yield from loss.repair(stop, merit, agreeing=agreeing)


def _odd(loss: Loss, namespace: Namespace, tale: _Tale) -> InterfaceAddress | None:
    """The one address of the interface, where it is of another network than all beside it, or its network's
    own; or alone and nobody who leads straight to others leads to it.
    """
    own = own_addresses(namespace, tale.link, tale.version)
    beside = loss.addresses_beside(namespace.name, tale.link, tale.version)
    if len(own) != 1:
        return None
    if is_network(own[0]):
        apart = beside and not meet(own, beside)
        return own[0] if apart or is_network_itself(own[0]) else None
    led = where(loss.snapshot.at(tale.router).routes, dst=own[0].written)
    return own[0] if tale.router is not None and not led else None


def _merit(loss: Loss, namespace: Namespace, tale: _Tale) -> Merit:
    """An interface that has an address already may have got another one on purpose, unless it is asked for
    by the old one.
    """
    settled = bool(own_addresses(namespace, tale.link, tale.version))
    if tale.link.kind == "loopback" or not settled:
        return Merit.RESTORES
    if tale.address == loss.probe.destination.address:
        return Merit.ADDS
    return Merit.GOES_AROUND


def _length(loss: Loss, namespace: Namespace, tale: _Tale) -> int:
    """As its neighbours have it, or the network of its interface; else that of a host."""
    version = tale.version
    beside = loss.addresses_beside(namespace.name, tale.link, version)
    usual = usual_length([*own_addresses(namespace, tale.link, version), *beside], tale.address)
    return usual[0] if usual is not None else prefix.bits(tale.address)


def _is_free(loss: Loss, address: str) -> bool:
    """Whether no interface bears an address, not even one that must not use it."""
    return address not in loss.owned


def _is_anycast(loss: Loss, name: str, address: str) -> bool:
    """Whether others than a namespace have an address, and each on its loopback: that of a service."""
    spaces = [loss.snapshot[each] for each in loss.bearers(address)]
    links = [space.link(own.index) for space in spaces for own in where(space.addresses, address=address)]
    return not has(spaces, name=name) and {*column(filter(None, links), "kind")} == {"loopback"}


def _listened_on(loss: Loss) -> Iterator[_Tale]:
    """Addresses to which the sockets of a namespace are bound and that nobody has."""
    for name in loss.around:
        bound = dict.fromkeys(column(sockets_of(loss.snapshot[name]), "address"))
        for address in filter(is_said, bound):
            yield from _at_home(loss, name, address, "a program there listens on it")


def _at_home(loss: Loss, name: str, address: str, why: str, known: Link | None = None) -> Iterator[_Tale]:
    """An address where it is known to belong, or its network is, if nobody has it, or several may."""
    if not (_is_free(loss, address) or _is_anycast(loss, name, address)):
        return
    home = known or _home(loss, loss.snapshot[name], address)
    if home is not None:
        yield _Tale(name, home, address, why)


def _sent_from(loss: Loss) -> Iterator[_Tale]:
    """The addresses from which tunnels are to send, and that nobody has."""
    for name in loss.around:
        for device, vxlan in loss.snapshot[name].vxlans:
            if vxlan.local is not None:
                why = f"its tunnel {device.name} sends from it"
                yield from _at_home(loss, name, vxlan.local, why, loss.snapshot[name].link(vxlan.lower))


def _translated(loss: Loss) -> Iterator[_Tale]:
    """The address that is asked for, where a rule translates what is for it alone; it needs no address where
    that was done or it is refused, nor where the packet is made: that is translated whoever's it is.
    """
    done = {*column(nat_rules.rewriting(loss.prediction.request.hops, "dst"), "namespace")}
    done |= {loss.probe.source.namespace} | refusing_for_its_goal(loss)
    for name in those_not_in(loss.around, done):
        chains = (each for _, each in chains_of_nat(loss.snapshot[name], "prerouting", loss.goal))
        for address in all_said(chains, *_TO) & {loss.goal, f"{loss.goal}/{prefix.bits(loss.goal)}"}:
            why = "a rule there translates what is for it"
            yield from _at_home(loss, name, address.partition("/")[0], why)


_TO = ("ip daddr", "ip6 daddr")


def sockets_of(namespace: Namespace) -> tuple[Socket, ...]:
    """None where they were not read: who tells nothing does not matter."""
    if "sockets" in namespace.unread:
        return ()
    return namespace.programs


def _neighbours(namespace: Namespace) -> tuple[Neighbour, ...]:
    if "neighbours" in namespace.unread:
        return ()
    return namespace.neighbours


def waited_on(loss: Loss, station: Namespace) -> Iterator[str]:
    """The addresses on which programs of a station wait and that nobody has."""
    bound = dict.fromkeys(column(sockets_of(station), "address"))
    free = those_not_in(filter(is_said, bound), loss.owned)
    yield from prefix.of_version(free, loss.version)


def waits(loss: Loss, station: Namespace) -> bool:
    """Whether programs of a station wait on an address that nobody has."""
    return next(waited_on(loss, station), None) is not None


def is_waited_for(loss: Loss, repair: Repair) -> bool:
    """Whether an address comes with a repair on which programs of another station wait, which has lost all
    its interfaces.
    """
    name = repair.stop.place.namespace
    others = but(loss.bare, name=name)
    come = {*column(repair.mended.at(name).addresses, "address")} - loss.owned
    return any(not come.isdisjoint(waited_on(loss, each)) for each in others)


def is_said(address: str) -> bool:
    """Whether a socket names an address, and one that others could route to."""
    return address not in ("", "*", "::", "0.0.0.0") and not prefix.is_loopback(address)


def _home(loss: Loss, namespace: Namespace, address: str) -> Link | None:
    """The interface on whose segment the network of an address is; the loopback where no other is."""
    version = prefix.version(address)
    for link in where(namespace.outward, up=True):
        near = [
            *own_addresses(namespace, link, version),
            *loss.addresses_beside(namespace.name, link, version),
        ]
        if usual_length(near, address) is not None:
            return link
    asked = address == loss.probe.destination.address  # it came as far as here
    return find(namespace.links, kind="loopback") if asked else None


def _led_to(loss: Loss) -> Iterator[_Tale]:
    """The addresses to which routes of one host lead, straight out of a cable: of who is at its other end.
    Also of those at the other ends of where the packet was lost, which has lost its routes with its address.
    """
    beyond = (name for _, (name, _) in loss.known_ends(loss.here.name, loss.here.outward))
    for name in dict.fromkeys((*loss.around, *beyond)):
        for route in loss.snapshot[name].routes:
            link, address = straight_out(loss.snapshot[name], route), route.dst.partition("/")[0]
            for _, (there, end) in loss.known_ends(name, filter(None, [link])):
                why = f"{name} has a route that leads straight there"
                for taken in _freed(loss, there, end, address):
                    yield _Tale(there, end, address, why, name, taken)


def _answers_for_all(there: Namespace, end: Link, address: str) -> bool:
    """Whether an interface answers for addresses that it has not, or is to: nobody needs this one there."""
    keys = (key.format(place) for key in _PROXIES[prefix.version(address)] for place in (end.key, "all"))
    entry = {"index": end.index, "address": address, "proxy": True}
    return has(there.neighbours, **entry) or "1" in map(there.sysctl, keys)


_PROXIES = {
    4: ("net.ipv4.conf.{}.proxy_arp", "net.ipv4.conf.{}.proxy_arp_pvlan"),
    6: ("net.ipv6.conf.{}.proxy_ndp",),
}


def _freed(loss: Loss, name: str, end: Link, address: str) -> Iterator[tuple[Command, ...]]:
    """What takes an address away from the only other one who has it, by itself; nothing where nobody has."""
    bearers = loss.bearers(address) or [name]
    if _answers_for_all(loss.snapshot[name], end, address):
        return
    yield from ((),) * (name in bearers)
    for other in map(loss.snapshot.at, {*sole(bearers)[: end.master is None]} - {name}):  # of a bridge many
        for own in where(other.addresses, address=address, prefixlen=prefix.bits(address)):
            gone = [fixes.address("del", own, each) for each in where(other.links, index=own.index)]
            yield tuple(inside(other.name, gone))


def _sent_to(loss: Loss) -> Iterator[_Tale]:
    """The addresses to which routes of one host lead by way of somebody who forwards nothing: they are its
    own.
    """
    for name in loss.around:
        for route in filter(_is_of_a_host, where(loss.snapshot[name].routes, type="unicast")):
            address = route.dst.partition("/")[0]
            bearers = chain.from_iterable(map(loss.bearers, filter(None, route.gateways)))
            known = map(loss.snapshot.at, dict.fromkeys(bearers))
            for there in filterfalse(partial(is_router, version=route.version), known):
                why = f"{name} has a route that leads there, which forwards nothing"
                yield from _at_home(loss, there.name, address, why)


def _is_of_a_host(route: Route) -> bool:
    return prefix.length(route.dst) == prefix.bits(route.dst)


def straight_out(namespace: Namespace, route: Route) -> Link | None:
    """The cable out of which a route of one host leads, made by hand and without a gateway."""
    if not _is_of_a_host(route) or (route.type, route.protocol == "kernel", route.gateways) != (
        "unicast",
        False,
        [None],
    ):
        return None
    return next(iter(where(filter(None, [namespace.link(route.indexes[0])]), kind="veth", master=None)), None)


def _remembered(loss: Loss) -> Iterator[_Tale]:
    """The addresses that neighbours once found at the MAC of an interface, and that nobody has."""
    bearers: dict[str | None, Station] = {}
    for name in loss.around:
        bearers |= {link.mac: (name, link) for link in loss.snapshot[name].outward}
    for name in loss.around:
        learned = not_among(_neighbours(loss.snapshot[name]), state=_NOT_LEARNED)
        for entry in among(learned, mac=bearers):
            home, link = bearers[entry.mac]
            proxy = _answers_for_all(loss.snapshot[home], link, entry.address)
            if home != name and _is_free(loss, entry.address) and not proxy:
                yield _Tale(home, link, entry.address, f"{name} found it there not long ago")


_NOT_LEARNED = ("permanent", "failed", "incomplete")


def _numbered(loss: Loss) -> Iterator[_Tale]:
    """The addresses that interfaces without one would have by their number in the other family."""
    for name in loss.around:
        for link in where(loss.snapshot[name].outward, up=True):
            if not own_addresses(loss.snapshot[name], link, loss.version):
                for address in filter(None, [numbered.told(loss, name, link, loss.version)]):
                    why = "the stations beside it have the same numbers in both families"
                    yield _Tale(name, link, address, why)
