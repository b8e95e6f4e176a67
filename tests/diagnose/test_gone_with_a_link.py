"""A link is off, or a bridge is gone, alone or with another thing: what went with it comes back with it, and hides the other one not."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, ask, chosen, healthy, said
from diagnose.test_two_at_once import behind, named
from diagnose.test_two_by_two import offices
from msgspec.structs import replace
from predict.networks import edited, tutorial, with_link_locals

from netprobe.model import Snapshot
from netprobe.model.lookup import where


@pytest.mark.parametrize(
    ("refusing", "address", "last"),
    [
        (
            ("ip -6 route del fd00:2::/64 dev lan", "ip -6 route add prohibit fd00:2::/64"),
            "fd00:2::10",
            "fd00:2::/64 via fd00:9::2 dev wan",
        ),
        (("ip route del 10.2.0.0/24 dev lan", "ip route add blackhole 10.2.0.0/24"), "10.2.0.10", "default via 10.9.0.2"),
        (("ip route del 10.2.0.0/24 dev lan",), "10.2.0.10", "default via 10.9.0.2"),
    ],
)
def test_the_way_that_went_with_a_link_led_to_whose_the_network_is_though_that_one_refuses_it(
    refusing: tuple[str, ...], address: str, last: str
) -> None:
    """The far office's router has the network of its servers, and its own route to them is another thing."""
    network = after(offices(), *(f"r2: {line}" for line in refusing), "r1: ip link set dev wan down")
    first, second = named(network, "pc", address)
    assert first[0] == "r1: ip link set dev wan up"
    assert any(line.endswith(last) for line in first)
    assert second[0].startswith("r2: ip ")


def test_a_router_s_own_network_is_known_though_its_side_there_is_off() -> None:
    network = after(offices(), "r1: ip route del 10.2.0.0/24 via 10.9.0.2", "r2: ip link set dev lan down")
    first, second = named(network, "pc", "10.2.0.10")
    assert (first, second[0]) == (["r1: ip route add default via 10.9.0.2"], "r2: ip link set dev lan up")


def pods() -> Snapshot:
    """Routed pods of both versions, with a gateway that is nobody's, for which the host answers."""
    network = after(with_link_locals(healthy("proxy-arp-off")), "host: sysctl -w net.ipv6.conf.all.forwarding=1")
    network = after(network, "host: ip address add fd00:10::10/64 dev eth0", "rack: ip address add fd00:10::1/64 dev eth0")
    for n in (1, 2):
        network = after(
            network,
            f"host: sysctl -w net.ipv6.conf.cali{n}.proxy_ndp=1",
            f"host: ip -6 neigh add proxy fd00:65::ff dev cali{n}",
            f"host: ip -6 route add fd00:65::{n}/128 dev cali{n}",
            f"pod{n}: ip address add fd00:65::{n}/128 dev eth0",
            f"pod{n}: ip -6 route add fd00:65::ff/128 dev eth0",
            f"pod{n}: ip -6 route add default via fd00:65::ff dev eth0",
        )
    return after(network, "rack: ip -6 route add fd00:65::/64 via fd00:10::10")


@pytest.mark.parametrize("address", ["10.65.0.3", "fd00:65::2"])
def test_what_a_router_s_end_of_a_pod_s_cable_lost_comes_back(address: str) -> None:
    """The route to the pod alone, and the entry for the gateway as its sibling has it, in both versions."""
    found = chosen(after(pods(), "host: ip link set dev cali1 down"), ask("pod1", address))
    assert (found.stop.code, said(found)[0]) == ("link-admin-down", "host: ip link set dev cali1 up")
    assert sorted(said(found)[1:]) == [
        "host: ip -6 neigh add proxy fd00:65::ff dev cali1",
        "host: ip -6 route replace fd00:65::1/128 dev cali1",
        "host: ip route replace 10.65.0.2/32 dev cali1",
        "host: sysctl -w net.ipv6.conf.cali1.proxy_ndp=1",
    ]


@pytest.mark.parametrize(
    ("key", "asked"), [("net.ipv4.conf.cali1.proxy_arp", "10.65.0.3"), ("net.ipv6.conf.cali1.proxy_ndp", "fd00:65::2")]
)
def test_who_is_no_proxy_any_more_is_called_so_in_both_versions(key: str, asked: str) -> None:
    found = chosen(after(pods(), f"host: sysctl -w {key}=0"), ask("pod1", asked))
    assert (found.stop.code, said(found)) == ("proxy-arp-off", [f"host: sysctl -w {key}=1"])


def test_an_address_is_missing_where_it_is_and_not_where_a_cable_was_off() -> None:
    """The cable has lost its carrier with a pod's end; what another interface lacks has not gone with that."""
    network = after(pods(), "host: ip address del fd00:10::10/64 dev eth0", "host: ip route del 10.65.0.2/32 dev cali1")
    network = after(network, "host: ip -6 route del fd00:65::1/128 dev cali1")
    links = [replace(each, downs=2) if each.name == "cali1" else each for each in network["host"].links]
    found = chosen(edited(network, "host", links=tuple(links)), ask("pod1", "fd00:10::1"))
    assert (found.stop.place.interface, found.stop.thing.kind, said(found)) == (
        "eth0",
        "address",
        ["host: ip address add fd00:10::10/64 dev eth0"],
    )


def test_a_bridge_that_is_gone_held_also_who_sends_elsewhere_by_mistake() -> None:
    """That one is of the network of the gateway that the other one looks for."""
    network = after(tutorial(), "host: ip link del dev docker0", "c1: ip route replace default via 172.17.0.3 dev eth0 onlink")
    first, second = named(network, "c1", "8.8.8.8")[:2]
    assert [line.partition(" master")[0] for line in first if " master " in line] == [
        f"host: ip link set dev {each.name}"
        for each in where(network["host"].links_of("veth"), master=None)
        if each.name.startswith("vethc")
    ]
    assert second == ["c1: ip route replace default via 172.17.0.1 dev eth0"]
    assert behind(network, ask("c1", "8.8.8.8"))[:2] == ["link-missing", "route-wrong-nexthop"]
