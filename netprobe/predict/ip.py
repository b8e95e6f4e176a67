"""Layer 3: what one namespace's IP stack does with a packet - output, input, forwarding - and where it goes
next.

Kernel: net/ipv4/{ip_input,ip_output,ip_forward,route}.c and their IPv6 twins. Hooks in the order of the
kernel.
"""

from __future__ import annotations

from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import End, Link, Namespace, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import column

from . import bpf, conntrack, fib, ip_ends, ipv6, netfilter, prefix, routing, size, sockets, xfrm
from .arp_reply import forwards
from .drop import Finish, link_down, lost
from .fib import FibResult
from .fixes import forget_what_was_told
from .neighbour import Resolution, ask, nobody_has, resolve
from .outcome import Branch, Carry
from .ruled import Passage
from .trace import Resolved, Trail, hop
from .view import Ground, Packet

_VISITS = 3
_OWN = (
    "local",
    "broadcast",
    "anycast",
)  # routes that lead up; a router has the anycast address of its networks


class Departure(Struct, frozen=True, gc=False):
    """A packet ready to leave: by this interface, to this next hop. `lost`: it gets no further than that
    interface.
    """

    link: Link
    nexthop: str
    packet: Packet
    note: str = ""
    lost: Stop | None = None


class Arrival(Struct, frozen=True, gc=False):
    """A packet that a stack takes up from an interface."""

    name: str
    link: Link
    packet: Packet


def output(trail: Trail, name: str, packet: Packet) -> Departure | Finish:
    """A packet of this namespace's own: route, OUTPUT hooks, route again where they say so, POSTROUTING."""
    namespace = trail.ground.namespace(name)
    decision = _route_out(trail, namespace, packet)
    if isinstance(decision, Finish):
        return decision
    out = _way_out(namespace, decision)
    packet = packet.suspecting(*bpf.cgroup(namespace, out, packet.leg))
    if blocked := xfrm.check(namespace, "out", out, packet):
        return trail.drop(blocked)
    passed = netfilter.on_ip(trail.ground, name, "output", packet, None, out, trail)
    _tell(trail, name, Stage.OUTPUT, passed)
    if passed.stop:
        return _end(trail, passed)
    if passed.rerouted is not None:
        decision = _route_out(trail, namespace, replace(passed.packet, mark=passed.rerouted))
        if isinstance(decision, Finish):
            return decision
    return _leave(trail, namespace, passed.packet, decision, None)


def _route_out(trail: Trail, namespace: Namespace, packet: Packet) -> FibResult | Finish:
    decision = routing.decide(trail.ground, namespace.name, routing.query_out(namespace, packet))
    trail.decided(namespace.name, decision, packet)
    if decision.error is not None:
        return trail.drop(routing.refuse_output(namespace, packet, decision))
    if decision.type == "broadcast":
        return trail.drop(ip_ends.is_broadcast(namespace, packet.flow.dst, namespace.link(decision.index)))
    return decision


def receive(trail: Trail, name: str, link: Link, packet: Packet) -> Departure | Finish:
    """A packet comes up to the stack on `link`:

    PREROUTING, the routing decision, then INPUT (the end) or FORWARD.
    """
    if trail.again(name, link, packet) > _VISITS:
        return trail.drop(
            lost(
                "route-loop",
                name,
                link,
                Stage.ROUTE,
                f"the packet comes to {name}/{link.name} again and again",
            )
        )
    namespace = trail.ground.namespace(name)
    if packet.flow.version == 6 and _ipv6_off(namespace, link):
        return trail.drop(
            ip_ends.sysctl(
                name,
                link,
                "ipv6-disabled",
                f"net.ipv6.conf.{link.key}.disable_ipv6",
                "1",
                "0",
                f"IPv6 is off on {link.name}",
            )
        )
    if packet.flow.version == 6 and link.mtu < ipv6.MTU:  # ip6_rcv_core: no struct inet6_dev
        return trail.drop(ipv6.too_short(namespace, link))
    passed = netfilter.on_ip(trail.ground, name, "prerouting", packet, link, None, trail)
    _tell(trail, name, Stage.PREROUTING, passed)
    if passed.stop:
        return _end(trail, passed)
    arriving = passed.packet
    decision = routing.decide(trail.ground, name, routing.query(arriving, link))
    trail.decided(name, decision, arriving, link)
    if (
        decision.type not in (*_OWN, "multicast")
        and (unruled := routing.local_rule_missing(namespace, arriving)) is not None
    ):
        return trail.drop(unruled)
    refused = routing.refuse_input(trail.ground, name, link, arriving, decision)
    if refused := refused or ip_ends.in_a_frame_for_many(namespace, link, arriving):
        return trail.drop(refused)
    if decision.type == "broadcast" and arriving.flow.dst != "255.255.255.255":
        return trail.drop(ip_ends.is_broadcast(namespace, arriving.flow.dst, namespace.link(decision.index)))
    if decision.type in _OWN or (decision.error is not None and fib.is_local(namespace, arriving.flow.dst)):
        return _deliver(trail, namespace, link, arriving)
    return _forward(trail, namespace, link, arriving, decision)


def _ipv6_off(namespace: Namespace, link: Link) -> bool:
    return namespace.sysctl(f"net.ipv6.conf.{link.key}.disable_ipv6", "0") == "1"


def _deliver(trail: Trail, namespace: Namespace, link: Link, packet: Packet) -> Finish:
    """INPUT, and the packet is there."""
    protected = xfrm.check(namespace, "in", link, packet)
    if blocked := protected or ip_ends.no_room_for_pieces(namespace, link, packet):
        return trail.drop(blocked)
    passed = netfilter.on_ip(trail.ground, namespace.name, "input", packet, link, None, trail)
    _tell(trail, namespace.name, Stage.INPUT, passed)
    if passed.stop:
        return _end(trail, passed)
    if ignored := ip_ends.for_everybody(namespace, link, passed.packet, Stage.INPUT):
        return trail.drop(ignored)
    trail.track(namespace.name, conntrack.connection(passed.packet, namespace.name))
    trail.add(
        namespace.name,
        link,
        Stage.DELIVER,
        passed.packet,
        _whose(namespace.name, passed.packet),
    )
    trail.arrived = (namespace.name, link, passed.packet)
    return Finish(End.DELIVER)


def _whose(name: str, packet: Packet) -> str:
    """Why a packet is delivered here."""
    if (proxy := sockets.proxy_of(name, packet)) is not None:
        return f"given to the proxy at port {proxy[1] or packet.flow.dport} (TPROXY)"
    return f"{packet.flow.dst} is {name}'s own"


def _forward(
    trail: Trail, namespace: Namespace, link: Link, packet: Packet, decision: FibResult
) -> Departure | Finish:
    """The router's part: may it forward, is the TTL left, what do the FORWARD rules say, how does it
    leave.
    """
    name, version = namespace.name, packet.flow.version
    if ignored := ip_ends.for_everybody(namespace, link, packet, Stage.FORWARD):
        return trail.drop(ignored)
    if not forwards(namespace, link, version):
        return trail.drop(ip_ends.not_forwarding(namespace, link, packet))
    if sockets.proxy_of(name, packet) is not None:
        return trail.drop(ip_ends.not_kept(namespace, link, packet))
    if decision.error is not None:
        stop = lost(
            "unknown",
            name,
            link,
            Stage.ROUTE,
            f"the kernel of {name} refuses to route this packet ({decision.error})",
        )
        return trail.drop(stop)
    if blocked := xfrm.check(namespace, "fwd", link, packet):
        return trail.drop(blocked)
    ttl = packet.flow.ttl
    if ttl is not None and ttl <= 1:
        return trail.drop(ip_ends.ttl_expired(name, link))
    hopped = replace(packet, flow=replace(packet.flow, ttl=ttl - 1 if ttl is not None else None))
    out = namespace.link(decision.index)
    if blocked := xfrm.check(namespace, "out", out, packet):
        return trail.drop(blocked)
    passed = netfilter.on_ip(trail.ground, name, "forward", hopped, link, out, trail)
    # until here it has the frame it came in
    bare = replace(passed.packet, flow=replace(passed.packet.flow, src_mac=None, dst_mac=None))
    passed = replace(passed, packet=bare)
    trail.add(
        name,
        None,
        Stage.FORWARD,
        passed.packet,
        _forward_note(namespace, decision, passed.note, passed.packet),
        changes=passed.changes,
        object=passed.object or routing.route_object(namespace, decision),
    )
    if passed.stop:
        return _end(trail, passed)
    return _leave(trail, namespace, passed.packet, decision, link)


def _forward_note(namespace: Namespace, decision: FibResult, rules: str, packet: Packet) -> str:
    out = namespace.link(decision.index)
    via = f" via {decision.via}" if decision.via else ""
    parts = [
        f"to {name_of(out)}{via}",
        rules,
        f"ttl {packet.flow.ttl}" if packet.flow.ttl is not None else "",
    ]
    return "; ".join(filter(None, parts))


def _way_out(namespace: Namespace, decision: FibResult) -> Link | None:
    """The interface by which a packet of the namespace's own leaves: to itself by the loopback
    (ip_route_output_key_hash_rcu, ip6_rt_get_dev_rcu).
    """
    out = namespace.link(decision.index)
    if decision.type in ("local", "anycast"):
        return next((link for link in namespace.links if link.kind == "loopback" or link.name == "lo"), out)
    return out


def _leave(
    trail: Trail, namespace: Namespace, packet: Packet, decision: FibResult, iif: Link | None
) -> Departure | Finish:
    """POSTROUTING and the size check; the packet as it goes to the neighbour layer."""
    name = namespace.name
    out = namespace.link(decision.index) if iif is not None else _way_out(namespace, decision)
    if out is None:
        return trail.drop(
            lost("link-missing", name, None, Stage.ROUTE, f"the route's interface does not exist in {name}")
        )
    if not out.up:
        return trail.drop(link_down(name, out, Stage.TRANSMIT))
    passed = netfilter.on_ip(trail.ground, name, "postrouting", packet, iif, out, trail)
    if passed.changes or passed.note or passed.stop:
        trail.add(
            name,
            None,
            Stage.POSTROUTING,
            passed.packet,
            passed.note,
            changes=passed.changes,
            object=passed.object,
        )
    if passed.stop:
        return _end(trail, passed)
    trail.track(name, conntrack.connection(passed.packet, name))
    led_back = ip_ends.leads_back(namespace, out, decision)
    if led_back is not None and passed.packet.flow.version == 6:
        return trail.drop(led_back)
    fitted = size.fit(namespace, out, decision, passed.packet, iif is not None)
    if isinstance(fitted, Stop):
        return trail.drop(fitted)
    nexthop = decision.via or fitted.flow.dst
    return Departure(out, nexthop, fitted, _way(decision, nexthop, iif), led_back)


def _way(decision: FibResult, nexthop: str, iif: Link | None) -> str:
    to = f"{'via' if decision.via else 'to'} {nexthop}"
    if decision.route is None or iif is not None:
        return to
    named = "default route" if prefix.length(decision.route.dst) == 0 else f"route {decision.route.dst}"
    return f"{to} ({named})"


def cross(trail: Trail, carry: Carry, name: str, leaving: Departure) -> Arrival | Finish:
    """Neighbour, wire, and up to the next stack."""
    link, packet = leaving.link, leaving.packet
    found = resolve(trail.ground, carry, name, link, leaving.nexthop, packet)
    if found.stop is not None:
        said = "not known who answers" if found.stop.code == "unknown" else "no station answers"
        stage, bound = (Stage.NEIGHBOUR, None) if found.mac is None else (Stage.TRANSMIT, "out")
        trail.add(name, link, stage, packet, f"{leaving.note}: {said}", bound=bound)
        return trail.drop(found.stop)
    if found.entry is not None:
        trail.resolved.append(Resolved(name, packet.leg, link, found.entry))
    packet = packet.suspecting(*found.suspects)
    src_mac = link.mac or None if link.kind != "loopback" else None
    framed = replace(
        packet, flow=replace(packet.flow, src_mac=src_mac, dst_mac=found.mac), via=leaving.nexthop
    )
    note = ", ".join(filter(None, (leaving.note, found.note)))
    branches = (
        carry.transmit(name, link, framed, note, trail=trail)
        if link.kind != "loopback"
        else _loop(name, link, framed, note, leaving.lost)
    )
    branch = _taken(_meant(trail.ground, branches, packet.flow.dst), found.mac is None)
    trail.hops += branch.hops
    if branch.exit is not None:
        trail.left = branch.gone
        # else the packet of a tunnel, which is out of sight already
        if not branch.hops or branch.hops[-1].stage is not Stage.EXIT:
            note = f"exit through {branch.exit[1].name}: what lies beyond is not visible from here"
            trail.add(*branch.exit, Stage.EXIT, branch.packet, note)
        return Finish(End.EXIT)
    if branch.stop is not None:
        return trail.drop(_blame_entry(trail.ground, carry, name, leaving, found, branch.stop))
    assert branch.at is not None
    return Arrival(*branch.at, branch.packet)


def _loop(name: str, link: Link, packet: Packet, note: str, stop: Stop | None) -> tuple[Branch, ...]:
    """Loopback: what goes out comes in."""
    if not link.up:
        return (Branch(packet, stop=link_down(name, link, Stage.TRANSMIT)),)
    out = hop(name, link, Stage.TRANSMIT, packet, note, "out")
    hops = (out, hop(name, link, Stage.RECEIVE, packet, bound="in"))
    return (Branch(packet, stop=stop, at=(name, link) if stop is None else None, hops=hops),)


def _meant(ground: Ground, branches: tuple[Branch, ...], dst: str) -> tuple[Branch, ...]:
    """Of a frame that several stacks took up, for all or for a group, first the one to the destination."""
    arrived = [*filter(None, column(branches, "at"))]
    if len(arrived) < 2:
        return branches
    owners = [name for name, _ in arrived if ground.namespace(name).owner_of(dst) is not None]
    return tuple(sorted(branches, key=lambda branch: branch.at is None or branch.at[0] not in owners))


def _taken(branches: tuple[Branch, ...], unresolved: bool) -> Branch:
    """The branch that matters: where a stack took the frame up; else into what was not read, or out of sight;
    else the telling loss.
    """
    return min(branches, key=partial(_rank, unresolved))


def _rank(unresolved: bool, branch: Branch) -> int:
    if branch.at is not None:  # where nobody knows who answers, the others tell more
        return 3 if unresolved else 0
    if branch.exit:
        return 2
    code = branch.stop.code if branch.stop is not None else ""
    return _RANKS.get(code, 4)


_RANKS = {"unknown": 1, "link-no-carrier": 5, "neigh-wrong-entry": 6}  # the less, the more telling a loss


def _blame_entry(
    ground: Ground, carry: Carry, name: str, leaving: Departure, found: Resolution, stop: Stop
) -> Stop:
    """A frame that nobody takes up is the neighbour entry's fault, not that of the station that ignored it.

    Unless the entry was learned: then the station answered from here a while ago, and what keeps it from
    answering now is the fault.
    """
    link, nexthop, anew = leaving.link, leaving.nexthop, found
    told = stop.code == "fdb-wrong-entry" and found.given is not None  # where it leads, nobody has that MAC
    if not told and (stop.code != "neigh-wrong-entry" or stop.place.stage is Stage.NEIGHBOUR):
        return stop
    if found.entry is not None and found.entry.state not in ("permanent", "noarp"):
        anew = ask(ground, carry, name, link, nexthop, leaving.packet)
        if anew.stop is not None:
            return anew.stop
    if anew.given is not None and anew.mac == found.mac:  # who has learned it goes on believing it
        forgotten = replace(forget_what_was_told(nexthop, link), namespace=name)
        return replace(anew.given, commands=(*anew.given.commands, forgotten))
    return nobody_has(name, link, nexthop, found.mac)


def _tell(trail: Trail, name: str, stage: Stage, passed: Passage) -> None:
    """What rules made of the packet, as a hop, where they made something of it."""
    if passed.changes or passed.note:
        trail.add(name, None, stage, passed.packet, passed.note, changes=passed.changes, object=passed.object)


def _end(trail: Trail, passed: Passage) -> Finish:
    assert passed.stop is not None
    return trail.drop(passed.stop)
