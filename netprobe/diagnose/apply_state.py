"""What follows from an interface that is switched on or off, plugged in or unplugged: carriers, the states of
bridge ports, addresses and routes. Carried out on a snapshot.

Kernel: drivers/net/veth.c (veth_open, veth_close), net/bridge/br_stp.c (br_port_state_selection), br_if.c
(br_port_carrier_check), net/ipv4/fib_frontend.c (fib_netdev_event), net/ipv6/addrconf.c (addrconf_notify).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.model import BridgePort, InterfaceAddress, Link, Namespace, Nexthop, Route, Snapshot
from netprobe.predict import prefix
from netprobe.predict.drop import Unread
from netprobe.predict.view import Ground, Lacking

from .apply_addresses import made, with_made, without_legs
from .order import Order

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
        order, link = Order(after, name, "", ()), after[name].link(index)
        now = _now(before, order, link) if link is not None else None
        if now is not None and now != link:
            after = order.with_link(now).snapshot
            touched[name, index] = None
            waiting.extend(_beside(after, name, index))
    for name, index in touched:
        after = _routed(before, Order(after, name, "", ()), index)
    return after


def _changed(before: Snapshot, after: Snapshot) -> Iterator[Place]:
    for name, namespace in after.namespaces.items():
        old = before.namespaces.get(name)
        if old is namespace or old is None:
            continue
        known = {link.index: link for link in old.links}
        for link in namespace.links:
            if known.get(link.index) != link:
                yield name, link.index
        now = {link.index: link.master for link in namespace.links}
        gone = {link.master for link in old.links if link.master != now.get(link.index)}
        yield from (
            (name, index) for index in gone if index is not None and namespace.link(index) is not None
        )


def far_end(snapshot: Snapshot, name: str, link: Link) -> tuple[str, Link] | None:
    """The interface at the other end of a veth, or below a stacked device, where it is known."""
    try:
        return Ground(snapshot, ask=False).beyond(name, link.link)
    except (Lacking, Unread):
        return None


def _beside(snapshot: Snapshot, name: str, index: int) -> Iterator[Place]:
    """Whom a change of an interface concerns: its far end, its bridge, its ports, and what stands on it."""
    namespace = snapshot[name]
    link = namespace.link(index)
    if link is None:
        return
    if link.kind == "veth" and (far := far_end(snapshot, name, link)) is not None:
        yield far[0], far[1].index
    if link.master is not None and namespace.link(link.master) is not None:
        yield name, link.master
    yield from ((name, port.index) for port in namespace.ports(link))
    yield from standing_on(snapshot, name, link)


def standing_on(snapshot: Snapshot, name: str, link: Link) -> Iterator[Place]:
    """The interfaces of any namespace that stand on this one: VLANs, macvlans."""
    for there, other in snapshot.namespaces.items():
        for above in other.links:
            if above.kind in _STACKED and far_end(snapshot, there, above) == (name, link):
                yield there, above.index


def _now(before: Snapshot, order: Order, link: Link) -> Link:
    """The interface with the carrier and the port state that follow from what is around it."""
    link = replace(link, carrier=link.up and _has_carrier(before, order, link))
    bridge = order.namespace.link(link.master)
    if link.port is None or bridge is None or bridge.kind != "bridge":
        return link
    return replace(link, port=_port(before, order, link, bridge))


def _has_carrier(before: Snapshot, order: Order, link: Link) -> bool:
    far = far_end(order.snapshot, order.name, link) if link.kind in ("veth", *_STACKED) else None
    if link.kind == "veth" and far is not None:
        return far[1].up
    if link.kind in _STACKED and far is not None:
        return far[1].carrier
    if link.kind == "bridge":
        ports = order.namespace.ports(link)
        return any(
            port.carrier and port.port is not None and port.port.state == "forwarding" for port in ports
        )
    old = before[order.name].link(link.index)
    return link.carrier if old is not None and old.up else True


def _port(before: Snapshot, order: Order, link: Link, bridge: Link) -> BridgePort:
    """A port works while it and its bridge are up.

    With STP one that begins to listens first: here it forwards, as it will after twice the forward delay.
    """
    assert link.port is not None
    if not (link.up and link.carrier and bridge.up):
        return replace(link.port, state="disabled")
    then = before[order.name]
    old, old_bridge = then.link(link.index), then.link(bridge.index)
    worked = old is not None and old_bridge is not None and old.carrier and old.up and old_bridge.up
    if worked and old is not None and old.master == link.master:
        return link.port
    return replace(link.port, state="forwarding")


# ---- addresses and routes


def _routed(before: Snapshot, order: Order, index: int) -> Snapshot:
    old, link = before[order.name].link(index), order.namespace.link(index)
    if old is None or link is None:
        return order.snapshot
    if old.up and not link.up:
        return _silenced(order, link)
    if link.up and not old.up:
        routes = _revived(order.namespace.routes, link, "dead")
        order = order.with_fields(routes=routes)
    elif old.carrier == link.carrier:
        return order.snapshot
    order = order.with_fields(routes=_with_carrier(order.namespace, link))
    if link.carrier:
        order = with_link_local(order, link)
    namespace = order.namespace
    return order.with_fields(routes=with_made(namespace.routes, [], made(namespace, link))).snapshot


def _silenced(order: Order, link: Link) -> Snapshot:
    """An interface that is switched off: without routes, neighbours and IPv6 addresses."""
    order = without_ipv6(order, link)
    namespace = order.namespace
    return order.with_fields(
        routes=without_legs(namespace.routes, link.index, 4, down=True),
        neighbours=tuple(n for n in namespace.neighbours if n.index != link.index),
    ).snapshot


def without_ipv6(order: Order, link: Link) -> Order:
    """The namespace without the IPv6 addresses and routes of an interface (addrconf_ifdown)."""
    namespace = order.namespace
    keys = (f"net.ipv6.conf.{name}.keep_addr_on_down" for name in ("all", link.key))
    kept = any(namespace.number(key) > 0 for key in keys) and not link.up
    addresses = tuple(
        a
        for a in namespace.addresses
        if a.index != link.index or prefix.version(a.address) == 4 or (kept and a.scope != "link")
    )
    return order.with_fields(addresses=addresses, routes=without_legs(namespace.routes, link.index, 6))


def _revived(routes: tuple[Route, ...], link: Link, flag: str) -> tuple[Route, ...]:
    """The routes in which the legs over an interface no longer have a flag."""
    return tuple(
        replace(
            r, nexthops=tuple(_without(leg, flag) if leg.index == link.index else leg for leg in r.nexthops)
        )
        for r in routes
    )


def _with_carrier(namespace: Namespace, link: Link) -> tuple[Route, ...]:
    """The routes with the legs over an interface marked where it has no carrier; those to itself are not."""
    if link.carrier:
        return _revived(namespace.routes, link, "linkdown")
    return tuple(
        (
            route
            if route.type == "local"
            else replace(
                route,
                nexthops=tuple(_marked(leg) if leg.index == link.index else leg for leg in route.nexthops),
            )
        )
        for route in namespace.routes
    )


def _without(leg: Nexthop, flag: str) -> Nexthop:
    return replace(leg, flags=tuple(each for each in leg.flags if each != flag))


def _marked(leg: Nexthop) -> Nexthop:
    return replace(leg, flags=tuple(dict.fromkeys((*leg.flags, "linkdown"))))


def with_link_local(order: Order, link: Link) -> Order:
    """The interface with the IPv6 address that it makes of its MAC (RFC 4291, appendix A), if it has none."""
    namespace, stem = order.namespace, f"net.ipv6.conf.{link.key}"
    has = any(a.scope == "link" and prefix.version(a.address) == 6 for a in namespace.addresses_of(link))
    allowed = namespace.sysctl(f"{stem}.disable_ipv6") == "0" and link.mtu >= 1280
    if has or not allowed or link.kind == "loopback" or len(link.mac) != 17:
        return order
    own = InterfaceAddress(link.index, _made_of(link.mac), 64, scope="link")
    return order.with_fields(addresses=(*namespace.addresses, own))


def _made_of(mac: str) -> str:
    from ipaddress import IPv6Address

    octets = bytes.fromhex(mac.replace(":", ""))
    lower = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return str(IPv6Address(bytes((0xFE, 0x80, 0, 0, 0, 0, 0, 0)) + lower))
