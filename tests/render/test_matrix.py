"""Who reaches whom, as people and programs read it: goldens of a small and of a large matrix, CSV and JUnit read back."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from junitparser import Error, Failure
from junitparser.xunit2 import JUnitXml
from sample_matrices import DROP, LOOKS, SHOWN

from netprobe.codec import matrix_to_json
from netprobe.render.matrix import markdown, text
from netprobe.render.pairs import csv_of, junit_of
from netprobe.render.pen import columns
from netprobe.render.terminal import Terminal

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", SHOWN)
def test_text(golden, name, look):  # type: ignore[no-untyped-def]
    golden(f"matrix-{name}.{look}.txt", text(SHOWN[name], LOOKS[look]))


@pytest.mark.parametrize("name", SHOWN)
def test_markdown(golden, name):  # type: ignore[no-untyped-def]
    golden(f"matrix-{name}.md", markdown(SHOWN[name]))


@pytest.mark.parametrize("name", SHOWN)
def test_the_map_fits_and_says_all_without_colours(name: str) -> None:
    plain = text(SHOWN[name], Terminal(80))
    assert COLOUR.sub("", text(SHOWN[name], Terminal(80, colour=True))) == plain
    assert all(columns(line) <= 80 for line in plain.splitlines() if "iptables" not in line)
    assert text(SHOWN[name], Terminal(80, ascii=True)).isascii()
    assert text(SHOWN[name], Terminal(), quiet=True).count("\n") == 1


def test_csv_has_each_pair() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_of(SHOWN["broken"]))))
    assert len(rows) == 30
    assert rows[0] == {"source": "c0", "destination": "c1", "verdict": "reachable", "rtt_ns": "20001", "cause": "", "summary": ""}
    lost = [row for row in rows if row["cause"] == "policy-drop"]
    assert len(lost) == 12
    assert {(row["verdict"], row["rtt_ns"], row["summary"]) for row in lost} == {("unreachable", "", DROP.summary)}


def test_junit_is_read_back() -> None:
    [suite] = JUnitXml.fromstring(junit_of(SHOWN["broken"]).encode())
    assert (suite.tests, suite.failures, suite.errors) == (30, 13, 1)
    by_name = {case.name: case for case in suite}
    [failure] = by_name["c0 to c2"].result
    assert isinstance(failure, Failure)
    assert (failure.message, failure.type) == ("host FORWARD policy DROP", "policy-drop")
    assert "iptables -P FORWARD ACCEPT" in failure.text
    assert [(each.name, each.value) for each in by_name["c0 to c2"].properties()] == [("cause", "policy-drop")]
    assert isinstance(by_name["c5 to c0"].result[0], Error)
    assert by_name["c0 to c1"].result == []


def test_json_names_the_group_of_a_pair() -> None:
    report = json.loads(matrix_to_json(SHOWN["broken"]))
    assert (report["schema"], report["verdict"], report["complete"]) == ("netprobe.matrix/1", "unreachable", True)
    assert report["counts"] == {"reachable": 16, "unreachable": 12, "intermittent": 1, "undetermined": 1}
    assert len(report["pairs"]) == 30
    grouped = {(pair["source"], pair["destination"]): pair["group"] for pair in report["pairs"]}
    assert (grouped["c0", "c2"], grouped["c5", "c0"], grouped["c0", "c1"]) == (0, 1, None)
    assert report["groups"][0]["cause"]["code"] == "policy-drop"
    assert report["groups"][0]["searched"] == ["c0", "c2"]
