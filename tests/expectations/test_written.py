"""Answers become a file that says the same when it is read: sorted, gathered, whatever the names are."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netprobe.expectations.read import expectations
from netprobe.expectations.written import Asking, PairAnswer, scalar, written

CODES = ("no-route",)


def pairs(text: str) -> set[tuple[str, str, bool]]:
    found = expectations(text.encode(), "net.yaml", CODES)
    return {(each.question.source, each.question.destination, each.reachable) for each in found}


def answered(*names: str, lost: tuple[tuple[str, str], ...] = ()) -> list[PairAnswer]:
    return [PairAnswer(a, b, (a, b) not in lost, "no-route" if (a, b) in lost else "", "no way") for a in names for b in names if a != b]


def test_all_with_all_is_one_line() -> None:
    assert written(answered("c", "a", "b"), Asking()) == (
        "# What answered when this was written; `netprobe check` asks again.\nversion: 1\nexpect:\n- {from: [a, b, c], to: [a, b, c]}\n"
    )


def test_what_did_not_answer_is_a_comment_or_expected_not_to() -> None:
    found = answered("a", "b", lost=(("b", "a"),))
    assert written(found, Asking("tcp", 80)).splitlines()[-4:] == [
        "", "# No answer: no-route", "#   no way", "# - {from: b, to: a, protocol: tcp, port: 80, is: blocked, cause: no-route}",
    ]  # fmt: skip
    assert pairs(written(found, Asking())) == {("a", "b", True)}
    assert pairs(written(found, Asking(), blocked=True)) == {("a", "b", True), ("b", "a", False)}


def test_nobody_can_tell_why() -> None:
    text = written([PairAnswer("a", "b", True), PairAnswer("b", "a", False, reason="whether\n- {from: x, to: y}")], Asking(), blocked=True)
    assert pairs(text) == {("a", "b", True)}


def test_what_was_cut_off_says_so() -> None:
    assert "INCOMPLETE" in written(answered("a", "b"), Asking(), complete=False).splitlines()[1]


NAMES = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8) | st.sampled_from(
    ["null", "~", "no", "1e3", "08", "a: b", "- a", "a # b", "a,b", "[a]", "{a}", "*a", "&a", "!a", "[2001:db8::1]:80", "fe80::1%eth0",
     "docker:c1", "a:", ":a", "'", '"', "\\", "\udcff", "\ud800", "\u2028", "\x85", "\ufeff"]
)  # fmt: skip


@given(st.lists(NAMES, min_size=2, max_size=5, unique=True), st.data())
def test_any_names_are_read_again(names: list[str], data: st.DataObject) -> None:
    found = [PairAnswer(a, b, data.draw(st.booleans()), "no-route", "because\n" + a) for a in names for b in names if a != b]
    text = written(found, Asking(), blocked=True)
    assert text.isascii()
    assert pairs(text) == {(each.source, each.destination, each.reachable) for each in found}
    assert text == written(found[::-1], Asking(), blocked=True)


@pytest.mark.parametrize("name", ["a b", "é", "a\tb", '"', "a: b", "日本", "\u202e"])
def test_other_readers_of_yaml_read_the_same(name: str) -> None:
    assert yaml.safe_load(f"- {scalar(name)}") == [name]
