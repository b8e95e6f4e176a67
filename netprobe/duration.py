"""Spans of time as people write them: 1, 0.5, 200ms, 2s; a bare number is seconds."""

from __future__ import annotations

import re

from .errors import WrongQuestion

_UNITS = {
    "": 1_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "µs": 1_000, "ns": 1,
    "m": 60_000_000_000,
}  # fmt: skip
_SPAN = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(s|ms|us|µs|ns|m|)")
LONGEST = 86_400 * 1_000_000_000  # ns


def nanoseconds(span: str | float) -> int:
    """The span in ns. Raises WrongQuestion for what is no span, and for more than a day."""
    written = span if isinstance(span, str) else _digits(span)
    found = _SPAN.fullmatch(written)
    if found is None:
        raise WrongQuestion(f"{span!r:.60} is not a duration", "Write 0.5, 200ms or 2s.")
    ns = float(found[1]) * _UNITS[found[2]]  # infinite, where there are more digits than a float holds
    if ns > LONGEST:
        raise WrongQuestion(f"{span!r:.60} is more than a day")
    return int(ns)


def _digits(seconds: float) -> str:
    """A number without an exponent; what is no number as Python prints it."""
    return f"{seconds:.9f}" if isinstance(seconds, (int, float)) else repr(seconds)
