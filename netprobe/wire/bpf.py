"""A small assembler for classic BPF, the filter language of Linux sockets (bpf(4) of BSD; Documentation/networking/filter.rst).

Jumps name labels and go forward only. A conditional jump reaches 255 instructions; a longer one is assembled as a short one
over two unconditional jumps.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

Instruction = tuple[int, int, int, int]  # code, jt, jf, k

LIMIT = 4096  # instructions, BPF_MAXINSNS
REACH = 255  # of a conditional jump

# include/uapi/linux/bpf_common.h
LD_W_ABS, LD_H_ABS, LD_B_ABS = 0x20, 0x28, 0x30
LD_W, LD_H, LD_B = 0x40, 0x48, 0x50  # [x + k]
LD_IMM, LD_MEM, LDX_IMM, LDX_MEM = 0x00, 0x60, 0x01, 0x61
ST, STX = 0x02, 0x03
ADD, SUB, AND, LSH, RSH, ADD_X = 0x04, 0x14, 0x54, 0x64, 0x74, 0x0C
JA, JEQ, JGT, JGE, JSET = 0x05, 0x15, 0x25, 0x35, 0x45
RET, TAX, TXA = 0x06, 0x07, 0x87


@dataclass(frozen=True, slots=True)
class _Line:
    code: int
    k: int = 0
    then: str | None = None  # None: the next line
    otherwise: str | None = None


@dataclass(slots=True)
class Program:
    """A program being written: `emit`, `test`, `goto` and `label` in the order of execution, then `assemble`."""

    _lines: list[_Line] = field(default_factory=list)
    _labels: dict[str, int] = field(default_factory=dict)

    def emit(self, *codes: tuple[int, int] | int) -> None:
        """Append instructions: pairs of code and k, or a code alone where k is 0."""
        for code in codes:
            self._lines.append(_Line(*code) if isinstance(code, tuple) else _Line(code))

    def test(self, code: int, k: int, then: str | None = None, otherwise: str | None = None) -> None:
        """Append a conditional jump on the accumulator; None falls through to the next line."""
        self._lines.append(_Line(code, k, then, otherwise))

    def switch(self, cases: dict[int, str], otherwise: str | None = None) -> None:
        """Jump to the label of the value that the accumulator equals."""
        for value, label in cases.items():
            self.test(JEQ, value, label)
        if otherwise is not None:
            self.goto(otherwise)

    def goto(self, label: str) -> None:
        """Append an unconditional jump."""
        self._lines.append(_Line(JA, then=label))

    def label(self, name: str) -> None:
        """Name the next line. Raises ValueError for a name that is taken."""
        if name in self._labels:
            raise ValueError(f"label {name} is already there")
        self._labels[name] = len(self._lines)

    def assemble(self) -> tuple[Instruction, ...]:
        """The instructions. Raises ValueError for a label that is missing or lies behind, and for too long a program."""
        sizes = [1] * len(self._lines)
        while True:
            starts = _starts(sizes)
            far = [i for i in range(len(sizes)) if sizes[i] == 1 and self._is_far(i, starts)]
            if not far:
                break
            for i in far:
                sizes[i] = 3
        if starts[-1] > LIMIT:
            raise ValueError(f"{starts[-1]} instructions, the kernel takes {LIMIT}")
        return tuple(instruction for i in range(len(sizes)) for instruction in self._encode(i, starts, sizes[i]))

    def _distance(self, i: int, label: str | None, starts: list[int], end: int) -> int:
        """How many instructions lie between position `end` and the label."""
        if label is None:
            return starts[i + 1] - end
        if label not in self._labels:
            raise ValueError(f"no label {label}")
        distance = starts[self._labels[label]] - end
        if distance < 0:
            raise ValueError(f"label {label} lies behind: BPF jumps forward only")
        return distance

    def _is_far(self, i: int, starts: list[int]) -> bool:
        line = self._lines[i]
        if line.code not in (JEQ, JGT, JGE, JSET):
            return False
        return any(self._distance(i, label, starts, starts[i] + 1) > REACH for label in (line.then, line.otherwise))

    def _encode(self, i: int, starts: list[int], size: int) -> tuple[Instruction, ...]:
        line, at = self._lines[i], starts[i]
        if line.code == JA:
            return ((JA, 0, 0, self._distance(i, line.then, starts, at + 1)),)
        if line.code not in (JEQ, JGT, JGE, JSET):
            return ((line.code, 0, 0, line.k & 0xFFFFFFFF),)
        if size == 1:
            then = self._distance(i, line.then, starts, at + 1)
            return ((line.code, then, self._distance(i, line.otherwise, starts, at + 1), line.k),)
        return (
            (line.code, 0, 1, line.k),
            (JA, 0, 0, self._distance(i, line.then, starts, at + 2)),
            (JA, 0, 0, self._distance(i, line.otherwise, starts, at + 3)),
        )


def _starts(sizes: list[int]) -> list[int]:
    """Where each line begins, and where the program ends."""
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    return starts


def packed(instructions: tuple[Instruction, ...]) -> bytes:
    """The array of struct sock_filter that SO_ATTACH_FILTER takes."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
