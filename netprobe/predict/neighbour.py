"""Who has this address on the segment? The neighbour cache, else an ARP or ND exchange walked through the
wiring.

Kernel: net/ipv4/arp.c (arp_process, arp_ignore, arp_filter), net/ipv6/ndisc.c, net/core/neighbour.c; RFC 826,
RFC 4861.
"""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import (
    ARP_REQUEST,
    NEIGHBOUR_SOLICITATION,
    Flow,
    Link,
    Namespace,
    Neighbour,
    Object,
    Protocol,
    ReadAsking,
    Stage,
    Stop,
)
from netprobe.model.lookup import but, find

from . import fib, fixes, ipv6, prefix, rp_filter
from .arp_reply import Station, noarp
from .arp_request import asks_for_another, enquire, outgoing
from .device import not_running
from .drop import lost
from .fixes import forget_neighbour
from .outcome import Carry
from .unanswered import nobody
from .view import BROADCAST, Ground, Lacking, Packet

_USABLE = {"permanent", "reachable", "stale", "delay", "probe", "noarp"}


class Resolution(Struct, frozen=True, gc=False):
    """The next hop's MAC, None for a device that needs none; or why there is none. With both, the frame goes
    out, to nobody.

    `rivals` answer for it as well.

    `suspects` lie on the way of the request or of its answer. `given` as of a station.
    """

    mac: str | None = None
    note: str = ""
    stop: Stop | None = None
    entry: Neighbour | None = None
    rivals: tuple[Station, ...] = ()
    suspects: tuple[Stop, ...] = ()
    given: Stop | None = None


def resolve(ground: Ground, carry: Carry, name: str, link: Link, address: str, packet: Packet) -> Resolution:
    """Find the MAC of `address` on `link` for this packet, as the kernel's neighbour code would."""
    if not needs_mac(link):
        return Resolution(note="no neighbour needed")
    if prefix.is_multicast(address) or address == "255.255.255.255":
        return Resolution(BROADCAST)
    entry = cached(ground.namespace(name), link, address)
    by_hand = entry is not None and entry.state == "permanent"
    if not by_hand and prefix.version(address) == 4 and fib.is_broadcast(ground.namespace(name), address):
        return Resolution(
            BROADCAST, f"everybody: {address} is a broadcast address for {name}"
        )  # arp_constructor
    # entries made by hand count all the same
    if not link.arp and not by_hand:
        text = (
            f"{link.name} has ARP switched off (NOARP): it sends to its own MAC instead of asking who has"
            f" {address}"
        )
        return Resolution(link.mac, stop=noarp(name, link, text))
    told = ground.learned.get((name, link.index, address)) if not by_hand else None
    if entry is not None and entry.mac and entry.state in _USABLE and told in (None, entry.mac):
        return Resolution(entry.mac, f"neighbour {entry.mac} ({entry.state})", entry=entry)
    if told is not None:  # it takes the place of what was known (neigh_event_ns, ndisc_recv_ns)
        return Resolution(told, f"neighbour {told}, which has asked before")
    return ask(ground, carry, name, link, address, packet)


def needs_mac(link: Link) -> bool:
    """Whether frames on this device carry Ethernet addresses."""
    return bool(link.mac) and link.kind not in ("loopback", "tun", "ipip", "sit", "gre", "wireguard", "ppp")


def cached(namespace: Namespace, link: Link, address: str) -> Neighbour | None:
    """The neighbour entry for an address on a link."""
    return find(namespace.entries_for(link, address), proxy=False)


def ask(ground: Ground, carry: Carry, name: str, link: Link, address: str, packet: Packet) -> Resolution:
    """Walk the request to every stack of the segment, and each answer back."""
    if dead := not_running(ground, name, link, Stage.TRANSMIT):
        return Resolution(stop=dead)
    namespace = ground.namespace(name)
    silent = _asks_nobody(namespace, link, address) or _asks_from_nowhere(namespace, link, packet, address)
    if silent is not None:
        return Resolution(stop=silent)
    asked = request(namespace, link, address, packet)
    if dropped := outgoing(ground, name, link, asked) or asks_for_another(ground, name, link, asked):
        return Resolution(stop=dropped)
    found = enquire(ground, carry, (name, link), asked)
    if found.stations:
        # the port that joined last is flooded first (br_add_if), and who answers first is believed
        best = min(reversed(found.stations), key=lambda station: station.proxy)
        whose, rivals = "", but(found.stations, mac=best.mac)
        if best.namespace and best.link:  # who is asked learns who asks (arp_process, ndisc_recv_ns)
            ground.learned[best.namespace, best.link.index, asked.flow.src] = link.mac
            whose = f" of {best.namespace}/{best.link.name}"
        return Resolution(
            best.mac, f"neighbour {best.mac}{whose}", rivals=rivals, suspects=best.suspects, given=best.given
        )
    if found.unread:
        return Resolution(stop=found.unread[0])
    if found.exits and ground.is_silent(address):
        return Resolution(stop=nobody_beyond(name, link, address))
    if found.exits:
        return Resolution(None, f"asks the segment beyond {link.name} who has {address}")
    return Resolution(stop=nobody(ground, carry, (name, link), asked, found))


def _asks_nobody(namespace: Namespace, link: Link, address: str) -> Stop | None:
    """An interface that is not to ask everybody: it gives up at once, or asks a program alone
    (__neigh_event_send, arp_solicit; arp(7), mcast_solicit and app_solicit).
    """
    stem = f"net.ipv{prefix.version(address)}.neigh.{link.key}"
    if namespace.asking is not None and stem not in namespace.asking:
        raise Lacking(ReadAsking(namespace.name, stem))
    key, of_programs = f"{stem}.mcast_solicit", f"{stem}.app_solicit"
    if namespace.sysctl(key, "3") != "0":
        return None
    text = f"{link.name} in {namespace.name} asks nobody who has {address}: {key} = 0"
    thing, fix = Object("sysctl", key, f"{key} = 0"), fixes.sysctl(key, 3)
    stop = lost("arp-suppressed", namespace.name, link, Stage.NEIGHBOUR, text, object=thing, fix=fix)
    if not namespace.number(of_programs):
        return stop
    text = f"{link.name} in {namespace.name} asks a program alone who has {address}: {of_programs} is set"
    return lost("unknown", namespace.name, link, Stage.NEIGHBOUR, text)


def _asks_from_nowhere(namespace: Namespace, link: Link, packet: Packet, address: str) -> Stop | None:
    """An interface of IPv6 without a link-local address that may be used, which sends no solicitation for
    what comes from elsewhere (ndisc_send_ns).
    """
    if prefix.version(address) == 4 or _solicits_from(namespace, link, packet.flow.src) is not None:
        return None
    return ipv6.cannot_ask(namespace, link, address)


def nobody_beyond(name: str, link: Link, address: str) -> Stop:
    """A question that left for where nobody sees, and got no answer."""
    entry = f"{address} dev {link.name}"
    text = f"{name} asked the network beyond {link.name} who has {address}, and nobody answered"
    thing = Object("neighbour", entry, f"{entry} FAILED")
    return lost("neigh-no-answer", name, link, Stage.NEIGHBOUR, text, object=thing)


def nobody_has(name: str, link: Link, nexthop: str, mac: str | None) -> Stop:
    """A neighbour entry whose MAC no station has."""
    entry = f"{nexthop} dev {link.name} lladdr {mac}"
    text = f"no station behind {link.name} has the MAC {mac} of the entry for {nexthop}"
    return lost(
        "neigh-wrong-entry",
        name,
        link,
        Stage.NEIGHBOUR,
        text,
        object=Object("neighbour", entry, entry),
        fix=(forget_neighbour(nexthop, link),),
    )


def request(namespace: Namespace, link: Link, address: str, packet: Packet) -> Packet:
    """The ARP request or neighbour solicitation the kernel sends for this packet (arp_solicit,
    ndisc_solicit).
    """
    if prefix.version(address) == 4:
        named = _announces(namespace, link, packet.flow.src, address)
        own = packet.flow.src if named else fib.select_address(namespace, link.index, address)
        flow = Flow(
            own or "0.0.0.0",
            address,
            Protocol.ARP,
            icmp_type=ARP_REQUEST,
            length=28,
            src_mac=link.mac,
            dst_mac=BROADCAST,
        )
    else:
        own = _solicits_from(namespace, link, packet.flow.src)
        low = f"{prefix.number(address) & 0xFFFFFF:06x}"
        group = f"33:33:ff:{low[:2]}:{low[2:4]}:{low[4:]}"
        flow = Flow(
            own or "::",
            address,
            Protocol.ND,
            icmp_type=NEIGHBOUR_SOLICITATION,
            ttl=255,
            length=72,
            src_mac=link.mac,
            dst_mac=group,
        )
    return Packet(flow, packet.leg, inside=packet.inside)


def _solicits_from(namespace: Namespace, link: Link, source: str) -> str | None:
    """Who asks in a solicitation: the source of its packet where that is the interface's own, else its
    link-local address (ndisc_solicit, ndisc_send_ns); never one that is not known to be the only one.
    """
    proven = [own for own in namespace.addresses_of(link, 6) if "tentative" not in own.flags]
    own = find(proven, address=source) or find(proven, scope="link")
    return own.address if own is not None else None


def _announces(namespace: Namespace, link: Link, source: str, asked: str) -> bool:
    """Whether a question names the source of its packet as who asks (arp_solicit): with arp_announce 1 only
    one of a network that the asked one is on, with 2 never.
    """
    level = rp_filter.in_force(namespace, link, "arp_announce")[0]
    if level == 1:
        networks = map(prefix.network_of, namespace.addresses_of(link, 4))
        return any(prefix.contains(each, source) and prefix.contains(each, asked) for each in networks)
    return level == 0 and namespace.owner_of(source) is not None
