"""Networks that look strange and work: nobody may cry wolf about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from faults.experiment import ask, make
from faults.peers import answers
from live.asking import Done

from netprobe.lab.changes import LabChange, SetSysctl
from netprobe.lab.faults.fault import THE_TUTORIAL, Network
from netprobe.lab.faults.networks import HOME_LAN, OFFICES, OVERLAY, PUBLISHED, ROUTED_OVERLAY, ROUTED_PODS, SQUARE, TWO_UPLINKS
from netprobe.lab.faults.steps import address, iptables, mtu, neighbour, nft, no_address, port, route, rule, tool
from netprobe.lab.topology import Interface, LabBridge, LabRoute, Masquerade, Service, Sysctl, Topology, Veth
from netprobe.lab.tutorial import C1_PORT, C2_PORT, TUTORIAL


@dataclass(frozen=True)
class Healthy:
    """A network, what was done to it, and questions that are all answered."""

    name: str
    network: Network
    probes: tuple[tuple[str, ...], ...]
    given: tuple[LabChange, ...] = ()


NESTED = Network(
    "a container in a container",
    replace(
        TUTORIAL,
        namespaces=(*TUTORIAL.namespaces, "inner"),
        links=(
            *TUTORIAL.links,
            LabBridge(Interface("c1", "docker0", ("172.18.0.1/16",))),
            Veth(Interface("c1", "vethin", master="docker0"), Interface("inner", "eth0", ("172.18.0.2/16",))),
        ),
        routes=(*TUTORIAL.routes, LabRoute("inner", via="172.18.0.1", device="eth0")),
        sysctls=(*TUTORIAL.sysctls, Sysctl("c1", "net.ipv4.ip_forward", "1")),
        masquerade=(*TUTORIAL.masquerade, Masquerade("c1", "eth0")),
    ),
    "",
)

ANYCAST = Network(
    "one address in two places",
    Topology(
        namespaces=("pc", "east", "west"),
        links=(
            Veth(Interface("host", "lan", ("10.0.0.1/24",)), Interface("pc", "eth0", ("10.0.0.2/24",))),
            Veth(Interface("host", "e", ("10.1.0.1/24",)), Interface("east", "eth0", ("10.1.0.2/24",))),
            Veth(Interface("host", "w", ("10.2.0.1/24",)), Interface("west", "eth0", ("10.2.0.2/24",))),
        ),
        loopback=(Interface("east", "lo", ("192.0.2.53/32",)), Interface("west", "lo", ("192.0.2.53/32",))),
        routes=(
            LabRoute("pc", via="10.0.0.1", device="eth0"),
            LabRoute("east", via="10.1.0.1", device="eth0"),
            LabRoute("west", via="10.2.0.1", device="eth0"),
            LabRoute("host", "192.0.2.53/32", via="10.1.0.2", metric=10),
            LabRoute("host", "192.0.2.53/32", via="10.2.0.2", metric=20),
        ),
        sysctls=(Sysctl("host", "net.ipv4.ip_forward", "1"),),
        services=(Service("east", "udp", 53, "192.0.2.53"), Service("west", "udp", 53, "192.0.2.53")),
    ),
    "",
)

_ACROSS = ("trace", "pc", "10.2.0.10")
_WEB = ("trace", "pc", "10.2.0.10:80")
_OUT = ("trace", "red", "8.8.8.8")

HEALTHY = (
    Healthy("asymmetric-routes", SQUARE, (("trace", "pc", "192.0.2.80"), ("trace", "pc", "192.0.2.80:80"))),
    Healthy(
        "no-arp-but-entries-by-hand",
        THE_TUTORIAL,
        (("trace", "c1", "8.8.8.8"), ("trace", "c1", "172.17.0.3")),
        given=(
            tool("c1", "ip link set eth0 arp off", "ip link show eth0", "NOARP"),
            neighbour("c1", "eth0", "172.17.0.1", "02:42:ac:11:00:01"),
            neighbour("c1", "eth0", "172.17.0.3", "02:42:ac:11:00:03"),
            neighbour("host", "docker0", "172.17.0.2", "02:42:ac:11:00:02"),
            neighbour("c2", "eth0", "172.17.0.2", "02:42:ac:11:00:02"),
        ),
    ),
    Healthy(
        "docker-drops-but-accepts-these",
        PUBLISHED,
        (_OUT, ("trace", "internet", "203.0.113.2:8080"), ("trace", "c1", "203.0.113.2:8080"), ("trace", "c1", "172.17.0.3")),
    ),
    Healthy(
        "strict-rp-filter-on-symmetric-ways",
        OFFICES,
        (_ACROSS, _WEB),
        tuple(SetSysctl(name, "net.ipv4.conf.all.rp_filter", "1") for name in ("pc", "r1", "r2", "server")),
    ),
    Healthy(
        "loose-rp-filter-and-marks",
        TWO_UPLINKS,
        (("trace", "pc", "8.8.8.8"), ("trace", "internet", "198.51.100.2"), ("trace", "pc", "8.8.8.8:80")),
        (
            iptables("host", "-t mangle -A PREROUTING -i lan0 -j MARK --set-xmark 0x7/0xffffffff"),
            rule("host", "pref 800 from all fwmark 0x7 lookup 100"),
            SetSysctl("host", "net.ipv4.conf.all.rp_filter", "2"),
        ),
    ),
    Healthy(
        "untracked-and-stateless",
        OFFICES,
        (_ACROSS, _WEB),
        (
            iptables("r1", "-t raw -A PREROUTING -j NOTRACK"),
            iptables("r1", "-A FORWARD -m conntrack --ctstate UNTRACKED -j ACCEPT"),
            tool("r1", "iptables -P FORWARD DROP", "iptables -S", "-P FORWARD DROP"),
        ),
    ),
    Healthy(
        "three-rulesets-at-once",
        THE_TUTORIAL,
        (_OUT, ("trace", "red", "8.8.8.8:80"), ("trace", "c1", "8.8.8.8")),
        (
            iptables("host", "-A FORWARD -s 192.168.0.0/16 -j DROP", "iptables-legacy"),
            iptables("host", "-A FORWARD -d 192.168.0.0/16 -j REJECT --reject-with icmp-port-unreachable"),
            nft(
                "host",
                "add table inet fw; add chain inet fw pass { type filter hook forward priority 10; policy drop; };"
                " add rule inet fw pass ct state established,related accept; add rule inet fw pass iifname { br0, docker0 } accept",
                "policy drop",
            ),
        ),
    ),
    Healthy(
        "isolated-ports-reach-the-gateway",
        THE_TUTORIAL,
        (("trace", "c1", "8.8.8.8"), ("trace", "c2", "172.17.0.1"), ("arping", "c1", "172.17.0.1")),
        (port("host", C1_PORT, "isolated on", "isolated on"), port("host", C2_PORT, "isolated on", "isolated on")),
    ),
    Healthy(
        "small-mtu-and-fragments",
        OFFICES,
        ((*_ACROSS, "-s", "1472", "--no-df"), (*_ACROSS, "-s", "3000", "--no-df"), (*_ACROSS, "-s", "1372", "--df"), _WEB),
        (mtu("r1", "wan", 1400), mtu("r2", "wan", 1400)),
    ),
    Healthy(
        "two-legs-alive",
        TWO_UPLINKS,
        (("trace", "pc", "8.8.8.8"), ("trace", "pc", "8.8.8.8:80"), ("trace", "host", "8.8.8.8")),
        (
            SetSysctl("host", "net.ipv4.fib_multipath_hash_policy", "1"),
            tool(
                "host",
                "ip route replace default nexthop via 203.0.113.1 dev eth0 nexthop via 198.51.100.1 dev eth1",
                "ip route show default",
                "nexthop via 198.51.100.1 dev eth1",
            ),
            rule("host", "pref 1001 from 203.0.113.2 lookup 101"),
            tool("host", "ip route add default via 203.0.113.1 table 101", "ip route show table 101", "default via 203.0.113.1"),
        ),
    ),
    Healthy("one-address-in-two-places", ANYCAST, (("trace", "pc", "192.0.2.53"), ("trace", "pc", "192.0.2.53:53", "-p", "udp"))),
    Healthy("a-container-in-a-container", NESTED, (("trace", "inner", "8.8.8.8"), ("trace", "inner", "172.17.0.3:80"))),
    Healthy("vxlan-between-bridges", OVERLAY, (("trace", "pod1", "10.42.0.2"), ("arping", "pod1", "10.42.0.2"))),
    Healthy("vxlan-as-flannel-does-it", ROUTED_OVERLAY, (("trace", "pod1", "10.244.2.2"), ("trace", "node1", "10.244.2.2"))),
    Healthy(
        "macvlans-and-a-shim",
        HOME_LAN,
        (
            ("trace", "nas", "192.168.1.52"),
            ("trace", "nas", "192.168.1.1"),
            ("trace", "host", "192.168.1.51"),
            ("trace", "router", "192.168.1.52"),
        ),
    ),
    Healthy("pods-without-a-bridge", ROUTED_PODS, (("trace", "pod1", "10.65.0.3"),)),
    Healthy(
        "a-blackhole-for-the-rest",
        OFFICES,
        (_ACROSS, ("trace", "server", "10.1.0.10")),
        (route("r1", "blackhole 10.0.0.0/8"), route("r2", "unreachable 10.0.0.0/8"), route("pc", "prohibit 10.2.0.128/25")),
    ),
    Healthy(
        "a-limit-that-is-not-reached",
        OFFICES,
        ((*_ACROSS, "-c", "3", "-i", "20ms"),),
        (
            iptables("server", "-A INPUT -p icmp -m limit --limit 100/sec --limit-burst 100 -j ACCEPT"),
            iptables("server", "-A INPUT -p icmp -j DROP"),
        ),
    ),
    Healthy(
        "a-network-of-one-behind-a-bridge",
        THE_TUTORIAL,
        (("trace", "c1", "172.17.0.3"), ("trace", "c1", "172.17.0.3:80")),
        (
            address("c2", "eth0", "172.17.0.3/32"),
            no_address("c2", "eth0", "172.17.0.3/16"),
            tool("c2", "ip route replace default via 172.17.0.1 dev eth0 onlink", "ip route", "default via 172.17.0.1 dev eth0 onlink"),
        ),
    ),
    Healthy(
        "rules-and-sets-for-others",
        OFFICES,
        (_ACROSS, _WEB, ("trace", "pc", "fd00:2::10")),
        (
            nft(
                "r1",
                "add table inet fw; add set inet fw blocked { type ipv4_addr; flags interval; elements = { 10.1.0.11-10.1.0.99 }; };"
                " add chain inet fw pass { type filter hook forward priority 0; policy drop; };"
                " add rule inet fw pass ip saddr @blocked drop;"
                " add rule inet fw pass ct state vmap { invalid : drop, established : accept };"
                " add rule inet fw pass tcp dport != { 22, 443 } tcp flags syn accept;"
                " add rule inet fw pass meta l4proto { icmp, ipv6-icmp } accept",
                "@blocked",
            ),
        ),
    ),
    Healthy("the-loopback", THE_TUTORIAL, (("trace", "c1", "127.0.0.1"), ("trace", "c2", "172.17.0.3:80"), ("trace", "c1", "::1"))),
    Healthy(
        "a-hairpin-by-the-published-port",
        PUBLISHED,
        (("trace", "c2", "203.0.113.2:8080"), ("trace", "host", "203.0.113.2:8080"), ("trace", "red", "203.0.113.2:8080")),
    ),
)


@dataclass(frozen=True)
class Asked:
    """One question: what netprobe and `why` said, and how many packets a real program got answered of how many."""

    probe: tuple[str, ...]
    said: Done
    why: Done | None
    real: tuple[int, int]


def examine(case: Healthy) -> list[Asked]:
    """Every question asked cold. Only inside a private world of its own."""
    make(case.network.topology)
    for change in case.given:
        change.apply()
    wrong = [change.command for change in case.given if not change.holds()]
    assert not wrong, wrong
    return [_asked(probe, case.network.topology) for probe in case.probes]


def _asked(probe: tuple[str, ...], topology: Topology) -> Asked:
    why = ask(("why", *probe[1:])) if probe[0] == "trace" else None
    return Asked(probe, ask(probe, "--captures", "none"), why, answers(probe, topology))
