"""Which answers a BPF program can give, whatever the packet is and the maps hold: both sides of a branch are
followed where its condition is not known. Pure.

The program has passed the kernel's verifier (kernel/bpf/verifier.c), which keeps an address from becoming a
number and back. What may touch the packet or send it elsewhere - a store that is not to the program's own
memory, a function of the kernel that is not known to leave it alone - makes a program "not understood"; so
does what takes too long.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from itertools import product

from msgspec.structs import replace

from . import instruction, value
from .helpers import HELPERS
from .instruction import (
    ALU,
    ALU64,
    ATOMIC,
    ATOMICS,
    COMPARE_AND_EXCHANGE,
    EXCHANGE,
    EXIT,
    FETCH,
    JMP,
    JMP32,
    LDX,
    MAPS,
    MEM,
    MEMSX,
    PER_CPU,
    PLAIN,
    REGISTERS,
    SIZE,
    ST,
    STX,
    EbpfInstruction,
)
from .value import (
    MAP,
    NUMBER,
    UNKNOWN,
    ProgramState,
    RegisterKind,
    RegisterValue,
    at_start,
    constant,
    cut,
    signed,
)

LONGEST = 8192  # instructions
STEPS = 32768  # instructions looked at, each time that it is

_MOV, _END = 0xB0, 0xD0
_CLOBBERED = range(1, 6)  # what a call leaves nothing in

_COPIES = {PER_CPU: MAP, 8: NUMBER, 16: NUMBER, 32: NUMBER}
_BYTES = {ALU: 4, ALU64: 8}
_CALCULATED = {ALU: value.calculated32, ALU64: value.calculated}
_FETCHING = (EXCHANGE, COMPARE_AND_EXCHANGE, *(each | FETCH for each in ATOMICS))

_COMPARED: Mapping[int, Callable[[int, int], bool]] = {
    0x10: operator.eq, 0x20: operator.gt, 0x30: operator.ge, 0x40: lambda a, b: bool(a & b),
    0x50: operator.ne,
    0x60: operator.gt, 0x70: operator.ge, 0xA0: operator.lt, 0xB0: operator.le, 0xC0: operator.lt,
    0xD0: operator.le,
}  # fmt: skip
_SIGNED = (0x60, 0x70, 0xC0, 0xD0)
_EQUAL, _UNEQUAL = 0x10, 0x50

_Next = tuple[tuple[int, ProgramState], ...]


class NotFollowed(Exception):
    """Raised at an instruction that may touch the packet, or that nobody here knows."""


Names = Callable[[], Mapping[int, str]]


def answers(code: bytes, names: Names) -> frozenset[int] | None:
    """The numbers (32 bits, unsigned) that a program can return, or None where it is not understood.

    `code` is the program as the kernel translated it (bpf(2), xlated_prog_insns), on a little-endian machine;
    `names` gives the functions of the kernel by their distance from __bpf_call_base, where one is called.
    """
    if len(code) > SIZE * LONGEST:
        return None
    try:
        return _Walk(code, names).returned()
    except NotFollowed:
        return None


class _Walk:
    """All ways through a program: what is known before each instruction, and what is returned."""

    def __init__(self, code: bytes, names: Names) -> None:
        self.code = code
        self.names = names

    def returned(self) -> frozenset[int] | None:
        """Raises NotFollowed."""
        known: dict[int, ProgramState] = {0: at_start()}
        waiting, found = [0], frozenset[int]()
        for _ in range(STEPS):
            if not waiting:
                return found or None
            at = waiting.pop()
            here = self._at(at)
            if here.code == EXIT:
                found |= _answers_of(known[at])
            for to, state in self._after(at, here, known[at]):
                together = known[to].joined(state) if to in known else state
                if together != known.get(to):
                    known[to] = together
                    waiting.append(to)
        return None

    def _at(self, place: int) -> EbpfInstruction:
        """Raises NotFollowed outside of the program, and where there is no such register."""
        if not 0 <= place < len(self.code) // SIZE:
            raise NotFollowed
        here = instruction.instruction(self.code, place)
        if max(here.dst, here.src) >= REGISTERS:
            raise NotFollowed
        return here

    def _after(self, at: int, here: EbpfInstruction, state: ProgramState) -> _Next:
        """Where it goes on, and what is known there."""
        match here.code:
            case instruction.EXIT:
                return ()
            case instruction.LD_IMM64:
                return ((at + 2, state.with_register(here.dst, self._wide(here, at))),)
            case instruction.JA:
                return ((at + 1 + here.offset, state),)
            case instruction.JA32:
                return ((at + 1 + here.immediate, state),)
            case instruction.CALL:
                return ((at + 1, self._call(here, state)),)
            case instruction.NO_SPECULATION:
                return ((at + 1, state),)
        return _branches(at, here, state) if here.kind in (JMP, JMP32) else ((at + 1, _worked(here, state)),)

    def _wide(self, here: EbpfInstruction, at: int) -> RegisterValue:
        """A constant of 64 bits, whose upper half stands in the place of the next instruction."""
        upper = self._at(at + 1).immediate
        if here.src in MAPS:
            return MAP
        return constant(here.immediate & value.HALF | upper << 32) if here.src == PLAIN else UNKNOWN

    def _call(self, here: EbpfInstruction, state: ProgramState) -> ProgramState:
        helper = HELPERS.get(self.names().get(here.immediate, "")) if here.src == 0 else None
        if helper is None:
            raise NotFollowed
        if helper.writes:
            state = _written(state, state.registers[helper.writes])
        for number in _CLOBBERED:
            state = state.with_register(number, UNKNOWN)
        return state.with_register(0, helper.returns)


def _answers_of(state: ProgramState) -> frozenset[int]:
    """What is in r0 at the end. Raises NotFollowed where that may be anything."""
    returned = cut(state.registers[0], 4).constants
    if not returned:
        raise NotFollowed
    return returned


def _written(state: ProgramState, address: RegisterValue) -> ProgramState:
    """After something was written to an address by the kernel. Raises NotFollowed where that may be in the
    packet.
    """
    if not address.is_own:
        raise NotFollowed
    return ProgramState(state.registers, {}) if address.kind is RegisterKind.STACK else state


def _worked(here: EbpfInstruction, state: ProgramState) -> ProgramState:
    """After an instruction that does not jump."""
    work = _WORK.get(here.kind)
    if work is None:
        raise NotFollowed
    return work(here, state)


def _second(here: EbpfInstruction, state: ProgramState) -> RegisterValue:
    return state.registers[here.src] if here.takes_register else constant(here.immediate)


def _calculate(here: EbpfInstruction, state: ProgramState) -> ProgramState:
    one, other = state.registers[here.dst], _second(here, state)
    if here.operation == _MOV:
        return state.with_register(here.dst, _moved(here, other))
    if here.operation == _END or here.offset:  # other ends, or a signed division
        return state.with_register(here.dst, NUMBER)
    return state.with_register(here.dst, _CALCULATED[here.kind](here.operation, one, other))


def _moved(here: EbpfInstruction, given: RegisterValue) -> RegisterValue:
    """A copy: of all of it, of its lower half, or with its sign; or an address of this processor's memory."""
    if here.offset:
        return _COPIES.get(here.offset, UNKNOWN)
    return cut(given, _BYTES[here.kind])


def _load(here: EbpfInstruction, state: ProgramState) -> ProgramState:
    if here.mode not in (MEM, MEMSX):
        raise NotFollowed
    found = state.loaded(state.registers[here.src], here.offset, here.width)
    return state.with_register(here.dst, found if here.mode == MEM else NUMBER)


def _store(here: EbpfInstruction, state: ProgramState) -> ProgramState:
    store = _STORES.get((here.kind, here.mode))
    if store is None or not state.registers[here.dst].is_own:
        raise NotFollowed
    return store(here, state)


def _put(here: EbpfInstruction, state: ProgramState) -> ProgramState:
    return _stored(here, state, state.registers[here.src])


def _put_constant(here: EbpfInstruction, state: ProgramState) -> ProgramState:
    return _stored(here, state, constant(here.immediate))


def _stored(here: EbpfInstruction, state: ProgramState, given: RegisterValue) -> ProgramState:
    return state.stored(state.registers[here.dst], here.offset, here.width, given)


def _exchanged(here: EbpfInstruction, state: ProgramState) -> ProgramState:
    """After an atomic change of memory, which may bring back what was there."""
    after = _stored(here, state, UNKNOWN)
    if here.immediate in ATOMICS:
        return after
    if here.immediate not in _FETCHING:
        raise NotFollowed
    return after.with_register(0 if here.immediate == COMPARE_AND_EXCHANGE else here.src, UNKNOWN)


_STORES = {(ST, MEM): _put_constant, (STX, MEM): _put, (STX, ATOMIC): _exchanged}
_WORK: Mapping[int, Callable[[EbpfInstruction, ProgramState], ProgramState]] = {
    ALU: _calculate, ALU64: _calculate, LDX: _load, ST: _store, STX: _store,
}  # fmt: skip


def _branches(at: int, here: EbpfInstruction, state: ProgramState) -> _Next:
    """Both sides of a condition, or the one that alone can be, with what it tells of the register."""
    if here.operation not in _COMPARED:
        raise NotFollowed
    sides = ((True, at + 1 + here.offset), (False, at + 1))
    told = [(to, _told(here, state, outcome)) for outcome, to in sides]
    return tuple((to, state.with_register(here.dst, seen)) for to, seen in told if seen is not None)


def _told(here: EbpfInstruction, state: ProgramState, outcome: bool) -> RegisterValue | None:
    """What is known of the register that is compared where the comparison came out so; None: it cannot."""
    one, other = state.registers[here.dst], _second(here, state)
    if one.constants and other.constants:
        return _left(here, one, other, outcome)
    if here.kind != JMP or here.operation not in (_EQUAL, _UNEQUAL) or not other.constants:
        return one
    is_equal = (here.operation == _EQUAL) is outcome
    return one.where_equal(other) if is_equal else one.where_unequal(other)


def _left(
    here: EbpfInstruction, one: RegisterValue, other: RegisterValue, outcome: bool
) -> RegisterValue | None:
    """The constants of the one for which the comparison with one of the other's comes out so."""
    holds = _condition(here)
    pairs = product(one.constants, other.constants)
    left = frozenset(a for a, b in pairs if holds(a, b) is outcome)
    return replace(one, constants=left) if left else None


def _condition(here: EbpfInstruction) -> Callable[[int, int], bool]:
    """The comparison of two numbers of 64 bits, of which a JMP32 looks at the lower half."""
    compare, bits = _COMPARED[here.operation], 64 if here.kind == JMP else 32
    if here.operation in _SIGNED:
        return lambda a, b: compare(signed(a, bits), signed(b, bits))
    mask = (1 << bits) - 1
    return lambda a, b: compare(a & mask, b & mask)
