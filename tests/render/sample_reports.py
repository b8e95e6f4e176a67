"""Reports written by hand, one for each thing a renderer has to say. Literal values: what a reader sees is decided here."""

from commands import typed
from msgspec.structs import replace

from netprobe.model import (
    ECHO_REPLY,
    ECHO_REQUEST,
    Agreement,
    Answer,
    Blind,
    Cause,
    Change,
    Command,
    Confidence,
    Endpoint,
    Evidence,
    Flow,
    Hop,
    IcmpError,
    Leg,
    Object,
    Paths,
    Place,
    Probe,
    Protocol,
    Report,
    Source,
    Stage,
    Timings,
    Verdict,
)

RED = Endpoint("red", "red", "eth0", "10.0.0.2")
GOOGLE = Endpoint("8.8.8.8", None, None, "8.8.8.8")
PROBE = Probe(Protocol.ICMP, "6e70-1f2e", RED, GOOGLE, icmp_id=4711)
RED_MAC, BRIDGE_MAC, HOST_MAC, ROUTER_MAC = "5e:0c:11:aa:00:02", "8e:dd:e1:7e:db:2e", "02:42:ac:10:00:02", "02:42:ac:10:00:01"

INSIDE = Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP, icmp_id=4711, icmp_type=ECHO_REQUEST, ttl=64, length=84,
              src_mac=RED_MAC, dst_mac=BRIDGE_MAC)  # fmt: skip
OUTSIDE = replace(INSIDE, src="172.16.0.2", ttl=63, src_mac=HOST_MAC, dst_mac=ROUTER_MAC)
BACK_OUTSIDE = Flow("8.8.8.8", "172.16.0.2", Protocol.ICMP, icmp_id=4711, icmp_type=ECHO_REPLY, ttl=64, length=84,
                    src_mac=ROUTER_MAC, dst_mac=HOST_MAC)  # fmt: skip
BACK_INSIDE = replace(BACK_OUTSIDE, dst="10.0.0.2", ttl=63, src_mac=BRIDGE_MAC, dst_mac=RED_MAC)

MASQUERADE = Object("nat-rule", "iptables nat POSTROUTING 1", "-A POSTROUTING -s 10.0.0.0/16 ! -o br0 -j MASQUERADE")
DEFAULT = Object("route", "default via 10.0.0.1 dev eth0 onlink", "default via 10.0.0.1 dev eth0 onlink")
PORT = Object("bridge-port", "veth0 of br0", "veth0: state forwarding")


def hop(n: int, namespace: str, interface: str | None, stage: Stage, flow: Flow, time: int | None, note: str = "", **more: object) -> Hop:
    seen = None if interface is None else True
    values: dict[str, object] = {"observed": seen, "time_ns": None if time is None else time * 1000, "note": note, **more}
    return Hop(n, namespace, interface, stage, flow, **values)  # type: ignore[arg-type]


REQUEST = (
    hop(1, "red", "eth0", Stage.TRANSMIT, INSIDE, 0, f"via 10.0.0.1, neighbour {BRIDGE_MAC} (default route)", object=DEFAULT, bound="out"),
    hop(2, "host", "veth0", Stage.RECEIVE, INSIDE, 9, "port of br0, forwarding", object=PORT, bound="in"),
    hop(3, "host", "br0", Stage.BRIDGE_INPUT, INSIDE, 14, "frame is for br0's own MAC", bound="in"),
    hop(4, "host", None, Stage.FORWARD, replace(INSIDE, ttl=63), None, "to eth0 via 172.16.0.1; ip_forward=1; filter FORWARD policy accept",
        changes=(Change("ttl", "64", "63", "forward"),)),
    hop(5, "host", None, Stage.POSTROUTING, replace(OUTSIDE, src_mac=None, dst_mac=None), None, object=MASQUERADE,
        changes=(Change("src", "10.0.0.2", "172.16.0.2", "MASQUERADE"),)),
    hop(6, "host", "eth0", Stage.TRANSMIT, OUTSIDE, 36, f"to 172.16.0.1, neighbour {ROUTER_MAC}", bound="out"),
)  # fmt: skip
REPLY = (
    hop(1, "host", "eth0", Stage.RECEIVE, BACK_OUTSIDE, 148, "from 172.16.0.1", bound="in"),
    hop(2, "host", None, Stage.PREROUTING, replace(BACK_OUTSIDE, dst="10.0.0.2"), None, "conntrack entry of the request",
        changes=(Change("dst", "172.16.0.2", "10.0.0.2", "conntrack"),)),
    hop(3, "host", None, Stage.FORWARD, BACK_INSIDE, None, "to br0; filter FORWARD policy accept",
        changes=(Change("ttl", "64", "63", "forward"),)),
    hop(4, "host", "br0", Stage.BRIDGE_OUTPUT, BACK_INSIDE, 171, f"neighbour {RED_MAC} behind port veth0", bound="out"),
    hop(5, "host", "veth0", Stage.TRANSMIT, BACK_INSIDE, 177, "port of br0, forwarding", object=PORT, bound="out"),
    hop(6, "red", "eth0", Stage.RECEIVE, BACK_INSIDE, 190, bound="in"),
    hop(7, "red", None, Stage.DELIVER, BACK_INSIDE, None, "to the ping socket"),
)  # fmt: skip

HEALTHY = Report(
    "trace", PROBE, Verdict.REACHABLE, "red reaches 8.8.8.8", sent=1, received=1, rtt_ns=(214_000,), path=Paths(REQUEST, REPLY),
    agreement=Agreement.CONFIRMED, capture="captures/red-8.8.8.8.pcapng",
    timings=Timings(31_000_000, 2_400_000, 44_000_000, 800_000, 12_000_000),
)  # fmt: skip


def cut(path: tuple[Hop, ...], last: int) -> tuple[Hop, ...]:
    """The path as observed when the packet dies behind hop number `last`."""
    return path[:last] + tuple(replace(h, observed=None if h.observed is None else False, time_ns=None) for h in path[last:])


FORWARD = Place("host", None, Stage.FORWARD)
BAD_SET = Object("rule", "nft inet filter FORWARD handle 12", "ip daddr @bad counter packets 1 bytes 84 drop")
DROPPED = Cause(
    "filtered-by-rule", FORWARD, "a firewall rule in the host namespace drops the packet", BAD_SET,
    (Evidence(Source.MODEL, "set @bad holds 8.8.8.0/24, which matches the destination 8.8.8.8"),
     Evidence(Source.WITNESS, "NETFILTER_DROP in nft_do_chain, br0 → eth0, 24 µs after sending", Confidence.OBSERVED),
     Evidence(Source.COUNTER, "the rule's counter went from 0 to 1", Confidence.OBSERVED)),
    Confidence.CORROBORATED, commands=(typed("nft delete element inet filter bad '{ 8.8.8.0/24 }'"),),
)  # fmt: skip
NO_NAT = Cause(
    "nat-missing", Place("host", None, Stage.POSTROUTING), "the source 10.0.0.2 would leave eth0 untranslated", None,
    (), Confidence.INFERRED, commands=(typed("iptables -t nat -A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE"),),
)  # fmt: skip
FORWARD_DROP = replace(
    HEALTHY, verdict=Verdict.UNREACHABLE, direction=Leg.REQUEST, summary="a firewall rule in host drops the request", received=0, rtt_ns=(),
    path=Paths(cut(REQUEST, 3)), causes=(DROPPED,), blockers=(NO_NAT,),
)  # fmt: skip

NOT_A_PORT = Cause(
    "port-not-in-bridge", Place("host", "veth0", Stage.BRIDGE), "veth0 is in no bridge, so br0 cannot send to it",
    Object("bridge-port", "veth0", "veth0: no master"),
    (Evidence(Source.MODEL, "10.0.0.2 is routed to br0, whose ports are none"),
     Evidence(Source.TAP, "the reply was seen on host/br0 and not on host/veth0", Confidence.OBSERVED)),
    Confidence.CORROBORATED, commands=(typed("ip link set dev veth0 master br0"),),
)  # fmt: skip
SYMPTOM = Cause("neigh-no-answer", Place("host", "br0", Stage.NEIGHBOUR), "nobody answers for 10.0.0.2 on br0", because=NOT_A_PORT)
REPLY_LOST = replace(
    HEALTHY, verdict=Verdict.UNREACHABLE, direction=Leg.REPLY, summary="the reply is lost between br0 and veth0", received=0, rtt_ns=(),
    path=Paths(REQUEST, cut(REPLY, 4)), causes=(NOT_A_PORT, SYMPTOM),
)  # fmt: skip

NO_ROUTE = replace(
    HEALTHY, verdict=Verdict.UNREACHABLE, direction=Leg.REQUEST, summary="red has no route to 8.8.8.8", sent=0, received=0, rtt_ns=(),
    path=Paths((hop(1, "red", None, Stage.ROUTE, INSIDE, None, "no route to 8.8.8.8 (connect: ENETUNREACH)"),)),
    causes=(Cause(
        "no-route", Place("red", None, Stage.ROUTE), "red has no route to 8.8.8.8", Object("route", "default", ""),
        (Evidence(Source.MODEL, "table main holds 10.0.0.0/16 dev eth0 alone"),
         Evidence(Source.SOCKET, "sendto: ENETUNREACH (Network is unreachable)", Confidence.OBSERVED)),
        Confidence.OBSERVED, commands=(typed("ip route add default via 10.0.0.1 dev eth0 onlink"),)),),
    capture=None,
)  # fmt: skip

UNDETERMINED = replace(
    HEALTHY, verdict=Verdict.UNDETERMINED, summary="lost in host between br0 and eth0; the ruleset that decides there could not be read",
    received=0, rtt_ns=(), path=Paths(cut(REQUEST, 3)), agreement=Agreement.OBSERVED_ONLY,
    blind=(Blind("ruleset of host", "needs CAP_NET_ADMIN"), Blind("namespace internet", "excluded by --exclude")),
)  # fmt: skip

RATE = Cause(
    "rate-limited", FORWARD, "a limit lets 10 packets a second through and drops the others",
    Object("rule", "iptables filter FORWARD 3", "-A FORWARD -p icmp -m limit --limit 10/sec -j ACCEPT"),
    (Evidence(Source.TAP, "30 requests on host/br0, 17 on host/eth0", Confidence.OBSERVED),), Confidence.CORROBORATED,
    commands=(typed("iptables -D FORWARD 3"),),
)  # fmt: skip
INTERMITTENT = replace(
    HEALTHY, probe=replace(PROBE, count=30), verdict=Verdict.INTERMITTENT, direction=Leg.REQUEST, summary="17 of 30 answered", sent=30,
    received=17, rtt_ns=tuple(range(201_000, 218_000, 1000)), causes=(RATE,),
)  # fmt: skip

C1, C2 = Endpoint("c1", "c1", "eth0", "172.17.0.2"), Endpoint("c2", "c2", "eth0", "172.17.0.3")
C1_MAC, C2_MAC, C3_MAC = "02:42:ac:11:00:02", "02:42:ac:11:00:03", "02:42:ac:11:00:63"
ASK = Flow("172.17.0.2", "172.17.0.3", Protocol.ARP, icmp_type=1, src_mac=C1_MAC, dst_mac="ff:ff:ff:ff:ff:ff")
TELL = replace(ASK.reversed(), src_mac=C2_MAC, dst_mac=C1_MAC)
ARPING_PATHS = Paths(
    (hop(1, "c1", "eth0", Stage.TRANSMIT, ASK, 0, "broadcast: who has 172.17.0.3?", bound="out"),
     hop(2, "host", "veth1", Stage.RECEIVE, ASK, 7, "port of docker0, forwarding (c1)", bound="in"),
     hop(3, "host", "veth2", Stage.TRANSMIT, ASK, 12, "port of docker0, forwarding (c2)", bound="out"),
     hop(4, "c2", "eth0", Stage.RECEIVE, ASK, 16, "owns 172.17.0.3", bound="in")),
    (hop(1, "c2", "eth0", Stage.TRANSMIT, TELL, 21, bound="out"), hop(2, "host", "veth2", Stage.RECEIVE, TELL, 24, bound="in"),
     hop(3, "host", "veth1", Stage.TRANSMIT, TELL, 28, bound="out"), hop(4, "c1", "eth0", Stage.RECEIVE, TELL, 31, bound="in")),
)  # fmt: skip
ARPING = Report(
    "arping", Probe(Protocol.ARP, "arp", C1, C2), Verdict.REACHABLE, "c2 answers for 172.17.0.3, and so does another station", sent=1,
    received=1, rtt_ns=(33_000,), path=ARPING_PATHS, agreement=Agreement.CONFIRMED,
    answers=(Answer(0, "172.17.0.3", C2_MAC, 33_000, False),
             Answer(0, "172.17.0.3", C3_MAC, 58_000, False, "second station for one address: duplicate address, see c3/eth0")),
    notes=("2 answers to 1 request: 172.17.0.3 is claimed by two stations",), capture="captures/c1-c2.pcapng",
)  # fmt: skip

SIX = Flow("fd00::2", "2001:4860:4860::8888", Protocol.ICMPV6, icmp_id=7, icmp_type=128, ttl=64, src_mac=RED_MAC, dst_mac=BRIDGE_MAC)
IPV6 = Report(
    "trace", Probe(Protocol.ICMPV6, "six", replace(RED, address="fd00::2"), Endpoint("example.org", None, None, "2001:4860:4860::8888")),
    Verdict.UNREACHABLE, "host rejects the request", direction=Leg.REQUEST, sent=1, received=0, path=Paths((
        hop(1, "red", "eth0", Stage.TRANSMIT, SIX, 0, f"via fd00::1, neighbour {BRIDGE_MAC} (default route)", bound="out"),
        hop(2, "host", "veth0", Stage.RECEIVE, SIX, 11, "port of br0, forwarding", bound="in"),
        hop(3, "host", "br0", Stage.BRIDGE_INPUT, SIX, 15, bound="in"),
        hop(4, "host", None, Stage.FORWARD, SIX, None, "rejected by ip6tables filter FORWARD 2"),
        hop(5, "host", "eth0", Stage.TRANSMIT, replace(SIX, ttl=63), None, observed=False, bound="out"),
    )),
    causes=(Cause(
        "rejected-by-rule", FORWARD, "a firewall rule in the host namespace rejects the packet",
        Object("rule", "ip6tables filter FORWARD 2", "-A FORWARD -i br0 -j REJECT --reject-with icmp6-adm-prohibited", "docker"),
        (Evidence(Source.ICMP, "fd00::1: administratively prohibited", Confidence.OBSERVED),),
        Confidence.OBSERVED, commands=(typed("ip6tables -D FORWARD 2"),)),),
    agreement=Agreement.CONFIRMED, errors=(IcmpError("fd00::1", 1, 1),),
)  # fmt: skip

SYN = Flow("172.17.0.2", "172.17.0.3", Protocol.TCP, sport=40001, dport=80, ttl=64, src_mac=C1_MAC, dst_mac=C2_MAC)
RST = SYN.reversed()
TCP_CLOSED = Report(
    "trace", Probe(Protocol.TCP, "tcp", C1, replace(C2, endpoint="c2:80", port=80)), Verdict.UNREACHABLE, "c2 has no listener on port 80",
    direction=Leg.REQUEST, sent=1, received=0, path=Paths(
        (hop(1, "c1", "eth0", Stage.TRANSMIT, SYN, 0, "on-link, neighbour " + C2_MAC, bound="out"),
         hop(2, "host", "veth1", Stage.RECEIVE, SYN, 8, "port of docker0, forwarding (c1)", bound="in"),
         hop(3, "host", "veth2", Stage.TRANSMIT, SYN, 13, "port of docker0, forwarding (c2)", bound="out"),
         hop(4, "c2", "eth0", Stage.RECEIVE, SYN, 17, bound="in"),
         hop(5, "c2", None, Stage.DELIVER, SYN, None, "no listener on port 80; the kernel answers RST")),
        (hop(1, "c2", "eth0", Stage.TRANSMIT, RST, 24, "RST", bound="out"), hop(2, "host", "veth2", Stage.RECEIVE, RST, 27, bound="in"),
         hop(3, "host", "veth1", Stage.TRANSMIT, RST, 31, bound="out"), hop(4, "c1", "eth0", Stage.RECEIVE, RST, 35, "RST", bound="in"))),
    causes=(Cause(
        "port-closed", Place("c2", None, Stage.DELIVER), "nothing listens on TCP port 80 in c2", Object("socket", "tcp 0.0.0.0:80"),
        (Evidence(Source.TAP, "RST from 172.17.0.3 itself, 35 µs after the SYN", Confidence.OBSERVED),
         Evidence(Source.MODEL, "listeners in c2: tcp 127.0.0.1:8080")),
        Confidence.CORROBORATED, commands=(Command.of("ss", "-lntp", note="what listens there, and where"),),
        advice="start the service, or ask for a port that it listens on"),),
    agreement=Agreement.CONFIRMED, capture="captures/c1-c2.pcapng",
)  # fmt: skip

EVIL = "red\x1b[2J\x1b]0;owned\x07"
HOSTILE = replace(
    NO_ROUTE, probe=replace(PROBE, source=replace(RED, endpoint=EVIL, namespace=EVIL)), summary="x\r\nok 0 ms",
    path=Paths((hop(1, EVIL, "e\u202eth\u200b0", Stage.TRANSMIT, INSIDE, 0, "by rule \x9b31m \ud800 \udcff\ttab", bound="out"),
                hop(2, "名前空間", "インタ", Stage.RECEIVE, INSIDE, 5, "wide and e\u0301\u0301\u0301", bound="in"),
                hop(3, "[red]bold[/red]", "1e5", Stage.TRANSMIT, INSIDE, None, "--help", observed=False, bound="out"))),
    causes=(Cause(
        "filtered-by-rule", Place("[red]bold[/red]", "1e5", Stage.TRANSMIT), "dropped by \x1b[32m✓ all is well\x1b[0m",
        Object("rule", "nft ip \u202efilter", 'comment "a\nb\x1b[A"', "doc\x00ker"), (),
        Confidence.OBSERVED, commands=(
            Command.of("ip", "link", "set", "dev", "e\x1bth0", "up"),
            Command.of("ip", "link", "set", "dev", "e;id>pwn", "master", "größe", namespace="a\nreboot"),
            Command.of("iptables", "-D", "$(id)\u202e\udcff", "1", namespace="`id`"))),),
    blind=(Blind("netns \udcfe\udcff", "\x07bell"),), capture="captures/red\x1b.pcapng",
)  # fmt: skip

WHY = replace(
    FORWARD_DROP, command="why", sent=0, agreement=Agreement.PREDICTED_ONLY, capture=None,
    path=Paths((*(replace(h, observed=None, time_ns=None) for h in REQUEST[:3]),
                replace(REQUEST[3], time_ns=None, changes=(), note="dropped by nft inet filter FORWARD handle 12"),)),
    causes=(replace(DROPPED, evidence=DROPPED.evidence[:1], confidence=Confidence.INFERRED),),
)  # fmt: skip
WHY_OK = replace(
    HEALTHY, command="why", sent=0, received=0, rtt_ns=(), agreement=Agreement.PREDICTED_ONLY, capture=None,
    path=Paths(*(tuple(replace(h, observed=None, time_ns=None) for h in path) for path in (REQUEST, REPLY))),
)  # fmt: skip

DISAGREE = replace(
    HEALTHY, agreement=Agreement.DISAGREE,
    path=Paths((*REQUEST[:5], replace(REQUEST[5], observed=False, time_ns=None),
                hop(7, "host", "eth1", Stage.TRANSMIT, OUTSIDE, 38, predicted=False, bound="out")), REPLY),
)  # fmt: skip

UNTRANSLATED = replace(REQUEST[5], n=5, flow=replace(OUTSIDE, src="10.0.0.2"))
NAT_MISSING = replace(
    HEALTHY, verdict=Verdict.UNREACHABLE, direction=Leg.REPLY, summary=NO_NAT.summary, received=0, rtt_ns=(),
    path=Paths((*REQUEST[:4], UNTRANSLATED, hop(6, "internet", "eth0", Stage.RECEIVE, UNTRANSLATED.flow, 41, bound="in"))),
    causes=(replace(NO_NAT, place=Place("host", "eth0", Stage.POSTROUTING),
                    commands=(typed("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE"),),
                    evidence=(Evidence(Source.MODEL, NO_NAT.summary), Evidence(Source.MODEL, "internet has no route to 10.0.0.2"))),),
)  # fmt: skip

REFUTED = replace(HEALTHY, agreement=Agreement.DISAGREE, path=Paths(REQUEST))

ALL = {
    "healthy": HEALTHY,
    "forward-drop": FORWARD_DROP,
    "reply-lost": REPLY_LOST,
    "no-route": NO_ROUTE,
    "undetermined": UNDETERMINED,
    "intermittent": INTERMITTENT,
    "arping": ARPING,
    "ipv6-rejected": IPV6,
    "tcp-closed": TCP_CLOSED,
    "hostile": HOSTILE,
    "why": WHY,
    "why-ok": WHY_OK,
    "disagree": DISAGREE,
    "nat-missing": NAT_MISSING,
    "refuted": REFUTED,
}
