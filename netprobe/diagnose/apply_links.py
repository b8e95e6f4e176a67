"""Fixes of interfaces, bridge ports and forwarding entries, carried out on a snapshot: ip-link(8), bridge(8),
tc(8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from netprobe.model import (
    Bridge,
    BridgePort,
    FdbEntry,
    FoundPeer,
    Link,
    LinkRef,
    PortVlan,
    Snapshot,
)
from netprobe.model.lookup import all_but, among, but, column, find, has, those_not_in, where
from netprobe.model.settings import joined
from netprobe.predict import ipv6

from .apply_addresses import with_addresses
from .apply_bridges import NO_MAC
from .apply_state import far_end, settled, with_link_local, without_ipv6
from .order import Order, elsewhere, must, refuse_if

_SWITCHES = {
    "isolated": "isolated", "hairpin": "hairpin", "guard": "guard", "learning": "learning",
    "flood": "unicast_flood",
    "mcast_flood": "multicast_flood", "bcast_flood": "broadcast_flood", "neigh_suppress": "neigh_suppress",
    "locked": "locked",
}  # fmt: skip
_OF_INTERFACES = ("conf", "neigh")  # the tables of sysctls that have some of each interface
# what a bridge's own settings are called in the model; stp_state is more than a setting
_BRIDGE = {
    "vlan_filtering": "vlan_filtering", "mcast_snooping": "multicast_snooping",
    "mcast_querier": "multicast_querier", "nf_call_iptables": "nf_call_iptables",
    "nf_call_ip6tables": "nf_call_ip6tables", "nf_call_arptables": "nf_call_arptables",
}  # fmt: skip
# include/uapi/linux/if_bridge.h, BR_STATE_*
_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_MTU = range(68, 65536)  # ETH_MIN_MTU, ETH_MAX_MTU


_FLAGS: dict[tuple[str, ...], dict[str, Any]] = {
    ("up",): {"up": True}, ("down",): {"up": False}, ("nomaster",): {"master": None, "port": None},
    ("arp", "on"): {"arp": True}, ("arp", "off"): {"arp": False},
    ("protodown", "off"): {"protodown": False, "carrier": True},
}  # fmt: skip


_VXLAN: dict[str, Callable[[str], Any]] = {"ttl": int, "local": str, "remote": str}


_LEARNING = {"learning": True, "nolearning": False}


def set_link(order: Order) -> Snapshot:
    """`ip link set [dev] IFACE …`: up, down, name, mtu, arp, master, nomaster, address, netns, xdp, and what
    `type bridge`, `type macvlan` and `type vxlan` may set.
    """
    name, *wanted = order.words[1:] if order.words[0] == "dev" else order.words
    link = order.link(name)
    match wanted:
        case ["netns", there]:
            return _moved(order, link, there)
        case ["mtu", size]:
            return _sized(order, link, int(size))
        case ["name", new] if not link.up:
            return _called(order, link, new)
        case ["type", "vxlan", "remote", remote] | ["type", "vxlan", "id", _, "group", remote, "dev", _]:
            return _led_to(order, link, remote)
        case ["type", kind, *words]:
            return order.with_link(_of_kind(link, kind, words)).snapshot
        case ["master", bridge]:
            changed = order.with_link(_plugged(link, order.link(bridge)))
        case ["address", mac] if _MAC.fullmatch(mac) and not int(mac[1], 16) & 1:
            changed = _without_neighbours(order, link).with_link(replace(link, mac=mac))
        case ["arp", "on"] if not link.arp:
            changed = _asking(order.with_link(replace(link, arp=True)), link)
        case ["xdp" | "xdpgeneric" as mode, "off"]:
            changed = order.with_link(_without_program(link, mode))
        case _:
            changed = order.with_link(replace(link, **_FLAGS[tuple(wanted)]))
    return settled(order.snapshot, changed.snapshot)


def _without_neighbours(order: Order, link: Link) -> Order:
    """The namespace without the neighbours of an interface that gets another MAC, those that somebody wrote
    among them (neigh_changeaddr).
    """
    known = order.namespace.neighbours
    return order.with_fields(neighbours=all_but(known, where(known, index=link.index, proxy=False)))


def _led_to(order: Order, link: Link, remote: str) -> Snapshot:
    """A tunnel with another remote end, and so another default entry (vxlan_changelink)."""
    vxlan, fdb = must(link.vxlan, link.name), order.namespace.fdb
    old = where(fdb, index=link.index, mac=NO_MAC, remote=vxlan.remote)
    new = FdbEntry(link.index, NO_MAC, state="permanent", remote=remote, via=vxlan.lower or None)
    changed = order.with_link(_of_kind(link, "vxlan", ["remote", remote]))
    return changed.with_fields(fdb=(*all_but(fdb, old), new)).snapshot


def _of_kind(link: Link, kind: str, words: list[str]) -> Link:
    """An interface with another setting of its kind; a port that listened or learned goes on doing so without
    STP (br_stp_stop).
    """
    match kind, *words:
        case "bridge", "stp_state", "0":
            return replace(link, bridge=replace(must(link.bridge, kind), stp=False))
        case "bridge_slave", "proxy_arp", "on" | "off" as value:
            return replace(link, port=replace(must(link.port, kind), proxy_arp=_VALUES[value]))
        case "bridge", key, "0" | "1" as value:
            return replace(link, bridge=replace(must(link.bridge, kind), **{_BRIDGE[key]: value == "1"}))
        case "macvlan", "macaddr", "add", mac:
            return replace(link, macvlan_sources=(*link.macvlan_sources, mac))
        case "macvlan", "mode", mode:
            return replace(link, macvlan_mode=mode)
        case "vxlan", key, value:
            return replace(link, vxlan=replace(must(link.vxlan, kind), **{key: _VXLAN[key](value)}))
    return replace(link, vxlan=replace(must(link.vxlan, kind), learning=_LEARNING[" ".join(words)]))


def _asking(order: Order, link: Link) -> Order:
    """Whom it knew without ARP, at its own MAC, it asks for (arp_netdev_event, ndisc_netdev_event)."""
    known = order.namespace.neighbours
    return order.with_fields(neighbours=all_but(known, where(known, index=link.index, state="noarp")))


def _called(order: Order, link: Link, new: str) -> Snapshot:
    """Another name, and its settings by that (addrconf_notify, NETDEV_CHANGENAME)."""
    refuse_if(order.namespace.link_named(new), new)  # EEXIST
    called = replace(link, name=new)
    sysctls = order.namespace.sysctls
    for table in _OF_INTERFACES:
        old, now = f".{table}.{link.key}.", f".{table}.{called.key}."
        sysctls = {key.replace(old, now): value for key, value in sysctls.items()}
    return order.with_link(called).with_fields(sysctls=sysctls).snapshot


def _without_program(link: Link, mode: str) -> Link:
    """`xdp off` takes away a driver's program, `xdpgeneric off` a generic one (dev_xdp_attach)."""
    is_generic = (link.xdp or "").startswith("xdpgeneric")
    if is_generic is (mode == "xdpgeneric"):
        return replace(link, xdp=None, xdp_answers=None)
    return link


def _plugged(link: Link, master: Link) -> Link:
    port = BridgePort("disabled") if master.kind == "bridge" else None
    return replace(link, master=master.index, port=port)


def _sized(order: Order, link: Link, size: int) -> Snapshot:
    """Another MTU; below 1280 an interface has no IPv6 (addrconf_notify, NETDEV_CHANGEMTU)."""
    refuse_if(size not in _MTU, size)
    sized = replace(link, mtu=size)
    changed = order.with_link(sized)
    if size < ipv6.MTU <= link.mtu:
        return without_ipv6(changed, sized).snapshot
    grown = link.mtu < ipv6.MTU <= size and link.carrier
    return _with_ipv6(changed, sized) if grown else changed.snapshot


def _with_ipv6(order: Order, link: Link) -> Snapshot:
    return with_addresses(order, link, with_link_local(order, link).namespace.addresses)


def _moved(order: Order, link: Link, name: str) -> Snapshot:
    """The interface in another namespace: switched off, unplugged and bare (dev_change_net_namespace)."""
    there = replace(order, name=name)
    refuse_if(name == order.name or there.namespace.link_named(link.name), name)  # EEXIST
    far = far_end(order.snapshot, order.name, link)
    off = order.with_link(replace(link, up=False, master=None, port=None)).snapshot
    order = emptied(replace(order, snapshot=settled(order.snapshot, off)), link)
    there = replace(order, name=name)
    taken = {*column(there.namespace.links, "index")}
    index = link.index if link.index not in taken else max(taken) + 1
    bare = replace(link, index=index, up=False, carrier=False, master=None, port=None, qdiscs=(), filters=())
    there = there.with_fields(links=(*there.namespace.links, bare))
    there = there.with_fields(sysctls=with_defaults(there, link.name))
    return there.snapshot if far is None else tied(there, bare, far)


def _without_those_of(link: Link, known: Mapping[str, str]) -> dict[str, str]:
    """The sysctls but for those of an interface."""
    own = f".{link.key}."
    stems = [f".{table}{own}" for table in _OF_INTERFACES]
    return {key: text for key, text in known.items() if own not in key or not any(s in key for s in stems)}


def with_defaults(order: Order, name: str) -> Mapping[str, str]:
    """The sysctls with those of an interface that is new here."""
    stem, known = f".conf.{name.replace('.', '/')}.", order.namespace.sysctls
    new = {
        key.replace(".conf.default.", stem): value
        for key, value in known.items()
        if ".conf.default." in key and not key.endswith(".mtu")
    }
    return joined(known, new)


def emptied(order: Order, link: Link) -> Order:
    """The namespace without an interface and all that stands on it."""
    bare = with_addresses(order, link, elsewhere(order.namespace.addresses, link))
    order = replace(order, snapshot=bare)
    namespace = order.namespace
    return order.with_fields(
        sysctls=_without_those_of(link, namespace.sysctls),
        links=elsewhere(namespace.links, link),
        routes=tuple(route for route in namespace.routes if link.index not in route.indexes),
        neighbours=elsewhere(namespace.neighbours, link),
        fdb=elsewhere(namespace.fdb, link),
    )


def tied(order: Order, link: Link, far: tuple[str, Link]) -> Snapshot:
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
    named = where(order.snapshot.peers, namespace=order.name)
    known = find(named, peer=other)
    if known is not None:
        return order, known.nsid
    # its interfaces name some that nobody has asked for yet
    said = filter(None, column(order.namespace.links, "link"))
    taken = those_not_in(column((*named, *said), "nsid"), (None,))
    found = FoundPeer(order.name, 1 + max(taken, default=-1), other)
    return replace(order, snapshot=replace(order.snapshot, peers=(*order.snapshot.peers, found))), found.nsid


_VALUES = {"on": True, "off": False}


def set_port(order: Order) -> Snapshot:
    """`bridge link set dev PORT KEY VALUE …`: the flags of a port, and its state as a number or a word."""
    link, words = order.device, order.plain
    port = must(link.port, link.name)  # EOPNOTSUPP
    for key, value in zip(words[::2], words[1::2], strict=True):
        if key == "state":
            port = replace(port, state=_state(order, link, value))
        else:
            port = replace(port, **{_SWITCHES[key]: _VALUES[value]})
    return settled(order.snapshot, order.with_link(replace(link, port=port)).snapshot)


def _state(order: Order, link: Link, value: str) -> str:
    """A state set by hand: not where the kernel's own STP decides, and not on a port that cannot work.

    Without STP a port that is to block forwards (br_set_port_state, br_make_forwarding).
    """
    state = _STATES[int(value)] if value.isdigit() else _STATES[_STATES.index(value)]
    refuse_if(must(order.namespace.link(link.master), value).has_stp, value)  # EBUSY
    refuse_if(state != "disabled" and not link.runs, value)  # ENETDOWN
    return "forwarding" if state == "blocking" else state


_NEXT = {"listening": "learning", "learning": "forwarding"}


def wait(order: Order) -> Snapshot:
    """`sleep SECONDS`: with STP a port that listens learns after the forward delay of its bridge, and one
    that learns forwards (br_forward_delay_timer_expired).
    """
    [seconds], before = order.words, order.snapshot
    refuse_if(not seconds.isdigit(), seconds)
    for bridge in where(order.namespace.links_of("bridge"), has_stp=True, up=True):
        if must(bridge.bridge, bridge.name).forward_delay <= int(seconds):
            for port in among(where(order.namespace.ports(bridge), runs=True), port_state=_NEXT):
                on = replace(must(port.port, port.name), state=_NEXT[port.port_state])
                order = order.with_link(replace(port, port=on))
    return settled(before, order.snapshot)


def change_fdb(order: Order) -> Snapshot:
    """`bridge fdb del|add|append|replace MAC dev IFACE [master|self] [static] [END]`, and END is
    `dst REMOTE [port P] [vni N] [via IFACE]`.
    """
    (_, mac), link, remote, table = order.plain[:2], order.device, order.address("dst"), order.namespace.fdb
    refuse_if(not _MAC.fullmatch(mac), mac)
    own = "self" in order.plain and link.kind == "bridge"  # its entries are in its table, as its ports' are
    masters = {"self": link.index if own else None, "master": link.master}
    master = next((masters[word] for word in order.plain if word in masters), None)
    via = order.link(order.needed("via")).index if order.option("via") else None
    vni, port = map(order.number, ("vni", "port"))
    ends = FdbEntry(link.index, mac, vni=vni, via=via, port=port)
    known = where(table, mac=mac, index=link.index, vlan=None)
    there = [e for e in known if _is_meant(e, master, remote) and remote in (None, _end(e, link, ends))]
    others = [*filter(partial(_gives_way, link), where(table, mac=mac))]
    verb = order.permit(there, "add", "append", "replace", "del")
    # EOPNOTSUPP: of what everybody gets there are several (vxlan_fdb_update_existing)
    refuse_if(verb == "replace" and mac == NO_MAC and has(others, index=link.index), mac)
    state = "static" if {"static", "dynamic"} & {*order.plain} else "permanent"
    refuse_if(own and state != "permanent", state)  # EINVAL
    entry = replace(ends, master=master, state=state, local=own, remote=remote)
    gone = {"del": there, "replace": others}.get(verb, [])
    return order.with_fields(fdb=order.edited(table, gone, entry)).snapshot


def _is_meant(entry: FdbEntry, master: int | None, remote: str | None) -> bool:
    return (entry.master is None) is (master is None) and remote in (None, entry.remote)


def _end(entry: FdbEntry, link: Link, meant: FdbEntry) -> str | None:
    """The end of an entry that is bound to this interface, and sends by this number and port; what is not
    said is the device's (vxlan_fdb_find_rdst).
    """
    own = link.tunnel
    same = own.by(entry.vni, entry.port) == own.by(meant.vni, meant.port) and entry.via == meant.via
    return entry.remote if same else None


def _gives_way(link: Link, entry: FdbEntry) -> bool:
    """A bridge has one entry for an address, wherever it leads; a VXLAN has its own."""
    bridge = link.index if link.kind == "bridge" else link.master
    return entry.index == link.index or (bridge is not None and entry.master == bridge)


def change_vlan(order: Order) -> Snapshot:
    """`bridge vlan add|del dev IFACE vid N [pvid] [untagged] [self]`: of a port, or of the bridge itself."""
    (verb, vid, number, *flags), link = order.plain, order.device
    refuse_if(vid != "vid" or not {*flags} <= {"pvid", "untagged", "self", "master"}, vid)
    side = "bridge" if "self" in flags else "port"
    holder: Bridge | BridgePort = must(getattr(link, side), link.name)  # EOPNOTSUPP
    known = must(holder.vlans, link.name)  # the bridge filters none
    new = PortVlan(int(number), "pvid" in flags, "untagged" in flags)
    same = where(known, id=new.id)
    refuse_if(verb not in ("add", "del") or (verb == "del" and not same), number)  # ENOENT
    others = tuple(replace(each, pvid=each.pvid and not new.pvid) for each in those_not_in(known, same))
    vlans = tuple(sorted(order.edited(others, (), new), key=lambda each: each.id))
    return order.with_link(replace(link, **{side: replace(holder, vlans=vlans)})).snapshot


def delete_filter(order: Order) -> Snapshot:
    """`tc filter del dev IFACE ingress|egress`: all filters of that side."""
    link, [side] = order.device, order.plain
    kept = but(link.filters, direction=side)
    return order.with_link(replace(link, filters=kept)).snapshot


def delete_qdisc(order: Order) -> Snapshot:
    """`tc qdisc del dev IFACE PARENT`: the discipline there, and what hangs below it."""
    link, parent = order.device, " ".join(order.plain)
    gone = where(link.qdiscs, parent=parent)
    refuse_if(not gone, parent)
    kept = () if parent == "root" else but(link.qdiscs, parent=parent)
    return order.with_link(replace(link, qdiscs=kept)).snapshot
