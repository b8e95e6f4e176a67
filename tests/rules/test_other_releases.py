"""Words of a tool's release that netprobe does not know: what they stand for is not understood, and never a crash or a guess."""

from __future__ import annotations

import json
from typing import Any

import pytest
from literal_rules import iptables, nft_forward, nft_table

from netprobe.linux.netfilter.lasting import is_lasting
from netprobe.model import Ruleset
from netprobe.rules.read.nft_json import NOT_UNDERSTOOD, listed, read_set

CHAIN = {"name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}
SET = {"name": "s", "type": "ipv4_addr", "handle": 2}


def kinds(ruleset: Ruleset) -> list[str]:
    [table] = ruleset.tables
    return [statement.kind for chain in table.chains for rule in chain.rules for statement in rule.statements]


@pytest.mark.parametrize(
    "statement",
    [
        {"limit": ["10", "second"]},
        {"quota": [1]},
        {"reject": ["tcp reset"]},
        {"jump": {"target": {"name": "c"}}},
        {"match": {"op": ["=="], "left": {"meta": {"key": "mark"}}, "right": 1}},
        {"reject": {"type": {"tcp": "reset"}}},
        {"snat": {"addr": "1.2.3.4", "flags": [{"random": 1}]}},
        {"limit": {"rate": 1, "per": "second"}, "counter": None},
        ["accept"],
        7,
    ],
)
def test_a_statement_of_another_form_is_not_understood(statement: Any) -> None:
    """By itself: the rules beside it are read."""
    assert kinds(nft_forward([statement], [{"drop": None}])) == ["unknown", "drop"]


@pytest.mark.parametrize(
    "thing",
    [
        {"chain": CHAIN | {"prio": {"filter": 10}}},
        {"chain": CHAIN | {"hook": ["forward"]}},
        {"chain": CHAIN | {"name": 7}},
        {"rule": {"chain": "f", "handle": "3", "expr": []}},
        {"rule": {"chain": "f", "handle": 3, "expr": "drop"}},
        {"rule": {"chain": "f", "handle": 3, "expr": [{"counter": {"packets": "many"}}]}},
        {"rule": {"chain": "f", "handle": 3, "comment": ["c"], "expr": []}},
        {"set": SET | {"elem": "10.0.0.1"}},
        {"set": SET | {"name": None}},
    ],
)
def test_an_object_of_another_form_is_told_as_one(thing: dict[str, Any]) -> None:
    with pytest.raises(NOT_UNDERSTOOD):
        nft_table({"chain": CHAIN}, thing)


@pytest.mark.parametrize("printed", ["[]", '{"nftables": 1}', '{"nftables": ["a"]}', '{"nftables": [{"set": "a"}]}', "[" * 5000, ""])
def test_what_is_no_listing(printed: str) -> None:
    assert read_set(printed.encode()) is None
    assert not is_lasting(printed.encode())


def test_a_set_whose_flags_have_another_form_may_change() -> None:
    printed = json.dumps({"nftables": [{"set": SET | {"flags": [{"timeout": 1}]}}]}).encode()
    assert listed(printed)
    assert not is_lasting(printed)


@pytest.mark.parametrize(
    "rule",
    [
        "-A FORWARD -j mark --mark-set much --mark-target ACCEPT",
        "-A FORWARD -j mark --mark-set --mark-target ACCEPT",
    ],
)
def test_a_target_whose_options_have_another_form_is_not_understood(rule: str) -> None:
    assert kinds(iptables(rule, "ebtables", "bridge"))[0] == "unknown"
