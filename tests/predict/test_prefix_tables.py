"""In whose networks an address lies, of few and of many: the same, in the same order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from netprobe.model import InterfaceAddress
from netprobe.predict import prefix

OCTETS = some.integers(0, 3)
V4 = some.builds("10.{}.{}.{}".format, OCTETS, OCTETS, OCTETS)
V6 = some.builds("fd00:{:x}::{:x}".format, OCTETS, OCTETS)
OWN = some.one_of(
    some.builds(InterfaceAddress, OCTETS, V4, some.sampled_from((8, 16, 22, 30, 32))),
    some.builds(InterfaceAddress, OCTETS, V6, some.sampled_from((16, 32, 127, 128))),
)


@given(some.one_of(V4, V6), some.lists(OWN, min_size=prefix._FEW, max_size=prefix._FEW + 8).map(tuple))
def test_of_many_as_of_few(address: str, known: tuple[InterfaceAddress, ...]) -> None:
    one_by_one = [own for own in known if prefix.contains(prefix.network_of(own), address)]
    assert prefix.neighbours_of(address, known) == prefix.neighbours_of(address, [*known]) == one_by_one
