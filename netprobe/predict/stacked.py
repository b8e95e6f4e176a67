"""Devices that stand on an interface: macvlan and ipvlan, VLAN and MACsec; who of them a frame goes to.

Kernel: drivers/net/macvlan.c, drivers/net/ipvlan/ipvlan_core.c, net/8021q/vlan_core.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from netprobe.model import Command, Link, Object, Stage, Stop

from .bridge import settings
from .drop import Unread, isolated, link_down, lost
from .fixes import link_set
from .outcome import Branch, Crossing, Ways, is_group
from .trace import hop
from .view import Ground, Packet


def out_of_macvlan(ground: Ground, name: str, link: Link, packet: Packet) -> Ways:
    """To the siblings on the same parent in bridge mode, else (or besides) out of the parent
    (macvlan_queue_xmit).
    """
    lower = ground.beyond(name, link.link)
    if lower is None:
        return (Branch(packet, exit=(name, link)),)
    there, parent = lower
    mac = packet.station
    if not parent.up:
        return (Branch(packet, stop=link_down(there, parent, Stage.TRANSMIT)),)
    if mac == parent.mac:
        text = f"{link.name} is a macvlan on {there}/{parent.name}: the two cannot talk to each other"
        return (Branch(packet, stop=lost("macvlan-parent-isolated", name, link, Stage.TRANSMIT, text)),)
    on_parent = ground.all_macvlans_on(there, parent)
    siblings = [(n, s) for n, s in on_parent if (n, s.index) != (name, link.index)]
    meant = next((each for each in siblings if each[1].mac == mac), None)
    if meant is not None:
        return (_to_sibling(ground, (name, link), meant, lower, packet),)
    own = Crossing(there, parent, packet)
    if link.macvlan_mode != "bridge" or not is_group(mac):
        return (own,)
    near = [(n, s) for n, s in siblings if s.macvlan_mode == "bridge"]
    return (*(_to_station(n, s, packet.scrubbed(n != name)) for n, s in near), own)


def _to_sibling(
    ground: Ground, own: tuple[str, Link], other: tuple[str, Link], lower: tuple[str, Link], packet: Packet
) -> Crossing | Branch:
    """From one macvlan to another: over the parent, for the taps that are there, where both are in bridge
    mode.
    """
    there, parent = lower
    loner = next((each for each in (own, other) if each[1].macvlan_mode != "bridge"), None)
    if loner is None:
        return Crossing(there, parent, packet.scrubbed(there != own[0]), inward=True)
    if loner[1].macvlan_mode == "vepa" and _is_reflected(ground, *lower):
        return Crossing(there, parent, packet)
    return _gone_by_the_parent(loner, lower, packet)


def _is_reflected(ground: Ground, name: str, parent: Link) -> bool:
    """Whether the parent is on a switch that sends frames back by the port they came from: what a VEPA
    counts on.
    """
    far = ground.peer(name, parent)
    return far is not None and far[1].master is not None and settings(far[1]).hairpin


def up(ground: Ground, name: str, link: Link, packet: Packet, own: Branch) -> Ways:
    """Who takes up a frame that came in at `link`: a device that stands on it, or (and) its own stack."""
    if tagged := tagged_above(ground, name, link, packet):
        return tagged
    stations = _stations_above(ground, name, link, packet)
    if not stations:
        return tuple(_below_a_bridge(ground, name, link, own)) if own.stop is not None else (own,)
    return (*stations, own) if is_group(packet.flow.dst_mac) else stations


def _below_a_bridge(ground: Ground, name: str, link: Link, own: Branch) -> Iterator[Branch]:
    """A frame that nobody takes up where a macvlan is the port of a bridge: it hears what is for its own MAC,
    and not what is for those behind the bridge (macvlan_handle_frame), unless all is its.
    """
    for there, each in ground.on_index(link.index):
        bridge = ground.namespace(there).link(each.master)
        if each.kind != "macvlan" or bridge is None or bridge.kind != "bridge":
            continue
        text = (
            f"{each.name} of {there}, a macvlan of mode {each.macvlan_mode} on {link.name} of {name}, hears"
            f" what is for its own MAC alone, and not what is for those behind its bridge {bridge.name}"
        )
        thing = Object("link", each.name, f"{each.name} macvlan mode {each.macvlan_mode}")
        fix = _all_to_itself(name, link, there, each, bridge)
        yield replace(
            own, stop=lost("mac-not-allowed", there, each, Stage.RECEIVE, text, object=thing, fix=fix)
        )
        return
    yield own


def _all_to_itself(name: str, lower: Link, there: str, link: Link, bridge: Link) -> tuple[Command, ...]:
    """The macvlan made again in mode passthru, which cannot be set on one that is there
    (macvlan_changelink).
    """
    new = f"{link.name}-all"[-_LONGEST:]
    return (
        Command.of("ip", "link", "del", link.name, namespace=there),
        Command.of(
            "ip",
            "link",
            "add",
            new,
            "link",
            lower.name,
            "type",
            "macvlan",
            "mode",
            "passthru",
            namespace=name,
        ),
        Command.of("ip", "link", "set", "dev", new, "netns", there, namespace=name),
        Command.of("ip", "link", "set", "dev", new, "name", link.name, namespace=there),
        Command.of("ip", "link", "set", "dev", link.name, "master", bridge.name, namespace=there),
        Command.of("ip", "link", "set", "dev", link.name, "up", namespace=there),
    )


_LONGEST = 15  # bytes of a name (IFNAMSIZ)


def tagged_above(ground: Ground, name: str, link: Link, packet: Packet) -> Ways:
    """The VLAN or MACsec device that takes the outermost tag off a frame (vlan_do_receive); none where it
    is not visible.
    """
    outermost = packet.tags[-1:]
    untagged = replace(packet, tags=packet.tags[:-1])
    return (
        tuple(_above(ground, name, link, untagged, lambda _, each: tag(each) == outermost))
        if outermost
        else ()
    )


def _stations_above(ground: Ground, name: str, link: Link, packet: Packet) -> Ways:
    """The macvlans whose MAC address a frame bears, or all for a group; the ipvlan whose IP address its
    packet bears.
    """
    mac, group = packet.station, is_group(packet.station)

    def meant(there: str, each: Link) -> bool:
        if each.kind == "macvlan":
            return group or each.mac == mac or each.macvlan_mode == "passthru"
        if each.kind == "ipvlan":
            return group or ground.namespace(there).has_on(each, packet.flow.dst)
        return False

    return tuple(_above(ground, name, link, packet, meant))


def _above(
    ground: Ground, name: str, link: Link, packet: Packet, meant: Callable[[str, Link], bool]
) -> Iterator[Branch | Crossing]:
    """A frame that came in at `link` goes up to each device on it that is `meant`, in the namespaces read
    so far.
    """
    for there, each in ground.on_index(link.index):
        if not meant(there, each):
            continue
        try:
            if ground.beyond(there, each.link) == (name, link):
                stranger = _not_listed(there, each, packet)
                yield Branch(packet, stop=stranger) if stranger else _to_station(there, each, packet)
        except Unread as unread:  # it may stand here, or not
            yield Branch(packet, stop=unread.reason)


def _not_listed(name: str, link: Link, packet: Packet) -> Stop | None:
    """A macvlan of mode source takes frames of those stations only that it was told of
    (macvlan_forward_source).
    """
    mac = packet.flow.src_mac
    if link.macvlan_mode != "source" or mac is None or mac in link.macvlan_sources:
        return None
    text = (
        f"{link.name} in {name} is a macvlan of mode source, and {mac} is none of the stations that it hears"
    )
    thing = Object("link", link.name, f"{link.name} macvlan mode source")
    fix = (link_set(link, "type", "macvlan", "macaddr", "add", mac),)
    return lost("mac-not-allowed", name, link, Stage.RECEIVE, text, object=thing, fix=fix)


def _to_station(name: str, link: Link, packet: Packet) -> Branch | Crossing:
    if not link.up:
        return Branch(packet, stop=link_down(name, link, Stage.RECEIVE))
    return Crossing(name, link, packet, inward=True)


def tag(link: Link) -> tuple[str, ...]:
    """What the device puts around a frame, or takes off it."""
    if link.kind == "vlan" and link.vlan_id is not None:
        return (f"vlan {link.vlan_id}",)
    return ("macsec",) if link.kind == "macsec" else ()


def _gone_by_the_parent(loner: tuple[str, Link], parent: tuple[str, Link], packet: Packet) -> Branch:
    """A frame between two macvlans of which one takes none from its siblings: it goes out into the world, and
    nobody there wants it.
    """
    here = hop(*parent, Stage.TRANSMIT, packet, bound="out")
    text = (
        f"{loner[1].name} in {loner[0]} is a macvlan in mode {loner[1].macvlan_mode}: frames between it and"
        " its siblings leave by"
    )
    return Branch(
        packet,
        stop=isolated(*loner, f"{text} {parent[0]}/{parent[1].name} and do not come back"),
        hops=(here,),
    )
