"""Routes and policy rules: none, a wrong one, a dead one, one for somebody else."""

from __future__ import annotations

from netprobe.lab.changes import RemoveDefaultRoute, SetSysctl

from .fault import Expected, Fault
from .networks import OFFICES, PUBLISHED, TWO_UPLINKS
from .steps import address, no_address, no_route, no_rule, route, rule, tool

_OUT = ("trace", "red", "8.8.8.8")
_ACROSS = ("trace", "pc", "10.2.0.10")

ROUTES: tuple[Fault, ...] = (
    Fault(
        "no-default-route",
        "red has lost its default route",
        _OUT,
        (RemoveDefaultRoute("red"),),
        Expected("no-route", "red", None, "request", "8.8.8.8"),
    ),
    Fault(
        "host-no-default-route",
        "the host has lost its default route",
        _OUT,
        (no_route("host", "default"),),
        Expected("no-route", "host", None, "request", "8.8.8.8"),
    ),
    Fault(
        "blackholed",
        "a blackhole route of an address plan swallows 8.8.0.0/16 in the host",
        _OUT,
        (route("host", "blackhole 8.8.0.0/16"),),
        Expected("route-blackhole", "host", None, "request", "blackhole 8.8.0.0/16"),
    ),
    Fault(
        "rule-prohibits",
        "a policy rule of the host prohibits what comes from red's network",
        _OUT,
        (rule("host", "pref 100 from 10.0.0.0/16 prohibit"),),
        Expected("rule-prohibit", "host", None, "request", "100: from 10.0.0.0/16 prohibit"),
    ),
    Fault(
        "far-office-no-way-back",
        "r2 has lost its route to the pc's office",
        _ACROSS,
        (no_route("r2", "10.1.0.0/24"),),
        Expected("no-route", "r2", None, "reply", "10.1.0.10"),
        OFFICES,
    ),
    Fault(
        "no-default-route-ipv6",
        "c1 has an IPv6 address and no IPv6 default route",
        ("trace", "c1", "2001:4860:4860::8888"),
        (no_route("c1", "default", 6),),
        Expected("no-route", "c1", None, "request", "2001:4860:4860::8888"),
    ),
    Fault(
        "gateway-mistyped",
        "red's default route leads to 10.0.0.11 instead of 10.0.0.1",
        _OUT,
        (route("red", "default via 10.0.0.11 dev eth0 onlink", "replace"),),
        Expected("route-wrong-nexthop", "red", None, "request", "default via 10.0.0.11 dev eth0"),
    ),
    Fault(
        "gateway-is-no-router",
        "c1's default route leads to c2, which forwards nothing",
        ("trace", "c1", "8.8.8.8"),
        (route("c1", "default via 172.17.0.3 dev eth0", "replace"),),
        Expected("route-wrong-nexthop", "c1", None, "request", "default via 172.17.0.3 dev eth0"),
    ),
    Fault(
        "unreachable-route",
        "a VPN client left an unreachable route to 8.8.8.8 behind, as its kill switch",
        _OUT,
        (route("red", "unreachable 8.8.8.8"),),
        Expected("route-unreachable", "red", None, "request", "unreachable 8.8.8.8/32"),
    ),
    Fault(
        "prohibit-route",
        "the far office's router prohibits the way back to 10.1.0.0/25",
        _ACROSS,
        (route("r2", "prohibit 10.1.0.0/25"),),
        Expected("route-prohibit", "r2", None, "reply", "prohibit 10.1.0.0/25"),
        OFFICES,
    ),
    Fault(
        "blackholed-ipv6",
        "a blackhole route for an IPv6 prefix covers more than it should",
        ("trace", "pc", "fd00:2::10"),
        (route("r1", "blackhole fd00:2::/96"),),
        Expected("route-blackhole", "r1", None, "request", "blackhole fd00:2::/96"),
        OFFICES,
    ),
    Fault(
        "vpn-client-died",
        "a VPN client died and left its tunnel device and its route to 8.8.8.0/24 behind",
        _OUT,
        (
            tool("host", "ip tuntap add dev tun0 mode tun", "ip link show tun0", "tun0"),
            tool("host", "ip link set tun0 up", "ip link show tun0", r"<.*\bUP\b.*>"),
            address("host", "tun0", "10.200.0.1/24"),
            route("host", "8.8.8.0/24 dev tun0"),
        ),
        Expected("route-via-dead-device", "host", "tun0", "request", "8.8.8.0/24 dev tun0"),
        privileged=True,  # /dev/net/tun is not everybody's everywhere
    ),
    Fault(
        "answer-blackholed-ipv6",
        "the provider has a blackhole route for the host's IPv6 address, which is on its own wire",
        ("trace", "red", "2001:4860:4860::8888"),
        (route("internet", "blackhole fd00:203::2"),),
        Expected("route-blackhole", "internet", None, "reply", "blackhole fd00:203::2/128"),
    ),
    Fault(
        "published-and-answered-by-another-way",
        "c2's default route leads to c1, no router: who asks by the published port gets no answer",
        ("trace", "internet", "203.0.113.2:8080"),
        (route("c2", "default via 172.17.0.2 dev eth0", "replace"),),
        Expected("route-wrong-nexthop", "c2", None, "reply", "default via 172.17.0.2 dev eth0"),
        PUBLISHED,
    ),
    Fault(
        "docker-network-overlaps",
        "a Docker network was given 8.8.8.0/24, which the host now looks for on docker0",
        _OUT,
        (address("host", "docker0", "8.8.8.1/24"),),
        Expected("route-overlap", "host", None, "request", "8.8.8.0/24 dev docker0"),
    ),
    Fault(
        "routers-send-it-round",
        "r2 has a more specific route for the server back to r1: the packet runs in circles",
        (*_ACROSS, "--ttl", "9"),
        (route("r2", "10.2.0.10 via 10.9.0.1 dev wan"),),
        Expected("route-loop", "r2", None, "request", "10.2.0.10/32 via 10.9.0.1 dev wan"),
        OFFICES,
    ),
    Fault(
        "provider-sends-it-back",
        "the provider routes 9.9.9.9, which it served itself, back to the host",
        ("trace", "red", "9.9.9.9"),
        (no_address("internet", "lo", "9.9.9.9/32"), route("internet", "9.9.9.9 via 203.0.113.2 dev eth0")),
        Expected("route-loop", "internet", None, "request", "9.9.9.9/32 via 203.0.113.2 dev eth0"),
        given=(address("internet", "lo", "9.9.9.9/32"), SetSysctl("internet", "net.ipv4.ip_forward", "1")),
    ),
    Fault(
        "far-container-no-way-back",
        "c2 has lost its default route, and red of another bridge asks",
        ("trace", "red", "172.17.0.3"),
        (no_route("c2", "default"),),
        Expected("no-route", "c2", None, "reply", "10.0.0.2"),
    ),
    Fault(
        "source-nobody-knows",
        "the pc's default route makes it use an address of its loopback that nobody has a route to",
        _ACROSS,
        (address("pc", "lo", "198.18.0.5/32"), route("pc", "default via 10.1.0.1 dev eth0 src 198.18.0.5", "replace")),
        Expected("route-wrong-src", "pc", None, "reply", "default via 10.1.0.1 dev eth0 src 198.18.0.5"),
        OFFICES,
    ),
    Fault(
        "one-leg-of-two-is-dead",
        "the host balances over two gateways, and the heavier one does not exist",
        _OUT,
        (
            tool(
                "host",
                "ip route replace default nexthop via 203.0.113.1 dev eth0 weight 1 nexthop via 203.0.113.9 dev eth0 weight 255",
                "ip route show default",
                "nexthop via 203.0.113.9 dev eth0 weight 255",
            ),
        ),
        Expected("ecmp-dead-nexthop", "host", None, "request", "default via 203.0.113.9 dev eth0"),
    ),
    Fault(
        "rule-leads-to-a-dead-gateway",
        "a policy rule sends the pc to a table whose gateway is gone",
        ("trace", "pc", "8.8.8.8"),
        (rule("host", "pref 900 from 10.0.0.2 lookup 200"),),
        Expected("rule-wrong-table", "host", None, "request", "900: from 10.0.0.2/32 lookup 200"),
        TWO_UPLINKS,
        given=(route("host", "default via 203.0.113.77 dev eth0 table 200"),),
    ),
    Fault(
        "rule-unreachable-ipv6",
        "a policy rule makes IPv6 unreachable for the pc's office",
        ("trace", "pc", "fd00:2::10"),
        (rule("r1", "pref 50 from fd00:1::/64 unreachable", 6),),
        Expected("rule-prohibit", "r1", None, "request", "50: from fd00:1::/64 unreachable"),
        OFFICES,
    ),
    Fault(
        "rule-blackholes-the-answer",
        "a policy rule of the server swallows what it answers to the pc's office",
        _ACROSS,
        (rule("server", "pref 50 to 10.1.0.0/24 blackhole"),),
        Expected("rule-prohibit", "server", None, "reply", "50: from all to 10.1.0.0/24 blackhole"),
        OFFICES,
    ),
    Fault(
        "local-rule-deleted",
        "the server's first policy rule, that of its own addresses, was deleted",
        _ACROSS,
        (no_rule("server", 0),),
        Expected("rule-local-missing", "server", None, "request", "0: from all lookup local"),
        OFFICES,
    ),
    Fault(
        "answer-by-the-wrong-provider",
        "the policy rule for the fibre's address is gone: its answers leave by the cable, a dead end",
        ("trace", "internet", "198.51.100.2"),
        (no_rule("host", 1000),),
        Expected("reply-wrong-path", "host", None, "reply", "default via 203.0.113.1 dev eth0"),
        TWO_UPLINKS,
        given=(no_route("cable", "default"), SetSysctl("cable", "net.ipv4.conf.eth0.rp_filter", "0")),
    ),
    Fault(
        "answer-refused-by-the-wrong-provider",
        "the same rule is gone, and the cable's router believes no foreign address",
        ("trace", "internet", "198.51.100.2"),
        (no_rule("host", 1000),),
        Expected("rp-filter", "cable", "eth0", "reply", "net.ipv4.conf.eth0.rp_filter"),
        TWO_UPLINKS,
    ),
)
