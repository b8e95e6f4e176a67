"""Layer 2: where a frame goes that is put on an interface - over veths, bridges, VLANs, macvlans - and who
takes it up.

Kernel: drivers/net/veth.c, net/bridge/br_{device,input,forward,fdb}.c, drivers/net/macvlan.c, net/core/dev.c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from netprobe.model import Command, FdbEntry, Hop, Link, Namespace, Need, Stage, Stop

from . import netfilter
from .bridge import (
    fdb_lookup,
    into_vlan,
    listeners,
    misled,
    no_flood,
    not_let_in,
    not_listening,
    out_of_vlan,
    port_object,
    reopen,
    settings,
    state_of,
    swallowed,
    turned_back,
    vlan_of,
)
from .bystanders import bystanders
from .conntrack import connection
from .drop import Unread, isolated, link_down, link_object, lost
from .fixes import bridge_port, link_set
from .outcome import BROADCAST, Branch, Crossing, Readdressed, Steering, Ways, is_group
from .trace import Trail, hop
from .view import Ground, Lacking, Packet

Tunnel = Callable[[str, Link, Packet], Ways]
Rerouting = Callable[[str, Link, Packet], Readdressed]


class Segment:
    """Frames over the wiring of a snapshot.

    Without `barred` every bridge port is taken to be open: what lies behind it?

    A frame crosses each interface once in each direction, so a flood costs as much as there are ports, also
    where cables make a circle: its further copies take no way that an earlier one has not taken. What the
    snapshot lacks is asked for together. `through` takes a frame through a tunnel, whose packet is routed:
    that is the layer above, and so is `rerouted`, which finds the MAC of one that IP rules on a bridge gave
    another destination. `trail` keeps the connections of namespaces that a frame only crosses on a
    bridge: br_netfilter tracks it all the same.
    """

    def __init__(
        self,
        ground: Ground,
        through: Tunnel,
        rerouted: Rerouting,
        barred: bool = True,
        trail: Trail | None = None,
    ) -> None:
        self.ground = ground
        self.through = through
        self.rerouted = rerouted
        self.barred = barred
        self.trail = trail

    def transmit(self, name: str, link: Link, packet: Packet, note: str = "") -> tuple[Branch, ...]:
        """Put the frame on `link` of namespace `name`; every branch it takes."""
        return self._spread(Crossing(name, link, packet, note=note))

    def receive(self, name: str, link: Link, packet: Packet) -> tuple[Branch, ...]:
        """A frame arrives at `link` of namespace `name`; every branch it takes from there."""
        return self._spread(Crossing(name, link, packet, inward=True))

    def _spread(self, first: Crossing) -> tuple[Branch, ...]:
        """Every branch of a frame, in the order of the ports.

        The nearest interfaces are crossed first, as frames do.
        """
        waiting, crossed = deque([first]), {first.point}
        ended: list[Branch] = []
        circle: Branch | None = None
        needs: dict[Need, None] = {}
        while waiting:
            at = waiting.popleft()
            try:
                ways = self._cross(at)
            except Lacking as lacking:
                needs |= dict.fromkeys(lacking.needs)
                continue
            except Unread as unread:  # of this way alone: another may lead to the one who is asked for
                ways = (Branch(at.packet, stop=unread.reason),)
            for way in at.onward(ways):
                if isinstance(way, Branch):
                    ended.append(_answered_for(misled(way)))
                elif way.point not in crossed:
                    crossed.add(way.point)
                    waiting.append(way)
                else:
                    circle = circle or _circle(way)
        if needs:
            raise Lacking(*needs)
        if not ended and circle is not None:
            return (circle,)
        return tuple(sorted(ended, key=lambda branch: branch.order))

    def _cross(self, at: Crossing) -> Ways:
        """What comes of a frame that crosses one interface."""
        return self._receive(at.name, at.link, at.packet) if at.inward else self._transmit(at)

    def _transmit(self, at: Crossing) -> Ways:
        """A frame leaves by an interface."""
        name, link, packet = at.name, at.link, at.packet
        if down := not_running(self.ground, name, link, at.stage):
            return (Branch(packet, stop=down),)
        passed = netfilter.on_transmit(self.ground, name, link, packet)
        packet = passed.packet
        if passed.stop:
            return (Branch(packet, stop=passed.stop),)
        here = hop(name, link, at.stage, packet, at.note, "out")
        return tuple(way.behind(here) for way in self._carry(name, link, packet))

    def _carry(self, name: str, link: Link, packet: Packet) -> Ways:
        """Where the device takes a frame that was put on it."""
        match link.kind:
            case "veth":
                return self._across(name, link, packet)
            case "bridge":
                return self._bridge_out(name, link, packet)
            case "vlan" | "ipvlan" | "macsec":
                lower = self.ground.beyond(name, link.link)
                tagged = replace(packet, tags=(*packet.tags, *_tag(link)))
                return (Crossing(*lower, tagged) if lower else Branch(packet, exit=(name, link)),)
            case "macvlan":
                return self._macvlan_out(name, link, packet)
            case "vxlan":
                return tuple(replace(way, tunnelled=True) for way in self.through(name, link, packet))
            case "dummy":
                text = f"{link.name} is a dummy: it swallows what is sent"
                return (Branch(packet, stop=lost("route-via-dead-device", name, link, Stage.TRANSMIT, text)),)
            case "tun" if not link.carrier:
                text = f"no program serves {link.name}"
                return (Branch(packet, stop=lost("route-via-dead-device", name, link, Stage.TRANSMIT, text)),)
        return (Branch(packet, exit=(name, link)),)

    def _across(self, name: str, link: Link, packet: Packet) -> Ways:
        """Over a veth pair: what leaves one end arrives at the other."""
        far = self.ground.beyond(name, link.link)
        if far is None:
            return (Branch(packet, exit=(name, link)),)
        there, peer = far
        packet = packet.scrubbed(there != name)
        if not peer.up:
            return (Branch(packet, stop=link_down(there, peer, Stage.RECEIVE)),)
        if self._too_long(packet, peer):
            return (Branch(packet, stop=_too_long_for(there, peer, packet)),)
        return (Crossing(there, peer, packet, inward=True),)

    def _receive(self, name: str, link: Link, packet: Packet) -> Ways:
        """A frame arrives at `link`:

        XDP and ingress first, then VLAN, bridge, macvlan or ipvlan above it, then its own stack.
        """
        seen = netfilter.on_xdp(self.ground, name, link, packet)
        passed = netfilter.on_ingress(self.ground, name, link, seen)
        if passed.stop:
            return (Branch(seen, stop=passed.stop, hops=(hop(name, link, Stage.RECEIVE, seen, bound="in"),)),)
        here = hop(name, link, Stage.RECEIVE, seen, bound="in")
        master = self.ground.namespace(name).link(link.master)
        if (
            master is not None
            and master.kind == "bridge"
            and not self._tagged_above(name, link, passed.packet)
        ):
            return self._bridge_in(name, master, link, seen, passed.packet)
        return tuple(
            way.behind(here)
            for way in self._up(name, link, passed.packet, self._take_up(name, link, passed.packet))
        )

    def _take_up(self, name: str, link: Link, packet: Packet) -> Branch:
        """The stack of `link` takes a frame that is for its own MAC (or a group); others are
        PACKET_OTHERHOST.
        """
        mac = packet.flow.dst_mac
        if unclaimed := _unclaimed(name, link, packet):
            return Branch(packet, stop=unclaimed)
        if mac and link.mac and mac != link.mac and not is_group(mac):
            text = f"{name}/{link.name} has MAC {link.mac}, not {mac}: it ignores the frame"
            return Branch(packet, stop=lost("neigh-wrong-entry", name, link, Stage.RECEIVE, text))
        return Branch(replace(packet, tags=()), at=(name, link))

    # ---- bridges

    def _bridge_out(self, name: str, bridge: Link, packet: Packet) -> Ways:
        """The host itself sends on its bridge (br_dev_xmit)."""
        entered = into_vlan(name, bridge, bridge, packet)
        if isinstance(entered, Stop):
            return (Branch(packet, stop=entered),)
        return self._switch(name, bridge, None, entered)

    def _bridge_in(self, name: str, bridge: Link, port: Link, seen: Packet, packet: Packet) -> Ways:
        """A frame enters a bridge at a port (br_handle_frame); `seen` is the packet as a tap on the port saw
        it.
        """
        leads = self.ground.other_side(name, port)
        here = hop(
            name, port, Stage.BRIDGE_PREROUTING, seen, f"port of {bridge.name}{leads}, {state_of(port)}", "in"
        )
        if closed := self._closed(name, bridge, port, "in"):
            return (Branch(packet, stop=closed, hops=(here,)),)
        passed = netfilter.on_bridge(self.ground, name, bridge, "prerouting", packet, port, None, self.trail)
        if passed.stop:
            return (Branch(packet, stop=passed.stop, hops=(here,)),)
        on = Readdressed(passed.packet, "")
        if passed.packet.flow.dst != packet.flow.dst:
            on = self.rerouted(name, bridge, passed.packet)
        hops = (here, *_translated(name, bridge, Stage.PREROUTING, passed, on.note))
        entered = on.stop or self._let_in(name, bridge, port, on.packet)
        if isinstance(entered, Stop):
            return (Branch(on.packet, stop=entered, hops=hops),)
        ways = self._switch(name, bridge, port, entered)
        return tuple(replace(way, blamed=way.blamed or on.blamed).behind(*hops) for way in ways)

    def _let_in(self, name: str, bridge: Link, port: Link, packet: Packet) -> Packet | Stop:
        """The frame in its VLAN, or why a port does not let it in: its VLANs, its lock."""
        if not self.barred:
            return packet
        entered = into_vlan(name, bridge, port, packet)
        if isinstance(entered, Stop):
            return entered
        return not_let_in(self.ground.namespace(name), bridge, port, entered) or entered

    def _switch(self, name: str, bridge: Link, port: Link | None, packet: Packet) -> Ways:
        """The forwarding decision: the FDB's port, the bridge itself, or a flood."""
        namespace, mac = self.ground.namespace(name), packet.flow.dst_mac or BROADCAST
        if is_group(mac):
            return self._to_group(namespace, bridge, port, packet)
        entry = fdb_lookup(namespace, bridge, mac, vlan_of(bridge, packet))
        if entry is None and mac == bridge.mac:
            return self._to_host(name, bridge, port, packet)
        out = namespace.link(entry.index) if entry is not None else None
        if entry is None or (out is None and not entry.local):
            return self._flood(namespace, bridge, port, packet)
        if out is None or entry.local or out.index == bridge.index:
            passed_up = self._to_host(name, bridge, port, packet)
            mine = mac in (bridge.mac, port.mac if port else bridge.mac)
            return (
                passed_up
                if mine
                else tuple(self._unless_taken_up(w, namespace, bridge, entry) for w in passed_up)
            )
        return self._by_entry(name, bridge, port, out, packet, entry)

    def _to_group(self, namespace: Namespace, bridge: Link, port: Link | None, packet: Packet) -> Ways:
        """A flood, or to those who listen."""
        listening = listeners(namespace, bridge, packet) if self.barred else None
        host = port is not None and (listening is None or bridge.index in listening)
        up = self._to_host(namespace.name, bridge, port, packet) if host else ()
        return (*up, *self._flood(namespace, bridge, port, packet, listening))

    def _by_entry(
        self, name: str, bridge: Link, port: Link | None, out: Link, packet: Packet, entry: FdbEntry
    ) -> Ways:
        """Out of the port that the FDB names."""
        refused = self._refused(name, bridge, port, out, netfilter.redirected(name, packet))
        if refused and entry.static and refused.code == "fdb-wrong-entry":
            refused = turned_back(name, bridge, out, entry)
        if refused:
            return (Branch(packet, stop=refused),)
        behind = f"{packet.flow.dst_mac} is behind {out.name}{self.ground.other_side(name, out)}"
        steered = self._out_of(name, bridge, port, out, packet, f"FDB of {bridge.name}: {behind}")
        return tuple(way.steered_by(Steering(name, bridge, out, entry)) for way in steered)

    def _to_host(self, name: str, bridge: Link, port: Link | None, packet: Packet) -> Ways:
        """The frame goes up to the bridge device's own stack (br_pass_frame_up)."""
        if not bridge.up:
            return (Branch(packet, stop=link_down(name, bridge, Stage.BRIDGE_INPUT)),)
        left = out_of_vlan(name, bridge, bridge, packet)
        if isinstance(left, Stop):
            return (Branch(packet, stop=left),)
        passed = netfilter.on_bridge(self.ground, name, bridge, "input", left, port, None, self.trail)
        packet = passed.packet
        if passed.stop:
            return (Branch(packet, stop=passed.stop),)
        own = (
            "frame is for everybody"
            if is_group(packet.flow.dst_mac or BROADCAST)
            else f"frame is for {bridge.name}'s own MAC"
        )
        here = hop(name, bridge, Stage.BRIDGE_INPUT, packet, own, "in")
        unclaimed = _unclaimed(name, bridge, packet)
        taken = Branch(packet, stop=unclaimed) if unclaimed else Branch(packet, at=(name, bridge))
        return tuple(way.behind(here) for way in self._up(name, bridge, packet, taken))

    def _unless_taken_up(
        self, way: Branch | Crossing, namespace: Namespace, bridge: Link, entry: FdbEntry
    ) -> Branch | Crossing:
        """The host's own stack ignores a frame that is not for one of its MACs; what stands on the bridge may
        take it.
        """
        return (
            swallowed(way, namespace, bridge, entry)
            if isinstance(way, Branch) and way.at is not None
            else way
        )

    def _flood(
        self,
        namespace: Namespace,
        bridge: Link,
        port: Link | None,
        packet: Packet,
        listening: frozenset[int] | None = None,
    ) -> Ways:
        """To every port that takes floods of this kind, or those alone behind which somebody listens; ports
        towards namespaces already known come first.
        """
        mac = packet.flow.dst_mac or BROADCAST
        branches: list[Branch | Crossing] = []
        every = namespace.ports(bridge)
        others = bystanders(self.ground, namespace.name, every, packet)
        ports = sorted(
            (each for each in every if each.index not in others),
            key=lambda p: not self.ground.knows(namespace.name, p.link.nsid if p.link else None),
        )
        for out in ports:
            if port is not None and out.index == port.index and not settings(out).hairpin:
                continue
            refused = self._refused(namespace.name, bridge, port, out)
            if refused is None and listening is not None and out.index not in listening:
                refused = not_listening(namespace.name, bridge, out, packet)
            if refused is None and listening is None and self.barred:
                refused = no_flood(namespace.name, bridge, out, mac)
            if refused:
                branches.append(Branch(packet, stop=refused))
            else:
                branches += self._out_of(
                    namespace.name, bridge, port, out, packet, f"flooded by {bridge.name}"
                )
        if branches:
            return tuple(branches)
        text = f"{bridge.name} has no other port for {mac}"
        if others:
            text = (
                f"none of the {len(others)} stations behind the ports of {bridge.name} is {packet.flow.dst}"
            )
        stop = lost("neigh-wrong-entry", namespace.name, bridge, Stage.BRIDGE_FORWARD, text)
        return (Branch(packet, stop=stop, alone=(namespace.name, bridge)),)

    def _refused(
        self, name: str, bridge: Link, port: Link | None, out: Link, redirected: bool = False
    ) -> Stop | None:
        """Why the bridge will not forward from `port` to `out` (should_deliver, br_skb_isolated).

        A frame that was `redirected` to where it came from is right to go there.
        """
        if port is not None and self.barred and settings(port).isolated and settings(out).isolated:
            text = f"{port.name} and {out.name} are both isolated ports of {bridge.name}"
            return lost("port-isolated", name, out, Stage.BRIDGE_FORWARD, text,
                object=port_object(out, "isolated on"),
                        fix=(bridge_port(out, "isolated", "off"),))  # fmt: skip
        if port is not None and out.index == port.index and not settings(out).hairpin:
            text = (
                f"{bridge.name} does not send a frame back out of the port it came from ({out.name}, hairpin"
                " off)"
            )
            code = "port-not-forwarding" if redirected else "fdb-wrong-entry"
            return lost(code, name, out, Stage.BRIDGE_FORWARD, text,
                object=port_object(out, "hairpin off"),
                        fix=(bridge_port(out, "hairpin", "on"),))  # fmt: skip
        return self._closed(name, bridge, out, "out")

    def _closed(self, name: str, bridge: Link, port: Link, bound: str) -> Stop | None:
        """Why a port passes nothing: its own link, or its state."""
        stage = Stage.BRIDGE_PREROUTING if bound == "in" else Stage.BRIDGE_POSTROUTING
        if not bridge.up:
            return link_down(name, bridge, stage)
        if down := not_running(self.ground, name, port, stage):
            return down
        if self.barred and settings(port).state != "forwarding":
            text = f"port {port.name} of {bridge.name} is {state_of(port)}, not forwarding"
            return lost("port-not-forwarding", name, port, stage, text,
                object=port_object(port, f"state {settings(port).state}"),
                        fix=reopen(bridge, port))  # fmt: skip
        return None

    def _out_of(
        self, name: str, bridge: Link, port: Link | None, out: Link, packet: Packet, note: str
    ) -> Ways:
        """Out of one port (__br_forward, br_dev_queue_push_xmit)."""
        left = out_of_vlan(name, bridge, out, packet) if self.barred else packet
        if isinstance(left, Stop):
            return (Branch(packet, stop=left),)
        packet = left
        hops: tuple[Hop, ...] = ()
        for hook in ("output" if port is None else "forward", "postrouting"):
            passed = netfilter.on_bridge(self.ground, name, bridge, hook, packet, port, out, self.trail)
            packet = passed.packet
            hops = (*hops, *_translated(name, bridge, Stage(hook), passed))
            if passed.stop:
                return (Branch(packet, stop=passed.stop, hops=hops),)
        if self.trail is not None and port is not None:
            self.trail.track(name, connection(packet, name))
        if self._too_long(packet, out):
            return (Branch(packet, stop=_too_long_for(name, out, packet), hops=hops),)
        return (Crossing(name, out, packet, Stage.BRIDGE_POSTROUTING, note, hops=hops),)

    # ---- macvlan

    def _macvlan_out(self, name: str, link: Link, packet: Packet) -> Ways:
        """To the siblings on the same parent in bridge mode, else (or besides) out of the parent
        (macvlan_queue_xmit).
        """
        lower = self.ground.beyond(name, link.link)
        if lower is None:
            return (Branch(packet, exit=(name, link)),)
        there, parent = lower
        mac = packet.flow.dst_mac or BROADCAST
        if not parent.up:
            return (Branch(packet, stop=link_down(there, parent, Stage.TRANSMIT)),)
        if mac == parent.mac:
            text = f"{link.name} is a macvlan on {there}/{parent.name}: the two cannot talk to each other"
            return (Branch(packet, stop=lost("macvlan-parent-isolated", name, link, Stage.TRANSMIT, text)),)
        on_parent = self.ground.all_macvlans_on(there, parent)
        siblings = [(n, s) for n, s in on_parent if (n, s.index) != (name, link.index)]
        meant = next((each for each in siblings if each[1].mac == mac), None)
        if meant is not None:
            return (self._to_sibling((name, link), meant, lower, packet),)
        own = Crossing(there, parent, packet)
        if link.macvlan_mode != "bridge" or not is_group(mac):
            return (own,)
        near = [(n, s) for n, s in siblings if s.macvlan_mode == "bridge"]
        return (*(self._to_station(n, s, packet.scrubbed(n != name)) for n, s in near), own)

    def _to_sibling(
        self, own: tuple[str, Link], other: tuple[str, Link], lower: tuple[str, Link], packet: Packet
    ) -> Crossing | Branch:
        """From one macvlan to another: over the parent, for the taps that are there, where both are in bridge
        mode.
        """
        there, parent = lower
        loner = next((each for each in (own, other) if each[1].macvlan_mode != "bridge"), None)
        if loner is None:
            return Crossing(there, parent, packet.scrubbed(there != own[0]), inward=True)
        if loner[1].macvlan_mode == "vepa" and self._is_reflected(*lower):
            return Crossing(there, parent, packet)
        return _gone_by_the_parent(loner, lower, packet)

    def _is_reflected(self, name: str, parent: Link) -> bool:
        """Whether the parent is on a switch that sends frames back by the port they came from: what a VEPA
        counts on.
        """
        far = self.ground.peer(name, parent)
        return far is not None and far[1].master is not None and settings(far[1]).hairpin

    # ---- what stands on an interface

    def _up(self, name: str, link: Link, packet: Packet, own: Branch) -> Ways:
        """Who takes up a frame that came in at `link`: a device that stands on it, or (and) its own stack."""
        if tagged := self._tagged_above(name, link, packet):
            return tagged
        stations = self._stations_above(name, link, packet)
        return (*stations, own) if not stations or is_group(packet.flow.dst_mac or "") else stations

    def _tagged_above(self, name: str, link: Link, packet: Packet) -> Ways:
        """The VLAN or MACsec device that takes the outermost tag off a frame (vlan_do_receive); none where it
        is not visible.
        """
        outermost = packet.tags[-1:]
        untagged = replace(packet, tags=packet.tags[:-1])
        return (
            tuple(self._above(name, link, untagged, lambda _, each: _tag(each) == outermost))
            if outermost
            else ()
        )

    def _stations_above(self, name: str, link: Link, packet: Packet) -> Ways:
        """The macvlans whose MAC address a frame bears, or all for a group; the ipvlan whose IP address its
        packet bears.
        """
        mac, group = packet.flow.dst_mac or BROADCAST, is_group(packet.flow.dst_mac or BROADCAST)

        def meant(there: str, each: Link) -> bool:
            if each.kind == "macvlan":
                return group or each.mac == mac
            if each.kind == "ipvlan":
                return group or any(
                    a.address == packet.flow.dst for a in self.ground.namespace(there).addresses_of(each)
                )
            return False

        return tuple(self._above(name, link, packet, meant))

    def _above(
        self, name: str, link: Link, packet: Packet, meant: Callable[[str, Link], bool]
    ) -> Iterator[Branch | Crossing]:
        """A frame that came in at `link` goes up to each device on it that is `meant`, in the namespaces read
        so far.
        """
        for there, each in self.ground.on_index(link.index):
            if not meant(there, each):
                continue
            try:
                if self.ground.beyond(there, each.link) == (name, link):
                    yield self._to_station(there, each, packet)
            except Unread as unread:  # it may stand here, or not
                yield Branch(packet, stop=unread.reason)

    def _to_station(self, name: str, link: Link, packet: Packet) -> Branch | Crossing:
        if not link.up:
            return Branch(packet, stop=link_down(name, link, Stage.RECEIVE))
        return Crossing(name, link, packet, inward=True)

    # ---- what every device has

    def _too_long(self, packet: Packet, link: Link) -> bool:
        """Whether the device would silently discard the frame (is_skb_forwardable; VLAN tag room of 4
        bytes).
        """
        return packet.longest > link.mtu + 4


def not_running(ground: Ground, name: str, link: Link, stage: Stage) -> Stop | None:
    """Why an interface passes nothing: down, or without a carrier."""
    if not link.up:
        return link_down(name, link, stage)
    if link.carrier or link.kind == "bridge":
        return None
    far = ground.beyond(name, link.link) if link.kind in ("veth", "macvlan", "vlan") else None
    if far is not None and far[1].up:
        far = None
    if far is not None and (link.kind, stage) != ("veth", Stage.TRANSMIT):
        return link_down(*far, Stage.RECEIVE if link.kind == "veth" else Stage.TRANSMIT)
    whose = ""
    fix: tuple[Command, ...] = ()
    if far is not None:
        whose = f" (its far end {far[0]}/{far[1].name} is down)"
        fix = (replace(link_set(far[1], "up"), namespace=far[0]),)
    if link.kind == "tun":
        return lost(
            "route-via-dead-device",
            name,
            link,
            stage,
            f"no program serves {link.name}",
            object=link_object(link),
        )
    return lost(
        "link-no-carrier",
        name,
        link,
        stage,
        f"{link.name} is up but has no carrier{whose}",
        object=link_object(link),
        fix=fix,
    )


def _translated(
    name: str, bridge: Link, stage: Stage, passed: netfilter.Passage, note: str = ""
) -> tuple[Hop, ...]:
    """What IP rules made of a packet on a bridge, as a hop, where they made something of it."""
    if not passed.changes:
        return ()
    here = hop(name, bridge, stage, passed.packet, note or passed.note)
    return (replace(here, changes=passed.changes, object=passed.object),)


def _answered_for(branch: Branch) -> Branch:
    """A frame that nobody takes up is the fault of the entry that gave it its MAC on the way."""
    if branch.blamed is None or branch.stop is None or branch.stop.code != "neigh-wrong-entry":
        return branch
    return replace(branch, stop=branch.blamed)


def _tag(link: Link) -> tuple[str, ...]:
    """What the device puts around a frame, or takes off it."""
    if link.kind == "vlan" and link.vlan_id is not None:
        return (f"vlan {link.vlan_id}",)
    return ("macsec",) if link.kind == "macsec" else ()


def _unclaimed(name: str, link: Link, packet: Packet) -> Stop | None:
    """A frame with a tag that no device on the interface takes off: the stack ignores it (PACKET_OTHERHOST,
    __netif_receive_skb_core), unless such a device is in a namespace that was not read.
    """
    if not packet.tags:
        return None
    text = f"{name}/{link.name} has no device for {packet.tags[-1]} that netprobe has seen"
    return lost("unknown", name, link, Stage.RECEIVE, text)


def _circle(at: Crossing) -> Branch:
    """The end of a frame all of whose copies come again to where it has been."""
    text = f"the frame comes to {at.name}/{at.link.name} again: it goes round in a circle of devices"
    return Branch(at.packet, hops=at.hops, stop=lost("route-loop", at.name, at.link, at.stage, text))


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


def _too_long_for(name: str, link: Link, packet: Packet) -> Stop:
    what = "a packet" if not packet.fragments else "a fragment"
    text = (
        f"{what} of {packet.longest} bytes is longer than the MTU {link.mtu} of {link.name}: dropped"
        " without a word"
    )
    return lost(
        "mtu-l2-mismatch",
        name,
        link,
        Stage.RECEIVE,
        text,
        object=link_object(link),
        fix=(link_set(link, "mtu", str(packet.longest)),),
    )
