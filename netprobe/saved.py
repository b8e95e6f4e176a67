"""Saved runs: the capture that a run leaves, and reading it (or a JSON report) back without privileges."""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from .errors import WrongQuestion
from .model import Report, Run

Failure = tuple[str, str]


def save(run: Run, write: str | None, captures: str, command: str) -> tuple[Run, Failure | None]:
    """Write the run's pcapng: to `write` (- is stdout), else into the folder `captures` unless that is "none".

    Returns the run with the capture's path in its report, and (what failed, what to do) when it could not be written.
    """
    if write is None and captures == "none":
        return run, None
    if write == "-":
        return run, _to_stdout(_bytes(run, command))
    path = Path(write) if write else Path(captures) / _name(run)
    named = replace(run, report=replace(run.report, capture=str(path)))
    try:
        write_file(path, _bytes(named, command))
    except OSError as error:
        hint = "The report stands. Name a folder you can write to with --captures DIR, or --captures none."
        return run, (f"cannot write the capture {path}: {error.strerror}", hint)
    return named, None


def _to_stdout(data: bytes) -> Failure | None:
    if sys.stdout is None:
        return "cannot write the capture: standard output is closed", ""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        return f"cannot write the capture to standard output: {error.strerror}", ""
    return None


def _bytes(run: Run, command: str) -> bytes:
    from .codec import run_to_json
    from .render.pcapng import capture

    return capture(run, command, run_to_json(run))


def _name(run: Run) -> str:
    """A file name that sorts by time, to the µs, and says what was asked: 20260203-141516-271828-trace-red-8.8.8.8.pcapng."""
    probe = run.report.probe
    words = f"{run.report.command}-{probe.source.endpoint}-{probe.destination.endpoint}"
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(run.started_ns / 1e9))
    return f"{stamp}-{run.started_ns // 1000 % 1_000_000:06d}-{re.sub(r'[^A-Za-z0-9.@_-]+', '_', words)[:80]}.pcapng"


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file: under a temporary name in the same folder, then renamed. Under sudo it belongs to the caller.

    Folders that are missing are made. What is no regular file (a pipe, /dev/stderr) is written to as it is. Raises OSError.
    """
    if path.exists() and not path.is_file():
        with open(path, "wb") as stream:
            stream.write(data)
        return
    made = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in made:
        _hand_over(folder)
    temporary = path.with_name(f".netprobe-{secrets.token_hex(8)}")  # short: `path` may have the longest name there can be
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        _hand_over(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _hand_over(path: Path) -> None:
    """Give what was written under sudo to the person who called it."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and uid.isdecimal() and gid.isdecimal():
        os.chown(path, int(uid), int(gid), follow_symlinks=False)


def load(path: str) -> tuple[Report, Run | None]:
    """The report of a saved run, and the run itself when the file holds one. Raises WrongQuestion for any other file."""
    from .codec import run_from_json, saved_from_json

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise WrongQuestion(f"cannot read {path}: {error.strerror}") from error
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        from .render.pcapng import read

        run = read(data).run
        if run is None:
            raise WrongQuestion(f"{path} is a capture, but not one that netprobe saved", "Open it with Wireshark or tshark.")
        restored = run_from_json(run, path)
        return restored.report, restored
    saved = saved_from_json(data, path)
    return (saved.report, saved) if isinstance(saved, Run) else (saved, None)
