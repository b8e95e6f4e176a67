"""When it worked, and what has changed since then: said by every renderer, near the cause."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from sample_reports import NO_ROUTE

from netprobe.formats import formatted
from netprobe.model import Changed, Since
from netprobe.render.terminal import Terminal

GONE = Changed("route", "default via 10.0.0.1 dev eth0", namespace="red", before="via 10.0.0.1 dev eth0")
SINCE = Since("captures/good.pcapng", 1_770_127_320_000_000_000, "14:02", (GONE,))
SAID = "it worked at 14:02 (captures/good.pcapng); since then: route default via 10.0.0.1 dev eth0 of red gone"


@pytest.mark.parametrize("output", ["text", "wide", "markdown"])
def test_it_is_said_before_the_cause(output: str) -> None:
    text = formatted(replace(NO_ROUTE, since=SINCE), output, Terminal())
    assert 0 < text.index(SAID) < text.index("error[")


def test_one_line_says_when() -> None:
    text = formatted(replace(NO_ROUTE, since=SINCE), "text", Terminal(), quiet=True)
    assert text.endswith("; it worked at 14:02\n")
    assert "it worked" not in formatted(NO_ROUTE, "text", Terminal(), quiet=True)


def test_of_many_changes_the_first_are_said_and_all_are_in_the_json() -> None:
    report = replace(NO_ROUTE, since=replace(SINCE, changed=(GONE,) * 9))
    assert "of red gone, and 5 more" in formatted(report, "text", Terminal())
    assert len(json.loads(formatted(report, "json", Terminal()))["since"]["changed"]) == 9


def test_nothing_that_changed_is_said_to_be_so() -> None:
    text = formatted(replace(NO_ROUTE, since=replace(SINCE, changed=())), "text", Terminal())
    assert "since then nothing has changed where both runs have looked" in text


def test_names_are_escaped() -> None:
    evil = replace(SINCE, capture="a\x1b[2J", at="\x1b]0;x\x07", changed=(replace(GONE, id="x\x1b[31m\n"),))
    for output in ("text", "wide", "markdown", "json"):
        text = formatted(replace(NO_ROUTE, since=evil), output, Terminal())
        assert "\x1b" not in text
        assert "\x07" not in text
