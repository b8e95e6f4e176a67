import re
import subprocess
import sys

import sample_reports
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from netprobe.render.pen import BOLD, SIGNS, Pen, columns, is_narrow
from netprobe.render.terminal import Terminal
from netprobe.render.text import text

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


def test_signs_of_ours_take_one_column_each() -> None:
    assert [sign for sign in sorted(SIGNS) if wcswidth(f"a{sign}{sign}b") != 4] == []


@given(st.text(st.sampled_from([*SIGNS, *"ab |\t名e\u0301\u200b"])))
def test_what_is_narrow_is_as_wide_as_it_is_long(written: str) -> None:
    assert columns(written) == (len(written) if written.isascii() else max(0, wcswidth(written)))


def test_every_sign_of_a_report_is_known() -> None:
    """Else a table of it would bring in the widths of all characters."""
    reports = (sample_reports.HEALTHY, sample_reports.ARPING)
    assert [sign for report in reports for sign in text(report, 100) if not is_narrow(sign)] == []


LAZY = """
import sys
from netprobe.render.text import grid
rows = [["✓", "1", "\\x1b[32mred/eth0\\x1b[0m → blue"], ["✗", "20", "x"]]
print(grid(("", "#", "WHERE"), rows, ("left", "right", "left")))
print([name for name in ("wcwidth._wcwidth", "importlib.metadata", "email", "zipfile") if name in sys.modules])
"""


def test_a_table_of_narrow_characters_takes_its_libraries_no_further() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)
    *table, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert table == ["['    #  WHERE', '✓   1  \\x1b[32mred/eth0\\x1b[0m → blue', '✗  20  x']"]


def test_whoever_else_uses_tabulate_has_the_whole_one() -> None:
    code = f"""{LAZY}
import importlib.metadata, tabulate, wcwidth
print(tabulate.__version__ == importlib.metadata.version("tabulate"), tabulate.WIDE_CHARS_MODE, tabulate.MIN_PADDING)
print(tabulate.tabulate([["名前", "b"], ["a", "b"]], tablefmt="plain"))
print(grid(("A", "B"), [["名前", "b"], ["a", "b"]], ("left", "left")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[2:] == ["True True 2", "名前  b", "a     b", "['A     B', '名前  b', 'a     b']"]
