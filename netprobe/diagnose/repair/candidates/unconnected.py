"""A station that nothing is connected to: its cable was deleted, with both ends, or was never made. Pure.

It belongs to the bridge of whose network its address is, or to the router that others send to for it; that
address a program of it tells, or who asks for it. Where all others there are of another kind, as an engine's
containers, it is nobody's station: a namespace that something else on the machine keeps for itself.
See: ip-link(8), veth; drivers/net/veth.c (veth_dellink).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose.inventory import joined
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import (
    Station,
    are_alone,
    free_address,
    free_name,
    is_network,
    own_addresses,
    usual_length,
)
from netprobe.model import (
    Blank,
    Command,
    FindBare,
    FindOthers,
    InterfaceAddress,
    Link,
    Namespace,
    Object,
    Stage,
)
from netprobe.model.command import inside
from netprobe.model.lookup import but, column, sole, those_in, where
from netprobe.predict import fixes, prefix
from netprobe.predict.arp_reply import forwards, is_router
from netprobe.predict.drop import lost

from .addresses import asked_for
from .moved import networks_behind, start
from .renamed import missing_names
from .siblings import copied_lines
from .told import waited_on

# The ends of a walk for want of a cable.
_LACKING = ("link-missing", "no-route", "neigh-no-answer", "ra-not-accepted", "route-loop")
_END = "eth0"  # what a container calls its interface


class _Bridged(Struct, frozen=True):
    """The bridge where a station belongs, the addresses of its network, and its own, the gateway. `entered`:
    by which commands the stations are entered that are there.
    """

    namespace: Namespace
    bridge: Link
    beside: tuple[InterfaceAddress, ...]
    own: tuple[InterfaceAddress, ...]
    entered: frozenset[tuple[str, ...]]


def candidates(loss: Loss) -> Iterator[Repair]:
    """A cable from each station without one to the bridge where it belongs."""
    if loss.stop.code not in _LACKING:
        return
    stations = loss.bare
    wanted = {loss.goal, *column(loss.prediction.routed, "dst")}
    if not stations and not wanted <= loss.owned and loss.stop.place.namespace is not None:
        loss.needs[FindBare(loss.stop.place.namespace)] = None
    homes = [*_homes(loss)]
    for station in stations:
        told, asked = [*waited_on(loss, station)], asked_for(loss)
        is_sender = station.name == loss.probe.source.namespace
        if told:
            known = told if is_sender else those_in(asked, told)
            yield from _belonging(loss, station, homes, known, Merit.RESTORES)
        elif is_sender:
            begun = loss.snapshot.at(start(loss.snapshot, station.name))
            yield from _with_any_address(loss, station, where(homes, namespace=begun))
        elif len(stations) == 1:
            # who nobody has come to yet may have the address
            loss.needs.update(dict.fromkeys([FindOthers(station.name)][: len(asked)]))
            yield from _belonging(loss, station, homes, asked, Merit.ADDS)


def _belonging(
    loss: Loss, station: Namespace, homes: Sequence[_Bridged], addresses: Iterable[str], merit: Merit
) -> Iterator[Repair]:
    """A station, connected to each bridge of whose network an address is; to a router where there is none."""
    for address in addresses:
        usual = [(home, usual_length(home.beside, address)) for home in homes if _is_as_others(home, station)]
        meant = [(home, InterfaceAddress(0, address, length[0])) for home, length in usual if length]
        for home, own in meant:
            text = f"{address} is nobody's, of whose network {home.bridge.name} of {home.namespace.name} is"
            yield from _connected(loss, station, home, own, own.written, merit, text)
        if not meant:
            yield from _at_a_router(loss, station, address, merit)
            yield from _as_another(loss, station, address, merit)


def _homes(loss: Loss) -> Iterator[_Bridged]:
    for namespace in loss.snapshot.namespaces.values():
        for bridge in where(namespace.links_of("bridge"), up=True):
            own = own_addresses(namespace, bridge, loss.version)
            others = loss.beside(namespace.name, bridge, loss.version)
            beside = (*own, *(address for _, _, address in others))
            entered = frozenset(filter(None, (_entered(loss.snapshot[name]) for name, _, _ in others)))
            if any(map(is_network, beside)):
                yield _Bridged(namespace, bridge, beside, own, entered)


def _entered(station: Namespace) -> tuple[str, ...]:
    """The command by which a namespace is entered, where it is known: those of ip-netns(8) by its own."""
    return station.entrance[:1]


def _is_as_others(home: _Bridged, station: Namespace) -> bool:
    """Whether a station is of a kind with those of a bridge, or the first one there."""
    return not home.entered or _entered(station) in home.entered


def _with_any_address(loss: Loss, station: Namespace, homes: Sequence[_Bridged]) -> Iterator[Repair]:
    """A station, connected where it may belong, with an address that the reader knows. `homes`: the bridges
    of the namespace where containers are made; others may have theirs for anybody.
    """
    for home in _without_ports(homes):
        free = free_address(home.beside)
        if free is not None:
            put = Blank(f"ADDRESS/{free.prefixlen}")
            yield from _connected(loss, station, home, free, put, Merit.ADDS)


def _without_ports(homes: Sequence[_Bridged]) -> tuple[_Bridged, ...]:
    """The one bridge that has no station at all; else the only one."""
    empty = [each for each in homes if not each.namespace.ports(each.bridge)]
    return sole(empty) or sole(homes)


def _connected(
    loss: Loss,
    station: Namespace,
    home: _Bridged,
    own: InterfaceAddress,
    put: str | Blank,
    merit: Merit,
    why: str = "",
) -> Iterator[Repair]:
    """A station at a bridge, with an address as the reader is to put it."""
    text = joined(f"{station.name} has no interface besides lo", why, by=", and ")
    lines, trial = _lines(station, home, own.address, put), _lines(station, home, own.address, own.written)
    thing = Object("link", _END, text)
    stop = lost("link-missing", station.name, None, Stage.ROUTE, text, object=thing, fix=lines)
    yield from loss.repair(stop, merit, agreeing=len(home.beside), trial=trial)


def _at_a_router(loss: Loss, station: Namespace, address: str, merit: Merit) -> Iterator[Repair]:
    """A cable to the router at which the packet found no way, and to which others send for the network."""
    router, network = loss.here, _network_behind(loss, address)
    if network is None or not is_router(router, loss.version):
        return
    length = prefix.length(network)
    free = free_address([InterfaceAddress(0, address, length)])
    if free is None:
        return
    text = (
        f"{station.name} has no interface besides lo, and {address} is nobody's, of a network that"
        f" {router.name} is to lead to and is not on"
    )
    own, blank = f"{address}/{length}", "ADDRESS-OF-THE-ROUTER"
    fix = _to_a_router(router, station, own, Blank(f"{blank}/{length}"), Blank(blank))
    trial = _to_a_router(router, station, own, free.written, free.address)
    thing = Object("link", _END, text)
    stop = lost("link-missing", station.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, merit, trial=trial)


def _as_another(loss: Loss, station: Namespace, address: str, merit: Merit) -> Iterator[Repair]:
    """A cable to the router of a station that has an address of its own alone, with all that is on that one's
    (routed pods): one of each router's.
    """
    found = ((there, link, _router_of(loss, there, link, address)) for there, link in _alone(loss, address))
    known = {far[0]: (there, link, far[1]) for there, link, far in found if far is not None}
    for router, (there, link, end) in known.items():
        home = loss.snapshot[router]
        lines = _copied(home, end, station, copied_lines(there, link, link, loss.version), address)
        text = (
            f"{station.name} has no interface besides lo, and {address} is nobody's; {there.name} is"
            f" connected to {router} by {end.name}"
        )
        thing = Object("link", _END, text)
        stop = lost("link-missing", station.name, None, Stage.ROUTE, text, object=thing, fix=lines)
        yield from loss.repair(stop, merit)


def _alone(loss: Loss, address: str) -> Iterator[tuple[Namespace, Link]]:
    """The cables of stations whose address has no network, of the IP version of `address`."""
    for there in loss.snapshot.namespaces.values():
        for link in where(there.links_of("veth"), up=True, master=None):
            if are_alone(own_addresses(there, link, prefix.version(address))):
                yield there, link


def _router_of(loss: Loss, there: Namespace, link: Link, address: str) -> Station | None:
    """The far end of a station's cable, where that is a router's."""
    far = loss.known_end(there.name, link)
    if far is None or far[1].master is not None:
        return None
    return far if forwards(loss.snapshot[far[0]], far[1], prefix.version(address)) else None


def _copied(
    home: Namespace, end: Link, station: Namespace, routes: tuple[Command, ...], address: str
) -> tuple[Command, ...]:
    """A cable as another one of the router: its proxy, its addresses, a route straight to the station."""
    near, whole = _next(home, end.name), f"{address}/{prefix.bits(address)}"
    made = Link(0, near)
    same = ("net.ipv4.conf.{}.proxy_arp", "net.ipv6.conf.{}.proxy_ndp")
    settings = [key.format(near) for key in same if home.sysctl(key.format(end.key)) == "1"]
    entries = where(home.neighbours, index=end.index, proxy=True)
    within = (Command.of("ip", "address", "add", whole, "dev", _END), *map(partial(_on, _END), routes))
    outside = (
        *chain.from_iterable(fixes.sysctl(key, 1) for key in settings),
        *(fixes.ip(each.address, "neigh", "add", "proxy", each.address, "dev", near) for each in entries),
        *(fixes.address("add", each, made) for each in own_addresses(home, end, prefix.version(address))),
        fixes.ip(address, "route", "add", whole, "dev", near),
    )
    return (
        *cable(home.name, near, station.name, _END),
        *inside(home.name, outside),
        *inside(station.name, within),
    )


def _on(name: str, command: Command) -> Command:
    """A route by the interface of this name."""
    at = command.words.index("dev") + 1
    return replace(command, words=(*command.words[:at], name, *command.words[at + 1 :]))


def _next(home: Namespace, name: str) -> str:
    """The next name that is free, of those like this one."""
    return free_name(home, name.rstrip("0123456789"), 1)


def _network_behind(loss: Loss, address: str) -> str | None:
    """The network of an address for which others have a route to the place of the loss."""
    led = prefix.covering(networks_behind(loss, loss.here), address)
    return max(led, key=prefix.length, default=None)


def _to_a_router(
    router: Namespace, station: Namespace, own: str, its: str | Blank, gateway: str | Blank
) -> tuple[Command, ...]:
    near, there, here = near_end(router), router.name, station.name
    return (
        *cable(router.name, near, station.name, _END),
        Command.of("ip", "address", "add", its, "dev", near, namespace=there),
        Command.of("ip", "address", "add", own, "dev", _END, namespace=here),
        replace(fixes.ip(own, "route", "add", "default", "via", gateway), namespace=here),
    )


def cable(home: str, near: str, there: str, end: str, *plugged: Command) -> tuple[Command, ...]:
    """A cable between two namespaces, both ends up; `plugged`: what is done with the near one before."""
    far = ("type", "veth", "peer", "name", end, "netns", there)
    return (
        Command.of("ip", "link", "add", near, *far, namespace=home),
        *plugged,
        Command.of("ip", "link", "set", "dev", near, "up", namespace=home),
        Command.of("ip", "link", "set", "dev", end, "up", namespace=there),
    )


def _lines(station: Namespace, home: _Bridged, address: str, put: str | Blank) -> tuple[Command, ...]:
    """The cable, the near end a port of the bridge, the other with address and route."""
    near, here = near_end(home.namespace), station.name
    gateways = but(home.own, address=address)[:1]
    routes = (fixes.ip(address, "route", "add", "default", "via", each.address) for each in gateways)
    words = ("ip", "link", "set", "dev", near, "master", home.bridge.name)
    return (
        *cable(
            home.namespace.name, near, station.name, _END, Command.of(*words, namespace=home.namespace.name)
        ),
        Command.of("ip", "address", "add", put, "dev", _END, namespace=here),
        *inside(here, routes),
    )


def near_end(namespace: Namespace) -> str:
    """What the near end is called: as rules speak of it, else the next name that is free."""
    missing = missing_names(namespace)
    return missing[0] if len(missing) == 1 else free_name(namespace, "veth")
