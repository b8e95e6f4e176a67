"""What the others on a network show: who could be the gateway, and how long the network's prefix is. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, filterfalse
from operator import methodcaller

from msgspec import Struct

from netprobe.model import InterfaceAddress, Link, Namespace, RouteQuery, Snapshot
from netprobe.model.lookup import among, but, column, find, where
from netprobe.predict import fib, prefix
from netprobe.predict.rp_filter import in_force


class Gateway(Struct, frozen=True):
    """A next hop that would do: its address, the interface towards it, whether no network of its own says
    so.
    """

    via: str
    link: Link
    onlink: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """What ip-route(8) is told besides."""
        return ("onlink",) if self.onlink else ()


def gateways(snapshot: Snapshot, name: str, dst: str) -> Iterator[Gateway]:
    """The routers in sight that namespace `name` could send packets for `dst` to, by each of its
    interfaces.
    """
    here = snapshot.at(name)
    others = but(snapshot.namespaces.values(), name=name)
    known = {own.index for own in here.addresses if own.version == prefix.version(dst)}
    for link in among(where(here.links, up=True), index=known):
        for found in filter(None, (gateway_on(other, here, link, dst) for other in others)):
            yield Gateway(found, link)


def gateway(snapshot: Snapshot, name: str, dst: str) -> Gateway | None:
    """The first of them; None when there is none."""
    return next(gateways(snapshot, name, dst), None)


def behind_cable(
    here: Namespace, link: Link, stations: Iterable[tuple[Namespace, Link]], dst: str
) -> Gateway | None:
    """The router among the stations of a segment on which `here` has no more than a host's own prefix."""
    version = prefix.version(dst)
    own = where(here.addresses_of(link, version), scope="global")
    for router, station in stations if own else ():
        address = find(router.addresses_of(station, version), scope="global")
        if address is None or router.name == here.name:
            continue
        if leads(router, dst, here) and (address.address != dst or hands_on(router, version)):
            return Gateway(address.address, link, onlink=True)
    return None


def hands_on(router: Namespace, version: int) -> bool:
    """Whether it forwards: who does not is no gateway, not even to itself."""
    return router.sysctl(_FORWARDING[version]) == "1"


def gateway_on(router: Namespace, here: Namespace, link: Link, dst: str) -> str | None:
    """The address of `router` on the networks of one interface of `here`, if it could take packets for
    `dst`.
    """
    own = where(here.addresses_of(link, prefix.version(dst)), scope="global")
    theirs = [*filterfalse(is_network_itself, where(router.addresses, scope="global"))]
    near = (
        each.address
        for network in map(prefix.network_of, own)
        for each in theirs
        if prefix.contains(network, each.address)
    )
    found = next(near, None)
    if found is not None and leads(router, dst, here):
        return found
    return None


def used_on(router: Namespace, station: Link, here: Namespace, link: Link, dst: str) -> str | None:
    """The address by which `here` sends to a router's interface on the segment of one of its own, as a
    gateway or straight to that one, if it could take packets for `dst`: the ends of a tunnel need be of no
    network, and a proxy answers for an address that it has not.
    """
    version, alone = prefix.version(dst), f"/{prefix.bits(dst)}"
    led = where(here.routes_by(link), version=version)
    hosts = [each for each in column(where(led, gateways=[None]), "dst") if each.endswith(alone)]
    straight = [*map(methodcaller("removesuffix", alone), hosts)]
    used = {*chain.from_iterable(column(led, "gateways")), *straight}
    answered = [*column(among(router.addresses_of(station, version), address=used), "address")]
    if version == 4 and in_force(router, station, "proxy_arp")[0]:
        answered += straight
    return answered[0] if answered and leads(router, dst, here) else None


def link_local_on(router: Namespace, station: Link, here: Namespace, link: Link, dst: str) -> str | None:
    """The link-local address of a router's interface on the segment of one of `here`'s, if it could take
    packets for `dst`; of IPv4 where either of them sends that to such by other routes (RFC 8950). None where
    that interface has a network.
    """
    version = prefix.version(dst)
    unnumbered = not where(here.addresses_of(link, version), scope="global")
    sends = version == 6 or any(map(_sends_to_link_locals, (here, router)))
    if not (unnumbered and sends and leads(router, dst, here)):
        return None
    own = column(where(router.addresses_of(station, 6), scope="link"), "address")
    return min(own, key=lambda each: each not in here.gateways, default=None)


def _sends_to_link_locals(namespace: Namespace) -> bool:
    """Whether routes of IPv4 lead to addresses of IPv6."""
    legs = chain.from_iterable(column(where(namespace.routes, version=4), "gateways"))
    return any(via is not None and prefix.version(via) == 6 for via in legs)


def is_network_itself(own: InterfaceAddress) -> bool:
    """Whether an address is that of its own network: its neighbours take what is for it for a broadcast
    (fib_add_ifaddr).
    """
    return prefix.network_of(own) == own.written and own.prefixlen < 31


_FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


def leads(router: Namespace, dst: str, asker: Namespace) -> bool:
    """Whether the destination is the router's own, or it forwards and has a route that does not lead back, or
    an address of that network: it is the way there, whatever its own routes say.
    """
    if fib.is_local(router, dst):
        return True
    way = fib.lookup(router, RouteQuery(None, dst))
    onward = way.error is None and (way.leg is None or find(asker.addresses, address=way.leg.via) is None)
    return hands_on(router, prefix.version(dst)) and (
        onward or bool(prefix.neighbours_of(dst, router.addresses))
    )


def usual_length(snapshot: Snapshot, name: str, address: str) -> int | None:
    """The prefix length that the others have in whose network `address` lies; None when nobody else is of
    it.
    """
    others = but(snapshot.namespaces.values(), name=name)
    known = chain.from_iterable(where(other.addresses, scope="global") for other in others)
    near = column(prefix.neighbours_of(address, known), "prefixlen")
    found = Counter(length for length in near if length < prefix.bits(address))
    return found.most_common(1)[0][0] if found else None
