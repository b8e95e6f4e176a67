import re

from hypothesis import given
from hypothesis import strategies as st

from netprobe.render.pen import BOLD, Pen, columns
from netprobe.render.terminal import Terminal

TEXT = st.text(st.characters(), max_size=120)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@given(TEXT, st.integers(2, 60))
def test_wrapping_stays_in_its_room_and_loses_nothing(text, room):
    pen = Pen(Terminal())
    wrapped = pen.wrap(text, room)
    assert all(columns(line) <= room for line in wrapped)
    assert "".join("".join(wrapped).split()) == "".join(pen.plain(text).split())


@given(TEXT)
def test_without_a_width_there_is_one_line(text):
    assert Pen(Terminal()).wrap(text, None) == [Pen(Terminal()).plain(text)]


def test_words_are_cut_only_when_longer_than_a_line():
    assert Pen(Terminal()).wrap("to 2001:db8::8888 now", 12) == ["to", "2001:db8::88", "88 now"]
    assert Pen(Terminal()).wrap("neighbour 8e:dd:e1:7e:db:2e", 20) == ["neighbour", "8e:dd:e1:7e:db:2e"]


def test_wide_characters_take_two_columns():
    assert columns("名前") == 4
    assert Pen(Terminal()).wrap("名前名前", 5) == ["名前", "名前"]


@given(st.lists(TEXT, min_size=1, max_size=4), st.integers(24, 80), st.booleans())
def test_flowed_parts_stay_within_the_width(parts, width, colour):
    pen = Pen(Terminal(width, colour))
    shown = pen.flowed([(part, BOLD) for part in parts], lead="      ")
    assert all(columns(COLOUR.sub("", line)) <= width for line in shown)


def test_paint_is_nothing_without_colour_or_text():
    assert Pen(Terminal()).paint("x", BOLD) == "x"
    assert Pen(Terminal(colour=True)).paint("", BOLD) == ""
    assert Pen(Terminal(colour=True)).paint("x", BOLD) == "\x1b[1mx\x1b[0m"


def test_ascii_signs():
    assert Pen(Terminal(ascii=True)).glyph("✓", "ok") == "ok"
    assert Pen(Terminal(ascii=True)).plain("→ \x1b") == "-> \\x1b"
