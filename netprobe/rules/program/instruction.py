"""The instructions of eBPF: 8 bytes each, RFC 9669, with what the kernel's verifier adds of its own
(include/linux/filter.h). Pure.
"""

from __future__ import annotations

import struct

from msgspec import Struct

SIZE = 8  # bytes
REGISTERS = 12  # r0 to r10, and the one that only the kernel uses (BPF_REG_AX)

# classes, the low three bits of a code
LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(8)
# whole codes
LD_IMM64, CALL, EXIT, JA, JA32, NO_SPECULATION = 0x18, 0x85, 0x95, 0x05, 0x06, 0xC2
# how memory is reached, the high three bits of a load or a store
MEM, MEMSX, ATOMIC = 0x60, 0x80, 0xC0
WIDTHS = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}  # bytes
# what stands behind a 64-bit constant, in its source register (include/uapi/linux/bpf.h, BPF_PSEUDO_*)
PLAIN, MAPS = 0, (1, 2, 5, 6)
PER_CPU = -1  # the offset of a move that makes an address of this processor's (BPF_ADDR_PERCPU)
FETCH, EXCHANGE, COMPARE_AND_EXCHANGE = 0x01, 0xE1, 0xF1
ATOMICS = (0x00, 0x40, 0x50, 0xA0)  # add, or, and, xor

_FIELDS = struct.Struct("<BBhi")


class EbpfInstruction(Struct, frozen=True, gc=False):
    """One instruction; `dst` and `src` are registers, `immediate` is signed."""

    code: int
    dst: int
    src: int
    offset: int
    immediate: int

    @property
    def kind(self) -> int:
        """Its class."""
        return self.code & 0x07

    @property
    def operation(self) -> int:
        """What is calculated or compared."""
        return self.code & 0xF0

    @property
    def mode(self) -> int:
        """How memory is reached."""
        return self.code & 0xE0

    @property
    def width(self) -> int:
        """How many bytes are loaded or stored."""
        return WIDTHS[self.code & 0x18]

    @property
    def takes_register(self) -> bool:
        """Whether the second operand is a register, and not the constant."""
        return bool(self.code & 0x08)


def instruction(code: bytes, place: int) -> EbpfInstruction:
    """The instruction at a place that is in the program."""
    operation, registers, offset, immediate = _FIELDS.unpack_from(code, SIZE * place)
    return EbpfInstruction(operation, registers & 0x0F, registers >> 4, offset, immediate)
