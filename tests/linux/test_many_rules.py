"""Chains and rules by the ten thousand are taken apart by a short way, and come to the same as by the long one."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.linux.netfilter import chains as chains_of
from netprobe.linux.netfilter import kernel, listing
from netprobe.linux.netfilter.tools import Printed, Tools
from netprobe.model import ChainQuery, Table
from netprobe.rules.read.nft_json import NOT_UNDERSTOOD

PADDING = {n: b"\0" * n for n in range(4)}


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + PADDING[-len(value) % 4]


def number(kind: int, value: int, size: int) -> bytes:
    return attribute(kind, value.to_bytes(size, "big"))


NAMES = st.sampled_from([b"nat\0", b"filter\0", b"\x04\x80\0", b"\x04\0", b"a-long-name-of-a-table\0"])
HANDLES = st.sampled_from([1, 4, 0x400, 0x0400_0000, 0x8004, (1 << 64) - 1])
HOOK = b"".join((number(1, 0, 4), number(2, 0xFFFF_FF9C, 4)))


@st.composite
def chains(draw: st.DrawFn) -> bytes:
    """A chain as kernels write it, or as none does."""
    parts = [
        attribute(kernel.CHAIN_TABLE, draw(NAMES)),
        number(2, draw(HANDLES), 8),
        attribute(3, draw(NAMES)),
        *([attribute(kernel.CHAIN_HOOK | draw(st.sampled_from([0, 0x8000])), HOOK)] if draw(st.booleans()) else []),
        *([number(10, draw(st.integers(0, 7)), 4)] if draw(st.booleans()) else []),
        number(kernel.CHAIN_USE, draw(HANDLES) & 0xFFFF_FFFF, 4),
        *([attribute(11, draw(st.binary(max_size=12)))] if draw(st.integers(0, 5)) == 0 else []),
    ]
    if draw(st.integers(0, 5)) == 0:
        parts = draw(st.permutations(parts))
    whole = struct.pack("=BBH", draw(st.sampled_from([2, 10])), 0, draw(st.sampled_from([0, 1, 4, 0x8004]))) + b"".join(parts)
    return whole[: draw(st.sampled_from([len(whole)] * 6 + [3, 9, len(whole) - 3]))]


@given(st.lists(chains(), max_size=12))
def test_of_each_chain_is_told_what_it_says_itself(bodies: list[bytes]) -> None:
    assert [*kernel._heads(bodies)] == [kernel._head(body) for body in bodies]


@given(st.lists(st.tuples(chains(), st.integers(1, 9)), max_size=9), st.sampled_from([0, 4, 2000]))
def test_chains_that_are_looked_through_together_are_chosen_like_single_ones(alike: list[tuple[bytes, int]], most: int) -> None:
    bodies = [body for body, count in alike for _ in range(count)]
    large: set[tuple[str, str]] = set()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kernel, "MOST_USES", most)
        patched.setattr(kernel, "_AT_ONCE", 2)
        chosen = [*kernel._of_small(bodies, large)]
    heads = [kernel._head(body) for body in bodies]
    uses = Counter[tuple[int, bytes]]()
    for key, use, _ in heads:
        uses[key] += use
    assert chosen == [at for at, (key, _, based) in enumerate(heads) if uses[key] <= most or based]
    assert len(large) == len({name.rstrip(b"\0") + bytes([family]) for (family, name), count in uses.items() if count > most})


@given(st.lists(st.tuples(NAMES, NAMES, HANDLES, st.integers(0, 3)), max_size=12))
def test_a_rule_has_its_handle_wherever_that_stands(rules: list[tuple[bytes, bytes, int, int]]) -> None:
    bodies = []
    for table, chain, handle, form in rules:
        rest = [number(kernel.RULE_HANDLE, handle, 8), attribute(4, b"expressions "), attribute(9, b"before")]
        ordered = (rest, rest[::-1], rest[1:], [rest[2], *rest[:2]])[form]
        place = attribute(kernel.RULE_TABLE, table) + attribute(kernel.RULE_CHAIN, chain)
        bodies.append(struct.pack("=BBH", 2, 0, 7) + place + b"".join(ordered))
    found = [rule.handle for rule in kernel.rules_of(bodies)]
    assert found == [0 if form == 2 else handle for _, _, handle, form in rules]


@given(st.lists(st.tuples(st.integers(0, 12), st.binary(max_size=9)), max_size=6), st.integers(0, 5))
def test_a_set_has_the_flags_that_it_says_first(parts: list[tuple[int, bytes]], cut: int) -> None:
    body = struct.pack("=BBH", 2, 0, 7) + b"".join(attribute(kind, value) for kind, value in parts)
    body = body[: len(body) - cut]
    told = (value for kind, value, _ in kernel.attributes(body, 4) if kind == kernel.SET_FLAGS)
    assert kernel._flags(body) == int.from_bytes(next(told, b""), "big")
    assert [*kernel._named([body, body])] == ([] if kernel._flags(body) & 1 else [0, 1])


def test_what_is_named_in_a_large_table_is_printed_by_one_run_of_nft() -> None:
    """Each reads the names of all chains; it prints a listing a command."""
    items = (
        {"set": {"family": "ip", "table": "proxy", "name": "few", "type": "ipv4_addr", "handle": 1}},
        {"map": {"family": "ip", "table": "proxy", "name": "ports", "type": "ipv4_addr", "map": "verdict", "handle": 2}},
        {"flowtable": {"family": "ip", "table": "proxy", "name": "fast", "hook": "ingress", "prio": 0, "dev": ["eth0"], "handle": 3}},
    )
    [line] = listing.NAMED.values()
    assert line[-1].count("list ") == len(items)
    output = b"".join(json.dumps({"nftables": [{"metainfo": {}}, each]}).encode() + b"\n" for each in items)
    large = Table("nft", "ip", "proxy", partial=True)
    found = listing.named(large, dict.fromkeys(listing.NAMED, Printed(output, "")))
    assert [each.name for each in (*found.sets, *found.flowtables)] == ["few", "ports", "fast"]
    with pytest.raises(NOT_UNDERSTOOD):
        listing.named(large, dict.fromkeys(listing.NAMED, Printed(b"", "it broke")))


def test_a_chain_is_printed_while_the_kernel_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a tenth of a second for ten thousand rules."""
    done: list[str] = []

    class AtWork(Tools):
        def start(self, commands: Mapping[str, Sequence[str]]) -> None:
            done.extend("started" for _ in commands)

        def printed(self) -> dict[str, Printed]:
            done.append("waited for")
            return {"WEB": Printed(b"-N WEB\n-A WEB -j DROP\n")}

    monkeypatch.setattr(chains_of, "Tools", AtWork)
    rules = [kernel.KernelRule("ip", "nat", "WEB", 7, xtables=True)]
    monkeypatch.setattr(chains_of, "_of_kernel", lambda *_: done.append("listed") or rules)
    [rule] = chains_of._read_chain(0, ChainQuery("iptables", "ip", "nat", "WEB")).rules
    assert (rule.text, rule.handle) == ("-A WEB -j DROP", 7)
    assert done == ["started", "listed", "waited for"]
