"""Size: packets that are too large for a device on the way."""

from __future__ import annotations

from .fault import Fault

SIZE: tuple[Fault, ...] = ()
