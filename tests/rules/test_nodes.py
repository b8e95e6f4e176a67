"""All that an expression of a rule is made of."""

from __future__ import annotations

import pytest

from netprobe.model import Statement, Term
from netprobe.model.lookup import column
from netprobe.rules.read.iptables_save import read_save


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("-m mark --mark 0x1/0xff -j DROP", ["", "meta mark", "255", "1"]),
        ("-p icmp -j ACCEPT", ["meta l4proto", "icmp"]),
    ],
)
def test_all_that_a_statement_is_made_of(line: str, texts: list[str]) -> None:
    [table] = read_save(f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {line}\nCOMMIT\n", "iptables", "ip")
    [rule] = table.rules
    assert [*column(rule.statements[0].nodes, "text")] == texts


def test_what_is_in_a_set_in_a_map_is_in_it() -> None:
    pair = Term("pair", args=(Term("concat", args=(Term("value", "80"), Term("value", "eth0"))), Term("verdict", "jump web")))
    step = Statement("vmap", Term("key", "tcp dport"), right=Term("set", args=(pair,)))
    assert [*column(step.nodes, "text")] == ["tcp dport", "", "", "", "80", "eth0", "jump web"]
