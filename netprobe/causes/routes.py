"""Routes and policy rules: the routing decision finds nothing, refuses, or sends the packet the wrong way."""

from __future__ import annotations

from netprobe.diagnose.evidence import Case
from netprobe.diagnose.hints import gateway
from netprobe.model import Blank, Cause, Command, Leg
from netprobe.predict.fixes import ADDRESS, GATEWAY, INTERFACE, sysctl

from . import remedy

_NETWORK = Blank("NETWORK/LENGTH")


def no_route(case: Case) -> Cause | None:
    """There is no route to the destination: the namespace does not know where to send the packet.

    What: None of the routing tables that are asked has an entry for the address, not even a default route. A
    namespace made by hand starts without any; deleting an address or taking an interface down deletes its
    routes as well. If the reply is what finds no route, the far end does not know the way back to your
    private network.

    How we know: The kernel's own route lookup (RTM_GETROUTE) answers ENETUNREACH, and the tables as read have
    no entry that fits.

    Fix: Add the route that is missing, mostly the default route to the bridge or router.
        ip route add default via GATEWAY
        ip route add NETWORK/LENGTH via GATEWAY dev IFACE
        ip route get ADDRESS   # shows what the kernel would do

    See: ip-route(8); net/ipv4/fib_trie.c
    """
    return _with_gateway(
        case, case.by_stop("no-route", Command.of("ip", "route", "add", "default", "via", GATEWAY))
    )


def _with_gateway(case: Case, found: Cause | None) -> Cause | None:
    """The fix with the gateway's address in it, where one is in sight."""
    wanted = _wanted(case)
    if found is None or wanted is None or not remedy.lacks(found, GATEWAY.name):
        return found
    router = gateway(case.snapshot, found.place.namespace or "", wanted)
    return found if router is None else remedy.filled(found, GATEWAY.name, router.via)


def _wanted(case: Case) -> str | None:
    """The address that the broken leg is to reach, as it was when it left its sender."""
    if case.leg is not Leg.REPLY:
        return case.request[0].flow.dst if case.request else case.probe.destination.address
    if case.reply:
        return case.reply[0].flow.dst
    return case.request[-1].flow.src if case.request else None


def route_wrong_nexthop(case: Case) -> Cause | None:
    """The route points to a gateway that does not exist, or to a host that is no router.

    What: The route's `via` names an address that nobody on the segment has, or a neighbour that does not
    forward packets. A mistyped gateway, a router that got a new address, or a container taken for a router
    are the usual reasons.

    How we know: Nobody on the segment owns the next hop (the ARP question stays unanswered), or its owner
    does not forward.

    Fix: Point the route to the router's real address.
        ip route replace NETWORK/LENGTH via GATEWAY dev IFACE

    See: ip-route(8), "via"
    """
    return _with_gateway(
        case,
        case.by_stop("route-wrong-nexthop", Command.of("ip", "route", "replace", "default", "via", GATEWAY)),
    )


def route_blackhole(case: Case) -> Cause | None:
    """A blackhole route throws the packet away without a word.

    What: A route of type blackhole is a bin: everything for its network is dropped silently. Routing daemons
    and overlay networks add one for a whole pool of addresses, so that packets for an address nobody uses do
    not circle; a tool against attacks adds one for a single address. When the more specific route is missing,
    the bin catches what should have passed.

    How we know: The route lookup ends at that entry of the routing table. The sender's socket gets EINVAL for
    its own packets; a forwarded packet gets no answer at all.

    Fix: Delete it, or add the more specific route that should win over it.
        ip route show type blackhole
        ip route del blackhole NETWORK/LENGTH

    See: ip-route(8), "blackhole"; net/ipv4/fib_semantics.c (fib_props)
    """
    return case.by_stop("route-blackhole")


def route_unreachable(case: Case) -> Cause | None:
    """A route of type unreachable refuses the destination and says so to the sender.

    What: Somebody added a route that rejects a network on purpose: the sender gets "No route to host" or an
    ICMP host unreachable. Kubernetes and VPN software use it to keep traffic from leaving by the default
    route while a tunnel is down.

    How we know: The route lookup ends at that entry of the routing table.

    Fix: Delete it, or add the route that should be there.
        ip route show type unreachable
        ip route del unreachable NETWORK/LENGTH

    See: ip-route(8), "unreachable"
    """
    return case.by_stop("route-unreachable")


def route_prohibit(case: Case) -> Cause | None:
    """A route of type prohibit forbids the destination and says so to the sender.

    What: As with an unreachable route the packet is refused on purpose; the answer is "Permission denied" or
    ICMP "communication administratively prohibited". It is a router's simplest firewall.

    How we know: The route lookup ends at that entry of the routing table; the kernel answers EACCES.

    Fix: Delete it, if it should not be there.
        ip route show type prohibit
        ip route del prohibit NETWORK/LENGTH

    See: ip-route(8), "prohibit"
    """
    return case.by_stop("route-prohibit")


def route_overlap(case: Case) -> Cause | None:
    """Another, more specific route takes the traffic to the wrong interface.

    What: Routing takes the longest prefix that fits. When two networks overlap, the smaller one wins, even if
    it belongs to another Docker network, a VPN or a leftover interface. Docker's default pools (172.17.0.0/16
    and those after it) often collide with an office network or a VPN, and then one of the two is cut off.

    How we know: The route that was taken leaves by an interface behind which the destination is not, while a
    less specific one leads to it.

    Fix: Remove the route that is in the way, or give one of the networks other addresses.
        ip route get ADDRESS
        ip route del NETWORK/LENGTH dev IFACE
        docker network create --subnet 10.99.0.0/24 NETWORK   # a network of addresses nobody else uses

    See: ip-route(8); RFC 1812, 5.2.4.3 (longest match); Docker's default-address-pools
    """
    return case.by_stop("route-overlap", Command.of("ip", "route", "del", _NETWORK, "dev", INTERFACE))


def route_loop(case: Case) -> Cause | None:
    """Two routers send the packet to each other until its TTL is used up.

    What: Each believes that the other one is nearer to the destination. Typically router A has a route for a
    whole network via B, B has no route for that part of it, and B's default route leads back to A.

    How we know: The walk comes to the same interface again and again; a live probe is seen there several
    times with falling TTL, and an ICMP "time exceeded" comes back.

    Fix: Add the missing route on the router that sends the packet back, or a blackhole for the unused part of
    the network.
        ip route get ADDRESS   # in both namespaces: each names the other
        ip route add NETWORK/LENGTH via GATEWAY

    See: ip-route(8); RFC 1812, 5.3.1 (time to live)
    """
    return case.by_stop("route-loop", Command.of("ip", "route", "add", _NETWORK, "via", GATEWAY))


def route_wrong_src(case: Case) -> Cause | None:
    """The source address that was chosen for the packet cannot be answered to.

    What: A host with several addresses chooses one for each packet: the one that the route names (`src`),
    else the first that fits the way out. When the route names a stale one, or the loopback's, the packet
    arrives and the answer goes elsewhere. Of IPv6 an address that is deprecated is passed over for any other.

    How we know: The source address of the packet as it leaves, and the route lookup for the way back to it.

    Fix: Name the right address in the route, or take the wrong one out.
        ip route get ADDRESS   # shows src
        ip route replace NETWORK/LENGTH via GATEWAY dev IFACE src RIGHT

    See: ip-route(8), "src"; RFC 6724; net/ipv4/devinet.c (inet_select_addr)
    """
    return case.by_stop(
        "route-wrong-src",
        Command.of("ip", "route", "replace", _NETWORK, "via", GATEWAY, "src", Blank("RIGHT")),
    )


def route_via_dead_device(case: Case) -> Cause | None:
    """The route leads into a device that has nobody at its other end.

    What: A dummy device swallows all that is sent to it, and a tun or tap device leads nowhere once its
    program (a VPN client, a virtual machine, a user-space network) has ended. Out of lo nothing leads: what
    a route to somewhere else sends there is discarded. The route stayed, and looks perfectly healthy in
    `ip route`.

    How we know: The device's kind, and that it has no carrier; a tap sees the packet go out, nothing ever
    comes back.

    Fix: Delete the route, or start the program that serves the device.
        ip route get ADDRESS
        ip route del NETWORK/LENGTH dev IFACE

    See: ip-route(8); drivers/net/dummy.c; the kernel's documentation of TUN/TAP
    """
    where = case.stop.place.interface if case.stop is not None else None
    return case.by_stop(
        "route-via-dead-device", Command.of("ip", "route", "del", _NETWORK, "dev", where or INTERFACE)
    )


def ecmp_dead_nexthop(case: Case) -> Cause | None:
    """One leg of a multipath route is dead, so a part of the connections fails.

    What: A multipath route spreads connections over several next hops by a hash of their addresses. The
    kernel does not check whether a next hop is alive, so with one of two legs dead about half of the
    connections fail, always the same ones, while the others work well.

    How we know: The route has several next hops, one of which does not answer ARP or has its link down; of
    several probes with different ports some get through and others do not.

    Fix: Take the dead leg out, or mend it. The kernel can be told to look at the neighbour's state.
        ip route replace NETWORK/LENGTH nexthop via GOOD1 nexthop via GOOD2
        sysctl -w net.ipv4.fib_multipath_use_neigh=1

    See: ip-route(8), "nexthop"; ip-sysctl (kernel documentation), fib_multipath_use_neigh
    """
    return case.by_stop("ecmp-dead-nexthop", *sysctl("net.ipv4.fib_multipath_use_neigh", 1))


def rule_prohibit(case: Case) -> Cause | None:
    """A policy rule refuses the packet before any routing table is asked.

    What: The entries of `ip rule` are asked in the order of their priority, and one with the action prohibit,
    unreachable or blackhole ends the packet. VPN clients add such a rule as a kill switch, so that nothing
    leaves while the tunnel is down.

    How we know: The rule matches the packet's source, destination, mark or interface, and is the first that
    decides.

    Fix: Delete the rule, or except this traffic by a rule with a lower number.
        ip rule show
        ip rule del pref PRIORITY SELECTOR ACTION   # all its words: several rules may have one priority

    See: ip-rule(8); net/core/fib_rules.c
    """
    return case.by_stop("rule-prohibit")


def rule_wrong_table(case: Case) -> Cause | None:
    """A policy rule sends the packet to a routing table that has no good route for it.

    What: The rule selects a table by source, mark or interface, and that table is empty, incomplete or points
    to a gateway that is dead. The `main` table, which `ip route` shows, looks perfectly healthy, because it
    is never asked. Policy routing for a second uplink, VPN marks and service meshes are where this happens.

    How we know: The rule that matches and the table that it names, both as read.

    Fix: Put the route into that table, or delete the rule.
        ip rule show
        ip route show table TABLE
        ip route add default via GATEWAY dev IFACE table TABLE
        ip rule del pref PRIORITY SELECTOR ACTION   # all its words: several rules may have one priority

    See: ip-rule(8); ip-route(8), "table"
    """
    return case.by_stop("rule-wrong-table")


def rule_local_missing(case: Case) -> Cause | None:
    """The first policy rule, the one that looks for the host's own addresses, is missing.

    What: Rule 0 (`from all lookup local`) tells the kernel which addresses are its own. Without it, or with
    another rule before it, packets for the host itself are routed away instead of being delivered, and even
    127.0.0.1 may not work. A script that flushed all rules (`ip rule flush`) and did not put this one back is
    the classic.

    How we know: The list of policy rules has no lookup of the local table that is asked first.

    Fix: Put it back.
        ip rule add pref 0 from all lookup local
        ip -6 rule add pref 0 from all lookup local

    See: ip-rule(8); net/ipv4/fib_rules.c (fib_default_rules_init)
    """
    return case.by_stop(
        "rule-local-missing", Command.of("ip", "rule", "add", "pref", "0", "from", "all", "lookup", "local")
    )


def reply_wrong_path(case: Case) -> Cause | None:
    """The reply leaves by another interface than the request came in by, and is lost or changed there.

    What: With two networks on one host (or two uplinks) the answer takes the route to the asker's address,
    not the way on which the question came. On that other way a firewall that never saw the request drops the
    answer as invalid, a source check refuses it, or address translation gives it another source.

    How we know: The walk of the reply goes through other interfaces than that of the request, and ends there.

    Fix: Let answers from an address leave by its own interface (source routing).
        ip route add default via GATEWAY dev IFACE table 100
        ip rule add from ADDRESS lookup 100

    See: ip-rule(8); ip-route(8); RFC 3704 (asymmetric routing and source checks)
    """
    return case.by_stop(
        "reply-wrong-path", Command.of("ip", "rule", "add", "from", ADDRESS, "lookup", Blank("TABLE"))
    )


CAUSES = (
    no_route,
    route_wrong_nexthop,
    route_blackhole,
    route_unreachable,
    route_prohibit,
    route_overlap,
    route_loop,
    route_wrong_src,
    route_via_dead_device,
    ecmp_dead_nexthop,
    rule_prohibit,
    rule_wrong_table,
    rule_local_missing,
    reply_wrong_path,
)
