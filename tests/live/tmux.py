"""A program on a terminal in the lab: tmux draws it, keys are typed, the screen is read back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netprobe.lab.lab import Lab

AFTER = "the shell is back"
ENVIRONMENT = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


class Tmux:
    """One window of a tmux server of its own."""

    def __init__(self, lab: Lab, socket: str) -> None:
        self._lab, self._socket = lab, socket

    def tell(self, *words: str) -> str:
        """What a command of tmux prints."""
        done = self._lab.run(["tmux", "-u", "-S", self._socket, "-f", "/dev/null", *words], environment=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def screen(self) -> str:
        """What a person sees."""
        return self.tell("capture-pane", "-p", "-t", "watch")

    def type(self, *keys: str) -> None:
        """Keys as tmux names them."""
        self.tell("send-keys", "-t", "watch", *keys)

    def kill(self, name: str) -> None:
        """Send a signal to the program."""
        shell = self.tell("display-message", "-p", "-t", "watch", "#{pane_pid}").strip()
        self._lab.run(["sh", "-c", f"kill -{name} $(pgrep -P {shell})"], check=True)

    def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        self.tell("resize-window", "-t", "watch", "-x", str(width), "-y", str(height))

    def shows(self, *texts: str, without: str = "\0") -> float:
        """Wait until the screen shows all of this, for a minute at most; how long that took."""
        began = time.monotonic()
        while not all(text in (screen := self.screen()) for text in texts) or without in screen:
            assert time.monotonic() < began + 60, f"not shown: {texts}\n{screen}"
            time.sleep(0.02)
        return time.monotonic() - began

    def is_as_before(self) -> bool:
        """Whether the terminal shows its usual screen, a cursor, and echoes what is typed."""
        flags = self.tell("display-message", "-p", "-t", "watch", "#{alternate_on}#{cursor_flag}#{wrap_flag}")
        return flags.strip() == "011"


@contextmanager
def tmux(lab: Lab, command: str, width: int = 120, height: int = 40) -> Iterator[Tmux]:
    """`command` in a window of this size; when it ends its exit code is shown, and what stty(1) says then."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: sudo apt-get install tmux")
    socket = f"{lab.folder}/tmux"
    shown = Tmux(lab, socket)
    before = f"{lab.folder}/before"
    after = f"echo {AFTER}: $?; stty -g | cmp - {before} && echo as before; exec sleep 600"
    script = f"trap : INT; stty -g > {before}; {command}; {after}"
    shown.tell("new-session", "-d", "-s", "watch", "-x", str(width), "-y", str(height), "sh", "-c", script)
    try:
        yield shown
    finally:
        lab.run(["tmux", "-S", socket, "kill-server"])
