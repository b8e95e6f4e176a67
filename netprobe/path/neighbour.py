"""Who has this address on the segment? The neighbour cache, else an ARP or ND exchange walked through the wiring.

Kernel: net/ipv4/arp.c (arp_process, arp_ignore, arp_filter), net/ipv6/ndisc.c, net/core/neighbour.c; RFC 826, RFC 4861.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netprobe.model import (
    ARP_REPLY,
    ARP_REQUEST,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    Flow,
    Link,
    Namespace,
    Neighbour,
    Object,
    Protocol,
    RouteQuery,
    Stage,
    Stop,
)

from . import fib, hooks, prefix, source_check
from .ground import Ground, Packet
from .segment import BROADCAST, Segment
from .stop import link_down, lost

_USABLE = {"permanent", "reachable", "stale", "delay", "probe", "noarp"}


@dataclass(frozen=True, slots=True)
class Station:
    """Who answers for an address: MAC, where it is, and how it came to answer (owner or proxy)."""

    mac: str
    namespace: str | None = None
    link: Link | None = None
    proxy: bool = False
    suspects: tuple[Stop, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The next hop's MAC, None for a device that needs none; or why there is none. `rivals` answer for it as well.

    `suspects` lie on the way of the request or of its answer.
    """

    mac: str | None = None
    note: str = ""
    stop: Stop | None = None
    entry: Neighbour | None = None
    rivals: tuple[Station, ...] = ()
    suspects: tuple[Stop, ...] = ()


def resolve(ground: Ground, name: str, link: Link, address: str, packet: Packet) -> Resolution:
    """Find the MAC of `address` on `link` for this packet, as the kernel's neighbour code would."""
    if not needs_mac(link):
        return Resolution(note="no neighbour needed")
    if prefix.is_multicast(address) or address == "255.255.255.255":
        return Resolution(BROADCAST)
    if not link.arp:
        text = f"{link.name} has ARP switched off (NOARP): it sends to its own MAC instead of asking who has {address}"
        return Resolution(stop=_noarp(name, link, text))
    entry = cached(ground.namespace(name), link, address)
    if entry is not None and entry.mac and entry.state in _USABLE:
        return Resolution(entry.mac, f"neighbour {entry.mac} ({entry.state})", entry=entry)
    return ask(ground, name, link, address, packet)


def needs_mac(link: Link) -> bool:
    """Whether frames on this device carry Ethernet addresses."""
    return bool(link.mac) and link.kind not in ("loopback", "tun", "ipip", "sit", "gre", "wireguard", "ppp")


def cached(namespace: Namespace, link: Link, address: str) -> Neighbour | None:
    """The neighbour entry for an address on a link."""
    return next((n for n in namespace.neighbours if n.index == link.index and n.address == address and not n.proxy), None)


def ask(ground: Ground, name: str, link: Link, address: str, packet: Packet) -> Resolution:
    """Walk the request to every stack of the segment, and each answer back."""
    if dead := Segment(ground).not_running(name, link, Stage.TRANSMIT):
        return Resolution(stop=dead)
    asked = request(ground.namespace(name), link, address, packet)
    if dropped := _outgoing(ground, name, link, asked):
        return Resolution(stop=dropped)
    segment = Segment(ground)
    stations: list[Station] = []
    refusals: list[Stop] = []
    unseen = False
    for branch in segment.transmit(name, link, asked):
        if branch.exit:
            unseen = True
        elif branch.stop is not None:
            refusals.append(replace(branch.stop, proof=(*branch.stop.proof, TUNNELLED)) if branch.tunnelled else branch.stop)
        elif branch.at is not None and branch.at != (name, link):
            refusals += _loose_tunnel(ground, *branch.at)
            answer(ground, (name, link), branch.at, branch.packet, stations, refusals)
    if stations:
        best = min(stations, key=lambda station: station.proxy)
        whose = f" of {best.namespace}/{best.link.name}" if best.namespace and best.link else ""
        return Resolution(
            best.mac, f"neighbour {best.mac}{whose}", rivals=tuple(s for s in stations if s.mac != best.mac), suspects=best.suspects
        )
    if unseen:
        return Resolution(None, f"asks the segment beyond {link.name} who has {address}")
    return Resolution(stop=nobody(ground, name, link, asked, refusals))


TUNNELLED = "the way to the other end of the segment leads through a tunnel"


def _loose_tunnel(ground: Ground, name: str, link: Link) -> tuple[Stop, ...]:
    """A tunnel's end that should be a port of a bridge and is none."""
    namespace = ground.namespace(name)
    own = [a for a in namespace.addresses_of(link) if a.scope == "global"]
    if link.kind != "vxlan" or own or not any(other.kind == "bridge" for other in namespace.links):
        return ()
    text = f"{link.name} in {name} is a port of no bridge: what comes out of the tunnel ends there"
    return (replace(not_in_bridge(name, link, text), proof=(TUNNELLED,)),)


def request(namespace: Namespace, link: Link, address: str, packet: Packet) -> Packet:
    """The ARP request or neighbour solicitation the kernel sends for this packet (arp_solicit, ndisc_solicit)."""
    own = packet.flow.src if namespace.owner_of(packet.flow.src) else fib.select_address(namespace, link.index, address)
    if prefix.version(address) == 4:
        flow = Flow(own or "0.0.0.0", address, Protocol.ARP, icmp_type=ARP_REQUEST, length=28, src_mac=link.mac, dst_mac=BROADCAST)
    else:
        low = f"{prefix.number(address) & 0xFFFFFF:06x}"
        group = f"33:33:ff:{low[:2]}:{low[2:4]}:{low[4:]}"
        flow = Flow(
            own or "::", address, Protocol.ND, icmp_type=NEIGHBOUR_SOLICITATION, ttl=255, length=72, src_mac=link.mac, dst_mac=group
        )
    return Packet(flow, packet.leg)


def _outgoing(ground: Ground, name: str, link: Link, packet: Packet) -> Stop | None:
    """The filters an ARP or ND packet passes on its way out of a stack."""
    if packet.flow.protocol is Protocol.ARP:
        return hooks.on_arp(ground, name, "output", packet, link).stop
    return _nd(hooks.on_ip(ground, name, "output", packet, None, link).stop)


def _incoming(ground: Ground, name: str, link: Link, packet: Packet) -> Stop | None:
    """The filters an ARP or ND packet passes on its way into a stack."""
    if packet.flow.protocol is Protocol.ARP:
        return hooks.on_arp(ground, name, "input", packet, link).stop
    passed = hooks.on_ip(ground, name, "prerouting", packet, link, None)
    return _nd(passed.stop or hooks.on_ip(ground, name, "input", passed.packet, link, None).stop)


def _nd(stop: Stop | None) -> Stop | None:
    return (
        replace(stop, code="nd-filtered")
        if stop is not None and stop.code in ("filtered-by-rule", "policy-drop", "rejected-by-rule")
        else stop
    )


def answer(
    ground: Ground, asker: tuple[str, Link], at: tuple[str, Link], request: Packet, stations: list[Station], refusals: list[Stop]
) -> None:
    """One stack's reaction to a request: a station that answers, a refusal worth telling, or nothing (not its address)."""
    name, link = at
    concerned = _claims(ground, name, link, request)
    if concerned is None:
        return
    dropped = _incoming(ground, name, link, request)
    if dropped is not None:
        refusals.insert(0, dropped)
        return
    if isinstance(concerned, Stop):
        refusals.insert(0, concerned)
        return
    stop, suspects = _answer_arrives(ground, at, asker, request)
    if stop is not None:
        refusals.insert(0, stop)
        return
    stations.append(replace(concerned, suspects=(*request.suspects, *suspects)))


def _claims(ground: Ground, name: str, link: Link, request: Packet) -> Station | Stop | None:
    """Whether a stack would answer for the address: as its owner, as a proxy, not at all, or is kept from it (and why)."""
    namespace, asked = ground.namespace(name), request.flow.dst
    if request.flow.protocol is Protocol.ND:
        return _claims_v6(namespace, name, link, asked)
    if fib.is_local(namespace, asked):
        return suppressed(ground, name, link, request) or Station(link.mac, name, link)
    return _proxies(ground, name, link, request)


def _claims_v6(namespace: Namespace, name: str, link: Link, asked: str) -> Station | Stop | None:
    """IPv6 answers only for an address of the interface that was asked (ndisc_recv_ns), or as a proxy."""
    mine = next((a for a in namespace.addresses if a.address == asked and a.index == link.index), None)
    if mine is not None and "dadfailed" in mine.flags:
        text = f"{name}/{link.name} does not use {asked}: duplicate address detection failed"
        return lost(
            "addr-dad-failed",
            name,
            link,
            Stage.ARP,
            text,
            object=Object("address", f"{asked}/{mine.prefixlen} dev {link.name}", "dadfailed"),
        )
    if mine is not None:
        return Station(link.mac, name, link)
    if any(n.proxy and n.address == asked and n.index == link.index for n in namespace.neighbours):
        return Station(link.mac, name, link, proxy=True)
    return None


def suppressed(ground: Ground, name: str, link: Link, request: Packet) -> Stop | None:
    """Why the owner of an address stays silent: NOARP, a source check, arp_ignore, arp_filter."""
    namespace, flow = ground.namespace(name), request.flow
    if not link.arp:
        return _noarp(name, link, f"{name}/{link.name} has ARP switched off (NOARP): it answers nobody")
    if flow.src != "0.0.0.0":
        checked = source_check.check(ground, name, link, flow.src, flow.dst, request)
        if checked is not None:
            return checked
    if _arp_ignored(namespace, link, flow.src, flow.dst):
        return _sysctl_stop(namespace, name, link, "arp_ignore", f"{name} does not answer for {flow.dst} on {link.name}")
    if _maximum(namespace, link, "arp_filter") and flow.src != "0.0.0.0":
        back = fib.lookup(namespace, RouteQuery(flow.dst, flow.src))
        if back.leg is not None and back.leg.index != link.index:
            return _sysctl_stop(
                namespace, name, link, "arp_filter", f"{name} would route back to {flow.src} by another interface than {link.name}"
            )
    return None


def _arp_ignored(namespace: Namespace, link: Link, sender: str, asked: str) -> bool:
    """arp_ignore of ip-sysctl: 1 only this interface's addresses, 2 and of the sender's network, 3 not host scope, 8 never."""
    level = _maximum(namespace, link, "arp_ignore")
    here = [a for a in namespace.addresses_of(link) if a.address == asked]
    if level == 1:
        return not here
    if level == 2:
        return not any(prefix.contains(prefix.network(a.address, a.prefixlen), sender) for a in here)
    if level == 3:
        return any(a.address == asked and a.scope == "host" for a in namespace.addresses)
    return level == 8


def _proxies(ground: Ground, name: str, link: Link, request: Packet) -> Station | None:
    """Proxy ARP: the address is reached through another interface, forwarding and proxy_arp (or a proxy entry) are on."""
    namespace, flow = ground.namespace(name), request.flow
    entry = any(n.proxy and n.address == flow.dst and n.index == link.index for n in namespace.neighbours)
    if not entry and not _maximum(namespace, link, "proxy_arp") and not _maximum(namespace, link, "proxy_arp_pvlan"):
        return None
    if not forwards(namespace, link, 4):
        return None
    route = fib.lookup(namespace, RouteQuery(flow.src, flow.dst, iif=link.index))
    pvlan = bool(_maximum(namespace, link, "proxy_arp_pvlan"))
    if route.leg is None or (route.leg.index == link.index and not pvlan):
        return None
    return Station(link.mac, name, link, proxy=True)


def _answer_arrives(ground: Ground, at: tuple[str, Link], asker: tuple[str, Link], request: Packet) -> tuple[Stop | None, tuple[Stop, ...]]:
    """Why the unicast answer does not get back to who asked, and what it passes that may stop it."""
    name, link = at
    reply = replace(answer_to(request, link), suspects=())
    if dropped := _outgoing(ground, name, link, reply):
        return dropped, ()
    stops = []
    for branch in Segment(ground).transmit(name, link, reply):
        if branch.exit:
            return None, branch.packet.suspects
        if branch.at == (asker[0], asker[1]):
            return _incoming(ground, asker[0], asker[1], branch.packet), branch.packet.suspects
        if branch.stop is not None:
            stops.append(branch.stop)
        elif branch.at is not None:
            text = f"the answer to {request.flow.src} reaches {branch.at[0]}/{branch.at[1].name} instead of {asker[0]}/{asker[1].name}"
            stops.append(_not_a_port(ground, asker, text))
    return (stops[0] if stops else None), ()


def answer_to(request: Packet, link: Link) -> Packet:
    """The unicast answer that `link` gives to a request."""
    flow = request.flow
    kind = ARP_REPLY if flow.protocol is Protocol.ARP else NEIGHBOUR_ADVERTISEMENT
    return replace(request, flow=replace(flow, src=flow.dst, dst=flow.src, icmp_type=kind, src_mac=link.mac, dst_mac=flow.src_mac))


def _not_a_port(ground: Ground, asker: tuple[str, Link], text: str) -> Stop:
    """An answer that stays in the router: the veth towards the asker is no port of the bridge that has the address."""
    far = ground.beyond(asker[0], asker[1].link) if asker[1].kind == "veth" else None
    if far is not None and far[1].master is None:
        return not_in_bridge(far[0], far[1], text)
    return lost("neigh-no-answer", asker[0], asker[1], Stage.ARP, text)


def not_in_bridge(name: str, port: Link, text: str) -> Stop:
    """A veth (or tunnel) end that should be a bridge port and is none."""
    return lost("port-not-in-bridge", name, port, Stage.BRIDGE, text, object=Object("link", port.name, f"{port.name} has no master"),
                fix=(f"ip link set {port.name} master BRIDGE",))  # fmt: skip


def nobody(ground: Ground, name: str, link: Link, asked: Packet, refusals: list[Stop]) -> Stop:
    """Why nobody answers: what keeps the owner silent or the request from it, if there is an owner; else that there is none."""
    address = asked.flow.dst
    silent = [s for s in refusals if s.code in _SILENCING or TUNNELLED in s.proof]
    if silent:
        return silent[0]
    barred = [s for s in refusals if s.code in _BARRING and (_entry_barred(s, refusals) or _owner_behind(ground, s, asked))]
    if barred:
        return barred[0]
    from .elsewhere import explain_silence, strayed

    owner = _owner(ground, address) or strayed(ground, name, link, address)
    if owner is not None and not owner[1].up:
        return link_down(owner[0], owner[1], Stage.ARP)

    return explain_silence(ground, name, link, address, owner)


# What keeps the owner of an address from answering, and what keeps the request from the owner.
_SILENCING = {
    "arp-disabled", "arp-suppressed", "arp-filtered", "nd-filtered", "rp-filter", "martian-source", "addr-dad-failed", "neigh-no-answer",
    "port-not-in-bridge",
}  # fmt: skip
_BARRING = {
    "port-isolated", "port-flood-off", "port-not-forwarding", "filtered-by-rule", "policy-drop", "mac-not-allowed", "rejected-by-rule",
    "link-admin-down", "link-no-carrier", "mtu-l2-mismatch",
}  # fmt: skip


def _entry_barred(stop: Stop, refusals: list[Stop]) -> bool:
    """Whether the request did not even get into the bridge."""
    return len(refusals) == 1 and stop.place.stage in (Stage.BRIDGE_PREROUTING, Stage.TRANSMIT, Stage.RECEIVE)


def _owner_behind(ground: Ground, stop: Stop, asked: Packet) -> bool:
    """Whether the address would be found behind the port that keeps the request out: the walk goes on as if it did not."""
    if stop.place.namespace is None or stop.place.interface is None:
        return False
    if stop.place.stage is Stage.INGRESS and ground.namespace(stop.place.namespace).owner_of(asked.flow.dst) is not None:
        return True
    port = ground.namespace(stop.place.namespace).link_named(stop.place.interface)
    far = ground.beyond(stop.place.namespace, port.link) if port is not None and port.kind == "veth" else None
    if stop.place.stage is Stage.BRIDGE_PREROUTING and port is not None:  # it is the way into the bridge that is barred
        far = (stop.place.namespace, port)
    if far is None:
        return port is not None and port.kind == "vxlan"
    if far[1].master is None or not far[1].up:
        return ground.namespace(far[0]).owner_of(asked.flow.dst) is not None
    branches = Segment(ground, barred=False).receive(far[0], replace(far[1], carrier=True), asked)
    return any(b.at is not None and ground.namespace(b.at[0]).owner_of(asked.flow.dst) is not None for b in branches)


def _owner(ground: Ground, address: str) -> tuple[str, Link] | None:
    """The interface that carries the address, in a namespace read so far."""
    for namespace in ground.snapshot.namespaces.values():
        link = namespace.owner_of(address)
        if link is not None:
            return namespace.name, link
    return None


def forwards(namespace: Namespace, link: Link, version: int) -> bool:
    """Whether packets that come in on `link` are forwarded (IN_DEV_FORWARD: the interface's own value)."""
    if version == 6:
        return namespace.sysctl("net.ipv6.conf.all.forwarding") == "1"
    return namespace.sysctl(_name(link, "forwarding"), namespace.sysctl("net.ipv4.ip_forward", "0")) == "1"


def _name(link: Link, setting: str) -> str:
    return f"net.ipv4.conf.{link.name.replace('.', '/')}.{setting}"


def _maximum(namespace: Namespace, link: Link, setting: str) -> int:
    """The value in force where the kernel takes the larger (or either) of `all` and the interface (ip-sysctl)."""
    values = (namespace.sysctl(f"net.ipv4.conf.all.{setting}", "0"), namespace.sysctl(_name(link, setting), "0"))
    return max(int(v or 0) for v in values)


def _sysctl_stop(namespace: Namespace, name: str, link: Link, setting: str, text: str) -> Stop:
    general = f"net.ipv4.conf.all.{setting}"
    key = general if int(namespace.sysctl(general, "0") or 0) else _name(link, setting)
    value = namespace.sysctl(key, "?")
    return lost("arp-suppressed", name, link, Stage.ARP, f"{text}: {key} = {value}", object=Object("sysctl", key, f"{key} = {value}"),
                fix=(f"sysctl -w {key}=0",))  # fmt: skip


def _noarp(name: str, link: Link, text: str) -> Stop:
    return lost(
        "arp-disabled",
        name,
        link,
        Stage.ARP,
        text,
        object=Object("link", link.name, f"{link.name}: <NOARP>"),
        fix=(f"ip link set {link.name} arp on",),
    )
