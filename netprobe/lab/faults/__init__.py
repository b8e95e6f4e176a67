"""The catalogue of faults, by section: what breaks networks of namespaces and containers, and what netprobe should say of it."""

from __future__ import annotations

import difflib

from netprobe.errors import WrongQuestion

from .addresses import ADDRESSES
from .bridge import BRIDGES
from .far_end import FAR_END
from .fault import Expected, Fault, Network
from .filters import FILTERS
from .forwarding import FORWARDING
from .links import LINKS
from .neighbours import NEIGHBOURS
from .programs import PROGRAMS
from .routes import ROUTES
from .size import SIZE
from .translation import TRANSLATION
from .tunnels import TUNNELS

__all__ = ["FAULTS", "SECTIONS", "Expected", "Fault", "Network", "inject", "named", "verify"]

SECTIONS: tuple[tuple[str, tuple[Fault, ...]], ...] = (
    ("Links", LINKS),
    ("Bridges", BRIDGES),
    ("Neighbours", NEIGHBOURS),
    ("Addresses", ADDRESSES),
    ("Routes and policy rules", ROUTES),
    ("Forwarding and source checks", FORWARDING),
    ("Translation and connection tracking", TRANSLATION),
    ("Filters", FILTERS),
    ("Queues, programs and IPsec", PROGRAMS),
    ("Size", SIZE),
    ("The far end", FAR_END),
    ("Tunnels and macvlan", TUNNELS),
)

FAULTS: tuple[Fault, ...] = tuple(fault for _, faults in SECTIONS for fault in faults)


def named(name: str) -> Fault:
    """The fault of that name. Raises WrongQuestion with the nearest names."""
    names = [fault.name for fault in FAULTS]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise WrongQuestion(f"there is no fault named {name!r}", f"{hint}`netprobe demo --list` shows them all.")
    return FAULTS[names.index(name)]


def inject(name: str) -> None:
    """Break what the fault of that name breaks, verified."""
    named(name).inject()


def verify(name: str) -> bool:
    """Whether the fault of that name is in place."""
    return named(name).verify()
