"""A classic BPF machine for tests: runs a filter over a frame as the kernel would (net/core/filter.c, in small)."""

from __future__ import annotations

from netprobe.wire.bpf import Instruction

HATYPE = 0xFFFFF000 + 28
NETWORK = 0xFFF00000  # SKF_NET_OFF


class _Rejected(Exception):
    """A load beyond the frame's end: the kernel returns 0."""


def accepts(program: tuple[Instruction, ...], frame: bytes, hatype: int = 1, network: bytes = b"") -> bool:
    """Whether the filter lets the frame pass. `network` is the IP header, for a filter that sees what is behind it."""
    a = x = 0
    memory = [0] * 16
    at = 0
    try:
        while True:
            code, jt, jf, k = program[at]
            at += 1
            kind = code & 7
            if kind == 0x00:  # BPF_LD
                if code == 0x20 and NETWORK <= k < HATYPE:
                    a = _load(code, k - NETWORK, 0, memory, network)
                else:
                    a = hatype if (code, k) == (0x20, HATYPE) else _load(code, k, x, memory, frame)
            elif kind == 0x01:  # BPF_LDX
                x = k if code == 0x01 else memory[k]
            elif kind == 0x02:
                memory[k] = a
            elif kind == 0x03:
                memory[k] = x
            elif kind == 0x04:
                a = _compute(code, a, x if code & 0x08 else k)
            elif kind == 0x05:
                at += k if code == 0x05 else (jt if _holds(code, a, k) else jf)
            elif kind == 0x06:
                return k != 0
            elif code == 0x07:
                x = a
            else:
                a = x
    except _Rejected:
        return False


def _load(code: int, k: int, x: int, memory: list[int], frame: bytes) -> int:
    if code == 0x00:
        return k
    if code == 0x60:
        return memory[k]
    size = {0x00: 4, 0x08: 2, 0x10: 1}[code & 0x18]
    start = k + (x if code & 0xE0 == 0x40 else 0)
    if start + size > len(frame):
        raise _Rejected
    return int.from_bytes(frame[start : start + size], "big")


def _compute(code: int, a: int, operand: int) -> int:
    results = {0x00: a + operand, 0x10: a - operand, 0x50: a & operand, 0x60: a << (operand & 31), 0x70: a >> (operand & 31)}
    return results[code & 0xF0] & 0xFFFFFFFF


def _holds(code: int, a: int, k: int) -> bool:
    return {0x10: a == k, 0x20: a > k, 0x30: a >= k, 0x40: bool(a & k)}[code & 0xF0]
