"""What people read, as files: look at them when they change (see conftest.py for how to write them anew)."""

import re
from pathlib import Path

import pytest
import sample_matrices
import sample_reports
import sample_watches
from msgspec.structs import replace

from netprobe.render.html.picture import svg
from netprobe.render.markdown import markdown
from netprobe.render.pen import columns
from netprobe.render.text import arping, ping, text
from netprobe.render.wide import wide

GOLDEN = Path(__file__).with_name("golden")
REPORTS = sorted(sample_reports.ALL)
LOOKS = {
    "100": {"width": 100},
    "80": {"width": 80},
    "48": {"width": 48},
    "piped": {},
    "colour": {"width": 100, "colour": True},
    "ascii": {"width": 80, "ascii": True},
}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def drawn(name, **look):
    report = sample_reports.ALL[name]
    return (arping if report.command == "arping" else text)(report, **look)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", REPORTS)
def test_text(golden, name, look):
    golden(f"{name}.{look}.txt", drawn(name, **LOOKS[look]))


@pytest.mark.parametrize("name", REPORTS)
def test_wide(golden, name):
    golden(f"{name}.wide.txt", wide(sample_reports.ALL[name]))


@pytest.mark.parametrize("name", REPORTS)
def test_markdown(golden, name):
    golden(f"{name}.md", markdown(sample_reports.ALL[name]))


def test_ping(golden):
    golden("ping.txt", "".join(ping(sample_reports.ALL[name]) for name in REPORTS))


def test_svg(golden):
    golden("forward-drop.svg", svg(sample_reports.ALL["forward-drop"]))


def test_no_golden_is_left_over():
    names = {f"{name}.{look}.txt" for name in REPORTS for look in [*LOOKS, "wide"]} | {f"{name}.md" for name in REPORTS}
    matrices = {f"matrix-{name}.{look}.txt" for name in sample_matrices.SHOWN for look in sample_matrices.LOOKS}
    matrices |= {f"matrix-{name}.md" for name in sample_matrices.SHOWN}
    names |= {f"live-{name}.{look}.txt" for name in sample_watches.WATCHES for look in [*sample_watches.LOOKS, "lines"]}
    names |= {f"map-{name}.{look}.txt" for name in ("stopped", "crowd") for look in LOOKS if look != "100"}  # test_wiring.py
    names |= {f"map-stopped.{output}" for output in ("svg", "dot", "mermaid", "html")}
    assert {path.name for path in GOLDEN.iterdir()} == names | matrices | {"ping.txt", "forward-drop.svg", "forward-drop.window.svg"}


@pytest.mark.parametrize("name", REPORTS)
def test_colour_adds_nothing_but_colour(name):
    assert COLOUR.sub("", drawn(name, width=100, colour=True)) == drawn(name, width=100)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("look", LOOKS)
def test_nothing_hostile_reaches_a_terminal(name, look):
    shown = COLOUR.sub("", drawn(name, **LOOKS[look]))
    assert all(char == "\n" or char.isprintable() for char in shown)
    if LOOKS[look].get("ascii"):
        assert shown.isascii()


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [40, 48, 60, 69, 70, 80, 100, 130, 200])
def test_lines_stay_within_the_width(name, width):
    """Apart from what is there to be copied, and the capture's name."""
    report = sample_reports.ALL[name]
    copied = [command for cause in report.causes + report.blockers for command in cause.fix] + ["capture:", "   # in "]
    quoted = [line.strip() for cause in report.causes if cause.object for line in cause.object.text.splitlines()]
    for line in drawn(name, width=width).splitlines():
        if columns(line) > width:
            assert any(command in line for command in copied + quoted)


@pytest.mark.parametrize("name", REPORTS)
def test_the_same_words_at_every_width(name):
    """Wrapping loses nothing: what a pipe gets, a narrow terminal gets too."""
    said = [sorted(re.findall(r"[\w/.:\\-]+", drawn(name, **look))) for look in ({}, {"width": 130}, {"width": 60})]
    heads = {"WHERE", "STEP", "µS", "WHAT", "HAPPENED", "µs", "ADDRESS", "MAC", "SENT"}
    assert len({tuple(word for word in words if word not in heads) for words in said}) == 1


def test_every_sign_that_colour_gives_is_a_sign_without_it():
    plain = drawn("forward-drop", width=100)
    assert [line[0] for line in plain.splitlines()[3:9]] == ["✓", "✓", "✓", "✗", "·", "·"]


def test_the_fix_of_a_report_that_has_lines_alone_is_shown_as_text():
    """An older netprobe saved no words; what it saved may be anybody's."""
    cause = replace(sample_reports.NO_NAT, commands=(), fix=("ip link set e\x1b[2J\nid up", "reboot"))
    shown = text(replace(sample_reports.NAT_MISSING, causes=(cause,)))
    assert "  fix     ip link set e\\x1b[2J\\x0aid up   # in host\n          reboot   # in host\n" in shown
