"""Size: packets that are too large for a device on the way."""

from __future__ import annotations

from netprobe.lab.changes import SetSysctl
from netprobe.lab.tutorial import C2_PORT

from .fault import Expected, Fault
from .networks import OFFICES
from .steps import iptables, mtu, nft

_FULL = ("trace", "pc", "10.2.0.10", "-s", "1472", "--df")
_CUT = ("trace", "pc", "10.2.0.10", "-s", "2000", "--no-df")
_LINE = (mtu("r1", "wan", 1400), mtu("r2", "wan", 1400))

SIZE: tuple[Fault, ...] = (
    Fault(
        "line-with-a-small-mtu",
        "the line between the offices takes 1400 bytes, and full packets must not be cut",
        _FULL,
        _LINE,
        Expected("mtu-exceeded", "r1", "wan", "request", "wan"),
        OFFICES,
    ),
    Fault(
        "line-with-a-small-mtu-ipv6",
        "the line between the offices takes 1400 bytes, and IPv6 routers cut nothing",
        ("trace", "pc", "fd00:2::10", "-s", "1452"),
        _LINE,
        Expected("mtu-exceeded", "r1", "wan", "request", "wan"),
        OFFICES,
    ),
    Fault(
        "mtu-black-hole",
        "the line takes 1400 bytes, and r1's own firewall drops the ICMP error that should say so",
        _FULL,
        (*_LINE, iptables("r1", "-A OUTPUT -p icmp -m icmp --icmp-type 3/4 -j DROP")),
        Expected("mtu-blackhole", "r1", "wan", "request", "wan"),
        OFFICES,
        foreseen=False,
    ),
    Fault(
        "server-with-a-small-mtu",
        "the server's interface has an MTU of 1300 and its router's has 1500: larger frames vanish",
        ("trace", "pc", "10.2.0.10", "-s", "1400"),
        (mtu("server", "eth0", 1300),),
        Expected("mtu-l2-mismatch", "server", "eth0", "request", "eth0"),
        OFFICES,
    ),
    Fault(
        "bridge-port-with-a-small-mtu",
        "c2's bridge port has an MTU of 1300, the containers have 1500",
        ("trace", "c1", "172.17.0.3", "-s", "1400"),
        (mtu("host", C2_PORT, 1300),),
        Expected("mtu-l2-mismatch", "host", C2_PORT, "request", C2_PORT),
    ),
    Fault(
        "fragments-dropped",
        "an old rule of r2 drops fragments",
        _CUT,
        (iptables("r2", "-A FORWARD -f -j DROP"),),
        Expected("frag-dropped", "r2", None, "request", "iptables filter FORWARD 1"),
        OFFICES,
    ),
    Fault(
        "fragments-dropped-by-nft",
        "an nft rule of the server drops what has a fragment offset, before it is put together",
        _CUT,
        (
            nft(
                "server",
                "add table ip fw; add chain ip fw pre { type filter hook prerouting priority -450; };"
                " add rule ip fw pre ip frag-off & 0x1fff != 0 drop",
                "ip frag-off & 8191 != 0 drop",
            ),
        ),
        Expected("frag-dropped", "server", None, "request", "nft ip fw pre handle 2"),
        OFFICES,
    ),
    Fault(
        "no-memory-for-fragments",
        "the server has next to no memory for putting fragments together",
        _CUT,
        (SetSysctl("server", "net.ipv4.ipfrag_low_thresh", "64"), SetSysctl("server", "net.ipv4.ipfrag_high_thresh", "128")),
        Expected("frag-reassembly", "server", None, "request", "net.ipv4.ipfrag_high_thresh"),
        OFFICES,
    ),
)
