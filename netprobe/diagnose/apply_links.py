"""Fixes of interfaces, bridge ports and forwarding entries, carried out on a snapshot: ip-link(8), bridge(8),
tc(8).
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from netprobe.model import BridgePort, FdbEntry, InterfaceAddress, Link, Nexthop, Route, Snapshot
from netprobe.predict import fib, prefix
from netprobe.predict.view import Ground, Lacking

from .order import Order

_SWITCHES = {
    "isolated": "isolated", "hairpin": "hairpin", "guard": "guard", "learning": "learning",
    "flood": "unicast_flood",
    "mcast_flood": "multicast_flood", "bcast_flood": "broadcast_flood", "neigh_suppress": "neigh_suppress",
    "locked": "locked",
}  # fmt: skip
# include/uapi/linux/if_bridge.h, BR_STATE_*
_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")


def set_link(order: Order) -> Snapshot:
    """`ip link set [dev] IFACE …`: up, down, mtu, arp, master, address, xdp, and what `type bridge` and `type
    macvlan` may set.
    """
    name, *wanted = order.words[1:] if order.words[0] == "dev" else order.words
    link = order.link(name)
    match wanted:
        case ["up"]:
            return switch_on(order, link)
        case ["down"]:
            port = replace(link.port, state="disabled") if link.port else None
            return order.with_link(replace(link, up=False, carrier=False, port=port)).snapshot
        case ["type", "bridge", "stp_state", "0"]:
            return _without_stp(order, link)
        case ["nomaster"]:
            return order.with_link(replace(link, master=None, port=None)).snapshot
    return order.with_link(replace(link, **_fields(order, wanted))).snapshot


def _fields(order: Order, wanted: list[str]) -> dict[str, Any]:
    match wanted:
        case ["mtu", size]:
            return {"mtu": int(size)}
        case ["arp", "on" | "off" as state]:
            return {"arp": state == "on"}
        case ["address", mac]:
            return {"mac": mac}
        case ["xdp", "off"]:
            return {"xdp": None}
        case ["master", bridge]:
            return {"master": order.link(bridge).index, "port": BridgePort()}
        case ["type", "macvlan", "mode", mode]:
            return {"macvlan_mode": mode}
    raise KeyError(" ".join(wanted))


def switch_on(order: Order, link: Link) -> Snapshot:
    """An interface that is switched on: its carrier and that of its far end, and the routes that its
    addresses bring along.
    """
    far = _far_end(order, link) if link.kind == "veth" else None
    running = far is None or far[1].up
    order = order.with_link(_running(replace(link, up=True), running))
    order = order.with_fields(routes=_revived(order, link.index))
    for port in order.namespace.ports(link) if link.kind == "bridge" else ():
        order = order.with_link(_running(port, port.carrier))  # br_dev_open enables them
    order = _with_stacked(order, link) if running else order
    if far is None or not running:
        return order.snapshot
    there = replace(order, name=far[0])
    there = there.with_link(_running(there.link(far[1].name), True))
    return there.with_fields(routes=_revived(there, far[1].index)).snapshot


def _with_stacked(order: Order, link: Link) -> Order:
    """The devices that stand on this one, in any namespace, get their carrier from it
    (netif_stacked_transfer_operstate).
    """
    for name, namespace in order.snapshot.namespaces.items():
        for above in namespace.links:
            there = replace(order, name=name)
            lower = _far_end(there, above) if above.kind in ("macvlan", "ipvlan", "vlan") else None
            if lower is not None and lower[0] == order.name and lower[1].index == link.index and above.up:
                order = replace(there.with_link(_running(above, True)), name=order.name)
    return order


def _far_end(order: Order, link: Link) -> tuple[str, Link] | None:
    """The interface at the other end of a veth, or below a stacked device, where it is known."""
    try:
        return Ground(order.snapshot, ask=False).beyond(order.name, link.link)
    except Lacking:
        return None


def _running(link: Link, carrier: bool) -> Link:
    """A bridge port that comes up without STP forwards at once (br_stp_enable_port)."""
    opened = (
        replace(link.port, state="forwarding")
        if link.port is not None and link.port.state == "disabled" and carrier
        else link.port
    )
    return replace(link, carrier=carrier, port=opened)


def _revived(order: Order, index: int) -> tuple[Route, ...]:
    """The routes with those that an interface's addresses bring (fib_add_ifaddr), its legs neither dead nor
    without carrier.
    """
    alive = tuple(
        replace(r, nexthops=tuple(_alive(leg) if leg.index == index else leg for leg in r.nexthops))
        for r in order.namespace.routes
    )
    made = [route for a in order.namespace.addresses if a.index == index for route in routes_of(a)]
    there = {(r.dst, r.table) for r in alive}
    return (*alive, *(r for r in made if (r.dst, r.table) not in there))


def _alive(leg: Nexthop) -> Nexthop:
    return replace(leg, flags=tuple(flag for flag in leg.flags if flag not in ("dead", "linkdown")))


def routes_of(address: InterfaceAddress) -> tuple[Route, ...]:
    """The routes that the kernel makes for an address: the address itself as local, its network as on the
    link.
    """
    bits = 128 if prefix.version(address.address) == 6 else 32
    leg = (Nexthop(address.index),)
    own = Route(f"{address.address}/{bits}", "local", fib.LOCAL, leg, scope="host", protocol="kernel")
    if address.prefixlen == bits or "noprefixroute" in address.flags:
        return (own,)
    metric = 256 if bits == 128 else 0
    network = prefix.network(address.peer or address.address, address.prefixlen)
    return (own, Route(network, nexthops=leg, scope="link", protocol="kernel", metric=metric))


def _without_stp(order: Order, bridge: Link) -> Snapshot:
    """Every port that is up forwards (br_stp_set_enabled)."""
    if bridge.bridge is None:
        raise KeyError(bridge.name)
    order = order.with_link(replace(bridge, bridge=replace(bridge.bridge, stp=False)))
    for port in order.namespace.ports(bridge):
        if port.up and port.port is not None:
            order = order.with_link(replace(port, port=replace(port.port, state="forwarding")))
    return order.snapshot


def set_port(order: Order) -> Snapshot:
    """`bridge link set dev PORT KEY VALUE …`: the flags of a port, and its state as a number or a word."""
    link = order.link(order.needed("dev"))
    port, words = link.port or BridgePort(), order.plain
    for key, value in zip(words[::2], words[1::2], strict=True):
        if key == "state":
            port = replace(
                port, state=_STATES[int(value)] if value.isdigit() else _STATES[_STATES.index(value)]
            )
        elif value in ("on", "off"):
            port = replace(port, **{_SWITCHES[key]: value == "on"})
        else:
            raise KeyError(key)
    return order.with_link(replace(link, port=port)).snapshot


def change_fdb(order: Order) -> Snapshot:
    """`bridge fdb del|add|append|replace MAC dev IFACE [master] [dst REMOTE]`."""
    what, mac, link = order.words[0], order.words[1], order.link(order.needed("dev"))
    remote = order.option("dst")
    if what == "del":
        kept = tuple(
            e
            for e in order.namespace.fdb
            if not (e.mac == mac and e.index == link.index and remote in (None, e.remote))
        )
        return order.with_fields(fdb=kept).snapshot
    if what not in ("add", "append", "replace"):
        raise KeyError(what)
    if remote is not None:
        prefix.number(remote)
    others = tuple(
        e for e in order.namespace.fdb if what != "replace" or not (e.mac == mac and e.index == link.index)
    )
    entry = FdbEntry(
        link.index,
        mac,
        master=link.master if "master" in order.plain else None,
        state="permanent",
        remote=remote,
    )
    return order.with_fields(fdb=(*others, entry)).snapshot


def delete_filter(order: Order) -> Snapshot:
    """`tc filter del dev IFACE ingress|egress`: all filters of that side."""
    link, [side] = order.link(order.needed("dev")), order.plain
    return order.with_link(
        replace(link, filters=tuple(f for f in link.filters if f.direction != side))
    ).snapshot


def delete_qdisc(order: Order) -> Snapshot:
    """`tc qdisc del dev IFACE PARENT`: the discipline there, and what hangs below it."""
    link, parent = order.link(order.needed("dev")), " ".join(order.plain)
    gone = [q for q in link.qdiscs if q.parent == parent]
    if not gone:
        raise KeyError(parent)
    kept = () if parent == "root" else tuple(q for q in link.qdiscs if q not in gone)
    return order.with_link(replace(link, qdiscs=kept)).snapshot
