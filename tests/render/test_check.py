"""What became of expectations, in each format, read back as other programs read it; names are hostile."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml
from msgspec.structs import replace

from netprobe.answers import load
from netprobe.formats import checked
from netprobe.model.check import Checked, CheckReport, Status
from netprobe.render.terminal import Terminal

PROJECT = Path(__file__).parents[2]
DROPPED = load(PROJECT / "tests/faults/recordings/forward-drop.pcapng")
EVIL = 'red"\n# \\ TODO <b>&]]>\x1b[31m\u202e`|'
FAILED = Checked("out", f"{EVIL} → 8.8.8.8 icmp", "reachable", Status.FAILED, f"{EVIL} drops it", f"{EVIL}.yaml", 7, 1_500_000,
                 report=DROPPED)  # fmt: skip
HELD = Checked("", "c1 → c2 icmp", "reachable", Status.HELD, "c2 is reachable from c1", "net.yaml", 3, 250_000_000, report=DROPPED)
WRONG = Checked("", "c1 → c9 icmp", "reachable", Status.ERROR, "there is no c9", "net.yaml", 4, hint="Did you mean c1?", code=2)
UNSURE = Checked("", "c1 → c3 icmp", "blocked", Status.UNDETERMINED, "whether", "net.yaml", 5)
ALL = CheckReport((FAILED, HELD, WRONG, UNSURE), 4)
CUT = CheckReport((HELD,), 4, complete=False)
TRIED = CheckReport((replace(FAILED, before=Status.HELD), replace(HELD, before=Status.FAILED)), 2, changes=("ip link set veth0 down",))
PLAIN = Terminal()


def test_the_text_is_safe_and_says_all() -> None:
    text = checked(ALL, "text", PLAIN)
    assert "\x1b" not in text
    assert "\u202e" not in text
    lines = text.splitlines()
    assert lines[-1] == "1 hold, 1 fail, 1 are undetermined, 1 could not be asked"
    assert "    cause: filtered-by-rule: nft inet lab forward handle 5" in lines
    assert any(line.startswith("    fix: nft delete rule") for line in lines)
    assert "    Did you mean c1?" in lines
    assert "    net.yaml:5" in lines
    assert checked(ALL, "text", PLAIN, quiet=True) == lines[-1] + "\n"


def test_what_was_cut_off_says_so() -> None:
    assert checked(CUT, "text", PLAIN).splitlines()[-1] == "1 hold; INTERRUPTED: 1 of 4 were asked"
    assert json.loads(checked(CUT, "json", PLAIN))["complete"] is False
    assert tap(checked(CUT, "tap", PLAIN)).bailed == "interrupted"
    asked, cut = JUnitXml.fromstring(checked(CUT, "junit", PLAIN).encode())
    assert (asked.tests, asked.errors, cut.tests, cut.errors) == (1, 0, 1, 1)
    assert next(iter(cut)).result[0].message == "interrupted: 1 of 4 were asked"
    assert 'name="complete" value="false"' in checked(CUT, "junit", PLAIN)
    assert metrics(checked(CUT, "prometheus", PLAIN))["netprobe_check_complete"] == {(): 0.0}
    assert "INTERRUPTED" in checked(CUT, "markdown", PLAIN)


def test_what_a_change_turns_is_said() -> None:
    text = checked(TRIED, "text", PLAIN)
    assert "with: ip link set veth0 down" in text
    assert "    the change breaks it" in text.splitlines()
    assert text.splitlines()[-1].endswith("; the changes break 1 and mend 1")


def test_json_is_one_line_with_whole_reports() -> None:
    text = checked(ALL, "json", PLAIN)
    assert text.count("\n") == 1
    found = json.loads(text)
    assert (found["schema"], found["complete"], found["expected"]) == ("netprobe.check/1", True, 4)
    assert found["counts"] == {"held": 1, "failed": 1, "undetermined": 1, "error": 1}
    assert found["results"][0]["asked"] == FAILED.asked
    assert found["results"][0]["report"]["causes"][0]["code"] == "filtered-by-rule"
    assert found["results"][2]["report"] is None


def test_junit_is_read_back() -> None:
    suites = {suite.name: list(suite) for suite in JUnitXml.fromstring(checked(ALL, "junit", PLAIN).encode())}
    assert len(suites) == 2
    held, wrong, unsure = suites["net.yaml"]
    assert (held.name, held.classname, held.time, held.is_passed) == ("c1 → c2 icmp is reachable", "net.yaml:3", 0.25, True)
    assert [type(each.result[0]).__name__ for each in (wrong, unsure)] == ["Error", "Error"]
    assert unsure.result[0].type == "undetermined"
    [failed] = next(cases for name, cases in suites.items() if name != "net.yaml")
    assert failed.result[0].type == "filtered-by-rule"
    found = {each.get("name"): each.get("value") for each in failed._elem.iter("property")}
    assert found["object"] == "nft inet lab forward handle 5"
    assert "nft delete rule inet lab forward handle 5" in found["fix"]


@dataclass
class Tap:
    """A stream, read strictly: version, plan, numbered tests, diagnostics that are YAML."""

    planned: int = 0
    tests: list[tuple[bool, str, dict[str, str]]] = field(default_factory=list)
    bailed: str | None = None


def tap(text: str) -> Tap:
    version, plan, *lines = text.split("\n")
    assert version == "TAP version 14"
    assert lines.pop() == ""
    found = Tap(int(re.fullmatch(r"1\.\.(\d+)", plan)[1]))  # type: ignore[index]
    while lines:
        line = lines.pop(0)
        if (bail := re.fullmatch("Bail out! (.*)", line)) is not None:
            found.bailed = bail[1]
            continue
        test = re.fullmatch(r"(ok|not ok) (\d+) - ((?:[^#\\]|\\[#\\])*)", line)
        assert test is not None, line
        assert int(test[2]) == len(found.tests) + 1
        block = []
        if lines and lines[0] == "  ---":
            end = lines.index("  ...")
            block, lines = lines[1:end], lines[end + 1 :]
        description = re.sub(r"\\(.)", r"\1", test[3])
        found.tests.append((test[1] == "ok", description, yaml.safe_load("\n".join(block)) or {}))
    assert found.bailed is not None or len(found.tests) == found.planned
    return found


def test_tap_is_read_back() -> None:
    found = tap(checked(ALL, "tap", PLAIN))
    assert [ok for ok, _, _ in found.tests] == [False, True, False, False]
    assert found.tests[1][1] == "c1 → c2 icmp is reachable"
    assert "# \\\\ TODO" in found.tests[0][1].replace("\\", "\\\\")
    assert found.tests[0][2]["cause"] == "filtered-by-rule"
    assert found.tests[2][2] == {"status": "error", "message": "there is no c9", "hint": "Did you mean c1?", "at": "net.yaml:4"}


LABELS = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def metrics(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """The text format by its grammar: HELP and TYPE once before the samples of a metric, no sample twice."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    lines, name, kinds = text.split("\n"), "", set[str]()
    assert lines.pop() == ""
    for line in lines:
        if (comment := re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)", line)) is not None:
            assert (comment[1] == "HELP") is (comment[2] not in found)
            name = comment[2]
            found.setdefault(name, {})
            kinds |= {name} if comment[3] == "gauge" else set()
            continue
        sample = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[0-9.e+-]+)", line)
        assert sample is not None, line
        assert sample[1] == name
        assert name in kinds
        labels = tuple(LABELS.findall(sample[2] or ""))
        assert LABELS.sub("", sample[2] or "") == ""
        assert labels not in found[name]
        found[name][labels] = float(sample[3])
    return found


def test_prometheus_is_read_back() -> None:
    found = metrics(checked(ALL, "prometheus", PLAIN))
    held = found["netprobe_check_held"]
    assert sorted(held.values()) == [0.0, 0.0, 0.0, 1.0]
    assert next(dict(labels)["asked"] for labels, value in held.items() if value) == "c1 → c2 icmp"
    assert found["netprobe_check_expectations"] == {(("status", status),): 1.0 for status in ("held", "failed", "undetermined", "error")}


def test_what_is_asked_twice_is_one_metric() -> None:
    twice = CheckReport((HELD, replace(HELD, status=Status.FAILED)), 2)
    assert list(metrics(checked(twice, "prometheus", PLAIN))["netprobe_check_held"].values()) == [0.0]


def test_markdown_is_a_table_and_no_name_leaves_its_cell() -> None:
    rows = [line for line in checked(ALL, "markdown", PLAIN).splitlines() if line.startswith("|")][2:]
    assert len(rows) == 4
    assert rows[-1].startswith("| held |")
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


@pytest.mark.parametrize("output", ["text", "junit", "tap", "prometheus", "markdown", "json"])
def test_nothing_moves_the_cursor(output: str) -> None:
    text = checked(ALL, output, PLAIN)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
