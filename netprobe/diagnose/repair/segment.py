"""Who is beside an interface, and what the others agree on. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, count

from msgspec.structs import replace

from netprobe.model import Flow, InterfaceAddress, Leg, Link, LinkRef, Namespace, Protocol, Snapshot
from netprobe.model.lookup import but, column, not_among, where
from netprobe.predict import prefix
from netprobe.predict.rp_filter import in_force
from netprobe.predict.view import BROADCAST, Ground, Packet
from netprobe.predict.walk import Walker

Station = tuple[str, Link]


def stations(ground: Ground, name: str, link: Link) -> tuple[Station, ...]:
    """Who hears a broadcast from an interface. Raises Lacking, and Unread, where that was not read."""
    shout = Packet(Flow("", "", Protocol.OTHER, src_mac=link.mac, dst_mac=BROADCAST), Leg.REQUEST)
    heard = Walker(ground.anew()).transmit(name, link, shout, barred=False)
    return tuple(branch.at for branch in heard if branch.at is not None and branch.at[1] is not None)


def unfiltered(snapshot: Snapshot) -> Snapshot:
    """The snapshot without what filters frames: who is on a segment is on it whatever a filter lets pass, and
    may be what else is wrong.
    """
    for namespace in snapshot.namespaces.values():
        tables = not_among(namespace.tables, family=("bridge", "netdev"))
        links = tuple(map(_open, namespace.links))
        if tables != namespace.tables or links != namespace.links:
            ruleset = replace(namespace.filters, tables=tables) if namespace.ruleset is not None else None
            snapshot = snapshot.with_namespace(replace(namespace, links=links, ruleset=ruleset))
    return snapshot


def _open(link: Link) -> Link:
    if not link.filters and link.xdp is None:
        return link
    return replace(link, filters=(), xdp=None, xdp_answers=None)


_FAR_ENDS = 32  # of one namespace


def first_cables(links: tuple[Link, ...]) -> frozenset[int]:
    """The first of a namespace's cables, by ifindex, those first that are plugged nowhere."""
    first = sorted(where(links, kind="veth"), key=lambda link: link.master is not None)[:_FAR_ENDS]
    return frozenset(column(first, "index"))


def idle_cables(namespace: Namespace) -> tuple[Link, ...]:
    """The cables that are switched on, plugged into no bridge, and by which no route leads but those that the
    kernel gives each interface of IPv6.
    """
    return where(_unused(namespace), kind="veth")


def idle_links(namespace: Namespace) -> tuple[Link, ...]:
    """The interfaces of the same kind that bear no address, and on which no other stands."""
    used = {*column(where(namespace.addresses, scope="global"), "index")}
    stacked = {*column(namespace.links, "link")}
    return tuple(
        each for each in not_among(_unused(namespace), index=used) if LinkRef(each.index) not in stacked
    )


def _unused(namespace: Namespace) -> tuple[Link, ...]:
    wanted = (route.indexes for route in namespace.routes if is_wanted(route.dst))
    return not_among(where(namespace.links, up=True, master=None), index={*chain.from_iterable(wanted)})


def is_wanted(dst: str) -> bool:
    """Whether a destination is one that somebody routes to: no link-local one, and no group."""
    return not prefix.is_link_local(dst.partition("/")[0]) and not prefix.is_multicast(dst.partition("/")[0])


def own_addresses(namespace: Namespace, link: Link, version: int) -> tuple[InterfaceAddress, ...]:
    """The addresses of an interface that others could route to."""
    found = namespace.addresses_at(link.index)
    return where(found, version=version, scope="global") if found else ()


def on_link(namespace: Namespace, link: Link, via: str) -> bool:
    """Whether an address is of a network of an interface (fib_check_nh)."""
    return bool(prefix.neighbours_of(via, namespace.addresses_of(link)))


def making(addresses: Iterable[InterfaceAddress], network: str) -> list[InterfaceAddress]:
    """Those of the addresses whose network it is: each brings a route to it along."""
    return [each for each in addresses if prefix.network_of(each) == network]


def are_alone(own: Iterable[InterfaceAddress]) -> bool:
    """Whether there are addresses, and none of them has a network."""
    known = [*map(is_network, own)]
    return bool(known) and not any(known)


def is_network(address: InterfaceAddress) -> bool:
    """Whether the prefix says anything about neighbours: a host prefix does not."""
    return address.prefixlen < prefix.bits(address.address)


def share(one: InterfaceAddress, other: InterfaceAddress) -> bool:
    """Whether one of two addresses lies in the other's network; never across IP versions."""
    first, second = map(prefix.network_of, (one, other))
    return prefix.contains(first, other.address) or prefix.contains(second, one.address)


def meet(ones: Iterable[InterfaceAddress], others: Collection[InterfaceAddress]) -> bool:
    """Whether any of some addresses shares a network with any of others."""
    return any(share(one, other) for one in ones for other in others)


def all_addresses(namespace: Namespace, link: Link) -> list[InterfaceAddress]:
    """The addresses of both versions that others could route to."""
    return [*own_addresses(namespace, link, 4), *own_addresses(namespace, link, 6)]


def usual_length(addresses: Iterable[InterfaceAddress], address: str) -> tuple[int, int] | None:
    """(the prefix length that most addresses of the network of `address` have, how many); None without
    any.
    """
    found = Counter(column(prefix.neighbours_of(address, addresses), "prefixlen"))
    return next(iter(found.most_common(1)), None)


def free_name(namespace: Namespace, stem: str, first: int = 0) -> str:
    """The name with this stem and the lowest number that no interface has."""
    names = (f"{stem}{number}" for number in count(first))
    return next(name for name in names if namespace.link_named(name) is None)


def free_address(addresses: Iterable[InterfaceAddress]) -> InterfaceAddress | None:
    """Some address of the network of these that none of them is: for a trial, never for a person."""
    from ipaddress import IPv4Address, IPv6Address

    known = list(addresses)
    if not known:
        return None
    taken = {*column(known, "address")}
    first = known[0]
    network = prefix.network_of(first).partition("/")[0]
    bits = prefix.bits(network)
    kind = {32: IPv4Address, 128: IPv6Address}[bits]
    start, size = prefix.number(network), 1 << (bits - first.prefixlen)
    both = int(size <= 2)  # of two addresses none is the network's or everybody's (RFC 3021, RFC 6164)
    last = start + size - 2 + both
    for number in range(last, max(start - both, last - len(taken) - 1), -1):
        text = str(kind(number))
        if text not in taken:
            return InterfaceAddress(0, text, first.prefixlen)
    return None


def slipped(own: InterfaceAddress, other: InterfaceAddress) -> str | None:
    """The address in another's network that a person meant who wrote `own`: one slip of the fingers away,
    with the same part for the host; None where there is none.
    """
    from ipaddress import ip_address

    bits = prefix.bits(own.address) - other.prefixlen
    network = prefix.number(prefix.network_of(other).partition("/")[0])
    host = prefix.number(own.address) & ((1 << bits) - 1)
    meant = str(type(ip_address(own.address))(network | host))
    return meant if own.address in slips(meant) else None


def slips(text: str) -> Iterator[str]:
    """What becomes of a text by one slip: a character left out, doubled or another one, or two exchanged."""
    for at in range(len(text)):
        head, here, tail = text[:at], text[at], text[at + 1 :]
        yield from (head + tail, head + here + here + tail, head + tail[:1] + here + tail[1:])
        yield from (head + digit + tail for digit in "0123456789abcdef")


def proxy_key(namespace: Namespace, link: Link) -> str | None:
    """The sysctl that makes a station a proxy; None where it is none."""
    for setting in ("proxy_arp", "proxy_arp_pvlan"):
        value, key = in_force(namespace, link, setting)
        if value:
            return key
    return None


def pointing_at(snapshot: Snapshot, address: str, aside: str | None = None) -> int:
    """How many namespaces have a route by way of `address`, or a neighbour entry that once answered for it;
    without the one that stands `aside`.
    """
    others = but(snapshot.namespaces.values(), name=aside)
    return sum(_points(namespace, address) for namespace in others)


def _points(namespace: Namespace, address: str) -> bool:
    known = where(namespace.neighbours, address=address)
    return address in namespace.gateways or bool(but(but(known, mac=None), state="failed"))
