"""The agent's codec: what goes in comes out; what a hostile host says is Malformed, and nothing else."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from netprobe.fleet.agent import DEEPEST, LARGEST_FRAME, Frames, Malformed, framed, pack, unpack

LEAVES = (
    some.none()
    | some.booleans()
    | some.integers(-(1 << 63), (1 << 64) - 1)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.binary()
    | some.text()
)
VALUES = some.recursive(LEAVES, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=20)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    found = unpack(pack(value))
    assert (found, type(found)) == (value, type(value))


@given(some.binary(max_size=200))
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    with suppress(Malformed):
        unpack(data)


@given(VALUES, some.lists(some.tuples(some.integers(0, 200), some.integers(0, 255)), max_size=4))
def test_a_value_with_bytes_changed_is_a_value_or_malformed(value: object, changes: list[tuple[int, int]]) -> None:
    data = bytearray(pack(value))
    for at, byte in changes:
        data[at % len(data)] = byte
    with suppress(Malformed):
        unpack(bytes(data))


def test_a_name_that_is_not_utf8_comes_back_as_its_bytes() -> None:
    assert unpack(pack("\udcff eth")) == "\udcff eth"
    assert b"\xff eth" in pack("\udcff eth")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, object, 1 << 64, -(1 << 63) - 1, "\ud800", {"a": {2: 3}}], ids=repr)
def test_what_has_no_form_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        pack(value)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_has_a_limit_both_ways() -> None:
    assert unpack(pack(nested(DEEPEST))) == nested(DEEPEST)
    with pytest.raises(Malformed):
        pack(nested(DEEPEST + 1))
    with pytest.raises(Malformed):
        unpack(b"l\0\0\0\1" * 100_000 + b"N")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"i\0", b"b\xff\xff\xff\xff", b"s\0\0\0\5ab", b"l\xff\xff\xff\xff", b"l\0\0\0\2N", b"NN", b"d\0\0\0\1NN",
        b"d\0\0\0\1" + b"b\0\0\0\1a" + b"N", b"f\x7f\xf8\0\0\0\0\0\0",
    ],
)  # fmt: skip
def test_what_is_cut_short_or_of_another_form_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        unpack(data)


def test_more_values_than_memory_should_hold_are_malformed() -> None:
    count = 1 << 21
    with pytest.raises(Malformed):
        unpack(b"l" + struct.pack(">I", count) + b"N" * count)


@given(some.lists(VALUES, max_size=5), some.integers(1, 9))
def test_frames_come_out_whole_however_they_are_cut(values: list[object], size: int) -> None:
    data, frames, found = b"".join(map(framed, values)), Frames(), []
    for at in range(0, len(data), size):
        found += frames.feed(data[at : at + size])
    assert found == values


def test_a_frame_that_says_it_is_too_large_is_malformed_at_once() -> None:
    with pytest.raises(Malformed):
        Frames().feed(struct.pack(">I", LARGEST_FRAME + 1))
