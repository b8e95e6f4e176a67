"""What a router sends back to its sender: the rule that translates it, in the words of who wrote the others."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import RECORDINGS, said
from msgspec.structs import replace
from predict.networks import edited

from netprobe.diagnose.repair import choice
from netprobe.predict.predict import Prediction, predict
from netprobe.saved import load


@pytest.mark.parametrize(
    ("fault", "engine", "line"),
    [
        ("no-hairpin-to-itself", "iptables", "iptables -t nat -A POSTROUTING -s 172.17.0.3 -d 172.17.0.3 -j MASQUERADE"),
        ("no-hairpin-to-itself", "nft", "nft add rule ip nat POSTROUTING ip saddr 172.17.0.3 ip daddr 172.17.0.3 masquerade"),
        ("no-hairpin", "nft", "nft add rule ip nat POSTROUTING ip saddr 172.17.0.0/16 ip daddr 172.17.0.3 masquerade"),
    ],
)
def test_the_rule_is_written_for_the_tool_in_use(fault: str, engine: str, line: str) -> None:
    """iptables refuses a table into which somebody has put a rule of nft's."""
    record, run = load(str(RECORDINGS / f"{fault}.pcapng"))
    ruleset = run.snapshot["host"].ruleset
    assert ruleset is not None
    tables = tuple(replace(each, engine=engine) if each.name == "nat" else each for each in ruleset.tables)
    snapshot = edited(run.snapshot, "host", ruleset=replace(ruleset, tables=tables))
    outcome = predict(snapshot, record.probe, ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is not None
    assert said(choice.choose(snapshot, outcome, outcome.stop)) == [f"host: {line}"]
