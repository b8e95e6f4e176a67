"""What rules said is kept from one walk to the next, and no longer than it is true."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, probe, tutorial
from test_roots import MASQUERADE, filter_rules, ruled, rules

from netprobe.model import AskConnection, ConntrackEntry, Endpoint, Flowtable, FoundConnection, Protocol, Ruleset, Snapshot, Table
from netprobe.predict import ruled as hook
from netprobe.predict.predict import Prediction, predict
from netprobe.predict.view import Rulings

DROPPING = "\n".join((MASQUERADE, filter_rules("FORWARD -s 10.0.0.2 -j DROP")))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hooks whose rules are gone through."""
    calls: list[str] = []
    traverse = hook.traverse

    def counted(*arguments: object, **more: object) -> object:
        calls.append(str(arguments[2]))
        return traverse(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(hook, "traverse", counted)
    return calls


def walked(snapshot: Snapshot, rulings: Rulings) -> Prediction:
    outcome = predict(snapshot, probe(), ask=False, rulings=rulings)
    assert isinstance(outcome, Prediction)
    assert outcome == predict(snapshot, probe(), ask=False)
    return outcome


def test_the_same_walk_asks_no_rule_twice(asked: list[str]) -> None:
    rulings: Rulings = {}
    snapshot = ruled(MASQUERADE)
    first = predict(snapshot, probe(), ask=False, rulings=rulings)
    assert "postrouting" in asked
    asked.clear()
    assert predict(snapshot, probe(), ask=False, rulings=rulings) == first
    assert asked == []


def test_changed_rules_are_asked_again() -> None:
    rulings: Rulings = {}
    snapshot = ruled(MASQUERADE)
    assert walked(snapshot, rulings).passes
    stop = walked(edited(snapshot, "host", ruleset=rules(DROPPING)), rulings).stop
    assert stop is not None
    assert stop.code == "filtered-by-rule"
    assert walked(snapshot, rulings).passes


def test_another_packet_is_another_question(asked: list[str]) -> None:
    rulings: Rulings = {}
    snapshot = ruled(DROPPING)
    assert not walked(snapshot, rulings).passes
    asked.clear()
    other = predict(snapshot, probe(dst="203.0.113.1"), ask=False, rulings=rulings)
    assert "forward" in asked
    assert isinstance(other, Prediction)
    assert other.stop is not None


def test_ports_that_were_used_before_ask_each_time(asked: list[str]) -> None:
    """Older connections of the request may have them, which are no part of the question."""
    rulings: Rulings = {}
    snapshot = ruled(MASQUERADE)
    for _ in range(2):
        asked.clear()
        predict(snapshot, probe(reused=True), ask=False, rulings=rulings)
        assert "postrouting" in asked


@pytest.mark.parametrize(
    ("devices", "status", "reused", "codes"),
    [
        (("veth0",), ("offload",), True, {"unknown"}),
        (("veth0",), ("assured",), True, set()),
        (("veth9",), ("offload",), True, set()),
        (("veth0",), ("offload",), False, set()),
    ],
)
def test_a_flowtable_may_take_an_older_connection_past_the_rules(
    devices: tuple[str, ...], status: tuple[str, ...], reused: bool, codes: set[str]
) -> None:
    """Its way is its own: what the rules say of such a packet is in doubt."""
    entry = ConntrackEntry("udp", ("10.0.0.2", "8.8.8.8", 5000, 53), ("8.8.8.8", "10.0.0.2", 53, 5000), status=status)
    ruleset = Ruleset(tables=(Table("nft", "inet", "t", flowtables=(Flowtable("f", devices),)),), queues=())
    snapshot = edited(tutorial(), "host", ruleset=ruleset)
    asked = replace(probe(protocol=Protocol.UDP), destination=Endpoint("8.8.8.8", address="8.8.8.8", port=53), icmp_id=None,
                    source_port=5000, reused=reused)  # fmt: skip
    while needs := [n for n in predict(snapshot, asked) if isinstance(n, AskConnection)]:
        answers = (FoundConnection(n.namespace, n.flow, (entry,) if n.namespace == "host" else ()) for n in needs)
        snapshot = replace(snapshot, connections=(*snapshot.connections, *answers))
    found = predict(snapshot, asked, ask=False)
    assert isinstance(found, Prediction)
    assert {s.code for hop in found.request.hops for s in hop.suspects if "flowtable" in s.text} == codes
