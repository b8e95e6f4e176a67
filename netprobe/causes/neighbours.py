"""Neighbours: the next hop's MAC address is not found out, or is the wrong one (ARP for IPv4, neighbour
discovery for IPv6).
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose.evidence import Case
from netprobe.model import Cause, Command, Confidence, Evidence, Leg, Object, Place, Source, Stage
from netprobe.predict.fixes import INTERFACE, machine_wide

from . import proof


def neigh_no_answer(case: Case) -> Cause | None:
    """Nobody on the segment answers for the address: there is no such station here.

    What: Before a packet can be sent to a neighbour, its MAC address is asked for ("who has 10.0.0.7?"), and
    nobody answered. The container is stopped or has another address than you think, the gateway in the
    default route is mistyped, or the address belongs to another network and should have been reached through
    a router. The sender later reports "Destination Host Unreachable" in its own name.

    How we know: The request was walked over the segment's wiring and no station owns the address; a live
    probe shows the requests in the capture and no answer. The neighbour table says INCOMPLETE, and after
    three seconds FAILED.

    Fix: Find out who should have the address, and give it to that station, or correct the route that names
    it.
        ip neigh show dev IFACE
        ip -n OTHER_NS address add ADDRESS/LENGTH dev OTHER_IFACE

    See: ip-neighbour(8); arp(7); RFC 826; RFC 4861
    """
    where = case.stop.place.interface if case.stop is not None else None
    look = Command.look("ip", "neigh", "show", "dev", where or INTERFACE)
    return proof.proven(case.by_stop("neigh-no-answer", look), *proof.neighbour(case), *proof.segment(case))


def neigh_wrong_entry(case: Case) -> Cause | None:
    """The neighbour table has a MAC address that no station on the segment has.

    What: The sender does not ask because it believes to know: a permanent entry was made by hand or by an
    overlay network, or the container was made anew with another MAC address and the old one is still
    remembered. The frames go out and nobody takes them up.

    How we know: The entry, as `ip neigh` shows it, and the fact that no interface behind this segment has its
    MAC address.

    Fix: Delete the entry; the next packet asks anew.
        ip neigh del ADDRESS dev IFACE

    See: ip-neighbour(8); net/core/neighbour.c
    """
    return case.by_stop("neigh-wrong-entry")


def arp_disabled(case: Case) -> Cause | None:
    """ARP is switched off on an interface (NOARP), so MAC addresses are neither asked for nor told.

    What: With the NOARP flag the kernel invents the interface's own MAC address as the neighbour's and never
    answers a question. It is right for point-to-point devices and wrong on Ethernet. Load balancers of the
    direct-routing kind set it on purpose on the servers' loopback, and sometimes on the wrong interface.

    How we know: The interface has the flag IFF_NOARP; in the capture there are questions without answers, or
    none at all.

    Fix: Switch ARP on again.
        ip link set IFACE arp on

    See: ip-link(8), "arp"; net/ipv4/arp.c (arp_constructor)
    """
    return case.by_stop("arp-disabled")


def arp_suppressed(case: Case) -> Cause | None:
    """A sysctl keeps who needs a MAC address from asking for it, or its owner from answering.

    What: The sysctl `arp_ignore` limits the answers to addresses of the very interface that was asked (1, 2),
    or stops them altogether (8); `arp_filter` limits them to the interface by which the answer would be
    routed. Both are set for load balancers and for hosts with two interfaces on one network, and both also
    hit an innocent container. With `mcast_solicit` 0 an interface asks nobody, in IPv4 or in IPv6, and drops
    what is for a neighbour that it does not know yet.

    How we know: The sysctl in force (the larger one of `all` and the interface's own), read in the namespace
    of the owner; or that of the interface that was to ask.

    Fix: Set it back, in the namespace that the report names. Both names count, so look at both.
        sysctl -w net.ipv4.conf.IFACE.arp_ignore=0
        sysctl -w net.ipv4.conf.all.arp_ignore=0
        sysctl -w net.ipv4.neigh.IFACE.mcast_solicit=3

    See: ip-sysctl (kernel documentation), arp_ignore and arp_filter; arp(7), mcast_solicit; net/ipv4/arp.c
    (arp_ignore, arp_filter); net/core/neighbour.c (__neigh_event_send)
    """
    return case.by_stop("arp-suppressed")


def arp_filtered(case: Case) -> Cause | None:
    """A firewall rule drops ARP, so the neighbour's MAC address is never found out.

    What: Rules of arptables, ebtables or of nft's arp and bridge families see ARP, which ordinary IP rules
    never do. Tools against ARP spoofing pin each port to one pair of addresses, and drop the questions of a
    container that got another one.

    How we know: The rule, read with its table and number, matches the ARP request or the answer.

    Fix: Delete the rule, or add one before it that lets this pair of addresses pass.
        arptables -L -n --line-numbers
        ebtables -L --Ln
        nft -a list ruleset

    See: arptables-nft(8); ebtables-nft(8); nft(8)
    """
    return case.by_stop("arp-filtered")


def nd_filtered(case: Case) -> Cause | None:
    """A firewall rule drops IPv6 neighbour discovery, which IPv6 needs as IPv4 needs ARP.

    What: In IPv6 the neighbour's MAC address is asked for with ICMPv6 messages, types 135 and 136, and they
    pass the same rules as all other packets. A ruleset that drops ICMPv6, or drops by default and only allows
    what is established, cuts the host off completely, although the same ruleset works for IPv4.

    How we know: The rule or policy, read with its table and chain, matches the neighbour solicitation or
    advertisement.

    Fix: Let neighbour discovery pass before any rule that drops.
        ip6tables -I INPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j ACCEPT
        ip6tables -I INPUT -p icmpv6 --icmpv6-type neighbour-advertisement -j ACCEPT
        nft insert rule inet filter input icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept

    See: RFC 4861; RFC 4890 (what ICMPv6 a firewall must let pass); ip6tables(8)
    """
    return case.by_stop("nd-filtered")


def proxy_arp_off(case: Case) -> Cause | None:
    """The address is behind a router that would have to answer ARP in its place, and does not.

    What: The sender believes that the address is on its own segment, but it is behind a router. That works
    only when the router answers the ARP question itself (proxy ARP). Container networks that give a container
    a /32 address rely on it (Calico does), and so do hosts that hand out addresses of their own network to
    containers behind them.

    How we know: The router has a route to the address by another interface, and `proxy_arp` is 0 there.

    Fix: Let the router answer, on the interface on which it is asked.
        sysctl -w net.ipv4.conf.IFACE.proxy_arp=1
        ip neigh add proxy ADDRESS dev IFACE   # for this one address, also in IPv6

    See: ip-sysctl (kernel documentation), proxy_arp; net/ipv4/arp.c (arp_fwd_proxy); RFC 1027
    """
    return case.by_stop("proxy-arp-off")


def neigh_table_full(case: Case) -> Cause | None:
    """The kernel's neighbour table is full, so no new neighbour can be learned.

    What: All namespaces of a machine share one table for ARP and one for IPv6. With the default limit of 1024
    entries a host with many containers that talk to each other fills it, and then packets to new neighbours
    are dropped at the sender with "No buffer space available", for all containers at once and seemingly at
    random.

    How we know: The kernel's own counters: the table's entries have reached the limit (gc_thresh3), and
    table_fulls was counted up.

    Fix: Raise the limits, on the host and for good in /etc/sysctl.d; they hold for all namespaces.
        sysctl -w net.ipv4.neigh.default.gc_thresh3=8192
        sysctl -w net.ipv6.neigh.default.gc_thresh3=8192

    See: arp(7), gc_thresh3; net/core/neighbour.c (neigh_alloc)
    """
    return case.by_stop("neigh-table-full") or _full(case)


def _full(case: Case) -> Cause | None:
    """The packet did not leave a namespace, and the neighbour table has no room."""
    place = _not_left(case) if case.watched else None
    namespace = case.snapshot.namespaces.get(place.namespace or "") if place is not None else None
    if place is None or namespace is None:
        return None
    family, cache = (6, "ndisc_cache") if case.probe.version == 6 else (4, "arp_cache")
    key = f"net.ipv{family}.neigh.default.gc_thresh3"
    # only the first namespace of a machine has the sysctl
    first = next((n for n in case.snapshot.namespaces.values() if n.sysctl(key)), None)
    limit = first.number(key) if first is not None else namespace.counters.get(f"{cache}.gc_thresh3", 0)
    entries, refused = (namespace.counters.get(f"{cache}.{n}", 0) for n in ("entries", "table_fulls"))
    if not limit or entries < limit * _FULL or not refused:
        return None
    text = f"the neighbour table of the kernel is full: {entries} entries, {key} = {limit}"
    counted = Evidence(Source.COUNTER, f"{cache}.table_fulls stands at {refused}", Confidence.OBSERVED)
    there = first.name if first is not None else None
    raised = machine_wide(key, max(8192, 2 * limit), cookie=1 if first is not None else namespace.cookie)
    fix = tuple(replace(each, namespace=there) for each in raised)
    thing = Object("sysctl", key, f"{key} = {limit}")
    return Cause(
        "neigh-table-full",
        place,
        text,
        thing,
        (counted, *case.witnesses()),
        Confidence.INFERRED,
        commands=fix,
    )


# Entries that are being dropped again, and those on the way of others, come and go while it is read.
_FULL = 0.9


def _not_left(case: Case) -> Place | None:
    """Where a packet was last, when it was to be sent to a next hop: the sender itself, or a router on its
    way.
    """
    leg = case.leg or Leg.REQUEST
    last, missed = case.last_seen(leg), case.first_missed(leg)
    if last is None and leg is Leg.REQUEST:
        return Place(case.probe.source.namespace, case.probe.source.interface, Stage.NEIGHBOUR)
    if last is None or missed is None or missed.namespace != last.namespace or missed.bound != "out":
        return None
    return Place(missed.namespace, missed.interface, Stage.NEIGHBOUR)


CAUSES = (
    neigh_no_answer,
    neigh_wrong_entry,
    arp_disabled,
    arp_suppressed,
    arp_filtered,
    nd_filtered,
    proxy_arp_off,
    neigh_table_full,
)
