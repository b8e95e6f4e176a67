"""`--explain-all`: the rules that matched on the way, from saved runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sample_reports import HEALTHY

from netprobe.answers import load
from netprobe.cli import run_line
from netprobe.model import Leg, Object, PassedRules, Stage
from netprobe.render.passed import passed
from netprobe.render.pen import columns
from netprobe.render.terminal import Terminal

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"


def test_a_rule_that_let_the_probe_pass_is_shown_before_the_one_that_did_not() -> None:
    report = load(RECORDINGS / "forward-drop.pcapng")
    (hook,) = report.rules
    assert (hook.leg, hook.namespace, hook.stage) == (Leg.REQUEST, "host", Stage.FORWARD)
    assert [each.id for each in hook.rules] == ["nft inet lab forward handle 5"]


def test_the_rules_of_both_ways_in_their_order() -> None:
    report = load(RECORDINGS.parents[2] / "captures/samples/trace-red-8.8.8.8.pcapng")
    said = [(hook.leg, hook.stage) for hook in report.rules]
    assert (Leg.REQUEST, Stage.POSTROUTING) in said
    assert said == sorted(said, key=lambda each: each[0] is Leg.REPLY)
    assert any("masquerade" in each.text.lower() for hook in report.rules for each in hook.rules)


@pytest.mark.parametrize("given", [[], ["--explain-all"]])
def test_they_are_shown_where_they_are_asked_for(capsys: pytest.CaptureFixture[str], given: list[str]) -> None:
    assert run_line(["show", *given, str(RECORDINGS / "forward-drop.pcapng")]) == 1
    assert ("rules that match on the predicted way\n  host forward, on the way there\n" in capsys.readouterr().out) is bool(given)


def test_json_has_them_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    run_line(["show", "--json", str(RECORDINGS / "forward-drop.pcapng")])
    found = json.loads(capsys.readouterr().out)["rules"]
    assert found[0]["rules"][0]["id"] == "nft inet lab forward handle 5"


@pytest.mark.parametrize("width", [48, 80, 120, 200, None])
def test_they_are_safe_and_as_wide_as_the_terminal(width: int | None) -> None:
    from msgspec.structs import replace

    rules = (Object("rule", "nft \x1b[2J 名前空間" * 9, "ip saddr " + "名" * 200, "docker"), Object("rule", "x" * 300, "x" * 300))
    text = passed(replace(HEALTHY, rules=(PassedRules(Leg.REPLY, "h\u202e" * 99, Stage.INPUT, rules),)), Terminal(width))
    assert all(each == "\n" or each.isprintable() for each in text)
    assert max(map(columns, text.splitlines())) <= (width or 10_000)
    assert "on the way back" in " ".join(text.split())
    assert passed(HEALTHY, Terminal(width)) == "no rule matches on the predicted way\n"
