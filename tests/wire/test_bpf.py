"""The assembler: labels, long jumps, and what it refuses."""

from __future__ import annotations

import pytest
from bpf_machine import accepts
from hypothesis import given
from hypothesis import strategies as st

from netprobe.wire.bpf import JA, JEQ, LD_B_ABS, LD_IMM, RET, Assembler, packed


def picking(value: int, gap: int) -> Assembler:
    """A program that accepts a frame whose first byte is `value`, with `gap` idle instructions on the way."""
    program = Assembler()
    program.emit((LD_B_ABS, 0))
    program.test(JEQ, value, "yes", "no")
    for _ in range(gap):
        program.emit((LD_IMM, 0))
    program.label("no")
    program.emit((RET, 0))
    for _ in range(gap):
        program.emit((LD_IMM, 0))
    program.label("yes")
    program.emit((RET, 1))
    return program


@given(st.integers(0, 255), st.integers(0, 255), st.sampled_from([0, 1, 100, 127, 128, 254, 255, 256, 400]))
def test_jumps_of_any_length_arrive(value: int, byte: int, gap: int) -> None:
    assert accepts(picking(value, gap).assemble(), bytes([byte])) == (byte == value)


def test_no_jump_is_too_long_for_the_kernel() -> None:
    for code, jt, jf, _ in picking(7, 400).assemble():
        assert max(jt, jf) <= 255
        assert code == JA or code in (JEQ, LD_B_ABS, LD_IMM, RET)


def test_a_frame_that_is_too_short_is_rejected() -> None:
    assert not accepts(picking(0, 0).assemble(), b"")


def test_one_instruction_is_eight_bytes() -> None:
    assert packed(((RET, 0, 0, 0x12345678),)) == b"\x06\x00\x00\x00\x78\x56\x34\x12"


def test_mistakes_are_refused() -> None:
    program = Assembler()
    program.label("here")
    with pytest.raises(ValueError, match="already"):
        program.label("here")
    program.goto("nowhere")
    with pytest.raises(ValueError, match="no label nowhere"):
        program.assemble()


def test_a_jump_back_is_refused() -> None:
    program = Assembler()
    program.label("here")
    program.emit((LD_IMM, 0))
    program.goto("here")
    with pytest.raises(ValueError, match="forward only"):
        program.assemble()


def test_a_program_longer_than_the_kernel_takes_is_refused() -> None:
    program = Assembler()
    for _ in range(5000):
        program.emit((LD_IMM, 0))
    with pytest.raises(ValueError, match="5000 instructions"):
        program.assemble()
