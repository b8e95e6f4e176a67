"""What a chain is for packets for which its dice fall one way: by where they are sent."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import WEB, forwarded, iptables, nft_table, test
from msgspec.structs import replace

from netprobe.model import Rule, Ruleset
from netprobe.model.lookup import exchanged
from netprobe.rules import dice, traverse
from netprobe.rules.dice import MOST, fallen

ENDPOINTS = ["10.0.0.3", "10.0.0.4", "10.0.0.5"]


def ends(ruleset: Ruleset, chain: str) -> list[str]:
    """The destination of a packet for each outcome of the chain."""
    [table] = ruleset.tables
    found = table.chain(chain)
    assert found is not None
    for_each = [replace(table, chains=exchanged(table.chains, found, replace(found, rules=rules))) for rules in fallen(found.rules)]
    rulings = [traverse(replace(ruleset, tables=(each,)), "ip", "prerouting", forwarded(WEB)) for each in for_each]
    assert not any(ruling.doubts or ruling.alternatives for ruling in rulings)
    return [ruling.packet.flow.dst for ruling in rulings]


def service(*tests: str) -> Ruleset:
    chosen = [f"-A SVC {test} -j DNAT --to-destination {to}" for test, to in zip(tests, ENDPOINTS, strict=True)]
    lines = ("*nat", ":PREROUTING ACCEPT [0:0]", ":SVC - [0:0]", "-A PREROUTING -d 8.8.8.8/32 -j SVC", *chosen, "COMMIT")
    return iptables("\n".join(each.replace("  ", " ") for each in lines))


@pytest.mark.parametrize("mode", ["random --probability {}", "nth --every 3 --packet 0"])
def test_one_of_several_rules(mode: str) -> None:
    tests = [f"-m statistic --mode {mode.format(chance)}" for chance in (0.33333, 0.5)]
    assert ends(service(*tests, ""), "SVC") == ENDPOINTS


def test_none_of_them() -> None:
    assert ends(service("-m statistic --mode random --probability 0.5", "-p udp", "-p udp"), "SVC") == ["10.0.0.3", "8.8.8.8"]


def nft(to: Any) -> Ruleset:
    chain = {"chain": {"name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    rule = {"rule": {"chain": "pre", "handle": 2, "expr": [{"dnat": {"family": "ip", "addr": to}}]}}
    return nft_table(chain, rule)


@pytest.mark.parametrize("offset", [0, 5])
@pytest.mark.parametrize("drawn", ["inc", "random", "jhash"])
def test_a_map_of_numbers(offset: int, drawn: str) -> None:
    key: dict[str, Any] = {"numgen": {"mode": drawn, "mod": 3, "offset": offset}}
    if drawn == "jhash":
        key, offset = {"jhash": {"mod": 3, "expr": {"meta": {"key": "mark"}}}}, 0
    elements = [[number + offset, to] for number, to in enumerate(ENDPOINTS)]
    assert ends(nft({"map": {"key": key, "data": {"set": elements}}}), "pre") == ENDPOINTS


def test_a_verdict_map_of_numbers() -> None:
    """As kube-proxy has it for nft: numgen random mod 3 vmap { 0 : goto endpoint-0, ... }."""
    pre = {"chain": {"name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    chains = [{"chain": {"name": f"endpoint-{n}", "handle": 10 + n}} for n in range(3)]
    to = [
        {"rule": {"chain": f"endpoint-{n}", "handle": 20 + n, "expr": [{"dnat": {"family": "ip", "addr": end}}]}}
        for n, end in enumerate(ENDPOINTS)
    ]
    verdicts = [[n, {"goto": {"target": f"endpoint-{n}"}}] for n in range(3)]
    drawn = {"vmap": {"key": {"numgen": {"mode": "random", "mod": 3, "offset": 0}}, "data": {"set": verdicts}}}
    assert ends(nft_table(pre, *chains, {"rule": {"chain": "pre", "handle": 2, "expr": [drawn]}}, *to), "pre") == ENDPOINTS


def test_numbers_that_are_compared() -> None:
    chain = {"chain": {"name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    drawn = test({"numgen": {"mode": "random", "mod": 4, "offset": 0}}, 1, "<")
    rule = {"rule": {"chain": "pre", "handle": 2, "expr": [drawn, {"dnat": {"family": "ip", "addr": "10.0.0.3"}}]}}
    assert ends(nft_table(chain, rule), "pre") == ["10.0.0.3", "8.8.8.8", "8.8.8.8", "8.8.8.8"]


def test_no_more_than_can_be_looked_at() -> None:
    key = {"numgen": {"mode": "random", "mod": 1000, "offset": 0}}
    elements = [[number, "10.0.0.3"] for number in range(1000)]
    assert len(ends(nft({"map": {"key": key, "data": {"set": elements}}}), "pre")) == MOST


def test_rules_without_dice_have_one_outcome() -> None:
    assert ends(service("", "", ""), "SVC") == []


def test_the_rules_of_a_chain_are_gone_through_once_for_all_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search for the cause throws the dice for each trial: of ten thousand services that was a third of an answer."""
    seen: list[tuple[Rule, ...]] = []
    look = dice._dice
    monkeypatch.setattr(dice, "_dice", lambda rules: seen.append(rules) or look(rules))
    [table] = service("-m statistic --mode random --probability 0.5", "", "").tables
    chain = table.chain("SVC")
    assert chain is not None
    assert [[*fallen(chain.rules)] for _ in range(5)] == [[*fallen(chain.rules)]] * 5
    assert seen == [chain.rules]
