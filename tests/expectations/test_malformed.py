"""Malformed files: each says in which line and column it is wrong, what is wrong, and what was probably meant."""

from __future__ import annotations

import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import CannotLook, WrongQuestion
from netprobe.expectations.document import DEEPEST, LARGEST_BYTES
from netprobe.expectations.read import MOST, expectations

CODES = ("port-closed", "filtered-by-rule", "no-route")
GOOD = "expect:\n- {from: red, to: blue}\n"

MALFORMED = [
    ("empty", "", 1, 1, "the file is empty", "docs/check.md"),
    ("only a comment", "# nothing\n", 1, 1, "the file is empty", ""),
    ("not YAML", "expect: [\n- {from: red\n", 2, 1, "not YAML", ""),
    ("a tab", "expect:\n\t- from: red\n", 2, 1, "not YAML", ""),
    ("no UTF-8", b"expect:\n- {from: \xff, to: b}\n", 2, 10, "not UTF-8", "UTF-8"),
    ("a control character", "expect:\n- {from: a\x07, to: b}\n", 2, 11, "U+0007", ""),
    ("two documents", GOOD + "---\n" + GOOD, 3, 1, "second document", ""),
    ("a list", "- from: red\n", 1, 1, "the file is to be keys with values", ""),
    ("a text", "expect\n", 1, 1, "here is 'expect'", ""),
    ("unknown key", "expcet: []\n" + GOOD, 1, 1, "'expcet' is no key of the file", "Did you mean expect?"),
    ("duplicate key", GOOD + "version: 1\nexpect: []\n", 4, 1, "stands here twice", ":1:1"),
    ("nothing expected", "version: 1\n", 1, 1, "expect is missing", ""),
    ("an empty list", "expect: []\n", 1, 9, "an empty list", ""),
    ("expect is no list", "expect:\n  from: red\n", 2, 3, "expect is to be a list", ""),
    ("another version", "version: 2\n" + GOOD, 1, 10, "version cannot be '2'", "1"),
    ("an anchor", "expect:\n- &a {from: red, to: blue}\n- *a\n", 2, 3, "anchors and aliases", "groups:"),
    ("an alias", "expect:\n- {from: *a, to: blue}\n", 2, 10, "anchors and aliases", ""),
    ("a bomb", "a: &a [x, x]\nb: &b [*a, *a]\nexpect: [*b]\n", 1, 4, "anchors and aliases", ""),
    ("a merge key", "expect:\n- {<<: {from: red}, to: blue}\n", 2, 4, "'<<' is no key", ""),
    ("a tag", "expect:\n- {from: !!int 1, to: blue}\n", 2, 10, "tags are not read", ""),
    ("a tag of Python", "expect: !!python/object/apply:os.system ['id']\n", 1, 9, "tags are not read", ""),
    ("a key that is a list", "expect:\n- {[a]: b}\n", 2, 4, "a key is a word", ""),
    ("too deep", "expect: " + "[" * 30 + "]" * 30 + "\n", 1, 9 + DEEPEST, "nested more than", ""),
    ("unknown key of an expectation", "expect:\n- from: red\n  to: blue\n  prot: tcp\n", 4, 3, "'prot' is no key", "Did you mean port?"),
    ("from is missing", "expect:\n- to: blue\n", 2, 3, "from is missing", ""),
    ("to is missing", "expect:\n- from: blue\n", 2, 3, "to is missing", ""),
    ("from is empty", "expect:\n- {from: , to: blue}\n", 2, 9, "from has no value", ""),
    ("from is null", "expect:\n- {from: ~, to: blue}\n", 2, 10, "from has no value", "quotes"),
    ("from is keys", "expect:\n- {from: {a: b}, to: blue}\n", 2, 10, "from is to be a value or a list", ""),
    ("a list in a list", "expect:\n- {from: [[red]], to: blue}\n", 2, 11, "from is to be a value", ""),
    ("an empty list of sources", "expect:\n- {from: [], to: blue}\n", 2, 10, "from is an empty list", ""),
    ("one with itself", "expect:\n- {from: red, to: red}\n", 2, 3, "leave no pair", ""),
    ("a port that is a word", "expect:\n- {from: a, to: b, port: http}\n", 2, 26, "port cannot be 'http'", "1 to 65535"),
    ("an octal port", "expect:\n- {from: a, to: b, port: 08}\n", 2, 26, "port cannot be '08'", ""),
    ("a hexadecimal port", "expect:\n- {from: a, to: b, port: 0x10}\n", 2, 26, "port cannot be '0x10'", ""),
    ("a port too large", "expect:\n- {from: a, to: b, port: [80, 65536]}\n", 2, 31, "port cannot be '65536'", ""),
    ("an exponent", "expect:\n- {from: a, to: b, count: 1e3}\n", 2, 27, "count cannot be '1e3'", ""),
    ("unknown protocol", "expect:\n- {from: a, to: b, protocol: tpc}\n", 2, 30, "protocol cannot be 'tpc'", "Did you mean tcp?"),
    ("unknown answer", "expect:\n- {from: a, to: b, is: reachabel}\n", 2, 24, "is cannot be 'reachabel'", "Did you mean reachable?"),
    ("no is not blocked", "expect:\n- {from: a, to: b, is: no}\n", 2, 24, "is cannot be 'no'", "blocked"),
    ("unknown cause", "expect:\n- {from: a, to: b, is: blocked, cause: prot-closed}\n", 2, 40, "no cause is called",
     "port-closed"),
    ("a cause of what is reachable", "expect:\n- {from: a, to: b, cause: no-route}\n", 2, 20, "cause says what blocks", "is: blocked"),
    ("nat of what is blocked", "expect:\n- {from: a, to: b, is: blocked, nat: none}\n", 2, 33, "nat is of what is reachable", ""),
    ("a span without a unit", "expect:\n- {from: a, to: b, max_rtt: 5 parsecs}\n", 2, 29, "is not a duration", "200ms"),
    ("nat of nothing", "expect:\n- {from: a, to: b, nat: {}}\n", 2, 25, "neither a source nor a destination", ""),
    ("nat to a name", "expect:\n- {from: a, to: b, nat: {source: red}}\n", 2, 34, "source cannot be 'red'", "10.0.0.5:80"),
    ("nat of another word", "expect:\n- {from: a, to: b, nat: snat}\n", 2, 25, "nat cannot be 'snat'", "none"),
    ("key of nat", "expect:\n- {from: a, to: b, nat: {sorce: 10.0.0.1}}\n", 2, 26, "'sorce' is no key of nat", "Did you mean source?"),
    ("key of arping", "expect:\n- arping: {from: a, to: b, unqiue: true}\n", 2, 28, "'unqiue' is no key of arping", "Did you mean unique?"),
    ("a key beside arping", "expect:\n- arping: {from: a, to: b}\n  port: 80\n", 3, 3, "'port' is no key", ""),
    ("unique is no switch", "expect:\n- arping: {from: a, to: b, unique: yes}\n", 2, 36, "unique cannot be 'yes'", "true"),
    ("a MAC address", "expect:\n- arping: {from: a, to: b, mac: 02-00}\n", 2, 33, "mac cannot be '02-00'", "02:42"),
    ("a name for two things", "endpoints: {a: red}\ngroups: {a: [blue]}\n" + GOOD, 2, 10, "the name of an endpoint already", ""),
    ("an endpoint that is a list", "endpoints: {a: [red]}\n" + GOOD, 1, 16, "a is to be a value", ""),
    ("a group of a later one", "groups: {a: [b], b: [c]}\n" + GOOD, 1, 14, "the group 'b' is not defined yet", "above"),
    ("a group of itself", "groups: {a: [b, a]}\n" + GOOD, 1, 17, "the group 'a' is not defined yet", ""),
    ("an empty group", "groups: {a: []}\n" + GOOD, 1, 13, "a is an empty list", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "what", "hint"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_it_says_where_and_what(text: str | bytes, line: int, column: int, what: str, hint: str) -> None:
    with pytest.raises(WrongQuestion) as raised:
        expectations(text if isinstance(text, bytes) else text.encode(), "net.yaml", CODES)
    assert str(raised.value).startswith(f"net.yaml:{line}:{column}: "), str(raised.value)
    assert what in str(raised.value)
    assert hint in raised.value.hint


def test_there_are_thirty_and_more() -> None:
    assert len({row[1] for row in MALFORMED}) >= 30


def test_a_large_file_is_refused_before_it_is_read() -> None:
    with pytest.raises(WrongQuestion, match="larger than"):
        expectations(b"#" * (LARGEST_BYTES + 1), "net.yaml", CODES)


def test_more_questions_than_anybody_asks() -> None:
    many = ", ".join(f"a{n}" for n in range(200))
    with pytest.raises(WrongQuestion, match=f"net.yaml:2:3: these are more than {MOST} questions"):
        expectations(f"expect:\n- {{from: [{many}], to: [{many}]}}\n".encode(), "net.yaml", CODES)


@given(st.binary(max_size=200) | st.text(" \n-:{}[]&*!'\"#,a<?|>%@`\\~", max_size=60).map(lambda text: f"expect:\n- {text}".encode()))
def test_whatever_it_holds_it_is_refused_or_read(data: bytes) -> None:
    try:
        found = expectations(data, "net.yaml", CODES)
    except WrongQuestion as error:
        said = str(error)
    else:
        said = str(found[0].at)
    assert said.startswith("net.yaml:")


def test_a_small_file_that_names_millions_of_pairs_takes_no_memory() -> None:
    """4 million pairs: only those that may be asked are made."""
    names = ", ".join(f"n{number}" for number in range(2000))
    tracemalloc.start()
    try:
        with pytest.raises(WrongQuestion, match=f"more than {MOST} questions"):
            expectations(f"groups: {{all: [{names}]}}\nexpect:\n- {{from: all, to: all}}\n".encode(), "net.yaml", CODES)
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


def test_without_a_parser_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(CannotLook, match="PyYAML is not installed") as raised:
        expectations(GOOD.encode(), "net.yaml", CODES)
    assert "pip install PyYAML" in raised.value.hint
