"""The command `matrix`: who reaches whom."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from .ending import EXIT, INTERRUPTED, until_interrupted
from .streams import terminal_of, write

if TYPE_CHECKING:
    from netprobe.all_pairs import Matrix

SILENT_S = 1.0  # who is done by then says nothing of how far it is
STEP_S = 0.2


def answer(settings: dict[str, Any], endpoints: tuple[str, ...], options: dict[str, Any]) -> int:
    """Ask, print; the exit code."""
    _allow_many_files()
    found, interrupted = until_interrupted(lambda: _asked(settings, endpoints, options))
    from netprobe.formats import matrix_as

    text = matrix_as(found, options["output"], terminal_of(settings, options), settings["quiet"])
    write(text, options["out"])
    return INTERRUPTED if interrupted else EXIT[found.overall]


def _allow_many_files() -> None:
    """Each endpoint takes four descriptors: as many as the user may have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _asked(settings: dict[str, Any], endpoints: tuple[str, ...], options: dict[str, Any]) -> Matrix:
    from netprobe.errors import WrongQuestion
    from netprobe.session import Session

    if options["four"] and options["six"]:
        raise WrongQuestion("-4 and -6 contradict each other", "Write one of them.")
    named = {"": list(endpoints)}
    for name, members in map(_group, options["group"]):
        named.setdefault(name, []).extend(members)
    if not (options["everybody"] or options["network"] or any(named.values())):
        raise WrongQuestion(
            "no endpoints are given", "Write two or more, or --all, or --network docker:NAME."
        )
    given: dict[str, Any] = {name: options[name] for name in ("protocol", "port", "network")}
    given["version"] = {(True, False): 4, (False, True): 6}.get((options["four"], options["six"]))
    given["timeout"] = options["timeout"] / 1e9
    with Session(settings["host"], options["exclude"]) as session, _HowFar() as progress:
        return session.matrix(named, progress, all=options["everybody"], **given)


def _group(text: str) -> tuple[str, list[str]]:
    """The name and the endpoints of NAME=EP,EP."""
    from netprobe.errors import WrongQuestion

    name, equals, members = text.partition("=")
    if not (name and equals and members):
        raise WrongQuestion(f"{text} is no group", "Write --group web=c1,c2")
    return name, members.split(",")


class _HowFar:
    """One line on a terminal's standard error, from the second second on; gone at the end."""

    def __init__(self) -> None:
        self._since = self._last = time.monotonic()
        self._shown = False
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._terminal or now - self._since < SILENT_S or now - self._last < STEP_S:
            return
        self._last, self._shown = now, True
        what = f"{done:,} of {total:,} pairs" if done < total else "asking again for what has not answered"
        click.echo(f"\r{what}\x1b[K", err=True, nl=False)

    def __enter__(self) -> _HowFar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
