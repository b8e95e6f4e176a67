"""Many traces in the lab's own process: each one whole, from names to report, its result judged where it was made."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from asking import BACK, THERE, places

from netprobe.codec import report_to_json
from netprobe.engine import ask
from netprobe.linux.machine import Machine
from netprobe.model import NOT_IN_TIME
from netprobe.question import Question


def traces(count: int) -> list[str]:
    """Trace red to 8.8.8.8 so often; what was wrong with each of those that were not complete and right."""
    found = []
    for number in range(count):
        with Machine() as machine:
            run = ask(machine, Question("red", "8.8.8.8"))
        wrong = faults(json.loads(report_to_json(run.report)))
        if wrong:
            found.append(f"trace {number}: {wrong}")
    return found


def programs(count: int) -> list[tuple[str, str, int]]:
    """The same by `count` programs: what was wrong, where frames beside the probe were lost, and the most memory it had in KiB."""
    return [_program() for _ in range(count)]


def _program() -> tuple[str, str, int]:
    """One that had no time to read what it needs is asked once more: other tests want the processors, too."""
    found = _asked()
    return _asked() if NOT_IN_TIME in found[0] else found


def _asked() -> tuple[str, str, int]:
    started = subprocess.Popen(["netprobe", "trace", "red", "8.8.8.8", "-o", "json", "--captures", "none"], stdout=subprocess.PIPE)
    with started:
        assert started.stdout is not None
        written = started.stdout.read()
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
    report = json.loads(written)
    lost = [blind["why"] for blind in report["blind"] if "neighbours and fragments" in blind["what"]]
    report["blind"] = [blind for blind in report["blind"] if blind["why"] not in lost]
    return faults(report), ", ".join(lost), usage.ru_maxrss


def faults(report: dict[str, Any]) -> str:
    """What is not as it must be in the report of a trace from red to 8.8.8.8; nothing when all is."""
    if (report["verdict"], report["agreement"]) != ("reachable", "confirmed"):
        return f"{report['verdict']}, {report['agreement']}: {report['summary']}"
    for leg, right in (("request", THERE), ("reply", BACK)):
        way = report["path"][leg]
        if places(way) != right:
            return f"{leg}: {places(way)}"
        if missed := [hop["n"] for hop in way if hop["bound"] and hop["observed"] is not True]:
            return f"{leg}: nothing seen at hops {missed}"
    seen = [s for s in report["sightings"] if s["leg"] is not None]
    if len(seen) != 10 or any(s["hop"] is None for s in seen):
        return f"{len(seen)} sightings of the probe"
    changes = [(c["field"], c["from"], c["to"]) for leg in ("request", "reply") for hop in report["path"][leg] for c in hop["changes"]]
    if changes != [("src", "10.0.0.2", "203.0.113.2"), ("dst", "203.0.113.2", "10.0.0.2")]:
        return f"changes {changes}"
    return f"blind {report['blind']}" if report["blind"] else ""
