"""What a person may type in several ways, and what is typed for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from netprobe.cli import cli, run_line
from netprobe.linux.names import completion
from netprobe.linux.names.names import Found

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


def completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """What bash offers for the last word of a line."""
    monkeypatch.setenv("_NETPROBE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    code, out, err = said(capsys)
    assert (code, err) == (0, "")
    return [each.split(",", 1)[1] for each in out.splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        *("trace r", "ping red r", "why r", "arping red r", "matrix c1 r", "expect r", "ls r"),
        *("--host r", "trace --exclude r", "check --exclude r", "matrix --exclude r", "expect c1 --exclude r"),
    ],
)
def test_namespaces_and_containers_are_completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr("netprobe.linux.names.completion.known_names", lambda: ["host", "red", "r2", "c1"])
    assert completed(capsys, monkeypatch, f"netprobe {line}") == ["red", "r2"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("netprobe demo --break no-masq", "no-masquerade"),
        ("netprobe explain no-rou", "no-route"),
        ("netprobe help comp", "completion"),
        ("netprobe doc", "doctor"),
        ("netprobe trace -o mark", "markdown"),
        ("netprobe trace --js", "--json"),
    ],
)
def test_other_words_are_completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, offered: str) -> None:
    assert offered in completed(capsys, monkeypatch, line)


def test_a_name_that_two_have_is_completed_with_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Found("netns", "c1", "/"), Found("netns", "red", "/"), Found("docker", "c1", "/"), Found("docker", "c2", "/")]
    found += [Found("pid", "7", "/"), Found("netns", "netns-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f", "/")]
    monkeypatch.setattr(completion, "_all", lambda _: iter(found))
    assert completion.known_names() == ["c2", "docker:c1", "host", "netns:c1", "red"]


def test_what_hangs_takes_nothing_from_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def hanging(root: str) -> Iterator[Found]:
        yield Found("netns", "red", "/")
        raise TimeoutError

    monkeypatch.setattr(completion, "_all", hanging)
    assert completion.known_names() == ["host", "red"]
