"""A namespace with too many forwarding entries to be read: a walk asks for those of its own frames."""

from __future__ import annotations

import pytest
from msgspec import json
from msgspec.structs import replace

from netprobe.diagnose.diff import differences
from netprobe.model import Bridge, FdbEntry, FdbQuery, Link, Namespace, ReadFdb, Snapshot
from netprobe.predict.bridge import fdb_lookup
from netprobe.predict.view import Lacking

MAC = "02:00:00:00:00:01"
BRIDGE = Link(7, "br0", "bridge", up=True, bridge=Bridge())
ENTRY = FdbEntry(3, MAC, 7, state="static")
QUERY = FdbQuery(7, MAC)
SWITCH = Namespace("h", links=(BRIDGE, Link(3, "p3", "veth", master=7)), forwarded=())
ASKED = replace(SWITCH, fdb=(ENTRY,), forwarded=(QUERY,))


def test_an_entry_that_was_not_read_is_asked_for() -> None:
    with pytest.raises(Lacking) as lacking:
        fdb_lookup(SWITCH, BRIDGE, MAC, None)
    assert lacking.value.needs == (ReadFdb("h", QUERY),)
    again = json.decode(json.encode(ASKED), type=Namespace)
    assert fdb_lookup(again, BRIDGE, MAC, None) == ENTRY
    with pytest.raises(Lacking):  # of a VLAN nobody has asked
        fdb_lookup(again, BRIDGE, MAC, 10)


def test_where_all_entries_were_read_nothing_is_asked() -> None:
    assert fdb_lookup(replace(SWITCH, forwarded=None), BRIDGE, MAC, None) is None


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (ASKED, replace(ASKED, fdb=()), [f"{MAC} master br0"]),  # asked for both times, and gone
        (ASKED, SWITCH, []),  # asked for once
        (ASKED, replace(SWITCH, forwarded=None), []),
        (replace(ASKED, forwarded=None), SWITCH, []),
        (replace(ASKED, forwarded=None), replace(SWITCH, forwarded=None), [f"{MAC} master br0"]),
    ],
)
def test_what_was_asked_for_once_is_no_difference(before: Namespace, after: Namespace, said: list[str]) -> None:
    old, new = (Snapshot().with_namespace(each) for each in (before, after))
    assert [each.name for each in differences(old, new, "h")] == said


def test_all_bridges_are_asked_at_once() -> None:
    other = Link(8, "br1", "bridge", up=True, bridge=Bridge(vlan_filtering=True))
    with pytest.raises(Lacking) as lacking:
        fdb_lookup(replace(SWITCH, links=(*SWITCH.links, other)), BRIDGE, MAC, None)
    assert lacking.value.needs == (ReadFdb("h", QUERY), ReadFdb("h", FdbQuery(8, MAC)))
