"""Every page of the handbook is whole, docs/causes.md is made of them, and `netprobe explain` finds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.causes import pages
from netprobe.cli import run_line
from netprobe.model import Page
from netprobe.render import pages as handbook
from netprobe.render.terminal import Terminal

DOCUMENT = Path(__file__).parents[2] / "docs/causes.md"
ALL = pages.pages()


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.code)
def test_a_page_is_whole(page: Page) -> None:
    assert page.meaning.endswith(".")
    assert ". " not in page.meaning, "the first line is one sentence"
    assert page.what.count(".") >= 2, "why it happens takes more than a sentence"
    for text in (page.what, page.how, page.advice):
        assert text[0].isupper(), text
        assert text.endswith((".", "?", "!")), text
    assert page.fix, "commands"
    assert page.see, "references"


def test_the_document_is_made_of_the_pages() -> None:
    assert DOCUMENT.read_text() == handbook.markdown(ALL), "run scripts/causes"


@pytest.mark.parametrize("written", ["port-closed", "PORT_CLOSED", " port-closed "])
def test_a_code_is_found_however_it_is_written(written: str) -> None:
    found = pages.find(written)
    assert found is not None
    assert found.code == "port-closed"


def test_a_typo_gets_the_nearest_codes() -> None:
    assert pages.find("natmissing") is None
    assert pages.nearest("natmissing")[0] == "nat-missing"
    assert pages.nearest("rp_filters")[0] == "rp-filter"
    assert pages.nearest("vxlan") != ()
    assert pages.nearest("") == ()


@pytest.mark.parametrize("width", [28, 40, 60, 80, 140])
def test_no_line_is_wider_than_the_terminal_but_a_command(width: int) -> None:
    commands = {command for page in ALL for command in page.fix}
    for page in ALL:
        for line in handbook.page(page, Terminal(width)).splitlines():
            assert len(line) <= width or line.strip() in commands, line
    assert all(len(line) <= width for line in handbook.contents(ALL, Terminal(width)).splitlines())


def test_a_page_in_ascii_is_ascii() -> None:
    assert all(handbook.page(page, Terminal(80, ascii=True)).isascii() for page in ALL)


def test_explain_prints_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["explain", "port-closed"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("port-closed: The network is fine")
    assert "ss -lntup" in shown


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "--list"]])
def test_explain_alone_lists_every_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(arguments) == 0
    shown = capsys.readouterr().out
    assert all(f"  {code} " in shown for code in pages.codes())


def test_explain_of_an_unknown_code_says_what_may_be_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["explain", "portclosed"]) == 2
    assert "port-closed" in capsys.readouterr().err


def test_explain_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["explain", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "netprobe.causes/1"
    assert [each["code"] for each in told["causes"]] == list(pages.codes())


def test_explain_as_markdown_can_go_to_a_file(tmp_path: Path) -> None:
    assert run_line(["explain", "no-route", "-o", "markdown", "--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text().startswith("# no-route\n")
