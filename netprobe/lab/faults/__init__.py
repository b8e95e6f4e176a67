"""The catalogue of faults, by section: what breaks networks of namespaces and containers, and what netprobe
should say of it.

The faults are data: one *.toml a section beside this file, read when they are first asked for.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

from netprobe.errors import WrongQuestion

from .fault import Expected, Fault, Network
from .read import section

__all__ = ["FAULTS", "SECTIONS", "Expected", "Fault", "Network", "inject", "named", "verify"]

SECTIONS: tuple[tuple[str, tuple[Fault, ...]], ...]
FAULTS: tuple[Fault, ...]

_FILES = (
    "links", "bridge", "neighbours", "addresses", "routes", "forwarding",
    "translation", "filters", "programs", "size", "far_end", "tunnels",
)  # fmt: skip


@cache
def _sections() -> tuple[tuple[str, tuple[Fault, ...]], ...]:
    return tuple(section(Path(__file__).with_name(f"{file}.toml")) for file in _FILES)


@cache
def _by_name() -> dict[str, Fault]:
    return {fault.name: fault for _, faults in _sections() for fault in faults}


def __getattr__(name: str) -> tuple[object, ...]:
    """SECTIONS and FAULTS, read when they are first asked for (PEP 562)."""
    if name == "SECTIONS":
        return _sections()
    if name == "FAULTS":
        return tuple(fault for _, faults in _sections() for fault in faults)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def named(name: str) -> Fault:
    """The fault of that name. Raises WrongQuestion with the nearest names."""
    faults = _by_name()
    if name not in faults:
        near = difflib.get_close_matches(name, faults, n=3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise WrongQuestion(
            f"there is no fault named {name!r}", f"{hint}`netprobe demo --list` shows them all."
        )
    return faults[name]


def inject(name: str) -> None:
    """Break what the fault of that name breaks, verified."""
    named(name).inject()


def verify(name: str) -> bool:
    """Whether the fault of that name is in place."""
    return named(name).verify()
