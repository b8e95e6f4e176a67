"""Why nobody answers for an address on a segment: it may be elsewhere, down, or nowhere at all."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import Command, Link, Namespace, Object, Stage, Stop
from netprobe.model.lookup import has, not_among, where

from . import prefix
from .bystanders import bystanders
from .drop import isolated, lost
from .fixes import link_set
from .view import Ground, Packet


def explain_silence(
    ground: Ground, name: str, link: Link, address: str, owner: tuple[str, Link] | None
) -> Stop:
    """The cause of an unanswered request for `address` on `link`; `owner` is who carries the address, if
    anybody is known to.
    """
    port = _loose_port(ground, name, link, owner)
    if port is not None:
        return port
    if owner is not None and (parent := _parent_of_one_another(ground, (name, link), owner)) is not None:
        named = f"{parent[0]}/{parent[1].name}"
        text = (
            f"{address} is on {owner[0]}/{owner[1].name}: a macvlan and its own parent {named} cannot talk"
            " to each other"
        )
        thing = Object("link", link.name, f"{link.name} {link.kind}")
        own = _own_address(ground.namespace(name), link, address)
        child, lower = (own, address) if parent == owner else (address, own)
        upper = (name, link) if parent == owner else owner
        fix = (*_sibling(*parent, child, lower), *_bridging(*upper)) if child and lower else ()
        return lost("macvlan-parent-isolated", name, link, Stage.TRANSMIT, text, object=thing, fix=fix)
    if (
        link.kind == "macvlan"
        and link.macvlan_mode in _APART
        and not _is_gateway(ground.namespace(name), address)
    ):
        text = (
            f"{link.name} in {name} is a macvlan in mode {link.macvlan_mode}: it does not reach its siblings,"
            " no other station answers"
        )
        return isolated(name, link, text)
    if owner is not None and _is_deaf_to(ground, (name, link), owner):
        mode = f"a macvlan in mode {owner[1].macvlan_mode} on the same parent"
        text = f"{address} is on {owner[0]}/{owner[1].name}, {mode}: its siblings do not reach it"
        return isolated(*owner, text)
    text = f"no station on the segment of {name}/{link.name} answers for {address}"
    if owner is not None and owner[0] == name:
        text = f"{address} is {name}'s own, on {owner[1].name}: it answers nothing that it asks itself"
    elif owner is not None:
        text = (
            f"{address} is on {owner[0]}/{owner[1].name}, which is not on the segment of {name}/{link.name}"
        )
    entry = f"{address} dev {link.name}"
    return lost(
        "neigh-no-answer",
        name,
        link,
        Stage.NEIGHBOUR,
        text,
        object=Object("neighbour", entry, f"{entry} FAILED"),
    )


_MOST_STRAYS = 32  # ports to look behind; each may be a namespace to read
_AT_ONCE = 8  # of them are asked for together


def strayed(ground: Ground, name: str, link: Link, asked: Packet) -> tuple[str, Link] | None:
    """The owner of the address that is `asked` for, behind a veth that should be a port of this segment:
    loose ones first, then those of other bridges.
    """
    switch = ground.beyond(name, link.link) if link.kind == "veth" else (name, link)
    if switch is None:
        return None
    namespace = ground.namespace(switch[0])
    if not namespace.links_of("bridge"):
        return None
    likely = _strays(ground, namespace, switch[1].master or switch[1].index, asked)
    for number, veth in enumerate(likely):
        if number % _AT_ONCE == 0:
            ground.visit(namespace.name, likely[number : number + _AT_ONCE])
        far = ground.beyond(namespace.name, veth.link)
        if far is not None and ground.namespace(far[0]).has_on(far[1], asked.flow.dst):
            return far
    return None


def _strays(ground: Ground, namespace: Namespace, segment: int, asked: Packet) -> list[Link]:
    """The veths of other segments than this behind which somebody may be meant, loose ones first."""
    veths = tuple(v for v in namespace.links_of("veth") if v.master != segment and not _own(namespace, v))
    others = bystanders(ground, namespace.name, veths, asked)
    likely = not_among(veths, index=others)
    return sorted(likely, key=lambda v: v.master is not None)[:_MOST_STRAYS]


def _parent_of_one_another(
    ground: Ground, asker: tuple[str, Link], owner: tuple[str, Link]
) -> tuple[str, Link] | None:
    """The parent when one of the two stands on the other as a macvlan."""
    for (name, upper), (there, lower) in ((asker, owner), (owner, asker)):
        parent = ground.beyond(name, upper.link) if upper.kind == "macvlan" else None
        if parent is not None and (parent[0], parent[1].index) == (there, lower.index):
            return there, lower
    return None


_APART = ("private", "vepa")


def _is_deaf_to(ground: Ground, asker: tuple[str, Link], owner: tuple[str, Link]) -> bool:
    """Whether two are macvlans on one parent, of which the second one hears no sibling."""
    both = [(name, link) for name, link in (asker, owner) if link.kind == "macvlan"]
    if len(both) < 2 or owner[1].macvlan_mode not in _APART:
        return False
    one, other = (ground.beyond(name, link.link) for name, link in both)
    return None not in (one, other) and one == other


def _own_address(namespace: Namespace, link: Link, towards: str) -> str | None:
    """The address that an interface has in the network of another one."""
    near = prefix.neighbours_of(towards, where(namespace.addresses_of(link), scope="global"))
    return near[0].address if near else None


def _sibling(name: str, parent: Link, child: str, source: str) -> tuple[Command, ...]:
    """A macvlan of the parent's own namespace, and the way to a station by it, from the parent's address: the
    new one has none. Siblings hear each other.
    """
    make = ("ip", "link", "add", _SIBLING, "link", parent.name, "type", "macvlan", "mode", "bridge")
    route = ("ip", *(["-6"] if ":" in child else []), "route", "add", child, "dev", _SIBLING, "src", source)
    up = ("ip", "link", "set", "dev", _SIBLING, "up")
    return tuple(Command.of(*words, namespace=name) for words in (make, up, route))


_SIBLING = "shim"


def _bridging(name: str, macvlan: Link) -> tuple[Command, ...]:
    """The macvlan in the mode in which it hears its siblings."""
    if macvlan.macvlan_mode == "bridge":
        return ()
    return (Command.of(*link_set(macvlan, "type", "macvlan", "mode", "bridge").words, namespace=name),)


def _is_gateway(namespace: Namespace, address: str) -> bool:
    return address in namespace.gateways


def _loose_port(ground: Ground, name: str, link: Link, owner: tuple[str, Link] | None) -> Stop | None:
    """The veth between the two that is a port of no bridge, or of another one."""
    ends = [(name, link)] + ([owner] if owner else [])
    for there, end in ends:
        far = ground.peer(there, end)
        if far is None:
            continue
        namespace, port = ground.namespace(far[0]), far[1]
        bridges = namespace.links_of("bridge")
        if port.master is None and bridges and not _is_routed(namespace, port):
            text = (
                f"{port.name} in {far[0]} is a port of no bridge: the segment of {there}/{end.name} ends"
                " there"
            )
            loose = Object("link", port.name, f"{port.name} has no master")
            return lost("port-not-in-bridge", far[0], port, Stage.BRIDGE, text, object=loose,
                        fix=(link_set(port, "master", _likely(namespace, bridges, end, ground, there).name),
                        ))  # fmt: skip
        wrong = _wrong_bridge(ground, namespace, port, there, end)
        if wrong is not None:
            return wrong
    return None


def _own(namespace: Namespace, port: Link) -> bool:
    """Whether an interface has addresses of its own; the link-local one that every interface gets does not
    count.
    """
    return has(namespace.addresses_of(port), scope="global")


def _is_routed(namespace: Namespace, port: Link) -> bool:
    """Whether an interface is for routes, and for no bridge: it has addresses, or routes lead out of it."""
    routes = where(namespace.routes_by(port), type="unicast")
    led = any(not prefix.needs_scope(route.dst.partition("/")[0]) for route in routes)
    return led or _own(namespace, port)


def _likely(namespace: Namespace, bridges: Sequence[Link], end: Link, ground: Ground, there: str) -> Link:
    """The bridge whose network the container's address belongs to, else the first."""
    other = ground.namespace(there)
    fitting = (bridge for bridge in bridges if _share_a_network(namespace, bridge, other, end))
    return next(fitting, bridges[0])


def _share_a_network(namespace: Namespace, bridge: Link, other: Namespace, end: Link) -> bool:
    """Whether an address of `end` is of a network of the bridge. fe80::/64 is everywhere and tells
    nothing.
    """
    networks = tuple(map(prefix.network_of, where(namespace.addresses_of(bridge), scope="global")))
    return any(prefix.within(networks, own.address) for own in other.addresses_of(end))


def _wrong_bridge(ground: Ground, namespace: Namespace, port: Link, there: str, end: Link) -> Stop | None:
    """A port of one bridge whose container belongs, by its address, to the network of another."""
    bridges = namespace.links_of("bridge")
    master = namespace.link(port.master)
    other = ground.namespace(there)
    if master is None or len(bridges) < 2 or master not in bridges:
        return None
    if _share_a_network(namespace, master, other, end):
        return None
    wanted = _likely(namespace, list(filter(namespace.addresses_of, bridges)) or bridges, end, ground, there)
    if wanted.index == master.index or not _share_a_network(namespace, wanted, other, end):
        return None
    text = (
        f"{port.name} in {namespace.name} is a port of {master.name}, but {there}/{end.name} has an address"
        f" of {wanted.name}'s network"
    )
    enslaved = Object("bridge-port", port.name, f"{port.name} master {master.name}")
    return lost("port-wrong-bridge", namespace.name, port, Stage.BRIDGE, text, object=enslaved,
                fix=(link_set(port, "master", wanted.name),))  # fmt: skip
