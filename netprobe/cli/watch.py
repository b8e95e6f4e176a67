"""`--watch`: a question asked round after round, as a live table, as lines, or as JSON Lines."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import click
from click.core import ParameterSource

from .ending import EXIT, INTERRUPTED
from .streams import OUTPUT_FAILED, command_line, complain, terminal_of, write

if TYPE_CHECKING:
    from netprobe.engine import Recall
    from netprobe.engine.watch import Rounds, WatchStep
    from netprobe.linux.sensors.crafter import Crafter
    from netprobe.model import Run
    from netprobe.model.live import Live
    from netprobe.question import Question

_STREAMED = ("jsonl", "json")  # the second has one object as well, a line each
SECOND_NS = 1_000_000_000  # between two rounds, as of ping(8) and mtr(8)


def answer(
    question: Question,
    settings: dict[str, Any],
    options: dict[str, Any],
    crafter: Crafter | None,
    recall: Recall | None,
) -> int:
    """The exit code of a watch: that of all rounds together."""
    from msgspec.structs import replace

    from netprobe.watching import watched

    _check(options)
    rounds, asked = _rounds(options), replace(question, count=1)
    kept, interrupted = _Kept(), False
    teller = _teller(settings, options)
    exclude = options.get("exclude") or ()
    with teller, closing(watched(asked, rounds, settings["host"], exclude, crafter, recall)) as steps:
        try:
            for step in steps:
                kept.take(step)
                teller.tell(step)
        except KeyboardInterrupt:
            if kept.live is None:
                raise
            interrupted = not teller.quit
    return _ended(kept, settings, options, interrupted)


class _Kept:
    """What is kept of all rounds: the state, the last run, and the last one that was lost."""

    def __init__(self) -> None:
        self.live: Live | None = None
        self.last: Run | None = None
        self.lost: Run | None = None

    def take(self, step: WatchStep) -> None:
        """Keep what is to be kept of a round."""
        self.live = step.live
        if step.run is None:
            return
        self.last = step.run
        if step.run.report.sent > step.run.report.received:
            self.lost = step.run


def _check(options: dict[str, Any]) -> None:
    """Raises WrongQuestion for options that have no meaning for a watch."""
    from netprobe.errors import WrongQuestion

    if options["output"] not in ("text", *_STREAMED):
        raise WrongQuestion(
            f"--watch cannot show {options['output']}",
            "Leave -o out, or write -o jsonl; `netprobe show` makes any format of the capture.",
        )
    if options["out"] is not None or options["write"] == "-":
        raise WrongQuestion(
            f"--watch writes to standard output, and {'--out' if options['out'] else '-w -'} does not fit",
            "Leave it out. A shell writes the stream to a file: netprobe ... --watch -o jsonl > FILE.",
        )


def _rounds(options: dict[str, Any]) -> Rounds:
    from netprobe.engine.watch import Rounds

    typed = click.get_current_context().get_parameter_source
    given = {name: typed(name) is ParameterSource.COMMANDLINE for name in ("count", "interval")}
    interval_ns = options["interval"] if given["interval"] else SECOND_NS
    return Rounds(interval_ns, options["count"] if given["count"] else None)


# ---- telling it


class _Teller(Protocol):
    """Shows a watch as it goes on; `quit`: a person ended it by a key."""

    @property
    def quit(self) -> bool: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def tell(self, step: WatchStep) -> None:
        """Show a round."""
        ...


def _teller(settings: dict[str, Any], options: dict[str, Any]) -> _Teller:
    if options["output"] in _STREAMED:
        return _JsonLines()
    if settings["quiet"]:
        return _Silence()
    if sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb"):
        return _Table(settings)
    return _TextLines(settings, options)


class _Silence:
    """Nothing before the end (-q)."""

    quit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, step: WatchStep) -> None:
        """Nothing."""


class _JsonLines(_Silence):
    """An event a line."""

    def tell(self, step: WatchStep) -> None:
        """The events of a round."""
        from netprobe.codec import event_to_json

        write("".join(f"{event_to_json(event).decode()}\n" for event in step.events), None)


class _TextLines(_Silence):
    """An event a line, for people: into a pipe or a file, and on a terminal that can do no more."""

    def __init__(self, settings: dict[str, Any], options: dict[str, Any]) -> None:
        self._terminal = terminal_of(settings, options)

    def tell(self, step: WatchStep) -> None:
        """The events of a round."""
        from netprobe.render.live import told

        write("".join(told(event, clock, self._terminal) for event in step.events), None)


class _Table:
    """The live table."""

    def __init__(self, settings: dict[str, Any]) -> None:
        from .screen import Screen

        self._settings = settings
        self._live: Live | None = None
        self._screen = Screen(self._drawn)

    @property
    def quit(self) -> bool:
        """Whether q was typed."""
        return self._screen.quit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.close()

    def tell(self, step: WatchStep) -> None:
        """Show how it stands after a round."""
        self._live = step.live
        self._screen.show()

    def _drawn(self, width: int, height: int) -> list[str]:
        from msgspec.structs import replace

        from netprobe.render.live import live

        assert self._live is not None
        terminal = replace(terminal_of(self._settings, {}), width=max(1, width))
        return live(self._live, clock, terminal, height)


def clock(at_ns: int) -> str:
    """A moment by the clock of this machine, to the ms: 14:02:31.250."""
    return f"{time.strftime('%H:%M:%S', time.localtime(at_ns // SECOND_NS))}.{at_ns // 1_000_000 % 1000:03d}"


# ---- the end


def _ended(kept: _Kept, settings: dict[str, Any], options: dict[str, Any], interrupted: bool) -> int:
    """Save the last round, and the last one that was lost; print the report. The exit code."""
    from netprobe.diagnose.live import verdict

    live, last = kept.live, kept.last
    assert live is not None
    assert last is not None
    if interrupted:
        click.echo(err=True)  # not behind the ^C
    lost = kept.lost if kept.lost is not last else None
    last, failed = _saved(last, options["write"], options)
    if lost is not None:
        lost, also_failed = _saved(lost, _beside(options["write"]), options)
        failed = failed or also_failed
    complete = not interrupted and live.limit in (None, live.rounds)
    if options["output"] in _STREAMED:
        _end_of_stream(live, last, lost, complete)
    else:
        _print(live, last, lost, settings, options)
    if failed is not None:
        complain(*failed)
        return OUTPUT_FAILED
    return INTERRUPTED if interrupted else EXIT[verdict(live)]


def _saved(run: Run, path: str | None, options: dict[str, Any]) -> tuple[Run, tuple[str, str] | None]:
    from netprobe.saved import save

    return save(run, path, options["captures"], command_line())


def _beside(path: str | None) -> str | None:
    """Where the last lost round goes beside the file that is named: run.pcapng, run-lost.pcapng."""
    if path is None:
        return None
    named = Path(path)
    return str(named.with_name(f"{named.stem}-lost{named.suffix}"))


def _end_of_stream(live: Live, last: Run, lost: Run | None, complete: bool) -> None:
    from netprobe.codec import event_to_json
    from netprobe.diagnose.live import ended

    lost_capture = lost.report.capture if lost is not None else None
    event = ended(live, last.report, time.time_ns(), complete, lost_capture)
    write(event_to_json(event).decode() + "\n", None)


def _print(
    live: Live, last: Run, lost: Run | None, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    """The table, the report of the last round, and what is kept."""
    from netprobe.formats import formatted
    from netprobe.render.live import kept, summary

    terminal = terminal_of(settings, options)
    text = "" if settings["quiet"] else summary(live, clock, terminal) + "\n"
    text += formatted(last.report, "text", terminal, quiet=settings["quiet"])
    if lost is not None:
        text += "\nthe last round that was lost:\n" + formatted(lost.report, "text", terminal, quiet=True)
    if not settings["quiet"]:
        text += kept(live.rounds, last.report.capture, lost.report.capture if lost else None, terminal)
    write(text, None)
