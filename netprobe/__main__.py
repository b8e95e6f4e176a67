"""The program: `netprobe`, or `python -m netprobe`.

However it ends, the exit code is one of the contract's.
"""

# first of all, and no Python file: `signal`, and `__future__`, take their time
import _signal  # type: ignore[import-not-found]

# Ctrl-C ends us without a traceback from here on
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import errno
import gc
import io
import os
import select
import signal
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO

_ANSWERS = range(5)
_CANNOT_LOOK = 3
_NOT_LOADED = ("failed to map segment from shared object", "cannot map zero-fill pages")
_BUG, _OUTPUT_FAILED, _INTERRUPTED, _PIPE_CLOSED = 70, 74, 130, 141


class _Whole(io.FileIO):
    """A stream that takes all that is written, or fails.

    Python's own loses, without a word, what a nearly full disk or a pipe that does not block has no room for,
    when PYTHONUNBUFFERED is set: write(2) may write less than it is given.
    """

    def write(self, data: "Any") -> int:
        """Write every byte; a reader that is slow is waited for."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            written = super().write(rest)
            if written is None:  # EAGAIN
                poll = select.poll()
                poll.register(self.fileno(), select.POLLOUT)
                poll.poll()
            rest = rest[written or 0 :]
        return size


class _Ending:
    """What Ctrl-C and SIGTERM do: the first one unwinds what runs, so that everything is tidied; any other
    ends us at once.
    """

    unwinds = False

    @classmethod
    def come(cls, _signal: int, _frame: object) -> None:
        """The signal handler."""
        if not cls.unwinds:
            os._exit(_INTERRUPTED)
        cls.unwinds = False
        raise KeyboardInterrupt


def main() -> "NoReturn":
    """Run the command line, and leave."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # else who started us wants it ignored
                signal.signal(number, _Ending.come)
        _leave(_run())
    except KeyboardInterrupt:  # between the two
        os._exit(_INTERRUPTED)
    except BaseException:
        os._exit(_BUG)


def _run() -> int:
    """The exit code. Ctrl-C while the command line loads ends at once: nothing is open that wants tidying."""
    try:
        sys.unraisablehook = _unraisable
        _open_streams()
        # what is imported and read stays to the end: looking for cycles in it takes a tenth of the time
        gc.set_threshold(300_000)
        from .late import install

        install()
        from .cli import program

        _Ending.unwinds = True
        return program()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BaseException as error:
        return _unforeseen(error)


def _unforeseen(error: BaseException) -> int:
    """Say in one line what even the command line could not say, and the exit code for it."""
    if _is_short(error):
        _say("cannot look: not enough memory or descriptors. Raise the limit (ulimit -a).")
        return _CANNOT_LOOK
    if isinstance(error, ImportError):
        _say(
            f"cannot load {error.name or 'a module'}: {error}. Install netprobe again, with its dependencies."
        )
    else:
        _say(f"a bug in netprobe: {type(error).__name__}: {error}")
    return _BUG


def _is_short(error: BaseException) -> bool:
    """Whether netprobe itself lacks memory or descriptors.

    The loader gives no errno, only its words (dl-load.c).
    """
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
    return isinstance(error, MemoryError) or (
        isinstance(error, ImportError) and str(error).endswith(_NOT_LOADED)
    )


def _open_streams() -> None:
    """Streams that the caller closed refuse what is written, instead of being the next file that somebody
    opens.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_PATH)  # the lowest free number: this one
    sys.stdout, sys.stderr = _stream(1, sys.stdout), _stream(2, sys.stderr)


def _stream(number: int, given: "TextIO | None") -> "TextIO":
    """A stream that writes all or fails, with the character set of the one that Python made."""
    encoding, errors = (given.encoding, given.errors) if given is not None else ("utf-8", "backslashreplace")
    return io.TextIOWrapper(
        io.BufferedWriter(_Whole(number, "w", closefd=False)), encoding, errors, line_buffering=number == 2
    )


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """An interruption that came where Python cannot raise it (in a weak reference's callback) ends us all the
    same.
    """
    if unraisable.exc_type is KeyboardInterrupt:
        os._exit(_INTERRUPTED)
    sys.__unraisablehook__(unraisable)


def _say(message: str) -> None:
    """One line on stderr, if anybody can have it."""
    with suppress(OSError, MemoryError):
        line = message.encode("ascii", "backslashreplace").decode().splitlines() or [""]
        os.write(2, f"netprobe: {line[0]}\n".encode())


def _leave(code: int) -> "NoReturn":
    """End at once: what was opened is closed, and taking itself apart object by object costs Python a tenth
    of a run.
    """
    lost = _flushed(sys.stdout)
    _flushed(sys.stderr)  # who cannot hear what we say still has the answer
    os._exit(lost if lost and code in _ANSWERS else code)


def _flushed(stream: "TextIO") -> int:
    """0, or the exit code for what could not be written."""
    try:
        stream.flush()
    except BrokenPipeError:
        return _PIPE_CLOSED
    except (OSError, ValueError):
        return _OUTPUT_FAILED
    return 0


if __name__ == "__main__":
    main()
