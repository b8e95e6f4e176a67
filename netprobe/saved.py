"""Saved runs: the capture that a run leaves, and reading it (or a JSON report) back without privileges."""

from __future__ import annotations

import os
import re
import sys
import time

from msgspec.structs import replace

from .errors import WrongQuestion
from .limits import LARGEST_BYTES, check, excess
from .model import Probe, Report, Run
from .output import write_file

Failure = tuple[str, str]

LARGEST_FILE = LARGEST_BYTES * 3 // 2  # a capture of netprobe's holds its frames twice, once compressed
PIECE = 1 << 20
HEAD = 64  # bytes that tell what a file is
_SECTION = b"\x0a\x0d\x0d\x0a"  # pcapng's first block
_ELSEWHERE = {  # by whether -w named the file
    False: "The report stands. Name a place you can write to: -w FILE, --captures DIR, or --captures none.",
    True: "The report stands. Name another place you can write to: -w FILE.",
}
_READABLE = "Its captures (.pcapng) and what `-o json` prints can be read again."


def save(run: Run, write: str | None, captures: str, command: str) -> tuple[Run, Failure | None]:
    """Write the run's pcapng: to `write` (- is stdout), else into the folder `captures` unless that is
    "none".

    Returns the run with the capture's path in its report, and (what failed, what to do) when it could not be
    written.
    """
    if write is None and captures == "none":
        return run, None
    if write == "-":
        data, incomplete = _bytes(run, command)
        return run, _to_stdout(data) or incomplete
    from pathlib import Path

    path = Path(write) if write is not None else Path(captures) / _name(run)
    named = replace(run, report=replace(run.report, capture=str(path)))
    data, incomplete = _bytes(named, command)
    try:
        write_file(str(path), data)
    except OSError as error:
        return run, (f"cannot write the capture {path}: {error.strerror}", _ELSEWHERE[write is not None])
    return named, incomplete


def _to_stdout(data: bytes) -> Failure | None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        return f"cannot write the capture to standard output: {error.strerror}", ""
    return None


def _bytes(run: Run, command: str) -> tuple[bytes, Failure | None]:
    """The capture; one of a run that is too large to be read again holds the frames alone, and that is a
    failure.
    """
    from .codec import run_to_json
    from .render.pcapng import capture

    data = run_to_json(run)
    if (why := excess(data)) is None:
        return capture(run, command, data), None
    hint = "Its frames are there for Wireshark and tshark. Fewer probes (-c) make a run that can be shown."
    return capture(run, command, None), (
        f"the capture cannot be shown again, the run is too large: {why}",
        hint,
    )


def _name(run: Run) -> str:
    """A file name that sorts by time, to the µs, and says what was asked:
    20260203-141516-271828-trace-red-8.8.8.8.pcapng.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(run.started_ns / 1e9))
    words = file_words(run.report.command, run.report.probe)
    return f"{stamp}-{run.started_ns // 1000 % 1_000_000:06d}-{words}.pcapng"


def file_words(command: str, probe: Probe) -> str:
    """What was asked, as the name of a capture says it behind its time: trace-red-8.8.8.8."""
    words = f"{command}-{probe.source.endpoint}-{probe.destination.endpoint}"
    return re.sub(r"[^A-Za-z0-9.@_-]+", "_", words)[:80]


def load(path: str) -> tuple[Report, Run | None]:
    """The report of a saved run, and the run itself when the file holds one.

    Raises WrongQuestion for any other file.
    """
    return of_bytes(_read(path), path)


def of_bytes(data: bytes, path: str) -> tuple[Report, Run | None]:
    """The same of the bytes of a file, which `path` names in errors."""
    if data[:4] == _SECTION:
        from .render.pcapng import read

        run = read(data).run
        if run is None:
            raise WrongQuestion(
                f"{path} is a capture, but not one that netprobe saved", "Open it with Wireshark or tshark."
            )
        data = run
    saved = _decoded(data, path)
    return (saved.report, saved) if isinstance(saved, Run) else (saved, None)


def _read(path: str) -> bytes:
    """The bytes of a file or a pipe.

    What does not begin like a saved run, or is larger than any, is not read to its end.
    """
    data = bytearray()
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            while size <= LARGEST_FILE and (piece := file.read(PIECE)):
                data += piece
                size = max(size, len(data))
                if not _begins_well(bytes(data[:HEAD])):
                    raise WrongQuestion(f"{path} is not a saved run or report of netprobe", _READABLE)
    except OSError as error:
        raise WrongQuestion(f"cannot read {path}: {error.strerror}") from error
    if size > LARGEST_FILE:
        raise WrongQuestion(f"{path} is larger than any saved run: more than {LARGEST_FILE} bytes", _READABLE)
    return bytes(data)


def _begins_well(head: bytes) -> bool:
    """Whether a file that begins so can be a capture or JSON, before which a little white space may stand."""
    return (
        _SECTION.startswith(head[:4]) or head.lstrip()[:1] == b"{" or (len(head) < HEAD and not head.strip())
    )


def _decoded(data: bytes, path: str) -> Run | Report:
    from .codec import saved_from_json

    if why := excess(data):
        raise WrongQuestion(f"{path} holds more than any saved run: {why}", _READABLE)
    saved = saved_from_json(data, path)
    try:
        check(saved)
    except ValueError as error:
        raise WrongQuestion(f"{path} is not a saved run or report of netprobe: {error}", _READABLE) from error
    return saved
