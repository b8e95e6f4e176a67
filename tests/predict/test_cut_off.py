"""Who asks for an address that is not beside him: on another segment, or cut off from his own."""

from __future__ import annotations

import pytest

from netprobe.model import Namespace
from netprobe.predict.arping import is_cut_off

from .networks import edited, relinked, tutorial

UP = tutorial()
DOWN = relinked(UP, "c1", "eth0", up=False)
RED_OFF = relinked(UP, "red", "eth0", up=False)
BARE = edited(UP, "c1", addresses=tuple(each for each in UP["c1"].addresses if each.index == 1))
BRIDGE_OFF = relinked(UP, "host", "docker0", up=False)


@pytest.mark.parametrize(
    ("who", "wanted", "asked", "is_off"),
    [
        (UP["c1"], None, "8.8.8.8", False),
        (UP["c1"], None, "10.0.0.2", False),
        (DOWN["c1"], None, "172.17.0.3", True),
        (DOWN["c1"], "eth0", "172.17.0.3", True),
        (DOWN["c1"], None, "169.254.9.9", False),  # nor would it be beside, were it on
        (RED_OFF["red"], None, "10.0.0.1", True),  # a host's prefix tells of no network
        (BARE["c1"], None, "172.17.0.3", True),
        (BARE["c1"], "eth0", "172.17.0.3", True),
        (BRIDGE_OFF["host"], None, "172.17.0.3", True),
        (BRIDGE_OFF["host"], None, "192.0.2.7", False),
        (UP["c1"], None, "2001:db8::7", True),  # nothing that it has is of that version
    ],
)
def test_cut_off(who: Namespace, wanted: str | None, asked: str, is_off: bool) -> None:
    assert is_cut_off(who, asked, wanted) is is_off
