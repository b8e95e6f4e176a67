"""Forwarding and source checks: hosts that are no routers, or distrust where a packet comes from."""

from __future__ import annotations

from netprobe.lab.changes import SetSysctl
from netprobe.lab.outages import MoveService
from netprobe.lab.topology import Service

from .fault import Expected, Fault
from .networks import OFFICES, SQUARE, TWO_UPLINKS
from .steps import address, iptables, nft, rule

_OUT = ("trace", "red", "8.8.8.8")
_SQUARE = ("trace", "pc", "192.0.2.80")

_BY_FIBRE = (
    iptables("host", "-t mangle -A PREROUTING -i lan0 -j MARK --set-xmark 0x7/0xffffffff"),
    rule("host", "pref 800 from all fwmark 0x7 lookup 100"),
)

FORWARDING: tuple[Fault, ...] = (
    Fault(
        "ip-forward-off",
        "the host is no router any more: net.ipv4.ip_forward=0",
        _OUT,
        (SetSysctl("host", "net.ipv4.ip_forward", "0"),),
        Expected("forwarding-off", "host", None, "request", "net.ipv4.ip_forward"),
    ),
    Fault(
        "ip-forward-off-on-the-bridge",
        "forwarding is off for what comes in by br0 alone",
        _OUT,
        (SetSysctl("host", "net.ipv4.conf.br0.forwarding", "0"),),
        Expected("forwarding-off", "host", "br0", "request", "net.ipv4.conf.br0.forwarding"),
    ),
    Fault(
        "no-forwarding-of-answers",
        "forwarding is off for what comes in by the uplink: requests get out, answers do not get in",
        _OUT,
        (SetSysctl("host", "net.ipv4.conf.eth0.forwarding", "0"),),
        Expected("forwarding-off", "host", "eth0", "reply", "net.ipv4.conf.eth0.forwarding"),
    ),
    Fault(
        "ipv6-forwarding-off",
        "the host routes IPv4 only: net.ipv6.conf.all.forwarding=0",
        ("trace", "red", "2001:4860:4860::8888"),
        (SetSysctl("host", "net.ipv6.conf.all.forwarding", "0"),),
        Expected("forwarding-off", "host", None, "request", "net.ipv6.conf.all.forwarding"),
    ),
    Fault(
        "strict-rp-filter-and-marks",
        "marked packets leave by the fibre; strict rp_filter drops their answers, whose route is the cable",
        ("trace", "pc", "8.8.8.8"),
        (SetSysctl("host", "net.ipv4.conf.eth1.rp_filter", "1"),),
        Expected("rp-filter", "host", "eth1", "reply", "net.ipv4.conf.eth1.rp_filter"),
        TWO_UPLINKS,
        given=_BY_FIBRE,
    ),
    Fault(
        "strict-rp-filter-for-all",
        "marked packets leave by the fibre; the rp_filter of `all` drops their answers",
        ("trace", "pc", "8.8.8.8"),
        (SetSysctl("host", "net.ipv4.conf.all.rp_filter", "1"),),
        Expected("rp-filter", "host", "eth1", "reply", "net.ipv4.conf.all.rp_filter"),
        TWO_UPLINKS,
        given=_BY_FIBRE,
    ),
    Fault(
        "strict-rp-filter-of-the-server",
        "the server answers by another way than it is asked by, and was told to distrust that: rp_filter=1",
        _SQUARE,
        (SetSysctl("server", "net.ipv4.conf.eth0.rp_filter", "1"),),
        Expected("rp-filter", "server", "eth0", "request", "net.ipv4.conf.eth0.rp_filter"),
        SQUARE,
    ),
    Fault(
        "nft-fib-check",
        "an nft rule of the server drops what it would not answer by the same interface",
        _SQUARE,
        (
            nft(
                "server",
                "add table ip rpf; add chain ip rpf pre { type filter hook prerouting priority raw; };"
                " add rule ip rpf pre fib saddr . iif oif missing drop",
                "fib saddr . iif oif missing drop",
            ),
        ),
        Expected("rp-filter", "server", "eth0", "request", "nft ip rpf pre handle 2", stage="prerouting"),
        SQUARE,
    ),
    Fault(
        "iptables-rpfilter-match",
        "the pc's iptables drops answers that come by another interface than it would ask by (rpfilter)",
        _SQUARE,
        (iptables("pc", "-t raw -A PREROUTING -m rpfilter --invert -j DROP"),),
        Expected("rp-filter", "pc", "eth1", "reply", "iptables raw PREROUTING 1", stage="prerouting"),
        SQUARE,
    ),
    Fault(
        "peer-has-my-address",
        "c2 has c1's address on its loopback, left over from a failover: what c1 sends is a martian there",
        ("trace", "c1", "172.17.0.3"),
        (address("c2", "lo", "172.17.0.2/32"),),
        Expected("martian-source", "c2", "eth0", "request", "172.17.0.2/32 dev lo"),
    ),
    Fault(
        "published-on-localhost",
        "port 9090 is translated to 127.0.0.1, and route_localnet went back to 0",
        ("trace", "internet", "203.0.113.2:9090"),
        (SetSysctl("host", "net.ipv4.conf.eth0.route_localnet", "0"),),
        Expected("martian-destination", "host", "eth0", "request", "net.ipv4.conf.eth0.route_localnet"),
        given=(
            MoveService(Service("host", "tcp", 9090, "127.0.0.1")),
            SetSysctl("host", "net.ipv4.conf.eth0.route_localnet", "1"),
            iptables("host", "-t nat -A PREROUTING -p tcp -m tcp --dport 9090 -j DNAT --to-destination 127.0.0.1:9090"),
        ),
    ),
    Fault(
        "default-ttl-too-small",
        "the pc starts its packets with a TTL of 2, which the second router uses up",
        ("trace", "pc", "10.2.0.10"),
        (SetSysctl("pc", "net.ipv4.ip_default_ttl", "2"),),
        Expected("ttl-expired", "pc", None, "request", "net.ipv4.ip_default_ttl"),
        OFFICES,
    ),
    Fault(
        "rule-shortens-ttl",
        "a rule of r1 sets the TTL of what comes from the pc to 2",
        ("trace", "pc", "10.2.0.10"),
        (iptables("r1", "-t mangle -A PREROUTING -i lan -j TTL --ttl-set 2"),),
        Expected("ttl-expired", "r1", None, "request", "iptables mangle PREROUTING 1"),
        OFFICES,
    ),
)
