"""Bridges: where a frame of a port or of the host goes, by FDB, VLANs, settings of ports, and rules.

Kernel: net/bridge/br_{device,input,forward,fdb}.c.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from netprobe.model import FdbEntry, Hop, Link, Namespace, Stage, Stop

from . import netfilter, stacked
from .bridge import (
    fdb_lookup,
    forgotten,
    into_vlan,
    listeners,
    no_flood,
    not_forwarding,
    not_let_in,
    not_listening,
    out_of_vlan,
    port_object,
    settings,
    state_of,
    swallowed,
    turned_back,
    vlan_of,
)
from .bridge_answers import Told, told
from .bystanders import bystanders
from .conntrack import connection
from .device import not_running, too_long, unclaimed
from .drop import link_down, lost
from .fixes import bridge_port
from .outcome import Branch, Crossing, Readdressed, Steering, Ways, is_group
from .ruled import Passage
from .trace import Trail, hop
from .view import Ground, Packet

Rerouting = Callable[[str, Link, Packet], Readdressed]


class Switch:
    """The bridges of a snapshot.

    Without `barred` every port is taken to be open. `rerouted` finds the MAC of a frame that IP rules on a
    bridge gave another destination. `trail` keeps the connections of namespaces that a frame only crosses on
    a bridge: br_netfilter tracks it all the same.
    """

    def __init__(self, ground: Ground, rerouted: Rerouting, barred: bool, trail: Trail | None) -> None:
        self.ground = ground
        self.rerouted = rerouted
        self.barred = barred
        self.trail = trail
        self._taught: set[tuple[object, ...]] = (
            set()
        )  # by the first copy of this frame, which came the nearest way

    def send(self, name: str, bridge: Link, packet: Packet) -> Ways:
        """The host itself sends on its bridge (br_dev_xmit)."""
        entered = into_vlan(name, bridge, bridge, packet)
        if isinstance(entered, Stop):
            return (Branch(packet, stop=entered),)
        return self._switch(name, bridge, None, entered)

    def receive(self, name: str, bridge: Link, port: Link, seen: Packet, packet: Packet) -> Ways:
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
            return (Branch(passed.packet, stop=passed.stop, hops=(here,)),)
        on = Readdressed(passed.packet, "")
        if passed.packet.flow.dst != packet.flow.dst:
            on = self.rerouted(name, bridge, passed.packet)
        hops = (here, *_translated(name, bridge, Stage.PREROUTING, passed, on.note))
        entered = on.stop or self._let_in(name, bridge, port, on.packet)
        if isinstance(entered, Stop):
            return (Branch(on.packet, stop=entered, hops=hops),)
        ways = self._switch(name, bridge, port, entered)
        blamed = on.blamed or passed.blamed
        return tuple(way.answered_for_by(blamed).behind(*hops) for way in ways)

    def _let_in(self, name: str, bridge: Link, port: Link, packet: Packet) -> Packet | Stop:
        """The frame in its VLAN, or why a port does not let it in: its VLANs, its lock."""
        if not self.barred:
            return packet
        entered = into_vlan(name, bridge, port, packet)
        if isinstance(entered, Stop):
            return entered
        if refused := not_let_in(self.ground.namespace(name), bridge, port, entered):
            return refused
        if settings(port).learning and packet.flow.src_mac is not None:
            key = name, bridge.index, vlan_of(bridge, entered), packet.flow.src_mac
            if key not in self._taught:
                self._taught.add(key)
                self.ground.heard[key] = port
        return entered

    def _entry(self, namespace: Namespace, bridge: Link, mac: str, vlan: int | None) -> FdbEntry | None:
        """The forwarding entry for a MAC; what was heard on this walk moves it, unless it is sticky or the
        bridge's own (br_fdb_update).
        """
        entry = fdb_lookup(namespace, bridge, mac, vlan)
        heard = self.ground.heard.get((namespace.name, bridge.index, vlan, mac))
        if heard is None or (entry is not None and (entry.local or entry.sticky)):
            return entry
        return FdbEntry(heard.index, mac, bridge.index, vlan)

    def _switch(self, name: str, bridge: Link, port: Link | None, packet: Packet) -> Ways:
        """The forwarding decision: the FDB's port, the bridge itself, or a flood."""
        namespace, mac = self.ground.namespace(name), packet.station
        if is_group(mac):
            return self._to_group(namespace, bridge, port, packet)
        entry = self._entry(namespace, bridge, mac, vlan_of(bridge, packet))
        if entry is None and mac == bridge.mac:
            gone = forgotten(namespace, bridge)
            return (Branch(packet, stop=gone),) if gone else self._to_host(name, bridge, port, packet)
        out = namespace.link(entry.index) if entry is not None else None
        if entry is None or (out is None and not entry.local):
            return self._flood(namespace, bridge, port, packet)
        kept = entry.local and port is not None  # what the host sends leaves by the port (br_dev_xmit)
        if out is None or kept or out.index == bridge.index:
            return self._up_by_entry(name, bridge, port, packet, entry)
        return self._by_entry(name, bridge, port, out, packet, entry)

    def _to_group(self, namespace: Namespace, bridge: Link, port: Link | None, packet: Packet) -> Ways:
        """A flood, or to those who listen."""
        listening = listeners(namespace, bridge, packet) if self.barred else None
        host = port is not None and (listening is None or bridge.index in listening)
        up = self._to_host(namespace.name, bridge, port, packet) if host else ()
        told = self._told(namespace, bridge, port, packet)
        if told is None:
            return (*up, *self._flood(namespace, bridge, port, packet, listening))
        answer = (Branch(packet, stop=told.wrong, answer=told.mac),) if told.mac else ()
        return (*up, *answer, *self._flood(namespace, bridge, port, packet, listening, suppressed=True))

    def _told(self, namespace: Namespace, bridge: Link, port: Link | None, packet: Packet) -> Told | None:
        """What the bridge knows itself of an address that is asked for at a port."""
        if port is None or not self.barred:
            return None
        entry = partial(self._entry, namespace, bridge, vlan=vlan_of(bridge, packet))
        return told(namespace, bridge, port, packet, entry)

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
        """The frame goes up to the bridge device's own stack (br_pass_frame_up): past its rules, and then as
        any interface takes one up (netif_receive_skb), by the programs and the ingress of the bridge itself.
        """
        if not bridge.up:
            return (Branch(packet, stop=link_down(name, bridge, Stage.BRIDGE_INPUT)),)
        left = out_of_vlan(name, bridge, bridge, packet)
        if isinstance(left, Stop):
            return (Branch(packet, stop=left),)
        passed = netfilter.on_bridge(self.ground, name, bridge, "input", left, port, None, self.trail)
        packet = passed.packet
        if passed.stop:
            return (Branch(packet, stop=passed.stop),)
        before = netfilter.on_xdp(name, bridge, packet)
        packet = before.packet
        if before.stop:
            return (Branch(packet, stop=before.stop),)
        passed = netfilter.on_ingress(self.ground, name, bridge, packet)
        everybody = is_group(packet.station)
        own = "frame is for everybody" if everybody else f"frame is for {bridge.name}'s own MAC"
        here = hop(name, bridge, Stage.BRIDGE_INPUT, packet, own, "in")
        if passed.stop:
            return (Branch(packet, hops=(here,), stop=passed.stop),)
        packet = passed.packet
        ignored = unclaimed(name, bridge, packet)
        taken = Branch(packet, stop=ignored) if ignored else Branch(packet, at=(name, bridge))
        return tuple(way.behind(here) for way in stacked.up(self.ground, name, bridge, packet, taken))

    def _up_by_entry(
        self, name: str, bridge: Link, port: Link | None, packet: Packet, entry: FdbEntry
    ) -> Ways:
        """To the host, because the FDB says so."""
        ways = self._to_host(name, bridge, port, packet)
        if packet.flow.dst_mac in (bridge.mac, port.mac if port else bridge.mac):
            return ways
        namespace = self.ground.namespace(name)
        return tuple(self._unless_taken_up(way, namespace, bridge, entry) for way in ways)

    def _unless_taken_up(
        self, way: Branch | Crossing, namespace: Namespace, bridge: Link, entry: FdbEntry
    ) -> Branch | Crossing:
        """The host's own stack ignores a frame that is not for one of its MACs; what stands on the bridge may
        take it.
        """
        if isinstance(way, Branch) and way.at is not None:
            return swallowed(way, namespace, bridge, entry)
        return way

    def _flood(
        self,
        namespace: Namespace,
        bridge: Link,
        port: Link | None,
        packet: Packet,
        listening: frozenset[int] | None = None,
        suppressed: bool = False,
    ) -> Ways:
        """To every port that takes floods of this kind, or those alone behind which somebody listens; ports
        towards namespaces already known come first. `suppressed`: ports that suppress questions get none.
        """
        mac = packet.station
        branches: list[Branch | Crossing] = []
        every = namespace.ports(bridge)
        others = bystanders(self.ground, namespace.name, every, packet)
        ports = sorted(
            (each for each in every if each.index not in others),
            key=lambda p: not self.ground.knows(namespace.name, p.nsid),
        )
        for out in ports:
            if port is not None and out.index == port.index and not settings(out).hairpin:
                continue
            if suppressed and settings(out).neigh_suppress:
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
            return not_forwarding(self.ground.namespace(name), bridge, port, stage)
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
        if stop := too_long(name, out, packet):
            return (Branch(packet, stop=stop, hops=hops),)
        return (Crossing(name, out, packet, Stage.BRIDGE_POSTROUTING, note, hops=hops),)


def _translated(name: str, bridge: Link, stage: Stage, passed: Passage, note: str = "") -> tuple[Hop, ...]:
    """What IP rules made of a packet on a bridge, as a hop, where they made something of it."""
    if not passed.changes:
        return ()
    here = hop(name, bridge, stage, passed.packet, note or passed.note)
    return (replace(here, changes=passed.changes, object=passed.object),)
