"""An address on another interface than its network is behind, where those beside have lost theirs as well."""

from __future__ import annotations

from diagnose.test_repair_whole import after, ask, chosen, said
from diagnose.test_two_at_once import named
from diagnose.test_two_by_two import offices
from predict.networks import edited, tutorial

from netprobe.model import Snapshot
from netprobe.model.lookup import where


def forgetful(network: Snapshot, *lines: str) -> Snapshot:
    """The network after these commands, in which nobody has heard of anybody."""
    network = after(network, *lines)
    for name, there in network.namespaces.items():
        network = edited(network, name, neighbours=where(there.neighbours, state="permanent"))
    return network


def moved(name: str, own: str, old: str, new: str) -> tuple[str, str]:
    return f"{name}: ip address del {own} dev {old}", f"{name}: ip address add {own} dev {new}"


def test_both_ends_have_their_addresses_on_their_loopbacks() -> None:
    network = forgetful(tutorial(), *moved("red", "10.0.0.2/32", "eth0", "lo"), *moved("host", "10.0.0.1/16", "br0", "lo"))
    assert [lines[:2] for lines in named(network, "red", "8.8.8.8")] == [
        ["red: ip address del 10.0.0.2/32 dev lo", "red: ip address add 10.0.0.2/16 dev eth0"],
        ["host: ip address del 10.0.0.1/16 dev lo", "host: ip address add 10.0.0.1/16 dev br0"],
    ]


def test_an_address_of_a_loopback_that_no_station_is_near_is_its_own() -> None:
    """Routers have such an address, by which they are known."""
    network = forgetful(offices(), "r2: ip address del 10.9.0.2/30 dev wan", "r1: ip address del 10.9.0.1/30 dev wan")
    network = after(network, "r1: ip address add 192.0.2.1/32 dev lo")
    assert not any("192.0.2.1" in line for line in said(chosen(network, ask("pc", "10.2.0.10"))))


def test_an_address_of_a_network_of_which_nobody_is_behind_its_interface() -> None:
    """Who was behind the right one has lost his address as well."""
    network = forgetful(offices(), *moved("r1", "10.9.0.1/30", "wan", "lan"), "r2: ip address del 10.9.0.2/30 dev wan")
    assert said(chosen(network, ask("pc", "10.2.0.10")))[:2] == [
        "r1: ip address del 10.9.0.1/30 dev lan",
        "r1: ip address add 10.9.0.1/30 dev wan",
    ]
