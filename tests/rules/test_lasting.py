"""What nft has printed stays true until a transaction, or it does not: then the next question reads it again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netprobe.linux.netfilter.lasting import is_lasting

TABLE = {"table": {"family": "ip", "name": "t", "handle": 1}}
CHAIN = {"family": "ip", "table": "t", "name": "c", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}
SET = {"family": "ip", "name": "s", "table": "t", "type": "ipv4_addr", "handle": 2, "elem": ["10.0.0.1"]}


def lasts(*items: dict[str, Any]) -> bool:
    return is_lasting(json.dumps({"nftables": [{"metainfo": {"version": "1.1.0"}}, TABLE, *items]}).encode())


def rule(*expressions: dict[str, Any]) -> dict[str, Any]:
    return {"rule": {"family": "ip", "table": "t", "chain": "c", "handle": 3, "expr": list(expressions)}}


def match(left: Any, right: Any = 1) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


@pytest.mark.parametrize(
    "expression",
    [
        {"accept": None},
        {"jump": {"target": "c"}},
        {"masquerade": None},
        {"dnat": {"addr": "10.0.0.2", "port": 80}},
        {"reject": {"type": "icmp", "expr": "port-unreachable"}},
        {"log": {"prefix": "x", "group": 1}},
        match({"payload": {"protocol": "ip", "field": "saddr"}}, {"prefix": {"addr": "10.0.0.0", "len": 8}}),
        match({"ct": {"key": "state"}}, ["established", "related"]),
        match(meta("iifname"), "eth0"),
        match({"&": [meta("mark"), 255]}),
        match(meta("l4proto"), {"set": [6, {"range": [17, 18]}]}),
        match({"payload": {"protocol": "ip", "field": "daddr"}}, "@s"),
        {"vmap": {"key": meta("mark"), "data": {"set": [[1, {"drop": None}]]}}},
        {"mangle": {"key": meta("mark"), "value": 1}},
    ],
)
def test_rules_that_nothing_changes_last(expression: dict[str, Any]) -> None:
    assert lasts({"chain": CHAIN}, {"set": SET}, rule(expression, {"drop": None}))


@pytest.mark.parametrize(
    "item",
    [
        rule({"counter": {"packets": 1, "bytes": 84}}),
        rule({"counter": None}),
        rule({"quota": {"val": 1, "val_unit": "mbytes", "used": 5}}),
        rule({"limit": {"rate": 1, "per": "second"}}),
        rule({"last": {"used": 7}}),
        rule({"ct count": {"val": 20}}),
        rule({"set": {"op": "add", "elem": {"payload": {"protocol": "ip", "field": "saddr"}}, "set": "@s"}}),
        rule({"map": {"op": "update", "elem": meta("mark"), "data": 1, "map": "@m"}}),
        rule({"xt": {"type": "match", "name": "limit"}}),
        rule({"something": "of another version"}),
        rule(match({"meta": {"key": "mark"}, "something": "beside it"})),
        rule(match({"meta": "something"})),
        rule(match(meta("iif"), "eth0")),
        rule(match(meta("oif"), "eth0")),
        rule(match(meta("iifgroup"), "default")),
        rule(match({"fib": {"result": "oif", "flags": ["daddr"]}}, "eth0")),
        rule(match({"payload": {"protocol": "ip", "field": "saddr"}}, {"set": [{"elem": {"val": "10.0.0.1", "counter": {}}}]})),
        {"chain": {**CHAIN, "hook": "ingress", "dev": "eth0"}},
        {"flowtable": {"family": "ip", "name": "f", "table": "t", "hook": "ingress", "prio": 0, "dev": "eth0"}},
        {"counter": {"family": "ip", "name": "n", "table": "t", "packets": 0, "bytes": 0}},
        {"set": {**SET, "flags": ["timeout"]}},
        {"set": {**SET, "flags": ["dynamic"]}},
        {"set": {**SET, "timeout": 60}},
        {"set": {**SET, "stmt": [{"counter": None}]}},
        {"set": {**SET, "type": "iface_index"}},
        {"set": {**SET, "type": ["ipv4_addr", "iface_index"]}},
        {"set": {**SET, "elem": [{"elem": {"val": "10.0.0.1", "expires": 5}}]}},
        {"map": {**SET, "map": "iface_index", "elem": [["10.0.0.1", "eth0"]]}},
        {"table": {"family": "ip", "name": "u", "handle": 9, "flags": ["owner"]}},
        {"something": {"family": "ip"}},
    ],
)
def test_what_changes_without_a_transaction_does_not_last(item: dict[str, Any]) -> None:
    assert lasts({"chain": CHAIN})
    assert not lasts({"chain": CHAIN}, item)
