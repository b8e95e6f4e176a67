"""The snapshot as the walk sees it: what it lacks it asks for, by name, and the caller reads it and walks
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import (
    AskConnection,
    AskedRoute,
    AskRoute,
    ConntrackEntry,
    FindMacvlans,
    FindPeer,
    Flow,
    FoundWire,
    Leg,
    Link,
    LinkRef,
    Namespace,
    Need,
    PassedRules,
    ReadNamespace,
    RouteAnswer,
    RouteQuery,
    SeenBehind,
    Snapshot,
    Stage,
    Stop,
)
from netprobe.model.behind import seen_behind
from netprobe.model.lookup import but, find, indexed
from netprobe.rules.packet import HookPacket
from netprobe.rules.ruling import Ruling

from .unread import Unread, guarded

BROADCAST = "ff:ff:ff:ff:ff:ff"
# what rules said, and in which state of their namespace
Rulings = dict[tuple[object, ...], tuple[Namespace, Ruling]]
# of an answer to a route lookup, whether it comes to the same as none
Confirms = Callable[[RouteAnswer | None], bool]
# a hook of a namespace, and the packet at it
Fork = tuple[object, ...]


class Lacking(Exception):
    """Raised inside a walk when the snapshot does not hold what the next step depends on."""

    def __init__(self, *needs: Need) -> None:
        super().__init__(*needs)
        self.needs = needs


class Packet(Struct, frozen=True, gc=False):
    """A packet on its way: its headers here, and what only the kernel sees of it (mark, the sender's uid,
    which leg). `tos` as in HookPacket.

    `df` is the don't-fragment bit; `fragments` the length of the longest piece, in bytes, where the sender or
    a router has cut it, 0 of a whole packet; `unlearned`: no path MTU that a kernel has learned counts.
    `suspects` grows along the way: what may have stopped the packet so far, though the configuration does not
    tell. `tracked` is what connection tracking and the rules of namespace `tracked_in` know of it;
    `prerouted` names a namespace whose bridge has called PREROUTING already, and `port` is the namespace and
    port by which that bridge got it, which rules still see where it is routed on; `reused`: its ports were
    asked for, so that older connections may have them. `inside`: the tunnels (namespace, ifindex) whose
    packet it is. `tags`: what VLAN and MACsec devices have put around the frame, the outermost last. `scope`
    is the interface on which its sender knows a link-local destination, `via` the next hop that its frame is
    for; `bound` the ifindex by which alone its sender, a tunnel, looks for a way. `ecn` and `mss`
    as in Probe.
    """

    flow: Flow
    leg: Leg
    mark: int = 0
    uid: int | None = None
    df: bool = False
    fragments: int = 0
    unlearned: bool = False
    suspects: tuple[Stop, ...] = ()
    tracked: HookPacket | None = None
    tracked_in: str | None = None
    prerouted: str | None = None
    port: tuple[str, Link] | None = None
    reused: bool = False
    inside: tuple[tuple[str, int], ...] = ()
    tags: tuple[str, ...] = ()
    scope: str | None = None
    via: str | None = None
    tos: int | None = 0
    bound: int | None = None
    ecn: bool = False
    mss: int | None = None

    @property
    def station(self) -> str:
        """The MAC address that its frame is for; that of all stations where nobody has set one."""
        return self.flow.dst_mac or BROADCAST

    @property
    def length(self) -> int:
        """The length of the packet, in bytes; 0 where it is not known."""
        return self.flow.length or 0

    @property
    def longest(self) -> int:
        """The same, or of its longest piece where it is cut."""
        return self.fragments or self.length

    def suspecting(self, *stops: Stop) -> Packet:
        """This packet after passing something that may stop it."""
        return replace(self, suspects=(*self.suspects, *stops)) if stops else self

    def scrubbed(self, leaves: bool) -> Packet:
        """This packet handed from one device to another: what connection tracking and a bridge knew of it
        ends here, and mark and sender with them where it leaves the namespace (net/core/skbuff.c,
        skb_scrub_packet).
        """
        bare = replace(self, tracked=None, tracked_in=None, prerouted=None, port=None)
        return replace(bare, mark=0, uid=None) if leaves else bare


class Forks:
    """Where rules that nobody understands may decide this way or that: those `met` on a walk, and those at
    which the way is `chosen`; at the `idle` ones as if it were certain.
    """

    def __init__(self, chosen: Mapping[Fork, int] | None = None, idle: frozenset[Fork] | None = None) -> None:
        self.chosen = chosen or {}
        self.idle = frozenset(self.chosen) if idle is None else idle
        self.met: dict[Fork, int] = {}

    def taken(self, fork: Fork, ruling: Ruling) -> Ruling:
        """The ruling to go on with."""
        if fork in self.chosen:
            kept = () if fork in self.idle else ruling.doubts
            return replace(ruling.alternatives[self.chosen[fork]], doubts=kept)
        self.met[fork] = len(ruling.alternatives)
        return ruling


class Ground:
    """Read access to a snapshot. To look at what could not be read raises Unread, which ends the walk.

    With `ask`, route lookups that the kernel has not answered yet are collected in `unasked`; the FIB model
    decides meanwhile. `goal` is the namespace that the question names as its destination, if it names one.
    `rulings` keeps what rules said, from one walk to the next; `forks` are the places where they leave it
    open. `tunnelled` counts the packets of tunnels that
    were walked. `learned` are the MAC addresses that stations (namespace, ifindex) have learned of the
    addresses that have asked them on this walk.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        ask: bool = True,
        goal: str | None = None,
        rulings: Rulings | None = None,
        forks: Forks | None = None,
    ) -> None:
        self.snapshot = guarded(snapshot)
        self.ask = ask
        self.goal = goal
        self.rulings: Rulings = {} if rulings is None else rulings
        self.forks = forks or Forks()
        self._peers = {(found.namespace, found.nsid): found for found in snapshot.peers}
        self._wires = {found.sought: found for found in snapshot.wires if not found.silent}
        self._silent = {found.sought for found in snapshot.wires if found.silent}
        self._macvlans = {(found.namespace, found.index): found for found in snapshot.macvlans}
        self._answers = {(asked.namespace, asked.query): asked for asked in snapshot.answers}
        self._lower: dict[bool, dict[int, list[tuple[str, Link]]]] = {}
        self._begin()

    def _begin(self) -> None:
        """What one walk asks, learns and counts."""
        # whether an answer would change nothing of what was decided without it
        self.unasked: dict[AskRoute, list[Confirms]] = {}
        self.tunnelled = 0
        self.passed: list[PassedRules] = []  # the rules that have matched on this walk
        # the port at which a bridge has heard a MAC on this walk: (namespace, bridge, VLAN, MAC)
        self.heard: dict[tuple[str, int, int | None, str], Link] = {}
        self.learned: dict[tuple[str, int, str], str] = {}
        # the tunnel end that a VXLAN device has heard a MAC from: (namespace, ifindex, MAC)
        self.heard_from: dict[tuple[str, int, str | None], str] = {}

    def anew(self) -> Ground:
        """The same ground for another walk, which knows nothing of what was met on this one."""
        other = copy(self)
        other._begin()
        return other

    def namespace(self, name: str) -> Namespace:
        """The configuration of one namespace; asks for it when it was not read yet."""
        if name not in self.snapshot:
            raise Lacking(ReadNamespace(name))
        return self.snapshot[name]

    def knows(self, name: str, nsid: int | None) -> bool:
        """Whether the namespace behind (name, nsid) is already in the snapshot, so that looking there costs
        nothing.
        """
        return nsid is None or self._calls(name, nsid) in self.snapshot.namespaces

    def other_side(self, name: str, link: Link) -> str:
        """The namespace that a veth of namespace `name` leads to, as " (c1)"; "" where it is the same one or
        not known yet.
        """
        if link.far_end is None:
            return ""
        peer = self._calls(name, link.far_end[0]) or self._seen_from_there(name, link)
        return f" ({peer})" if peer else ""

    def _seen_from_there(self, name: str, link: Link) -> str | None:
        """The namespace already read that says of one of its veths that it leads to `link` of namespace
        `name`.
        """
        for there, each in self._leading(link.index, cables=True):
            if each.far_end is not None and self._calls(there, each.far_end[0]) == name:
                return there
        return None

    def _calls(self, name: str, nsid: int) -> str | None:
        """The namespace that `name` calls `nsid`, as far as that was asked."""
        found = self._peers.get((name, nsid))
        return found.peer if found is not None else None

    def beyond(self, name: str, ref: LinkRef | None) -> tuple[str, Link] | None:
        """The interface that `ref` means in namespace `name`: (its namespace, the link); None when it is not
        visible.
        """
        if ref is None or ref.index == 0:
            return None
        there = name if ref.nsid is None else self._called(name, ref.nsid)
        if there is None:
            return None
        link = self.namespace(there).link(ref.index)
        return (there, link) if link else None

    def peer(self, name: str, link: Link) -> tuple[str, Link] | None:
        """The other end of a veth of namespace `name`; None of any other device, and when it is not
        visible.
        """
        return self.beyond(name, link.link) if link.kind == "veth" else None

    def seen_behind(self, name: str, ports: tuple[Link, ...]) -> dict[int, SeenBehind]:
        """What stands behind those of a bridge's ports that lead to namespaces nobody has asked for yet, by
        the port's ifindex; asks for all of them together.
        """
        seen, lacking, why = indexed(seen_behind, ports, self.snapshot.peers, self.snapshot.behind, of=name)
        self.lacks(lacking)
        _be_read(name, "stations behind the ports of a bridge", why, Stage.BRIDGE)
        return seen

    def visit(self, name: str, links: Iterable[Link]) -> None:
        """Ask together for all namespaces to which these veths of namespace `name` lead, unless they were
        read.
        """
        needs: dict[Need, None] = {}
        for link in links:
            try:
                self.beyond(name, link.link)
            except Lacking as lacking:
                needs |= dict.fromkeys(lacking.needs)
            except Unread:
                continue  # which is said where it is looked at
        self.lacks(needs)

    def lacks(self, needs: Iterable[Need]) -> None:
        """Asks for what is lacking, if anything is."""
        lacking = tuple(needs)
        if lacking:
            raise Lacking(*lacking)

    def _called(self, name: str, nsid: int) -> str | None:
        """The namespace that namespace `name` calls `nsid`; None when it is not visible. Asks for it."""
        found = self._peers.get((name, nsid))
        if found is None:
            raise Lacking(FindPeer(name, nsid))
        _be_read(name, f"namespace called nsid {nsid}", found.why, Stage.TRANSMIT)
        return found.peer

    def wire(self, sought: str) -> FoundWire | None:
        """What the hosts have said of an address or a MAC at the network between them."""
        return self._wires.get(sought)

    def is_silent(self, address: str) -> bool:
        """Whether it is known that nobody answers for an address at the network between the hosts."""
        return address in self._silent

    def underlay(self, name: str, link: Link) -> str | None:
        """The namespace in which a tunnel device of namespace `name` sends and receives its packets: the one
        where it was made.

        None when that one is not visible.
        """
        return name if link.nsid is None else self._called(name, link.nsid)

    def tunnels_in(self, name: str) -> Iterator[tuple[str, Link]]:
        """The VXLAN devices whose packets come in by namespace `name`: its own, and those that moved from
        there to one read so far.
        """
        for other in (self.namespace(name), *self.snapshot.namespaces.values()):
            for each in but(_known_links(other), vxlan=None):
                moved = each.nsid is not None
                if moved is (other.name != name) and self.underlay(other.name, each) == name:
                    yield other.name, each

    def all_macvlans_on(self, name: str, link: Link) -> tuple[tuple[str, Link], ...]:
        """The macvlans that stand on an interface, wherever they are; asks for the namespaces that have
        some.
        """
        self.find_macvlans([(name, link)])
        found = self._macvlans.get((name, link.index))
        if found is not None and found.why is not None:
            raise Unread(name, f"macvlans on {link.name}", found.why, Stage.TRANSMIT)
        names = self.snapshot.namespaces if found is None else found.names
        self.lacks(ReadNamespace(each) for each in names if each not in self.snapshot)
        above = (place for place in self.on_index(link.index) if place[0] in names)
        return tuple(place for place in above if self._is_macvlan_on(place, (name, link)))

    def tunnels_beyond(self, name: str) -> Iterator[tuple[str, Link]]:
        """The VXLAN devices as in `tunnels_in`, wherever they have moved; asks for the namespaces that have
        some.
        """
        if self.ask and (name, 0) not in self._macvlans:
            self.lacks((FindMacvlans(name, 0),))
        found = self._macvlans.get((name, 0))
        self.lacks(
            ReadNamespace(each) for each in (found.names if found else ()) if each not in self.snapshot
        )
        return self.tunnels_in(name)

    def _is_macvlan_on(self, place: tuple[str, Link], parent: tuple[str, Link]) -> bool:
        return place[1].kind == "macvlan" and self.beyond(place[0], place[1].link) == parent

    def find_macvlans(self, parents: Iterable[tuple[str, Link]]) -> None:
        """Ask together for the macvlans that stand on these interfaces, unless that is known."""
        asked = dict.fromkeys((name, link.index) for name, link in parents)
        if self.ask:
            self.lacks(FindMacvlans(*parent) for parent in asked if parent not in self._macvlans)

    def on_index(self, index: int) -> Iterator[tuple[str, Link]]:
        """The devices in the namespaces read so far that stand on an ifindex, in whichever namespace that is:
        no ends of cables.

        What stands on an interface is not listed by it, only by those who stand there.
        """
        yield from self._leading(index, cables=False)

    def _leading(self, index: int, cables: bool) -> Iterable[tuple[str, Link]]:
        """The ends of cables, or the other devices, that lead to an ifindex."""
        if cables not in self._lower:
            self._lower[cables] = self._all_leading(cables)
        return self._lower[cables].get(index, ())

    def _all_leading(self, cables: bool) -> dict[int, list[tuple[str, Link]]]:
        found: dict[int, list[tuple[str, Link]]] = {}
        for other in self.snapshot.namespaces.values():
            for each in _known_links(other):
                if each.link is not None and (each.kind == "veth") is cables:
                    found.setdefault(each.link.index, []).append((other.name, each))
        return found

    def connections(self, name: str, packet: Packet) -> tuple[ConntrackEntry, ...]:
        """The connections of namespace `name` that a packet with ports used before may belong to."""
        if not packet.reused:
            return ()
        flow = replace(packet.flow, ttl=None, length=None, src_mac=None, dst_mac=None)
        found = find(self.snapshot.connections, namespace=name, flow=flow)
        if found is None:
            self.lacks([AskConnection(name, flow)] if self.ask else [])
            return ()
        _be_read(name, "tracked connections", found.why, Stage.PREROUTING)
        return found.entries

    def kernel_route(self, name: str, query: RouteQuery, confirms: Confirms) -> RouteAnswer | None:
        """What the kernel answered to a route lookup; None where it was not asked (yet, or because the model
        was changed). `confirms` tells of an answer whether it comes to the same as none.
        """
        found = self._answers.get((name, query))
        if found is None:
            if self.ask:
                self.unasked.setdefault(AskRoute(name, query), []).append(confirms)
            return None
        _be_read(name, f"kernel's route to {query.dst}", found.why, Stage.ROUTE)
        return found.answer

    def agrees(self, answers: Iterable[AskedRoute]) -> bool:
        """Whether these answer all that was unasked, and each comes to the same as none."""
        told = {AskRoute(each.namespace, each.query): each for each in answers}
        return all(
            need in told and told[need].why is None and all(same(told[need].answer) for same in confirms)
            for need, confirms in self.unasked.items()
        )


def _be_read(name: str, what: str, why: str | None, stage: Stage) -> None:
    """Raises Unread where there is a reason why something of namespace `name` was not read."""
    if why is not None:
        raise Unread(name, what, why, stage)


def _known_links(namespace: Namespace) -> tuple[Link, ...]:
    return namespace.links if "links" not in namespace.unread else ()
