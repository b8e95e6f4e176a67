"""Spanning tree takes its time, and keeps frames from going round: a fix says how long, and leaves it on where it may be needed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, edited, relinked, tutorial, veth
from test_beside import chosen, lines
from test_repair import lost_in

from netprobe.diagnose.apply import mend
from netprobe.model import Bridge, BridgePort, Command, Link, Snapshot

STP = Bridge(stp=True, forward_delay=4)
LISTEN = LEARN = "sleep 4"
OFF = ["ip link set dev br0 type bridge stp_state 0", "bridge link set dev veth0 state 3"]


def spanning(state: str, bridge: Bridge = STP, **more: bool) -> Snapshot:
    """The tutorial's network, with STP on br0 and its port veth0 in a state."""
    return relinked(relinked(tutorial(), "host", "br0", bridge=bridge), "host", "veth0", port=BridgePort(state, **more))


def with_ports(snapshot: Snapshot, kind: str) -> Snapshot:
    """br0 with two more ports of a kind: a veth leads to another bridge here, which has its other end as a port."""
    links = [Link(40, "br9", "bridge", mac=MAC.format(8, 1), bridge=STP)]
    for number in (1, 2):
        near, far = (
            replace(veth(each + number, f"p{each + number}", MAC.format(8, each), 100 - each + number, None), port=BridgePort())
            for each in (40, 60)
        )
        links.append(replace(near, kind=kind, master=2, link=near.link if kind == "veth" else None))
        links.append(replace(far, master=40))
    return edited(snapshot, "host", links=(*snapshot["host"].links, *links))


@pytest.mark.parametrize(
    ("snapshot", "fix"),
    [
        # one port leads to a station, and none leads on: nothing can go round
        (spanning("listening"), OFF),
        (with_ports(spanning("listening"), "tun"), OFF),
        (with_ports(spanning("listening"), "veth"), [LISTEN, LEARN]),
        (with_ports(spanning("learning"), "veth"), [LEARN]),
        (with_ports(spanning("learning"), "vxlan"), [LEARN]),
        # the root says how long, and may be the other bridge
        (with_ports(spanning("learning", replace(STP, forward_delay=2)), "veth"), [LEARN]),
        # a blocked port does not come to forward by itself
        (with_ports(spanning("blocking"), "veth"), OFF),
        (with_ports(spanning("learning", Bridge(stp=True)), "veth"), [LEARN]),
    ],
)
def test_a_port_on_its_way_is_waited_for_where_frames_may_go_round(snapshot: Snapshot, fix: list[str]) -> None:
    stop = chosen(snapshot, "red", "8.8.8.8")
    assert (stop.code, lines(stop)) == ("port-not-forwarding", fix)


PLUGGED, UP = ["ip link set dev veth0 master br0"], ["ip link set dev veth0 up"]
GUARD = ["bridge link set dev veth0 guard off", "ip link set dev veth0 down", "ip link set dev veth0 up"]


@pytest.mark.parametrize(
    ("snapshot", "fix"),
    [
        (spanning("disabled", guard=True), [*GUARD, LISTEN, LEARN]),
        (spanning("disabled", replace(STP, stp=False), guard=True), GUARD),
        (spanning("disabled", replace(STP, forward_delay=0), guard=True), GUARD),
        (relinked(spanning("forwarding"), "host", "veth0", master=None, port=None), [*PLUGGED, LISTEN, LEARN]),
        (relinked(spanning("disabled"), "host", "veth0", up=False, carrier=False), [*UP, LISTEN, LEARN]),
    ],
)
def test_what_is_plugged_in_or_switched_on_listens_first(snapshot: Snapshot, fix: list[str]) -> None:
    assert lines(chosen(snapshot, "red", "8.8.8.8")) == fix


def test_time_brings_a_port_on() -> None:
    lost = lost_in(spanning("listening"), "red", "8.8.8.8")
    assert lost.stop is not None
    states = []
    for steps in (("3",), ("4",), ("4", "4")):
        stop = replace(lost.stop, commands=tuple(Command.of("sleep", each, namespace="host") for each in steps))
        mended = mend(spanning("listening"), stop)
        link = mended["host"].link_named("veth0") if mended is not None else None
        states.append(link and link.port_state)
    assert states == [None, "learning", "forwarding"]
