"""Saved runs, shown and compared. Heavy imports stay inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .ending import is_interruption
from .streams import rendered, terminal_of

_T = TypeVar("_T")


def shown(settings: dict[str, Any], file: str, options: dict[str, Any]) -> tuple[str, str]:
    """Verdict and text of a saved run."""
    from netprobe.answers import load

    report = load(file)
    return report.verdict, rendered(settings, report, options)


def understood(settings: dict[str, Any], files: tuple[str, ...], work: Callable[[], _T]) -> _T:
    """What `work` makes of saved files.

    They may come from anybody: what contradicts itself is a bad file, and no bug of ours.
    """
    from netprobe.errors import NetprobeError, WrongQuestion

    try:
        return work()
    except (NetprobeError, ImportError, SyntaxError, BrokenPipeError):  # of a library, the middle two
        raise
    except Exception as error:
        if settings["verbose"] or is_interruption(error):
            raise
        hint = "Is it as netprobe wrote it? Then run again with -v for the traceback, and report it."
        raise WrongQuestion(
            f"{' or '.join(files)} does not hold together: {type(error).__name__}: {error}", hint
        ) from error


def compared_runs(
    settings: dict[str, Any], before: str, after: str, options: dict[str, Any]
) -> tuple[bool, str]:
    """Whether two saved runs are the same, and the text that says so."""
    from netprobe.answers import diff
    from netprobe.formats import compared

    runs = diff(before, after)
    text = compared(runs.before, runs.after, runs.found, options["output"], terminal_of(settings, options))
    return runs.found.same, text
