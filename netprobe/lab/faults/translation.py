"""Translation and connection tracking: missing, wrong, bypassed or stale."""

from __future__ import annotations

from netprobe.lab.changes import StopMasquerading
from netprobe.lab.crafted import FillConnections

from .fault import Expected, Fault
from .networks import PUBLISHED
from .steps import address, iptables, nft, no_address, no_iptables, route, tool

_OUT = ("trace", "red", "8.8.8.8")
_RED_LEAVES = "-t nat -A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE"
_FROM_OUTSIDE = ("trace", "internet", "203.0.113.2:8080")
_HAIRPIN = "-t nat -A POSTROUTING -s 172.17.0.0/16 -d 172.17.0.3/32 -p tcp -m tcp --dport 80 -j MASQUERADE"
_PUBLISHED = "-t nat -A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.3:80"

TRANSLATION: tuple[Fault, ...] = (
    Fault(
        "no-masquerade",
        "the host no longer translates: 10.0.0.2 leaves as it is, and nobody knows the way back",
        _OUT,
        (StopMasquerading("host"),),
        Expected("nat-missing", "host", "eth0", "reply"),
    ),
    Fault(
        "docker-masquerade-gone",
        "Docker's rule for its network is gone; the one for a published port is still there",
        ("trace", "c1", "8.8.8.8"),
        (no_iptables("host", "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"),),
        Expected("nat-missing", "host", "eth0", "reply"),
        PUBLISHED,
    ),
    Fault(
        "masquerade-for-another-uplink",
        "the rule for red's network names docker0 as the way out, not eth0",
        _OUT,
        (
            no_iptables("host", _RED_LEAVES),
            iptables("host", "-t nat -A POSTROUTING -s 10.0.0.0/16 -o docker0 -j MASQUERADE"),
        ),
        Expected("nat-wrong-match", "host", "eth0", "reply", "iptables nat POSTROUTING 3"),
        PUBLISHED,
    ),
    Fault(
        "no-masquerade-for-red",
        "beside Docker's rules, the one that translated red's network is gone",
        _OUT,
        (no_iptables("host", _RED_LEAVES),),
        Expected("nat-missing", "host", "eth0", "reply"),
        PUBLISHED,
    ),
    Fault(
        "masquerade-for-another-network",
        "the rule that translates has the wrong network: 10.1.0.0/16",
        _OUT,
        (no_iptables("host", _RED_LEAVES), iptables("host", "-t nat -A POSTROUTING -s 10.1.0.0/16 -o eth0 -j MASQUERADE")),
        Expected("nat-wrong-match", "host", "eth0", "reply", "iptables nat POSTROUTING 3"),
        PUBLISHED,
    ),
    Fault(
        "masquerade-out-of-another-interface",
        "the nft rule translates what leaves by wlan0, as on the machine that it was copied from",
        _OUT,
        (
            nft(
                "host",
                "flush chain inet lab postrouting; add rule inet lab postrouting oifname wlan0 masquerade",
                'oifname "wlan0" masquerade',
            ),
        ),
        Expected("nat-wrong-match", "host", "eth0", "reply", "nft inet lab postrouting handle 4"),
    ),
    Fault(
        "snat-to-a-foreign-address",
        "SNAT gives packets the address 203.0.113.99, which the host does not have",
        _OUT,
        (iptables("host", "-t nat -I POSTROUTING -s 10.0.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.99"),),
        Expected("nat-wrong-address", "host", "eth0", "reply", "iptables nat POSTROUTING 1"),
        PUBLISHED,
    ),
    Fault(
        "requests-not-tracked",
        "a raw rule takes red's packets out of connection tracking, so they are not translated",
        _OUT,
        (iptables("host", "-t raw -A PREROUTING -i br0 -j NOTRACK"),),
        Expected("nat-bypassed", "host", None, "reply", "iptables raw PREROUTING 1"),
    ),
    Fault(
        "answers-not-tracked",
        "an nft rule takes the uplink out of connection tracking: answers are not translated back",
        _OUT,
        (
            nft(
                "host",
                "add table ip fast; add chain ip fast pre { type filter hook prerouting priority raw; };"
                " add rule ip fast pre iifname eth0 notrack",
                "notrack",
            ),
        ),
        Expected("nat-not-reversed", "host", None, "reply", "nft ip fast pre handle 2"),
    ),
    Fault(
        "only-port-is-taken",
        "red's connections get the single source port 40000, which another connection to that server has",
        ("trace", "red", "8.8.8.8:80"),
        (
            iptables("host", "-t nat -I POSTROUTING -s 10.0.0.0/16 -o eth0 -p tcp -j MASQUERADE --to-ports 40000"),
            tool(
                "host",
                "conntrack -I -p tcp -s 10.0.0.9 -d 8.8.8.8 --sport 40000 --dport 80 --reply-src 8.8.8.8 --reply-dst 203.0.113.2"
                " --reply-port-src 80 --reply-port-dst 40000 --state ESTABLISHED -u ASSURED,SEEN_REPLY --timeout 600",
                "conntrack -L -p tcp",
                "src=10.0.0.9 dst=8.8.8.8 sport=40000",
            ),
        ),
        Expected("nat-port-exhausted", "host", "eth0", "request", "iptables nat POSTROUTING 1"),
        PUBLISHED,
        foreseen=False,
    ),
    Fault(
        "proxy-is-dead",
        "web traffic is redirected to a proxy on port 3128 of the host, which does not run",
        ("trace", "red", "8.8.8.8:80"),
        (iptables("host", "-t nat -A PREROUTING -i br0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128"),),
        Expected("nat-redirect-dead", "host", None, "request", "iptables nat PREROUTING 1"),
    ),
    Fault(
        "published-for-another-address",
        "the rule of the published port is for 203.0.113.9, an address that the host had before",
        _FROM_OUTSIDE,
        (
            no_iptables("host", _PUBLISHED),
            iptables("host", _PUBLISHED.replace("-p tcp", "-d 203.0.113.9/32 -p tcp")),
        ),
        Expected("dnat-missing", "host", None, "request", "iptables nat DOCKER 2"),
        PUBLISHED,
    ),
    Fault(
        "published-port-not-for-the-host-itself",
        "the jump from OUTPUT to Docker's chain is gone: the host itself does not reach its published port",
        ("trace", "host", "203.0.113.2:8080"),
        (no_iptables("host", "-t nat -A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER"),),
        Expected("dnat-missing", "host", None, "request", "iptables nat DOCKER 1"),
        PUBLISHED,
    ),
    Fault(
        "published-container-got-another-address",
        "c2 was made anew and is 172.17.0.4 now; the published port still leads to 172.17.0.3",
        _FROM_OUTSIDE,
        (
            no_address("c2", "eth0", "172.17.0.3/16"),
            address("c2", "eth0", "172.17.0.4/16"),
            route("c2", "default via 172.17.0.1 dev eth0"),
        ),
        Expected("dnat-dead-target", "host", None, "request", "iptables nat DOCKER 1"),
        PUBLISHED,
    ),
    Fault(
        "published-to-the-wrong-port",
        "the published port leads to port 8000 of c2, where nothing listens",
        _FROM_OUTSIDE,
        (
            iptables("host", "-t nat -I DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.3:8000"),
            iptables("host", "-I DOCKER -d 172.17.0.3/32 -p tcp -m tcp --dport 8000 -j ACCEPT"),
        ),
        Expected("dnat-dead-target", "host", None, "request", "iptables nat DOCKER 1"),
        PUBLISHED,
    ),
    Fault(
        "no-hairpin",
        "c1 asks for c2 by the published port; without the hairpin rule c2 answers c1 directly",
        ("trace", "c1", "203.0.113.2:8080"),
        (no_iptables("host", _HAIRPIN),),
        Expected("nat-not-reversed", "host", None, "reply"),
        PUBLISHED,
    ),
    Fault(
        "no-hairpin-to-itself",
        "c2 asks for itself by the published port; without the hairpin rule its own address comes back to it",
        ("trace", "c2", "203.0.113.2:8080"),
        (no_iptables("host", _HAIRPIN),),
        Expected("hairpin-nat-missing", "host", None, "request"),
        PUBLISHED,
    ),
    Fault(
        "old-connection-remembered",
        "a UDP client keeps its port, and the host still translates it to the address c2 had before",
        ("trace", "internet", "203.0.113.2:5353", "-p", "udp", "--source-port", "5060"),
        (
            tool(
                "host",
                "sh -c 'conntrack -D -p udp --orig-port-src 5060; conntrack -I -p udp -s 203.0.113.1 -d 203.0.113.2 --sport 5060"
                " --dport 5353 --dst-nat 172.17.0.9:53 --timeout 600'",
                "conntrack -L -p udp",
                "sport=5060 dport=5353 .*src=172.17.0.9",
            ),
        ),
        Expected("stale-conntrack", "host", None, "request", "udp 203.0.113.1 203.0.113.2"),
        PUBLISHED,
    ),
    Fault(
        "invalid-is-dropped",
        "c2 answers by way of the host, which never saw the question and drops what belongs to no connection",
        ("trace", "c1", "172.17.0.3:80"),
        (iptables("host", "-A FORWARD -m conntrack --ctstate INVALID -j DROP"),),
        Expected("conntrack-invalid", "host", None, "reply", "iptables filter FORWARD 1", stage="forward"),
        given=(
            address("c2", "eth0", "172.17.0.3/32"),
            no_address("c2", "eth0", "172.17.0.3/16"),
            tool("c2", "ip route replace default via 172.17.0.1 dev eth0 onlink", "ip route", "default via 172.17.0.1 dev eth0 onlink"),
        ),
    ),
    Fault(
        "table-full",
        "the host's connection tracking table is full of connections that last",
        _OUT,
        (FillConnections("host"),),
        Expected("conntrack-full", "host", None, "request", "net.netfilter.nf_conntrack_max"),
        foreseen=False,  # entries come and go: only a packet tells whether there is room for it
    ),
)
