"""The live table of --watch: goldens at three widths, and that it fits every room."""

import pytest
from sample_watches import LOOKS, WATCHES, clock

from netprobe.model.live import Live
from netprobe.render.live import live, summary, told
from netprobe.render.pen import columns
from netprobe.render.terminal import Terminal


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", WATCHES)
def test_table(golden, name, look):
    golden(f"live-{name}.{look}.txt", summary(WATCHES[name][0], clock, LOOKS[look]))


@pytest.mark.parametrize("name", WATCHES)
def test_lines(golden, name):
    golden(f"live-{name}.lines.txt", "".join(told(event, clock, Terminal()) for event in WATCHES[name][1]))


@pytest.mark.parametrize("height", [1, 3, 8, 12, 18, 24, 50])
@pytest.mark.parametrize("width", [24, 48, 80, 120])
@pytest.mark.parametrize("name", WATCHES)
def test_it_fits(name, width, height):
    lines = live(WATCHES[name][0], clock, Terminal(width), height)
    assert len(lines) <= height
    assert all(columns(line) <= width for line in lines)


@pytest.mark.parametrize("height", [14, 18, 24])
def test_the_place_of_the_loss_is_always_shown(height):
    lines = live(WATCHES["broken"][0], clock, Terminal(120), height)
    assert any(line.startswith("✗") for line in lines)


def test_the_last_change_comes_first():
    lines = live(WATCHES["broken"][0], clock, Terminal(120), 30)
    at = next(n for n, line in enumerate(lines) if line.startswith("changed (3)"))
    assert [line[:12] for line in lines[at + 1 : at + 4]] == ["14:02:03.250", "14:02:02.000", "14:02:01.000"]


def test_nothing_is_said_by_colour_alone():
    for state, _ in WATCHES.values():
        painted = live(state, clock, Terminal(120, colour=True))
        plain = live(state, clock, Terminal(120))
        assert len(painted) == len(plain)
        assert all(sign in "\n".join(plain) for sign in ("✓",))


def test_before_the_first_round():
    assert live(Live(), clock, Terminal(80), 24) == ["asking for the first time"]
