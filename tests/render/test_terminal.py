import pytest

from netprobe.render.terminal import NARROWEST, WIDEST, Terminal, terminal


@pytest.mark.parametrize(
    ("option", "environ", "isatty", "colour"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"TERM": "xterm"}, True, True),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}, True, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour(option, environ, isatty, colour):
    assert terminal(option, environ, isatty=isatty).colour is colour


@pytest.mark.parametrize(
    ("environ", "isatty", "columns", "width"),
    [
        ({}, True, 100, 100),
        ({}, False, 100, None),
        ({}, True, None, None),
        ({}, True, 0, None),
        ({"COLUMNS": "72"}, True, 100, 72),
        ({"COLUMNS": "72"}, False, None, 72),
        ({"COLUMNS": "0"}, True, 100, 100),
        ({"COLUMNS": ""}, False, None, None),
        ({"COLUMNS": "-3"}, True, 100, 100),
        ({"COLUMNS": "wide"}, True, 100, 100),
        ({"COLUMNS": "٧٢"}, True, 100, 100),
        ({"COLUMNS": "3"}, True, 100, NARROWEST),
        ({"COLUMNS": "1" * 5000}, True, 100, WIDEST),
        ({"COLUMNS": "1000000000"}, False, None, WIDEST),
        ({"COLUMNS": "0" * 5000}, True, 100, 100),
        ({"COLUMNS": "0" * 5000 + "72"}, True, 100, 72),
        ({}, True, 1_000_000, WIDEST),
        ({}, True, 3, NARROWEST),
    ],
)
def test_width(environ, isatty, columns, width):
    assert terminal("auto", environ, isatty=isatty, columns=columns).width == width


@pytest.mark.parametrize(
    ("encoding", "is_ascii"),
    [
        ("utf-8", False),
        ("UTF-8", False),
        ("utf8", False),
        ("ascii", True),
        ("ANSI_X3.4-1968", True),
        ("latin-1", True),
        ("no such", True),
        (None, True),
    ],
)
def test_alphabet(encoding, is_ascii):
    assert terminal("auto", {}, isatty=True, encoding=encoding).ascii is is_ascii


def test_a_pipe_gets_everything_plain():
    assert terminal("auto", {}, isatty=False) == Terminal(width=None, colour=False, ascii=False)
