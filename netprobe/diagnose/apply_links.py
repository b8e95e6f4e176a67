"""Fixes of interfaces, bridge ports and forwarding entries, carried out on a snapshot: ip-link(8), bridge(8),
tc(8).
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from msgspec.structs import replace

from netprobe.model import (
    BridgePort,
    FdbEntry,
    FoundPeer,
    InterfaceAddress,
    Link,
    LinkRef,
    Neighbour,
    PortVlan,
    Snapshot,
)
from netprobe.predict import prefix

from .apply_addresses import routes_of, with_addresses
from .apply_state import far_end, settled, with_link_local, without_ipv6
from .order import Order

__all__ = ["change_fdb", "change_vlan", "delete_filter", "delete_qdisc", "routes_of", "set_link", "set_port"]

_SWITCHES = {
    "isolated": "isolated", "hairpin": "hairpin", "guard": "guard", "learning": "learning",
    "flood": "unicast_flood",
    "mcast_flood": "multicast_flood", "bcast_flood": "broadcast_flood", "neigh_suppress": "neigh_suppress",
    "locked": "locked",
}  # fmt: skip
# what a bridge's own settings are called in the model; stp_state is more than a setting
_BRIDGE = {
    "vlan_filtering": "vlan_filtering", "mcast_snooping": "multicast_snooping",
    "mcast_querier": "multicast_querier", "nf_call_iptables": "nf_call_iptables",
    "nf_call_ip6tables": "nf_call_ip6tables", "nf_call_arptables": "nf_call_arptables",
}  # fmt: skip
# include/uapi/linux/if_bridge.h, BR_STATE_*
_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
NO_MAC = "00:00:00:00:00:00"
_MTU = range(68, 65536)  # ETH_MIN_MTU, ETH_MAX_MTU
_MTU6 = 1280  # RFC 8200
_On = TypeVar("_On", InterfaceAddress, Link, Neighbour, FdbEntry)


def set_link(order: Order) -> Snapshot:
    """`ip link set [dev] IFACE …`: up, down, name, mtu, arp, master, nomaster, address, netns, xdp, and what
    `type bridge`, `type macvlan` and `type vxlan` may set.
    """
    name, *wanted = order.words[1:] if order.words[0] == "dev" else order.words
    link = order.link(name)
    match wanted:
        case ["netns", there]:
            return _moved(order, link, there)
        case ["type", "bridge", "stp_state", "0"]:
            return _without_stp(order, link)
        case ["mtu", size]:
            return _sized(order, link, int(size))
        case ["name", new] if not link.up and order.namespace.link_named(new) is None:
            return _called(order, link, new)
    changed = order.with_link(replace(link, **_fields(order, link, wanted)))
    if wanted[0] == "master":
        changed = _named_by_port(changed, order.link(wanted[1]), link)
    if wanted[0] == "address":
        changed = _known_by(changed, link, wanted[1])
    return settled(order.snapshot, changed.snapshot)


def _known_by(order: Order, link: Link, mac: str) -> Order:
    """A bridge's entry of its own MAC, or of a port's, follows that (br_fdb_change_mac_address,
    br_fdb_changeaddr).
    """
    fdb = (
        replace(each, mac=mac) if each.local and (each.index, each.mac) == (link.index, link.mac) else each
        for each in order.namespace.fdb
    )
    return order.with_fields(fdb=tuple(fdb))


def _called(order: Order, link: Link, new: str) -> Snapshot:
    """Another name, and its settings by that (addrconf_notify, NETDEV_CHANGENAME)."""
    old, now = (f".{name.replace('.', '/')}." for name in (link.name, new))
    sysctls = {
        key.replace(old, now, 1) if key.startswith("net.") else key: value
        for key, value in order.namespace.sysctls.items()
    }
    return order.with_link(replace(link, name=new)).with_fields(sysctls=sysctls).snapshot


def _named_by_port(order: Order, bridge: Link, port: Link) -> Order:
    """A bridge that lost its last port has no MAC, and takes that of the first that it gets
    (br_stp_recalculate_bridge_id). Which of several ports names it is not followed: its neighbours would
    have to learn that anew.
    """
    nameless = bridge.kind == "bridge" and bridge.mac == NO_MAC
    return order.with_link(replace(bridge, mac=port.mac)) if nameless else order


def _fields(order: Order, link: Link, wanted: list[str]) -> dict[str, Any]:
    match wanted:
        case ["up" | "down" as state]:
            return {"up": state == "up"}
        case ["nomaster"]:
            return {"master": None, "port": None}
        case ["arp", "on" | "off" as state]:
            return {"arp": state == "on"}
        case ["address", mac] if _MAC.fullmatch(mac) and not int(mac[1], 16) & 1:
            return {"mac": mac}
        case ["xdp" | "xdpgeneric" as mode, "off"]:
            return {"xdp": None, "xdp_answers": None} if _is_attached(link, mode) else {}
        case ["master", bridge]:
            return _plugged(order.link(bridge))
        case ["type", "macvlan", "mode", mode]:
            return {"macvlan_mode": mode}
        case ["type", "vxlan", "ttl", number] if link.vxlan is not None:
            return {"vxlan": replace(link.vxlan, ttl=int(number))}
        case ["type", "vxlan", "local", address] if link.vxlan is not None:
            return {"vxlan": replace(link.vxlan, local=address)}
        case ["type", "vxlan", "remote", address] if link.vxlan is not None:
            return {"vxlan": replace(link.vxlan, remote=address)}
        case ["type", "vxlan", "learning" | "nolearning" as word] if link.vxlan is not None:
            return {"vxlan": replace(link.vxlan, learning=word == "learning")}
        case ["type", "bridge", key, "0" | "1" as value] if link.bridge is not None:
            return {"bridge": replace(link.bridge, **{_BRIDGE[key]: value == "1"})}
    raise KeyError(" ".join(wanted))


def _is_attached(link: Link, mode: str) -> bool:
    """`xdp off` takes away a driver's program, `xdpgeneric off` a generic one (dev_xdp_attach)."""
    return link.xdp is not None and link.xdp.startswith("xdpgeneric") is (mode == "xdpgeneric")


def _plugged(master: Link) -> dict[str, Any]:
    return {"master": master.index, "port": BridgePort("disabled") if master.kind == "bridge" else None}


def _sized(order: Order, link: Link, size: int) -> Snapshot:
    """Another MTU; below 1280 an interface has no IPv6 (addrconf_notify, NETDEV_CHANGEMTU)."""
    if size not in _MTU:
        raise ValueError(size)
    changed = order.with_link(replace(link, mtu=size))
    if size < _MTU6 <= link.mtu:
        return without_ipv6(changed, replace(link, mtu=size)).snapshot
    grown = link.mtu < _MTU6 <= size and link.carrier
    return _with_ipv6(changed, replace(link, mtu=size)) if grown else changed.snapshot


def _with_ipv6(order: Order, link: Link) -> Snapshot:
    return with_addresses(order, link, with_link_local(order, link).namespace.addresses)


def _moved(order: Order, link: Link, name: str) -> Snapshot:
    """The interface in another namespace: switched off, unplugged and bare (dev_change_net_namespace)."""
    there = replace(order, name=name)
    if name == order.name or there.namespace.link_named(link.name) is not None:
        raise KeyError(name)  # EEXIST
    far = far_end(order.snapshot, order.name, link)
    off = order.with_link(replace(link, up=False)).snapshot
    order = replace(order, snapshot=settled(order.snapshot, off))
    order = emptied(order, link)
    taken = {each.index for each in there.namespace.links}
    index = link.index if link.index not in taken else max(taken) + 1
    bare = replace(link, index=index, up=False, carrier=False, master=None, port=None, qdiscs=(), filters=())
    there = replace(order, name=name)
    there = there.with_fields(links=(*there.namespace.links, bare))
    there = there.with_fields(sysctls=with_defaults(there, link.name))
    return there.snapshot if far is None else _tied(there, bare, far)


def with_defaults(order: Order, name: str) -> dict[str, str]:
    """The sysctls with those of an interface that is new here."""
    stem, known = f".conf.{name.replace('.', '/')}.", order.namespace.sysctls
    new = {
        key.replace(".conf.default.", stem): value
        for key, value in known.items()
        if ".conf.default." in key and not key.endswith(".mtu")
    }
    return {**known, **new}


def emptied(order: Order, link: Link) -> Order:
    """The namespace without an interface and all that stands on it."""
    bare = with_addresses(order, link, _elsewhere(order.namespace.addresses, link))
    order = replace(order, snapshot=bare)
    namespace = order.namespace
    routes = tuple(r for r in namespace.routes if all(leg.index != link.index for leg in r.nexthops))
    stem = f".conf.{link.key}."
    return order.with_fields(
        sysctls={key: value for key, value in namespace.sysctls.items() if stem not in key},
        links=_elsewhere(namespace.links, link),
        routes=routes,
        neighbours=_elsewhere(namespace.neighbours, link),
        fdb=_elsewhere(namespace.fdb, link),
    )


def _elsewhere(things: tuple[_On, ...], link: Link) -> tuple[_On, ...]:
    """What does not stand on an interface, and is not that itself."""
    return tuple(each for each in things if each.index != link.index)


def _tied(order: Order, link: Link, far: tuple[str, Link]) -> Snapshot:
    """Both ends of a cable name each other anew."""
    order, own = _renamed(order, far[0])
    order = order.with_link(replace(link, link=LinkRef(far[1].index, own)))
    beyond, its = _renamed(replace(order, name=far[0]), order.name)
    if far[1].kind != "veth":  # what stands on another interface is not named by it
        return order.snapshot
    return beyond.with_link(replace(beyond.link(far[1].name), link=LinkRef(link.index, its))).snapshot


def _renamed(order: Order, other: str) -> tuple[Order, int | None]:
    """The number by which a namespace knows another; a new one where it had none, and None for itself."""
    if other == order.name:
        return order, None
    peers = order.snapshot.peers
    known = next((p.nsid for p in peers if (p.namespace, p.peer) == (order.name, other)), None)
    if known is not None:
        return order, known
    number = 1 + max((p.nsid for p in peers if p.namespace == order.name), default=-1)
    found = FoundPeer(order.name, number, other)
    return replace(order, snapshot=replace(order.snapshot, peers=(*peers, found))), number


def _without_stp(order: Order, bridge: Link) -> Snapshot:
    """No spanning tree; a port that listened or learned goes on doing so (br_stp_stop)."""
    if bridge.bridge is None:
        raise KeyError(bridge.name)
    return order.with_link(replace(bridge, bridge=replace(bridge.bridge, stp=False))).snapshot


def set_port(order: Order) -> Snapshot:
    """`bridge link set dev PORT KEY VALUE …`: the flags of a port, and its state as a number or a word."""
    link = order.link(order.needed("dev"))
    if link.port is None:
        raise KeyError(link.name)  # EOPNOTSUPP
    port, words = link.port, order.plain
    for key, value in zip(words[::2], words[1::2], strict=True):
        if key == "state":
            port = replace(port, state=_state(order, link, value))
        elif value in ("on", "off"):
            port = replace(port, **{_SWITCHES[key]: value == "on"})
        else:
            raise KeyError(key)
    return settled(order.snapshot, order.with_link(replace(link, port=port)).snapshot)


def _state(order: Order, link: Link, value: str) -> str:
    """A state set by hand: not where the kernel's own STP decides, and not on a port that cannot work.

    Without STP a port that is to block forwards (br_set_port_state, br_make_forwarding).
    """
    state = _STATES[int(value)] if value.isdigit() else _STATES[_STATES.index(value)]
    bridge = order.namespace.link(link.master)
    if bridge is None or (bridge.bridge is not None and bridge.bridge.stp):
        raise KeyError(value)  # EBUSY
    if state != "disabled" and not (link.up and link.carrier):
        raise KeyError(value)  # ENETDOWN
    return "forwarding" if state == "blocking" else state


def change_fdb(order: Order) -> Snapshot:
    """`bridge fdb del|add|append|replace MAC dev IFACE [master|self] [static] [dst REMOTE]`."""
    what, mac = order.plain[:2]
    link, remote = order.link(order.needed("dev")), order.option("dst")
    if not _MAC.fullmatch(mac):
        raise ValueError(mac)
    if remote is not None:
        prefix.number(remote)
    mastered = "master" in order.plain and link.master is not None
    same = [e for e in order.namespace.fdb if _is_meant(e, mac, link, remote, mastered)]
    if what == "del":
        if not same:
            raise KeyError(mac)  # ENOENT
        return order.with_fields(fdb=tuple(e for e in order.namespace.fdb if e not in same)).snapshot
    if what not in ("add", "append", "replace") or (what == "add" and same):
        raise KeyError(what)  # EEXIST
    others = tuple(e for e in order.namespace.fdb if what != "replace" or not _gives_way(e, link, mac))
    state = "static" if {"static", "dynamic"} & {*order.plain} else "permanent"
    entry = FdbEntry(link.index, mac, link.master if mastered else None, state=state, remote=remote)
    return order.with_fields(fdb=(*others, entry)).snapshot


def _is_meant(entry: FdbEntry, mac: str, link: Link, remote: str | None, mastered: bool) -> bool:
    place = (entry.mac, entry.index) == (mac, link.index) and (entry.master is not None) is mastered
    return place and entry.vlan is None and remote in (None, entry.remote)


def _gives_way(entry: FdbEntry, link: Link, mac: str) -> bool:
    """A bridge has one entry for an address, wherever it leads; a VXLAN has its own."""
    if entry.mac != mac:
        return False
    return entry.index == link.index or (link.master is not None and entry.master == link.master)


def change_vlan(order: Order) -> Snapshot:
    """`bridge vlan add|del dev IFACE vid N [pvid] [untagged] [self]`: of a port, or of the bridge itself."""
    how, vid, number, *flags = order.plain
    link = order.link(order.needed("dev"))
    if how not in ("add", "del") or vid != "vid" or not {*flags} <= {"pvid", "untagged", "self", "master"}:
        raise KeyError(" ".join(order.words))
    holder = link.bridge if "self" in flags else link.port
    if holder is None or holder.vlans is None:
        raise KeyError(link.name)  # EOPNOTSUPP; or the bridge filters none
    new = PortVlan(int(number), "pvid" in flags, "untagged" in flags)
    kept = tuple(replace(each, pvid=each.pvid and not new.pvid) for each in holder.vlans if each.id != new.id)
    if how == "del" and len(kept) == len(holder.vlans):
        raise KeyError(number)  # ENOENT
    vlans = tuple(sorted((*kept, new), key=lambda each: each.id)) if how == "add" else kept
    held = {"bridge" if "self" in flags else "port": replace(holder, vlans=vlans)}
    return order.with_link(replace(link, **held)).snapshot


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
