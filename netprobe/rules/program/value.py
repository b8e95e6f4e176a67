"""What is known of a register of a BPF program: one of a few constants, an address of the program's own
memory, a number, or nothing. Pure.

Several ways may lead to an instruction. What is known there holds on all of them (`joined`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import Enum
from itertools import product

from msgspec import Struct

from .instruction import REGISTERS

MOST = 8  # constants that one register may have; more are any number
_STACK = range(-512, 0)  # MAX_BPF_STACK
_KEPT = 64  # places on the stack that are remembered
WORD, HALF = (1 << 64) - 1, (1 << 32) - 1


class RegisterKind(Enum):
    """Of an address, whose memory it is; a program writes to its stack and its maps without touching the
    packet.
    """

    CONSTANT = "one of a few constants"
    NUMBER = "a number, and no address"
    MAP = "an address in a map"
    MAP_OR_NULL = "an address in a map, or null"
    STACK = "an address on the stack"
    UNKNOWN = "a number or any address"


class RegisterValue(Struct, frozen=True, gc=False):
    """`constants` are unsigned, 64 bits; `offset` of a place on the stack from its top, None for any."""

    kind: RegisterKind
    constants: frozenset[int] = frozenset()
    offset: int | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is an address of the program's own memory."""
        return self.kind in (RegisterKind.MAP, RegisterKind.MAP_OR_NULL, RegisterKind.STACK)

    def where_equal(self, other: RegisterValue) -> RegisterValue | None:
        """What is known where it is found to be equal to a constant; None: it cannot be."""
        return (
            None
            if self.kind in (RegisterKind.MAP, RegisterKind.STACK) and other.constants == _NULL
            else other
        )

    def where_unequal(self, other: RegisterValue) -> RegisterValue:
        """What is known where it is found to be unequal to a constant."""
        return MAP if self.kind is RegisterKind.MAP_OR_NULL and other.constants == _NULL else self

    @property
    def single(self) -> int | None:
        """The constant that it is."""
        return next(iter(self.constants)) if len(self.constants) == 1 else None


UNKNOWN, NUMBER = RegisterValue(RegisterKind.UNKNOWN), RegisterValue(RegisterKind.NUMBER)
MAP, MAP_OR_NULL = RegisterValue(RegisterKind.MAP), RegisterValue(RegisterKind.MAP_OR_NULL)
_NULL = frozenset({0})


def constant(*numbers: int) -> RegisterValue:
    """One of these numbers; of none or too many, any number."""
    found = frozenset(each & WORD for each in numbers)
    return RegisterValue(RegisterKind.CONSTANT, found) if 0 < len(found) <= MOST else NUMBER


def on_stack(offset: int | None) -> RegisterValue:
    """A place on the stack."""
    return RegisterValue(RegisterKind.STACK, offset=offset)


_CONSTANTS = frozenset({RegisterKind.CONSTANT})
_OR_NULL = tuple(
    frozenset({RegisterKind.CONSTANT, kind}) for kind in (RegisterKind.MAP, RegisterKind.MAP_OR_NULL)
)
_JOINED = {
    frozenset({RegisterKind.CONSTANT, RegisterKind.NUMBER}): NUMBER,
    frozenset({RegisterKind.MAP, RegisterKind.MAP_OR_NULL}): MAP_OR_NULL,
    # a store to it makes all of the stack unknown
    frozenset({RegisterKind.STACK}): on_stack(None),
    frozenset({RegisterKind.STACK, RegisterKind.MAP}): on_stack(None),
}


def joined(one: RegisterValue, other: RegisterValue) -> RegisterValue:
    """What is known where it is one or the other."""
    if one == other:
        return one
    kinds = frozenset((one.kind, other.kind))
    if kinds == _CONSTANTS:
        return constant(*one.constants, *other.constants)
    if kinds in _OR_NULL and _NULL in (one.constants, other.constants):
        return MAP_OR_NULL
    return _JOINED.get(kinds, UNKNOWN)


_SHIFTS = (0x60, 0x70)


def _shifted(number: int, by: int) -> int:
    return number << (by & 63)


_FOLDED: Mapping[int, Callable[[int, int], int]] = {
    0x00: operator.add, 0x10: operator.sub, 0x20: operator.mul, 0x40: operator.or_, 0x50: operator.and_,
    0x60: _shifted, 0x70: lambda number, by: number >> (by & 63), 0xA0: operator.xor,
}  # fmt: skip


def calculated(operation: int, one: RegisterValue, other: RegisterValue) -> RegisterValue:
    """The result of 64 bits. Addresses are added to and subtracted from alone: the verifier refuses all else
    (kernel/bpf/verifier.c, adjust_ptr_min_max_vals).
    """
    sum = _SUMS.get(operation, _any_number)
    return _of_constants(operation, one, other) if one.constants and other.constants else sum(one, other)


def _of_constants(operation: int, one: RegisterValue, other: RegisterValue) -> RegisterValue:
    fold = _FOLDED.get(operation)
    if fold is None:
        return NUMBER
    return constant(*(fold(a, b) for a, b in product(one.constants, other.constants)))


def _any_number(_one: RegisterValue, _other: RegisterValue) -> RegisterValue:
    return NUMBER


def _sum(one: RegisterValue, other: RegisterValue) -> RegisterValue:
    return _moved(other, one) if other.is_own else _moved(one, other)


def _difference(one: RegisterValue, other: RegisterValue) -> RegisterValue:
    return _moved(one, _of_constants(_SUB, constant(0), other) if other.constants else other)


def _moved(address: RegisterValue, by: RegisterValue) -> RegisterValue:
    """An address, or a number, and something added to it."""
    if by.kind not in (RegisterKind.CONSTANT, RegisterKind.NUMBER):
        return UNKNOWN
    if address.kind is RegisterKind.STACK:
        return on_stack(_further(address.offset, by.single))
    return NUMBER if address.constants else address


def _further(offset: int | None, by: int | None) -> int | None:
    return None if offset is None or by is None else signed(offset + by, 64)


_ADD, _SUB = 0x00, 0x10
_SUMS = {_ADD: _sum, _SUB: _difference}


def calculated32(operation: int, one: RegisterValue, other: RegisterValue) -> RegisterValue:
    """The result of 32 bits, which is no address any more."""
    most = 31 if operation in _SHIFTS else HALF
    by = constant(*(each & most for each in other.constants))
    return cut(calculated(operation, cut(one, 4), by), 4)


def cut(value: RegisterValue, width: int) -> RegisterValue:
    """The lower `width` bytes of it."""
    if width == 8:
        return value
    return (
        constant(*(each & ((1 << 8 * width) - 1) for each in value.constants)) if value.constants else NUMBER
    )


def signed(number: int, bits: int) -> int:
    """A number of so many bits, with its sign."""
    low = number & ((1 << bits) - 1)
    return low - (1 << bits) if low >> (bits - 1) else low


class ProgramState(Struct, frozen=True, gc=False):
    """What is known before an instruction: of each register, and of what was written to the stack, by offset
    and width.
    """

    registers: tuple[RegisterValue, ...]
    stack: Mapping[tuple[int, int], RegisterValue]

    def with_register(self, number: int, value: RegisterValue) -> ProgramState:
        """After `value` was put into a register."""
        before, after = self.registers[:number], self.registers[number + 1 :]
        return ProgramState((*before, value, *after), self.stack)

    def loaded(self, address: RegisterValue, offset: int, width: int) -> RegisterValue:
        """What is found in memory: what the program has put on its stack itself, and no more is known."""
        unknown = UNKNOWN if width == 8 else NUMBER
        return (
            unknown if address.offset is None else self.stack.get((address.offset + offset, width), unknown)
        )

    def stored(self, address: RegisterValue, offset: int, width: int, value: RegisterValue) -> ProgramState:
        """After a store to the program's own memory."""
        if address.kind is not RegisterKind.STACK:
            return self
        at = _further(address.offset, offset)
        if at is None or at not in _STACK or len(self.stack) >= _KEPT:
            return ProgramState(self.registers, {})
        kept = {k: v for k, v in self.stack.items() if k[0] + k[1] <= at or at + width <= k[0]}
        return ProgramState(self.registers, {**kept, (at, width): cut(value, width)})

    def joined(self, other: ProgramState) -> ProgramState:
        """What is known where it is this or the other."""
        registers = tuple(map(joined, self.registers, other.registers))
        both = self.stack.keys() & other.stack.keys()
        return ProgramState(registers, {key: joined(self.stack[key], other.stack[key]) for key in both})


def at_start() -> ProgramState:
    """Before the first instruction: r1 is the context, r10 the top of the stack."""
    registers = (UNKNOWN,) * REGISTERS
    return ProgramState(registers, {}).with_register(10, on_stack(0))
