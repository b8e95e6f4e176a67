"""The terminal of a live table: taken when there is something to show, put back on every way out.

It is given back in the handler of a signal, before anything unwinds: who is killed in the middle of that has
a terminal that works. Keys come by SIGIO, so that q ends a round that waits for an answer at once.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

# ECMA-48, and DEC's private modes: another screen, no cursor, no lines that wrap
_TAKE, _GIVE_BACK = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[J"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_LFLAG, _CC = 3, 6  # in what tcgetattr(3) gives

Draw = Callable[[int, int], list[str]]
"""The lines for so many columns and lines."""


class Screen:
    """A terminal of its own for what `draw` returns; `with` gives it back."""

    def __init__(self, draw: Draw) -> None:
        self.quit = False  # q was typed
        self._draw = draw
        self._keys = -1
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._taken = self._drawing = self._stale = False
        self._owner = os.getpid()  # a process that is forked to read a file has our handlers, too

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self) -> None:
        """Draw what there is to show now."""
        if not self._handlers:
            self._open()
        self._take()
        self._stale = True
        self._redraw("")

    def close(self) -> None:
        """Give the terminal and the signals back. Harmless when repeated."""
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
        if self._keys >= 0:
            os.close(self._keys)
            self._keys = -1

    def _open(self) -> None:
        """Have signals come here, and keys by SIGIO."""
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._ends)
        self._handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._resized)
        self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._stopped)
        self._handlers[signal.SIGIO] = signal.signal(signal.SIGIO, self._typed)
        with suppress(OSError):  # where there is no terminal to type at, only signals end it
            self._keys = os.open("/dev/tty", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            fcntl.fcntl(self._keys, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(self._keys, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)

    # ---- signals

    def _ends(self, number: int, frame: FrameType | None) -> None:
        """The terminal first; then what would have happened without us."""
        self._give_back()
        handler = self._handlers.get(number, signal.SIG_DFL)
        if callable(handler):
            handler(number, frame)
            return
        signal.signal(number, handler)
        os.kill(os.getpid(), number)

    def _resized(self, _number: int, _frame: FrameType | None) -> None:
        self._stale = True
        self._redraw(_CLEAR)

    def _stopped(self, _number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal back, and we take it again when we go on."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self._stale = True
        self._redraw(_CLEAR)

    def _typed(self, _number: int, _frame: FrameType | None) -> None:
        typed = b""
        with suppress(OSError):
            typed = os.read(self._keys, 64)
        if b"q" in typed.lower() and self._taken:
            self._give_back()
            self.quit = True
            raise KeyboardInterrupt

    # ---- the terminal

    def _take(self) -> None:
        if self._taken or os.getpid() != self._owner:
            return
        self._taken = True
        if self._keys >= 0:
            with suppress(termios.error):
                self._before = termios.tcgetattr(self._keys)
                mode = termios.tcgetattr(self._keys)
                mode[_LFLAG] &= ~(termios.ICANON | termios.ECHO)
                mode[_CC][termios.VMIN], mode[_CC][termios.VTIME] = 1, 0
                termios.tcsetattr(self._keys, termios.TCSANOW, mode)
        _write(_TAKE)

    def _give_back(self) -> None:
        if not self._taken or os.getpid() != self._owner:
            return
        self._taken = False
        with suppress(OSError):
            _write(_GIVE_BACK)
        if self._before is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)
            self._before = None

    def _redraw(self, before: str) -> None:
        """Draw until what is shown is what there is: a signal may come while it is drawn."""
        if self._drawing or not self._taken or os.getpid() != self._owner:
            return
        _write(before)
        self._drawing = True
        try:
            while self._stale and self._taken:
                self._stale = False
                size = os.get_terminal_size(sys.stdout.fileno())
                lines = self._draw(size.columns or 80, size.lines or 24)  # a line may not say
                shown = f"{_REST_OF_LINE}\r\n".join(lines)
                if self._taken:
                    _write(f"{_HOME}{shown}{_REST_OF_LINE}{_REST}")
        finally:
            self._drawing = False


def _write(text: str) -> None:
    """Past Python's buffer, which a handler of a signal must not enter twice."""
    rest = text.encode(sys.stdout.encoding or "ascii", "backslashreplace")
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]
