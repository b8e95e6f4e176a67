"""Another repair that alone would do: a value apart from the search, which healthy networks do not need."""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import Stop


class Other(Struct, frozen=True):
    """Another repair that alone would do, and why it comes second."""

    stop: Stop
    reason: str
