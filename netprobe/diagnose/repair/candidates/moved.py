"""An interface that lies idle in another namespace than the one that needs it: the end of a cable that was
moved away, or that nobody has moved yet. Pure.

It arrives switched off, without master and addresses (net/core/dev.c, __dev_change_net_namespace).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice

from msgspec.structs import replace

from netprobe.diagnose import hints
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, all_addresses
from netprobe.model import (
    STARTED_IN,
    Command,
    FindBare,
    FindOthers,
    Link,
    Namespace,
    Object,
    ReadNamespace,
    Snapshot,
    Stage,
    Stop,
)
from netprobe.model.command import inside
from netprobe.model.lookup import but, column, has, those_in, those_not_in, where
from netprobe.predict import fixes, prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.drop import lost

from .links import far_end, has_networks_of
from .renamed import missing_names
from .told import waits

_MOST = 8  # idle ends, and namespaces that may lack one, that are tried
_LACKING = {
    "no-route",
    "ra-not-accepted",
    "neigh-no-answer",
    "link-no-carrier",
}  # for want of an interface somewhere


def candidates(loss: Loss) -> Iterator[Repair]:
    """The ends that belong to a bridge elsewhere, that rules elsewhere speak of, or that somebody lacks."""
    _ask_whose(loss)
    yield from _of_a_bridge(loss)
    yield from _of_rules(loss)
    routers = [each.name for each in loss.snapshot.namespaces.values() if is_router(each, loss.version)]
    bare = [*column(loss.bare, "name")]
    leading = filter(partial(_leads, loss), loss.snapshot.namespaces)
    stations = those_not_in(bare, {start(loss.snapshot, loss.here.name)})
    if loss.stop.code == "link-no-carrier" and not stations and loss.goal not in loss.owned:
        loss.needs[FindBare(loss.here.name)] = None
    able = dict.fromkeys((*bare, *leading, *routers))
    for home in those_in(islice(dict.fromkeys((*loss.way, *able)), _MOST), {loss.here.name, *able}):
        yield from _lacked(loss, loss.snapshot[home])


def _leads(loss: Loss, name: str) -> bool:
    """Whether a router knows the way to the destination; or a station has that, and the packet was led to it
    by a route of its own: by a default route, anybody is asked.
    """
    there = loss.snapshot[name]
    if is_router(there, loss.version):
        return hints.leads(there, loss.goal, loss.here)
    taken = filter(None, column(loss.prediction.routed[-1:], "decision.route"))
    return there.owner_of(loss.goal) is not None and has(taken, is_default=False)


def _ask_whose(loss: Loss) -> None:
    """Note as needs where the way does not come to: an end that lies idle may belong there, whose other end
    is on the way; or one may lie there that belongs to who has none. Where nobody in sight has what is asked
    for on a bridge's segment, the end of his cable may lie where cables are made.
    """
    begun = start(loss.snapshot, loss.here.name)
    switched = any(link.kind == "bridge" for _, link in loss.hearers())
    silent = loss.stop.code == "neigh-no-answer" and loss.goal not in loss.owned
    _ask_for(loss, begun, silent and switched)
    idle = [*_idle_ones(loss, None, kind="veth")]
    ends = filter(None, (loss.asked_end(*each, asked=True) for each in idle))
    used = {name for name, link in ends if link.up} if loss.stop.code in _LACKING else set()
    bare = () if idle else column(loss.bare, "name")
    near = [loss.here.name] if _leads_beside(loss) else []
    for name in those_in(loss.way, {*used, *bare, *near})[:1]:
        begun = start(loss.snapshot, name)
        loss.needs[FindOthers(name) if begun in loss.snapshot else ReadNamespace(begun)] = None


def _ask_for(loss: Loss, begun: str, wanted: object) -> None:
    """Note as a need the namespace where cables are made, where it is wanted and was not read."""
    if wanted and begun not in loss.snapshot:
        loss.needs[ReadNamespace(begun)] = None


def _leads_beside(loss: Loss) -> bool:
    """Whether who has no way to a destination that nobody in sight has leads to others numbered as it is: it
    may be where nobody leads to, at a cable both ends of which are there.
    """
    if loss.stop.code not in ("no-route", "ra-not-accepted") or loss.goal in loss.owned:
        return False
    near = prefix.network(loss.goal, _BESIDE[loss.version])
    led = column(where(loss.here.routes, version=loss.version, is_written=True, is_default=False), "dst")
    return any(prefix.contains(near, dst.partition("/")[0]) for dst in led)


_BESIDE = {4: 24, 6: 64}  # bits that stations of one kind have alike


def _of_a_bridge(loss: Loss) -> Iterator[Repair]:
    """The far end of a cable in a namespace without the bridge that its station belongs to."""
    for name, namespace in loss.snapshot.namespaces.items():
        for link in namespace.links_of("veth"):
            far = far_end(loss, name, link)
            if far is not None and _is_loose(loss, far, (name, link)):
                yield from _into_bridges(loss, far, (name, link))


def _into_bridges(loss: Loss, far: Station, station: Station) -> Iterator[Repair]:
    """The end of a cable into each bridge elsewhere of whose network its station is, and on which it has no
    other one.
    """
    for home in but(loss.snapshot.namespaces.values(), name=far[0]):
        for bridge in home.links_of("bridge"):
            alike = has_networks_of(loss, home, bridge, station)
            if alike and station[0] not in dict(loss.stations(home.name, bridge)):
                stop = _into_bridge(far, home, bridge, station[0])
                yield from loss.repair(stop, Merit.RESTORES, agreeing=alike)


def _is_loose(loss: Loss, end: Station, station: Station) -> bool:
    """Whether an end does nothing where it is, and no bridge there is of its station's network. A route that
    somebody wrote would not have come along, nor that it answers for others (inetdev_init).
    """
    namespace, link = loss.snapshot[end[0]], end[1]
    written = but(namespace.routes_by(link), protocol="kernel")
    given = where(namespace.addresses_of(link), scope="global")
    answers = namespace.sysctl(f"net.ipv4.conf.{link.key}.proxy_arp") == "1"
    homes = map(partial(has_networks_of, loss, namespace, far=station), namespace.links_of("bridge"))
    return not any((link.master, given, written, answers, *homes))


def _into_bridge(far: Station, home: Namespace, bridge: Link, station: str) -> Stop:
    there, link = far
    text = (
        f"{link.name}, the other end of {station}'s cable, is in {there} and not in {home.name}, where"
        f" {bridge.name} is"
    )
    return _moved(far, home.name, Stage.BRIDGE, text, fixes.link_set(link, "master", bridge.name))


def _of_rules(loss: Loss) -> Iterator[Repair]:
    """An interface back in the namespace whose rules speak of it; one that nobody on the way has may lie
    where cables are made.
    """
    for home in loss.around:
        missing = missing_names(loss.snapshot[home])
        _ask_for(loss, start(loss.snapshot, home), missing and loss.stop.code in _LACKING)
        idle = _idle_ones(loss, home) if missing else ()
        for there, link in idle:
            if link.name in missing:
                lacks = f"rules of {home} speak of {link.name}, which is not there"
                text = f"{lacks}; one of that name lies idle in {there}"
                stop = _moved((there, link), home, Stage.ROUTE, text)
                yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _lacked(loss: Loss, home: Namespace) -> Iterator[Repair]:
    """The idle end of a cable, for who has no interface, or no way; a cable is made where netprobe was
    started, which itself may need none.
    """
    bare = home in loss.bare
    if not bare and loss.stop.code not in _LACKING:
        return
    begun, asked = start(loss.snapshot, home.name), bare or _has_no_way(loss, home)
    _ask_for(loss, begun, asked)
    lacks = "no interface besides lo" if bare else "no way to where its other end is"
    for there, link in islice(_idle_ones(loss, home.name, kind="veth"), _MOST):
        far = loss.asked_end(there, link, asked)
        free = far is not None and far[0] != home.name and home.link_named(link.name) is None
        if far is not None and free and _may_have_been_in(loss, home, there, far):
            other = f"{link.name}, the other end of {far[0]}/{far[1].name}, lies idle in {there}"
            stop = _moved((there, link), home.name, Stage.ROUTE, f"{other}; {home.name} has {lacks}")
            agreeing = int(home.name != begun) + int(bare and waits(loss, home))
            yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)


def _may_have_been_in(loss: Loss, home: Namespace, there: str, far: Station) -> bool:
    """Whether an idle end may belong to a namespace. Where cables are made, one lies that nobody has set up
    yet: it is of who has none, of the way, of who others send to for the network of its station, or of who
    leads to the destination and has no other way to that network. What lies where others are in use may as
    well be for there.
    """
    begun = there == start(loss.snapshot, home.name)
    elsewhere = is_router(home, loss.version) and not begun
    if home in (*loss.bare, *map(loss.snapshot.at, loss.way)) or elsewhere:
        return True
    own = all_addresses(loss.snapshot[far[0]], far[1])
    led, known = [*networks_behind(loss, home)], [*column(but(home.routes, is_default=True), "dst")]
    held, aside = [*column(own, "address")], begun and _is_aside(loss, there)
    near = not all(map(partial(prefix.within, known), held))
    given = any(map(partial(prefix.within, led), held))
    return given or (aside and near and _leads(loss, home.name))


def _is_aside(loss: Loss, name: str) -> bool:
    """Whether no interface of a namespace is in use: cables are made there, and no more."""
    return not has(loss.snapshot[name].outward, up=True)


def networks_behind(loss: Loss, home: Namespace) -> Iterator[str]:
    """The networks that others send to a namespace for."""
    own = {*column(home.addresses, "address")}
    others = but(loss.snapshot.namespaces.values(), name=home.name)
    for route in where(chain.from_iterable(column(others, "routes")), is_default=False):
        if own & {*route.gateways}:
            yield route.dst


def _has_no_way(loss: Loss, home: Namespace) -> bool:
    """Whether a router knows no way: it may have gone with an interface."""
    return loss.stop.code == "no-route" and home.name == loss.here.name and is_router(home, loss.version)


def start(snapshot: Snapshot, name: str) -> str:
    """The namespace in which netprobe was started, or its agent on the host of `name`."""
    host, _, _ = name.partition(":")
    return next((each for each in snapshot.homes if each.startswith(f"{host}:")), STARTED_IN)


def _idle_ones(loss: Loss, home: str | None, **wanted: str) -> Iterator[Station]:
    """The interfaces of other namespaces that are off, and neither ports nor bear an address."""
    for other in but(loss.snapshot.namespaces.values(), name=home):
        for link in where(other.links, up=False, master=None, **wanted):
            if not all_addresses(other, link):
                yield other.name, link


def _moved(one: Station, home: str, stage: Stage, text: str, *then: Command) -> Stop:
    """The interface in its namespace, switched on there."""
    there, link = one
    move = replace(fixes.link_set(link, "netns", home), namespace=there)
    up = fixes.link_set(link, "up")
    thing = Object("link", link.name, f"{link.name} is in {there}")
    return lost("link-missing", home, None, stage, text, object=thing, fix=(move, *inside(home, (*then, up))))
