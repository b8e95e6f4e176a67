"""netprobe asked inside a lab: `ask` in the lab's own process, which costs 50 ms, and `ask_program` as the program it is."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest

from netprobe.lab.lab import Lab

THERE = [
    ("red", "eth0", "transmit"), ("host", "veth0", "bridge-prerouting"), ("host", "br0", "bridge-input"), ("host", None, "forward"),
    ("host", None, "postrouting"), ("host", "eth0", "transmit"), ("internet", "eth0", "receive"), ("internet", "eth0", "deliver"),
]  # fmt: skip
"""The hops from red to 8.8.8.8, namespace, interface and stage."""

BACK = [
    ("internet", "eth0", "transmit"), ("host", "eth0", "receive"), ("host", None, "prerouting"), ("host", None, "forward"),
    ("host", "br0", "transmit"), ("host", "veth0", "bridge-postrouting"), ("red", "eth0", "receive"), ("red", "eth0", "deliver"),
]  # fmt: skip
"""The hops of the reply."""


once = pytest.mark.parametrize("privilege", ["root" if os.geteuid() == 0 else "rootless"], indirect=True, scope="session")
"""For a test to which it makes no difference as whom the lab was made."""


@dataclass(frozen=True)
class Done:
    """How a command line ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON on stdout."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def told(self) -> str:
        """Everything that a person saw, for messages."""
        return f"exit code {self.code}\n{self.stdout}{self.stderr}"


def ask(lab: Lab, *argv: str) -> Done:
    """Run a command line of netprobe in the lab's process."""
    return Done(*lab.call(run, argv))


def trace(lab: Lab, *argv: str) -> dict[str, Any]:
    """The JSON report of `netprobe trace` with these arguments; no capture is kept."""
    return reported(ask(lab, "trace", "-o", "json", "--captures", "none", *argv))


def arping(lab: Lab, *argv: str) -> dict[str, Any]:
    """The JSON report of `netprobe arping` with these arguments; no capture is kept."""
    return reported(ask(lab, "arping", "-o", "json", "--captures", "none", *argv))


def ask_program(lab: Lab, *argv: str, **options: Any) -> Done:
    """Run netprobe in the lab as a program of its own; `options` as of `Lab.run`."""
    done = lab.run(["netprobe", *argv], **options)
    return Done(done.returncode, done.stdout, done.stderr)


def reported(done: Done) -> dict[str, Any]:
    """The report, whose verdict and exit code must agree."""
    assert done.stderr == "", done.told
    report = done.report
    assert done.code == {"reachable": 0, "unreachable": 1, "intermittent": 1, "undetermined": 4}[report["verdict"]], done.told
    return report


def run(argv: tuple[str, ...]) -> tuple[int, str, str]:
    """In the lab: exit code, stdout and stderr of one command line, as `main` would run it."""
    from netprobe.cli import run_line
    from netprobe.wire.craft import load_scapy

    load_scapy(lean=True)  # once for all: every netprobe would import it anew, in a worker that is forked here
    with streams() as (out, err), patch.object(sys, "argv", ["netprobe", *argv]):
        code = run_line(list(argv))
        sys.stdout.flush()
        sys.stderr.flush()
        return code, os.fsdecode(out.getvalue()), os.fsdecode(err.getvalue())


@contextmanager
def streams() -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Standard output and error kept in memory, in UTF-8 as on a terminal of today."""
    out, err = io.BytesIO(), io.BytesIO()
    with (
        patch.object(sys, "stdout", io.TextIOWrapper(out, "utf-8", errors="surrogateescape", write_through=True)),
        patch.object(sys, "stderr", io.TextIOWrapper(err, "utf-8", errors="backslashreplace", write_through=True)),
    ):
        yield out, err


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for something, for a minute at most."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def places(hops: list[dict[str, Any]]) -> list[tuple[str, str | None, str]]:
    """Namespace, interface and stage of each hop. A translation or forward belongs to no interface."""
    return [
        (hop["namespace"], hop["interface"] if hop["stage"] not in ("forward", "prerouting", "postrouting") else None, hop["stage"])
        for hop in hops
    ]
