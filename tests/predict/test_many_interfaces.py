"""A namespace with too many interfaces for the settings of their neighbours to be read: a walk asks for its own."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netprobe.diagnose.change import questions
from netprobe.diagnose.diff import differences
from netprobe.model import Link, Namespace, ReadAsking, ReadNamespace, Settings, Snapshot
from netprobe.predict.neighbour import _asks_nobody
from netprobe.predict.unread import Unread, guarded
from netprobe.predict.view import Lacking

STEM = "net.ipv4.neigh.eth0/5"
LINK = Link(3, "eth0.5", "vlan")
MANY = Namespace("h", links=(LINK,), asking=())
SILENT = replace(MANY, sysctls=Settings({f"{STEM}.mcast_solicit": "0"}, {}), asking=(STEM,))
USUAL = replace(MANY, sysctls=Settings({f"{STEM}.mcast_solicit": "3"}, {}), asking=(STEM,))


def test_what_was_not_read_is_asked_for() -> None:
    with pytest.raises(Lacking) as lacking:
        _asks_nobody(MANY, LINK, "10.0.0.1")
    assert lacking.value.needs == (ReadAsking("h", STEM),)
    with pytest.raises(Lacking):  # of the other version nobody has asked
        _asks_nobody(SILENT, LINK, "fd00::1")
    stop = _asks_nobody(SILENT, LINK, "10.0.0.1")
    assert stop is not None
    assert stop.code == "arp-suppressed"
    assert _asks_nobody(USUAL, LINK, "10.0.0.1") is None
    assert _asks_nobody(replace(MANY, asking=None), LINK, "10.0.0.1") is None


def test_what_could_not_be_read_is_not_usual() -> None:
    lost = guarded(Snapshot().with_namespace(replace(USUAL, unread={"asking": "no room"})))["h"]
    with pytest.raises(Unread):
        _asks_nobody(lost, LINK, "10.0.0.1")


def test_it_is_read_again_as_it_was_read() -> None:
    assert questions(Snapshot().with_namespace(SILENT), ["h"]) == (ReadNamespace("h"), ReadAsking("h", STEM))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(USUAL, SILENT, [f"{STEM}.mcast_solicit"]), (USUAL, MANY, []), (MANY, SILENT, []), (SILENT, SILENT, [])],
)
def test_what_was_asked_for_once_is_no_difference(before: Namespace, after: Namespace, said: list[str]) -> None:
    old, new = (Snapshot().with_namespace(each) for each in (before, after))
    assert [each.name for each in differences(old, new, "h")] == said
