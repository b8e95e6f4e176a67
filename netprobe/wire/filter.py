"""The kernel filter of a tap: which frames of a namespace belong to a probe. recognise.py decides exactly, from what it lets pass.

Accepted: the probe and its answer, ICMP errors that quote it, all this also inside VXLAN, GENEVE, GRE and IP in IP; later IP
fragments (they carry no token); ARP and neighbour discovery. X holds the offset of the header at hand, M[0] the protocol
behind the IP header. The frame may carry VLAN tags; AF_PACKET normally shows it without.
"""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import Protocol

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
    LD_IMM,
    LD_MEM,
    LD_W,
    LD_W_ABS,
    LDX_IMM,
    LSH,
    RET,
    RSH,
    ST,
    SUB,
    TAX,
    TXA,
    Instruction,
    Program,
)
from .mark import MODULUS, PROTOCOL_NUMBERS, Mark
from .numbers import (
    ERRORS,
    ERRORS_V6,
    ETHERNET_DEVICES,
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

_HATYPE = 0xFFFFF000 + 28  # SKF_AD_OFF + SKF_AD_HATYPE: the device's ARPHRD_ type
_PROTOCOL, _FLAGS = 0, 1  # the scratch words M[]


def tap_filter(mark: Mark) -> tuple[Instruction, ...]:
    """The filter of an AF_PACKET tap that sees every interface of a namespace."""
    writer = _Writer(Program(), mark)
    program = writer.program
    program.emit((LDX_IMM, 0), (LD_W_ABS, _HATYPE))
    program.switch(dict.fromkeys(ETHERNET_DEVICES, "frame"), "ip")
    writer.layers("", tunnels=True)
    writer.layers("inner ", tunnels=False)
    return writer.finish()


def packet_filter(mark: Mark) -> tuple[Instruction, ...]:
    """The filter of an AF_INET raw socket, which sees packets from their IPv4 header on."""
    writer = _Writer(Program(), mark)
    writer.program.emit((LDX_IMM, 0))
    writer.program.goto("ip")
    writer.layers("", tunnels=False)
    return writer.finish()


def segment_filter(mark: Mark) -> tuple[Instruction, ...]:
    """The filter of an AF_INET6 raw socket, which sees packets from behind their IPv6 header on."""
    writer = _Writer(Program(), mark)
    writer.program.emit((LDX_IMM, 0), (LD_IMM, PROTOCOL_NUMBERS[mark.protocol]), (ST, _PROTOCOL))
    writer.program.goto("transport")
    writer.layers("", tunnels=False)
    return writer.finish()


class _Writer(Struct, frozen=True):
    """Writes the blocks of the filter; `prefix` of a label tells the outer packet's blocks from those of the one in a tunnel."""

    program: Program
    mark: Mark

    def finish(self) -> tuple[Instruction, ...]:
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
        self.icmp(prefix, tunnels)
        self.own(prefix, tunnels)
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
        p.test(JEQ, ETHERTYPE_ARP, "accept")
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
        p.emit((LD_H, 6))
        p.test(JSET, 0x1FFF, "accept")  # a later fragment
        self.past_ipv4()
        p.goto(prefix + "transport")
        p.label(prefix + "ipv6")
        self.past_ipv6(prefix)

    def past_ipv4(self) -> None:
        self.program.emit((LD_B, 9), (ST, _PROTOCOL), (LD_B, 0), (AND, 0x0F), (LSH, 2), ADD_X, TAX)

    def past_ipv6(self, prefix: str) -> None:
        """Over the fixed header and up to two extension headers."""
        p = self.program
        p.emit((LD_B, 6), (ST, _PROTOCOL))
        self.forward(40)
        for n in ("one", "two"):
            extension, fragment, done = (f"{prefix}extension {n}", f"{prefix}fragment {n}", f"{prefix}past {n}")
            p.emit((LD_MEM, _PROTOCOL))
            p.switch({**dict.fromkeys(IPV6_EXTENSIONS, extension), IPV6_FRAGMENT: fragment}, prefix + "transport")
            p.label(extension)
            p.emit((LD_B, 0), (ST, _PROTOCOL), (LD_B, 1), (ADD, 1), (LSH, 3), ADD_X, TAX)
            p.goto(done)
            p.label(fragment)
            p.emit((LD_H, 2))
            p.test(JSET, 0xFFF8, "accept")
            p.emit((LD_B, 0), (ST, _PROTOCOL))
            self.forward(8)
            p.label(done)

    def transport(self, prefix: str, tunnels: bool) -> None:
        """X behind the IP header: the probe's own protocol, ICMP, or a tunnel."""
        p = self.program
        p.label(prefix + "transport")
        p.emit((LD_MEM, _PROTOCOL))
        cases = {1: prefix + "icmp", 58: prefix + "icmpv6"}
        if self.mark.protocol in (Protocol.UDP, Protocol.TCP):
            cases[PROTOCOL_NUMBERS[self.mark.protocol]] = prefix + "own"
        if tunnels:
            cases = {17: "udp tunnel", 47: "gre", 4: "inner ip", 41: "inner ip"} | cases
        p.switch(cases, "reject")

    def icmp(self, prefix: str, tunnels: bool) -> None:
        """Echoes, errors, neighbour discovery."""
        p = self.program
        mine = {Protocol.ICMP: (prefix + "own", "reject"), Protocol.ICMPV6: ("reject", prefix + "own")}
        echo, echo6 = mine.get(self.mark.protocol, ("reject", "reject"))
        p.label(prefix + "icmp")
        p.emit((LD_B, 0))
        p.switch({8: echo, 0: echo} | dict.fromkeys(ERRORS, prefix + "quoted"), "reject")
        p.label(prefix + "icmpv6")
        p.emit((LD_B, 0))
        p.switch(
            {128: echo6, 129: echo6} | dict.fromkeys(NEIGHBOUR_DISCOVERY, "accept") | dict.fromkeys(ERRORS_V6, prefix + "quoted"), "reject"
        )
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
        p.emit((LD_B, 6), (ST, _PROTOCOL))
        self.forward(40)
        p.emit((LD_MEM, _PROTOCOL))
        p.test(JEQ, IPV6_FRAGMENT, None, prefix + "quoted transport")
        p.emit((LD_B, 0), (ST, _PROTOCOL))
        self.forward(8)
        p.label(prefix + "quoted transport")
        p.emit((LD_MEM, _PROTOCOL))
        if self.mark.protocol in PROTOCOL_NUMBERS:
            p.test(JEQ, PROTOCOL_NUMBERS[self.mark.protocol], prefix + "quoted own")
        if tunnels:
            p.test(JEQ, 17, "udp tunnel")
        p.goto("reject")
        p.label(prefix + "quoted own")
        if self.mark.protocol in (Protocol.ICMP, Protocol.ICMPV6):
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
                self.udp("udp tunnel" if tunnels else "reject")
            case Protocol.TCP:
                self.tcp()
            case _:
                self.program.goto("reject")

    def echo(self) -> None:
        if self.mark.has_token:
            self.token("reject")
            return
        self.program.emit((LD_H, 4))
        self.program.test(JEQ, self.mark.icmp_id, None, "reject")
        self.program.emit((LD_H, 6))
        self.within(self.mark.first, min(self.mark.count, MODULUS), MODULUS - 1)

    def udp(self, otherwise: str) -> None:
        p = self.program
        ports = dict.fromkeys((*self.mark.source_ports, *self.mark.ports), "accept")
        p.emit((LD_H, 2))
        p.switch(ports if self.mark.has_token or not self.mark.port else ports | {self.mark.port: "accept"})
        p.emit((LD_H, 0))
        p.switch(ports | ({self.mark.port: "accept"} if self.mark.port else {}))
        if self.mark.has_token:
            self.token(otherwise)
        else:
            p.goto(otherwise)

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
        p = self.program
        p.emit((LD_W, 8))
        p.test(JEQ, int.from_bytes(self.mark.run[:4], "big"), None, otherwise)
        p.emit((LD_H, 12))
        p.test(JEQ, int.from_bytes(self.mark.run[4:6], "big"), "accept", otherwise)

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
        p.emit((LD_H, 2), (ST, _PROTOCOL), (LD_B, 0), (ST, _FLAGS))
        self.forward(4)
        for flag in (0x80, 0x20, 0x10):  # checksum, key, sequence: four more bytes each
            p.emit((LD_MEM, _FLAGS))
            p.test(JSET, flag, None, f"gre without {flag:#x}")
            self.forward(4)
            p.label(f"gre without {flag:#x}")
        p.emit((LD_MEM, _PROTOCOL))
        p.switch({ETHERTYPE_IPV4: "inner ip", ETHERTYPE_IPV6: "inner ip", TRANSPARENT_ETHERNET: "inner frame"}, "reject")
