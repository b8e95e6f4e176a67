"""The blocks of a kernel filter, one a header: from a frame to the probe in it, to what travels beside it,
and into tunnels.

X holds the offset of the header at hand, M[0] the protocol behind the IP header, M[2] and M[3] a word of the
addresses. The frame may carry VLAN tags; AF_PACKET normally shows it without.
"""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import Protocol

from .around import EVERYTHING, Around
from .bpf import (
    ADD,
    ADD_X,
    AND,
    JEQ,
    JGE,
    JGT,
    JSET,
    LD_B,
    LD_H,
    LD_MEM,
    LD_W,
    LSH,
    RET,
    RSH,
    ST,
    SUB,
    TAX,
    TXA,
    Assembler,
    Instruction,
)
from .mark import MODULUS, PROTOCOL_NUMBERS, Mark
from .numbers import (
    ERRORS,
    ERRORS_V6,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    GENEVE_PORT,
    IPV6_EXTENSIONS,
    IPV6_FRAGMENT,
    NEIGHBOUR_DISCOVERY,
    TRANSPARENT_ETHERNET,
    VLAN_TYPES,
    VXLAN_PORTS,
)

SNAP = 0x40000  # bytes of a frame to keep: all

PROTOCOL, FLAGS, SRC, DST = 0, 1, 2, 3  # the scratch words M[]
_NO_ADDRESS = 0  # of ARP: who asks has none yet, or does not claim it (RFC 5227)


class Writer(Struct, frozen=True, gc=False):
    """Writes the blocks of the filter; `prefix` of a label tells the outer packet's blocks from those of the
    one in a tunnel.

    `beside`: not the probe is wanted, but what travels beside it, `fragments` among it or not.
    """

    program: Assembler
    mark: Mark
    around: Around = EVERYTHING
    beside: bool = False
    fragments: bool = False

    def finish(self) -> tuple[Instruction, ...]:
        """The blocks that all others jump to, and the program."""
        if self.beside:
            self.arp()
            self.discovery()
        if self.fragments:
            self.later()
        self.program.label("reject")
        self.program.emit((RET, 0))
        self.program.label("accept")
        self.program.emit((RET, SNAP))
        return self.program.assemble()

    def forward(self, by: int) -> None:
        """X += by."""
        self.program.emit(TXA, (ADD, by), TAX)

    def layers(self, prefix: str, tunnels: bool) -> None:
        """All headers of one packet, from Ethernet to the probe's own."""
        self.frame(prefix)
        self.ip(prefix)
        self.transport(prefix, tunnels)
        if not self.beside:
            self.icmp(prefix, tunnels)
            self.own(prefix, tunnels)
        elif self.mark.protocol is Protocol.UDP:
            self.strangers(prefix, "udp tunnel" if tunnels else "reject")
        if tunnels:
            self.tunnel()

    def frame(self, prefix: str) -> None:
        """X at an Ethernet header, with up to two VLAN tags."""
        p = self.program
        p.label(prefix + "frame")
        for tag in ("first", "second"):
            p.emit((LD_H, 12))
            p.switch(dict.fromkeys(VLAN_TYPES, f"{prefix}{tag} tag"), prefix + "untagged")
            p.label(f"{prefix}{tag} tag")
            self.forward(4)
        p.emit((LD_H, 12))
        p.label(prefix + "untagged")
        p.test(JEQ, ETHERTYPE_ARP, "arp" if self.beside else "reject")
        p.test(JEQ, ETHERTYPE_IPV4, prefix + "over ethernet")
        p.test(JEQ, ETHERTYPE_IPV6, None, "reject")
        p.label(prefix + "over ethernet")
        self.forward(14)

    def ip(self, prefix: str) -> None:
        """X at an IP header of either version. Leaves X behind it, and the protocol in M[0]."""
        p = self.program
        p.label(prefix + "ip")
        p.emit((LD_B, 0), (RSH, 4))
        p.switch({4: prefix + "ipv4", 6: prefix + "ipv6"}, "reject")
        p.label(prefix + "ipv4")
        p.emit((LD_W, 12), (ST, SRC), (LD_W, 16), (ST, DST), (LD_H, 6))
        p.test(JSET, 0x1FFF, "later fragment" if self.fragments else "reject")
        self.past_ipv4()
        p.goto(prefix + "transport")
        p.label(prefix + "ipv6")
        p.emit((LD_W, 8 + 12), (ST, SRC), (LD_W, 24 + 12), (ST, DST))
        self.past_ipv6(prefix)

    def past_ipv4(self) -> None:
        """Over an IPv4 header with its options."""
        self.program.emit((LD_B, 9), (ST, PROTOCOL), (LD_B, 0), (AND, 0x0F), (LSH, 2), ADD_X, TAX)

    def past_ipv6(self, prefix: str) -> None:
        """Over the fixed header and up to two extension headers."""
        p = self.program
        p.emit((LD_B, 6), (ST, PROTOCOL))
        self.forward(40)
        for n in ("one", "two"):
            extension, fragment, done = (
                f"{prefix}extension {n}",
                f"{prefix}fragment {n}",
                f"{prefix}past {n}",
            )
            p.emit((LD_MEM, PROTOCOL))
            p.switch(
                {**dict.fromkeys(IPV6_EXTENSIONS, extension), IPV6_FRAGMENT: fragment}, prefix + "transport"
            )
            p.label(extension)
            p.emit((LD_B, 0), (ST, PROTOCOL), (LD_B, 1), (ADD, 1), (LSH, 3), ADD_X, TAX)
            p.goto(done)
            p.label(fragment)
            p.emit((LD_H, 2))
            p.test(JSET, 0xFFF8, "later fragment" if self.fragments else "reject")
            p.emit((LD_B, 0), (ST, PROTOCOL))
            self.forward(8)
            p.label(done)

    def transport(self, prefix: str, tunnels: bool) -> None:
        """X behind the IP header: the probe's own protocol, ICMP, or a tunnel."""
        p = self.program
        p.label(prefix + "transport")
        p.emit((LD_MEM, PROTOCOL))
        cases = {58: "discovery"} if self.beside else {1: prefix + "icmp", 58: prefix + "icmpv6"}
        if self.mark.protocol.has_ports and not self.beside:
            cases[PROTOCOL_NUMBERS[self.mark.protocol]] = prefix + "own"
        if self.mark.protocol is Protocol.UDP and self.beside:
            cases[17] = prefix + "strangers"
        if tunnels:
            cases = {17: "udp tunnel", 47: "gre", 4: "inner ip", 41: "inner ip"} | cases
        p.switch(cases, "reject")

    def icmp(self, prefix: str, tunnels: bool) -> None:
        """Echoes and errors."""
        p = self.program
        mine = {Protocol.ICMP: (prefix + "own", "reject"), Protocol.ICMPV6: ("reject", prefix + "own")}
        echo, echo6 = mine.get(self.mark.protocol, ("reject", "reject"))
        p.label(prefix + "icmp")
        p.emit((LD_B, 0))
        p.switch({8: echo, 0: echo} | dict.fromkeys(ERRORS, prefix + "quoted"), "reject")
        p.label(prefix + "icmpv6")
        p.emit((LD_B, 0))
        p.switch({128: echo6, 129: echo6} | dict.fromkeys(ERRORS_V6, prefix + "quoted"), "reject")
        self.quoted(prefix, tunnels)

    def quoted(self, prefix: str, tunnels: bool) -> None:
        """X at an ICMP error: step to the transport header of the packet that it quotes."""
        p = self.program
        p.label(prefix + "quoted")
        self.forward(8)
        p.emit((LD_B, 0), (RSH, 4))
        p.switch({4: prefix + "quoted ipv4", 6: prefix + "quoted ipv6"}, "reject")
        p.label(prefix + "quoted ipv4")
        self.past_ipv4()
        p.goto(prefix + "quoted transport")
        p.label(prefix + "quoted ipv6")
        p.emit((LD_B, 6), (ST, PROTOCOL))
        self.forward(40)
        p.emit((LD_MEM, PROTOCOL))
        p.test(JEQ, IPV6_FRAGMENT, None, prefix + "quoted transport")
        p.emit((LD_B, 0), (ST, PROTOCOL))
        self.forward(8)
        p.label(prefix + "quoted transport")
        p.emit((LD_MEM, PROTOCOL))
        if self.mark.protocol in PROTOCOL_NUMBERS:
            p.test(JEQ, PROTOCOL_NUMBERS[self.mark.protocol], prefix + "quoted own")
        if tunnels:
            p.test(JEQ, 17, "udp tunnel")
        p.goto("reject")
        p.label(prefix + "quoted own")
        if self.mark.protocol.is_echo:
            # a router may quote eight bytes only, and loading beyond the end rejects: the id first
            p.emit((LD_H, 4))
            p.test(JEQ, self.mark.icmp_id, "accept")

    def own(self, prefix: str, tunnels: bool) -> None:
        """X at the probe's own transport header."""
        self.program.label(prefix + "own")
        match self.mark.protocol:
            case Protocol.ICMP | Protocol.ICMPV6:
                self.echo()
            case Protocol.UDP:
                self.udp(prefix, "udp tunnel" if tunnels else "reject")
            case Protocol.TCP:
                self.tcp()
            case _:
                self.program.goto("reject")

    def echo(self) -> None:
        """X at an ICMP echo: by the token, or by identifier and sequence numbers."""
        if self.mark.has_token:
            self.token("reject")
            return
        self.program.emit((LD_H, 4))
        self.program.test(JEQ, self.mark.icmp_id, None, "reject")
        self.program.emit((LD_H, 6))
        self.within(self.mark.first, min(self.mark.count, MODULUS), MODULUS - 1)

    def udp(self, prefix: str, otherwise: str) -> None:
        """A request by its port or token; an answer by its ports and who sends it, as far as that is
        known.
        """
        p, mark, ways = self.program, self.mark, self.around.ways
        ours, answer = (*mark.source_ports, *mark.ports), prefix + "answer"
        p.emit((LD_H, 2))
        p.switch(dict.fromkeys(ours, answer))
        p.emit((LD_H, 0))
        p.switch(dict.fromkeys(ours, "accept"))
        p.switch(dict.fromkeys(mark.service_ports, answer), prefix + "by token")
        p.label(answer)
        p.emit((LD_MEM, SRC))
        p.switch(
            dict.fromkeys(ways, "accept") if ways is not None else {}, "accept" if ways is None else None
        )
        p.label(prefix + "by token")
        if mark.has_token:
            self.token(otherwise)
        else:
            p.goto(otherwise)

    def strangers(self, prefix: str, otherwise: str) -> None:
        """Datagrams to the probe's port from somebody who is not on its way: what `udp` leaves out, but for
        the token.
        """
        p, mark, ways = self.program, self.mark, self.around.ways
        ours = (*mark.source_ports, *mark.ports)
        p.label(prefix + "strangers")
        p.emit((LD_H, 0))
        p.switch(dict.fromkeys(ours if ways is not None else (), otherwise))
        p.emit((LD_H, 2))
        p.switch(dict.fromkeys(ours if ways is not None else (), prefix + "to us"), otherwise)
        p.label(prefix + "to us")
        p.emit((LD_MEM, SRC))
        p.switch(dict.fromkeys(ways or (), otherwise))
        if mark.has_token:
            p.emit((LD_H, 4))
            p.test(JGE, 8 + 4, None, "accept")  # too short for it, and loading beyond the end would reject
            p.emit((LD_W, 8))
            p.test(JEQ, int.from_bytes(mark.run[:4], "big"), otherwise, "accept")
        else:
            p.goto("accept")

    def tcp(self) -> None:
        """By the sequence number of a SYN, or by the number that acknowledges it."""
        p = self.program
        p.emit((LD_W, 4), (SUB, self.mark.isn))
        p.test(JGE, self.mark.count + 1, None, "accept")  # + 1: our own reset takes the number behind the SYN
        p.emit((LD_B, 13))
        p.test(JSET, 0x10, None, "reject")  # a segment without ACK has some number there, often 0
        p.emit((LD_W, 8), (SUB, self.mark.isn + 1))
        p.test(JGE, self.mark.count, "reject", "accept")

    def within(self, first: int, count: int, mask: int) -> None:
        """Accept when the accumulator, a number that wraps at `mask`, is one of `count` from `first` on."""
        self.program.emit((SUB, first), (AND, mask))
        self.program.test(JGT, count - 1, "reject", "accept")

    def token(self, otherwise: str) -> None:
        """X at a header of eight bytes: the run's token behind it."""
        p = self.program
        p.emit((LD_W, 8))
        p.test(JEQ, int.from_bytes(self.mark.run[:4], "big"), None, otherwise)
        p.emit((LD_H, 12))
        p.test(JEQ, int.from_bytes(self.mark.run[4:6], "big"), "accept", otherwise)

    def arp(self) -> None:
        """X at the Ethernet header of an ARP packet: who speaks, and of whom."""
        p, stations = self.program, self.around.stations
        p.label("arp")
        if stations is None:
            p.goto("accept")
            return
        p.emit((LD_W, 14 + 14))
        p.switch(dict.fromkeys((*stations, _NO_ADDRESS), "arp of a station") if stations else {}, "reject")
        p.label("arp of a station")
        p.emit((LD_W, 14 + 24))
        p.switch(dict.fromkeys((*stations, _NO_ADDRESS), "accept"), "reject")

    def discovery(self) -> None:
        """X at an ICMPv6 header: a solicitation or an advertisement, and of whom it speaks."""
        p, targets = self.program, self.around.targets
        p.label("discovery")
        p.emit((LD_B, 0))
        p.switch(dict.fromkeys(NEIGHBOUR_DISCOVERY, "accept" if targets is None else "target"), "reject")
        p.label("target")
        p.emit((LD_W, 8 + 12))
        p.switch(dict.fromkeys(targets or (), "accept"), "reject")

    def later(self) -> None:
        """A later fragment, known by nothing but its addresses."""
        p, ways = self.program, self.around.ways
        p.label("later fragment")
        if ways is None:
            p.goto("accept")
            return
        p.emit((LD_MEM, SRC))
        p.switch({src: f"later fragment from {src}" for src in ways}, "reject")
        for src, destinations in ways.items():
            p.label(f"later fragment from {src}")
            p.emit((LD_MEM, DST))
            p.switch(dict.fromkeys(destinations, "accept"), "reject")

    def tunnel(self) -> None:
        """X at the UDP or GRE header of what may be a tunnel: step to the frame or packet inside."""
        p = self.program
        p.label("udp tunnel")
        p.emit((LD_H, 2))
        p.switch(dict.fromkeys(VXLAN_PORTS, "vxlan") | {GENEVE_PORT: "geneve"}, "reject")
        p.label("vxlan")
        self.forward(16)
        p.goto("inner frame")
        p.label("geneve")
        p.emit((LD_H, 10))
        p.test(JEQ, TRANSPARENT_ETHERNET, None, "reject")
        p.emit((LD_B, 8), (AND, 0x3F), (LSH, 2), (ADD, 16), ADD_X, TAX)
        p.goto("inner frame")
        p.label("gre")
        p.emit((LD_H, 2), (ST, PROTOCOL), (LD_B, 0), (ST, FLAGS))
        self.forward(4)
        for flag in (0x80, 0x20, 0x10):  # checksum, key, sequence: four more bytes each
            p.emit((LD_MEM, FLAGS))
            p.test(JSET, flag, None, f"gre without {flag:#x}")
            self.forward(4)
            p.label(f"gre without {flag:#x}")
        p.emit((LD_MEM, PROTOCOL))
        p.switch(
            {ETHERTYPE_IPV4: "inner ip", ETHERTYPE_IPV6: "inner ip", TRANSPARENT_ETHERNET: "inner frame"},
            "reject",
        )
