"""The kernel as the judge of single matches: one rule a match, all in one chain, and a few packets of every kind through it.

Runs inside the lab's process (`lab.call`). A bridge of `host` joins near and far; out0 leads on, for what is routed.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kernel_oracle import restore, rule_named, settled, told
from msgspec.structs import replace

from netprobe.lab.topology import Interface, LabBridge, LabNeighbour, Sysctl, Topology, Veth
from netprobe.linux import netns
from netprobe.linux.netfilter.read import read_ruleset
from netprobe.model import MSS, Flow, Link, Protocol
from netprobe.rules import FibAnswer, FibQuery, HookPacket, HookVerdict, Surroundings, entry_of, traverse
from netprobe.rules.packet import Listening

NEAR, FAR, BRIDGE, AWAY, OUT = (f"02:00:00:00:00:0{n}" for n in range(1, 6))
ALL = "ff:ff:ff:ff:ff:ff"
PLACES = ("host", "near", "far", "away")
TOPOLOGY = Topology(
    ("near", "far", "away"),
    (
        LabBridge(Interface("host", "br0", ("10.1.0.1/16", "fd00:1::1/64"), mac=BRIDGE)),
        Veth(Interface("host", "p1", master="br0"), Interface("near", "eth0", mac=NEAR)),
        Veth(Interface("host", "p2", master="br0"), Interface("far", "eth0", mac=FAR)),
        Veth(Interface("host", "out0", ("10.2.0.1/16", "fd00:2::1/64"), mac=OUT), Interface("away", "eth0", mac=AWAY)),
    ),
    neighbours=(LabNeighbour("host", "out0", "fd00:2::9", AWAY), LabNeighbour("host", "out0", "10.2.0.9", AWAY)),
    sysctls=(
        *(Sysctl(place, "net.ipv6.conf.all.disable_ipv6", "1") for place in ("near", "far", "away")),
        Sysctl("host", "net.ipv6.conf.all.forwarding", "1"), Sysctl("host", "net.ipv4.ip_forward", "1"),
        Sysctl("host", "net.ipv4.conf.all.rp_filter", "0"), Sysctl("host", "net.ipv4.conf.br0.rp_filter", "0"),
    ),
)  # fmt: skip
STRANGER = "fd00:9::2"  # no route leads there
BR0, P1, P2, OUT0 = Link(1, "br0", "bridge", BRIDGE), Link(2, "p1", "veth"), Link(3, "p2", "veth"), Link(4, "out0", "veth", OUT)

LINK_LAYER = """
ether type ip | ether type arp | ether type ip6 | ether type vlan | ether type != ip | ether saddr NEAR | ether saddr != NEAR
ether daddr FAR | ether daddr ALL | ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 | meta protocol ip | meta protocol arp
meta protocol ip6 | ip saddr 10.1.0.2 | ip saddr != 10.1.0.2 | ip daddr 10.1.0.0/24 | ip daddr { 10.1.0.3, 10.2.0.9 }
ip protocol udp | ip protocol != udp | udp dport 53 | udp dport != 53 | tcp dport 80 | tcp flags syn | icmp type echo-request
icmpv6 type nd-neighbor-solicit | ip6 saddr fd00::/16 | ip6 nexthdr udp | meta l4proto udp | meta l4proto { tcp, icmp }
arp operation request | arp operation != request | arp operation reply | arp htype 1 | arp saddr ip 10.1.0.2 | arp daddr ip 10.1.0.9
arp daddr ip 10.1.0.0/24 | arp saddr ether NEAR | arp daddr ether 00:00:00:00:00:00 | vlan id 5 | vlan id != 5 | ip ttl 64 | ip ttl < 10
ip6 hoplimit 64 | ip dscp cs1 | ip ecn ect1 | ip ecn != ect1
ip length < 60 | meta mark 0 | meta pkttype broadcast | meta pkttype host | meta pkttype other
meta pkttype multicast | ip frag-off & 0x1fff != 0 | ether type . ether saddr { ip . NEAR, arp . FAR } | meta nfproto ipv4
"""
ARP = "".join(f"{match.strip()} | " for match in LINK_LAYER.replace("\n", "|").split("|") if "arp" in match)
NETWORK6 = """
ip6 saddr fd00:1::2 | ip6 saddr != fd00:1::2 | ip6 daddr fd00:2::/64 | ip6 daddr { fd00:1::1, fd00:2::9 } | ip6 nexthdr udp
ip6 nexthdr { tcp, ipv6-icmp } | ip6 hoplimit 64 | ip6 hoplimit 63 | ip6 hoplimit > 63 | ip6 dscp cs1 | ip6 dscp != cs1
ip6 ecn ect1 | ip6 ecn not-ect | ip saddr 10.1.0.2
meta l4proto ipv6-icmp | meta l4proto != tcp | tcp dport 80 | tcp sport >= 1000 | udp dport { 53, 80-90 } | udp sport != 53 | tcp flags syn
icmpv6 type echo-request | icmpv6 type { nd-neighbor-solicit, echo-request } | icmpv6 code 0 | ct state new | ct state != new
ct original ip6 daddr fd00:2::9 | ct direction original | ct protocol tcp | fib daddr type local | fib daddr type unicast
fib saddr . iif oif missing | fib saddr . iif oif exists | fib saddr type unicast | meta nfproto ipv6 | meta protocol ip6
meta length < 100
sctp dport 80 | dccp sport != 5 | esp spi != 5 | ah spi 5 | comp cpi 5 | tcp option maxseg size 1440
tcp option maxseg size 1000-1200 | tcp option maxseg exists | tcp option maxseg missing | tcp option fastopen exists
rt type 0 | rt type != 0 | exthdr hbh exists
exthdr mh missing | tcp option maxseg size != 536-1460 | ip option lsrr exists
exthdr frag exists | exthdr frag missing | iifname "br*" | iifname p1 | oifname out0 | oifname "" | meta iifkind bridge | meta mark 0
ip6 saddr . tcp dport { fd00:1::2 . 80, fd00:1::/64 . 443 } | ip6 saddr & ::ff == ::2 | th dport 80 | meta pkttype host | ether saddr NEAR
meta iiftype ether
"""
EBTABLES = """
-p IPv4 | -p ARP | -p IPv6 | -p 802_1Q | ! -p IPv4 | -s NEAR | ! -s NEAR | -d FAR | -d Broadcast | -d Multicast | -d Unicast | -i p1
! -i p1
-i p+ | -o p2 | --logical-in br0 | -p IPv4 --ip-src 10.1.0.2 | -p IPv4 --ip-src ! 10.1.0.2 | -p IPv4 --ip-dst 10.1.0.0/24
-p IPv4 --ip-proto udp | -p IPv4 --ip-proto udp --ip-dport 53 | -p IPv4 --ip-proto udp --ip-dport 50:60
-p IPv4 --ip-proto tcp --ip-sport 1000:
-p IPv4 --ip-proto icmp --ip-icmp-type echo-request | -p IPv6 --ip6-src fd00::/16 | -p IPv6 --ip6-proto udp
-p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type neighbour-solicitation | -p IPv6 --ip6-proto tcp --ip6-dport 80 | -p ARP --arp-op Request
-p ARP --arp-op Reply | -p ARP --arp-ip-src 10.1.0.2 | -p ARP --arp-ip-dst ! 10.1.0.9 | -p ARP --arp-ip-dst 10.1.0.0/16
-p ARP --arp-mac-src NEAR | -p ARP --arp-mac-dst 00:00:00:00:00:00 | -p ARP --arp-htype 1 | -p 802_1Q --vlan-id 5 | --pkttype-type broadcast
--pkttype-type otherhost | --among-src NEAR | ! --among-src NEAR | --among-dst FAR,NEAR | -p IPv4 --among-src NEAR=10.1.0.2
-p IPv4 --among-src NEAR=10.9.9.9,FAR=10.1.0.3 | --mark 0x0/0x1 | --mark 0x1
"""
ARPTABLES = """
-s 10.1.0.2 | ! -s 10.1.0.2 | -d 10.1.0.9 | -d 10.1.0.0/16 | -s 10.1.0.0/255.255.0.0 | --source-mac NEAR | ! --source-mac NEAR
--destination-mac 00:00:00:00:00:00 | --opcode 1 | --opcode 2 | ! --opcode 1 | -i br0 | ! -i br0 | -i br+ | --h-type 1
--proto-type 0x800 | --h-length 6
"""
IP6TABLES = """
-s fd00:1::2 | ! -s fd00:1::/64 | -d fd00:2::/64 | -i br0 | ! -i br+ | -o out0 | -p tcp | ! -p udp | -p tcp --dport 80 | -p udp ! --sport 53
-p udp -m multiport --dports 53,80:90 | -p tcp --syn | -p icmpv6 | -p icmpv6 --icmpv6-type echo-request | -p icmpv6 ! --icmpv6-type 135
-m hl --hl-eq 63 | -m hl --hl-gt 63 | -m conntrack --ctstate NEW | -m conntrack ! --ctstate NEW,INVALID | -m conntrack --ctorigdst fd00:2::9
-m addrtype --dst-type LOCAL | -m length --length 0:100 | -m dscp --dscp 0x08 | -m mark --mark 0x0
-m mac --mac-source NEAR | -m iprange --src-range fd00:1::1-fd00:1::9 | -m rpfilter | -m rpfilter --invert | -m pkttype --pkt-type unicast
-m frag | -m rt --rt-type 0 | -m tos --tos 0x20/0xfc
-p tcp -m tcpmss --mss 536:1500 | -p tcp -m tcpmss ! --mss 536:1500 | -m socket | -m socket --transparent --nowildcard
-m string --algo bm --string BitTorrent | -m string --algo kmp ! --string info_hash
-p sctp --dport 80 | -m tos --tos 0x21 | -m ecn --ecn-ip-ect 1 | -m ecn ! --ecn-ip-ect 1 | -p tcp -m ecn ! --ecn-tcp-ece |
-p tcp -m ecn --ecn-tcp-cwr | -m policy --dir in --pol none
"""


def split(matches: str) -> list[str]:
    """The single matches of a table above, MACs filled in."""
    for name, mac in (("NEAR", NEAR), ("FAR", FAR), ("ALL", ALL)):
        matches = matches.replace(name, mac)
    return [each.strip() for line in matches.strip().splitlines() for each in line.split("|")]


@dataclass(frozen=True)
class Chain:
    """A chain full of matches: how it is loaded, and where it stands for the model."""

    tool: str
    family: str
    hook: str
    matches: str
    device: str | None = None


CHAINS = {
    "bridge prerouting": Chain("nft", "bridge", "prerouting", LINK_LAYER + "iifname p1 | iifname != p1"),
    "bridge forward": Chain("nft", "bridge", "forward", LINK_LAYER + "iifname p1 | oifname p2 | oifname != p2"),
    "bridge input": Chain("nft", "bridge", "input", LINK_LAYER + "iifname p1"),
    "netdev ingress": Chain("nft", "netdev", "ingress", LINK_LAYER, "p1"),
    "netdev egress": Chain("nft", "netdev", "egress", LINK_LAYER, "p2"),
    "arp input": Chain("nft", "arp", "input", ARP + "iifname br0 | meta mark 0"),
    "ip6 prerouting": Chain("nft", "ip6", "prerouting", NETWORK6),
    "ip6 forward": Chain("nft", "ip6", "forward", NETWORK6),
    "inet forward": Chain("nft", "inet", "forward", NETWORK6),
    "ip6 input": Chain("nft", "ip6", "input", NETWORK6),
    "ebtables FORWARD": Chain("ebtables", "bridge", "forward", EBTABLES),
    "ebtables INPUT": Chain("ebtables", "bridge", "input", EBTABLES),
    "arptables INPUT": Chain("arptables", "arp", "input", ARPTABLES),
    "ip6tables FORWARD": Chain("ip6tables-nft", "ip6", "forward", IP6TABLES),
    "ip6tables-legacy FORWARD": Chain("ip6tables-legacy", "ip6", "forward", IP6TABLES),
    "ip6tables-legacy PREROUTING": Chain("ip6tables-legacy", "ip6", "prerouting", IP6TABLES),
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A frame that near sends, and the hooks at which it is seen; `vlan` its tag."""

    flow: Flow
    hooks: tuple[str, ...]
    vlan: int | None = None
    tos: int = 0

    def packet(self, chain: Chain) -> HookPacket:
        """The packet as the chain sees it."""
        kind = "broadcast" if self.flow.dst_mac == ALL else "multicast" if (self.flow.dst_mac or "").startswith("33:33") else "unicast"
        if kind == "unicast" and (chain.family == "netdev" or (chain.family == "bridge" and self.flow.dst_mac != BRIDGE)):
            kind = "other"  # the port's own MAC is another one
        packet = HookPacket(
            self.flow,
            vlan=self.vlan,
            tos=self.tos,
            pkttype=kind,
            df=False,
            tcp_flags=("syn",) if self.flow.protocol is Protocol.TCP else None,
        )
        if chain.hook in ("forward",) and chain.family in ("ip6", "inet"):
            packet = packet.with_flow(ttl=(self.flow.ttl or 0) - 1)
        if chain.family == "bridge":
            ports = {"forward": P2, "prerouting": None, "input": None}[chain.hook]
            return replace(packet, iif=P1, oif=ports, bridge=BR0)
        if chain.family == "netdev":
            return replace(packet, iif=P1 if chain.hook == "ingress" else None, oif=P2 if chain.hook == "egress" else None)
        packet = replace(packet, iif=BR0, oif=OUT0 if chain.hook == "forward" else None)
        return packet if chain.hook == "prerouting" else replace(packet, state="new", connection=entry_of(packet.flow))


BRIDGED = ("netdev ingress", "bridge prerouting", "bridge forward", "netdev egress")
FLOODED = (*BRIDGED, "bridge input")
TO_HOST = ("netdev ingress", "bridge prerouting", "bridge input")
UDP4 = Flow("10.1.0.2", "10.1.0.3", Protocol.UDP, sport=4000, dport=53, ttl=64, length=58, src_mac=NEAR, dst_mac=FAR)
TCP6 = Flow("fd00:1::2", "fd00:2::9", Protocol.TCP, sport=4000, dport=80, ttl=64, length=64, src_mac=NEAR, dst_mac=BRIDGE)
FRAMES = {
    "an ARP request": Frame(Flow("10.1.0.2", "10.1.0.9", Protocol.ARP, icmp_type=1, src_mac=NEAR, dst_mac=ALL), (*FLOODED, "arp input")),
    "an ARP reply to the host": Frame(
        Flow("10.1.0.2", "10.1.0.1", Protocol.ARP, icmp_type=2, src_mac=NEAR, dst_mac=BRIDGE), (*TO_HOST, "arp input")
    ),
    "UDP over the bridge": Frame(UDP4, BRIDGED),
    "UDP with a tag": Frame(UDP4, BRIDGED[:-1], vlan=5),
    "TCP over the bridge": Frame(replace(UDP4, protocol=Protocol.TCP, dport=80, ttl=5, length=44), BRIDGED, tos=0x21),
    "an echo from elsewhere": Frame(
        replace(UDP4, src="10.7.0.2", protocol=Protocol.ICMP, sport=None, dport=None, icmp_type=8, icmp_id=9, length=100), BRIDGED
    ),
    "IPv6 over the bridge": Frame(replace(TCP6, dst="fd00:1::3", dst_mac=FAR), BRIDGED),
    "a routed TCP SYN": Frame(TCP6, (*TO_HOST, "ip6 prerouting", "ip6 forward"), tos=0x21),
    "a routed UDP packet": Frame(
        replace(TCP6, src="fd00:1::77", protocol=Protocol.UDP, sport=53, dport=85, length=148), (*TO_HOST, "ip6 prerouting", "ip6 forward")
    ),
    "a routed echo from elsewhere": Frame(
        replace(TCP6, src=STRANGER, protocol=Protocol.ICMPV6, sport=None, dport=None, icmp_type=128, icmp_id=5, ttl=9),
        (*TO_HOST, "ip6 prerouting", "ip6 forward"),
    ),
    "UDP to the host": Frame(
        replace(TCP6, dst="fd00:1::1", protocol=Protocol.UDP, dport=53, length=60), (*TO_HOST, "ip6 prerouting", "ip6 input")
    ),
}  # fmt: skip


def _kind(address: str, interface: str | None) -> str:
    return "local" if address in ("fd00:1::1", "fd00:2::1", "10.1.0.1") else "unreachable" if address == STRANGER else "unicast"


def _fib(query: FibQuery) -> FibAnswer:
    for prefix, device in (("fd00:1:", "br0"), ("fd00:2:", "out0"), ("10.1.", "br0"), ("10.2.", "out0")):
        if query.destination.startswith(prefix):
            return FibAnswer("unicast", (device,))
    return FibAnswer("unreachable")


def _nobody(packet: HookPacket) -> tuple[Listening, ...]:
    return ()


AROUND = Surroundings(_kind, _fib, listening=_nobody)


def compare(name: str) -> list[str]:
    """All frames that pass the chain `name`, each rule's counter beside the model. Called in the lab; what is wrong, in words."""
    chain = CHAINS[name]
    _load(chain)
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    with netns.inside("/run/netns/near"):
        near = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        near.bind(("eth0", 0))
    wrong: list[str] = []
    place = f"{chain.family if chain.family != 'inet' else 'ip6'} {chain.hook}"
    try:
        before = read_ruleset(fd)
        for title, frame in FRAMES.items():
            if place not in frame.hooks:
                continue
            near.send(encoded(frame))
            ruling = traverse(before, place.split()[0], chain.hook, frame.packet(chain), device=chain.device, around=AROUND)
            expected = told(ruling)
            after, hit = settled(fd, before, expected)
            if ruling.verdict is not HookVerdict.ACCEPT or not hit:
                wrong.append(f"{title}: {ruling.verdict}, {len(hit)} counters moved")
            for rule in sorted(hit ^ expected):
                wrong.append(f"{title}: {'kernel' if rule in hit else 'model'} alone says: {rule_named(before, rule).text}")
            before = after
    finally:
        near.close()
        os.close(fd)
    return wrong


def _load(chain: Chain) -> None:
    restore("nft", ["flush ruleset"])
    for name in Path("/proc/net/ip6_tables_names").read_text().split():
        subprocess.run(["ip6tables-legacy", "-t", name, "-F"], check=True)
    matches = split(chain.matches)
    if chain.tool == "nft":
        device = f" device {chain.device}" if chain.device else ""
        head = [f"table {chain.family} t {{", f"chain c {{ type filter hook {chain.hook}{device} priority 0;"]
        own = f"ether saddr {NEAR} " if chain.hook == "egress" else ""
        restore("nft", [*head, *(f"{own}{match} counter" for match in matches), "}", "}"])
        return
    table = ["-t", "raw"] if chain.hook == "prerouting" else []
    target = {"ebtables": ["-j", "CONTINUE"]}.get(chain.tool, [])
    for match in matches:
        subprocess.run([chain.tool, *table, "-A", chain.hook.upper(), *match.split(), *target], check=False, capture_output=True)


def encoded(frame: Frame) -> bytes:
    """The frame as bytes."""
    flow = frame.flow
    head = _mac(flow.dst_mac) + _mac(flow.src_mac) + (struct.pack("!HH", 0x8100, frame.vlan) if frame.vlan else b"")
    if flow.protocol is Protocol.ARP:
        target = b"\0" * 6 if flow.icmp_type == 1 else _mac(flow.dst_mac)
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, flow.icmp_type or 0) + _mac(flow.src_mac) + _ip(flow.src) + target + _ip(flow.dst)
        return head + b"\x08\x06" + body
    size = (flow.length or 0) - (40 if flow.version == 6 else 20)
    body = _transport(flow, size)
    if flow.version == 6:
        number = {Protocol.UDP: 17, Protocol.TCP: 6, Protocol.ICMPV6: 58}[flow.protocol]
        ip = struct.pack("!IHBB", 6 << 28 | frame.tos << 20, size, number, flow.ttl or 0) + _ip(flow.src) + _ip(flow.dst)
        return head + b"\x86\xdd" + ip + body
    number = {Protocol.UDP: 17, Protocol.TCP: 6, Protocol.ICMP: 1}[flow.protocol]
    ip = struct.pack("!BBHHHBBH", 0x45, frame.tos, flow.length or 0, 7, 0, flow.ttl or 0, number, 0) + _ip(flow.src) + _ip(flow.dst)
    return head + b"\x08\x00" + ip[:10] + struct.pack("!H", _sum(ip)) + ip[12:] + body


def _transport(flow: Flow, size: int) -> bytes:
    if flow.protocol is Protocol.UDP:
        body = struct.pack("!HHHH", flow.sport or 0, flow.dport or 0, size, 0) + bytes(size - 8)
        number, at = 17, 6
    elif flow.protocol is Protocol.TCP:
        body = struct.pack("!HHIIBBHHH", flow.sport or 0, flow.dport or 0, 1, 0, 0x60, 2, 1000, 0, 0)
        body += struct.pack("!BBH", 2, 4, MSS[flow.version]) + bytes(size - 24)
        number, at = 6, 16
    else:
        body = struct.pack("!BBHHH", flow.icmp_type or 0, 0, 0, flow.icmp_id or 0, 1) + bytes(size - 8)
        number, at = 58, 2
    pseudo = b"" if flow.protocol is Protocol.ICMP else _ip(flow.src) + _ip(flow.dst) + struct.pack("!IHBB", size, 0, 0, number)
    return body[:at] + struct.pack("!H", _sum(pseudo + body)) + body[at + 2 :]


def _mac(text: str | None) -> bytes:
    return bytes.fromhex((text or "").replace(":", ""))


def _ip(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def _sum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
