"""Why one namespace's IP stack does not send, take or pass on a packet, as ends of a walk."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import InterfaceAddress, Link, Namespace, Object, Place, Protocol, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, find, where

from . import fib, fixes, prefix
from .arp_reply import forwards
from .drop import lost
from .fib import FibResult
from .outcome import is_group
from .view import Packet

_PROXYS_TABLE = 100  # as in the kernel's documentation of TPROXY


def is_broadcast(namespace: Namespace, dst: str, link: Link | None) -> Stop:
    """The destination is the broadcast address of a network that the sender takes itself to be in, or a route
    that somebody made says so.
    """
    for route in but(where(namespace.routes, type="broadcast"), protocol="kernel"):
        if prefix.contains(route.dst, dst):
            words = fib.words(route, None, link)
            named = " ".join(words)
            text = f"for {namespace.name} {dst} is everybody, by the route {named}"
            thing, gone = Object("route", named, named), (fixes.ip(route.dst, "route", "del", *words),)
            return lost("route-overlap", namespace.name, link, Stage.ROUTE, text, object=thing, fix=gone)
    mine = next((a for a in namespace.addresses if prefix.broadcast(a.address, a.prefixlen) == dst), None)
    if mine is None:
        return _given_as_broadcast(namespace, dst)
    text = f"for {namespace.name} {dst} is the broadcast address of its own {mine.written}, not a station's"
    fix = fixes.with_right_length(mine, link) if link is not None else ()
    return _of_an_address(namespace, mine, text, fix)


def _given_as_broadcast(namespace: Namespace, dst: str) -> Stop:
    """An address of the namespace that was given with the destination as its broadcast address: that cannot
    be set on one that is there (inet_rtm_newaddr).
    """
    made = where(namespace.routes, type="broadcast", dst=f"{dst}/32")
    for own in among(namespace.addresses, address={*column(made, "source")}):
        text = (
            f"{own.written} of {namespace.name} was given with the broadcast address {dst}, which is a"
            " station's"
        )
        links = where(namespace.links, index=own.index)
        fix = tuple(fixes.address(verb, own, link) for link in links for verb in ("del", "add"))
        return _of_an_address(namespace, own, text, fix)
    text = f"for {namespace.name} {dst} is a broadcast address, not a station's"
    return lost("addr-is-broadcast", namespace.name, None, Stage.ROUTE, text)


def _of_an_address(namespace: Namespace, own: InterfaceAddress, text: str, fix: fixes.Fix) -> Stop:
    link = namespace.link(own.index)
    object = Object("address", f"{own.written} dev {name_of(link)}", text)
    return lost("addr-is-broadcast", namespace.name, link, Stage.ROUTE, text, object=object, fix=fix)


def leads_back(namespace: Namespace, out: Link, decision: FibResult) -> Stop | None:
    """Why a packet that a route to somewhere else sends out of loopback is lost.

    It keeps its route there, by which nobody takes it (loopback_xmit; skb_valid_dst in ip_rcv_finish_core,
    dst_discard); IPv6 makes such a route one that refuses (ip6_route_info_create).
    """
    if (out.kind, decision.type) != ("loopback", "unicast"):
        return None
    described = fib.words(decision.found, decision.leg, out)
    thing = Object("route", " ".join(described), " ".join(described))
    text = f"the route {thing.id} of {namespace.name} leads back to itself: nobody takes what comes in there"
    fix = (fixes.ip(decision.found.dst, "route", "del", *described),)
    return lost("route-via-dead-device", namespace.name, out, Stage.ROUTE, text, object=thing, fix=fix)


def without_source(namespace: Namespace, link: Link | None, decision: FibResult, dst: str) -> Stop:
    """No address to send from, by a route that names none: none at all, or one whose scope ends before the
    route's; that one must be told to be the source.
    """
    text = f"{namespace.name} has no IPv{prefix.version(dst)} address to send from"
    thing = Object("address", f"dev {name_of(link, 'INTERFACE')}", text)
    fix: fixes.Fix = (fixes.with_address(link),)
    near = namespace.addresses_of(link, 4) if decision.route is not None else ()
    for own in near[:1] if prefix.version(dst) == 4 else ():
        text = f"{own.written} has the scope {own.scope}: {namespace.name} sends nothing from it to {dst}"
        thing = Object("address", f"{own.written} dev {name_of(link)}", text)
        words = fib.words(decision.found, decision.leg, link)
        metric = ("metric", str(decision.found.metric)) if decision.found.metric else ()
        fix = (fixes.ip(dst, "route", "replace", *words, *metric, "src", own.address),)
    return lost("addr-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)


def for_everybody(namespace: Namespace, link: Link, packet: Packet, stage: Stage) -> Stop | None:
    """A packet for one station in a frame for all, or for a group, as a neighbour entry made it: no router
    hands it on, and TCP does not take it (skb->pkt_type in ip_forward, ip6_forward, tcp_v4_rcv, tcp_v6_rcv).
    """
    mac, flow = packet.flow.dst_mac, packet.flow
    alone = not (prefix.is_multicast(flow.dst) or flow.dst == "255.255.255.255")
    if not is_group(mac) or not alone:
        return None
    if stage is Stage.INPUT and flow.protocol is not Protocol.TCP:
        return None
    does = "takes no TCP" if stage is Stage.INPUT else "forwards nothing"
    text = f"{namespace.name} {does} that comes in a frame for more than one station, {mac}"
    return lost("neigh-wrong-entry", namespace.name, link, stage, text)


def in_a_frame_for_many(namespace: Namespace, link: Link, packet: Packet) -> Stop | None:
    """A packet for one station in a frame for a group, where that is held for an attack: IPv4 asks all
    interfaces or this one, IPv6 this one (ip_rcv_finish_core, ip6_rcv_core).
    """
    mac, version = packet.flow.dst_mac, packet.flow.version
    if not is_group(mac) or prefix.is_multicast(packet.flow.dst):
        return None
    whose = {4: (link.key, "all"), 6: (link.key,)}[version]
    keys = [f"net.ipv{version}.conf.{each}.drop_unicast_in_l2_multicast" for each in whose]
    on = [key for key in keys if namespace.sysctl(key) == "1"]
    text = f"{namespace.name} takes nothing that comes in a frame for more than one station, {mac}"
    for key in on[-1:]:
        stop = sysctl(namespace.name, link, "neigh-wrong-entry", key, "1", "0", f"{text}: {key} = 1")
        fix = tuple(fix for each in on for fix in fixes.sysctl(each, 0))
        return replace(stop, place=Place(namespace.name, link.name, Stage.ROUTE), commands=fix)
    return None


def no_room_for_pieces(namespace: Namespace, link: Link, packet: Packet) -> Stop | None:
    """A packet in pieces that the receiver has no memory to put together (net/ipv4/inet_fragment.c)."""
    key = {4: "net.ipv4.ipfrag_high_thresh", 6: "net.ipv6.ip6frag_high_thresh"}[packet.flow.version]
    limit = namespace.number(key, 4194304)
    if not packet.fragments or limit > packet.length:
        return None
    return replace(
        sysctl(
            namespace.name,
            link,
            "frag-reassembly",
            key,
            str(limit),
            "4194304",
            f"{namespace.name} has no room for pieces of packets: {key} = {limit}",
        ),
        place=Place(namespace.name, link.name, Stage.INPUT),
    )


_ECHO_REPLY = 1  # the bit of its type, 0
_ORDINARY_MASK = 6168


def seldom_answered(namespace: Namespace, link: Link | None) -> tuple[Stop, ...]:
    """A stack that was told to limit its echo replies as it does errors (net/ipv4/icmp.c,
    icmpv4_xrlim_allow).
    """
    key, rate = "net.ipv4.icmp_ratemask", namespace.number("net.ipv4.icmp_ratelimit", 1000)
    mask = namespace.number(key, _ORDINARY_MASK)
    if not rate or not mask & _ECHO_REPLY:
        return ()
    text = f"{namespace.name} sends one echo reply in {rate} ms, and a few more at first: {key} = {mask}"
    thing, fix = Object("sysctl", key, f"{key} = {mask}"), fixes.sysctl(key, mask & ~_ECHO_REPLY)
    return (lost("rate-limited", namespace.name, link, Stage.OUTPUT, text, object=thing, fix=fix),)


def _local_table(namespace: Namespace, version: int) -> int | None:
    """A table in which every address is the namespace's own, as a transparent proxy needs one."""
    found = find(namespace.routes, type="local", dst=prefix.WHOLE[version])
    return found.table if found is not None else None


def not_kept(namespace: Namespace, link: Link, packet: Packet) -> Stop:
    """A packet that a socket has already, and that is routed on, is dropped (ip_forward, ip6_forward)."""
    text = (
        f"TPROXY has given the packet to a socket of {namespace.name}, whose routes send it on: it is dropped"
    )
    mark = f"{packet.mark:#x}"
    id = f"from all fwmark {mark} lookup TABLE"
    known = _local_table(namespace, packet.flow.version)
    table = str(known or _PROXYS_TABLE)
    route = fixes.ip(packet.flow.dst, "route", "add", "local", "default", "dev", "lo", "table", table)
    rule = fixes.ip(packet.flow.dst, "rule", "add", "fwmark", mark, "lookup", table)
    fix = (rule,) if known else (rule, route)
    object = Object("policy-rule", id, f"{id} (missing)")
    return lost("rule-local-missing", namespace.name, link, Stage.FORWARD, text, object=object, fix=fix)


def not_forwarding(namespace: Namespace, link: Link, packet: Packet) -> Stop:
    """A packet for others at a namespace, or an interface, that is no router."""
    of_version = {4: f"net.ipv4.conf.{link.key}.forwarding", 6: "net.ipv6.conf.all.forwarding"}
    key = of_version[packet.flow.version]
    if packet.flow.version == 4 and namespace.sysctl("net.ipv4.ip_forward") == "0":
        key = "net.ipv4.ip_forward"
    others = (each for each in namespace.links if forwards(namespace, each, 6))
    if packet.flow.version == 6 and any(others):  # since Linux 6.17 an interface may forward alone
        key = f"net.ipv6.conf.{link.key}.force_forwarding"
    text = f"{namespace.name} does not forward: {key} = 0"
    return sysctl(namespace.name, link, "forwarding-off", key, "0", "1", text)


def sysctl(name: str, link: Link, code: str, key: str, value: str, wanted: str, text: str) -> Stop:
    """A packet that a setting drops: the value that it has, and the one that would let it pass."""
    return lost(
        code,
        name,
        link,
        Stage.FORWARD,
        text,
        object=Object("sysctl", key, f"{key} = {value}"),
        fix=fixes.sysctl(key, wanted),
    )


def ttl_expired(name: str, link: Link) -> Stop:
    """The packet's TTL ends at this router."""
    return lost("ttl-expired", name, link, Stage.FORWARD, f"the TTL of the packet is used up at {name}")
