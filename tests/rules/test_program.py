"""What BPF programs can answer, by their instructions; the kernel's own word on it is in tests/live/test_programs.py."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from instructions import (
    CALLED,
    EXIT,
    add,
    by_byte,
    call,
    copy,
    counted,
    if_below,
    if_equal,
    jump,
    load,
    map_address,
    mov,
    raw,
    returned,
    store,
    store_number,
    wide,
)

from netprobe.rules.program import answers as walk
from netprobe.rules.program.answers import LONGEST

NAMES = {number: name for name, number in CALLED.items()}
ABORTED, DROP, PASS = 0, 1, 2


def answers(code: bytes, names: Mapping[int, str]) -> frozenset[int] | None:
    return walk.answers(code, lambda: names)


BYTE = load(8, 2, 1, 0) + load(1, 3, 2, 0)  # of the packet, into r3


def in_array(key: int) -> bytes:
    """What the verifier writes for a look into an array of one entry (kernel/bpf/arraymap.c, array_map_gen_lookup)."""
    looked = load(4, 0, 2, 0) + raw(0x35, 0, 0, 3, 1) + raw(0x67, 0, immediate=3) + raw(0x0F, 0, 1) + jump(1) + mov(0, 0)
    return store_number(4, 10, -4, key) + copy(2, 10) + add(2, -4) + map_address(1, 7) + add(1, 272) + looked


def counted_there(answer: int, without: int) -> bytes:
    """One more in the entry; the answers where there is one and where there is none."""
    return if_equal(0, 0, 4) + mov(1, 1) + raw(0xDB, 0, 1) + returned(answer) + returned(without)


UNDERSTOOD = {
    "a constant": (returned(DROP), {DROP}),
    "by a copy": (mov(6, PASS) + copy(0, 6) + EXIT, {PASS}),
    "calculated": (mov(0, 1) + add(0, 1) + raw(0x67, 0, immediate=2) + raw(0x1F, 0, 0) + add(0, 2) + EXIT, {PASS}),
    "below zero": (returned(-1), {0xFFFFFFFF}),
    "64 bits, of which 32 count": (wide(0, 5 << 32 | PASS) + EXIT, {PASS}),
    "by the packet, both drop": (BYTE + if_equal(3, 6, 2) + returned(DROP) + returned(ABORTED), {DROP, ABORTED}),
    "by the packet, one passes": (BYTE + mov(0, DROP) + if_equal(3, 6, 1) + mov(0, PASS) + EXIT, {DROP, PASS}),
    "a condition that is known": (mov(1, 3) + if_equal(1, 3, 2) + returned(DROP) + returned(PASS), {PASS}),
    "one that never is": (mov(1, 4) + if_equal(1, 3, 2) + returned(DROP) + returned(PASS), {DROP}),
    "by sign": (mov(1, -1) + raw(0xC5, 1, 0, 2, 0) + returned(DROP) + returned(PASS), {PASS}),
    "by the lower half": (wide(1, 7 << 32 | 3) + raw(0x16, 1, 0, 2, 3) + returned(DROP) + returned(PASS), {PASS}),
    "what a condition tells": (BYTE + mov(0, DROP) + if_equal(3, PASS, 1) + EXIT + copy(0, 3) + EXIT, {DROP, PASS}),
    "a loop": (mov(1, 0) + add(1, 1) + if_below(1, 5, -2) + returned(PASS), {PASS}),
    "a long loop": (mov(1, 0) + add(1, 1) + if_below(1, 1 << 20, -2) + returned(PASS), {PASS}),
    "kept on the stack": (mov(6, PASS) + store(8, 10, 6, -8) + load(8, 0, 10, -8) + EXIT, {PASS}),
    "half of it": (store_number(4, 10, -4, PASS) + load(4, 0, 10, -4) + EXIT, {PASS}),
    "counted in a map": (counted(7, PASS, PASS), {PASS}),
    "counted where there is an entry": (counted(7, PASS, DROP), {PASS, DROP}),
    "an entry that is always there": (map_address(6, 7) + copy(0, 6) + if_equal(0, 0, 2) + returned(PASS) + returned(DROP), {PASS}),
    "an array's entry by a constant": (in_array(0) + counted_there(PASS, ABORTED), {PASS}),
    "one beyond its end": (in_array(1) + counted_there(PASS, ABORTED), {ABORTED}),
    "null is the answer": (
        copy(2, 10) + map_address(1, 7) + call("bpf_map_lookup_elem") + if_equal(0, 0, 1) + mov(0, PASS) + EXIT, {ABORTED, PASS}
    ),
    "the time": (call("bpf_ktime_get_ns") + raw(0x57, 0, immediate=1) + if_equal(0, 0, 2) + returned(DROP) + returned(PASS), {DROP, PASS}),
    # an address in a map of one entry for each processor, as the verifier writes it
    "a counter of each processor": (
        map_address(6, 7) + load(8, 0, 6, 0) + raw(0xBF, 0, 0, -1) + store(8, 0, 1, 0) + returned(PASS), {PASS}
    ),
}  # fmt: skip

NOT_UNDERSTOOD = {
    "nothing": b"",
    "less than an instruction": EXIT[:7],
    "no end": mov(0, PASS),
    "a jump out of it": jump(5) + EXIT,
    "a jump before it": jump(-2) + EXIT,
    "for ever": jump(-1) + EXIT,
    "half of a 64-bit constant": wide(0, PASS)[:8],
    "a register that there is none of": raw(0xB7, 15, immediate=PASS) + EXIT,
    "an answer out of the packet": BYTE + copy(0, 3) + EXIT,
    "an answer that nobody set": EXIT,
    "redirected": call("bpf_xdp_adjust_head") + returned(PASS),
    "a call that has no name": raw(0x85, immediate=23) + returned(PASS),
    "a call of its own": raw(0x85, 0, 1, 0, 1) + EXIT + returned(PASS),
    "a function of a module": raw(0x85, 0, 2, 0, CALLED["bpf_ktime_get_ns"]) + returned(PASS),
    "into the context": store_number(4, 1, 8, 5) + returned(PASS),
    "into the packet": load(8, 2, 1, 0) + store_number(1, 2, 0, 5) + returned(DROP),
    "into the packet, on one side": BYTE + if_equal(3, 6, 1) + store_number(1, 2, 0, 5) + returned(PASS),
    "into what was on the stack": store(8, 10, 1, -8) + load(8, 2, 10, -8) + store_number(1, 2, 0, 5) + returned(PASS),
    "into a number": wide(2, 1 << 40) + store_number(1, 2, 0, 5) + returned(PASS),
    "into a map or the packet": (
        map_address(6, 7) + BYTE + if_equal(3, 6, 1) + copy(6, 2) + store_number(1, 6, 0, 5) + returned(PASS)
    ),
    "into the packet, by a map's address": (
        load(8, 2, 1, 0) + map_address(6, 7) + raw(0x0F, 2, 6) + store_number(1, 2, 0, 5) + returned(PASS)
    ),
    "exchanged with the packet": load(8, 2, 1, 0) + raw(0xDB, 2, 6, 0, 0xE1) + returned(PASS),
    "the tail of another": raw(0x8D, 0, 1) + returned(PASS),
    "an instruction that does not exist": raw(0xE5) + returned(PASS),
    "too long": mov(1, 0) * LONGEST + returned(PASS),
}  # fmt: skip


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_a_program_can_answer(name: str) -> None:
    code, expected = UNDERSTOOD[name]
    assert answers(code, NAMES) == expected


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_what_is_not_understood(name: str) -> None:
    assert answers(NOT_UNDERSTOOD[name], NAMES) is None


def test_a_write_to_the_stack_by_the_kernel_leaves_nothing_there() -> None:
    kept, again = mov(6, PASS) + store(8, 10, 6, -8), load(8, 0, 10, -8) + EXIT
    to_stack = copy(3, 10) + add(3, -16) + raw(0x85, immediate=9)
    assert answers(kept + again, {}) == {PASS}
    assert answers(kept + to_stack + again, {9: "bpf_skb_load_bytes"}) is None
    assert answers(kept + to_stack + returned(PASS), {9: "bpf_skb_load_bytes"}) == {PASS}
    assert answers(load(8, 3, 1, 0) + raw(0x85, immediate=9) + returned(PASS), {9: "bpf_skb_load_bytes"}) is None


def test_a_byte_of_the_packet() -> None:
    assert answers(by_byte(0, 8, 8, 23, 6, DROP, PASS), {}) == {DROP, PASS}


CODES = [
    0xB7,
    0xBF,
    0x07,
    0x0F,
    0x15,
    0x1D,
    0xA5,
    0x05,
    0x06,
    0x85,
    0x95,
    0x18,
    0x61,
    0x79,
    0x62,
    0x63,
    0x7B,
    0xDB,
    0xC3,
    0x66,
    0xD6,
    0x84,
    0x37,
]
LIKELY = st.builds(
    lambda code, dst, src, offset, number: struct.pack("<BBhi", code, dst | src << 4, offset, number),
    st.sampled_from(CODES), st.integers(0, 11), st.integers(0, 11), st.integers(-6, 6), st.integers(-3, 20),
)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=400), st.lists(LIKELY, max_size=60).map(b"".join)))
@example(b"\xff" * 64)
def test_no_bytes_are_too_much(code: bytes) -> None:
    found = answers(code, NAMES)
    assert found is None or all(0 <= each < 1 << 32 for each in found)


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores all over the stack, and jumps back to the start, in the longest program that is looked at."""
    stores = b"".join(store_number(1, 10, -1 - at % 512, at) for at in range(LONGEST - 4))
    everywhere = stores + load(1, 6, 10, -1) + raw(0x1D, 6, 7, -LONGEST + 2) + returned(PASS)
    assert answers(everywhere, {}) == {PASS}
    monkeypatch.setattr("netprobe.rules.program.answers.STEPS", LONGEST)  # it takes another round
    assert answers(everywhere, {}) is None
