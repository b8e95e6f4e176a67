"""What stands beside a frame is read by a short way where it is as usual, and comes to the same as by the long one."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from netprobe.linux.sensors import tap

WORDS = st.sampled_from([0, 1, 16, 48, 1500, (1 << 32) - 1])
SHORTS = st.sampled_from([0, 7, 0x8100, 0xFFFF])
SECONDS = st.sampled_from([-1, 0, 1_800_000_000, (1 << 63) - 1])


def message(level: int, kind: int, value: bytes) -> bytes:
    return struct.pack("@Nii", 16 + len(value), level, kind) + value + b"\0" * (-len(value) % 8)


STAMPS = st.builds(lambda *parts: message(socket.SOL_SOCKET, tap.SO_TIMESTAMPNS_NEW, struct.pack("=qq", *parts)), SECONDS, SECONDS)
BESIDE = st.builds(
    lambda words, shorts: message(tap.SOL_PACKET, tap.PACKET_AUXDATA, struct.pack("=IIIHHHH", *words, *shorts)),
    st.tuples(WORDS, WORDS, WORDS),
    st.tuples(SHORTS, SHORTS, SHORTS, SHORTS),
)
OTHERS = st.builds(message, st.sampled_from([1, 263]), st.sampled_from([8, 64, 2]), st.binary(max_size=24))


@given(st.one_of(st.tuples(STAMPS, BESIDE), st.lists(st.one_of(STAMPS, BESIDE, OTHERS), max_size=3)), st.sampled_from([0, 0, 0, 1, 4, 30]))
def test_the_usual_is_what_any_would_be(parts: tuple[bytes, ...], cut: int) -> None:
    control = b"".join(parts)
    control = control[: len(control) - cut]
    usual = tap._of_usual(control)
    assert usual is None or usual == tap._of_any(control)


@given(STAMPS, st.tuples(WORDS, WORDS), SHORTS)
def test_the_usual_is_read_by_the_short_way(stamp: bytes, words: tuple[int, int], tag: int) -> None:
    beside = message(tap.SOL_PACKET, tap.PACKET_AUXDATA, struct.pack("=IIIHHHH", 1, *words, 0, 14, tag, 0))
    assert tap._of_usual(stamp + beside) == tap._of_any(stamp + beside)
    assert tap._of_usual(stamp + beside) is not None
