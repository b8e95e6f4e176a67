"""Size: the packet is too large for a place on the way, or its fragments do not arrive."""

from __future__ import annotations

from netprobe.diagnose.evidence import Case
from netprobe.model import Cause, Command
from netprobe.predict.fixes import sysctl

from . import proof


def mtu_exceeded(case: Case) -> Cause | None:
    """The packet is larger than an interface on the way takes, and it may not be cut into pieces.

    What: Every interface has a largest packet size (MTU). A packet with the Don't Fragment flag that is too
    large is refused, with an ICMP "fragmentation needed" that names the right size. Tunnels cost 50 bytes and
    more, so an overlay network with the usual 1500 inside and outside cannot work: small packets (a ping, a
    login) get through, and large ones do not.

    How we know: The packet's length and the MTU of the interface or route; a live probe gets "Message too
    long" or the ICMP error.

    Fix: Make the MTU at both ends as small as the smallest one on the way, or enlarge that one.
        ip link set IFACE mtu SIZE
        ping -M do -s 1472 ADDRESS   # 1472 + 28 = 1500: does it pass?

    See: ip-link(8), "mtu"; RFC 1191; RFC 8201 (path MTU discovery)
    """
    return case.by_stop("mtu-exceeded")


def mtu_blackhole(case: Case) -> Cause | None:
    """The packet is too large for a place on the way, and the message that says so never reaches the sender.

    What: The router sends an ICMP "fragmentation needed", but a firewall drops it, or it has no way back. The
    sender goes on sending packets that are too large: connections open and then hang as soon as much data
    flows.

    How we know: The packet exceeds an MTU on the path, and the walk of the ICMP error back to the sender ends
    before it; a live probe sees nothing come back.

    Fix: Let the ICMP messages through, or lower what TCP tries to send at once (MSS clamping).
        iptables -I FORWARD -p icmp --icmp-type fragmentation-needed -j ACCEPT
        iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
        ip link set IFACE mtu SIZE

    See: RFC 2923 (TCP problems with path MTU discovery); iptables-extensions(8), TCPMSS
    """
    matches = ("-p", "tcp", "--tcp-flags", "SYN,RST", "SYN")
    clamp = Command.of(
        "iptables", "-t", "mangle", "-A", "FORWARD", *matches, "-j", "TCPMSS", "--clamp-mss-to-pmtu"
    )
    return case.by_stop("mtu-blackhole", clamp)


def mtu_l2_mismatch(case: Case) -> Cause | None:
    """A frame is larger than the device at the other end of the cable takes, and is dropped without a word.

    What: Inside one segment nobody sends an ICMP error: all its devices must have the same MTU. If one end of
    a veth pair or a bridge port has a smaller one, large frames vanish there silently. Changing the MTU of
    the bridge or of the container, but not of the veth between them, does it.

    How we know: The frame's length and the MTU of the receiving device; the packet was seen leaving and not
    arriving.

    Fix: Set the same MTU on both ends and on the bridge.
        ip link set IFACE mtu SIZE
        ip -n NS link set eth0 mtu SIZE

    See: ip-link(8), "mtu"; net/core/dev.c (__dev_forward_skb2); net/bridge/br_forward.c
    (br_dev_queue_push_xmit)
    """
    return case.by_stop("mtu-l2-mismatch")


def frag_dropped(case: Case) -> Cause | None:
    """The packet was cut into fragments, and a filter drops them.

    What: Only the first fragment carries the port numbers, so a rule that looks at ports cannot match the
    others, and some rules drop all fragments on purpose. Large UDP packets (DNS with DNSSEC, tunnels, NFS)
    are lost and small ones are not.

    How we know: The packet is longer than the MTU at the sender, and a rule on the way matches fragments.

    Fix: Delete the rule or accept fragments before it; or send packets that fit.
        iptables -L -n -v --line-numbers | grep -e ' -f '
        iptables -D CHAIN RULE   # its words, as iptables-save prints them

    See: iptables(8), --fragment; nft(8), "ip frag-off"; RFC 8900
    """
    return case.by_stop("frag-dropped")


def frag_reassembly(case: Case) -> Cause | None:
    """The fragments arrive, and the receiver has no memory left to put them together.

    What: The kernel collects the fragments of a packet in a buffer of limited size, per namespace. With
    `ipfrag_high_thresh` very small or many unfinished packets in it, complete packets are thrown away too.

    How we know: All fragments were seen at the receiver, no answer came, and the counters of failed
    reassembly grow (IpReasmFails).

    Fix: Enlarge the buffer, in the namespace of the receiver.
        sysctl -w net.ipv4.ipfrag_high_thresh=4194304
        sysctl -w net.ipv6.ip6frag_high_thresh=4194304

    See: ip-sysctl (kernel documentation), ipfrag_high_thresh; net/ipv4/ip_fragment.c
    """
    counted = proof.counters(case, "IpReasmFails", "Ip6ReasmFails")
    return proof.proven(
        case.by_stop("frag-reassembly", *sysctl("net.ipv4.ipfrag_high_thresh", 4194304)), *counted
    )


CAUSES = (mtu_exceeded, mtu_blackhole, mtu_l2_mismatch, frag_dropped, frag_reassembly)
