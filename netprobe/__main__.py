"""The program: `netprobe`, or `python -m netprobe`."""

import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it. Ctrl-C while it loads ends without a traceback: nothing is open that wants tidying."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else who started us wants it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main as run

    try:
        run()
    except SystemExit as done:
        _leave(done)


def _leave(done: SystemExit) -> NoReturn:
    """End at once: what was opened is closed, and taking itself apart object by object costs Python a tenth of a run."""
    if not isinstance(done.code, int):
        raise done
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # closed or full: Python knows what to do about that
            raise done from None
    os._exit(done.code)


if __name__ == "__main__":
    main()
