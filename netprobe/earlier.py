"""An earlier run of the same question in which all was well: the one that is named, or the newest one kept.

A folder of captures may hold anything. Of it only regular files of the caller's own are opened, with names
that this question's captures have; looking ends after a moment, and what cannot be read is passed over.
"""

from __future__ import annotations

import heapq
import os
import stat
import time
from collections.abc import Iterator

from msgspec import Struct

from .errors import WrongQuestion
from .model import Earlier, Probe, Report, Run, Verdict
from .model.pattern import pattern
from .output import caller
from .saved import file_words, load, of_bytes

MOST_FILES = 50  # the newest ones
LARGEST_FILE = 4 << 20  # bytes: reading more would take longer than the look may
LIMIT_S = 0.2
HEAD = 8192  # bytes in which a capture's own comment stands: the command, and the verdict below it

_FAMILIES = (("trace", "ping", "why"), ("arping",))  # commands that ask the same
_REACHED = f"\n{Verdict.REACHABLE.value}: ".encode()
_STAMP = pattern(r"\d{8}-\d{6}-\d{6}-")


class RunOfFile(Struct, frozen=True):
    """The run in a file that a person named: one that does not fit is an error."""

    path: str

    def check(self, command: str, probe: Probe) -> None:
        """Raises WrongQuestion where the file holds no good run of this question."""
        self._loaded(command, probe)

    def find(self, command: str, probe: Probe) -> Earlier | None:
        """The run of the file."""
        return self._loaded(command, probe)

    def _loaded(self, command: str, probe: Probe) -> Earlier:
        report, run = load(self.path)
        if not _asks_the_same(report, command, probe):
            asked = f"{report.probe.source.endpoint} to {report.probe.destination.endpoint}"
            raise WrongQuestion(
                f"{self.path} is a run of another question: {asked} by {report.probe.protocol}",
                "Name one of the same source, destination, protocol and port.",
            )
        if report.verdict is not Verdict.REACHABLE:
            raise WrongQuestion(
                f"{self.path} is no run in which it worked: {report.verdict}",
                "Name one in which the destination was reachable.",
            )
        if run is None or not run.snapshot.namespaces:
            raise WrongQuestion(
                f"{self.path} is a report, and holds no configuration to compare with",
                "Name the capture of that run.",
            )
        return _earlier(run, self.path)


class RunsOfFolder(Struct, frozen=True):
    """The newest good run in a folder of captures; none where there is none, or no time to find it."""

    folder: str

    def check(self, command: str, probe: Probe) -> None:
        """Nothing can be wrong with what nobody named."""

    def find(self, command: str, probe: Probe) -> Earlier | None:
        """The newest good run of this question."""
        end = time.monotonic() + LIMIT_S
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            for name in _newest(folder, _names(command, probe), end):
                if time.monotonic() > end:
                    break
                found = _good(_own(folder, name), f"{self.folder.rstrip('/')}/{name}", command, probe)
                if found is not None:
                    return found
        finally:
            os.close(folder)
        return None


def _names(command: str, probe: Probe) -> frozenset[str]:
    """What the names of this question's captures end with."""
    return frozenset(f"{file_words(each, probe)}.pcapng" for each in _family(command))


def _family(command: str) -> tuple[str, ...]:
    return next((family for family in _FAMILIES if command in family), (command,))


def _newest(folder: int, endings: frozenset[str], end: float) -> list[str]:
    """The names of the newest captures of a question: they begin with their time."""
    return heapq.nlargest(MOST_FILES, _fitting(folder, endings, end))


def _fitting(folder: int, endings: frozenset[str], end: float) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if time.monotonic() > end:
                    return
                stamp = _STAMP.match(entry.name)
                if stamp is not None and entry.name[stamp.end() :] in endings:
                    yield entry.name
    except OSError:
        return


def _own(folder: int, name: str) -> bytes | None:
    """The bytes of a regular file of the caller's own that says in its first lines that all was well; None of
    any other, and for one that is too large.
    """
    who = caller(os.environ, os.geteuid())
    owner = os.geteuid() if who is None else who.uid
    try:
        # a pipe would make us wait, a link lead elsewhere
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        fits = stat.S_ISREG(found.st_mode) and found.st_uid == owner and found.st_size <= LARGEST_FILE
        fits = fits and _REACHED in os.pread(file, HEAD, 0)
        return _whole(file, found.st_size) if fits else None
    except OSError:
        return None
    finally:
        os.close(file)


def _whole(file: int, size: int) -> bytes | None:
    """So many bytes; None where there are fewer."""
    data = b""
    while len(data) < size and (piece := os.read(file, size - len(data))):
        data += piece
    return data if len(data) == size else None


def _good(data: bytes | None, path: str, command: str, probe: Probe) -> Earlier | None:
    """The run in these bytes, where it is a good one of this question."""
    if data is None:
        return None
    try:
        report, run = of_bytes(data, path)
        good = run is not None and report.verdict is Verdict.REACHABLE
        fits = _asks_the_same(report, command, probe) and _asks_alike(report, probe)
        return _earlier(run, path) if run is not None and good and fits else None
    except Exception:  # a damaged file may fail anywhere, and is only passed over
        return None


def _asks_the_same(report: Report, command: str, probe: Probe) -> bool:
    """Whether a run is of this question: from, to, by what and to which port."""
    asked = (
        (each.protocol, each.source.endpoint, each.destination.endpoint, each.destination.port)
        for each in (report.probe, probe)
    )
    return report.command in _family(command) and len(set(asked)) == 1


def _asks_alike(report: Report, probe: Probe) -> bool:
    """Whether it was asked in the same way: what passes at one size, or from one address, need not pass at
    another.
    """
    own = report.probe.source.address  # which it may have chosen itself
    asked = {
        (each.version, each.size, each.mark, each.uid, each.ttl, each.df, each.reused and each.source_port)
        for each in (report.probe, probe)
    }
    return len(asked) == 1 and probe.source.address in (None, own)


def _earlier(run: Run, path: str) -> Earlier:
    return Earlier(path, run.started_ns, _clock(run.started_ns), run.snapshot)


def _clock(time_ns: int) -> str:
    """A moment as the clock of this machine shows it: 14:02, and before today with its date."""
    try:
        then, now = time.localtime(time_ns / 1e9), time.localtime()
    except (OverflowError, OSError, ValueError):  # a file may say anything
        return "a time unknown"
    today = then[:3] == now[:3]
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", then)
