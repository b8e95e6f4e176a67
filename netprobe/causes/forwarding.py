"""Forwarding and source checks: a router that may not forward, or does not believe the packet's addresses."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose.evidence import Case
from netprobe.model import Cause, Command, Leg
from netprobe.predict.fib import FibResult
from netprobe.predict.fixes import sysctl
from netprobe.predict.ttl import life

from . import proof, remedy

_ORDINARY_TTL = 30  # the longest paths of the Internet are about as long


def forwarding_off(case: Case) -> Cause | None:
    """The namespace gets the packet and is not allowed to forward it: it is not a router.

    What: Linux forwards packets between its interfaces only when told to. The sysctl is off by default and
    separate for each namespace, and also for each interface. Docker switches it on for the host; a namespace
    that serves as a router by hand needs it as well, and a hardening script, a VPN client or `sysctl
    --system` may switch it off again.

    How we know: The sysctl in force on the interface by which the packet came in, read in that namespace.

    Fix: Switch it on, in the namespace of the router; for good in /etc/sysctl.d.
        sysctl -w net.ipv4.ip_forward=1
        sysctl -w net.ipv6.conf.all.forwarding=1

    See: ip-sysctl (kernel documentation), ip_forward; net/ipv4/route.c (ip_route_input_slow)
    """
    return case.by_stop("forwarding-off")


def rp_filter(case: Case) -> Cause | None:
    """A source check drops the packet, because an answer to it would leave by another interface (reverse path
    filter).

    What: With `rp_filter` 1 (strict) the kernel asks for every packet: would I send an answer to this source
    by the interface on which it came in? If not, it is dropped without a word, ARP requests included. It
    protects from faked addresses and hits every asymmetric setup: two interfaces, policy routing, VPNs,
    macvlan. 2 (loose) only asks whether there is a way back at all. The larger one of `all` and the
    interface's own value counts. An iptables or nft rule can do the same check.

    How we know: The sysctl in force and the kernel's route for the way back, which names another interface.
    Only the counter TcpExtIPReversePathFilter tells of the drop.

    Fix: Use the loose check on that interface, or correct the route back to the source.
        sysctl -w net.ipv4.conf.IFACE.rp_filter=2
        ip route get SOURCE   # by which interface would the answer leave?

    See: ip-sysctl (kernel documentation), rp_filter; RFC 3704; net/ipv4/fib_frontend.c (fib_validate_source)
    """
    return proof.proven(case.by_stop("rp-filter"), *proof.counters(case, "TcpExtIPReversePathFilter"))


def martian_source(case: Case) -> Cause | None:
    """The packet carries a source address that cannot come in there: the receiver's own, a loopback or a
    multicast one.

    What: A packet whose source is the receiver's own address, 127.0.0.1, a broadcast or a multicast address
    is taken for a fake ("martian") and dropped. A container with the same address as its gateway, and
    translation to the address of the very host that is asked, are the usual stories.

    How we know: The source address as the packet arrives, compared with the receiver's own addresses. With
    log_martians=1 the kernel log says "martian source".

    Fix: Give one of the two another address, or correct the rule that translates the source.
        ip address show   # who owns it?
        sysctl -w net.ipv4.conf.IFACE.accept_local=1   # only where a host really talks to itself over a wire

    See: ip-sysctl (kernel documentation), accept_local and log_martians; net/ipv4/route.c
    (ip_handle_martian_source)
    """
    counted = proof.counters(case, "TcpExtIPReversePathFilter", "IpExtInNoRoutes")
    return proof.proven(
        case.by_stop("martian-source", *sysctl("net.ipv4.conf.all.log_martians", 1)), *counted
    )


def martian_destination(case: Case) -> Cause | None:
    """The packet is for a 127.x.x.x address and came from outside, which the kernel does not allow.

    What: Loopback addresses are for the host itself. A rule that translates the destination to 127.0.0.1 (to
    publish a service that listens there) makes packets that are dropped right after the translation, unless
    `route_localnet` allows it.

    How we know: The destination after translation and the sysctl of the interface, read in that namespace.

    Fix: Let the service listen on a real address, or allow loopback destinations on that interface, protected
    by a firewall rule.
        sysctl -w net.ipv4.conf.IFACE.route_localnet=1

    See: ip-sysctl (kernel documentation), route_localnet; RFC 1122, 3.2.1.3; net/ipv4/route.c
    (ip_route_input_slow)
    """
    return case.by_stop("martian-destination")


def ttl_expired(case: Case) -> Cause | None:
    """The packet's TTL (IPv6: hop limit) is used up at a router on the way.

    What: Every router takes one off the TTL and drops a packet that has none left. Normally 64 is plenty; a
    namespace with a small `ip_default_ttl`, a rule that sets the TTL, or multicast with its TTL of 1 do not
    get far. If the TTL was large, look for a loop of routes.

    How we know: The TTL at the sender and the number of routers on the path; the router answers with an ICMP
    "time exceeded".

    Fix: Send with a larger TTL.
        sysctl -w net.ipv4.ip_default_ttl=64
        iptables -t mangle -L -n | grep TTL   # is there a rule that sets it?

    See: ip-sysctl (kernel documentation), ip_default_ttl; RFC 791; net/ipv4/ip_forward.c
    """
    return case.by_stop("ttl-expired", *(remedy.without_rule(case) or (_longer_life(case),)))


def _longer_life(case: Case) -> Command:
    """More than was asked for; or the default of who sends it, where that is the short one; else look for a
    rule that sets the TTL.
    """
    asked = case.probe.ttl if case.leg is Leg.REQUEST else None
    if asked is not None and asked < _ORDINARY_TTL:
        return Command.advice("ask with a larger --ttl, or with none: each router on the way takes one off")
    hops = case.broken
    name = hops[0].namespace if hops else case.probe.source.namespace
    sender = case.snapshot.namespaces.get(name or "")
    routed = case.prediction.routed if case.prediction is not None else ()
    first = next((r.decision for r in routed if r.namespace == name and r.leg is case.leg), FibResult())
    if asked is None and sender is not None:
        own = life(sender, case.probe.version, first)
        if own.ttl < _ORDINARY_TTL:
            return replace(own.fix[0], namespace=name)
    return Command.look(
        "ip6tables" if case.probe.version == 6 else "iptables",
        "-t",
        "mangle",
        "-S",
        note="does a rule set the TTL?",
    )


CAUSES = (forwarding_off, rp_filter, martian_source, martian_destination, ttl_expired)
