"""Neighbours: stations that do not answer, do not hear, or are remembered wrongly."""

from __future__ import annotations

from netprobe.lab.changes import SetSysctl
from netprobe.lab.tutorial import C2_PORT

from .fault import Expected, Fault
from .networks import ROUTED_PODS
from .steps import address, forgotten, gone, iptables, neighbour, nft, route, tool

_PEER = ("trace", "c1", "172.17.0.3")

NEIGHBOURS: tuple[Fault, ...] = (
    Fault(
        "c2-silent-to-arp",
        "c2 does not answer ARP for its own address: arp_ignore=8",
        ("arping", "c1", "c2"),
        (SetSysctl("c2", "net.ipv4.conf.eth0.arp_ignore", "8"),),
        Expected("arp-suppressed", "c2", "eth0", "request", "net.ipv4.conf.eth0.arp_ignore"),
    ),
    Fault(
        "old-mac-remembered",
        "c1 has a permanent neighbour entry with the MAC that c2 had before it was made anew",
        _PEER,
        (neighbour("c1", "eth0", "172.17.0.3", "02:42:ac:11:00:99"),),
        Expected("neigh-wrong-entry", "c1", "eth0", "request", "172.17.0.3 dev eth0 lladdr 02:42:ac:11:00:99"),
    ),
    Fault(
        "entry-with-the-mac-of-another",
        "c1 has a permanent entry for its gateway with c2's MAC",
        ("trace", "c1", "8.8.8.8"),
        (neighbour("c1", "eth0", "172.17.0.1", "02:42:ac:11:00:03"),),
        Expected("neigh-wrong-entry", "c1", "eth0", "request", "172.17.0.1 dev eth0 lladdr 02:42:ac:11:00:03"),
    ),
    Fault(
        "noarp",
        "ARP is switched off on c2's interface, as for a load balancer's loopback",
        _PEER,
        (
            tool("c2", "ip link set eth0 arp off", "ip link show eth0", "NOARP"),
            *forgotten(("c1", "eth0"), ("c2", "eth0"), ("host", "docker0")),
        ),
        Expected("arp-disabled", "c2", "eth0", "request", "eth0"),
    ),
    Fault(
        "nd-filtered-in-the-container",
        "c2's firewall drops ICMPv6, neighbour solicitations included",
        ("trace", "c1", "fd00:172:17::3"),
        (
            iptables("c2", "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j DROP", "ip6tables"),
            *forgotten(("c1", "eth0"), ("c2", "eth0"), ("host", "docker0"), version=6),
        ),
        Expected("nd-filtered", "c2", None, "request", "ip6tables filter INPUT 1"),
    ),
    Fault(
        "container-stopped",
        "c2 was stopped: its namespace and its port are gone, and nobody has its address",
        _PEER,
        (
            tool("host", "ip netns del c2", "ip netns list", "^c2", absent=True),
            gone("host", C2_PORT),
            *forgotten(("c1", "eth0"), ("host", "docker0")),
        ),
        Expected("neigh-no-answer", "c1", "eth0", "request", "172.17.0.3 dev eth0"),
    ),
    Fault(
        "host-remembers-old-mac",
        "the host has a permanent entry for red with the MAC of its predecessor: replies go to nobody",
        ("trace", "red", "8.8.8.8"),
        (neighbour("host", "br0", "10.0.0.2", "02:00:0a:00:00:77"),),
        Expected("neigh-wrong-entry", "host", "br0", "reply", "10.0.0.2 dev br0 lladdr 02:00:0a:00:00:77"),
    ),
    Fault(
        "old-mac-remembered-ipv6",
        "c1 has a permanent IPv6 neighbour entry with the MAC that c2 had before",
        ("trace", "c1", "fd00:172:17::3"),
        (neighbour("c1", "eth0", "fd00:172:17::3", "02:42:ac:11:00:99"),),
        Expected("neigh-wrong-entry", "c1", "eth0", "request", "fd00:172:17::3 dev eth0 lladdr 02:42:ac:11:00:99"),
    ),
    Fault(
        "gateway-silent-to-arp",
        "the host answers no ARP at all: net.ipv4.conf.all.arp_ignore=8",
        ("trace", "c1", "8.8.8.8"),
        (SetSysctl("host", "net.ipv4.conf.all.arp_ignore", "8"), *forgotten(("c1", "eth0"), ("c2", "eth0"), ("host", "docker0"))),
        Expected("arp-suppressed", "host", "docker0", "request", "net.ipv4.conf.all.arp_ignore"),
    ),
    Fault(
        "arptables-in-the-container",
        "c2's arptables drops what c1 asks",
        _PEER,
        (
            tool("c2", "arptables -A INPUT -s 172.17.0.2 -j DROP", "arptables -S", "-A INPUT -j DROP -s 172.17.0.2"),
            *forgotten(("c1", "eth0"), ("c2", "eth0"), ("host", "docker0")),
        ),
        Expected("arp-filtered", "c2", None, "request", "arptables filter INPUT 1"),
    ),
    Fault(
        "bridge-drops-arp",
        "an nft rule of the bridge family drops ARP that is forwarded from port to port",
        ("arping", "c1", "172.17.0.3"),
        (
            nft(
                "host",
                "add table bridge guard; add chain bridge guard pass { type filter hook forward priority 0; };"
                " add rule bridge guard pass ether type arp drop",
                "ether type arp drop",
            ),
        ),
        Expected("arp-filtered", "host", None, "request", "nft bridge guard pass handle 2", stage="bridge-forward"),
    ),
    Fault(
        "router-firewall-forgets-ipv6",
        "the host's input chain drops by policy and knows no neighbour discovery",
        ("trace", "c1", "2001:4860:4860::8888"),
        (
            nft(
                "host",
                "add table inet fw; add chain inet fw in { type filter hook input priority 0; policy drop; };"
                " add rule inet fw in ct state established,related accept",
                "policy drop",
            ),
            *forgotten(("c1", "eth0"), ("c2", "eth0"), ("host", "docker0"), version=6),
        ),
        Expected("nd-filtered", "host", None, "request", "nft inet fw in policy"),
    ),
    Fault(
        "proxy-arp-off-for-a-part",
        "a part of docker0's network lies behind the host, which no longer answers for it",
        ("trace", "c1", "172.17.5.5"),
        (SetSysctl("host", "net.ipv4.conf.docker0.proxy_arp", "0"), *forgotten(("c1", "eth0"), ("host", "docker0"))),
        Expected("proxy-arp-off", "host", "docker0", "request", "net.ipv4.conf.docker0.proxy_arp"),
        given=(
            address("internet", "lo", "172.17.5.5/32"),
            route("host", "172.17.5.5 via 203.0.113.1 dev eth0"),
            SetSysctl("host", "net.ipv4.conf.docker0.proxy_arp", "1"),
            SetSysctl("host", "net.ipv4.neigh.docker0.proxy_delay", "0"),
        ),
    ),
    Fault(
        "proxy-arp-off",
        "nobody answers for the pods' gateway 169.254.1.1 any more: proxy_arp is off",
        ("trace", "pod1", "10.65.0.3"),
        (SetSysctl("host", "net.ipv4.conf.cali1.proxy_arp", "0"), *forgotten(("pod1", "eth0"), ("host", "cali1"))),
        Expected("proxy-arp-off", "host", "cali1", "request", "net.ipv4.conf.cali1.proxy_arp"),
        ROUTED_PODS,
    ),
)
