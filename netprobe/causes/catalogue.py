"""The catalogue: every cause there is, its page, and which of them explains a case - the root before the
symptom.
"""

from __future__ import annotations

from collections.abc import Callable

from netprobe.diagnose.evidence import Case
from netprobe.model import Cause

from . import (
    addresses,
    bridge,
    far_end,
    filters,
    forwarding,
    gaps,
    links,
    neighbours,
    own,
    routes,
    size,
    translation,
    tunnels,
)

Rule = Callable[[Case], Cause | None]

# As people read them: from the cable up to the program.
SECTIONS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Links", links.CAUSES),
    ("Bridge", bridge.CAUSES),
    ("Neighbours", neighbours.CAUSES),
    ("Addresses", addresses.CAUSES),
    ("Routes and policy rules", routes.CAUSES),
    ("Forwarding and source checks", forwarding.CAUSES),
    ("Translation and connection tracking", translation.CAUSES),
    ("Filters", filters.CAUSES),
    ("Size", size.CAUSES),
    ("The far end", far_end.CAUSES),
    ("Tunnels and macvlan", tunnels.CAUSES),
    ("What netprobe cannot see", own.CAUSES),
)

# As they are asked. Most explain the end that has their own name, and among those the order does not matter.
# Before them stand what explains ends of other names: our own blindness, a table that has no room, a
# translation without which no reply finds its way.
ASKED: tuple[Rule, ...] = (
    own.tap_starved,
    own.lost_between_hosts,
    neighbours.neigh_table_full,
    *translation.CAUSES,
    *links.CAUSES,
    *addresses.CAUSES,
    *bridge.CAUSES,
    *routes.CAUSES,
    *forwarding.CAUSES,
    *filters.CAUSES,
    *size.CAUSES,
    *tunnels.CAUSES,
    *neighbours.CAUSES,
    *far_end.CAUSES,
)


def explain(case: Case) -> Cause | None:
    """The root cause of a case: of the predicted end, else of what lies in the gap, else `unknown`."""
    readings = [case] if case.stop is not None else [case, gaps.suspected(case) or case]
    found = next((found for reading in readings if (found := _first(reading)) is not None), None)
    return found or own.unknown(readings[-1])


def _first(case: Case) -> Cause | None:
    return next((found for rule in ASKED if (found := rule(case)) is not None), None)


def code_of(rule: Rule) -> str:
    """The code that a function explains: link_admin_down explains link-admin-down."""
    return rule.__name__.replace("_", "-")
