"""The networks that the faults are made in, besides the tutorial's, each with its picture."""

from __future__ import annotations

from dataclasses import replace

from netprobe.lab.topology import (
    Interface,
    LabBridge,
    LabFdbEntry,
    LabMacvlan,
    LabNeighbour,
    LabPolicyRule,
    LabRoute,
    LabVxlan,
    Masquerade,
    Rules,
    Service,
    Sysctl,
    Topology,
    Veth,
)
from netprobe.lab.tutorial import TUTORIAL, WIRING

from .fault import THE_TUTORIAL, Network

_ROUTER = (Sysctl("r1", "net.ipv4.ip_forward", "1"), Sysctl("r1", "net.ipv6.conf.all.forwarding", "1"),
           Sysctl("r2", "net.ipv4.ip_forward", "1"),
           Sysctl("r2", "net.ipv6.conf.all.forwarding", "1"))  # fmt: skip

OFFICES = Network(
    "offices",
    Topology(
        namespaces=("pc", "r1", "r2", "server"),
        links=(
            Veth(
                Interface("pc", "eth0", ("10.1.0.10/24", "fd00:1::10/64")),
                Interface("r1", "lan", ("10.1.0.1/24", "fd00:1::1/64")),
            ),
            Veth(
                Interface("r1", "wan", ("10.9.0.1/30", "fd00:9::1/64")),
                Interface("r2", "wan", ("10.9.0.2/30", "fd00:9::2/64")),
            ),
            Veth(
                Interface("r2", "lan", ("10.2.0.1/24", "fd00:2::1/64")),
                Interface("server", "eth0", ("10.2.0.10/24", "fd00:2::10/64")),
            ),
        ),
        routes=(
            LabRoute("pc", via="10.1.0.1", device="eth0"),
            LabRoute("pc", via="fd00:1::1", device="eth0"),
            LabRoute("r1", "10.2.0.0/24", via="10.9.0.2", device="wan"),
            LabRoute("r1", "fd00:2::/64", via="fd00:9::2", device="wan"),
            LabRoute("r2", "10.1.0.0/24", via="10.9.0.1", device="wan"),
            LabRoute("r2", "fd00:1::/64", via="fd00:9::1", device="wan"),
            LabRoute("server", via="10.2.0.1", device="eth0"),
            LabRoute("server", via="fd00:2::1", device="eth0"),
        ),
        sysctls=_ROUTER,
        services=(
            Service("server", "tcp", 80, backlog=8),
            Service("server", "udp", 53, receive_buffer=2304),
        ),
    ),
    """\
    pc                    r1                       r2                       server
    eth0 10.1.0.10/24 --- lan 10.1.0.1/24
                          wan 10.9.0.1/30 -------- wan 10.9.0.2/30
                                                   lan 10.2.0.1/24 -------- eth0 10.2.0.10/24

    Two offices and a line between them; nothing is translated. IPv6 runs beside, in fd00:1::/64,
    fd00:9::/64 and fd00:2::/64.
""",
)

TWO_UPLINKS = Network(
    "two uplinks",
    Topology(
        namespaces=("pc", "cable", "fibre", "internet"),
        links=(
            Veth(Interface("host", "lan0", ("10.0.0.1/24",)), Interface("pc", "eth0", ("10.0.0.2/24",))),
            Veth(
                Interface("host", "eth0", ("203.0.113.2/24",)),
                Interface("cable", "eth0", ("203.0.113.1/24",)),
            ),
            Veth(
                Interface("host", "eth1", ("198.51.100.2/24",)),
                Interface("fibre", "eth0", ("198.51.100.1/24",)),
            ),
            Veth(
                Interface("cable", "core", ("192.0.2.1/30",)),
                Interface("internet", "eth0", ("192.0.2.2/30",)),
            ),
            Veth(
                Interface("fibre", "core", ("192.0.2.5/30",)),
                Interface("internet", "eth1", ("192.0.2.6/30",)),
            ),
        ),
        loopback=(Interface("internet", "lo", ("8.8.8.8/32",)),),
        routes=(
            LabRoute("pc", via="10.0.0.1", device="eth0"),
            LabRoute("host", via="203.0.113.1", device="eth0"),
            LabRoute("host", via="198.51.100.1", device="eth1", table=100),
            LabRoute("cable", via="192.0.2.2", device="core"),
            LabRoute("fibre", via="192.0.2.6", device="core"),
            LabRoute("internet", "203.0.113.0/24", via="192.0.2.1", device="eth0"),
            LabRoute("internet", "198.51.100.0/24", via="192.0.2.5", device="eth1"),
        ),
        policy=(LabPolicyRule("host", 1000, table=100, source="198.51.100.2"),),
        sysctls=(
            Sysctl("host", "net.ipv4.ip_forward", "1"),
            Sysctl("cable", "net.ipv4.ip_forward", "1"),
            Sysctl("fibre", "net.ipv4.ip_forward", "1"),
            # A provider believes only those addresses that it gave away itself.
            Sysctl("cable", "net.ipv4.conf.eth0.rp_filter", "1"),
            Sysctl("fibre", "net.ipv4.conf.eth0.rp_filter", "1"),
        ),
        masquerade=(Masquerade("host", "eth0"), Masquerade("host", "eth1")),
        services=(Service("internet", "tcp", 80, "8.8.8.8"), Service("host", "tcp", 22)),
    ),
    """\
                          host                          cable, fibre                   internet
                          eth0 203.0.113.2/24 --------- 203.0.113.1    192.0.2.1 ----- 192.0.2.2
    pc                    eth1 198.51.100.2/24 -------- 198.51.100.1   192.0.2.5 ----- 192.0.2.6
    eth0 10.0.0.2/24 ---- lan0 10.0.0.1/24                                             lo 8.8.8.8

    The host has two providers. The cable is the usual way out; what comes from 198.51.100.2 takes
    the fibre, by a policy rule.
    Both providers drop what bears an address that they did not give away.
""",
)

SQUARE = Network(
    "square",
    Topology(
        namespaces=("pc", "r1", "r2", "server"),
        links=(
            Veth(Interface("pc", "eth0", ("10.1.1.10/24",)), Interface("r1", "lan", ("10.1.1.1/24",))),
            Veth(Interface("pc", "eth1", ("10.1.2.10/24",)), Interface("r2", "lan", ("10.1.2.1/24",))),
            Veth(
                Interface("server", "eth0", ("172.16.1.10/24",)), Interface("r1", "dmz", ("172.16.1.1/24",))
            ),
            Veth(
                Interface("server", "eth1", ("172.16.2.10/24",)), Interface("r2", "dmz", ("172.16.2.1/24",))
            ),
        ),
        loopback=(Interface("server", "lo", ("192.0.2.80/32",)),),
        routes=(
            LabRoute("pc", via="10.1.1.1", device="eth0"),
            LabRoute("r1", "192.0.2.80/32", via="172.16.1.10", device="dmz"),
            LabRoute("server", via="172.16.2.1", device="eth1"),
            LabRoute("r2", "10.1.1.0/24", via="10.1.2.10", device="lan"),
        ),
        sysctls=(Sysctl("r1", "net.ipv4.ip_forward", "1"), Sysctl("r2", "net.ipv4.ip_forward", "1")),
        services=(Service("server", "tcp", 80, "192.0.2.80"),),
    ),
    """\
    pc                     r1                                             server
    eth0 10.1.1.10/24 ---- lan 10.1.1.1/24    dmz 172.16.1.1/24 ---- eth0 172.16.1.10/24
                           r2                                        lo   192.0.2.80
    eth1 10.1.2.10/24 ---- lan 10.1.2.1/24    dmz 172.16.2.1/24 ---- eth1 172.16.2.10/24

    The pc asks by r1, the server answers by r2.
""",
)

ROUTED_PODS = Network(
    "routed pods",
    Topology(
        namespaces=("pod1", "pod2", "rack"),
        links=(
            Veth(Interface("host", "eth0", ("192.0.2.10/24",)), Interface("rack", "eth0", ("192.0.2.1/24",))),
            *(
                Veth(
                    Interface("host", f"cali{n}", mac="ee:ee:ee:ee:ee:ee"),
                    Interface(f"pod{n}", "eth0", (f"10.65.0.{n + 1}/32",)),
                )
                for n in (1, 2)
            ),
        ),
        routes=(
            LabRoute("host", via="192.0.2.1", device="eth0"),
            *(LabRoute("host", f"10.65.0.{n + 1}/32", device=f"cali{n}") for n in (1, 2)),
            *(LabRoute(f"pod{n}", "169.254.1.1/32", device="eth0") for n in (1, 2)),
            *(LabRoute(f"pod{n}", via="169.254.1.1", device="eth0") for n in (1, 2)),
        ),
        sysctls=(
            Sysctl("host", "net.ipv4.ip_forward", "1"),
            *(Sysctl("host", f"net.ipv4.conf.cali{n}.proxy_arp", "1") for n in (1, 2)),
            # else up to 0.8 s, at random
            *(Sysctl("host", f"net.ipv4.neigh.cali{n}.proxy_delay", "0") for n in (1, 2)),
        ),
    ),
    """\
    pod1                   host
    eth0 10.65.0.2/32 ---- cali1
    pod2                                            rack
    eth0 10.65.0.3/32 ---- cali2    192.0.2.10 ---- 192.0.2.1

    No bridge: each pod has a network of one and the gateway 169.254.1.1, for which the host
    answers by proxy ARP.
""",
)

_DOCKER = """\
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 -d 172.17.0.3/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.3:80
-A DOCKER -p udp -m udp --dport 5353 -j DNAT --to-destination 172.17.0.3:53
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -i br0 -j ACCEPT
-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER -d 172.17.0.3/32 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER -d 172.17.0.3/32 -o docker0 -p udp -m udp --dport 53 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
"""

PUBLISHED = Network(
    "published ports",
    replace(TUTORIAL, masquerade=(), rules=(Rules("host", "iptables", _DOCKER),)),
    WIRING.partition("    The host forwards")[0]
    + """\
    The host has Docker's rules: FORWARD drops by policy, and its port 8080 is published: it leads
    to port 80 of c2.
""",
)

_TUNNEL_MAC = {1: "02:00:00:00:42:01", 2: "02:00:00:00:42:02"}

OVERLAY = Network(
    "overlay",
    Topology(
        namespaces=("node1", "node2", "pod1", "pod2"),
        links=(
            Veth(
                Interface("node1", "u0", ("192.168.50.1/24",)), Interface("node2", "u0", ("192.168.50.2/24",))
            ),
            *(LabBridge(Interface(f"node{n}", "br0")) for n in (1, 2)),
            *(
                LabVxlan(
                    Interface(f"node{n}", "vx0", master="br0"),
                    42,
                    f"192.168.50.{n}",
                    f"192.168.50.{3 - n}",
                    underlay="u0",
                )
                for n in (1, 2)
            ),
            *(
                Veth(
                    Interface(f"node{n}", "vpod", master="br0", mtu=1450),
                    Interface(f"pod{n}", "eth0", (f"10.42.0.{n}/24",), mtu=1450),
                )
                for n in (1, 2)
            ),
        ),
    ),
    """\
    pod1                      node1                              node2                      pod2
    eth0 10.42.0.1/24 --- vpod, br0, vx0                     vx0, br0, vpod --- eth0 10.42.0.2/24
                          u0 192.168.50.1/24 ------------ u0 192.168.50.2/24

    A bridge on each node, and between them a VXLAN, VNI 42, port 4789: the pods are on one segment.
""",
)

ROUTED_OVERLAY = Network(
    "routed overlay",
    Topology(
        namespaces=("node1", "node2", "pod1", "pod2"),
        links=(
            Veth(
                Interface("node1", "u0", ("192.168.50.1/24",)), Interface("node2", "u0", ("192.168.50.2/24",))
            ),
            *(
                LabVxlan(
                    Interface(f"node{n}", "flannel.1", (f"10.244.{n}.0/32",), mac=_TUNNEL_MAC[n]),
                    1,
                    f"192.168.50.{n}",
                    port=8472,
                    learning=False,
                    underlay="u0",
                )
                for n in (1, 2)
            ),
            *(
                Veth(
                    Interface(f"node{n}", "vpod", (f"10.244.{n}.1/24",)),
                    Interface(f"pod{n}", "eth0", (f"10.244.{n}.2/24",), mtu=1450),
                )
                for n in (1, 2)
            ),
        ),
        routes=(
            *(
                LabRoute(f"node{n}", f"10.244.{3 - n}.0/24", f"10.244.{3 - n}.0", "flannel.1", onlink=True)
                for n in (1, 2)
            ),
            *(LabRoute(f"pod{n}", via=f"10.244.{n}.1", device="eth0") for n in (1, 2)),
        ),
        neighbours=tuple(
            LabNeighbour(f"node{n}", "flannel.1", f"10.244.{3 - n}.0", _TUNNEL_MAC[3 - n]) for n in (1, 2)
        ),
        fdb=tuple(
            LabFdbEntry(f"node{n}", "flannel.1", _TUNNEL_MAC[3 - n], f"192.168.50.{3 - n}") for n in (1, 2)
        ),
        sysctls=tuple(Sysctl(f"node{n}", "net.ipv4.ip_forward", "1") for n in (1, 2)),
    ),
    """\
    pod1                   node1                                   node2                   pod2
    eth0 10.244.1.2/24 --- vpod 10.244.1.1/24                      vpod 10.244.2.1/24 --- eth0 10.244.2.2/24
                           flannel.1 10.244.1.0                    flannel.1 10.244.2.0
                           u0 192.168.50.1/24 -------------------- u0 192.168.50.2/24

    As flannel does it: the VXLAN learns nothing; routes, neighbours and forwarding entries are written by
    a daemon.
""",
)

HOME_LAN = Network(
    "macvlan",
    Topology(
        namespaces=("router", "nas", "tv"),
        links=(
            Veth(
                Interface("host", "eth0", ("192.168.1.10/24",)),
                Interface("router", "eth0", ("192.168.1.1/24",)),
            ),
            LabMacvlan(Interface("nas", "eth0", ("192.168.1.51/24",)), "eth0"),
            LabMacvlan(Interface("tv", "eth0", ("192.168.1.52/24",)), "eth0"),
            LabMacvlan(Interface("host", "shim", ("192.168.1.11/32",)), "eth0"),
        ),
        routes=(
            *(LabRoute(name, via="192.168.1.1", device="eth0") for name in ("nas", "tv")),
            LabRoute("host", "192.168.1.51/32", device="shim", source="192.168.1.11"),
            LabRoute("host", "192.168.1.52/32", device="shim", source="192.168.1.11"),
        ),
    ),
    """\
    host                     router
    eth0 192.168.1.10/24 --- eth0 192.168.1.1/24
      |- nas   eth0 192.168.1.51/24
      |- tv    eth0 192.168.1.52/24
      '- shim  192.168.1.11/32 in the host itself

    Two containers on a macvlan network over eth0; the host reaches them by a macvlan of its own, shim.
""",
)

NETWORKS = {
    network.name: network
    for network in (
        THE_TUTORIAL,
        OFFICES,
        TWO_UPLINKS,
        SQUARE,
        ROUTED_PODS,
        PUBLISHED,
        OVERLAY,
        ROUTED_OVERLAY,
        HOME_LAN,
    )
}
