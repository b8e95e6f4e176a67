"""Saved runs: the capture that a run leaves, and reading it (or a JSON report) back without privileges."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path

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
        import sys

        sys.stdout.buffer.write(_bytes(run, command))
        sys.stdout.buffer.flush()
        return run, None
    path = Path(write) if write else Path(captures) / _name(run)
    named = replace(run, report=replace(run.report, capture=str(path)))
    try:
        _write(path, _bytes(named, command))
    except OSError as error:
        hint = "The report stands. Name a folder you can write to with --captures DIR, or --captures none."
        return run, (f"cannot write the capture {path}: {error.strerror}", hint)
    return named, None


def _bytes(run: Run, command: str) -> bytes:
    from .codec import run_to_json
    from .render.pcapng import capture

    return capture(run, command, run_to_json(run))


def _name(run: Run) -> str:
    """A file name that sorts by time and says what was asked: 20260203-141516-trace-red-8.8.8.8.pcapng."""
    probe = run.report.probe
    words = f"{run.report.command}-{probe.source.endpoint}-{probe.destination.endpoint}"
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(run.started_ns / 1e9))
    return f"{stamp}-{run.started_ns // 1_000_000 % 1000:03d}-{re.sub(r'[^A-Za-z0-9.@_-]+', '_', words)[:80]}.pcapng"


def _write(path: Path, data: bytes) -> None:
    """Atomically: a temporary name in the same folder, then a rename. Under sudo the file belongs to the caller."""
    made = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in made:
        _hand_over(folder)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
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
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() == 0 and uid is not None and gid is not None:
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
