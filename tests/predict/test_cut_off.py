"""Who asks for an address that is not beside him: on another segment, or cut off from his own."""

from __future__ import annotations

import pytest

from netprobe.model import InterfaceAddress, Namespace, Protocol, Snapshot
from netprobe.predict.arping import is_cut_off
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .networks import edited, local, probe, relinked, tutorial

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


def station(name: str, address: str, *interfaces: InterfaceAddress) -> Snapshot:
    """The tutorial with a station that has this address at its eth0 in the place of all others."""
    addresses = (*(each for each in UP[name].addresses if each.index == 1), InterfaceAddress(2, address, 24))
    return edited(UP, name, addresses=addresses, routes=(*local(address), *UP[name].routes))


@pytest.mark.parametrize(
    ("snapshot", "who", "asked", "by"),
    [
        (station("c2", "192.168.5.9"), "c1", "192.168.5.9", "eth0"),
        (station("c2", "192.168.5.9"), "host", "192.168.5.9", "docker0"),
        (station("c2", "192.168.5.9"), "red", "192.168.5.9", None),  # behind a router
        (UP, "c1", "203.0.113.2", "eth0"),  # the host answers on any interface (arp_process)
        (UP, "c1", "8.8.8.8", None),
        (UP, "c1", "127.0.0.1", None),
        (UP, "c1", "172.17.0.3", "eth0"),  # as its routes have it
    ],
)
def test_a_station_of_another_network_on_the_same_segment(snapshot: Snapshot, who: str, asked: str, by: str | None) -> None:
    found = predict(snapshot, probe(who, asked, Protocol.ARP), ask=False)
    assert isinstance(found, Prediction)
    assert (found.probe.device, found.reply is not None) == (by, by is not None)
    assert [asked in note for note in found.probe.source.notes] == [True] * (by is not None and asked != "172.17.0.3")
