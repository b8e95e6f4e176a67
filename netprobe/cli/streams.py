"""Standard output and standard error: the report, the complaints, and what to do where nobody can have
them.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from netprobe.model import Report
    from netprobe.render.terminal import Terminal

OUTPUT_FAILED = 74


def _columns() -> int:
    """How wide the terminal is; 0 where nobody says. As other programs, COLUMNS first."""
    import shutil

    return shutil.get_terminal_size((0, 0)).columns


def terminal_of(settings: dict[str, Any], options: dict[str, Any]) -> Terminal:
    """What the output can show: colour, width, character set."""
    from netprobe.render.terminal import terminal

    stdout = sys.stdout if options.get("out") is None else None
    to_terminal = stdout is not None and stdout.isatty()
    columns = _columns() if to_terminal else 0
    encoding = "utf-8" if stdout is None else (stdout.encoding or "ascii")
    return terminal(settings["color"], os.environ, isatty=to_terminal, columns=columns, encoding=encoding)


def rendered(settings: dict[str, Any], report: Report, options: dict[str, Any]) -> str:
    """The report in the format that is asked for, as the output can show it."""
    from netprobe.formats import formatted

    terminal = terminal_of(settings, options)
    return formatted(report, options["output"], terminal, settings["quiet"], options.get("explained", False))


def print_report(text: str, options: dict[str, Any]) -> None:
    """Write the report where it belongs: to stderr when stdout has the capture."""
    if options.get("write") != "-" or options["out"] is not None:
        write(text, options["out"])
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody is left to be told
        sys.exit(OUTPUT_FAILED)


def write(text: str, out: str | None) -> None:
    """Write to stdout, or to the file `out`; where that fails, exit 74 after saying so."""
    if out is not None:
        from netprobe.output import write_file

        try:
            write_file(out, text.encode("utf-8", "backslashreplace"))
            return
        except OSError as error:
            complain(f"cannot write {out}: {error.strerror}", "The report is on standard output instead.")
            write(text, None)
            sys.exit(OUTPUT_FAILED)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except UnicodeEncodeError:  # a character set of the environment's that has not every name
        write(text.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding), None)
    except OSError as error:
        complain(f"cannot write the report: {reason(error)}")
        let_go_of_stdout()
        sys.exit(OUTPUT_FAILED)


def complain(message: str, hint: str = "") -> None:
    """An error for people, on stderr: what, then what to do next.

    Where nobody can have it, the exit code says it alone.
    """
    from netprobe.render.escape import safe

    lines = [f"netprobe: {safe(message)}", *(f"  {safe(line)}" for line in hint.splitlines())]
    with suppress(OSError, ValueError):
        for line in lines:
            click.echo(line, err=True)


def reason(error: OSError) -> str | None:
    """What the kernel says of a stream that takes nothing, in our words."""
    return "standard output is closed" if error.errno == errno.EBADF else error.strerror


def let_go_of_stdout() -> None:
    """Nobody can have what is still to be written; without this its buffer would be tried again at the
    end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def command_line() -> str:
    """What was typed, as a shell would read it again."""
    from netprobe.model.command import joined

    return joined(["netprobe", *sys.argv[1:]])
