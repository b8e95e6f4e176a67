"""The kernel filters of a matrix: one socket a namespace hears the answers to its own probes, known by the
run's token or by the port that the run holds, and nothing else.
"""

from __future__ import annotations

from .bpf import JEQ, JSET, LD_B, LD_B_ABS, LD_H, LD_H_ABS, LD_W, LD_W_ABS, RET, Assembler, Instruction

LDX_MSH = 0xB1  # X = the length of the IPv4 header that begins at k
KEPT = 128  # bytes of what is heard
ECHO_REPLY, ECHO_REPLY_V6 = 0, 129
ECHO_REQUEST, ECHO_REQUEST_V6 = 8, 128
ARP_REQUEST, ARP_REPLY = 1, 2
ETHERTYPE, OPERATION, SENDER, TARGET, PADDING = 12, 20, 28, 38, 42  # bytes of an ARP frame up to there
RST, SYN_ACK = 0x04, 0x12
ALL_ONES = 0xFFFFFFFF


def echo_replies(run: int, version: int) -> tuple[Instruction, ...]:
    """Echo replies to this run, as a raw socket of this IP version sees them (over IPv6 without a header)."""
    program = Assembler()
    if version == 4:
        program.emit((LDX_MSH, 0), (LD_B, 0))
        program.test(JEQ, ECHO_REPLY, None, "reject")
        program.emit((LD_W, 8))
    else:
        program.emit(LD_B_ABS)
        program.test(JEQ, ECHO_REPLY_V6, None, "reject")
        program.emit((LD_W_ABS, 8))
    program.test(JEQ, run, "accept", "reject")
    return _ended(program)


def echoes(run: int, version: int) -> tuple[Instruction, ...]:
    """Echo requests and replies of this run, as a raw socket of this IP version sees them."""
    program = Assembler()
    byte, word = (LD_B, LD_W) if version == 4 else (LD_B_ABS, LD_W_ABS)
    request, reply = (ECHO_REQUEST, ECHO_REPLY) if version == 4 else (ECHO_REQUEST_V6, ECHO_REPLY_V6)
    if version == 4:
        program.emit((LDX_MSH, 0))
    program.emit((byte, 0))
    program.test(JEQ, request, "token")
    program.test(JEQ, reply, None, "reject")
    program.label("token")
    program.emit((word, 8))
    program.test(JEQ, run, "accept", "reject")
    return _ended(program)


def syn_answers(port: int, version: int) -> tuple[Instruction, ...]:
    """What answers a SYN from this port: SYN and ACK together, or a reset."""
    program = Assembler()
    byte, half = (LD_B, LD_H) if version == 4 else (LD_B_ABS, LD_H_ABS)
    if version == 4:
        program.emit((LDX_MSH, 0))
    program.emit((half, 2))
    program.test(JEQ, port, None, "reject")
    program.emit((byte, 13))
    program.test(JSET, RST, "accept")
    program.emit((byte, 13))
    program.test(JEQ, SYN_ACK, "accept", "reject")
    return _ended(program)


def arp_frames(run: int, address: int) -> tuple[Instruction, ...]:
    """ARP replies to the station with this IPv4 address, and the questions of this run to all stations."""
    program = Assembler()
    program.emit((LD_H_ABS, OPERATION))
    program.test(JEQ, ARP_REPLY, "reply")
    program.emit((LD_W_ABS, 0))
    program.test(JEQ, ALL_ONES, None, "reject")
    program.emit((LD_W_ABS, PADDING))
    program.test(JEQ, run, "accept", "reject")
    program.label("reply")
    program.emit((LD_W_ABS, TARGET))
    program.test(JEQ, address, "accept", "reject")
    return _ended(program)


def _ended(program: Assembler) -> tuple[Instruction, ...]:
    program.label("reject")
    program.emit((RET, 0))
    program.label("accept")
    program.emit((RET, KEPT))
    return program.assemble()
