import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.render.escape import ascii_only, lines, safe

ANY = st.text(st.characters(), max_size=30)  # every code point, surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("eth0", "eth0"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\r\nb\tc\x00", r"a\x0d\x0ab\x09c\x00"),
        ("\x7f\x9b31m", r"\x7f\u009b31m"),
        ("abc\u202ecba", r"abc\u202ecba"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("ze\u200bro\ufeff", r"ze\u200bro\ufeff"),
        ("a\u00a0b\u3000c", r"a\u00a0b\u3000c"),
        ("line\u2028line", r"line\u2028line"),
        ("veth\udcff", r"veth\xff"),
        ("\ud83d", r"\ud83d"),
        ("\U000e0041", r"\U000e0041"),
        ("\u115f\u2800\u3164", r"\u115f\u2800\u3164"),
        ("e\u0301", "e\u0301"),
        ("e\u0301\u0301", "e\u0301\\u0301"),
        ("\u0301a", r"\u0301a"),
        ("1\u20e3", r"1\u20e3"),
        ("名前 müller → ✓", "名前 müller → ✓"),
        (r"back\slash", r"back\slash"),
    ],
)
def test_safe(text, shown):
    assert safe(text) == shown


@given(ANY)
def test_what_is_safe_prints_moves_nothing_and_hides_nothing(text):
    shown = safe(text)
    shown.encode("utf-8")
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(char) for char in shown} & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(ANY)
def test_safe_is_idempotent(text):
    assert safe(safe(text)) == safe(text)


@given(ANY)
def test_ascii_only_is_ascii_and_idempotent(text):
    shown = ascii_only(safe(text))
    assert shown.isascii()
    assert shown.isprintable()
    assert ascii_only(safe(shown)) == shown


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_is_left_alone(text):
    assert safe(text) == text
    assert ascii_only(text) == text


def test_different_characters_stay_different():
    assert len({safe(chr(number)) for number in range(0x110000)}) == 0x110000


def test_signs_of_ours_are_spelled_out():
    assert ascii_only("10.0.0.2 → 172.16.0.2, 24 µs, müller") == r"10.0.0.2 -> 172.16.0.2, 24 us, m\u00fcller"


def test_only_a_line_feed_divides_lines():
    assert lines("a\vb\u2028c\x85d\x1ce\n\nf\n") == [r"a\x0bb\u2028c\u0085d\x1ce", "", "f"]
    assert lines("") == []


def test_a_text_of_several_lines_keeps_its_lines():
    assert lines("table ip x {\n\tchain y {\n  }\r\n}\x1b[2J\n") == ["table ip x {", "    chain y {", "  }", r"}\x1b[2J"]
