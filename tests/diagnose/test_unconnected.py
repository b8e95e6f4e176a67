"""Stations without a cable: where they belong, what was on it, and who tells."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, tutorial
from test_repair_whole import after, ask, chosen, healthy, lost, said
from test_rules_tell import firewall, rule

from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.search import search
from netprobe.model import FindBare, FindOthers, Nexthop, ReadNamespace, Snapshot, Socket, Statement, Term
from netprobe.model.engines import ContainerEngines
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

CABLE = [
    "host: ip link add veth1 type veth peer name eth0 netns c2",
    "host: ip link set dev veth1 master docker0",
    "host: ip link set dev veth1 up",
    "c2: ip link set dev eth0 up",
    "c2: ip address add 172.17.0.3/16 dev eth0",
    "c2: ip route add default via 172.17.0.1",
]


def without_cable(*sockets: Socket) -> Snapshot:
    """c2's cable is deleted, with both ends; these programs run there, and no engine knows of it."""
    network = edited(after(tutorial(), "c2: ip link del eth0"), "c2", sockets=sockets)
    return replace(network, engines=ContainerEngines())


@pytest.mark.parametrize("sockets", [(), (Socket("tcp", "172.17.0.3", 80, "listen"),)])
def test_the_one_who_is_asked_for_is_connected_to_the_bridge_of_its_network(sockets: tuple[Socket, ...]) -> None:
    network = without_cable(*sockets)
    found = chosen(network, ask("c1", "172.17.0.3"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "c2")
    assert said(found) == CABLE
    mended = predict(after(network, *CABLE), ask("c2", "10.0.0.2"), ask=False)  # in the other direction as well
    assert isinstance(mended, Prediction)
    assert mended.passes


def test_a_program_that_waits_on_another_address_tells_who_it_is_not() -> None:
    network = without_cable(Socket("tcp", "172.17.0.9", 80, "listen"))
    assert chosen(network, ask("c1", "172.17.0.3")).stop.code == "neigh-no-answer"


def test_whoever_has_no_cable_is_asked_for_where_nobody_has_an_address() -> None:
    network = without_cable()
    away = replace(network, namespaces={name: each for name, each in network.namespaces.items() if name != "c2"})
    assert choice.lacking(away, lost(away, ask("c1", "172.17.0.3"))[0]) == (FindBare("c1"),)


@pytest.mark.parametrize(("sockets", "asked"), [((), (FindOthers("c2"),)), ((Socket("tcp", "172.17.0.3", 80, "listen"),), ())])
def test_who_nobody_has_come_to_may_have_the_address(sockets: tuple[Socket, ...], asked: tuple[FindOthers, ...]) -> None:
    """Unless a program of the station without a cable waits on it."""
    network = without_cable(*sockets)
    assert choice.lacking(network, lost(network, ask("c1", "172.17.0.3"))[0]) == asked


def test_a_sender_without_a_cable_belongs_to_the_bridge_that_has_nobody() -> None:
    """Which address it had is for the reader to know."""
    found = chosen(after(tutorial(), "red: ip link del eth0"), ask("red", "8.8.8.8"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "red")
    assert said(found)[1] == "host: ip link set dev veth0 master br0"
    assert said(found)[-2:] == ["red: ip address add ADDRESS/16 dev eth0", "red: ip route add default via 10.0.0.1"]


@pytest.mark.parametrize("address", ["10.2.0.10", "fd00:2::10"])
def test_a_station_behind_a_router_is_connected_to_it(address: str) -> None:
    """The other router sends there for its network, of which nothing is left: the near end's address is for the reader to know."""
    network = edited(after(healthy("far-office-no-way-back"), "server: ip link del eth0"), "server", sockets=())
    found = chosen(network, ask("pc", address))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "server")
    assert said(found)[0] == "r2: ip link add veth0 type veth peer name eth0 netns server"
    assert f"server: ip address add {address}/{64 if ':' in address else 24} dev eth0" in said(found)


def test_who_has_routes_by_hand_waits_for_no_router() -> None:
    """A router forwards, as its neighbours do; that it takes no announcements is no reason for a route that is missing."""
    network = after(healthy("far-office-no-way-back"), "server: ip link del eth0")
    assert lost(network, ask("pc", "fd00:2::10"))[1].code == "no-route"


def test_an_interface_of_which_rules_speak_is_what_a_router_lacks() -> None:
    """Its cable to the world is gone, with addresses and routes; what was on it is told by nobody."""
    out = Statement("match", Term("key", "meta oifname"), "==", Term("value", "eth0"))
    network = after(firewall(rule(1, 'oifname "eth0" accept', out, Statement("accept"))), "host: ip link del eth0")
    found = chosen(network, ask("red", "8.8.8.8"))
    assert found.stop.object is not None
    assert (found.stop.code, found.stop.place.namespace, found.stop.object.id) == ("link-missing", "host", "eth0")


def test_a_station_with_an_address_alone_is_connected_as_another_one_is() -> None:
    """Routed pods: the router has a route straight to each, and is a proxy for a gateway that is nobody's address."""
    network = edited(after(healthy("proxy-arp-off"), "pod2: ip link del eth0"), "pod2", sockets=())
    found = chosen(network, ask("pod1", "10.65.0.3"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "pod2")
    assert said(found) == [
        "host: ip link add cali2 type veth peer name eth0 netns pod2",
        "host: ip link set dev cali2 up",
        "pod2: ip link set dev eth0 up",
        "host: sysctl -w net.ipv4.conf.cali2.proxy_arp=1",
        "host: ip route add 10.65.0.3/32 dev cali2",
        "pod2: ip address add 10.65.0.3/32 dev eth0",
        "pod2: ip route add 169.254.1.1/32 dev eth0",
        "pod2: ip route add default via 169.254.1.1 dev eth0",
    ]


@pytest.mark.parametrize("beside", [(), ("host: ip link add br9 type bridge", "host: ip link set dev br9 up")])
def test_a_proxy_answers_for_what_it_has_a_way_to(beside: tuple[str, ...]) -> None:
    """The gateway of routed pods is nobody's address; their router has lost its default route, and so the way to it.

    That there is a bridge as well makes no port of an interface that routes lead out of.
    """
    network = after(healthy("proxy-arp-off"), *beside) if beside else healthy("proxy-arp-off")
    network = after(network, *(f"host: ip route del default via {leg.via} dev eth0" for leg in _default(network)))
    found = chosen(network, ask("pod1", "10.65.0.3"))
    assert (found.stop.code, found.stop.place.namespace) == ("no-route", "host")
    assert "as a proxy" in found.stop.text
    assert said(found) == ["host: ip address add 169.254.1.1/32 dev cali1"]


def _default(network: Snapshot) -> tuple[Nexthop, ...]:
    return next(route.nexthops for route in network["host"].routes if route.is_default)


def test_a_router_without_an_interface_of_which_rules_speak_is_connected_to_who_lacks_its_network() -> None:
    """Two uplinks, one of them deleted with both ends: the other router is still sent what is for its network."""
    network = after(healthy("strict-rp-filter-and-marks"), "host: ip link del eth0")
    found = chosen(network, ask("pc", "8.8.8.8"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "host")
    assert said(found) == [
        "host: ip link add eth0 type veth peer name eth0 netns cable",
        "host: ip link set dev eth0 up",
        "cable: ip link set dev eth0 up",
        "cable: ip address add ADDRESS-OF-THE-ROUTER/24 dev eth0",
        "host: ip address add 203.0.113.2/24 dev eth0",
        "host: ip route add default via ADDRESS-OF-THE-ROUTER",
    ]


def test_the_cable_of_an_uplink_that_is_asked_for_from_outside() -> None:
    """What is sent there goes round; the table that a policy rule leads to has lost its way out."""
    network = after(healthy("strict-rp-filter-and-marks"), "host: ip link del eth1")
    asked = ask("internet", "198.51.100.2")
    found = chosen(network, asked)
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "host")
    assert "host: ip address add 198.51.100.2/24 dev eth1" in said(found)
    assert said(found)[-1] == "host: ip route add default via ADDRESS-OF-THE-ROUTER table 100"
    away = replace(network, namespaces={name: each for name, each in network.namespaces.items() if name != "host"})
    assert ReadNamespace("host") in choice.lacking(away, lost(away, asked)[0])


def test_the_end_of_a_cable_belongs_to_the_bare_station_whose_programs_wait_on_the_address() -> None:
    """It was moved to the router, where it is off; there is a rule in the station as well that refuses."""
    network = healthy("far-office-no-way-back")
    network = edited(network, "server", sockets=(Socket("udp", "10.2.0.10", 53, "unconnected"),))
    network = after(network, "server: ip link set dev eth0 down", "server: ip link set dev eth0 netns r1")
    network = after(network, "server: ip rule add pref 100 blackhole")
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert said(found)[:2] == ["r1: ip link set dev eth0 netns server", "server: ip link set dev eth0 up"]
    first = search(network, *lost(network, ask("pc", "10.2.0.10"))).partial[0]
    assert first.stop.code == "link-missing"  # switched on where it lies idle it would be a station of no network
    away = replace(network, namespaces={name: each for name, each in network.namespaces.items() if name != "server"})
    assert FindBare("r2") in choice.lacking(away, lost(away, ask("pc", "10.2.0.10"))[0])


@pytest.mark.parametrize(
    ("source", "asked_for", "near", "back"),
    [
        ("c2", "203.0.113.2", "203.0.113.2/LENGTH", ["internet: ip route add default via 203.0.113.2"]),
        ("host", "203.0.113.1", "ADDRESS/LENGTH", []),
        ("c2", "203.0.113.1", "ADDRESS/LENGTH", []),  # what was supposed for a trial is said to nobody
    ],
)
def test_a_router_without_a_way_out_is_connected_to_the_station_that_has_no_interface(
    source: str, asked_for: str, near: str, back: list[str]
) -> None:
    """Its programs wait on an address of nobody; no rule speaks of the router's interface, nobody tells the length of the prefix."""
    network = after(tutorial(), "host: ip link del eth0")
    network = edited(network, "internet", sockets=(Socket("tcp", "203.0.113.1", 80, "listen"), Socket("tcp", "8.8.8.8", 80, "listen")))
    found = chosen(network, ask(source, asked_for))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "internet")
    assert said(found) == [
        "host: ip link add veth1 type veth peer name eth0 netns internet",
        "host: ip link set dev veth1 up",
        "internet: ip link set dev eth0 up",
        f"host: ip address add {near} dev veth1",
        "internet: ip address add 203.0.113.1/LENGTH dev eth0",
        "host: ip route add default via 203.0.113.1",
        *back,
    ]


@pytest.mark.parametrize(
    ("entered", "code"), [(("nsenter", "-t", "71", "-n"), "neigh-no-answer"), (("ip", "netns", "exec", "c1"), "link-missing")]
)
def test_an_empty_namespace_of_another_kind_is_nobodys_station(entered: tuple[str, ...], code: str) -> None:
    """Beside an engine's containers, what ip-netns(8) made for something else has no place at their bridge."""
    network = edited(without_cable(), "c1", enter=entered)
    network = edited(network, "c2", enter=("ip", "netns", "exec", "c2"))
    assert chosen(network, ask("c1", "172.17.0.3")).stop.code == code
