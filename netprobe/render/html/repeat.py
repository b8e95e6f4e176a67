"""How to ask a question again, out of the report of its answer; pure."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model import Endpoint, Probe, Protocol, Report
from netprobe.model.command import joined
from netprobe.model.matrix import Matrix
from netprobe.render import words

_USUAL_SIZE, _USUAL_TIMEOUT_NS, _USUAL_INTERVAL_NS = 56, 1_000_000_000, 200_000_000
_SECTIONS = ("snapshot", "predict", "observe", "diagnose", "search")


def again(report: Report) -> tuple[str, ...]:
    """The command line that asks the same, as words."""
    probe = report.probe
    ends = (probe.source.endpoint, probe.destination.endpoint)
    dashed = any(end.startswith("-") for end in ends)
    options = _options(report.command, probe)
    return ("netprobe", report.command, *options, *(["--"] if dashed else []), *ends)


def _options(command: str, probe: Probe) -> Iterator[str]:
    if command != "arping":
        yield from _how(probe)
    given: tuple[tuple[str, object, bool], ...] = (
        ("-c", probe.count, probe.count != 1),
        ("-i", _milliseconds(probe.interval_ns), probe.interval_ns != _USUAL_INTERVAL_NS),
        ("-W", _milliseconds(probe.timeout_ns), probe.timeout_ns != _USUAL_TIMEOUT_NS),
    )
    yield from _chosen(given)
    if probe.version == 6 and ":" not in probe.destination.endpoint:
        yield "-6"


def _how(probe: Probe) -> Iterator[str]:
    """The options of the packet itself."""
    port = probe.destination.port
    usual = Protocol.ICMP if port is None else Protocol.TCP
    asked = {Protocol.ICMPV6: Protocol.ICMP}.get(probe.protocol, probe.protocol)
    yield from _chosen(
        (
            ("-p", asked, asked is not usual and probe.destination.protocol is None),
            ("-P", port, port is not None and not _says(probe.destination, port)),
            ("-s", probe.size, probe.size != _USUAL_SIZE and asked.is_sized),
            ("--ttl", probe.ttl, probe.ttl is not None),
            ("--source-port", probe.source_port, probe.reused),
            ("--mark", hex(probe.mark), probe.mark != 0),
            ("--uid", probe.uid, probe.uid != 0),
        )
    )
    if probe.df is not None:
        yield "--df" if probe.df else "--no-df"


def _says(end: Endpoint, port: int) -> bool:
    """Whether the port stands in the endpoint as it was written."""
    return end.endpoint.partition("/")[0].endswith(f":{port}")


def _chosen(given: tuple[tuple[str, object, bool], ...]) -> Iterator[str]:
    for name, value, wanted in given:
        if wanted:
            yield from (name, str(value))


def _milliseconds(ns: int) -> str:
    return f"{ns / 1e6:g}ms"


def timings(report: Report) -> str:
    """How long the parts of the run took."""
    took = [(name, getattr(report.timings, f"{name}_ns")) for name in _SECTIONS]
    return "It took: " + ", ".join(f"{name} {words.duration(ns)}" for name, ns in took)


def all_pairs(matrix: Matrix) -> str:
    """The command line that asks for the same pairs."""
    options = [] if matrix.protocol is Protocol.ICMP else ["-p", str(matrix.protocol)]
    options += ["-P", str(matrix.port)] if matrix.port is not None else []
    options += ["-6"] if matrix.version == 6 else []
    alone = [member.endpoint for member in matrix.members if not member.group]
    for name in dict.fromkeys(member.group for member in matrix.members if member.group):
        members = ",".join(member.endpoint for member in matrix.members if member.group == name)
        options += ["--group", f"{name}={members}"]
    return joined(("netprobe", "matrix", *options, *alone))
