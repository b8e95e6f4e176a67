"""The networks that are changed, each with what it is for. All flows work before; the MAC addresses are fixed, so that trials repeat."""

from __future__ import annotations

from dataclasses import dataclass, replace

from faults.healthy import ANYCAST, HEALTHY, NESTED
from mutations.flows import Flow, flow

from netprobe.lab.changes import Change
from netprobe.lab.faults.networks import HOME_LAN, OFFICES, OVERLAY, PUBLISHED, ROUTED_OVERLAY, ROUTED_PODS, SQUARE, TWO_UPLINKS
from netprobe.lab.topology import Bridge, Interface, Route, Rules, Service, Sysctl, Topology, Veth
from netprobe.lab.tutorial import TUTORIAL


@dataclass(frozen=True)
class Setting:
    """A network that works, and what it is for. `given` is done to it before anything is measured."""

    name: str
    topology: Topology
    flows: tuple[Flow, ...]
    given: tuple[Change, ...] = ()

    @property
    def spaces(self) -> tuple[str, ...]:
        """Its namespaces besides the host's."""
        return self.topology.namespaces


def _numbered(topology: Topology) -> Topology:
    """The topology with a MAC address for each cable's end that has none."""
    links = []
    for number, link in enumerate(topology.links, 1):
        if isinstance(link, Veth):
            near, far = (_with_mac(end, number, side) for side, end in ((1, link.near), (2, link.far)))
            links.append(replace(link, near=near, far=far))
        else:
            links.append(replace(link, near=_with_mac(link.near, number, 3)))
    return replace(topology, links=tuple(links))


def _with_mac(end: Interface, number: int, side: int) -> Interface:
    return end if end.mac else replace(end, mac=f"02:00:00:{side:02x}:00:{number:02x}")


def _setting(name: str, topology: Topology, flows: str, given: tuple[Change, ...] = ()) -> Setting:
    return Setting(name, _numbered(topology), tuple(flow(line.strip()) for line in flows.strip().splitlines()), given)


def _given(name: str) -> tuple[Change, ...]:
    return next(case.given for case in HEALTHY if case.name == name)


_IN_THE_TUTORIAL = """
    red 10.0.0.1
    red 8.8.8.8
    red 8.8.8.8+80
    red 172.17.0.3+80
    red 2001:4860:4860::8888
    c1 172.17.0.1
    c1 172.17.0.3
    c1 172.17.0.3+53/udp
    c1 8.8.8.8
    c1 8.8.8.8+53/udp
    c1 8.8.8.8+53/udp from 4001
    c1 fd00:172:17::3
    c1 2001:4860:4860::8888+80
    c2 172.17.0.2
    c2 8.8.8.8 1400 bytes
    host 10.0.0.2
    host 8.8.8.8+80
"""

_BETWEEN_OFFICES = """
    pc 10.1.0.1
    pc 10.2.0.10
    pc 10.2.0.10+80
    pc 10.2.0.10+53/udp
    pc 10.2.0.10 1472 bytes
    pc fd00:2::10
    pc fd00:2::10+80
    pc fd00:2::10 1400 bytes
    server 10.1.0.10
    server 10.2.0.1
    server fd00:1::10
    r1 10.2.0.10
    r2 10.1.0.10
"""

_BY_TWO_UPLINKS = """
    pc 10.0.0.1
    pc 10.0.0.1+22
    pc 8.8.8.8
    pc 8.8.8.8+80
    host 8.8.8.8
    host 10.0.0.2
    internet 203.0.113.2+22
    internet 198.51.100.2
    internet 198.51.100.2+22
"""

_WITH_PUBLISHED_PORTS = """
    internet 203.0.113.2+8080
    internet 203.0.113.2+5353/udp
    internet 203.0.113.2+5353/udp from 4000
    internet 203.0.113.2
    red 203.0.113.2+8080
    red 8.8.8.8
    c1 203.0.113.2+8080
    c1 172.17.0.3
    c1 172.17.0.3+80
    c1 8.8.8.8+80
    c2 203.0.113.2+8080
    c2 8.8.8.8
    host 203.0.113.2+8080
    host 172.17.0.3+53/udp
"""

SWITCH = Topology(
    namespaces=("sw", "a", "b", "c"),
    links=(
        Bridge(Interface("sw", "br0", mac="02:00:00:00:77:01")),
        *(
            Veth(Interface("sw", f"p-{name}", master="br0"), Interface(name, "eth0", (f"10.7.0.{n}/24", f"fd00:7::{n}/64")))
            for n, name in enumerate("abc", 1)
        ),
    ),
    services=(Service("b", "tcp", 80), Service("c", "udp", 53)),
)
"""Three stations and a switch without an address of its own."""

_GATEWAY_RULES = """\
table inet fw {
    set lan { type ipv4_addr; flags interval; elements = { 10.5.0.0/24, 10.6.0.0/24 }; }
    set banned { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 }; }
    set open_ports { type inet_service; elements = { 22, 80, 443 }; }
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname "lo" accept
        meta l4proto { icmp, ipv6-icmp } accept
        iifname { "lan", "dmz" } tcp dport 22 accept
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        ip saddr @banned counter drop
        iifname "lan" oifname "wan" ip saddr @lan jump outgoing
        iifname "lan" oifname "dmz" accept
        iifname "dmz" oifname "wan" meta l4proto { icmp, udp } accept
        iifname "wan" oifname "dmz" tcp dport @open_ports ct status dnat accept
        meta l4proto ipv6-icmp accept
        ip6 saddr fd00:5::/64 accept
    }
    chain outgoing {
        meta l4proto icmp accept
        tcp dport @open_ports accept
        udp dport 53 accept
        counter reject
    }
}
table ip nat {
    chain pre {
        type nat hook prerouting priority dstnat; policy accept;
        iifname "wan" tcp dport 8080 dnat to 10.6.0.10:80
        iifname "wan" tcp dport { 22, 80 } dnat to 10.6.0.10
    }
    chain post {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "wan" ip saddr @lan_too masquerade
    }
    set lan_too { type ipv4_addr; flags interval; elements = { 10.5.0.0/24, 10.6.0.0/24 }; }
}
"""

GATEWAY = Topology(
    namespaces=("fw", "pc", "srv", "net"),
    links=(
        Veth(Interface("fw", "lan", ("10.5.0.1/24", "fd00:5::1/64")), Interface("pc", "eth0", ("10.5.0.10/24", "fd00:5::10/64"))),
        Veth(Interface("fw", "dmz", ("10.6.0.1/24", "fd00:6::1/64")), Interface("srv", "eth0", ("10.6.0.10/24", "fd00:6::10/64"))),
        Veth(Interface("fw", "wan", ("203.0.113.2/24",)), Interface("net", "eth0", ("203.0.113.1/24",))),
    ),
    loopback=(Interface("net", "lo", ("8.8.8.8/32",)),),
    routes=(
        *(Route(name, via=via, device="eth0") for name, via in (("pc", "10.5.0.1"), ("pc", "fd00:5::1"))),
        *(Route(name, via=via, device="eth0") for name, via in (("srv", "10.6.0.1"), ("srv", "fd00:6::1"))),
        Route("fw", via="203.0.113.1", device="wan"),
    ),
    sysctls=(Sysctl("fw", "net.ipv4.ip_forward", "1"), Sysctl("fw", "net.ipv6.conf.all.forwarding", "1")),
    rules=(Rules("fw", "nft", _GATEWAY_RULES),),
    services=(
        Service("srv", "tcp", 80),
        Service("srv", "tcp", 22),
        Service("net", "tcp", 80),
        Service("net", "udp", 53),
        Service("fw", "tcp", 22),
    ),
)
"""A gateway whose firewall is all of nft, with sets and a verdict map."""

_LEGACY = """\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lan -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan -o wan -s 10.1.0.0/24 -j ACCEPT
-A FORWARD -i wan -o lan -p icmp -j ACCEPT
COMMIT
"""

_POD_SERVICES = tuple(Service(f"pod{n}", "tcp", 80) for n in (1, 2))

SETTINGS = (
    _setting("tutorial", TUTORIAL, _IN_THE_TUTORIAL),
    _setting("offices", OFFICES.topology, _BETWEEN_OFFICES),
    _setting("two uplinks", TWO_UPLINKS.topology, _BY_TWO_UPLINKS),
    _setting(
        "square",
        SQUARE.topology,
        """
        pc 192.0.2.80
        pc 192.0.2.80+80
        pc 10.1.1.1
        r1 192.0.2.80
        server 172.16.2.1
        """,
    ),
    _setting(
        "routed pods",
        replace(ROUTED_PODS.topology, services=_POD_SERVICES),
        """
        pod1 10.65.0.3
        pod1 10.65.0.3+80
        pod2 10.65.0.2
        pod1 192.0.2.10
        host 10.65.0.2+80
        host 192.0.2.1
        """,
    ),
    _setting("published ports", PUBLISHED.topology, _WITH_PUBLISHED_PORTS),
    _setting(
        "overlay",
        replace(OVERLAY.topology, services=_POD_SERVICES),
        """
        pod1 10.42.0.2
        pod1 10.42.0.2+80
        pod1 10.42.0.2 1400 bytes
        pod2 10.42.0.1
        pod2 10.42.0.1+80
        node1 192.168.50.2
        """,
    ),
    _setting(
        "routed overlay",
        replace(ROUTED_OVERLAY.topology, services=_POD_SERVICES),
        """
        pod1 10.244.1.1
        pod1 10.244.2.2
        pod1 10.244.2.2+80
        pod1 10.244.2.2 1400 bytes
        pod2 10.244.1.2
        node1 10.244.2.2
        node1 192.168.50.2
        """,
    ),
    _setting(
        "macvlan",
        replace(HOME_LAN.topology, services=(Service("nas", "tcp", 80),)),
        """
        nas 192.168.1.1
        nas 192.168.1.52
        tv 192.168.1.51+80
        router 192.168.1.52
        router 192.168.1.51+80
        host 192.168.1.51
        host 192.168.1.51+80
        host 192.168.1.1
        """,
    ),
    _setting(
        "nested",
        NESTED.topology,
        """
        inner 172.18.0.1
        inner 172.17.0.3
        inner 172.17.0.3+80
        inner 8.8.8.8
        inner 8.8.8.8+53/udp
        c1 172.18.0.2
        c1 8.8.8.8
        red 8.8.8.8
        """,
    ),
    _setting(
        "anycast",
        ANYCAST.topology,
        """
        pc 192.0.2.53
        pc 192.0.2.53+53/udp
        pc 10.1.0.2
        pc 10.2.0.2
        east 10.0.0.2
        west 10.0.0.2
        """,
    ),
    _setting(
        "switch",
        SWITCH,
        """
        a 10.7.0.2
        a 10.7.0.2+80
        a 10.7.0.3+53/udp
        b 10.7.0.3
        b fd00:7::3
        c 10.7.0.1
        c fd00:7::2+80
        c 10.7.0.2 1472 bytes
        """,
    ),
    _setting(
        "nft gateway",
        GATEWAY,
        """
        pc 8.8.8.8
        pc 8.8.8.8+80
        pc 8.8.8.8+53/udp
        pc 8.8.8.8+53/udp from 4002
        pc 10.6.0.10
        pc 10.6.0.10+80
        pc 10.5.0.1+22
        pc fd00:6::10
        pc fd00:6::10+80
        srv 8.8.8.8
        srv 8.8.8.8+53/udp
        net 203.0.113.2
        net 203.0.113.2+8080
        net 203.0.113.2+22
        """,
    ),
    _setting(
        "legacy offices",
        replace(OFFICES.topology, rules=(Rules("r1", "iptables-legacy", _LEGACY),)),
        _BETWEEN_OFFICES,
    ),
    _setting("strict offices", OFFICES.topology, _BETWEEN_OFFICES, _given("strict-rp-filter-on-symmetric-ways")),
)

BY_NAME = {setting.name: setting for setting in SETTINGS}
