"""A bridge that filters VLANs: who is let in, in which VLAN, who is let out, and with which tag (net/bridge/br_vlan.c)."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace
from networks import MAC, edited, relinked, tutorial
from test_roots import filter_rules, rules

from netprobe.model import Bridge, BridgePort, End, FdbEntry, Link, LinkRef, Neighbour, PortVlan, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

ONE, TEN = PortVlan(1, pvid=True, untagged=True), PortVlan(10, pvid=True, untagged=True)
TAGGED = PortVlan(10)
Vlans = tuple[PortVlan, ...] | None


def filtering(first: Vlans = (ONE,), second: Vlans = (ONE,), host: Vlans = (ONE,)) -> Snapshot:
    """The tutorial, whose docker0 filters: c1 stands at the first port, c2 at the second."""
    snapshot = relinked(tutorial(), "host", "docker0", bridge=Bridge(vlan_filtering=True, vlans=host))
    snapshot = relinked(snapshot, "host", "vethc1", port=BridgePort(vlans=first))
    return relinked(snapshot, "host", "vethc2", port=BridgePort(vlans=second))


def walked(snapshot: Snapshot, dst: str = "172.17.0.3") -> Prediction:
    found = predict(snapshot, networks.probe("c1", dst), ask=False)
    assert isinstance(found, Prediction)
    return found


def stopped(snapshot: Snapshot, dst: str = "172.17.0.3") -> tuple[str, str | None, str | None] | None:
    stop = walked(snapshot, dst).stop
    return None if stop is None else (stop.code, stop.place.interface, stop.object.text if stop.object else None)


@pytest.mark.parametrize(
    ("first", "second", "end"),
    [
        ((ONE,), (ONE,), None),
        ((TEN,), (TEN,), None),
        ((ONE, PortVlan(10)), (ONE,), None),
        ((ONE,), (TEN,), ("port-not-forwarding", "vethc2", "vethc2 vlan 1 (missing)")),
        ((TEN,), (ONE,), ("port-not-forwarding", "vethc2", "vethc2 vlan 10 (missing)")),
        ((), (ONE,), ("port-not-forwarding", "vethc1", "vethc1 no pvid")),
        ((PortVlan(1),), (ONE,), ("port-not-forwarding", "vethc1", "vethc1 no pvid")),
    ],
)
def test_from_port_to_port(first: Vlans, second: Vlans, end: tuple[str, str, str] | None) -> None:
    assert stopped(filtering(first, second)) == end


def test_the_fix_is_the_vlan() -> None:
    stop = walked(filtering((ONE,), (TEN,))).stop
    assert stop is not None
    assert stop.commands[0].words == ("bridge", "vlan", "add", "dev", "vethc2", "vid", "1")


@pytest.mark.parametrize(("host", "code"), [((ONE,), None), ((TEN,), "port-not-forwarding"), ((), "port-not-forwarding")])
def test_the_host_takes_part_in_vlans_as_a_port_does(host: Vlans, code: str | None) -> None:
    stop = walked(filtering(host=host), "172.17.0.1").stop
    assert (stop.code if stop else None, stop.place.interface if stop else None) == (code, "docker0" if code else None)


@pytest.mark.parametrize(
    ("second", "asked", "met"),
    [
        (ONE, "0", True),  # the tag is off again when FORWARD is called (__br_forward)
        (PortVlan(1), "0", False),  # a frame that leaves with its tag is no IP frame (IS_IP)
        (PortVlan(1), "1", True),  # unless it is looked for behind the tag (IS_VLAN_IP)
    ],
)
def test_ip_rules_are_handed_what_has_no_tag(second: PortVlan, asked: str, met: bool) -> None:
    sysctls = {"net.bridge.bridge-nf-call-iptables": "1", "net.bridge.bridge-nf-filter-vlan-tagged": asked}
    dropping = rules(filter_rules("FORWARD -i docker0 -o docker0 -j DROP"))
    host = filtering((ONE,), (second,))["host"]
    snapshot = edited(filtering((ONE,), (second,)), "host", ruleset=dropping, sysctls={**host.sysctls, **sysctls})
    known = Neighbour(2, "172.17.0.3", MAC.format(4, 2), "permanent")
    stop = walked(edited(snapshot, "c1", neighbours=(known,))).stop
    assert (stop is not None and stop.code == "filtered-by-rule") is met


def test_vlans_that_were_not_read_leave_it_open() -> None:
    found = walked(filtering(second=None))
    assert found.stop is None
    assert {s.code for hop in found.request.hops for s in hop.suspects} == {"unknown"}


def trunk(second: tuple[PortVlan, ...], number: int = 10) -> Snapshot:
    """c1 sends with a tag by a device of its own; c2 gets what its port lets out."""
    snapshot = filtering((PortVlan(10),), second)
    c1 = snapshot["c1"]
    eth0, tagged = c1.links[1], Link(5, f"eth0.{number}", "vlan", MAC.format(4, 1), link=LinkRef(2), vlan_id=number)
    moved = tuple(replace(a, index=5) if a.index == 2 else a for a in c1.addresses)
    routes = tuple(replace(r, nexthops=tuple(replace(leg, index=5) if leg.index == 2 else leg for leg in r.nexthops)) for r in c1.routes)
    return edited(snapshot, "c1", links=(c1.links[0], eth0, tagged), addresses=moved, routes=routes)


def test_a_tag_is_taken_off_where_the_port_says_so() -> None:
    assert stopped(trunk((TEN,))) is None


def test_a_tag_that_stays_is_for_a_device_of_the_station() -> None:
    """c2 has none for it: its stack ignores the frame; whether another namespace has one was not looked at."""
    found = walked(trunk((TAGGED,)))
    assert found.request.end is End.UNDETERMINED
    assert found.stop is not None
    assert "vlan 10" in found.stop.text


def test_a_tag_that_the_port_does_not_know() -> None:
    assert stopped(trunk((TEN,), 11)) == ("port-not-forwarding", "vethc1", "vethc1 vlan 11 (missing)")


@pytest.mark.parametrize(("vlan", "code"), [(1, None), (10, "port-flood-off"), (None, None)])
def test_forwarding_entries_are_those_of_the_vlan(vlan: int | None, code: str | None) -> None:
    """The port of c2 takes no floods, and so the entry must be found."""
    snapshot = relinked(filtering(), "host", "vethc2", port=BridgePort(vlans=(ONE,), unicast_flood=False))
    snapshot = edited(snapshot, "host", fdb=(FdbEntry(7, MAC.format(4, 2), 5, vlan),))
    snapshot = edited(snapshot, "c1", neighbours=(Neighbour(2, "172.17.0.3", MAC.format(4, 2), "permanent"),))
    stop = walked(snapshot).request.stop
    assert (stop.code if stop else None) == code


def test_a_bridge_that_does_not_filter_looks_at_no_vlan() -> None:
    snapshot = relinked(tutorial(), "host", "vethc2", port=BridgePort(unicast_flood=False))
    snapshot = edited(snapshot, "c1", neighbours=(Neighbour(2, "172.17.0.3", MAC.format(4, 2), "permanent"),))
    for vlan, code in ((None, None), (1, "port-flood-off")):
        stop = walked(edited(snapshot, "host", fdb=(FdbEntry(7, MAC.format(4, 2), 5, vlan),))).request.stop
        assert (stop.code if stop else None) == code
