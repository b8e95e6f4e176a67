"""A bridge's ports and forwarding entries: what they let pass, and what they mislead.

Kernel: net/bridge/br_{forward,fdb,stp_if}.c; bridge(8).
"""

from __future__ import annotations

from operator import attrgetter

from msgspec.structs import replace

from netprobe.model import (
    BridgePort,
    Command,
    FdbEntry,
    FdbQuery,
    Link,
    LinkRef,
    Namespace,
    Object,
    PortVlan,
    ReadFdb,
    Stage,
    Stop,
)
from netprobe.model.lookup import among, but, find, has, indexed, not_among, where

from . import prefix
from .drop import lost, unread
from .fixes import Fix, bridge_port, link_set, until_it_forwards
from .outcome import Branch, is_group
from .view import BROADCAST, Lacking, Packet


def fdb_lookup(namespace: Namespace, bridge: Link, mac: str, vlan: int | None) -> FdbEntry | None:
    """The bridge's forwarding entry for a MAC address in a VLAN (None: it looks at none); None when the frame
    would be flooded. Raises Lacking where the namespace has too many entries, and this one was not read.
    """
    if namespace.forwarded is not None:
        _ask(namespace, bridge, mac, vlan)
    wanted = vlan or 0
    entries = among(where(namespace.entries_of(mac), remote=None), vlan=(None, 0, vlan))
    found = [e for e in entries if bridge.index in (e.master, e.index)]
    return min(found, key=lambda e: (not e.local, (e.vlan or 0) != wanted), default=None)


def _ask(namespace: Namespace, bridge: Link, mac: str, vlan: int | None) -> None:
    """Ask for the entries of a MAC address, unless they were read: of all bridges at once, of which there may
    be a hundred in a row.
    """
    asked: frozenset[FdbQuery] = indexed(frozenset, namespace.forwarded or ())
    if FdbQuery(bridge.index, mac, vlan) in asked:
        return
    others = (
        FdbQuery(each.index, mac, vlan if each.filters_vlans else None)
        for each in namespace.links_of("bridge")
    )
    wanted = dict.fromkeys((FdbQuery(bridge.index, mac, vlan), *others))
    raise Lacking(*(ReadFdb(namespace.name, query) for query in wanted if query not in asked))


def port_object(port: Link, setting: str) -> Object:
    """A bridge port as an object, with the setting that matters as bridge(8) prints it."""
    return Object("bridge-port", port.name, f"{port.name} {setting}")


def settings(port: Link) -> BridgePort:
    """A port's settings; the kernel's defaults where none were read."""
    return port.port or BridgePort()


def state_of(port: Link) -> str:
    """A port's state in bridge(8)'s words."""
    return settings(port).state


def swallowed(branch: Branch, namespace: Namespace, bridge: Link, entry: FdbEntry) -> Branch:
    """A frame that an FDB entry sends up to the host, which has no such MAC and ignores it."""
    out = namespace.link(entry.index) or bridge
    text = f"the FDB of {bridge.name} takes {entry.mac} for the host's own: frames for it go no further"
    return replace(
        branch, at=None, stop=_wrong_entry(namespace.name, bridge, out, entry, Stage.BRIDGE_INPUT, text)
    )


def misled(branch: Branch) -> Branch:
    """A frame that a static FDB entry sent to a port behind which nobody has its MAC: the entry is wrong."""
    if branch.stop is None or branch.stop.code != "neigh-wrong-entry" or branch.steered is None:
        return branch
    name, bridge, out, entry = (
        branch.steered.name,
        branch.steered.bridge,
        branch.steered.out,
        branch.steered.entry,
    )
    text = f"the FDB of {bridge.name} has {entry.mac} behind {out.name}, where no station has that MAC"
    stop = _wrong_entry(name, out, out, entry, Stage.BRIDGE_FORWARD, text)
    return replace(branch, stop=_with_its_own(stop, bridge, entry.mac))


def turned_back(name: str, bridge: Link, out: Link, entry: FdbEntry) -> Stop:
    """A static FDB entry that names the very port by which the frame came in."""
    text = (
        f"the FDB of {bridge.name} has {entry.mac} behind {out.name}, by which its frames come in: they are"
        " not sent back"
    )
    stop = _wrong_entry(name, out, out, entry, Stage.BRIDGE_FORWARD, text)
    return _with_its_own(stop, bridge, entry.mac)


def _with_its_own(stop: Stop, bridge: Link, mac: str) -> Stop:
    """The stop, mended by the entry for the bridge's own MAC, where that is what another one stands for: a
    bridge has one for each, and takes up nothing by none (br_fdb_add, br_handle_frame_finish).
    """
    fix = Command.of("bridge", "fdb", "replace", mac, "dev", bridge.name, "self", "permanent")
    return stop if mac != bridge.mac else replace(stop, commands=(fix,))


def forgotten(namespace: Namespace, bridge: Link) -> Stop | None:
    """Why a frame for the bridge's own MAC, for which it has no entry, is flooded and not taken up, unless it
    takes up everything; None where those of its ports, which the kernel makes as well, were not read, unless
    it is known that all were taken away.
    """
    made = {*map(attrgetter("mac"), where(namespace.fdb, master=bridge.index, local=True))}
    emptied = bridge.bridge is not None and bridge.bridge.emptied
    if not emptied and not made.issuperset(map(attrgetter("mac"), namespace.ports(bridge))):
        return None
    named = f"{bridge.mac} dev {bridge.name} self"
    text = f"the FDB of {bridge.name} has no entry for {bridge.mac}, its own MAC: it takes no frame for it up"
    thing = Object("fdb-entry", named, f"{named} (missing)")
    stop = lost("fdb-wrong-entry", namespace.name, bridge, Stage.BRIDGE_INPUT, text, object=thing)
    return _with_its_own(stop, bridge, bridge.mac or "")


def _wrong_entry(name: str, place: Link, out: Link, entry: FdbEntry, stage: Stage, text: str) -> Stop:
    words = (entry.mac, "dev", out.name, "self" if out.kind == "bridge" else "master")
    id = " ".join(words)
    thing = Object("fdb-entry", id, f"{id} {entry.state}")
    fix = Command.of("bridge", "fdb", "del", *words, *(["local"] if entry.local else []))
    return lost("fdb-wrong-entry", name, place, stage, text, object=thing, fix=(fix,))


def vlan_of(bridge: Link, packet: Packet) -> int | None:
    """The VLAN of a frame inside a bridge; None where the bridge looks at none."""
    return _tagged(packet) if bridge.filters_vlans else None


def _tagged(packet: Packet) -> int | None:
    kind, _, number = (packet.tags[-1] if packet.tags else "").partition(" ")
    return int(number) if kind == "vlan" else None


def into_vlan(name: str, bridge: Link, at: Link, packet: Packet) -> Packet | Stop:
    """The frame with the VLAN in which it enters the bridge, at a port or from the host (at the bridge
    itself); or why it does not (br_allowed_ingress).
    """
    known = _vlans_of(at)
    if not bridge.filters_vlans:
        return packet
    if known is None:
        return packet.suspecting(_unknown(name, at))
    carried = _tagged(packet)
    if has(known, id=carried):
        return packet
    own = find(known, pvid=True)
    if not carried and own is not None:
        return replace(packet, tags=(*packet.tags, f"vlan {own.id}"))
    return _not_in_vlan(name, bridge, at, carried, Stage.BRIDGE_PREROUTING)


def out_of_vlan(name: str, bridge: Link, at: Link, packet: Packet) -> Packet | Stop:
    """The frame as it leaves the bridge, at a port or for the host (at the bridge itself): with or without
    its VLAN's tag; or why it does not (br_allowed_egress, br_handle_vlan).
    """
    carried, known = _tagged(packet), _vlans_of(at)
    if not bridge.filters_vlans or not carried:  # without a VLAN it came in by a port whose were not read
        return packet
    bare = replace(packet, tags=packet.tags[:-1])
    if known is None:
        return bare.suspecting(_unknown(name, at))
    vlan = find(known, id=carried)
    if vlan is None:
        return _not_in_vlan(name, bridge, at, carried, Stage.BRIDGE_POSTROUTING)
    return bare if vlan.untagged else packet


def _vlans_of(at: Link) -> tuple[PortVlan, ...] | None:
    """The VLANs of a bridge's own side, or of a port; None where they were not read."""
    return at.bridge.vlans if at.bridge is not None else settings(at).vlans


def _unknown(name: str, at: Link) -> Stop:
    return unread(name, f"VLANs of {at.name}", "not read", Stage.BRIDGE)


def _not_in_vlan(name: str, bridge: Link, at: Link, vlan: int | None, stage: Stage) -> Stop:
    text = f"{bridge.name} filters VLANs, and {at.name} takes part in none without a tag: it has no PVID"
    words: tuple[str, ...] = ("vid", "1", "pvid", "untagged")
    setting = "no pvid"
    if vlan:
        text = f"{bridge.name} filters VLANs, and {at.name} takes no part in VLAN {vlan}"
        words, setting = ("vid", str(vlan)), f"vlan {vlan} (missing)"
    itself = ("self",) if at.index == bridge.index else ()
    fix = (Command.of("bridge", "vlan", "add", "dev", at.name, *words, *itself),)
    return lost("port-not-forwarding", name, at, stage, text, object=port_object(at, setting), fix=fix)


def listeners(namespace: Namespace, bridge: Link, packet: Packet) -> frozenset[int] | None:
    """The ports to which a bridge that snoops multicast gives a frame, the bridge itself among them where the
    host listens; None where it floods it.

    It does so while somebody asks who listens, and what nobody asked for goes to routers alone
    (br_multicast_ipv6_rcv, br_multicast_querier_exists). ARP is broadcast; only ND is looked at here.
    """
    mac, own = packet.flow.dst_mac or "", bridge.bridge
    if own is None or not own.chooses or not mac.startswith("33:33:ff:"):
        return None
    if not own.queried and not _may_ask(namespace, bridge):
        return None
    found = namespace.listeners(bridge, prefix.group_of(mac), vlan_of(bridge, packet) or 0)
    return found | {bridge.index} if own.multicast_router else found


def _may_ask(namespace: Namespace, bridge: Link) -> bool:
    """Whether a bridge has the link-local address that it asks from (BROPT_HAS_IPV6_ADDR)."""
    return any(prefix.is_link_local(a.address) for a in namespace.addresses_of(bridge))


def not_listening(name: str, bridge: Link, out: Link, packet: Packet) -> Stop:
    """A port behind which, as far as the bridge knows, nobody listens to the group of a frame."""
    text = (
        f"{bridge.name} snoops multicast, and has not heard that anybody behind {out.name} listens to the"
        f" group of {packet.flow.dst} ({packet.flow.dst_mac})"
    )
    setting = Object("link", bridge.name, f"{bridge.name} mcast_snooping 1")
    fix = (link_set(bridge, "type", "bridge", "mcast_snooping", "0"),)
    return lost("port-flood-off", name, out, Stage.BRIDGE_FORWARD, text, object=setting, fix=fix)


def not_let_in(namespace: Namespace, bridge: Link, port: Link, packet: Packet) -> Stop | None:
    """A locked port takes frames of those stations only that the FDB has there already (802.1X;
    br_handle_frame_finish).
    """
    mac = packet.flow.src_mac
    if not settings(port).locked or mac is None:
        return None
    entry = fdb_lookup(namespace, bridge, mac, vlan_of(bridge, packet))
    if entry is not None and entry.index == port.index and not entry.local:
        return None
    text = (
        f"port {port.name} of {bridge.name} is locked, and its FDB does not know {mac} there: frames of that"
        " station are not let in"
    )
    fix = (Command.of("bridge", "fdb", "replace", mac, "dev", port.name, "master", "static"),)
    return lost(
        "mac-not-allowed",
        namespace.name,
        port,
        Stage.BRIDGE_PREROUTING,
        text,
        object=port_object(port, "locked on"),
        fix=fix,
    )


def not_forwarding(namespace: Namespace, bridge: Link, port: Link, stage: Stage) -> Stop:
    """A port that is up, in a state in which it passes nothing."""
    state = state_of(port)
    text = f"port {port.name} of {bridge.name} is {state}, not forwarding"
    thing, fix = port_object(port, f"state {state}"), _reopen(namespace, bridge, port)
    return lost("port-not-forwarding", namespace.name, port, stage, text, object=thing, fix=fix)


def _reopen(namespace: Namespace, bridge: Link, port: Link) -> Fix:
    """What lets a port forward again, after what has closed it: time, where it is on its way to that and
    spanning tree keeps frames from going round.
    """
    if settings(port).guard:
        return (bridge_port(port, "guard", "off"), link_set(port, "down"), link_set(port, "up"))
    if time := _to_wait_for(namespace, bridge, port):
        return time
    if bridge.has_stp:
        # a port that listens goes on doing so (br_stp_stop); 3 is refused while the kernel's STP runs
        return (link_set(bridge, "type", "bridge", "stp_state", "0"), bridge_port(port, "state", "3"))
    return (bridge_port(port, "state", "3"),)


def waiting(namespace: Namespace, bridge: Link, state: str) -> Fix:
    """The time until a port of this state, or one that has just been switched on, forwards by itself; none
    without STP.

    The root of the tree says how long that is (br_record_config_timeout_values), and may be any bridge here.
    """
    delay = max(each.forward_delay for each in (*namespace.links_of("bridge"), bridge))
    return until_it_forwards(delay)[state] if bridge.has_stp and delay else ()


def _to_wait_for(namespace: Namespace, bridge: Link, port: Link) -> Fix:
    """The time until a port forwards that is on its way to that, where frames may go round without STP."""
    on_its_way = settings(port).state in ("listening", "learning") and _may_go_round(namespace, bridge)
    return waiting(namespace, bridge, settings(port).state) if on_its_way else ()


_OF_STATIONS = ("veth", "tun", "dummy")


def _may_go_round(namespace: Namespace, bridge: Link) -> bool:
    """Whether several ports of a bridge lead on, to other bridges or to who cannot be seen, and not to a
    station.
    """
    plugged, ports = but(namespace.links, master=None), namespace.ports(bridge)
    here = {LinkRef(each.index) for each in plugged}
    on = {*among(ports, link=here), *not_among(ports, kind=_OF_STATIONS)}
    return len(on) > 1


def no_flood(name: str, bridge: Link, out: Link, mac: str) -> Stop | None:
    """Why a flood of this kind does not leave by `out`: one that answers ARP itself takes none (br_flood)."""
    port = settings(out)
    if port.proxy_arp:
        text = (
            f"{bridge.name} knows no port for {mac}, and {out.name}, at which it answers ARP, takes no floods"
        )
        return lost("port-flood-off", name, out, Stage.BRIDGE_FORWARD, text,
            object=port_object(out, "proxy_arp on"),
                    fix=(link_set(out, "type", "bridge_slave", "proxy_arp", "off"),))  # fmt: skip
    group = "broadcast" if mac == BROADCAST else "multicast"
    kind = group if is_group(mac) else "unicast"
    if {"broadcast": port.broadcast_flood, "multicast": port.multicast_flood, "unicast": port.unicast_flood}[
        kind
    ]:
        return None
    option = {"unicast": "flood", "multicast": "mcast_flood", "broadcast": "bcast_flood"}[kind]
    text = f"{bridge.name} knows no port for {mac}, and {out.name} takes no {kind} floods"
    return lost("port-flood-off", name, out, Stage.BRIDGE_FORWARD, text,
        object=port_object(out, f"{option} off"),
                fix=(bridge_port(out, option, "on"),))  # fmt: skip
