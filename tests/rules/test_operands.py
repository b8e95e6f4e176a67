"""Literals, ranges and prefixes of nft, looked up."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model import Term
from netprobe.rules import datatypes as dt
from netprobe.rules.operands import compiled, elements

NUMBERS = st.integers(0, 300)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8), NUMBERS)
def test_ranges_hold_what_lies_in_one_of_them(ranges: list[tuple[int, int]], number: int) -> None:
    ordered = [(min(pair), max(pair)) for pair in ranges]
    held = compiled(dt.PORT, tuple(f"{low}-{high}" for low, high in ordered))
    assert (number in held) == any(low <= number <= high for low, high in ordered)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_prefixes_hold_what_the_standard_library_says(base: object, length: int, address: object) -> None:
    network = ip_network(f"{base}/{length}", strict=False)
    assert (int(ip_address(str(address))) in compiled(dt.IPV4, (str(network),))) == (address in network)


@pytest.mark.parametrize(
    ("kind", "literal", "number"),
    [
        (dt.CT_STATE, "established", 2), (dt.TCP_FLAG, "fin,syn,rst,ack", 23), (dt.TCP_FLAG, "syn,syn", 2), (dt.PROTOCOL, "ipv6-icmp", 58),
        (dt.MAC, "2:0:0:0:0:1", 0x020000000001), (dt.DIFFSERV, "af41", 34), (dt.DIFFSERV, "0x2e", 46), (dt.ICMP_TYPE, "echo-request", 8),
        (dt.IPV6, "::1", 1), (dt.ETHERTYPE, "arp", 0x0806), (dt.NUMBER, "0x10", 16),
    ],
)  # fmt: skip
def test_names_and_numbers(kind: dt.Datatype, literal: str, number: int) -> None:
    assert kind.number(literal) == number


def test_a_name_with_a_dash_is_no_range() -> None:
    assert dt.ICMP_TYPE.bounds("echo-request") == (8, 8)
    assert dt.PROTOCOL.bounds("icmp-udp") == (1, 17)


def test_interface_names_and_their_wildcards() -> None:
    held = compiled(dt.INTERFACE, ("br-lan", "veth*", "a\\*"))
    assert [name in held for name in ("br-lan", "br-lan2", "veth7", "a*", "ab")] == [True, False, True, True, False]


def test_the_element_for_all_other_keys_comes_last() -> None:
    everything = Term("pair", args=(Term("value", "*"), Term("verdict", "drop")))
    web = Term("pair", args=(Term("value", "80"), Term("verdict", "accept")))
    found = elements((dt.PORT,), (everything, web))
    assert [element.data and element.data.text for element in found if element.holds((80,))] == ["accept", "drop"]


def test_what_a_type_cannot_read_is_an_error_for_the_caller_to_turn_into_doubt() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        compiled(dt.PORT, ("nonsense",))
