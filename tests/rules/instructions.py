"""BPF instructions written by name, for tests: each gives its 8 bytes (RFC 9669), a 64-bit constant 16."""

from __future__ import annotations

import struct

from netprobe.rules.program import instruction as bpf

SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
CALLED = {"bpf_map_lookup_elem": 1, "bpf_map_update_elem": 2, "bpf_ktime_get_ns": 14, "bpf_xdp_adjust_head": 44}
"""Functions by the numbers under which these tests call them (BPF_FUNC_*, as a program is loaded)."""


def raw(code: int, dst: int = 0, src: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("<BBhi", code, dst | src << 4, offset, immediate)


EXIT = raw(bpf.EXIT)


def mov(dst: int, number: int) -> bytes:
    return raw(0xB7, dst, immediate=number)


def copy(dst: int, src: int) -> bytes:
    return raw(0xBF, dst, src)


def add(dst: int, number: int) -> bytes:
    return raw(0x07, dst, immediate=number)


def load(width: int, dst: int, src: int, offset: int) -> bytes:
    return raw(0x61 | SIZES[width], dst, src, offset)


def store(width: int, dst: int, src: int, offset: int) -> bytes:
    return raw(0x63 | SIZES[width], dst, src, offset)


def store_number(width: int, dst: int, offset: int, number: int) -> bytes:
    return raw(0x62 | SIZES[width], dst, 0, offset, number)


def if_equal(dst: int, number: int, skip: int) -> bytes:
    return raw(0x15, dst, 0, skip, number)


def if_below(dst: int, number: int, skip: int) -> bytes:
    return raw(0xA5, dst, 0, skip, number)


def jump(skip: int) -> bytes:
    return raw(bpf.JA, offset=skip)


def call(name: str) -> bytes:
    return raw(bpf.CALL, immediate=CALLED[name])


def map_address(dst: int, descriptor: int) -> bytes:
    return raw(bpf.LD_IMM64, dst, 1, 0, descriptor) + raw(0)


def wide(dst: int, number: int) -> bytes:
    return raw(bpf.LD_IMM64, dst, 0, 0, number & 0xFFFFFFFF) + raw(0, immediate=number >> 32)


def returned(number: int) -> bytes:
    return mov(0, number) + EXIT


def counted(descriptor: int, answer: int, without: int) -> bytes:
    """A program that counts packets in the first entry of a map: its answer, and the one where there is no entry."""
    found = mov(1, 1) + raw(0xDB, 0, 1) + returned(answer)
    return (
        store_number(4, 10, -4, 0) + copy(2, 10) + add(2, -4) + map_address(1, descriptor) + call("bpf_map_lookup_elem")
        + if_equal(0, 0, 4) + found + returned(without)
    )  # fmt: skip


def by_byte(context_data: int, context_end: int, width: int, offset: int, value: int, equal: int, otherwise: int) -> bytes:
    """A program that looks at one byte of the packet, and its answers; what is too short passes by the second one."""
    return (
        load(width, 2, 1, context_data) + load(width, 3, 1, context_end) + copy(4, 2) + add(4, offset + 1)
        + raw(0x2D, 4, 3, 4) + load(1, 5, 2, offset) + raw(0x55, 5, 0, 2, value) + returned(equal) + returned(otherwise)
    )  # fmt: skip
