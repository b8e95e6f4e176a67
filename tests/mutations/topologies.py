"""Networks that the catalogue of faults has no use for: a switch, a gateway whose firewall is all of nft, pods of IPv6, old tables."""

from __future__ import annotations

from dataclasses import replace

from netprobe.lab.faults.networks import ROUTED_PODS
from netprobe.lab.topology import Interface, LabBridge, LabRoute, Rules, Service, Sysctl, Topology, Veth

SWITCH = Topology(
    namespaces=("sw", "a", "b", "c"),
    links=(
        LabBridge(Interface("sw", "br0", mac="02:00:00:00:77:01")),
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
        *(LabRoute(name, via=via, device="eth0") for name, via in (("pc", "10.5.0.1"), ("pc", "fd00:5::1"))),
        *(LabRoute(name, via=via, device="eth0") for name, via in (("srv", "10.6.0.1"), ("srv", "fd00:6::1"))),
        LabRoute("fw", via="203.0.113.1", device="wan"),
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

LEGACY_RULES = """\
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

POD_SERVICES = tuple(Service(f"pod{n}", "tcp", 80) for n in (1, 2))

PODS_OF_IPV6 = replace(
    ROUTED_PODS.topology,
    links=(
        Veth(Interface("host", "eth0", ("fd00:10::10/64",)), Interface("rack", "eth0", ("fd00:10::1/64",))),
        *(Veth(Interface("host", f"cali{n}"), Interface(f"pod{n}", "eth0", (f"fd00:65::{n}/128",))) for n in (1, 2)),
    ),
    routes=(
        *(LabRoute("host", f"fd00:65::{n}/128", device=f"cali{n}") for n in (1, 2)),
        *(LabRoute(f"pod{n}", "fd00:65::ff/128", device="eth0") for n in (1, 2)),
        *(LabRoute(f"pod{n}", via="fd00:65::ff", device="eth0") for n in (1, 2)),
        LabRoute("rack", "fd00:65::/64", via="fd00:10::10", device="eth0"),
    ),
    sysctls=(
        Sysctl("host", "net.ipv6.conf.all.forwarding", "1"),
        *(Sysctl("host", f"net.ipv6.conf.cali{n}.proxy_ndp", "1") for n in (1, 2)),
        *(Sysctl("host", f"net.ipv6.neigh.cali{n}.proxy_delay", "0") for n in (1, 2)),
    ),
    services=POD_SERVICES,
)
"""As routed pods, with a gateway that the host answers for by proxy neighbour discovery."""
