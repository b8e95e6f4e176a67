"""A small assembler for classic BPF, the filter language of Linux sockets (bpf(4) of BSD;
Documentation/networking/filter.rst).

Jumps name labels and go forward only. A conditional jump reaches 255 instructions; a longer one is assembled
as a short one over two unconditional jumps.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

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
CONDITIONAL = (JEQ, JGT, JGE, JSET)


class _Line(Struct, frozen=True, gc=False):
    code: int
    k: int = 0
    then: str | None = None  # None: the next line
    otherwise: str | None = None


class Assembler(Struct):
    """A program being written:

    `emit`, `test`, `goto` and `label` in the order of execution, then `assemble`.
    """

    _lines: list[_Line] = []
    _labels: dict[str, int] = {}

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
        """The instructions. Raises ValueError for a label that is missing or lies behind, and for too long a
        program.
        """
        steps = tuple((line.code, line.then, line.otherwise) for line in self._lines)
        numbers = [line.k if line.code in CONDITIONAL else line.k & 0xFFFFFFFF for line in self._lines]
        return tuple(
            (code, jt, jf, k if line is None else numbers[line])
            for code, jt, jf, k, line in _laid_out(steps, tuple(self._labels.items()))
        )


_Step = tuple[int, str | None, str | None]  # a line without its k
_Laid = tuple[int, int, int, int, int | None]  # an instruction, and the line that its k is of, if it is


@lru_cache(maxsize=64)  # programs of one kind differ from question to question in what they compare with
def _laid_out(steps: tuple[_Step, ...], labels: tuple[tuple[str, int], ...]) -> tuple[_Laid, ...]:
    """The instructions of a program, but for the numbers in its lines. Raises ValueError."""
    known = dict(labels)
    targets = [
        (_target(known, i, then), _target(known, i, other)) for i, (_, then, other) in enumerate(steps)
    ]
    sizes = [1] * len(steps)
    while True:
        starts = _starts(sizes)
        far = [
            i
            for i, (code, _, _) in enumerate(steps)
            if sizes[i] == 1 and code in CONDITIONAL and starts[max(targets[i])] - starts[i] - 1 > REACH
        ]
        if not far:
            break
        for i in far:
            sizes[i] = 3
    if starts[-1] > LIMIT:
        raise ValueError(f"{starts[-1]} instructions, the kernel takes {LIMIT}")
    return tuple(
        instruction
        for i, (code, _, _) in enumerate(steps)
        for instruction in _encoded(
            code, i, sizes[i], starts[i], starts[targets[i][0]], starts[targets[i][1]]
        )
    )


def _target(labels: Mapping[str, int], i: int, label: str | None) -> int:
    """The line that a label names; the next one without a label."""
    line = i + 1 if label is None else labels.get(label)
    if line is None:
        raise ValueError(f"no label {label}")
    if line <= i:
        raise ValueError(f"label {label} lies behind: BPF jumps forward only")
    return line


def _encoded(code: int, line: int, size: int, at: int, then: int, otherwise: int) -> tuple[_Laid, ...]:
    """The instructions of one line at position `at`, whose jumps lead to the positions `then` and
    `otherwise`.
    """
    if code == JA:
        return ((JA, 0, 0, then - at - 1, None),)
    if code not in CONDITIONAL:
        return ((code, 0, 0, 0, line),)
    if size == 1:
        return ((code, then - at - 1, otherwise - at - 1, 0, line),)
    return ((code, 0, 1, 0, line), (JA, 0, 0, then - at - 2, None), (JA, 0, 0, otherwise - at - 3, None))


def _starts(sizes: list[int]) -> list[int]:
    """Where each line begins, and where the program ends."""
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    return starts


@lru_cache(maxsize=16)  # a run gives the same to the taps of all its namespaces
def packed(instructions: tuple[Instruction, ...]) -> bytes:
    """The array of struct sock_filter that SO_ATTACH_FILTER takes."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
