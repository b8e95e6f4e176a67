"""Named sets and maps: looked into where they are small, asked for where they are large."""

from __future__ import annotations

from literal_rules import (
    ACCEPT,
    DADDR,
    DROP,
    SADDR,
    WEB,
    forward,
    forwarded,
    nft_forward,
    payload,
    test,
)

from netprobe.model import AskedSet, Ruleset, SetQuery
from netprobe.rules import HookVerdict


def banned(elements: list[object] | None) -> Ruleset:
    named = {"set": {"name": "ban", "type": "ipv4_addr", "handle": 3, "flags": ["interval"], "elem": elements}}
    ruleset = nft_forward([test(DADDR, "@ban"), DROP], more=(named,)) if elements is not None else nft_forward([test(DADDR, "@ban"), DROP])
    if elements is not None:
        return ruleset
    from msgspec.structs import replace

    from netprobe.model import NamedSet

    return replace(ruleset, tables=(replace(ruleset.tables[0], sets=(NamedSet("ban", ("ipv4_addr",)),)),))


def test_a_small_set_is_looked_into() -> None:
    assert forward(banned([{"prefix": {"addr": "8.8.8.0", "len": 24}}])).verdict is HookVerdict.DROP
    assert forward(banned([{"range": ["8.8.8.9", "8.8.8.12"]}])).verdict is HookVerdict.ACCEPT


def test_a_large_set_is_asked_for() -> None:
    ruleset = banned(None)
    ruling = forward(ruleset)
    query = SetQuery("inet", "t", "ban", ("8.8.8.8",))
    assert (ruling.verdict, ruling.needs) == (HookVerdict.UNDETERMINED, (query,))
    assert forward(ruleset.with_answer(AskedSet(query, True))).verdict is HookVerdict.DROP
    assert forward(ruleset.with_answer(AskedSet(query, False))).verdict is HookVerdict.ACCEPT
    refused = forward(ruleset.with_answer(AskedSet(query, False, error="Operation not permitted")))
    assert (refused.verdict, refused.needs) == (HookVerdict.UNDETERMINED, ())


def test_verdict_maps_by_interface_name_and_wildcard() -> None:
    def ways(*pairs: list[object]) -> str:
        return forward(nft_forward([{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": list(pairs)}}}])).verdict.value

    assert ways(["br0", DROP], ["eth0", ACCEPT]) == "drop"
    assert ways(["br*", DROP]) == "drop"
    assert ways(["eth0", DROP]) == "accept"
    assert ways(["eth0", ACCEPT], ["*", DROP]) == "drop"


def test_concatenations_with_prefixes_and_ranges() -> None:
    key = {"concat": [SADDR, payload("tcp", "dport")]}
    element = {"concat": [{"prefix": {"addr": "10.0.0.0", "len": 24}}, {"range": [80, 90]}]}
    rules = nft_forward([test(key, {"set": [element]}), DROP])
    assert forward(rules, forwarded(WEB)).verdict is HookVerdict.DROP
    assert forward(rules).verdict is HookVerdict.ACCEPT
