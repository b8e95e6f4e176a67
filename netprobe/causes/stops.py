"""Causes that the walk itself ends at: one object of the configuration refuses the packet."""

from __future__ import annotations

from netprobe.model import Cause
from netprobe.path.case import Case


def predicted_stop(case: Case) -> Cause | None:
    """The configuration stops the packet at one place, and the taps saw it come no further."""
    return case.cause(case.stop) if case.stop is not None else None


CAUSES = (predicted_stop,)
