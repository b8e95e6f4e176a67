"""The comparison of two runs as text and as JSON, and `netprobe diff` around it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sample_reports import FORWARD_DROP, HEALTHY

from netprobe.cli import run_line
from netprobe.codec import report_to_json
from netprobe.model import Comparison, Difference, Report
from netprobe.render.difference import difference
from netprobe.render.terminal import Terminal

OLD, NEW = HEALTHY, FORWARD_DROP
FOUND = Comparison(
    (Difference("verdict", "", "reachable", "unreachable"), Difference("request hop", "eth0 transmit", "ttl 64", None, "red")),
    (
        Difference("link", "eth0", "mtu 1500", "mtu 1400", "red"),
        Difference("policy-rule", "100: from all lookup 100", None, "", "red"),
        Difference("rule", "iptables filter FORWARD 1", "-A FORWARD -j DROP", None, "host\x1b[2J"),
    ),
    ("blue",),
)


def shown(found: Comparison, width: int | None = 100, ascii: bool = False) -> list[str]:
    return difference(OLD, NEW, found, Terminal(width, ascii=ascii)).splitlines()


def test_every_difference_is_a_line_with_its_sign() -> None:
    lines = shown(FOUND)
    for line in (
        "verdict   reachable → unreachable",
        "  - red/eth0 send: ttl 64",
        "configuration of red",
        "  ~ link eth0: mtu 1500 → mtu 1400",
        "  + policy rule 100: from all lookup 100",
        "  - rule iptables filter FORWARD 1: -A FORWARD -j DROP",
        "note: read in one of the two runs only, not compared: blue",
    ):
        assert line in lines


def test_hops_are_called_as_in_a_report() -> None:
    """Where, the step and the fields; a place that no hop has is told as it is."""
    said = "MASQUERADE src 10.0.0.2 to 203.0.113.2, srcs"
    found = Comparison(
        (
            Difference("request hop", "eth0 transmit", said, said, "host"),
            Difference("request hop", "postrouting", said, None, "host"),
            Difference("request hop", "eth7 transmit", None, "seen", "nowhere"),
            Difference("reply hop", "eth0 receive", None, "seen", "red"),
        )
    )
    lines = [line.strip() for line in difference(OLD, OLD, found, Terminal(None)).splitlines()]
    in_words = "MASQUERADE source 10.0.0.2 to 203.0.113.2, srcs"
    assert f"~ host/eth0 send: {in_words} → {in_words}" in lines
    assert f"- host MASQUERADE: {in_words}" in lines
    assert "+ nowhere eth7 transmit: seen" in lines
    assert "+ red/eth0 receive: seen" in lines


def test_hostile_names_are_escaped() -> None:
    assert "configuration of host\\x1b[2J" in shown(FOUND)


def test_the_same_is_said_to_be_the_same() -> None:
    assert "no difference" in shown(Comparison(configuration=()))
    assert "no difference" in shown(Comparison())
    assert any("not compared: a report alone" in line for line in shown(Comparison()))


@pytest.mark.parametrize("width", [40, 60, 100])
def test_it_fits_the_terminal(width: int) -> None:
    assert all(len(line) <= width for line in shown(FOUND, width))


def test_it_is_ascii_on_an_ascii_terminal() -> None:
    assert all(line.isascii() for line in shown(FOUND, ascii=True))


def saved(folder: Path, name: str, report: Report) -> str:
    (folder / name).write_bytes(report_to_json(report))
    return str(folder / name)


def test_diff_of_a_run_with_itself_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path, "a.json", OLD)
    assert run_line(["diff", file, file]) == 0
    assert "no difference" in capsys.readouterr().out


def test_diff_of_two_runs_exits_1_and_tells_scripts_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = saved(tmp_path, "a.json", OLD), saved(tmp_path, "b.json", NEW)
    assert run_line(["diff", old, new, "-o", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["same"], told["configuration"]) == ("netprobe.diff/1", False, None)
    assert [told[side]["verdict"] for side in ("before", "after")] == [OLD.verdict, NEW.verdict]
    assert {"kind", "name", "before", "after", "namespace"} == set(told["answer"][0])


def test_diff_of_something_else_is_a_wrong_question(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no report")
    assert run_line(["diff", str(tmp_path / "x"), str(tmp_path / "x")]) == 2
