"""How a command line ends: every error becomes a message and an exit code of the contract."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import click

from .streams import OUTPUT_FAILED, complain, let_go_of_stdout, reason

if TYPE_CHECKING:
    from netprobe.errors import NetprobeError

_T = TypeVar("_T")

COMPLETING = "_NETPROBE_COMPLETE"  # set by the completion script of a shell
WRONG_QUESTION, INTERRUPTED = 2, 130
EXIT = {"reachable": 0, "unreachable": 1, "intermittent": 1, "undetermined": 4}
EXAMINED = {"ok": 0, "limited": 1, "missing": 3}
_BUG, _PIPE_CLOSED = 70, 141
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


def run(cli: click.Group, arguments: list[str]) -> int:
    """Run one command line of `cli` in this process; its exit code, which every error has as well."""
    from netprobe.errors import NetprobeError

    try:
        return _run_command(cli, arguments)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        complain(_in_our_words(error), f"What can be written: {_help_of(error)}")
        return WRONG_QUESTION
    except NetprobeError as error:
        return _told(error)
    except (KeyboardInterrupt, click.Abort):
        return _interrupted()
    except BrokenPipeError:
        let_go_of_stdout()
        return _PIPE_CLOSED
    except Exception as error:
        if is_interruption(error):
            return _interrupted()
        return _failed(error, "-v" in arguments or "--verbose" in arguments)


def _run_command(cli: click.Group, arguments: list[str]) -> int:
    """click's own `main` would answer a closed pipe with 1, and write to a stderr that may be full."""
    if instruction := os.environ.get(COMPLETING):
        return _complete(cli, instruction)
    if not arguments:  # click's releases differ in where the help goes, and in the code
        with suppress(OSError, ValueError):  # a stderr that nobody hears
            click.echo(
                cli.get_help(click.Context(cli, info_name="netprobe", **cli.context_settings)), err=True
            )
        return WRONG_QUESTION
    with cli.make_context("netprobe", list(arguments)) as context:
        cli.invoke(context)
    return 0


def _complete(cli: click.Group, instruction: str) -> int:
    """Answer the completion script of a shell, which asks by the environment."""
    from click.shell_completion import shell_complete

    from netprobe.errors import WrongQuestion

    with suppress(KeyError, ValueError, IndexError):
        if shell_complete(cli, {}, "netprobe", COMPLETING, instruction) == 0:
            return 0
    raise WrongQuestion(
        f"{COMPLETING} is set, and no shell asks for a completion", f"Unset {COMPLETING} and run it again."
    )


def _told(error: NetprobeError) -> int:
    """Its exit code, once it is said what is wrong."""
    complain(str(error), error.hint)
    return error.exit_code


def _in_our_words(error: click.ClickException) -> str:
    """click's message as one of ours: no capital, no full stop, and no class of a programming language."""
    if isinstance(error, click.NoSuchOption):
        near = f"; did you mean {' or '.join(error.possibilities)}?" if error.possibilities else ""
        return f"no such option {error.option_name}{near}"
    told = " ".join(error.format_message().split())  # it has choices in lines
    message = told.rstrip(".").replace("is not a valid integer range", "is not a number")
    return message[:1].lower() + message[1:]


def _help_of(error: click.ClickException) -> str:
    """The command that shows the page about the one that the error is about."""
    from netprobe.model.command import joined

    context = getattr(error, "ctx", None)
    name = context.info_name if context is not None and context.parent is not None else None
    return joined(["netprobe", *([name] if name else []), "--help"])


def _interrupted() -> int:
    with suppress(OSError, ValueError):
        click.echo(err=True)  # the shell's prompt does not stand behind the ^C
    return INTERRUPTED


def until_interrupted(work: Callable[[], _T]) -> tuple[_T, bool]:
    """What `work` made, and whether Ctrl-C or SIGTERM ended it before its end: then what it had by then.

    Another one ends the process at once (`netprobe.__main__`), so that what is kept can be concluded, printed
    and saved without looking for a third.
    """
    from netprobe.errors import Interrupted

    try:
        return work(), False
    except Interrupted as error:
        click.echo(err=True)  # not behind the ^C
        kept: _T = error.kept
        return kept, True


def is_interruption(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: where a class is made, Python 3.11 gives another name to what came
    (`__set_name__`).
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _failed(error: Exception, verbose: bool) -> int:
    """Say what nobody foresaw, and the exit code for it."""
    # a page of help into a full file
    if isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None:
        complain(f"cannot write: {reason(error)}")
        let_go_of_stdout()
        return OUTPUT_FAILED
    from netprobe.errors import is_short, shortage

    if is_short(error) and not isinstance(error, BlockingIOError):  # EAGAIN of a stream is no shortage
        return _told(shortage(error))
    if verbose:
        import traceback

        with suppress(OSError, ValueError):
            traceback.print_exc()
    elif isinstance(error, ImportError):
        complain(
            f"cannot load {error.name or 'a module'}: {error}",
            "Install netprobe again, with its dependencies.",
        )
    else:
        complain(
            f"a bug in netprobe: {type(error).__name__}: {error}",
            "Run again with -v for the traceback, and report it.",
        )
    return _BUG
