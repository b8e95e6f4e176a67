"""Causes in address translation: the reply that finds no way because the request left as it should not
have.
"""

from __future__ import annotations

from netprobe.diagnose import dnat_rules
from netprobe.diagnose.evidence import Case
from netprobe.model import Blank, Cause, Flow
from netprobe.predict.fixes import Fix, machine_wide

from . import proof, remedy


def nat_missing(case: Case) -> Cause | None:
    """The packet leaves with its private source address, and the far end has no way to answer it.

    What: Addresses such as 10.0.0.2 mean nothing outside of your own network. The router must replace the
    source by its own address (masquerade), or every router beyond must know a route back. The request arrives
    and the reply never comes: that is why nothing seems to be wrong on the way. Docker adds such a rule for
    its networks; a network made by hand has none, and a firewall reload may have flushed it.

    How we know: The router forwards the request with its source unchanged, no rule of the nat table
    translates it, and the far end's route lookup for the reply fails.

    Fix: Translate the source where the packet leaves, or add a route back at the far end, where you can.
        iptables -t nat -A POSTROUTING -s NETWORK/LENGTH -o IFACE -j MASQUERADE
        ip route add NETWORK/LENGTH via ROUTER   # at the far end, instead

    See: iptables-extensions(8), MASQUERADE; RFC 1918; nft(8), "masquerade"
    """
    return case.by_stop("nat-missing")


def nat_wrong_match(case: Case) -> Cause | None:
    """There is a rule for source translation, but it does not match this packet.

    What: The masquerading rule names another network, another outgoing interface or another protocol than
    this packet has: the network was renumbered, or the uplink is called eth1 now. An earlier rule (RETURN,
    ACCEPT) may also end the chain before it.

    How we know: The rules of the nat table were evaluated for this packet; one that translates is passed
    over, and the packet leaves untranslated where the reply then fails.

    Fix: Correct the match, or add a rule for this network.
        iptables -t nat -L POSTROUTING -n -v --line-numbers
        iptables -t nat -A POSTROUTING -s NETWORK/LENGTH -o IFACE -j MASQUERADE

    See: iptables(8); nft(8), "NAT statements"
    """
    return case.by_stop("nat-wrong-match")


def nat_wrong_address(case: Case) -> Cause | None:
    """The source is translated to an address to which the reply cannot come back.

    What: An SNAT rule names a fixed address that the router no longer has, that belongs to somebody else, or
    that is not routed to it. The request arrives, and the reply goes to a place where nobody knows of it.
    MASQUERADE takes the interface's own address and does not age in this way.

    How we know: The source after translation, and the walk of the reply to it: nobody owns it, or it is
    another host's.

    Fix: Translate to an address that the router owns, or use MASQUERADE.
        ip address show dev IFACE
        iptables -t nat -R POSTROUTING NUMBER -s NETWORK/LENGTH -o IFACE -j MASQUERADE

    See: iptables-extensions(8), SNAT
    """
    return case.by_stop("nat-wrong-address")


def nat_bypassed(case: Case) -> Cause | None:
    """The packet is taken out of connection tracking (NOTRACK), so address translation never sees it.

    What: Translation works on tracked connections only. A rule in the raw table that says NOTRACK (to save
    work on a busy server, or for DNS) switches it off for the packets that it matches, although the
    masquerading rule looks right.

    How we know: The rules of the raw table were evaluated; one marks the packet as untracked, and it leaves
    untranslated.

    Fix: Delete the rule, or except this traffic from it.
        iptables -t raw -L -n -v --line-numbers
        iptables -t raw -D PREROUTING RULE   # its words, as iptables-save prints them

    See: iptables-extensions(8), CT --notrack; nft(8), "notrack"
    """
    return case.by_stop("nat-bypassed", *remedy.without_rule(case))


def nat_not_reversed(case: Case) -> Cause | None:
    """The request was translated, and the reply comes back without being translated back.

    What: The router that changed the addresses must see the reply too. It does not when the reply takes
    another way (two routers, or straight over a bridge), when it arrives in another conntrack zone, or when a
    rule exempts it from tracking. The asker then gets an answer from somebody it never asked, and throws it
    away.

    How we know: The request's translation is on the path; the reply's path misses that place, or passes it
    untracked.

    Fix: Make the reply go through the same router, or remove what exempts it from tracking.
        iptables -t raw -L -n -v --line-numbers
        ip route get ASKER   # at the destination: where would the reply go?

    See: conntrack(8); net/netfilter/nf_nat_core.c; iptables-extensions(8), CT --zone
    """
    return case.by_stop("nat-not-reversed", *remedy.without_rule(case))


def nat_port_exhausted(case: Case) -> Cause | None:
    """All source ports that the translation may use are taken, so no new connection gets through.

    What: A translated connection needs a free port of the router's address. With about 28,000 ports to one
    destination, or a rule that allows only a few (`--to-ports`), a busy service uses them all, and further
    connections are dropped silently.

    How we know: The port range of the rule and the tracked connections that hold its ports; the counter
    insert_failed grows.

    Fix: Allow more ports or add a second address, and find out who opens so many connections.
        conntrack -L -n | wc -l
        iptables -t nat -A POSTROUTING -o IFACE -j SNAT --to-source FIRST-LAST:1024-65535

    See: iptables-extensions(8), SNAT; net/netfilter/nf_nat_core.c (get_unique_tuple)
    """
    return proof.proven(
        case.by_stop("nat-port-exhausted"),
        *proof.counters(case, "conntrack.insert_failed", "conntrack.drop"),
    )


def nat_redirect_dead(case: Case) -> Cause | None:
    """A rule redirects the packet to a local port, and no program listens on it.

    What: REDIRECT and TPROXY hand connections to a proxy on this machine. When the proxy is gone, or was
    started on another port, all the traffic that the rule catches is refused. Service meshes (Istio) and
    transparent proxies work like this.

    How we know: The rule that translates, and the list of sockets, in which the port is missing.

    Fix: Start the proxy, or delete the rule.
        ss -lntup
        iptables -t nat -L PREROUTING -n -v --line-numbers
        iptables -t nat -D PREROUTING RULE   # its words, as iptables-save prints them

    See: iptables-extensions(8), REDIRECT and TPROXY; nft(8), "redirect"
    """
    return case.by_stop("nat-redirect-dead", *remedy.without_rule(case))


def dnat_missing(case: Case) -> Cause | None:
    """No rule publishes the port on this path, so the packet ends at the host itself.

    What: A published port is a rule that changes the destination to the container's. It may exist for packets
    from outside (PREROUTING) and not for those from the host itself (OUTPUT), only for one address, or not at
    all after a firewall reload flushed Docker's rules.

    How we know: The packet is for the host's own address, no program listens on that port there, and no rule
    of the nat table translates it on this path.

    Fix: Publish the port, or let Docker write its rules again.
        docker run -p HOST_PORT:PORT IMAGE
        systemctl restart docker   # writes its rules again
        iptables -t nat -A PREROUTING -p tcp --dport HOST_PORT -j DNAT --to-destination CONTAINER:PORT

    See: iptables-extensions(8), DNAT; Docker's documentation, "Port publishing"
    """
    return case.by_stop("dnat-missing", *_publish(case))


def _publish(case: Case) -> Fix:
    """The rule that would publish the port on this path, by the tool of the one that does so for others."""
    asked, here = case.probe.destination, proof.place_of(case)
    if asked.port is None or asked.address is None or here is None:
        return ()
    flow = Flow("", asked.address, case.probe.protocol, dport=asked.port)
    tool = next(iter(proof.named(case).line), "iptables")
    return next(dnat_rules.led_to(here, tool, flow, Blank("CONTAINER:PORT")), ())


def dnat_dead_target(case: Case) -> Cause | None:
    """A published port leads to a container that is gone, or to a port on which nobody listens there.

    What: The rule still translates to an address that the container had before it was made anew, or to a port
    that its program does not use. Rules that a person added by hand are not updated by Docker.

    How we know: The rule that translates the destination, and what was found at its target: nobody owns the
    address, or no socket listens.

    Fix: Correct the rule's target, or start what should be there.
        iptables -t nat -L PREROUTING -n -v --line-numbers
        docker port CONTAINER

    See: iptables-extensions(8), DNAT
    """
    return case.by_stop("dnat-dead-target", *remedy.without_rule(case))


def hairpin_nat_missing(case: Case) -> Cause | None:
    """A container asks for a neighbour by the host's published address, and the answer takes a short cut.

    What: The request goes up to the host, is translated and comes back down the same bridge. The neighbour
    answers directly over the bridge, with its own address, and the asker does not recognise the answer: it
    asked somebody else. Translating the source as well (masquerade for the hairpin) sends the answer back by
    the host.

    How we know: Asker and target are on the same segment, the destination is translated and the source is
    not; the reply's path does not pass the host's translation.

    Fix: Masquerade packets that go out where they came in, or ask for the neighbour by its own address.
        iptables -t nat -A POSTROUTING -s NETWORK/LENGTH -d NETWORK/LENGTH -j MASQUERADE

    See: RFC 4787, 6 (hairpinning); Docker's documentation, "userland-proxy"
    """
    return case.by_stop("hairpin-nat-missing")


def stale_conntrack(case: Case) -> Cause | None:
    """An old entry of the connection tracking table keeps an old translation alive.

    What: Translation is decided once, by the first packet of a connection, and then remembered. UDP and ICMP
    "connections" live as long as packets keep coming, so after a container was made anew, or a rule was
    changed, a busy client is still sent to the old address. New clients work.

    How we know: The tracking table has an entry for the probe's addresses and ports whose translation differs
    from what the rules would do now.

    Fix: Delete the entry; the next packet is decided anew.
        conntrack -L -p udp --dport PORT
        conntrack -D -p udp --orig-src ADDRESS --dport PORT

    See: conntrack(8); ip-sysctl, nf_conntrack_udp_timeout
    """
    return proof.proven(case.by_stop("stale-conntrack"), *proof.tracked(case))


def conntrack_full(case: Case) -> Cause | None:
    """The connection tracking table is full, so packets of new connections are dropped.

    What: Every tracked connection takes an entry, and the table has a limit for the machine and for each
    namespace. Under many short connections (load tests, port scans, DNS) it fills up: established connections
    go on, new ones are dropped. The kernel log says "nf_conntrack: table full, dropping packet".

    How we know: The number of entries (nf_conntrack_count) has reached nf_conntrack_max in that namespace;
    the counters of drops grow.

    Fix: Raise the limit, in the machine's first network namespace: it holds for all of them. Shorten timeouts
    if most entries are dead.
        sysctl -w net.netfilter.nf_conntrack_max=262144
        conntrack -C

    See: nf_conntrack-sysctl (kernel documentation); net/netfilter/nf_conntrack_core.c
    """
    place = proof.place_of(case)
    cookie = place.cookie if place is not None else 0
    counted = proof.counters(case, "conntrack.drop", "conntrack.early_drop", "conntrack.insert_failed")
    return proof.proven(
        case.by_stop("conntrack-full", *machine_wide("net.netfilter.nf_conntrack_max", 262144, cookie)),
        *counted,
    )


def conntrack_invalid(case: Case) -> Cause | None:
    """A rule drops the packet because connection tracking does not recognise it (state INVALID).

    What: Tracking expects a connection to begin with its first packet and to see both directions. If only one
    direction passes this host, or the entry was lost, an answer or a later packet has the state INVALID, and
    most rulesets begin by dropping that.

    How we know: The rule that drops invalid packets, and the path: the request did not pass this host, or is
    not in its table.

    Fix: Make both directions go the same way, or except this traffic before the rule.
        ip route get ASKER   # at the destination: where would the reply go?
        sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1   # for TCP with windows that tracking has not
        seen

    See: iptables-extensions(8), conntrack; conntrack(8)
    """
    return proof.proven(case.by_stop("conntrack-invalid"), *proof.counters(case, "conntrack.invalid"))


CAUSES = (
    nat_missing,
    nat_wrong_match,
    nat_wrong_address,
    nat_bypassed,
    nat_not_reversed,
    nat_port_exhausted,
    nat_redirect_dead,
    dnat_missing,
    dnat_dead_target,
    hairpin_nat_missing,
    stale_conntrack,
    conntrack_full,
    conntrack_invalid,
)
