"""Two objects at once: what only leads around one of them, or would be right if another one were as it was, is not said for them."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, ask, chosen, healthy, lost, said
from diagnose.test_two_at_once import named
from diagnose.test_two_by_two import offices, square
from literal_rules import iptables
from msgspec.structs import replace
from predict.networks import edited, local, probe, tutorial, via

from netprobe.diagnose import source_nat
from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.candidates import missing_routes, neighbours
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.search import Results, search
from netprobe.diagnose.repair.several import Searches
from netprobe.diagnose.silence import heard
from netprobe.diagnose.supposed import supposed
from netprobe.model import (
    Chain,
    FindPeer,
    InterfaceAddress,
    Leg,
    Neighbour,
    Observation,
    PolicyRule,
    Probe,
    Protocol,
    Rule,
    Ruleset,
    Snapshot,
    Socket,
    Source,
    Table,
)
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.nft_text import rule_statements


def uplinks() -> Snapshot:
    """What is marked leaves by the fibre; the server's program is for the cable's side alone."""
    network = healthy("strict-rp-filter-and-marks")
    side = network["internet"].link_named("eth0")
    assert side is not None
    return edited(network, "internet", sockets=(Socket("tcp", "8.8.8.8", 80, "listen", interface=side.index),))


def at_its_port() -> Probe:
    asked = probe("pc", "8.8.8.8", Protocol.TCP, source_port=40000)
    return replace(asked, destination=replace(asked.destination, port=80))


def test_where_a_program_is_for_one_interface_no_other_way_is_made_to_it() -> None:
    network = uplinks()
    prediction, stop = lost(network, at_its_port())
    assert stop.code == "listener-wrong-address"
    assert chosen(network, at_its_port()).stop.code == stop.code
    assert {each.merit.name for each in search(network, prediction, stop).repairs} <= {"GOES_AROUND"}


def test_of_two_who_serve_for_each_other_behind_a_translation_the_one_who_was_meant_answers() -> None:
    """A rule leads what the host translates to c1, whose program is for its loopback alone; c2 has the address and the port as well."""
    network = tutorial()
    for name, interface in (("c1", 1), ("c2", 0)):
        there = network[name]
        program = Socket("tcp", "0.0.0.0", 80, "listen", interface=interface)
        addresses = (*there.addresses, InterfaceAddress(1, "10.9.0.1", 32))
        network = edited(network, name, addresses=addresses, routes=(*there.routes, *local("10.9.0.1")), sockets=(program,))
    host = network["host"]
    led = tuple(via("10.9.0.1/32", gateway, 5, table=table) for gateway, table in (("172.17.0.2", 9), ("172.17.0.3", 254)))
    rules = (host.rules[0], PolicyRule(90, 4, table=9, mask=0, iif="eth0"), *host.rules[1:])
    nat = iptables("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.9.0.1\nCOMMIT")
    network = edited(network, "host", routes=(*host.routes, *led), rules=rules, ruleset=nat)
    asked = replace(at_its_port(), source=replace(at_its_port().source, endpoint="internet", namespace="internet"))
    asked = replace(asked, destination=replace(asked.destination, endpoint="203.0.113.2", address="203.0.113.2"))
    assert chosen(network, asked).stop.code == "listener-wrong-address"


def test_a_program_for_another_interface_stands_behind_a_route_that_leads_nowhere() -> None:
    """Without the route all would leave by the cable, where the program is."""
    lines = ("ip route del default via 198.51.100.1 dev eth1 table 100", "ip route add default via 198.51.100.1 dev lo table 100 onlink")
    network = after(uplinks(), *(f"host: {line}" for line in lines))
    assert said(chosen(network, at_its_port())) == ["host: ip route replace default via 198.51.100.1 dev eth1 table 100"]


@pytest.mark.parametrize("doubled", [False, True])
def test_who_alone_has_an_address_has_not_taken_it_from_anybody(doubled: bool) -> None:
    network = healthy("strict-rp-filter-and-marks")
    there, link = network["host"].link_named("eth1"), network["fibre"].link_named("eth0")
    assert there is not None
    assert link is not None
    network = edited(network, "fibre", neighbours=(Neighbour(link.index, "198.51.100.2", there.mac, "reachable"),))
    network = after(network, "host: ip rule add pref 5 prohibit", *(["cable: ip address add 198.51.100.2/32 dev lo"] if doubled else []))
    found = neighbours.candidates(Loss.of(network, *lost(network, ask("internet", "198.51.100.2"))))
    assert ("addr-duplicate" in {each.code for each in found}) is doubled


def test_who_sends_on_to_another_side_of_the_sender_does_not_send_back() -> None:
    """The router has that address where the sender is not; its questions there are dropped as well."""
    network = after(square(), "r2: ip route replace 10.1.1.0/24 via 172.16.2.10 dev lan onlink")
    network = edited(after(network, "r2: arptables -A OUTPUT -j DROP"), "r2", neighbours=())
    assert named(network, "pc", "192.0.2.80") == [
        ["r2: ip route replace 10.1.1.0/24 via 10.1.2.10 dev lan"],
        ["r2: arptables -D OUTPUT -j DROP"],
    ]


def translating(network: Snapshot, name: str, rule: str) -> Snapshot:
    """A namespace whose chain for translations has one rule, or none."""
    rules = (Rule(1, rule, rule_statements(rule)),) if rule else ()
    chain = Chain("post", rules, hook="postrouting", type="nat")
    return edited(network, name, ruleset=Ruleset(tables=(Table("nft", "ip", "lab", (chain,)),)))


@pytest.mark.parametrize(
    ("rule", "empty"), [("", 1), ("oifname wan accept", 1), ("ip daddr 10.2.0.0/24 return", 1), ("oifname wan masquerade", 0)]
)
def test_a_chain_that_only_spares_some_translates_nobody(rule: str, empty: int) -> None:
    assert source_nat.emptied(translating(offices(), "r1", rule)["r1"], "10.1.0.10") == empty


@pytest.mark.parametrize(("sparing", "merits"), [(True, {Merit.ADDS}), (False, {Merit.RESTORES, Merit.ADDS})])
def test_behind_who_was_to_translate_nobody_else_is_to_know_the_way(sparing: bool, merits: set[Merit]) -> None:
    """A station that is a router, too, asks with an address that it has inside."""
    network = after(tutorial(), "c1: ip address add 10.77.0.1/24 dev lo", "c1: sysctl -w net.ipv4.ip_forward=1")
    network = translating(edited(network, "c1", ruleset=Ruleset()), "host", "oifname eth0 masquerade")
    network = translating(network, "c1", "oifname eth0 accept") if sparing else network
    asked = ask("c1", "8.8.8.8")
    asked = replace(asked, source=replace(asked.source, address="10.77.0.1"))
    found = missing_routes.candidates(Loss.of(network, *lost(network, asked)))
    assert {each.merit for each in found if each.stop.place.namespace == "host"} == merits


def test_the_address_of_a_network_itself_is_no_station_s() -> None:
    """A program tells which one was meant; its routes went with it."""
    network = after(offices(), "r1: ip address del 10.9.0.1/30 dev wan", "r1: ip address add 10.9.0.0/30 dev wan")
    network = edited(network, "r1", sockets=(Socket("tcp", "10.9.0.1", 22, "listen"),))
    assert said(chosen(network, ask("pc", "10.2.0.10"))) == [
        "r1: ip address del 10.9.0.0/30 dev wan",
        "r1: ip address add 10.9.0.1/30 dev wan",
        "r1: ip route add default via 10.9.0.2",
    ]


@pytest.mark.parametrize("listening", [True, False])
def test_a_program_listens_on_the_address_with_which_a_route_went(listening: bool) -> None:
    """Another one of the same network is there in its place."""
    network = after(healthy("strict-rp-filter-and-marks"), "host: ip address del 203.0.113.2/24 dev eth0")
    network = after(network, "host: ip address add 203.0.113.7/24 dev eth0", "host: ip rule del pref 800")
    network = edited(network, "host", neighbours=())
    network = edited(network, "cable", neighbours=())
    network = network if listening else edited(network, "host", sockets=())
    found = chosen(network, ask("pc", "8.8.8.8")).stop
    assert found.commands[-1].words[:4] == ("ip", "route", "add", "default")
    assert (found.thing.id == "203.0.113.7/24 dev eth0") is listening


@pytest.mark.parametrize(("called", "kind"), [("new9", "link"), ("flannel.1", "route")])
def test_a_tunnel_that_has_another_name_where_it_ends_elsewhere_has_lost_its_routes(called: str, kind: str) -> None:
    lines = ("ip link set dev flannel.1 down", f"ip link set dev flannel.1 name {called}", f"ip link set dev {called} up")
    network = after(healthy("tunnel-neighbour-missing"), *(f"node2: {line}" for line in lines if not line.endswith("name flannel.1")))
    found = chosen(network, ask("pod1", "10.244.2.2")).stop
    assert (found.code, found.thing.kind) == ("no-route", kind)


def test_who_has_lost_his_way_needs_no_other_address_for_one_that_another_has_as_well() -> None:
    """With another one, which only the reader would know, he would get it back."""
    network = after(healthy("macvlan-private"), "tv: ip route del 192.168.1.0/24 dev eth0", "nas: ip address add 192.168.1.52/32 dev lo")
    assert [each[0].partition(" dev")[0] for each in named(network, "tv", "192.168.1.51")] == [
        "tv: ip route replace 192.168.1.0/24",
        "nas: ip address del 192.168.1.52/32",
    ]


@pytest.mark.parametrize(("off", "asked"), [(True, [FindPeer("cable", 1)]), (False, [])])
def test_what_the_second_of_two_would_need_is_asked_for_though_a_way_around_would_do(off: bool, asked: list[FindPeer]) -> None:
    """A thing that is plainly not as it should be makes it doubtful that the one that is added is all."""
    network = edited(square(), "pc", routes=())
    prediction, stop = lost(network, ask("pc", "192.0.2.80"))
    around, plain = (Repair(stop, merit, network) for merit in (Merit.ADDS, Merit.RESTORES))
    looks = Searches()
    looks.alone = lambda *_, **__: Results((around,), (plain,) if off else ())
    looks.together = lambda *_: (None, (FindPeer("cable", 1),))
    assert [*choice.lacking(network, prediction, None, looks)] == asked


def test_a_gateway_that_another_table_names_stands_in_for_one_that_nobody_is() -> None:
    """So the loss of its address is foretold."""
    network = after(
        offices(),
        "pc: ip -6 route del default via fd00:1::1 dev eth0",
        "pc: ip -6 route add default via fd00:1::1 dev eth0 table 77",
        "r1: ip address del fd00:1::1/64 dev lan",
    )
    found = chosen(network, ask("pc", "fd00:2::10")).stop
    assert found.is_to_fill_in
    assert [each.words[-1] for each in supposed(network, found.commands, "pc")] == ["fd00:1::1"]


def with_a_proxy(*known: Neighbour) -> Snapshot:
    """c2 answers for whoever is beside it, and drops what it would have to lead on."""
    rules = Ruleset((), (Table("nft", "ip", "fw", (Chain("forward", hook="forward", policy="drop"),)),))
    answers = {"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth0.proxy_arp_pvlan": "1"}
    return edited(edited(tutorial(), "c2", sysctls=answers, ruleset=rules), "c1", neighbours=known)


MISLED = Neighbour(2, "172.17.0.1", "02:00:00:00:04:02", "reachable")


def test_who_answers_as_a_proxy_for_a_station_that_hears_the_question_is_what_is_wrong() -> None:
    """Its rules are as they are: nothing was to come by it."""
    found = chosen(with_a_proxy(MISLED), ask("c1", "203.0.113.2"))
    assert (found.stop.code, said(found)[:1]) == ("addr-duplicate", ["c2: sysctl -w net.ipv4.conf.eth0.proxy_arp_pvlan=0"])
    assert not found.others


def test_whom_the_sender_believed_is_seen_in_its_frames() -> None:
    there, asked = with_a_proxy(), ask("c1", "203.0.113.2")
    foretold = predict(there, asked, ask=False)
    assert isinstance(foretold, Prediction)
    assert foretold.stop is None
    sent = Observation(Source.TAP, "seen", "c1", 1, "eth0", "out", Leg.REQUEST, flow=replace(foretold.probe.flow(), dst_mac=MISLED.mac))
    found = heard(there, foretold, [sent])
    assert found is not None
    assert found[0]["c1"].neighbours == (MISLED,)
    assert found[1].stop is not None
    assert found[1].stop.place.namespace == "c2"
    assert heard(there, foretold, [replace(sent, flow=replace(foretold.probe.flow(), dst_mac="02:00:00:00:02:05"))]) is None
