"""The kernel as the judge of the evaluation: rules are loaded, packets are sent, and what the counters say is compared.

Runs inside the lab's process (`lab.call`), which sits in `host`: in0 leads to the sender, out0 to a station that never answers.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import rule_generator as make
from msgspec.structs import replace

from netprobe.lab.topology import Interface, LabNeighbour, LabRoute, Sysctl, Topology, Veth
from netprobe.linux import netns
from netprobe.linux.netfilter.read import read_ruleset
from netprobe.model import MSS, ConntrackEntry, Flow, Link, Protocol, Rule, Ruleset, Table
from netprobe.rules import FibAnswer, FibQuery, HookPacket, HookVerdict, Ruling, Surroundings, traverse

OUT_MAC, SENDER_MAC, STATION_MAC = "02:00:00:00:02:01", make.IN_MAC, "02:00:00:00:02:02"
HOST_MAC = "02:00:00:00:01:01"
QUIET = {"net.ipv6.conf.all.disable_ipv6": "1"}
TOPOLOGY = Topology(
    ("near", "far"),
    (
        Veth(Interface("host", "in0", ("10.1.0.1/16",), mac=HOST_MAC), Interface("near", "eth0", mac=SENDER_MAC)),
        Veth(Interface("host", "out0", ("10.2.0.1/16",), mac=OUT_MAC), Interface("far", "eth0", mac=STATION_MAC)),
    ),
    routes=(LabRoute("host", "10.9.0.0/16", "10.2.0.99"),),
    neighbours=(
        *(LabNeighbour("host", "in0", address, SENDER_MAC) for address in make.SOURCES),
        *(LabNeighbour("host", "out0", f"10.2.{net}.{n}", STATION_MAC) for net in (0, 1) for n in (*range(2, 10), 99)),
    ),
    sysctls=(
        *(Sysctl(place, name, value) for place in ("host", "near", "far") for name, value in QUIET.items()),
        Sysctl("host", "net.ipv4.ip_forward", "1"), Sysctl("host", "net.ipv4.conf.all.rp_filter", "0"),
        Sysctl("host", "net.ipv4.conf.in0.rp_filter", "0"), Sysctl("host", "net.ipv4.conf.out0.rp_filter", "0"),
        Sysctl("host", "net.ipv4.icmp_echo_ignore_all", "1"), Sysctl("host", "net.ipv4.conf.all.send_redirects", "0"),
        Sysctl("host", "net.ipv4.conf.in0.send_redirects", "0"), Sysctl("host", "net.ipv4.conf.out0.send_redirects", "0"),
    ),
)  # fmt: skip

IN, OUT, LO = Link(2, "in0", "veth", HOST_MAC), Link(3, "out0", "veth", OUT_MAC), Link(1, "lo", "loopback")
OWN = {"10.1.0.1", "10.2.0.1"}
# Counts what came through, and ends what is for the host itself: otherwise it would be answered.
ARRIVED = """table inet arrived {
 chain in { type filter hook input priority 900; counter drop
 }
 chain out { type filter hook postrouting priority 900; counter accept
 }
}"""
TOOLS = {"nft": ["nft", "-f", "-"], "iptables": ["iptables-nft-restore"], "iptables-legacy": ["iptables-legacy-restore"]}


@dataclass(frozen=True)
class Shot:
    """One packet to send: how, and what it is."""

    mode: str  # "through" the host, "to" it, "from" it, or "back" through it
    packet: HookPacket


@dataclass
class Verdicts:
    """What was compared, and where the two disagree, in words."""

    shots: int = 0
    rules: int = 0
    doubtful: int = 0
    wrong: list[str] = field(default_factory=list)


def shot(rng: Random) -> Shot:
    """A random packet."""
    mode = rng.choice(("through", "through", "through", "to", "from"))
    src = rng.choice(make.SOURCES) if mode != "from" else make.LOCAL
    dst = make.LOCAL if mode == "to" else rng.choice(make.TARGETS)
    protocol = rng.choice((Protocol.ICMP, Protocol.UDP, Protocol.TCP))
    ttl, size = rng.choice((64, 10, 3)), rng.choice((0, 20, 80, 600))
    head = {Protocol.ICMP: 28, Protocol.UDP: 28, Protocol.TCP: 44}[protocol]
    flow = Flow(src, dst, protocol, ttl=ttl, length=head + size, src_mac=SENDER_MAC, dst_mac=HOST_MAC)
    if mode == "from":
        flow = replace(flow, src_mac=None, dst_mac=None)
    if protocol is Protocol.ICMP:
        flow = replace(flow, icmp_type=rng.choice((8, 8, 13, 0)), icmp_code=0, icmp_id=rng.randint(1, 65000))
    else:
        flow = replace(flow, sport=rng.randint(20000, 60000), dport=rng.choice(make.PORTS))
    flags = rng.choice((("syn",), ("syn",), ("ack",), ("syn", "ack"))) if protocol is Protocol.TCP else None
    packet = HookPacket(flow, df=rng.choice((True, False)), tos=rng.choice((0, 32, 184, 1, 186)), tcp_flags=flags)
    return Shot(mode, replace(packet, uid=0, gid=0) if mode == "from" else replace(packet, iif=IN))


# --- the model ---------------------------------------------------------------------------------------------------------------


def _kind(address: str, interface: str | None) -> str:
    return "local" if address in OWN or address.startswith("127.") else "unicast"


def _fib(query: FibQuery) -> FibAnswer:
    if query.destination in OWN:
        return FibAnswer("local", ("lo",))
    return FibAnswer("unicast", ("in0" if query.destination.startswith("10.1.") else "out0",))


def _own(kind: str, link: Link, towards: str) -> str:
    return "10.1.0.1" if link.name == "in0" else "10.2.0.1"


def _track(packet: HookPacket) -> HookPacket:
    """Every packet is the first of its connection; conntrack takes neither a stray answer nor a SYN-ACK for one."""
    from netprobe.rules import entry_of

    flow = packet.flow
    stray = (flow.protocol is Protocol.ICMP and flow.icmp_type not in (8, 13)) or packet.tcp_flags == ("syn", "ack")
    return replace(packet, state="invalid" if stray else "new", connection=None if stray else entry_of(flow, packet.zone))


def _known(packet: HookPacket, connection: ConntrackEntry, reply: bool) -> HookPacket:
    """A later packet of a connection, as long as no rule has taken it away from conntrack or given it another zone."""
    return replace(packet, state="established", connection=connection, reply=reply) if packet.zone == connection.zone else _track(packet)


def predicted(ruleset: Ruleset, sent: Shot) -> tuple[list[Ruling], HookPacket, bool]:
    """The rulings of the hooks that the packet passes, how it ends up, and whether it comes through."""
    rulings: list[Ruling] = []
    packet = replace(sent.packet, connection=None, reply=False)
    connection, back = sent.packet.connection, sent.mode == "back"
    around = Surroundings(_kind, _fib, _own, _track if connection is None else lambda seen: _known(seen, connection, back))

    def passes(hook: str) -> bool:
        nonlocal packet
        rulings.append(traverse(ruleset, "ip", hook, packet, around=around))
        packet = rulings[-1].packet
        return rulings[-1].verdict is HookVerdict.ACCEPT

    if sent.mode == "from":
        packet = replace(packet, oif=_leaving(packet.flow.dst))
        through = passes("output")
        packet = replace(packet, oif=_leaving(packet.flow.dst))
        through = through and passes("postrouting")
        return rulings, packet, through
    if not passes("prerouting"):
        return rulings, packet, False
    if packet.flow.dst in OWN:
        passes("input")
        return rulings, packet, False
    assert packet.flow.ttl is not None
    if packet.flow.ttl <= 1:
        return rulings, packet, False
    packet = replace(packet.with_flow(ttl=packet.flow.ttl - 1), oif=_leaving(packet.flow.dst))
    through = passes("forward") and passes("postrouting")
    return rulings, packet, through


def _leaving(dst: str) -> Link:
    return IN if dst.startswith("10.1.") else OUT


# --- the kernel --------------------------------------------------------------------------------------------------------------


def frame(packet: HookPacket) -> bytes:
    """The packet as bytes, with its Ethernet header when it has MACs."""
    flow = packet.flow
    size = (flow.length or 0) - 20
    if flow.protocol is Protocol.ICMP:
        body = _icmp(struct.pack("!BBHHH", flow.icmp_type or 0, 0, 0, flow.icmp_id or 0, 1) + bytes(size - 8))
    elif flow.protocol is Protocol.UDP:
        body = struct.pack("!HHHH", flow.sport or 0, flow.dport or 0, size, 0) + bytes(size - 8)
    else:
        bits = sum({"fin": 1, "syn": 2, "rst": 4, "ack": 16}[flag] for flag in packet.tcp_flags or ())
        body = struct.pack("!HHIIBBHHH", flow.sport or 0, flow.dport or 0, 1, 0, 0x60, bits, 1000, 0, 0)
        body += (struct.pack("!BBH", 2, 4, MSS[4]) if bits & 2 else b"\1" * 4) + bytes(size - 24)
        pseudo = socket.inet_aton(flow.src) + socket.inet_aton(flow.dst) + struct.pack("!BBH", 0, 6, len(body))
        body = body[:16] + struct.pack("!H", _sum(pseudo + body)) + body[18:]
    number = {Protocol.ICMP: 1, Protocol.UDP: 17, Protocol.TCP: 6}[flow.protocol]
    tos, word = packet.tos or 0, 0x4000 if packet.df else 0
    head = (
        struct.pack("!BBHHHBBH", 0x45, tos, flow.length or 0, 7, word, flow.ttl or 0, number, 0)
        + socket.inet_aton(flow.src)
        + socket.inet_aton(flow.dst)
    )
    head = head[:10] + struct.pack("!H", _sum(head)) + head[12:]
    macs = bytes.fromhex((flow.dst_mac or "").replace(":", "") + (flow.src_mac or "").replace(":", ""))
    return (macs + b"\x08\x00" if macs else b"") + head + body


def _icmp(data: bytes) -> bytes:
    return data[:2] + struct.pack("!H", _sum(data)) + data[4:]


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def load(engine: str, text: str) -> None:
    """Replace all rules of the host by these."""
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    subprocess.run(["conntrack", "-F"], check=False, capture_output=True)
    if Path("/proc/net/ip_tables_names").read_text():
        for table in ("filter", "nat", "mangle", "raw"):
            subprocess.run(["iptables-legacy", "-t", table, "-F"], check=True)
            subprocess.run(["iptables-legacy", "-t", table, "-X"], check=True)
            for chain in make.HOOKS[table]:
                subprocess.run(["iptables-legacy", "-t", table, "-P", chain, "ACCEPT"], check=True)
    restore(engine, text.splitlines())
    subprocess.run(["nft", "-f", "-"], input=ARRIVED, text=True, check=True)


_REFUSED = re.compile(r"/dev/stdin:(\d+):|line (\d+)|line: (\d+)")


def restore(engine: str, lines: list[str]) -> None:
    """Load the rules without those that the tool or this kernel refuses (conflicting matches, missing modules)."""
    for _ in range(60):
        done = subprocess.run(TOOLS[engine], input="\n".join(lines) + "\n", text=True, capture_output=True, check=False)
        if done.returncode == 0:
            return
        refused = {int(next(filter(None, found))) - 1 for found in _REFUSED.findall(done.stderr)}
        rules = {n for n in refused if n < len(lines) and (lines[n].startswith("-A") or "counter" in lines[n])}
        if not rules:
            raise ValueError(f"{done.stderr}\n" + "\n".join(lines))
        lines = [line for n, line in enumerate(lines) if n not in rules]
    raise ValueError("too many rules are refused")


def counts(ruleset: Ruleset) -> dict[str, int]:
    """The packet counter of each rule that has one, by engine, family, table, chain and number."""
    return {
        f"{table.engine} {table.family} {table.name} {chain.name} {rule.number}": rule.packets
        for table in ruleset.tables
        for chain in table.chains
        for rule in chain.rules
        if rule.packets is not None
    }


def rule_named(ruleset: Ruleset, name: str) -> Rule:
    engine, family, table, chain, number = name.split()
    found: Table | None = ruleset.table(engine, family, table)
    assert found is not None
    holder = found.chain(chain)
    assert holder is not None
    return holder.rules[int(number) - 1]


class Senders:
    """Sockets that send frames from the near station, and packets from the host itself."""

    def __init__(self) -> None:
        with netns.inside("/run/netns/near"):
            self.near = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.near.bind(("eth0", 0))
        with netns.inside("/run/netns/far"):
            self.far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.far.bind(("eth0", 0))
        self.own = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, sent: Shot) -> None:
        if sent.mode == "from":
            with suppress(PermissionError):  # a rule of the output hook said no: that is an answer
                self.own.sendto(frame(sent.packet), (sent.packet.flow.dst, 0))
        elif sent.mode == "back":
            self.far.send(frame(sent.packet))
        else:
            self.near.send(frame(sent.packet))

    def close(self) -> None:
        self.near.close()
        self.far.close()
        self.own.close()


def compare(engine: str, seed: int, shots: int) -> Verdicts:
    """One random ruleset, and some packets through it. Called in the lab."""
    rng = Random(f"{engine} {seed}")
    text = make.nft(rng) if engine == "nft" else make.iptables(rng)
    load(engine, text)
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    senders = Senders()
    found = Verdicts()
    try:
        before = read_ruleset(fd)
        if before.blind:
            found.wrong.append(str(before.blind))
        found.rules = len(counts(before))
        for _ in range(shots):
            sent: Shot | None = shot(rng)
            while sent is not None:
                senders.send(sent)
                after = _judge(fd, before, sent, found)
                sent, before = _answer(before, sent), after
    finally:
        senders.close()
        os.close(fd)
    if found.wrong:
        found.wrong.append(text)
    return found


def _answer(ruleset: Ruleset, sent: Shot) -> Shot | None:
    """The station's answer to a packet that came through, as a frame on its wire; None when there is none to send."""
    rulings, packet, through = predicted(ruleset, sent)
    if not through or sent.mode != "through" or packet.state != "new" or packet.connection is None or packet.oif is not OUT:
        return None
    if any(ruling.alternatives or ruling.verdict is not HookVerdict.ACCEPT for ruling in rulings):
        return None
    flow = replace(packet.flow.reversed(), ttl=20, length=packet.flow.length, src_mac=STATION_MAC, dst_mac=OUT_MAC)
    if packet.flow.icmp_type == 13:
        flow = replace(flow, icmp_type=14)
    flags = ("syn", "ack") if packet.tcp_flags == ("syn",) else packet.tcp_flags
    return Shot("back", HookPacket(flow, iif=OUT, df=False, tcp_flags=flags, connection=packet.connection))


def settled(fd: int, before: Ruleset, expected: set[str]) -> tuple[Ruleset, set[str]]:
    """The rules after a shot, and which counters moved. A busy machine handles a packet late: if they disagree, look again."""
    for patience in (0.002, 0.05, 0.3):
        time.sleep(patience)
        after = read_ruleset(fd)
        old, new = counts(before), counts(after)
        hit = {name for name in old if new.get(name, 0) != old[name]}
        if hit == expected:
            break
    return after, hit


def told(ruling: Ruling) -> set[str]:
    """The rules whose counters move, as the model has it."""
    return {f"{each.engine} {each.family} {each.table} {each.chain} {each.rule}" for each in ruling.counted}


def _judge(fd: int, before: Ruleset, sent: Shot, found: Verdicts) -> Ruleset:
    found.shots += 1
    rulings, _, _ = predicted(before, sent)
    expected = set().union(*(told(ruling) for ruling in rulings)) & counts(before).keys()
    after, hit = settled(fd, before, expected)
    if any(ruling.verdict is HookVerdict.UNDETERMINED or ruling.alternatives for ruling in rulings):
        found.doubtful += 1
        return after
    if any(ruling.verdict is HookVerdict.REJECT for ruling in rulings):  # the answer passes output and postrouting as well
        hit, expected = ({name for name in names if _before_answer(name)} for names in (hit, expected))
    for name in sorted(hit ^ expected):
        side = "the kernel's counter moved" if name in hit else "the model says it matched"
        ends = [(ruling.verdict.value, ruling.decision and ruling.decision.object.id) for ruling in rulings]
        found.wrong.append(f"{name}: {rule_named(before, name).text}\n   {side} only, for {sent}\n   {ends}")
    return after


def _before_answer(rule: str) -> bool:
    """Whether a rule stands in a chain that an ICMP error of this host does not pass."""
    return "forward" in rule.lower() or "prerouting" in rule.lower()
