"""What a person may type in several ways, and what is typed for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.cli import cli, run_line

SAMPLE = str(Path(__file__).parents[2] / "captures/samples/no-masquerade.pcapng")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run_line(list(words))
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize("general", [["-q"], ["--color", "always"], ["-v"], ["--quiet", "--color=never"]])
def test_a_general_option_may_stand_behind_the_command(capsys: pytest.CaptureFixture[str], general: list[str]) -> None:
    before = said(capsys, *general, "show", SAMPLE)
    assert said(capsys, "show", *general, SAMPLE) == before
    assert said(capsys, "show", SAMPLE, *general) == before


def test_what_stands_behind_counts_where_both_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in said(capsys, "--color", "always", "show", SAMPLE, "--color", "never")[1]


def test_every_command_takes_the_general_options(capsys: pytest.CaptureFixture[str]) -> None:
    for name in cli.commands:
        assert said(capsys, name, "-q", "-v", "--color", "never", "--help")[0] == 0
        assert said(capsys, name, "--color", "pink")[0] == 2


@pytest.mark.parametrize("words", [["show", SAMPLE], ["explain", "no-route"], ["diff", SAMPLE, SAMPLE]])
def test_json_is_a_format_in_one_word(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    meant = said(capsys, *words, "-o", "json")
    assert json.loads(meant[1])["schema"]
    for given in (["--json"], ["--json", "-o", "json"], ["-o", "json", "--json"]):
        assert said(capsys, words[0], *given, *words[1:]) == meant


@pytest.mark.parametrize("given", [["--json", "-o", "text"], ["-o", "text", "--json"]])
def test_two_formats_contradict_each_other(capsys: pytest.CaptureFixture[str], given: list[str]) -> None:
    code, out, err = said(capsys, "show", *given, SAMPLE)
    assert (code, out) == (2, "")
    assert err.startswith("netprobe: --json and -o text contradict each other\n")


def test_every_command_with_json_takes_the_word() -> None:
    for name, command in cli.commands.items():
        formats = [each for each in command.params if each.name == "output" and "-o" in each.opts]
        takes = any("--json" in each.opts for each in command.params)
        assert takes is any("json" in each.type.choices for each in formats), name  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", list(cli.commands))
def test_help_of_a_command(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert said(capsys, "help", name) == said(capsys, name, "--help")


def test_help_of_all_and_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "help") == said(capsys, "--help")
    code, _, err = said(capsys, "help", "traec")
    assert code == 2
    assert "Did you mean trace" in err
