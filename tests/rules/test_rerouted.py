"""What is sent is looked a way for anew where a chain says so: one of type route, iptables' mangle, NAT of its destination."""

from __future__ import annotations

import pytest
from literal_rules import ETH0, PING, WEB, iptables, nft_table

from netprobe.model import Flow, Ruleset
from netprobe.rules import HookPacket, traverse

MARKED = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 7}}


def of_type(kind: str, priority: int = -150) -> Ruleset:
    """A chain at the output hook that marks all that is sent."""
    chain = {"chain": {"name": "out", "handle": 1, "type": kind, "hook": "output", "prio": priority, "policy": "accept"}}
    return nft_table(chain, {"rule": {"chain": "out", "handle": 2, "expr": [MARKED]}})


def mangle(rule: str, engine: str = "iptables", hook: str = "OUTPUT") -> Ruleset:
    return iptables(f"*mangle\n:{hook} ACCEPT [0:0]\n-A {hook} {rule}\nCOMMIT", engine)


def sent(ruleset: Ruleset, flow: Flow = PING, hook: str = "output") -> HookPacket | None:
    return traverse(ruleset, "ip", hook, HookPacket(flow, oif=ETH0, state="new")).rerouted


@pytest.mark.parametrize(
    ("ruleset", "mark"),
    [
        (of_type("route"), 7),
        (of_type("filter"), None),  # the mark is set, and the packet stays on the way it had
        (mangle("-j MARK --set-mark 7"), 7),
        (mangle("-j MARK --set-mark 7", "iptables-legacy"), 7),
        (mangle("-p tcp -j MARK --set-mark 7"), None),
        (iptables("*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j MARK --set-mark 7\nCOMMIT"), None),
    ],
)
def test_a_mark_leads_elsewhere_where_the_chain_routes_anew(ruleset: Ruleset, mark: int | None) -> None:
    found = sent(ruleset)
    assert (found.mark if found is not None else None) == mark
    assert traverse(ruleset, "ip", "output", HookPacket(PING, oif=ETH0, state="new")).packet.mark in (0, 7)


def test_a_mark_set_behind_the_last_chain_that_routes_comes_too_late() -> None:
    tables = (*of_type("route", priority=-150).tables, *nft_table(
        {"chain": {"name": "late", "handle": 1, "type": "filter", "hook": "output", "prio": 0, "policy": "accept"}},
        {"rule": {"chain": "late", "handle": 2, "expr": [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 9}}]}},
        name="u",
    ).tables)  # fmt: skip
    ruling = traverse(Ruleset(tables=tables, queues=()), "ip", "output", HookPacket(PING, oif=ETH0, state="new"))
    assert ruling.rerouted is not None
    assert (ruling.rerouted.mark, ruling.packet.mark) == (7, 9)


def test_a_destination_that_nat_gives_leads_elsewhere_with_the_mark_that_another_chain_has_set() -> None:
    nat = "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j DNAT --to-destination 10.0.0.9:80\nCOMMIT"
    both = Ruleset(tables=(*of_type("filter").tables, *iptables(nat).tables), queues=())
    found = sent(both, WEB)
    assert found is not None
    assert (found.flow.dst, found.mark) == ("10.0.0.9", 7)
    assert sent(both, PING) is None


def test_what_arrives_is_routed_behind_the_rules_in_any_case() -> None:
    assert sent(mangle("-j MARK --set-mark 7", hook="PREROUTING"), hook="prerouting") is None
