"""What follows from an interface that is switched on or off, plugged in or unplugged: carriers, the states of
bridge ports, their MACs, addresses and routes. Carried out on a snapshot.

Kernel: drivers/net/veth.c (veth_open, veth_close), net/bridge/br_stp.c (br_port_state_selection), br_if.c
(br_port_carrier_check), net/ipv4/fib_frontend.c (fib_netdev_event), net/ipv6/addrconf.c (addrconf_notify).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.model import InterfaceAddress, Link, Namespace, Snapshot
from netprobe.model.lookup import all_but, among, gathered, has, where
from netprobe.predict import ipv6, prefix
from netprobe.predict.drop import Unread
from netprobe.predict.view import Ground, Lacking

from .apply_addresses import legs_flagged, made, with_made, without_legs
from .apply_bridges import with_own_macs
from .order import Order, elsewhere

_STACKED = ("macvlan", "ipvlan", "vlan")
_MOST = 1000  # steps: two bridges in a circle come to rest, and this proves it
Place = tuple[str, int]


def settled(before: Snapshot, after: Snapshot) -> Snapshot:
    """`after`, a change of interfaces made on `before`, with all that the kernel does about it."""
    touched = dict.fromkeys(_changed(before, after))
    waiting = deque(place for changed in touched for place in (changed, *_beside(after, *changed)))
    for _ in range(_MOST):
        if not waiting:
            break
        name, index = waiting.popleft()
        order = Order(after, name, "", ())
        for now in _otherwise(before, order, index):
            after = order.with_link(now).snapshot
            touched[name, index] = None
            waiting.extend(_beside(after, name, index))
    for name, index in touched:
        after = _routed(before, Order(after, name, "", ()), index)
    for name, indexes in gathered(touched).items():
        after = with_own_macs(before[name], Order(after, name, "", ()), indexes).snapshot
    return after


def _otherwise(before: Snapshot, order: Order, index: int) -> Iterator[Link]:
    """The interface as it comes to be, where it is there and that is not what it is."""
    link = order.namespace.link(index)
    now = _now(before, order, link) if link is not None else None
    if now is not None and now != link:
        yield now


def _changed(before: Snapshot, after: Snapshot) -> Iterator[Place]:
    for name, namespace in after.namespaces.items():
        old = before.get(name) or namespace
        if old is not namespace:
            for link in namespace.links:
                was = old.link(link.index)
                if was is not link and was != link:
                    yield name, link.index
            for bridge in _left(old, namespace):
                yield name, bridge.index


def _left(old: Namespace, namespace: Namespace) -> Iterator[Link]:
    """What is there of the bridges that an interface is no longer a port of."""
    now = {link.index: link.master for link in namespace.links}
    masters = {link.master for link in old.links if link.master != now.get(link.index)}
    return filter(None, map(namespace.link, masters))


def far_end(snapshot: Snapshot, name: str, link: Link) -> tuple[str, Link] | None:
    """The interface at the other end of a veth, or below a stacked device, where it is known."""
    try:
        return Ground(snapshot, ask=False).beyond(name, link.link)
    except (Lacking, Unread):
        return None


def cable_end(snapshot: Snapshot, name: str, link: Link) -> tuple[Place, ...]:
    """The other end of a veth, where it is known; none of any other interface."""
    far = far_end(snapshot, name, link) if link.kind == "veth" else None
    return ((far[0], far[1].index),) if far else ()


def _beside(snapshot: Snapshot, name: str, index: int) -> Iterator[Place]:
    """Whom a change of an interface concerns: its far end, its bridge, its ports, and what stands on it."""
    namespace = snapshot[name]
    for link in where(namespace.links, index=index):
        yield from cable_end(snapshot, name, link)
        around = (*where(namespace.links, index=link.master), *namespace.ports(link))
        for each in around:
            yield name, each.index
        yield from standing_on(snapshot, name, link)


def standing_on(snapshot: Snapshot, name: str, link: Link) -> Iterator[Place]:
    """The interfaces of any namespace that stand on this one: VLANs, macvlans."""
    for there, other in snapshot.namespaces.items():
        for above in among(other.links, kind=_STACKED):
            if far_end(snapshot, there, above) == (name, link):
                yield there, above.index


def _now(before: Snapshot, order: Order, link: Link) -> Link:
    """The interface with the carrier and the port state that follow from what is around it."""
    link = replace(link, carrier=link.up and _has_carrier(before, order, link))
    bridge = order.namespace.link(link.master)
    if link.port is None or bridge is None or bridge.kind != "bridge":
        return link
    return replace(link, port=replace(link.port, state=_port_state(before, order, link, bridge)))


def _has_carrier(before: Snapshot, order: Order, link: Link) -> bool:
    """Whether an interface that is up has a carrier: that is the other end's doing, or of what it stands on;
    a bridge has one with its ports.
    """
    if link.kind == "bridge":
        return has(order.namespace.ports(link), carrier=True, port_state="forwarding")
    far = far_end(order.snapshot, order.name, link) if link.kind in ("veth", *_STACKED) else None
    if far is not None:
        return far[1].up if link.kind == "veth" else far[1].carrier
    return link.carrier or not has(before[order.name].links, index=link.index, up=True)


def _port_state(before: Snapshot, order: Order, link: Link, bridge: Link) -> str:
    """A port works while it and its bridge are up.

    With STP one that begins to listens first: here it forwards, as it will after twice the forward delay.
    """
    if not (link.runs and bridge.up):
        return "disabled"
    then = before[order.name]
    was_up = has(then.links, index=link.index, master=link.master, up=True, carrier=True)
    worked = was_up and has(then.links, index=bridge.index, up=True)
    return link.port_state if worked else "forwarding"


# ---- addresses and routes


def _routed(before: Snapshot, order: Order, index: int) -> Snapshot:
    """With the addresses and routes that an interface has after it came up, went down, or its carrier did."""
    old, link = before[order.name].link(index), order.namespace.link(index)
    if old is None or link is None or (old.up, old.carrier) == (link.up, link.carrier):
        return order.snapshot
    if old.up and not link.up:
        return _silenced(order, link)
    if link.up and not old.up:
        order = _with_legs(order, link, "dead", False)
    order = _with_legs(order, link, "linkdown", not link.carrier)
    if link.carrier:
        order = with_link_local(order, link)
    return with_kernel_routes(order, link).snapshot


def with_kernel_routes(order: Order, link: Link) -> Order:
    """The namespace with the routes that the kernel makes for the addresses of an interface."""
    routes = with_made(order.namespace.routes, [], made(order.namespace, link))
    return order.with_fields(routes=routes)


def _silenced(order: Order, link: Link) -> Snapshot:
    """An interface that is switched off: without routes, neighbours and IPv6 addresses."""
    order = without_ipv6(order, link)
    namespace = order.namespace
    return order.with_fields(
        routes=without_legs(namespace.routes, link.index, 4, spared="local"),
        neighbours=elsewhere(namespace.neighbours, link),
    ).snapshot


def without_ipv6(order: Order, link: Link) -> Order:
    """The namespace without the IPv6 addresses and routes of an interface (addrconf_ifdown)."""
    namespace = order.namespace
    keys = (f"net.ipv6.conf.{name}.keep_addr_on_down" for name in ("all", link.key))
    gone = namespace.addresses_of(link, 6)
    if not link.up and max(map(namespace.number, keys)) > 0:
        gone = where(gone, scope="link")
    routes = without_legs(namespace.routes, link.index, 6)
    return order.with_fields(addresses=all_but(namespace.addresses, gone), routes=routes)


def _with_legs(order: Order, link: Link, flag: str, holds: bool) -> Order:
    """The namespace in which the legs over an interface have a flag, or do not have it; those of local routes
    never get one.
    """
    routes = (
        route if holds and route.type == "local" else legs_flagged(route, link.index, flag, holds)
        for route in order.namespace.routes
    )
    return order.with_fields(routes=tuple(routes))


def with_link_local(order: Order, link: Link) -> Order:
    """The interface with the IPv6 address that it makes of its MAC (RFC 4291, appendix A), if it has none."""
    namespace, stem = order.namespace, f"net.ipv6.conf.{link.key}"
    made_of = prefix.link_local(link.mac)
    if link.kind == "loopback" or made_of is None or has(namespace.addresses_of(link, 6), scope="link"):
        return order
    if namespace.sysctl(f"{stem}.disable_ipv6", "0") != "0" or link.mtu < ipv6.MTU:
        return order
    own = InterfaceAddress(link.index, made_of, 64, scope="link")
    return order.with_fields(addresses=(*namespace.addresses, own))
