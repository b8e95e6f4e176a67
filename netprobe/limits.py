"""How much a saved run may hold: of bytes, values, nesting, and digits.

Pure; what netprobe writes keeps to it, too.

A file may come from anybody. What it says about a network is data; how much memory and time it takes to hear
it is not its choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from .model import InterfaceAddress, Report

LARGEST_BYTES = 1 << 27  # of a file, and of the JSON in it: 150,000 observations
# in the JSON; a value takes 8 to 40 bytes of memory, an object 60 to 300
MOST_VALUES, MOST_OBJECTS = 8_000_000, 700_000
DEEPEST = 100  # levels of values within values; a run has twenty
LARGEST_NUMBER = 1 << 64
MOST_PROBES = 100_000  # as of `-c`


def excess(data: bytes) -> str | None:
    """Why this JSON is more than netprobe reads and writes, or None. Nothing is decoded for it."""
    if len(data) > LARGEST_BYTES:
        return f"{len(data)} bytes, more than {LARGEST_BYTES}"
    values, objects = data.count(b","), data.count(b"{") + data.count(b"[")
    if values > MOST_VALUES or objects > MOST_OBJECTS:
        return f"{values} values in {objects} objects, more than {MOST_VALUES} in {MOST_OBJECTS}"
    return None


def check(value: Struct) -> None:
    """Raises ValueError, with the type and field, when something in a decoded value costs more than reading
    it.
    """
    waiting: list[tuple[object, int, str]] = [(value, 0, "")]
    while waiting:
        one, depth, where = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(f"{where} is nested more than {DEEPEST} deep")
        if isinstance(one, Struct):
            _check_numbers(one)
            waiting.extend(_inner(one, depth + 1))
        elif isinstance(one, Mapping):
            waiting.extend((each, depth + 1, where) for each in one.values())
        elif isinstance(one, tuple):
            waiting.extend((each, depth + 1, where) for each in one)
        elif isinstance(one, int) and abs(one) >= LARGEST_NUMBER:
            raise ValueError(f"{where} is a number of more than 64 bits")


def _inner(one: Struct, depth: int) -> Iterator[tuple[object, int, str]]:
    for name in one.__struct_fields__:
        held = getattr(one, name)
        if isinstance(held, (Struct, Mapping, tuple, int)):
            yield held, depth, f"{type(one).__name__}.{name}"


def _check_numbers(one: Struct) -> None:
    """The numbers that something is counted up to."""
    if isinstance(one, Report) and not 1 <= one.probe.count <= MOST_PROBES:
        raise ValueError(f"Probe.count is {one.probe.count}")
    if isinstance(one, InterfaceAddress) and not 0 <= one.prefixlen <= (128 if ":" in one.address else 32):
        raise ValueError(f"InterfaceAddress.prefixlen of {one.address} is {one.prefixlen}")
