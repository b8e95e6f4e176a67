"""A cable that was off for a moment, as for a new name: what went with that has it as its cause, and comes back in both families."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, ask, chosen, healthy, said
from diagnose.test_two_at_once import named
from diagnose.test_two_by_two import offices, square
from msgspec.structs import replace
from predict.networks import edited, tutorial

from netprobe.model import Neighbour, Snapshot


def renamed(network: Snapshot, name: str, device: str, downs: int = 2) -> Snapshot:
    """The network with an interface that has got another name, for which it was switched off."""
    lines = (f"{device} down", f"{device} name new9", "new9 up")
    network = after(network, *(f"{name}: ip link set dev {line}" for line in lines))
    links = [replace(each, downs=downs) if each.name == "new9" else each for each in network[name].links]
    return edited(network, name, links=tuple(links))


@pytest.mark.parametrize("address", ["10.2.0.10", "fd00:2::10"])
def test_what_went_with_a_cable_comes_back_in_both_families(address: str) -> None:
    found = chosen(renamed(offices(), "r2", "wan"), ask("pc", address))
    assert (found.stop.place.namespace, found.stop.thing.kind, found.stop.thing.id) == ("r2", "link", "new9")
    assert sorted(said(found)) == [
        "r2: ip -6 route add fd00:1::/64 via fd00:9::1 dev new9",
        "r2: ip address add fd00:9::2/64 dev new9",
        "r2: ip route add default via 10.9.0.1",
    ]


@pytest.mark.parametrize("address", ["10.2.0.10", "fd00:2::10"])
def test_what_went_with_an_interface_comes_back_in_the_family_that_was_not_asked_for(address: str) -> None:
    """Who is asked for has an address in each, though it was asked for by one of them."""
    found = chosen(after(offices(), "r1: ip link set dev wan down"), ask("pc", address))
    assert said(found)[0] == "r1: ip link set dev wan up"
    assert sorted(said(found)[1:]) == [
        "r1: ip -6 route add fd00:2::/64 via fd00:9::2 dev wan",
        "r1: ip address add fd00:9::1/64 dev wan",
        "r1: ip route add default via 10.9.0.2",
    ]


def test_a_cable_loses_its_carrier_once_when_it_is_made() -> None:
    """Then a route was deleted, or never written."""
    found = chosen(renamed(offices(), "r2", "wan", downs=1), ask("pc", "10.2.0.10"))
    assert (found.stop.thing.kind, said(found)) == ("route", ["r2: ip route add default via 10.9.0.1"])


@pytest.mark.parametrize(
    ("downs", "first"), [(2, "r2: ip route add default via 10.1.2.10"), (1, "server: ip route add 10.1.1.0/24 via 172.16.1.1 dev eth0")]
)
def test_the_router_that_has_lost_the_way_with_a_cable_is_meant_though_another_knows_it(downs: int, first: str) -> None:
    """The answer goes by another router than the question came by, as it always did."""
    assert named(renamed(square(), "r2", "lan", downs), "pc", "192.0.2.80") == [[first]]


@pytest.mark.parametrize(("downs", "code"), [(2, "no-route"), (1, "addr-wrong-prefix")])
def test_the_prefix_of_a_host_needed_the_routes_that_went_with_a_cable(downs: int, code: str) -> None:
    found = chosen(renamed(tutorial(), "red", "eth0", downs), ask("host", "10.0.0.2"))
    assert (found.stop.code, found.stop.place.namespace) == (code, "red")


def test_a_cable_by_which_something_leads_was_not_off_for_what_is_missing() -> None:
    network = after(offices(), "pc: ip route del default via 10.1.0.1 dev eth0")
    links = [replace(each, downs=5) for each in network["pc"].links]
    found = chosen(edited(network, "pc", links=tuple(links)), ask("pc", "10.2.0.10"))
    assert found.stop.thing.kind == "route"


def test_a_proxy_has_lost_its_way_out() -> None:
    """Who was its router nobody tells; that it answers for a gateway that nobody has took a way there."""
    network = healthy("proxy-arp-off")
    assert network["host"].link_named("eth0") is not None
    found = chosen(renamed(network, "host", "eth0"), ask("pod1", "10.65.0.3"))
    assert (found.stop.code, found.stop.place.namespace, found.stop.thing.id) == ("no-route", "host", "new9")


@pytest.mark.parametrize(
    ("lines", "thing"),
    [
        ((), "address dev eth0"),
        (("host: ip address add {own} dev lo",), "address {own} dev lo"),
        (("host: ip address add {own} dev eth0",), "route 169.254.1.1"),
    ],
)
def test_a_proxy_has_lost_its_way_out_with_an_address(lines: tuple[str, ...], thing: str) -> None:
    network = healthy("proxy-arp-off")
    link = network["host"].link_named("eth0")
    own = next(each.written for each in network["host"].addresses_of(link, 4))
    network = after(network, f"host: ip address del {own} dev eth0", *(each.format(own=own) for each in lines))
    found = chosen(network, ask("pod1", "10.65.0.3"))
    assert (found.stop.code, f"{found.stop.thing.kind} {found.stop.thing.id}") == ("no-route", thing.format(own=own))
    assert said(found) == ["host: ip address add 169.254.1.1/32 dev cali1"]


def test_a_route_by_another_interface_was_not_of_this_cable() -> None:
    network = after(offices(), "r1: ip route del 10.2.0.0/24 via 10.9.0.2")
    found = chosen(renamed(network, "r1", "lan"), ask("r1", "10.2.0.10"))
    assert found.stop.thing.kind == "route"


def test_an_address_of_ipv4_goes_not_with_the_life_of_an_interface() -> None:
    network = after(offices(), "r2: ip address del 10.9.0.2/30 dev wan")
    links = [replace(each, downs=5) for each in network["r2"].links]
    found = chosen(edited(network, "r2", links=tuple(links)), ask("pc", "10.2.0.10"))
    assert (found.stop.code, found.stop.thing.kind) == ("addr-missing", "address")


def test_an_address_of_ipv4_took_its_routes_and_those_beside_remember_it() -> None:
    """Nobody else names it; the route is what is missing now."""
    network = after(offices(), "pc: ip address del 10.1.0.10/24 dev eth0", "pc: ip address add 10.1.0.14/24 dev eth0")
    network = after(network, "pc: ip address del fd00:1::10/64 dev eth0")
    cable, lan = network["pc"].link_named("eth0"), network["r1"].link_named("lan")
    assert cable is not None
    assert lan is not None
    for state, kind in (("stale", "address"), ("failed", "route"), ("permanent", "route")):
        entry = Neighbour(lan.index, "10.1.0.10", cable.mac, state)
        found = chosen(edited(network, "r1", neighbours=(entry,)), ask("pc", "10.2.0.10"))
        assert (found.stop.code, found.stop.thing.kind, said(found)) == ("no-route", kind, ["pc: ip route add default via 10.1.0.1"])


@pytest.mark.parametrize(("proxies", "kind"), [("0", "address"), ("1", "route")])
def test_what_was_found_at_a_proxy_was_not_its_own_address(proxies: str, kind: str) -> None:
    """It answers for machines that do not run now."""
    network = after(offices(), "r1: ip route del 10.2.0.0/24 via 10.9.0.2")
    network = edited(network, "r1", sysctls={"net.ipv4.conf.wan.proxy_arp": proxies})
    cable, wan = network["r1"].link_named("wan"), network["r2"].link_named("wan")
    assert cable is not None
    assert wan is not None
    network = edited(network, "r2", neighbours=(Neighbour(wan.index, "10.9.0.9", cable.mac, "stale"),))
    assert chosen(network, ask("pc", "10.2.0.10")).stop.thing.kind == kind


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((f"pc: ip address add 10.1.0.{number}/24 dev eth0", *more), kind)
        for number, more, kind in (
            (14, (), "address"),
            (10, (), "route"),
            (14, ("server: ip address del fd00:2::10/64 dev eth0", "server: ip address add fd00:2::33/64 dev eth0"), "route"),
            (14, ("r2: ip address add 10.1.0.10/32 dev lo",), "route"),
            (14, ("pc: ip address add fd00:1::11/64 dev eth0",), "route"),
        )
    ],
)
def test_an_address_of_ipv4_took_its_routes_and_the_number_in_ipv6_tells_of_it(lines: tuple[str, ...], kind: str) -> None:
    """Where all are numbered alike; another one has two addresses there, or somebody has that of the number."""
    network = after(edited(offices(), "r1", neighbours=()), "pc: ip address del 10.1.0.10/24 dev eth0", *lines)
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert (found.stop.code, found.stop.thing.kind, said(found)) == ("no-route", kind, ["pc: ip route add default via 10.1.0.1"])
