"""Two that are plainly wrong, where one thing that is added would do: both are named."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, ask, healthy
from diagnose.test_two_at_once import behind, named
from diagnose.test_two_by_two import offices, square
from predict.networks import edited, tutorial

from netprobe.model import Snapshot


def test_the_way_by_a_gateway_that_is_off_was_meant() -> None:
    """The answer would get back by the other router, were there a route; this one refuses it besides."""
    network = after(square(), "r2: sysctl -w net.ipv4.conf.dmz.rp_filter=1", "r2: ip link set dev dmz down")
    assert named(network, "pc", "192.0.2.80") == [["r2: ip link set dev dmz up"], ["r2: sysctl -w net.ipv4.conf.dmz.rp_filter=0"]]


def test_a_route_of_which_something_tells_comes_before_one_around_it() -> None:
    """The other node sends by the tunnel, and refuses what its tunnel would answer; the underlay leads there as well."""
    network = after(
        healthy("tunnel-neighbour-missing"),
        "node1: ip address del 10.244.1.0/32 dev flannel.1",
        "node1: ip address add 10.244.1.0/28 dev flannel.1",
        "node2: iptables -P OUTPUT DROP",
    )
    first, second = named(network, "node1", "10.244.2.2")
    assert first[-1] == "node1: ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"
    assert second == ["node2: iptables -I OUTPUT -o u0 -p udp --dport 8472 -j ACCEPT"]


@pytest.mark.parametrize("also", [(), ("host: ip address add 172.17.0.9/16 dev docker0",)])
def test_a_gateway_that_those_beside_use_is_one_though_nobody_is(also: tuple[str, ...]) -> None:
    """A router beside it is one where it has an address."""
    network = after(tutorial(), "c1: ip route del default via 172.17.0.1 dev eth0", "host: ip address del 172.17.0.1/16 dev docker0", *also)
    gateway = "172.17.0.9" if also else "172.17.0.1"
    assert named(network, "c1", "8.8.8.8")[0] == [f"c1: ip route add default via {gateway}"]
    assert behind(network, ask("c1", "8.8.8.8"))[:2] == ["no-route", "no-route" if also else "addr-missing"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("r2: ip route add blackhole 10.1.0.9/32", "route-blackhole"),
        ("r2: ip rule add pref 20 from all to 10.1.0.9 unreachable", "rule-prohibit"),
        ("r1: ip neigh replace 10.1.0.9 lladdr 02:00:00:00:99:01 dev lan nud permanent", "neigh-wrong-entry"),
    ],
)
def test_an_address_of_which_routes_and_entries_speak_is_tried_for_one_that_only_the_reader_knows(line: str, code: str) -> None:
    network = forgotten(after(offices(), "pc: ip address del 10.1.0.10/24 dev eth0"))
    assert behind(network, ask("pc", "10.2.0.10")) == ["addr-missing"]
    assert behind(after(network, line), ask("pc", "10.2.0.10")) == ["addr-missing", code]


def forgotten(network: Snapshot) -> Snapshot:
    """The network in which nobody remembers who was beside."""
    for name in network.namespaces:
        network = edited(network, name, neighbours=())
    return network


def test_a_proxy_whose_way_a_policy_rule_refuses_lacks_none() -> None:
    """To give the host the gateway's address would lead around it."""
    network = after(healthy("proxy-arp-off"), "host: ip rule add pref 20000 unreachable", "host: sysctl -w net.ipv4.ip_forward=0")
    assert sorted(named(network, "pod1", "10.65.0.3")) == [
        ["host: ip rule del pref 20000 from all unreachable"],
        ["host: sysctl -w net.ipv4.ip_forward=1"],
    ]
