"""Filters: rules and policies that drop, always or sometimes."""

from __future__ import annotations

from netprobe.lab.changes import DropForwarded
from netprobe.lab.tutorial import C1_PORT, C2_PORT

from .fault import Expected, Fault
from .networks import OFFICES, OVERLAY, PUBLISHED
from .steps import forgotten, iptables, nft, tool

_OUT = ("trace", "red", "8.8.8.8")
_PEER = ("trace", "c1", "172.17.0.3")
_ACROSS = ("trace", "pc", "10.2.0.10")

_POLICIES: tuple[Fault, ...] = (
    Fault(
        "docker-drops-by-policy",
        "Docker was started: its FORWARD policy DROP also hits red, which is none of its containers",
        _OUT,
        (tool("host", "iptables -P FORWARD DROP", "iptables -S", "-P FORWARD DROP"),),
        Expected("policy-drop", "host", None, "request", "iptables filter FORWARD policy", stage="forward"),
    ),
    Fault(
        "legacy-drops-by-policy",
        "the old iptables-legacy has a policy DROP that `iptables -L` does not show",
        _OUT,
        (tool("host", "iptables-legacy -P FORWARD DROP", "iptables-legacy -S", "-P FORWARD DROP"),),
        Expected("policy-drop", "host", None, "request", "iptables-legacy filter FORWARD policy", stage="forward"),
    ),
    Fault(
        "nft-input-drops-by-policy",
        "the server's nft input chain drops by policy and knows ssh only",
        ("trace", "pc", "10.2.0.10:80"),
        (
            nft(
                "server",
                "add table inet fw; add chain inet fw in { type filter hook input priority 0; policy drop; };"
                " add rule inet fw in tcp dport 22 accept; add rule inet fw in ct state established,related accept",
                "policy drop",
            ),
        ),
        Expected("policy-drop", "server", None, "request", "nft inet fw in policy", stage="input"),
        OFFICES,
    ),
    Fault(
        "ip6tables-drops-by-policy",
        "r1's ip6tables drops by policy, its iptables does not",
        ("trace", "pc", "fd00:2::10"),
        (tool("r1", "ip6tables -P FORWARD DROP", "ip6tables -S", "-P FORWARD DROP"),),
        Expected("policy-drop", "r1", None, "request", "ip6tables filter FORWARD policy", stage="forward"),
        OFFICES,
    ),
)

_RULES: tuple[Fault, ...] = (
    Fault(
        "forward-drop",
        "a rule of the host drops what goes from br0 to eth0",
        _OUT,
        (DropForwarded("host", "br0", "eth0"),),
        Expected("filtered-by-rule", "host", None, "request", "nft inet lab forward handle 5", stage="forward"),
    ),
    Fault(
        "docker-user-drops",
        "somebody protected the published port in DOCKER-USER, and forgot that requests come by eth0",
        ("trace", "internet", "203.0.113.2:8080"),
        (iptables("host", "-I DOCKER-USER -i eth0 -j DROP"),),
        Expected("filtered-by-rule", "host", None, "request", "iptables filter DOCKER-USER 1", stage="forward"),
        PUBLISHED,
    ),
    Fault(
        "container-output-drops",
        "c1's own OUTPUT chain drops what goes to c2",
        _PEER,
        (iptables("c1", "-A OUTPUT -d 172.17.0.3/32 -j DROP"),),
        Expected("filtered-by-rule", "c1", None, "request", "iptables filter OUTPUT 1", stage="output"),
    ),
    Fault(
        "only-the-old-mac-may-leave",
        "red was made anew, and the host forwards what comes from its old MAC address only",
        _OUT,
        (iptables("host", "-A FORWARD -i br0 -m mac ! --mac-source 02:00:0a:00:00:77 -j DROP"),),
        Expected("filtered-by-rule", "host", None, "request", "iptables filter FORWARD 1", stage="forward"),
    ),
    Fault(
        "answers-dropped",
        "the host drops what comes back from 8.8.8.0/24",
        _OUT,
        (iptables("host", "-A FORWARD -s 8.8.8.0/24 -j DROP"),),
        Expected("filtered-by-rule", "host", None, "reply", "iptables filter FORWARD 1", stage="forward"),
    ),
    Fault(
        "legacy-input-drops",
        "c2 was set up with iptables-legacy, which drops ICMP",
        _PEER,
        (iptables("c2", "-A INPUT -p icmp -j DROP", "iptables-legacy"),),
        Expected("filtered-by-rule", "c2", None, "request", "iptables-legacy filter INPUT 1", stage="input"),
    ),
    Fault(
        "raw-table-drops",
        "a rule in the raw table of r2 drops the pc's network before anything else sees it",
        _ACROSS,
        (iptables("r2", "-t raw -A PREROUTING -s 10.1.0.0/24 -i wan -j DROP"),),
        Expected("filtered-by-rule", "r2", None, "request", "iptables raw PREROUTING 1", stage="prerouting"),
        OFFICES,
    ),
    Fault(
        "address-in-a-block-list",
        "the pc's network stands in the set of a block list on r1",
        _ACROSS,
        (
            nft(
                "r1",
                "add table inet fw; add set inet fw blocked { type ipv4_addr; flags interval; elements = { 10.1.0.0/28, 192.0.2.0/24 }; };"
                " add chain inet fw pass { type filter hook forward priority 0; }; add rule inet fw pass ip saddr @blocked counter drop",
                "ip saddr @blocked",
            ),
        ),
        Expected("filtered-by-rule", "r1", None, "request", "nft inet fw pass handle 3", stage="forward"),
        OFFICES,
    ),
    Fault(
        "verdict-map-drops",
        "a verdict map of r2 sends what comes in by wan into a chain that drops port 80",
        ("trace", "pc", "10.2.0.10:80"),
        (
            nft(
                "r2",
                "add table inet fw; add chain inet fw from_wan; add chain inet fw pass { type filter hook forward priority 0; };"
                " add rule inet fw from_wan tcp dport { 80, 443 } drop; add rule inet fw pass iifname vmap { wan : jump from_wan }",
                'vmap { "wan" : jump from_wan }',
            ),
        ),
        Expected("filtered-by-rule", "r2", None, "request", "nft inet fw from_wan handle 4", stage="forward"),
        OFFICES,
    ),
    Fault(
        "nft-ingress-drop",
        "an nft netdev chain on the uplink drops what 8.8.8.8 sends",
        _OUT,
        (
            nft(
                "host",
                "add table netdev guard; add chain netdev guard in { type filter hook ingress device eth0 priority 0; };"
                " add rule netdev guard in ip saddr 8.8.8.8 drop",
                "ip saddr 8.8.8.8 drop",
            ),
        ),
        Expected("filtered-by-rule", "host", "eth0", "reply", "nft netdev guard in handle 2", stage="ingress"),
    ),
    Fault(
        "nft-egress-drop",
        "an nft netdev chain drops what leaves the uplink for 8.8.8.8",
        _OUT,
        (
            nft(
                "host",
                "add table netdev guard; add chain netdev guard out { type filter hook egress device eth0 priority 0; };"
                " add rule netdev guard out ip daddr 8.8.8.8 drop",
                "ip daddr 8.8.8.8 drop",
            ),
        ),
        Expected("filtered-by-rule", "host", "eth0", "request", "nft netdev guard out handle 2", stage="egress"),
    ),
    Fault(
        "bridge-rule-drops",
        "an nft rule of the bridge family keeps c1 and c2 apart",
        _PEER,
        (
            nft(
                "host",
                "add table bridge guard; add chain bridge guard pass { type filter hook forward priority 0; };"
                f" add rule bridge guard pass iifname {C1_PORT} oifname {C2_PORT} ip protocol icmp drop",
                "ip protocol icmp drop",
            ),
        ),
        Expected("filtered-by-rule", "host", None, "request", "nft bridge guard pass handle 2", stage="bridge-forward"),
    ),
    Fault(
        "ebtables-drops",
        "ebtables drops IPv4 that leaves by c2's port",
        _PEER,
        (tool("host", f"ebtables -A FORWARD -p IPv4 -o {C2_PORT} -j DROP", "ebtables -L FORWARD", f"-p IPv4 -o {C2_PORT} -j DROP"),),
        Expected("filtered-by-rule", "host", None, "request", "ebtables filter FORWARD 1", stage="bridge-forward"),
    ),
    Fault(
        "bridged-packets-meet-iptables",
        "br_netfilter is on, so a FORWARD rule for routed packets also drops what passes from port to port",
        _PEER,
        (
            tool("host", "sysctl -w net.bridge.bridge-nf-call-iptables=1", "sysctl -n net.bridge.bridge-nf-call-iptables", "1"),
            iptables("host", "-A FORWARD -i docker0 -o docker0 -j DROP"),
        ),
        Expected("filtered-by-rule", "host", None, "request", "iptables filter FORWARD 1"),
    ),
    Fault(
        "tunnel-answers-filtered",
        "node2's firewall lets the tunnel in, and nothing of it out",
        ("trace", "pod1", "10.42.0.2"),
        (iptables("node2", "-A OUTPUT -p udp -m udp --dport 4789 -j DROP"), *forgotten(("pod1", "eth0"), ("pod2", "eth0"))),
        Expected("filtered-by-rule", "node2", None, "request", "iptables filter OUTPUT 1", stage="output"),
        OVERLAY,
    ),
    Fault(
        "tunnel-port-filtered",
        "node2's firewall does not know the tunnel: it drops UDP port 4789",
        ("trace", "pod1", "10.42.0.2"),
        (iptables("node2", "-A INPUT -p udp -m udp --dport 4789 -j DROP"),),
        Expected("filtered-by-rule", "node2", None, "request", "iptables filter INPUT 1", stage="input"),
        OVERLAY,
    ),
    Fault(
        "container-rejects",
        "c2's firewall rejects ICMP",
        _PEER,
        (iptables("c2", "-A INPUT -p icmp -j REJECT --reject-with icmp-port-unreachable"),),
        Expected("rejected-by-rule", "c2", None, "request", "iptables filter INPUT 1", stage="input"),
    ),
    Fault(
        "router-rejects-prohibited",
        "r1's nft ruleset rejects the pc with `administratively prohibited`",
        _ACROSS,
        (
            nft(
                "r1",
                "add table inet fw; add chain inet fw pass { type filter hook forward priority 0; };"
                " add rule inet fw pass ip saddr 10.1.0.10 reject with icmpx admin-prohibited",
                "reject with icmpx admin-prohibited",
            ),
        ),
        Expected("rejected-by-rule", "r1", None, "request", "nft inet fw pass handle 2", stage="forward"),
        OFFICES,
    ),
    Fault(
        "rejected-with-a-reset",
        "r2 answers connections to port 80 with a TCP reset in the server's name",
        ("trace", "pc", "10.2.0.10:80"),
        (iptables("r2", "-A FORWARD -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset"),),
        Expected("rejected-by-rule", "r2", None, "request", "iptables filter FORWARD 1", stage="forward"),
        OFFICES,
    ),
    Fault(
        "rejected-ipv6",
        "the server's ip6tables rejects ICMPv6 echo requests",
        ("trace", "pc", "fd00:2::10"),
        (iptables("server", "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j REJECT --reject-with icmp6-adm-prohibited", "ip6tables"),),
        Expected("rejected-by-rule", "server", None, "request", "ip6tables filter INPUT 1", stage="input"),
        OFFICES,
    ),
)

_SOMETIMES: tuple[Fault, ...] = (
    Fault(
        "too-many-connections",
        "the host resets connections to port 80 above none at a time, in the server's name",
        (*_OUT[:2], "8.8.8.8:80"),
        (
            iptables(
                "host",
                "-A FORWARD -p tcp -m tcp --dport 80 -m connlimit --connlimit-above 0 --connlimit-mask 0 -j REJECT --reject-with tcp-reset",
                listed="-A FORWARD -p tcp -m tcp --dport 80 -m connlimit --connlimit-above 0 --connlimit-mask 0",
            ),
        ),
        Expected("rate-limited", "host", None, "request", "iptables filter FORWARD 1", stage="forward"),
        foreseen=False,
    ),
    Fault(
        "too-many-pings",
        "the server accepts two echo requests and then one a minute",
        (*_ACROSS, "-c", "6", "-i", "20ms"),
        (
            iptables("server", "-A INPUT -p icmp -m limit --limit 1/min --limit-burst 2 -j ACCEPT"),
            iptables("server", "-A INPUT -p icmp -j DROP"),
        ),
        Expected("rate-limited", "server", None, None, "iptables filter INPUT 1", "intermittent", "input"),
        OFFICES,
        foreseen=False,
    ),
    Fault(
        "nft-limit-over",
        "an nft rule of r1 drops ICMP over one a minute",
        (*_ACROSS, "-c", "8", "-i", "20ms"),
        (
            nft(
                "r1",
                "add table inet fw; add chain inet fw pass { type filter hook forward priority 0; };"
                " add rule inet fw pass ip protocol icmp limit rate over 1/minute burst 3 packets drop",
                "limit rate over 1/minute",
            ),
        ),
        Expected("rate-limited", "r1", None, None, "nft inet fw pass handle 2", "intermittent", "forward"),
        OFFICES,
        foreseen=False,
    ),
    Fault(
        "half-is-lost",
        "a rule of r2 drops every second packet for the server, left over from a test",
        (*_ACROSS, "-c", "6", "-i", "20ms"),
        (iptables("r2", "-A FORWARD -d 10.2.0.10/32 -m statistic --mode nth --every 2 --packet 0 -j DROP"),),
        Expected("random-drop", "r2", None, None, "iptables filter FORWARD 1", "intermittent", "forward"),
        OFFICES,
        foreseen=False,
    ),
    Fault(
        "nft-numgen-drops",
        "an nft rule of r2 drops by numgen",
        (*_ACROSS, "-c", "6", "-i", "20ms"),
        (
            nft(
                "r2",
                "add table inet fw; add chain inet fw pass { type filter hook forward priority 0; };"
                " add rule inet fw pass ip saddr 10.1.0.10 numgen inc mod 2 == 0 drop",
                "numgen inc mod 2",
            ),
        ),
        Expected("random-drop", "r2", None, None, "nft inet fw pass handle 2", "intermittent", "forward"),
        OFFICES,
        foreseen=False,
    ),
)

FILTERS: tuple[Fault, ...] = (*_POLICIES, *_RULES, *_SOMETIMES)
