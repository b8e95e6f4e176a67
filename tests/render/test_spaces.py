"""What `ls` prints, at every width: nothing is wider than the terminal, and nothing is lost."""

from __future__ import annotations

import re

import pytest

from netprobe.model import Space, SpaceInterface
from netprobe.render.pen import columns
from netprobe.render.spaces import spaces
from netprobe.render.terminal import NARROWEST, Terminal

PORT = SpaceInterface("veth0", "veth", True, (), "red/eth0", "br0")
HOST = (
    SpaceInterface("lo", "loopback", True, ("127.0.0.1/8",)),
    SpaceInterface("br0", "bridge", True, ("10.0.0.1/16", "fd00:10::1/64", "fe80::1/64")),
    PORT,
    SpaceInterface("eth0", "veth", False, ("203.0.113.2/24", "2001:db8:1111:2222:3333:4444:5555:6666/64"), "internet/eth0"),
)
FOUND = [
    Space("host", "host", ("host", "netns:host"), 1, HOST),
    Space(
        "red",
        "netns",
        ("red", "docker:a-container"),
        2,
        (SpaceInterface("eth0", "veth", True, ("10.0.0.2/16",), "host/veth0", None, "br0"),),
    ),
    Space("stale", "netns", (), 3, (), "", "cannot enter the network namespace: Operation not permitted"),
    Space("lonely", "docker", (), 4, (), "paused"),
]
HOSTILE = [
    Space("x" * 255, "docker", ("\x1b[31m" * 60,), 5, (SpaceInterface("\x1b" * 15, "veth", True, ("10.0.0.2/16",), "名" * 80),)),
    Space("名前" * 30, "docker", (), 6, (), "paused \u202e", "\n" * 99),
]
WORDS = (
    "host", "br0", "10.0.0.1/16", "fd00:10::1/64", "veth0", "eth0", "203.0.113.2/24", "red", "netns", "docker:a-container", "stale",
    "not read: cannot enter the network namespace: Operation not permitted", "lonely", "docker (paused)", "no interface besides lo",
    "port of br0, leads to red/eth0", "internet/eth0", "host/veth0, port of br0",
)  # fmt: skip


@pytest.mark.parametrize("width", range(NARROWEST, 201))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for found in (FOUND, HOSTILE, [*FOUND, *HOSTILE], []):
        shown = spaces(found, Terminal(width))
        assert max(map(columns, shown.splitlines())) <= max(width, 48 if not found else 0)


@pytest.mark.parametrize("width", [NARROWEST, 48, 60, 80, 100, 200, None])
def test_nothing_is_lost(width: int | None) -> None:
    """Each word is there; of what is wrapped in a column of a table, its pieces."""
    shown = spaces(FOUND, Terminal(width))
    for words in WORDS:
        assert all(word in shown for word in words.split())
    if width is None or width >= 200:
        assert all(words in shown for words in WORDS)
    assert "fe80" not in shown


def test_a_table_where_it_can_be_read_and_paragraphs_where_not() -> None:
    wide, narrow = spaces(FOUND, Terminal(120)), spaces(FOUND, Terminal(48))
    assert wide.startswith("NAME ")
    assert narrow.startswith("host  host\n  br0  10.0.0.1/16  fd00:10::1/64\n  veth0\n    port of br0, leads to red/eth0\n")


def test_names_are_written_as_they_are_typed() -> None:
    found = [
        Space("c1", "netns", ("netns:c1",), 1, typed="netns:c1"),
        Space("c1", "docker", ("docker:c1",), 2, typed="docker:c1"),
        Space("pid 7 (sleep)", "pid", ("pid:7",), 3, note="sleep", typed="pid:7"),
        Space("a b;c", "netns", ("netns:a b;c",), 4),
    ]
    table = spaces(found, Terminal())
    assert [line.split("  ")[0] for line in table.splitlines()[1:]] == ["netns:c1", "docker:c1", "pid:7", "'a b;c'"]
    assert "pid (sleep)" in table
    assert "also" not in table
    assert spaces(found, Terminal(), quiet=True) == "netns:c1\ndocker:c1\npid:7\n'a b;c'\n"


def test_further_names_are_those_that_say_more_and_written_as_they_are_typed() -> None:
    found = [
        Space("h1:red", "netns", ("h1:netns:red", "h1:pid:7"), 1, typed="h1:red"),
        Space("red", "netns", ("netns:red", "pid:8", "netns:$(id);x"), 2),
    ]
    table = spaces(found, Terminal())
    assert [line.strip() for line in table.splitlines() if "also" in line] == ["also 'netns:$(id);x'"]


def test_of_lo_only_what_somebody_gave_it_is_shown() -> None:
    usual, given = ("127.0.0.1/8", "::1/128"), ("10.9.9.9/32", "127.0.0.53/8")
    table = spaces([Space("c1", "netns", (), 1, (SpaceInterface("lo", "loopback", True, (*usual, *given)),))], Terminal())
    assert re.search(r"lo +10\.9\.9\.9/32 127\.0\.0\.53/8", table)
    assert "127.0.0.1/8" not in table
    assert "no interface besides lo" in spaces([Space("c1", "netns", (), 1, (SpaceInterface("lo", "loopback", True, usual),))], Terminal())


def test_why_several_were_not_read_is_said_once() -> None:
    text = spaces([Space(f"c{n}", "docker", (), n, blind="it needs CAP_SYS_ADMIN") for n in range(50)], Terminal(80))
    assert text.count("CAP_SYS_ADMIN") == 1
    assert text.count("not read") == 51
    assert text.endswith("50 were not read: it needs CAP_SYS_ADMIN; `netprobe doctor` says what helps\n")


def test_colour_changes_no_width() -> None:
    for width in (48, 120):
        painted = spaces(FOUND, Terminal(width, colour=True))
        assert "\x1b[2m" in painted
        assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == spaces(FOUND, Terminal(width))
