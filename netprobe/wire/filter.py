"""The kernel filters of a tap: which frames of a namespace belong to a run. recognise.py decides exactly,
from what they let pass.

One lets pass the probe and its answer and ICMP errors that quote it. The other lets pass what travels beside
it: ARP and neighbour discovery by the addresses they speak of, later IP fragments, which carry no token, by
theirs, and what strangers send to the UDP port of the probe. No frame passes both. Both look inside VXLAN,
GENEVE, GRE and IP in IP, too.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from netprobe.model import Protocol

from .around import EVERYTHING, Around
from .bpf import (
    JEQ,
    LD_H_ABS,
    LD_IMM,
    LD_W_ABS,
    LDX_IMM,
    RET,
    RSH,
    ST,
    Assembler,
    Instruction,
)
from .filter_blocks import DST, PROTOCOL, SNAP, SRC, Writer
from .mark import PROTOCOL_NUMBERS, Mark
from .numbers import (
    ETHERNET_DEVICES,
)

_HATYPE = 0xFFFFF000 + 28  # SKF_AD_OFF + SKF_AD_HATYPE: the device's ARPHRD_ type
# SKF_NET_OFF: from here on the IP header counts, also where the filter sees what lies behind it
_NETWORK = 0xFFF00000
_LOOPBACK = 127


def tap_filter(mark: Mark, around: Around = EVERYTHING) -> tuple[Instruction, ...]:
    """The probe itself, for an AF_PACKET tap that sees every interface of a namespace; a probe of ARP or ND
    by its addresses.
    """
    if mark.protocol.on_segment:
        return _of_frames(Writer(Assembler(), mark, around, beside=True, fragments=False))
    return _of_frames(Writer(Assembler(), mark, around))


def side_filter(mark: Mark, around: Around = EVERYTHING) -> tuple[Instruction, ...]:
    """What travels beside the probe of `mark`, for a second tap."""
    return _beside(mark if mark.protocol is Protocol.UDP else Mark(mark.protocol, b""), around)


@lru_cache(
    maxsize=16
)  # but of UDP, whose ports strangers may send to, all runs on the same way have the same
def _beside(mark: Mark, around: Around) -> tuple[Instruction, ...]:
    return _of_frames(Writer(Assembler(), mark, around, beside=True, fragments=True))


def _of_frames(writer: Writer) -> tuple[Instruction, ...]:
    program = writer.program
    program.emit((LDX_IMM, 0), (LD_W_ABS, _HATYPE))
    program.switch(dict.fromkeys(ETHERNET_DEVICES, "frame"), "ip")
    writer.layers("", tunnels=True)
    writer.layers("inner ", tunnels=False)
    return writer.finish()


def packet_filter(mark: Mark) -> tuple[Instruction, ...]:
    """The filter of an AF_INET raw socket, which sees packets from their IPv4 header on."""
    writer = Writer(Assembler(), mark)
    writer.program.emit((LDX_IMM, 0))
    writer.program.goto("ip")
    writer.layers("", tunnels=False)
    return writer.finish()


def segment_filter(mark: Mark) -> tuple[Instruction, ...]:
    """The filter of an AF_INET6 raw socket, which sees packets from behind their IPv6 header on."""
    writer = Writer(Assembler(), mark)
    writer.program.emit((LDX_IMM, 0), (LD_IMM, PROTOCOL_NUMBERS[mark.protocol]), (ST, PROTOCOL))
    writer.program.emit((LD_IMM, 0), (ST, SRC), (ST, DST))
    writer.program.goto("transport")
    writer.layers("", tunnels=False)
    return writer.finish()


def answer_filter(address: str, port: int) -> tuple[Instruction, ...]:
    """The filter of a UDP socket that takes the answers of the one who was asked, or of this host itself by
    127.0.0.0/8.

    A connected socket does the same, but would not hear of ICMP errors where the destination is translated.
    """
    program, asked = Assembler(), ip_address(address)
    if asked.version == 4:
        program.emit((LD_W_ABS, _NETWORK + 12))
        program.test(JEQ, int(asked), "port")
        program.emit((RSH, 24))
        program.test(JEQ, _LOOPBACK, "accept", "reject")
    else:
        for n in range(4):
            program.emit((LD_W_ABS, _NETWORK + 8 + 4 * n))
            program.test(JEQ, int.from_bytes(asked.packed[4 * n : 4 * n + 4], "big"), None, "reject")
    program.label("port")
    program.emit((LD_H_ABS, 0))
    program.test(JEQ, port, "accept")
    program.label("reject")
    program.emit((RET, 0))
    program.label("accept")
    program.emit((RET, SNAP))
    return program.assemble()
