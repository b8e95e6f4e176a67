"""The catalogue: which function explains which end, asked in order, the root before the symptom."""

from __future__ import annotations

from collections.abc import Callable

from netprobe.model import Cause
from netprobe.path.case import Case

Explain = Callable[[Case], Cause | None]


def explain(case: Case) -> Cause | None:
    """The root cause of a case, or None where nothing in the catalogue explains it."""
    from . import gaps, stops, translation

    for rule in (*translation.CAUSES, *stops.CAUSES, *gaps.CAUSES):
        found = rule(case)
        if found is not None:
            return found
    return None
