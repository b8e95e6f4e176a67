"""A report laid beside the truth."""

from __future__ import annotations

from typing import Any

from netprobe.lab.faults.fault import Expected

SUBJECTS = ("verdict", "direction", "code", "namespace", "interface", "stage", "object")


def expected(truth: Expected) -> dict[str, str]:
    """The truth, without what it leaves open."""
    return {subject: value for subject in SUBJECTS if (value := getattr(truth, subject))}


def diagnosis(report: dict[str, Any], truth: Expected) -> dict[str, str | None]:
    """What a report, as JSON, says of those things that the truth speaks of."""
    said = everything(report)
    return {subject: said[subject] for subject in expected(truth)}


def everything(report: dict[str, Any]) -> dict[str, str | None]:
    """What a report, as JSON, says was the root of the trouble."""
    cause: dict[str, Any] = (report["causes"] or [{}])[0]
    place, thing = cause.get("place") or {}, cause.get("object") or {}
    return {
        "verdict": report["verdict"],
        "direction": report["direction"],
        "code": cause.get("code"),
        "namespace": place.get("namespace"),
        "interface": place.get("interface"),
        "stage": place.get("stage"),
        "object": thing.get("id"),
    }
