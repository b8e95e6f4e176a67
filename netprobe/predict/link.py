"""Layer 2: where a frame goes that is put on an interface - over veths, bridges, VLANs, macvlans - and who
takes it up.

Kernel: drivers/net/veth.c, net/core/dev.c; bridges are in `switch`, macvlans and VLANs in `stacked`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from netprobe.model import Link, Namespace, Need, Stage

from . import between, netfilter, stacked
from .bridge import misled
from .device import not_running, too_long, unclaimed
from .drop import Unread, link_down, lost
from .outcome import Branch, Crossing, Ways, is_group
from .ruled import Passage
from .switch import Rerouting, Switch
from .trace import Trail, hop
from .view import Ground, Lacking, Packet

Tunnel = Callable[[str, Link, Packet], Ways]


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
        self.switch = Switch(ground, rerouted, barred, trail)

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
        return self._receive(at) if at.inward else self._transmit(at)

    def _transmit(self, at: Crossing) -> Ways:
        """A frame leaves by an interface."""
        name, link, packet = at.name, at.link, at.packet
        if down := not_running(self.ground, name, link, at.stage):
            return (Branch(packet, stop=down),)
        passed = netfilter.on_transmit(self.ground, name, link, packet)
        packet = passed.packet
        if passed.stop:
            return self._ended(name, passed, packet)
        here = hop(name, link, at.stage, packet, at.note, "out")
        ways = self._carry(name, link, packet)
        return tuple(way.behind(here).answered_for_by(passed.blamed) for way in ways)

    def _ended(self, name: str, passed: Passage, packet: Packet) -> Ways:
        """What comes of a frame that rules end: nothing, or another interface sends it out, and it is their
        fault where nobody takes it up (nf_fwd_netdev_egress).
        """
        assert passed.stop is not None
        out = self.ground.namespace(name).link_named(passed.diverted)
        if out is None:
            return (Branch(packet, stop=passed.stop),)
        return (Crossing(name, out, packet, blamed=passed.stop),)

    def _carry(self, name: str, link: Link, packet: Packet) -> Ways:
        """Where the device takes a frame that was put on it."""
        match link.kind:
            case "veth":
                return self._across(name, link, packet)
            case "bridge":
                return self.switch.send(name, link, packet)
            case "vlan" | "ipvlan" | "macsec":
                lower = self.ground.beyond(name, link.link)
                tagged = replace(packet, tags=(*packet.tags, *stacked.tag(link)))
                return (Crossing(*lower, tagged) if lower else Branch(packet, exit=(name, link)),)
            case "macvlan":
                return stacked.out_of_macvlan(self.ground, name, link, packet)
            case "vxlan":
                return tuple(replace(way, tunnelled=True) for way in self.through(name, link, packet))
            case "dummy":
                text = f"{link.name} is a dummy: it swallows what is sent"
                return (Branch(packet, stop=lost("route-via-dead-device", name, link, Stage.TRANSMIT, text)),)
            case "tun" if not link.carrier:
                text = f"no program serves {link.name}"
                return (Branch(packet, stop=lost("route-via-dead-device", name, link, Stage.TRANSMIT, text)),)
        return between.onward(self.ground, name, link, packet)

    def _across(self, name: str, link: Link, packet: Packet) -> Ways:
        """Over a veth pair: what leaves one end arrives at the other."""
        far = self.ground.beyond(name, link.link)
        if far is None:
            return between.onward(self.ground, name, link, packet)
        there, peer = far
        packet = packet.scrubbed(there != name)
        if not peer.up:
            return (Branch(packet, stop=link_down(there, peer, Stage.RECEIVE)),)
        if stop := too_long(there, peer, packet):
            return (Branch(packet, stop=stop),)
        return (Crossing(there, peer, packet, inward=True),)

    def _receive(self, at: Crossing) -> Ways:
        """A frame arrives at `link`:

        XDP and ingress first, then VLAN, bridge, macvlan or ipvlan above it, then its own stack.
        """
        name, link = at.name, at.link
        before = netfilter.on_xdp(name, link, at.packet)
        seen = before.packet
        if before.stop:
            return (Branch(seen, stop=before.stop),)
        passed = netfilter.on_ingress(self.ground, name, link, seen)
        here = hop(name, link, Stage.RECEIVE, seen, at.note, "in")
        if passed.stop:
            return tuple(way.behind(here) for way in self._ended(name, passed, seen))
        bridge = _bridge_of(self.ground.namespace(name), link)
        if bridge is not None and not stacked.tagged_above(self.ground, name, link, passed.packet):
            ways = self.switch.receive(name, bridge, link, seen, passed.packet)
            ways = tuple(map(partial(_told, at.note), ways)) if at.note else ways
        else:
            own = self._take_up(name, link, passed.packet, seen.flow.dst_mac)
            above = stacked.up(self.ground, name, link, passed.packet, own)
            ways = tuple(way.behind(here) for way in above)
        return tuple(way.answered_for_by(passed.blamed) for way in ways)

    def _take_up(self, name: str, link: Link, packet: Packet, mac: str | None) -> Branch:
        """The stack of `link` takes a frame that came for its own MAC (or a group); others are
        PACKET_OTHERHOST, whatever a rule has made of them since (eth_type_trans).
        """
        if ignored := unclaimed(name, link, packet):
            return Branch(packet, stop=ignored)
        if mac and link.mac and mac != link.mac and not is_group(mac):
            text = f"{name}/{link.name} has MAC {link.mac}, not {mac}: it ignores the frame"
            return Branch(packet, stop=lost("neigh-wrong-entry", name, link, Stage.RECEIVE, text))
        return Branch(replace(packet, tags=()), at=(name, link))


def _told(note: str, way: Branch | Crossing) -> Branch | Crossing:
    """A way on whose first hop something is said of how the frame came there."""
    first, *others = way.hops
    said = "; ".join(filter(None, (note, first.note)))
    return replace(way, hops=(replace(first, note=said), *others))


def _answered_for(branch: Branch) -> Branch:
    """A frame that nobody takes up is the fault of the entry that gave it its MAC on the way."""
    if branch.blamed is None or branch.stop is None or branch.stop.code != "neigh-wrong-entry":
        return branch
    return replace(branch, stop=branch.blamed)


def _bridge_of(namespace: Namespace, port: Link) -> Link | None:
    master = namespace.link(port.master)
    return master if master is not None and master.kind == "bridge" else None


def _circle(at: Crossing) -> Branch:
    """The end of a frame all of whose copies come again to where it has been."""
    text = f"the frame comes to {at.name}/{at.link.name} again: it goes round in a circle of devices"
    return Branch(at.packet, hops=at.hops, stop=lost("route-loop", at.name, at.link, at.stage, text))
