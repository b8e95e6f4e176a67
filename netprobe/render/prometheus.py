"""What became of expectations as Prometheus' text format, for the textfile collector of the node exporter.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netprobe.model.check import Checked, CheckReport, Status

from .escape import safe

Labels = tuple[tuple[str, str], ...]


def prometheus(report: CheckReport) -> str:
    """All metrics; whatever is asked twice in the same words is one of them, and does not hold where one of
    both does not.
    """
    held: dict[Labels, float] = {}
    rtts: dict[Labels, float] = {}
    for each in report.results:
        labels = _labels(each)
        held[labels] = min(held.get(labels, 1.0), float(each.status is Status.HELD))
        for ns in each.report.rtt_ns if each.report is not None else ():
            rtts[labels] = max(rtts.get(labels, 0.0), ns / 1e9)
    counts: dict[Labels, float] = {
        (("status", status.value),): float(report.count(status)) for status in Status
    }
    complete: dict[Labels, float] = {(): float(report.complete)}
    return "".join((
        *_metric("netprobe_check_held", "Whether an expectation holds (1) or not (0).", held),
        *_metric("netprobe_check_rtt_seconds", "The slowest round trip of an expectation.", rtts),
        *_metric("netprobe_check_expectations", "How many expectations have this status.", counts),
        *_metric("netprobe_check_complete", "Whether all expectations were asked.", complete),
    ))  # fmt: skip


def _labels(each: Checked) -> Labels:
    named = (("name", each.name),) if each.name else ()
    return (
        ("file", each.file),
        ("line", str(each.line)),
        *named,
        ("asked", each.asked),
        ("wanted", each.wanted),
    )


def _metric(name: str, meaning: str, values: Mapping[Labels, float]) -> Iterator[str]:
    yield f"# HELP {name} {meaning}\n# TYPE {name} gauge\n"
    for labels, value in values.items():
        inner = ",".join(f'{key}="{_value(text)}"' for key, text in labels)
        yield f"{name}{{{inner}}} {value:g}\n" if inner else f"{name} {value:g}\n"


def _value(text: str) -> str:
    return safe(text).replace("\\", r"\\").replace('"', r"\"")
