"""Filters: a rule, a policy or a program was told to drop the packet."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose.engines import APART, is_beside
from netprobe.diagnose.evidence import Case
from netprobe.model import Blank, Cause, Command
from netprobe.model.command import way_of
from netprobe.model.pattern import pattern

from . import proof

_ISOLATION = pattern(r"DOCKER-(?:ISOLATION|INTERNAL)\b")  # moby, libnetwork/drivers/bridge
_BRIDGE = pattern(r"br-([0-9a-f]{12})")


def policy_drop(case: Case) -> Cause | None:
    """No rule accepts the packet, and the chain's policy is to drop what no rule accepts.

    What: Every base chain ends with a policy, ACCEPT or DROP. Docker sets the policy of FORWARD to DROP and
    then adds accepting rules for its own bridges only, so a bridge or namespace of your own is cut off from
    the moment in which Docker starts. ufw and firewalld drop incoming and forwarded packets by policy too.

    How we know: The rules of the chain were evaluated for this packet in order, none matched, and the policy
    is drop. Rules of iptables, of the legacy iptables and of nft are all asked: one drop anywhere is enough.

    Fix: Accept this traffic by a rule, rather than opening the policy. Docker keeps the chain DOCKER-USER for
    such rules.
        iptables -I DOCKER-USER -i BRIDGE -j ACCEPT
        iptables -I FORWARD -i BRIDGE -o OUT -j ACCEPT
        nft add rule inet filter forward iifname BRIDGE accept

    See: iptables(8); nft(8), "policy"; Docker's documentation, "Packet filtering and firewalls"
    """
    return case.by_stop("policy-drop")


def filtered_by_rule(case: Case) -> Cause | None:
    """A firewall rule drops the packet without telling the sender.

    What: A rule on the way matches the packet and its verdict is drop. Often nobody wrote it by hand: Docker
    separates its networks in DOCKER-ISOLATION, Kubernetes enforces network policies, firewalld and ufw have
    their own chains. The report names the owner where the chain's name gives it away.

    How we know: The rules of all engines were evaluated for this packet; the report quotes the one that ended
    it, with table, chain and number or handle. Taps see the packet before the hook and not behind it.

    Fix: Delete the rule, or put an accepting one before it. A rule that belongs to a tool comes back; change
    that tool's settings then.
        iptables -L CHAIN -n -v --line-numbers
        iptables -D CHAIN RULE   # its words, as iptables-save prints them
        nft -a list chain FAMILY TABLE CHAIN
        nft delete rule FAMILY TABLE CHAIN handle HANDLE

    See: iptables(8); nft(8); ebtables-nft(8); https://wiki.nftables.org (Netfilter hooks)
    """
    return _joined(case, case.by_stop("filtered-by-rule"))


def _joined(case: Case, found: Cause | None) -> Cause | None:
    """Where it is Docker's own rule that keeps two of its networks apart, the container joins the other one:
    the rule would come back.
    """
    words = (found.object.words or ()) if found is not None and found.object is not None else ()
    told = found is not None and any(each.words[:1] == ("docker",) for each in found.commands)
    if found is None or told or not any(map(_ISOLATION.match, words)) or _is_on_it(case):
        return found
    join = Command.of("docker", "network", "connect", _network(found.place.interface or ""), _container(case))
    return replace(found, commands=(replace(join, note=APART),), advice="")


def _is_on_it(case: Case) -> bool:
    """Whether who sends on the broken way is on the network that the packet is for."""
    return any(is_beside(case.snapshot.at(hop.namespace), hop.flow.dst) for hop in case.broken[:1])


def _network(bridge: str) -> str | Blank:
    """The Docker network of a bridge, by the beginning of its id, which is in the bridge's name."""
    named = _BRIDGE.fullmatch(bridge)
    if named is not None:
        return named[1]
    return "bridge" if bridge == "docker0" else Blank("NETWORK")


def _container(case: Case) -> str | Blank:
    """The container that sends on the broken way; a namespace that has a file of its own is none."""
    hops = case.broken
    sender = case.snapshot.namespaces.get(hops[0].namespace if hops else "")
    way, inner = way_of((sender and sender.enter) or ())
    if sender is None or inner[:2] != ("nsenter", "-t") or " " in sender.name:
        return Blank("CONTAINER")
    return sender.name.partition(":")[2] if way else sender.name


def rejected_by_rule(case: Case) -> Cause | None:
    """A firewall rule refuses the packet and tells the sender so, by an ICMP error or a TCP reset.

    What: REJECT is a polite DROP: the sender sees "Destination Port Unreachable", "Packet filtered" or
    "Connection refused" at once. A reset looks exactly as if nobody listened on the port, which misleads: the
    service may run well behind the firewall. firewalld rejects by default, with "admin-prohibited".

    How we know: The rules were evaluated for this packet and end at a reject; a live probe gets the error
    that this rule sends.

    Fix: Delete the rule, or accept this traffic before it.
        iptables -D CHAIN RULE   # its words, as iptables-save prints them
        nft delete rule FAMILY TABLE CHAIN handle HANDLE
        firewall-cmd --add-port=PORT/tcp   # for firewalld

    See: iptables-extensions(8), REJECT; nft(8), "reject"
    """
    return case.by_stop("rejected-by-rule")


def rate_limited(case: Case) -> Cause | None:
    """A rule lets only so many packets or connections pass, and this one was too many.

    What: The conditions limit, hashlimit, quota and connlimit let a packet pass or not according to what came
    before it. The first probes get through and later ones do not, or it fails only under load. Protection
    against floods of ICMP or SYN is the usual purpose.

    How we know: A rule with such a condition decides about this packet; of several probes some are lost. A
    quota's remaining bytes are read from the kernel.

    Fix: Raise the limit, or accept this traffic before the rule.
        iptables -L -n -v --line-numbers | grep -i limit
        iptables -D CHAIN RULE   # its words, as iptables-save prints them

    See: iptables-extensions(8), limit, hashlimit, connlimit, quota; nft(8), "limit"
    """
    return case.by_stop("rate-limited")


def random_drop(case: Case) -> Cause | None:
    """A rule drops a part of the packets at random, on purpose.

    What: The `statistic` match of iptables and `numgen` of nft pick packets at random or every nth one. They
    are made for tests of how software bears losses (chaos engineering), and for spreading load; forgotten,
    they are an intermittent fault.

    How we know: The rule with its probability; of several probes about that share is lost.

    Fix: Delete the rule.
        iptables -D CHAIN RULE   # its words, as iptables-save prints them
        nft delete rule FAMILY TABLE CHAIN handle HANDLE

    See: iptables-extensions(8), statistic; nft(8), "numgen"
    """
    return case.by_stop("random-drop")


def queue_no_listener(case: Case) -> Cause | None:
    """A rule hands the packet to a program that is not running (NFQUEUE), so it is dropped.

    What: With NFQUEUE a rule asks a program, such as an intrusion detection system, what to do with each
    packet. When the program is not there, the kernel drops the packet, unless the rule says `--queue-bypass`.

    How we know: The rule matches, and no program is bound to its queue number
    (/proc/net/netfilter/nfnetlink_queue).

    Fix: Start the program, let the rule pass packets without it, or delete the rule.
        iptables -R CHAIN NUMBER ... -j NFQUEUE --queue-num N --queue-bypass
        iptables -D CHAIN RULE   # its words, as iptables-save prints them

    See: iptables-extensions(8), NFQUEUE; nft(8), "queue"; net/netfilter/nf_queue.c
    """
    return case.by_stop("queue-no-listener")


def filtered_by_tc(case: Case) -> Cause | None:
    """A traffic control filter on the interface drops the packet.

    What: Filters of tc act on an interface's ingress or egress, before or after all firewall rules, so
    `iptables -L` shows nothing. They are often BPF programs that a network plugin (Cilium, Calico) loaded, or
    a police action that limits the rate.

    How we know: A filter is attached there, and the packet was seen before it and not behind it. Of a BPF
    program root can read whether it drops everything, or lets everything pass; one that does neither, or
    cannot be followed, is named only when nothing else on that stretch explains the loss.

    Fix: Look at the filter and delete it, or change the settings of the plugin that loaded it.
        tc filter show dev IFACE ingress
        tc filter del dev IFACE ingress

    See: tc(8); tc-bpf(8); tc-police(8)
    """
    return case.by_stop("filtered-by-tc")


def diverted_by_tc(case: Case) -> Cause | None:
    """A traffic control filter takes the packet away to another interface.

    What: The mirred action redirects packets: what comes in here goes on there, and the local stack never
    sees it. It is used to feed analysers and inter-function chains, and a forgotten one steals all the
    traffic.

    How we know: A filter with a mirred redirect is attached, and the packet was seen before it and not behind
    it.

    Fix: Delete the filter, or mirror instead of redirecting.
        tc filter show dev IFACE ingress
        tc filter del dev IFACE ingress

    See: tc-mirred(8)
    """
    return case.by_stop("diverted-by-tc")


def filtered_by_xdp(case: Case) -> Cause | None:
    """An XDP program on the interface drops the packet before anything else sees it.

    What: XDP is the earliest place in the kernel's packet path. Load balancers and DDoS protection load such
    programs. tcpdump on that interface shows nothing, because a native XDP program acts before the taps.

    How we know: A program is attached to the interface, the packet left the other end of the cable and was
    not seen here. Root can read whether the program drops everything, or lets everything pass; one that does
    neither, or cannot be followed, is named only when nothing else on that stretch explains the loss.

    Fix: Take the program off, or change what it is told to drop.
        ip link show dev IFACE   # shows the program's id
        bpftool prog show id ID
        ip link set dev IFACE xdp off   # xdpgeneric off, where ip shows it as xdpgeneric

    See: ip-link(8), "xdp"; bpftool-net(8)
    """
    return case.by_stop("filtered-by-xdp")


def filtered_by_cgroup(case: Case) -> Cause | None:
    """A BPF program of the sender's or receiver's control group denies the packet.

    What: Services of systemd with `IPAddressDeny=` or `SocketBindDeny=`, and container runtimes, attach BPF
    programs to control groups. They act at the socket: the program gets "Operation not permitted", or never
    sees what arrived, while other programs on the same host work well.

    How we know: A program is attached to the control group, and the packet was handed over at the socket and
    not seen on the wire.

    Fix: Change the service's settings.
        systemctl show UNIT -p IPAddressDeny -p IPAddressAllow
        bpftool cgroup tree

    See: systemd.resource-control(5), IPAddressDeny; bpftool-cgroup(8)
    """
    return case.by_stop("filtered-by-cgroup", Command.look("bpftool", "cgroup", "tree"))


def xfrm_policy_block(case: Case) -> Cause | None:
    """An IPsec policy blocks the packet, or wants it encrypted and has no key.

    What: XFRM policies apply to packets by their addresses, whatever the routes say. One with the action
    block drops them; one that asks for encryption needs a state (SA) with keys, and without it the packets
    are dropped until the key daemon has made one. A VPN whose daemon died leaves its policies behind.

    How we know: The policy matches the packet's addresses and direction; it blocks, or no state fits its
    template. The counters of /proc/net/xfrm_stat tell as well.

    Fix: Restart the key daemon, or delete the leftover policy.
        ip xfrm policy
        ip xfrm state
        ip xfrm policy delete src NETWORK dst NETWORK dir out

    See: ip-xfrm(8); net/xfrm/xfrm_policy.c
    """
    counted = proof.counters(
        case, "XfrmOutPolBlock", "XfrmInPolBlock", "XfrmFwdHdrError", "XfrmOutNoStates", "XfrmInNoPols"
    )
    return proof.proven(case.by_stop("xfrm-policy-block", Command.look("ip", "xfrm", "policy")), *counted)


def qdisc_drop(case: Case) -> Cause | None:
    """The queueing discipline of an interface drops the packet.

    What: A qdisc decides when packets leave. netem drops a share on purpose, tbf and policers drop above a
    rate, and a tiny queue drops at the first burst. Test set-ups that simulate bad lines (`tc qdisc add ...
    netem loss 100%`) are easily forgotten.

    How we know: A discipline that may drop is on the interface, the packet was handed to it and not seen on
    the wire. `tc -s` counts the drops.

    Fix: Remove the discipline; the default one comes back.
        tc -s qdisc show dev IFACE
        tc qdisc del dev IFACE root

    See: tc(8); tc-netem(8); tc-tbf(8)
    """
    return case.by_stop("qdisc-drop")


def mac_not_allowed(case: Case) -> Cause | None:
    """A MAC address filter of the switch or hypervisor throws the frames away.

    What: Many clouds, hypervisors and managed switches accept only the MAC address that they gave to a
    machine. Frames of a bridged container or a macvlan carry another one and are dropped outside of this
    machine (VMware: "forged transmits", "promiscuous mode"; Wi-Fi has the same limit by design).

    How we know: Frames with a MAC address of our own making leave by the machine's real interface and nothing
    ever comes back, while those with the machine's own address are answered. A locked bridge port on this
    machine is read directly.

    Fix: Use the machine's own MAC address (routing with translation, or ipvlan instead of macvlan), or allow
    the address outside.
        ip link add link eth0 name ipvl0 type ipvlan mode l2
        bridge link set dev PORT locked off
        bridge fdb add MAC dev PORT master static

    See: bridge(8), "locked"; ip-link(8), "ipvlan"
    """
    return case.by_stop(
        "mac-not-allowed", Command.of("bridge", "link", "set", "dev", Blank("PORT"), "locked", "off")
    )


CAUSES = (
    policy_drop,
    filtered_by_rule,
    rejected_by_rule,
    rate_limited,
    random_drop,
    queue_no_listener,
    filtered_by_tc,
    diverted_by_tc,
    filtered_by_xdp,
    filtered_by_cgroup,
    xfrm_policy_block,
    qdisc_drop,
    mac_not_allowed,
)
