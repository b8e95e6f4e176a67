"""What a repair takes along without a word is given back behind it."""

from __future__ import annotations

from networks import MAC, edited, tutorial
from test_repair_whole import after, ask, chosen, said

from netprobe.model import Link, Snapshot


def moved(*more: str) -> Snapshot:
    """The host's address on another interface than its uplink, one that had none, and has what is given."""
    idle = Link(9, "dm0", "dummy", MAC.format(2, 9))
    snapshot = edited(tutorial(), "host", links=(*tutorial()["host"].links, idle))
    there = ("host: ip address del 203.0.113.2/24 dev eth0", "host: ip address add 203.0.113.2/24 dev dm0")
    return after(snapshot, *there, *more)


BACK = ["host: ip address del 203.0.113.2/24 dev dm0", "host: ip address add 203.0.113.2/24 dev eth0"]


def test_routes_and_neighbours_that_go_with_the_last_address_come_back() -> None:
    route, entry = "ip route add 10.65.0.3/32 dev dm0", "ip neigh replace 10.65.0.3 lladdr 02:00:00:00:00:01 dev dm0 nud permanent"
    found = chosen(moved(f"host: {route}", f"host: {entry}"), ask("host", "203.0.113.1"))
    assert said(found) == [*BACK, f"host: {route}", f"host: {entry}"]


def test_what_rested_on_the_address_stays_away() -> None:
    found = chosen(moved("host: ip route add 10.65.0.0/24 via 203.0.113.77 dev dm0"), ask("host", "203.0.113.1"))
    assert said(found) == BACK
