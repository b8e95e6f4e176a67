"""The far end: the packet arrives, and nobody is there for it."""

from __future__ import annotations

from .fault import Fault

FAR_END: tuple[Fault, ...] = ()
