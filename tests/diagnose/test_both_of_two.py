"""Two objects of a working network are changed: neither hides the other, nor is a way around them said before them."""

from __future__ import annotations

import pytest
from diagnose.test_rather_two import ruled
from diagnose.test_repair_whole import after, ask, chosen, healthy, lost, said
from diagnose.test_two_at_once import named
from diagnose.test_two_by_two import offices
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial

from netprobe.diagnose.repair.candidates import moved
from netprobe.diagnose.repair.candidates import renamed as renaming
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import STARTED_IN, Chain, Protocol, ReadNamespace, Ruleset, Snapshot, Socket, Table

OPEN = (":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]")


def emptied(network: Snapshot) -> Snapshot:
    """The host's chain that translates, without its rule."""
    chain = Chain("postrouting", hook="postrouting", type="nat")
    return edited(network, "host", ruleset=Ruleset(tables=(Table("nft", "inet", "lab", (chain,)),)))


def test_an_address_comes_back_without_a_route_that_a_translation_makes_needless() -> None:
    """The far end knows none of the networks behind the router: that one is there to translate them."""
    network = after(emptied(healthy("no-masquerade")), "internet: ip address del 203.0.113.1/24 dev eth0")
    first, *others = named(network, "red", "8.8.8.8")
    assert first == ["internet: ip address add 203.0.113.1/24 dev eth0"]
    assert [words for lines in others for words in lines] == ["host: nft add rule inet lab postrouting oifname eth0 masquerade"]


def test_who_has_the_same_address_is_no_more_asked_where_a_program_has_ended() -> None:
    network = tutorial()
    for name in ("c1", "c2"):
        network = after(network, f"{name}: ip address add 192.0.2.53/32 dev lo")
    network = after(network, "host: ip route add 192.0.2.53/32 via 172.17.0.2", "host: ip route add 192.0.2.53/32 via 172.17.0.3 metric 9")
    network = edited(edited(network, "c1", sockets=()), "c2", sockets=(Socket("udp", "192.0.2.53", 53, "unconnected"),))
    asked = probe("red", "192.0.2.53", Protocol.UDP)
    asked = replace(asked, destination=replace(asked.destination, port=53))
    found = chosen(network, asked).stop
    assert (found.code, found.place.namespace) == ("port-closed", "c1")


@pytest.mark.parametrize(
    ("device", "line"),
    [
        ("lo", "c1: ip address add 192.0.2.53/32 dev lo"),
        ("eth0", "host: ip route del 192.0.2.53/32 via 172.17.0.2 dev docker0"),  # one station's, and not a service's
    ],
)
def test_a_service_s_address_is_given_back_though_another_station_has_it(device: str, line: str) -> None:
    network = after(
        tutorial(),
        f"c2: ip address add 192.0.2.53/32 dev {device}",
        "host: ip route add 192.0.2.53/32 via 172.17.0.2",
        "host: ip route add 192.0.2.53/32 via 172.17.0.3 metric 9",
    )
    assert said(chosen(network, ask("red", "192.0.2.53"))) == [line]


OVERLAY = "tunnel-neighbour-missing"


def test_a_route_that_leads_to_somebody_is_not_deleted_for_one_to_all_the_world() -> None:
    """A longer prefix took the node's route along, and an entry of its tunnel is missing."""
    network = after(
        healthy(OVERLAY),
        "node2: ip address del 10.244.2.0/32 dev flannel.1",
        "node2: ip address add 10.244.2.0/24 dev flannel.1",
        "node2: bridge fdb del 02:00:00:00:42:01 dev flannel.1 dst 192.168.50.1",
    )
    lines = [words for found in named(network, "node1", "10.244.2.2") for words in found]
    assert "node2: ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink" in lines
    assert "node2: bridge fdb append 02:00:00:00:42:01 dev flannel.1 dst 192.168.50.1" in lines


def test_with_the_address_of_a_port_its_bridge_gets_no_route_that_was_not_there() -> None:
    """The address of the tunnel is on the underlay, which somebody has made a port."""
    network = after(
        healthy(OVERLAY),
        "node1: ip address del 10.244.1.0/32 dev flannel.1",
        "node1: ip address add 10.244.1.0/32 dev u0",
        "node1: ip link add name br9 type bridge",
        "node1: ip link set dev br9 up",
        "node1: ip link set dev u0 master br9",
    )
    found = named(network, "pod1", "10.244.2.2")
    assert found[0][:2] == ["node1: ip address del 10.244.1.0/32 dev u0", "node1: ip address add 10.244.1.0/32 dev flannel.1"]


def test_the_address_too_many_goes_and_the_right_one_stays() -> None:
    """With another address of its own the asker would get past a rule that is about its own."""
    network = after(offices(), "server: ip address add 10.1.0.10/32 dev eth0")
    network = ruled(network, "r1", "filter", *OPEN, "-A FORWARD -d 10.1.0.10/32 -j DROP")
    assert named(network, "pc", "10.2.0.10") == [
        ["server: ip address del 10.1.0.10/32 dev eth0"],
        ["r1: iptables -D FORWARD -d 10.1.0.10/32 -j DROP"],
    ]


@pytest.mark.parametrize(("called", "renamed"), [("wan", True), ("uplink", False)])
def test_the_other_end_tells_which_interface_a_single_rule_means(called: str, renamed: bool) -> None:
    """What had another name has lost its routes, and its addresses of IPv6."""
    network = after(offices(), "r1: ip link set dev wan down", "r1: ip link set dev wan name new9", "r1: ip link set dev new9 up")
    network = ruled(network, "r1", "filter", *OPEN, f"-A FORWARD -i {called} -j DROP")
    found = [*renaming.candidates(Loss.of(network, *lost(network, ask("pc", "10.2.0.10"))))]
    assert [each.stop.thing.id for each in found] == (["new9"] if renamed else [])
    assert all(each.stop.text == f"a rule of r1 speaks of {called}, which is not there, and none of new9" for each in found)


def test_what_rules_speak_of_is_looked_for_where_cables_are_made() -> None:
    """Of a router that nobody announces a way to: what it lacks is not an announcement."""
    network = after(offices(), "r1: ip link del dev wan")
    network = ruled(network, "r1", "filter", *OPEN, "-A FORWARD -i wan -j ACCEPT")
    loss = Loss.of(network, *lost(network, ask("pc", "fd00:2::10")))
    assert loss.stop.code in ("no-route", "ra-not-accepted")
    assert not [*moved.candidates(loss)]
    assert ReadNamespace(STARTED_IN) in loss.needs


def test_what_would_lead_around_one_thing_is_not_said_for_two() -> None:
    """The other uplink would do; once the address is back, to go by that one is plainly a detour around what the gateway lacks."""
    network = after(
        healthy("strict-rp-filter-and-marks"),
        "cable: ip address del 203.0.113.1/24 dev eth0",
        "cable: ip address add 203.0.113.1/24 dev lo",
        "cable: ip link del dev core",
    )
    assert said(chosen(network, ask("host", "8.8.8.8"))) == [
        "cable: ip address del 203.0.113.1/24 dev lo",
        "cable: ip address add 203.0.113.1/24 dev eth0",
    ]


def test_an_address_of_ipv4_has_not_gone_with_the_life_of_an_interface_that_has_one() -> None:
    """The gateway that nobody has is a mistake of the station's."""
    network = after(
        healthy("gateway-lost-its-address"),
        "c1: ip route replace default via 172.17.3.1 dev eth0 onlink",
        "host: ip link set dev docker0 down",
    )
    first, second = named(network, "c1", "8.8.8.8")
    assert "host: ip address add 172.17.3.1/16 dev docker0" not in first
    assert second == ["c1: ip route replace default via 172.17.0.1 dev eth0"]


@pytest.mark.parametrize(("beside", "code"), [(True, "addr-duplicate"), (False, "port-closed")])
def test_who_asks_itself_by_an_address_too_many_is_told_so_though_a_program_is_missing_where_it_belongs(beside: bool, code: str) -> None:
    network = after(offices(), "pc: ip address add 10.1.0.1/32 dev eth0")
    network = network if beside else after(network, "pc: ip address del 10.1.0.10/24 dev eth0")
    network = edited(edited(network, "pc", sockets=()), "r1", sockets=())
    asked = probe("pc", "10.1.0.1", Protocol.TCP)
    asked = replace(asked, destination=replace(asked.destination, port=80))
    assert chosen(network, asked).stop.code == code


def test_the_prefix_of_a_host_is_of_another_network_where_nobody_leads_to_it() -> None:
    """Its router would need a route for it alone, which was never there; a digit slipped."""
    network = after(
        healthy("legacy-drops-by-policy"), "red: ip address del 10.0.0.2/32 dev eth0", "red: ip address add 10.2.0.2/32 dev eth0"
    )
    assert said(chosen(network, ask("red", "8.8.8.8")))[:2] == [
        "red: ip address add 10.0.0.2/32 dev eth0",
        "red: ip address del 10.2.0.2/32 dev eth0",
    ]


@pytest.mark.parametrize(
    ("router", "own"),
    [("r2", "10.2.0.10/24 dev lan"), ("r2", "10.2.0.10/32 dev lo"), ("r1", "10.2.0.10/32 dev lo"), ("r2", "fd00:2::10/64 dev lan")],
)
def test_a_router_that_took_the_address_of_a_station_is_not_who_is_meant(router: str, own: str) -> None:
    """It is the gateway to that one's network, or to all; without the address the packet goes on to the station."""
    network = after(offices(), f"{router}: ip address add {own}")
    there = (Socket("tcp", "0.0.0.0", 80, "listen"), Socket("tcp", "::", 80, "listen"))
    network = edited(edited(network, router, sockets=()), "server", sockets=there)
    asked = probe("pc", own.partition("/")[0], Protocol.TCP)
    asked = replace(asked, destination=replace(asked.destination, port=80))
    found = chosen(network, asked)
    assert (found.stop.code, said(found)) == ("addr-duplicate", [f"{router}: ip address del {own}"])
