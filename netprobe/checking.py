"""Files of expectations, asked of a machine: what `netprobe check` and `netprobe.check` share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict, replace

from .engine.check import Asked, Told, check
from .engine.expect import answers
from .engine.recorded import Recorded, merged
from .engine.what_if import WhatIf
from .errors import Interrupted, WrongQuestion
from .expectations.document import LARGEST_BYTES
from .expectations.expectation import Expectation
from .expectations.read import expectations
from .expectations.written import Asking, PairAnswer, written
from .model import Snapshot
from .model.check import Checked, CheckReport, Status

if TYPE_CHECKING:
    from .engine import World
    from .model import Run, Space
    from .question import Question
    from .saved import Failure


class Check(CheckReport, frozen=True):
    """What became of the expectations of some files. True when all of them hold."""

    def __bool__(self) -> bool:
        return self.holds

    def __repr__(self) -> str:
        from .formats import checked
        from .render.terminal import Terminal

        return f"<check: {checked(self, 'text', Terminal(), quiet=True).rstrip()}>"

    @property
    def exit_code(self) -> int:
        """0 all hold, 1 one fails, 2 or 3 one could not be asked, 4 one is undetermined, 130 interrupted."""
        if not self.complete:
            return 130
        if self.count(Status.FAILED):
            return 1
        errors = [each.code for each in self.results if each.status is Status.ERROR]
        return min(errors, default=4 if self.count(Status.UNDETERMINED) else 0)

    @property
    def failed(self) -> tuple[Checked, ...]:
        """Those that do not hold, are undetermined, or could not be asked."""
        return tuple(each for each in self.results if each.status is not Status.HELD)

    def text(self, width: int = 100, colour: bool = False) -> str:
        """What the command line prints, so many columns wide."""
        return self._formatted("text", width, colour)

    def json(self) -> str:
        """One line of JSON (`netprobe.check/1`)."""
        return self._formatted("json").rstrip("\n")

    def junit(self) -> str:
        """JUnit XML, for CI systems."""
        return self._formatted("junit")

    def html(self) -> str:
        """A page in one file, with pictures of what does not hold."""
        return self._formatted("html")

    def _formatted(self, output: str, width: int = 0, colour: bool = False) -> str:
        from .formats import checked
        from .render.terminal import Terminal

        return checked(self, output, Terminal(width or None, colour=colour))


def read_files(paths: Sequence[str | os.PathLike[str]]) -> tuple[Expectation, ...]:
    """The expectations of these files, in their order; - is standard input. Raises WrongQuestion."""
    from .causes.pages import codes

    known = tuple(codes())
    return tuple(
        each for path in paths for each in expectations(_bytes(os.fspath(path)), os.fspath(path), known)
    )


def _bytes(path: str) -> bytes:
    """The bytes of a file, one more than it may have at most."""
    if path == "-":
        return sys.stdin.buffer.read(LARGEST_BYTES + 1)
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise WrongQuestion(f"cannot read {path}: {error.strerror}") from error


class Gathered:
    """The configuration that some runs have read, put together, to be asked again with `recorded`."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._last: Run | None = None

    def add(self, run: Run) -> None:
        """One run more."""
        self._snapshot, self._last = merged((self._snapshot, run.snapshot)), run

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read."""
        return self._last is None

    def save(self, path: str, command: str) -> Failure | None:
        """Write it to a capture without frames; what failed and what to do, or None."""
        if self._last is None:
            return f"cannot write {path}: nothing was read", "No expectation could be asked."
        from .saved import save

        run = replace(self._last, snapshot=self._snapshot, observations=(), tapped=(), earlier=None)
        return save(run, path, "none", command)[1]


def check_live(
    world: World,
    wanted: Sequence[Expectation],
    ask: Callable[[Question], Run],
    wait_ns: int = 0,
    timeout_ns: int | None = None,
    told: Told | None = None,
    gathered: Gathered | None = None,
) -> Check:
    """Ask a machine: packets are sent. `gathered` gets the configuration that is read for it."""

    def asked(question: Question) -> Run:
        run = ask(question if timeout_ns is None else replace(question, timeout_ns=timeout_ns))
        if gathered is not None:
            gathered.add(run)
        return run

    return _check(lambda: check(Asked(world, asked), wanted, wait_ns, told))


def check_model(
    world: World,
    wanted: Sequence[Expectation],
    changes: Sequence[str] = (),
    recording: str | None = None,
    told: Told | None = None,
) -> Check:
    """Ask the model alone, as things are, or as they would be after `changes`: nothing is sent."""
    model = WhatIf(world, changes)
    if changes:
        asked = Asked(world, model.as_it_would_be, model.as_it_is, recording, tuple(changes))
    else:
        asked = Asked(world, model.as_it_is, None, recording)
    return _check(lambda: check(asked, wanted, told=told))


class Written(Struct, frozen=True):
    """A file of expectations. True when anything answered; `complete`: all were asked."""

    text: str
    answered: bool
    complete: bool

    def __bool__(self) -> bool:
        return self.answered

    def __str__(self) -> str:
        return self.text


def written_now(
    world: World,
    ask: Callable[[Question], Run],
    endpoints: Sequence[str],
    by: Asking,
    blocked: bool,
    timeout_ns: int,
    told: Told | None,
) -> Written:
    """What answers now, as a file; `by`: how it is asked. Raises Interrupted, with the file so far."""
    try:
        found = answers(world, ask, endpoints, by, timeout_ns, told or _unheard)
    except Interrupted as error:
        raise Interrupted(error.count, _written(error.kept, by, blocked, complete=False)) from error
    return _written(found, by, blocked)


def _written(found: Sequence[PairAnswer], by: Asking, blocked: bool, complete: bool = True) -> Written:
    text = written(found, by, blocked, complete)
    return Written(text, any(each.reachable for each in found), complete)


def addressed(world: World, spaces: Sequence[Space]) -> tuple[str, ...]:
    """The namespaces that have an address besides those of their loopback, each by a name that means it
    alone.
    """
    names = (_meant(world, space) for space in spaces if _has_address(space))
    return tuple(name for name in names if name is not None)


def _has_address(space: Space) -> bool:
    own = (each for each in space.interfaces if each.name != "lo")
    return any(not address.startswith("fe80:") for each in own for address in each.addresses)


def _meant(world: World, space: Space) -> str | None:
    for name in dict.fromkeys((space.name, *space.names)):
        with suppress(WrongQuestion):
            world.resolve(name)
            return name
    return None


def _unheard(done: int, number: int) -> None:
    """Nobody waits to hear of progress."""


def recorded(paths: Sequence[str | os.PathLike[str]]) -> Recorded:
    """The world in the captures of some runs. Raises WrongQuestion for a file that holds no configuration."""
    from .saved import load

    snapshots = []
    for path in paths:
        _, run = load(os.fspath(path))
        if run is None or not run.snapshot.namespaces:
            raise WrongQuestion(
                f"{os.fspath(path)} is a report, and holds no configuration", "Name the capture of that run."
            )
        snapshots.append(run.snapshot)
    return Recorded(snapshots)


def _check(made: Callable[[], CheckReport]) -> Check:
    """The report that is made, with the methods of a Check; also the one that Ctrl-C leaves."""
    try:
        return Check(**asdict(made()))
    except Interrupted as error:
        raise Interrupted(error.count, Check(**asdict(error.kept))) from error
