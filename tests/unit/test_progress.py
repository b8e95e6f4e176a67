"""How far it is: said on a terminal alone, only of what takes long, and erased at the end."""

from __future__ import annotations

import os
import pty
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netprobe.cli import progress
from netprobe.cli.progress import Progress


class Screen:
    """A terminal as standard error, and what was written to it."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.stream = os.fdopen(self.slave, "w")

    def begin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In the test itself: pytest sets its own standard error between a fixture and a test."""
        monkeypatch.setattr(sys, "stderr", self.stream)

    def written(self) -> str:
        os.set_blocking(self.master, False)
        try:
            return os.read(self.master, 1 << 16).decode()
        except BlockingIOError:
            return ""

    def shown(self) -> str:
        """What is left on the line."""
        line = ""
        for piece in re.split(r"(\r|\x1b\[K)", self.written()):
            line = "" if piece == "\r" else line if piece == "\x1b[K" else piece
        return line


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    made = Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "SILENT_S", 0.01)
    monkeypatch.setattr(progress, "STEP_S", 0.01)
    yield made
    made.stream.close()
    os.close(made.master)


def until(screen: Screen, wanted: str) -> str:
    """What is written, up to these words."""
    told = ""
    for _ in range(500):
        told += screen.written()
        if wanted in told:
            return told
        time.sleep(0.01)
    raise AssertionError(told)


def test_what_takes_long_is_told_and_erased(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    screen.begin(monkeypatch)
    with Progress("trace, 100 probes", "asked", "asking again") as told:
        assert "\rtrace, 100 probes, 0 s" in until(screen, "trace")
        told(1200, 12000)
        assert "\r1,200 of 12,000 asked, 0 s" in until(screen, "1,200")
        told(12000, 12000)
        assert "asking again" in until(screen, "asking again")
        screen.written()
    assert screen.shown() == ""


def test_what_is_done_at_once_says_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    screen.begin(monkeypatch)
    monkeypatch.setattr(progress, "SILENT_S", 60)
    with Progress("trace"):
        pass
    assert screen.written() == ""


def test_a_terminal_without_a_cursor_is_told_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    screen.begin(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    with Progress("trace"):
        time.sleep(0.05)
    assert screen.written() == ""


def test_a_file_is_told_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENT_S", 0.0)
    with (tmp_path / "errors").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with Progress("trace"):
            time.sleep(0.05)
    assert (tmp_path / "errors").read_text() == ""


def test_a_closed_terminal_ends_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    screen.begin(monkeypatch)
    with Progress("trace"):
        until(screen, "trace")
        os.close(screen.master)
        time.sleep(0.05)
    screen.master = os.open("/dev/null", os.O_RDONLY)
