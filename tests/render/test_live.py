"""The live table of --watch: goldens at three widths, and that it fits every room."""

import pytest
from msgspec.structs import replace
from sample_watches import LOOKS, WATCHES, clock

from netprobe.model import Changed
from netprobe.model.live import ChangeEvent, Live, LiveChange, RoundEvent
from netprobe.render.live import kept, live, summary, told
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


HOSTILE = "x\x1b]0;y\x07\u202e"


def test_hostile_names_are_shown_by_their_numbers():
    change = LiveChange(1, Changed("rule", HOSTILE, HOSTILE, namespace=HOSTILE, after=HOSTILE), heard=True, by=HOSTILE)
    state = replace(WATCHES["broken"][0], trouble=HOSTILE, changes=(change,), unheard=(HOSTILE,))
    events = [ChangeEvent(1, True, change.what, by=HOSTILE), RoundEvent(1, 1, None, trouble=HOSTILE)]
    shown = summary(state, clock, Terminal(80)) + "".join(told(event, clock, Terminal()) for event in events)
    shown += kept(2, HOSTILE, HOSTILE, Terminal(80))
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "\\x1b]0;y" in shown


def test_what_the_kernel_does_not_tell_is_said():
    why = "changes of rules in host: CAP_NET_ADMIN is missing"
    state = replace(WATCHES["healthy"][0], unheard=(why, "changes of rules in red: CAP_NET_ADMIN is missing"))
    assert live(state, clock, Terminal(120))[-2] == f"the kernel does not tell {why} (and 1 more)"


@pytest.mark.parametrize(("rounds", "last", "lost", "said"), [
    (1, "a", None, ""), (5, None, None, ""), (5, "a", None, "\nkept of 5 rounds: the last one\n"),
    (5, "a", "b", "\nkept of 5 rounds: the last one, and the last one that was lost: b\n"),
])  # fmt: skip
def test_what_is_kept(rounds, last, lost, said):
    assert kept(rounds, last, lost, Terminal(80)) == said


def test_before_the_first_round():
    assert live(Live(), clock, Terminal(80), 24) == ["asking for the first time"]
