"""A port that was taken out of its bridge, in a network that has learned: the neighbours know the gateway by its MAC,
which is the bridge's, or was that port's when it lent its own to the bridge.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, tutorial
from test_repair_whole import after, ask, chosen, healthy, said
from test_two_at_once import named

from netprobe.model import Neighbour, Snapshot

PORT = "host: ip link set dev veth0 master br0"


def mac_of(snapshot: Snapshot, name: str) -> str:
    return next(link.mac for link in snapshot["host"].links if link.name == name)


def learned(snapshot: Snapshot, mac: str) -> Snapshot:
    index = next(link.index for link in snapshot["red"].links if link.name == "eth0")
    return edited(snapshot, "red", neighbours=(Neighbour(index, "10.0.0.1", mac, "reachable"),))


@pytest.mark.parametrize("whose", ["br0", "veth0", ""])
def test_the_port_is_plugged_in_again(whose: str) -> None:
    network = tutorial()
    if whose:
        network = learned(network, mac_of(network, whose))
    found = chosen(after(network, "host: ip link set dev veth0 nomaster"), ask("red", "8.8.8.8"))
    assert (found.stop.code, said(found)) == ("port-not-in-bridge", [PORT])


def test_a_port_lends_its_mac_to_a_bridge_that_has_none() -> None:
    bridge = next(link for link in tutorial()["host"].links if link.name == "br0")
    links = tuple(replace(link, mac="00:00:00:00:00:00") if link == bridge else link for link in tutorial()["host"].links)
    done = after(edited(tutorial(), "host", links=links), "host: ip link set dev veth0 nomaster", PORT)
    assert mac_of(done, "br0") == mac_of(done, "veth0")


def test_what_is_behind_a_port_that_is_gone_is_forgotten() -> None:
    there = after(tutorial(), "host: bridge fdb add 02:00:00:00:00:99 dev veth0 master static")
    entries = {entry.mac: entry.index for entry in there["host"].fdb if entry.static and not entry.local}
    assert "02:00:00:00:00:99" in entries
    gone = after(there, "host: ip link set dev veth0 nomaster")
    assert not [entry for entry in gone["host"].fdb if entry.mac == "02:00:00:00:00:99"]


@pytest.mark.parametrize(
    ("also", "rest"),
    [
        ((), []),
        (("node1: ip link set dev u0 arp off",), [["node1: ip link set dev u0 arp on"]]),
        (("node1: ip link set dev vpod nomaster",), [["node1: ip link set dev vpod master br0"]]),
    ],
)
def test_the_bridge_of_a_tunnel_that_is_called_as_the_other_nodes_is_where_its_station_belongs(
    also: tuple[str, ...], rest: list[list[str]]
) -> None:
    """Of the two ports that are apart, the tunnel's device is at home."""
    network = after(
        healthy("pod-out-of-the-far-bridge"),
        "node2: ip link add br9 type bridge",
        "node2: ip link set dev br9 up",
        "node2: ip link set dev vpod master br9",
        *also,
    )
    assert sorted(named(network, "pod1", "10.42.0.2")) == [*rest, ["node2: ip link set dev vpod master br0"]]
