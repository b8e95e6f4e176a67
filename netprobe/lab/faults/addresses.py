"""Addresses: missing, wrong, somebody else's."""

from __future__ import annotations

from netprobe.lab.changes import SetSysctl
from netprobe.lab.crafted import AnnounceAddress, AnnounceRouter

from .fault import Expected, Fault
from .networks import OFFICES, PUBLISHED
from .steps import address, forgotten, no_address, route, tool

_ACROSS = ("trace", "pc", "10.2.0.10")

ADDRESSES: tuple[Fault, ...] = (
    Fault(
        "container-without-address",
        "c1 has lost its IPv4 address",
        ("trace", "c1", "172.17.0.3"),
        (no_address("c1", "eth0", "172.17.0.2/16"),),
        Expected("addr-missing", "c1", "eth0", "request", "dev eth0"),
    ),
    Fault(
        "gateway-without-address",
        "docker0 was made anew and nobody gave it its address back",
        ("trace", "c1", "8.8.8.8"),
        (no_address("host", "docker0", "172.17.0.1/16"),),
        Expected("addr-missing", "host", "docker0", "reply", "dev docker0"),
    ),
    Fault(
        "far-container-without-address",
        "c2 has lost its IPv4 address, and c1 asks for it",
        ("trace", "c1", "172.17.0.3"),
        (no_address("c2", "eth0", "172.17.0.3/16"), *forgotten(("c1", "eth0"), ("host", "docker0"))),
        Expected("addr-missing", "c2", "eth0", "request", "dev eth0"),
    ),
    Fault(
        "gateway-lost-its-address",
        "docker0 has lost its address, for whose network the host has rules",
        ("trace", "c1", "8.8.8.8"),
        (no_address("host", "docker0", "172.17.0.1/16"), *forgotten(("c1", "eth0"), ("c2", "eth0"))),
        Expected("addr-missing", "host", "docker0", "request", "dev docker0"),
        PUBLISHED,
    ),
    Fault(
        "address-of-another-network",
        "c2 came up with 172.18.0.3 instead of 172.17.0.3",
        ("trace", "c1", "c2"),
        (address("c2", "eth0", "172.18.0.3/16"), no_address("c2", "eth0", "172.17.0.3/16")),
        Expected("addr-wrong-subnet", "c2", "eth0", "request", "172.18.0.3/16 dev eth0"),
    ),
    Fault(
        "typing-error-in-the-address",
        "the pc was given 10.11.0.10 instead of 10.1.0.10: answers do not find it",
        _ACROSS,
        (
            address("pc", "eth0", "10.11.0.10/24"),
            no_address("pc", "eth0", "10.1.0.10/24"),
            route("pc", "default via 10.1.0.1 dev eth0 onlink", "replace"),
        ),
        Expected("addr-wrong-subnet", "pc", "eth0", "reply", "10.11.0.10/24 dev eth0"),
        OFFICES,
    ),
    Fault(
        "prefix-too-wide",
        "the pc's address is a /8: it takes the other office for its neighbour",
        _ACROSS,
        (address("pc", "eth0", "10.1.0.10/8"), no_address("pc", "eth0", "10.1.0.10/24")),
        Expected("addr-wrong-prefix", "pc", "eth0", "request", "10.1.0.10/8 dev eth0"),
        OFFICES,
    ),
    Fault(
        "prefix-too-narrow",
        "the router's address is a /29, in which the pc is not",
        _ACROSS,
        (address("r1", "lan", "10.1.0.1/29"), no_address("r1", "lan", "10.1.0.1/24")),
        Expected("addr-wrong-prefix", "r1", "lan", "reply", "10.1.0.1/29 dev lan"),
        OFFICES,
    ),
    Fault(
        "broadcast-of-a-smaller-network",
        "r2's network became a /26, of which the server's 10.2.0.63 is the broadcast address",
        ("trace", "pc", "10.2.0.63"),
        (address("r2", "lan", "10.2.0.1/26"), no_address("r2", "lan", "10.2.0.1/24")),
        Expected("addr-is-broadcast", "r2", "lan", "request", "10.2.0.1/26 dev lan"),
        OFFICES,
        given=(address("server", "eth0", "10.2.0.63/24"),),
    ),
    Fault(
        "address-taken-by-another",
        "c1 took c2's address as well and announced it; it has no web server",
        ("trace", "host", "172.17.0.3:80"),
        (
            address("c1", "eth0", "172.17.0.3/16"),
            AnnounceAddress("c1", "eth0", "172.17.0.3", learner="host"),
        ),
        Expected("addr-duplicate", "c1", "eth0", "request", "172.17.0.3/16 dev eth0"),
        given=(SetSysctl("host", "net.ipv4.neigh.docker0.locktime", "0"),),
    ),
    Fault(
        "gateway-address-taken",
        "c1 took the gateway's address and announced it to c2: c1 is no router",
        ("trace", "c2", "8.8.8.8"),
        (
            address("c1", "eth0", "172.17.0.1/16"),
            AnnounceAddress("c1", "eth0", "172.17.0.1", learner="c2"),
        ),
        Expected("addr-duplicate", "c1", "eth0", "request", "172.17.0.1/16 dev eth0"),
        given=(SetSysctl("c2", "net.ipv4.neigh.eth0.locktime", "0"),),
    ),
    Fault(
        "duplicate-found-by-dad",
        "c1's new IPv6 address is c2's: duplicate address detection refused it",
        ("trace", "c1", "2001:4860:4860::8888"),
        (
            no_address("c1", "eth0", "fd00:172:17::2/64"),
            tool(
                "c1",
                "sh -c 'sysctl -w net.ipv6.conf.eth0.accept_dad=1; ip address add fd00:172:17::3/64 dev eth0;"
                " for i in $(seq 100); do ip address show dev eth0 dadfailed | grep -q fd00 && break; sleep 0.05; done'",
                "ip address show dev eth0",
                "fd00:172:17::3/64 .*dadfailed",
            ),
        ),
        Expected("addr-dad-failed", "c1", "eth0", "request", "fd00:172:17::3/64 dev eth0"),
    ),
    Fault(
        "ipv6-disabled-in-the-container",
        "IPv6 is switched off on c1's interface",
        ("trace", "c1", "fd00:172:17::3"),
        (SetSysctl("c1", "net.ipv6.conf.eth0.disable_ipv6", "1"),),
        Expected("ipv6-disabled", "c1", "eth0", "request", "net.ipv6.conf.eth0.disable_ipv6"),
    ),
    Fault(
        "ipv6-disabled-on-the-bridge",
        "IPv6 is switched off on docker0, the containers' gateway",
        ("trace", "c1", "2001:4860:4860::8888"),
        (SetSysctl("host", "net.ipv6.conf.docker0.disable_ipv6", "1"),),
        Expected("ipv6-disabled", "host", "docker0", "request", "net.ipv6.conf.docker0.disable_ipv6"),
    ),
    Fault(
        "container-turned-router",
        "red took its IPv6 route from advertisements, and lost it when forwarding was switched on",
        ("trace", "red", "2001:4860:4860::8888"),
        (SetSysctl("red", "net.ipv6.conf.all.forwarding", "1"),),
        Expected("ra-not-accepted", "red", None, "request", "net.ipv6.conf.eth0.accept_ra"),
        given=(
            tool("red", "ip -6 route del default", "ip -6 route show default", "via fd00:10::1", absent=True),
            SetSysctl("red", "net.ipv6.conf.eth0.accept_ra", "1"),
            AnnounceRouter("host", "br0", "red"),
        ),
    ),
)
