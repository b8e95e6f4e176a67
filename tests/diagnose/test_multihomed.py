"""Hosts and routers with a table for each of their ways: a route that takes who is far for a neighbour, a rule for all ways in."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import container, edited, lo, local, port, probe, tutorial, via
from test_beside import chosen, kernel, lines
from test_dispatched import dropping
from test_of_which_table import of_two_sides
from test_policy_siblings import by_table, rule, sorted_rules, translating
from test_repair import changed, lost_in

from netprobe.diagnose.repair.candidates import guests, missing_routes, narrow
from netprobe.diagnose.repair.repair import Loss, Merit
from netprobe.model import (
    Bridge,
    Chain,
    FoundPeer,
    InterfaceAddress,
    Leg,
    Link,
    Neighbour,
    Nexthop,
    PolicyRule,
    Route,
    Rule,
    Ruleset,
    Snapshot,
    Statement,
    Table,
    Term,
)
from netprobe.model.lookup import where
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed


def with_a_table(*routes: Route) -> Snapshot:
    """What red sends from its address is looked up in table 2."""
    red = tutorial()["red"]
    rules = sorted_rules(*red.rules, PolicyRule(32765, 4, table=2, mask=0, src="10.0.0.2/32"))
    return edited(tutorial(), "red", routes=(*red.routes, *routes), rules=rules)


FAR = via("172.17.0.0/16", None, 2, table=2, scope="link")


def test_a_table_with_a_gateway_takes_nobody_far_for_a_neighbour() -> None:
    """Without the rule the packet would pass as well; but it is what the other addresses have, too."""
    cause = chosen(with_a_table(FAR, via("0.0.0.0/0", "10.0.0.1", 2, table=2)), "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("route-overlap", ["ip route del 172.17.0.0/16 dev eth0 table 2"])


@pytest.mark.parametrize("other", [(), (via("9.9.9.0/24", "10.0.0.1", 2, table=2),)])
def test_a_table_that_leads_nowhere_else_is_not_for_the_packet(other: tuple[Route, ...]) -> None:
    cause = chosen(with_a_table(FAR, *other), "red", "172.17.0.2")
    assert lines(cause) == ["ip rule del pref 32765 from 10.0.0.2/32 lookup 2"]


def test_a_rule_that_ways_in_of_other_kinds_have_is_for_this_one() -> None:
    known = (rule(iif="eth0"), PolicyRule(221, 4, table=220, mask=0, iif="vethc1"))
    cause = chosen(by_table(*known), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("rule-wrong-table", ["ip rule add pref 220 iif br0 lookup 220"])


def test_half_of_the_world_is_no_network_that_a_table_lacks() -> None:
    like, half = (via(dst, "203.0.113.1", 4, table=table) for dst, table in (("9.9.9.0/24", 2), ("0.0.0.0/1", 1)))
    cause = chosen(of_two_sides(like, half), "red", "8.8.8.8")
    assert not any("0.0.0.0/1" in line for line in lines(cause))


@pytest.mark.parametrize("made", ["bird", "boot"])
def test_a_route_has_the_source_that_the_others_of_its_maker_have(made: str) -> None:
    """The address is on no interface by which the packet leaves; whose source another hand wrote says nothing."""
    red, host = tutorial()["red"], tutorial()["host"]
    told = via("9.9.9.0/24", "10.0.0.1", 2, protocol="bird", source="10.99.0.1")
    used = via("172.17.0.0/16", "10.0.0.1", 2, protocol=made, source="10.0.0.2")
    routes = (*local("10.0.0.2", "10.99.0.1"), via("10.0.0.0/16", None, 2), *red.routes[-1:], told, used)
    snapshot = edited(tutorial(), "red", addresses=(*lo("10.99.0.1")[1], *red.addresses[-1:]), routes=routes)
    snapshot = edited(snapshot, "host", routes=(*host.routes, via("10.99.0.1/32", "10.0.0.2", 2)))
    cause = chosen(edited(snapshot, "c1", ruleset=dropping("INPUT", "-A INPUT -s 10.99.0.0/24 -j ACCEPT")), "red", "172.17.0.2")
    expected = "ip route replace 172.17.0.0/16 via 10.0.0.1 dev eth0 proto bird src 10.99.0.1"
    assert (cause.code, lines(cause) == [expected]) == {"bird": ("route-wrong-src", True), "boot": ("policy-drop", False)}[made]


def as_a_guest(*rules: str, forwarding: str = "0") -> Snapshot:
    """c2 is the containers' gateway, and knows nobody else; the host is a guest there."""
    c1, c2 = tutorial()["c1"], tutorial()["c2"]
    away = (*c1.routes[:-1], via("0.0.0.0/0", "172.17.0.3", 2))
    snapshot = edited(tutorial(), "c1", routes=away, sysctls={"net.ipv4.ip_forward": forwarding})
    snapshot = edited(snapshot, "c2", routes=c2.routes[:-1], sysctls={"net.ipv4.ip_forward": "1"})
    return edited(snapshot, "host", ruleset=translating(*rules))


WAN = "-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE"


def test_a_guest_translates_whom_it_translates_elsewhere() -> None:
    cause = chosen(as_a_guest(WAN), "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("nat-missing", ["iptables -t nat -A POSTROUTING -s 10.0.0.0/16 -o docker0 -j MASQUERADE"])


@pytest.mark.parametrize(
    "snapshot",
    [
        as_a_guest("-A POSTROUTING -o eth0 -j MASQUERADE"),  # whoever it is
        as_a_guest("-A POSTROUTING -s 10.9.0.0/16 -o eth0 -j MASQUERADE"),
        as_a_guest(WAN, forwarding="1"),  # of a router that lacks a route
        edited(as_a_guest(WAN), "c1", routes=tutorial()["c1"].routes[:-1]),  # which has no way at all
    ],
)
def test_a_router_translates_nobody_for_want_of_a_route(snapshot: Snapshot) -> None:
    assert chosen(snapshot, "red", "172.17.0.2").code != "nat-missing"


def of_a_prefix(*more: str) -> Snapshot:
    """c1 sends all to c2, which sends what is from their prefix to the host."""
    return changed(
        "host: sysctl -w net.ipv6.conf.all.forwarding=1",
        "host: ip address add fd00:b::9/64 dev docker0",
        "host: ip address add fd00:203::2/64 dev eth0",
        "internet: ip address add fd00:203::1/64 dev eth0",
        "internet: ip -6 route add default via fd00:203::2",
        "c1: ip address add fd00:b::2/64 dev eth0",
        "c2: ip address add fd00:b::3/64 dev eth0",
        "c1: ip -6 route add default via fd00:b::3",
        *more,
    )


def test_what_is_sent_from_a_prefix_goes_by_the_router_that_others_beside_have_for_it() -> None:
    """For all the world they have none: the other default route may be right for what is sent from elsewhere."""
    snapshot = of_a_prefix("c2: ip -6 route add default from fd00:b::/64 via fd00:b::9")
    cause = chosen(snapshot, "c1", "fd00:203::1")
    assert (cause.code, lines(cause)) == ("no-route", ["ip -6 route add default from fd00:b::/64 via fd00:b::9 dev eth0"])


def test_a_router_that_others_have_for_all_is_for_all() -> None:
    cause = chosen(of_a_prefix("c2: ip -6 route add default via fd00:b::9"), "c1", "fd00:203::1")
    assert (cause.code, lines(cause)) == ("route-wrong-nexthop", ["ip -6 route replace default via fd00:b::9 dev eth0 metric 1024"])


def with_an_empty_bridge() -> Snapshot:
    """The host has the containers' network at a bridge without ports as well, and that route comes first."""
    host = tutorial()["host"]
    links = (*host.links, Link(9, "libvirt", "bridge", "02:00:00:00:02:09", bridge=Bridge()))
    addresses = (*host.addresses, InterfaceAddress(9, "172.17.0.1", 16))
    known = [each for each in host.routes if each.dst != "172.17.0.0/16"]
    routes = (*known, kernel("172.17.0.0/16", 9), kernel("172.17.0.0/16", 5))
    return edited(tutorial(), "host", links=links, addresses=addresses, routes=routes)


def test_of_two_interfaces_with_one_network_that_at_which_nobody_is_has_it_by_mistake() -> None:
    cause = chosen(with_an_empty_bridge(), "host", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("route-overlap", ["ip address del 172.17.0.1/16 dev libvirt"])


def test_a_table_for_an_address_has_the_network_of_that() -> None:
    """The gateway of the table is nobody."""
    c1 = tutorial()["c1"]
    rules = sorted_rules(*c1.rules, PolicyRule(32765, 4, table=9, mask=0, src="172.17.0.2/32"))
    routes = (*c1.routes[:-2], kernel("172.17.0.0/16", 2), via("0.0.0.0/0", "172.17.0.99", 2, table=9))
    cause = chosen(edited(tutorial(), "c1", rules=rules, routes=routes), "host", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("no-route", ["ip route add 172.17.0.0/16 dev eth0 table 9"])


def of_two_sites(*known: str) -> Snapshot:
    """red sends from a network behind it; the host has routes to these others by red, and sends all else to the Internet."""
    back = [f"host: ip route add {network} via 10.0.0.2" for network in known]
    return changed(
        "red: ip address add 10.9.0.5/24 dev lo",
        "red: ip route replace default via 10.0.0.1 dev eth0 onlink src 10.9.0.5",
        "internet: ip route add unreachable 10.0.0.0/8",
        *back,
    )


@pytest.mark.parametrize(("known", "agreeing"), [((), 0), (("10.7.0.0/16", "10.8.0.0/16"), 2)])
def test_a_router_that_knows_other_networks_behind_another_one_lacks_this_one(known: tuple[str, ...], agreeing: int) -> None:
    """Neither the source nor the translation is at fault where the others are answered as they are."""
    snapshot = of_two_sites(*known)
    lost = lost_in(snapshot, "red", "172.17.0.2")
    assert lost.stop is not None
    found = [each for each in missing_routes.candidates(Loss.of(snapshot, lost, lost.stop)) if each.code == "reply-wrong-path"]
    merit = Merit.RESTORES if agreeing else Merit.ADDS
    assert [(each.agreeing, each.merit) for each in found[:1]] == [(agreeing, merit)]


@pytest.mark.parametrize("rule", ["-A POSTROUTING -o wan -j MASQUERADE", ""])
def test_between_routers_of_one_network_the_last_one_translates(rule: str) -> None:
    """internet has a route to red's network by the host, and lacks that of the containers."""
    snapshot = edited(tutorial(), "internet", ruleset=translating(*filter(None, (rule,))))
    lost = lost_in(snapshot, "c1", "8.8.8.8")
    assert lost.stop is not None
    loss = Loss.of(snapshot, lost, lost.stop)
    (router,) = where(loss.decisions, namespace="host", leg=Leg.REQUEST)
    assert guests.is_known_beyond(loss, router) == bool(rule)


@pytest.mark.parametrize(
    ("rule", "way"), [("-A POSTROUTING -o wan -j MASQUERADE", True), ("", True), ("-A POSTROUTING -o wan -j MASQUERADE", False)]
)
def test_who_translates_and_has_the_source_beside_it_is_the_last_one(rule: str, way: bool) -> None:
    """internet finds red's network on its own cable, where the host answers for red by proxy ARP."""
    snapshot = edited(tutorial(), "internet", ruleset=translating(*filter(None, (rule,))))
    internet = snapshot["internet"]
    beside = kernel("10.0.0.0/24", next(each.index for each in internet.links if each.name == "eth0"))
    routes = (*(each for each in internet.routes if not each.dst.startswith("10.")), *((beside,) * way))
    snapshot = edited(snapshot, "internet", routes=routes)
    assert guests.is_known_beyond(*of_the_host(snapshot)) == (bool(rule) and way)


def of_the_host(snapshot: Snapshot) -> tuple[Loss, Routed]:
    """What red asks the world for, lost behind the host; and how the host led it there."""
    found = predict(snapshot, probe("red", "9.9.9.9"), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    loss = Loss.of(snapshot, found, found.stop)
    (router,) = where(loss.decisions, namespace="host", leg=Leg.REQUEST)
    return loss, router


def test_who_translates_others_on_the_way_there_translates_this_one() -> None:
    """internet knows red's network by the host, which hides c2's."""
    snapshot = edited(tutorial(), "internet", ruleset=translating("-A POSTROUTING -o wan -j MASQUERADE"))
    snapshot = edited(snapshot, "host", ruleset=translating("-A POSTROUTING -s 172.18.0.0/16 -o eth0 -j MASQUERADE"))
    assert chosen(snapshot, "c1", "203.0.113.1").code == "nat-wrong-match"


def test_a_rule_for_another_way_out_is_not_for_the_one_between_them() -> None:
    snapshot, internet = tutorial(), tutorial()["internet"]
    routes = (*internet.routes[:-1], via("10.1.0.0/16", "203.0.113.2", 2), Route("10.0.0.0/8", "unreachable", protocol="boot"))
    snapshot = edited(snapshot, "internet", routes=routes, ruleset=translating("-A POSTROUTING -o wan -j MASQUERADE"))
    snapshot = edited(snapshot, "host", ruleset=translating("-A POSTROUTING -s 10.0.0.0/16 -o docker0 -j MASQUERADE"))
    assert lines(chosen(snapshot, "red", "8.8.8.8")) == ["ip route add 10.0.0.0/16 via 203.0.113.2 dev eth0"]


def of_another_prefix(*known: str) -> Snapshot:
    """The host has an address of a prefix from its provider's side, who leads the host's other one to it."""
    return changed(
        "host: ip address add fd00:b::1/64 dev docker0",
        "host: ip address add 2001:db8:66::f/64 dev eth0",
        "host: ip address add fd00:203::2/64 dev eth0",
        "internet: ip address add fd00:203::1/64 dev eth0",
        "internet: ip address add 2001:db8::8/128 dev lo",
        "internet: ip -6 route add fd00:b::/64 via fd00:203::2",
        "host: ip -6 route add default via fd00:203::1",
        *known,
    )


def test_a_source_of_a_prefix_that_nobody_routes_is_no_source() -> None:
    cause = chosen(of_another_prefix(), "host", "2001:db8::8")
    assert (cause.code, lines(cause)) == ("route-wrong-src", ["ip address del 2001:db8:66::f/64 dev eth0"])


def test_a_source_that_somebody_knows_is_one() -> None:
    cause = chosen(of_another_prefix("c2: ip address add 2001:db8:66::3/64 dev eth0"), "host", "2001:db8::8")
    assert cause.code != "route-wrong-src"


def letting_pass(network: str, length: int) -> Snapshot:
    """The bridge of the containers lets pass what comes from a network, and drops the rest."""
    keys, known = ("arp saddr ip", "ip saddr"), Term("value", f"{network}/{length}")
    tests = [Statement("match", Term("key", key), "==", known) for key in keys]
    passing = [
        Rule(number, f"{key} {network}/{length} accept", (each, Statement("accept")), handle=9 + number)
        for number, (key, each) in enumerate(zip(keys, tests, strict=True), 1)
    ]
    chain = Chain("f", (*passing, Rule(3, "drop", (Statement("drop"),), handle=12)), "forward")
    return edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "bridge", "t", (chain,)),)))


def test_a_bridge_that_lets_a_part_of_its_network_pass_is_to_let_all_of_it() -> None:
    lines_of = lines(chosen(letting_pass("172.17.4.0", 22), "c1", "172.17.0.3"))
    assert lines_of == [
        "nft replace rule bridge t f handle 10 arp saddr ip 172.17.0.0/16 accept",
        "nft replace rule bridge t f handle 11 ip saddr 172.17.0.0/16 accept",
    ]


@pytest.mark.parametrize("known", [("172.17.4.9", 32), ("10.9.0.0", 22), ("172.16.0.0", 12)])
def test_one_station_or_another_network_is_no_part_of_it(known: tuple[str, int]) -> None:
    snapshot = letting_pass(*known)
    found = predict(snapshot, probe("c1", "172.17.0.3"), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is None or not [*narrow.candidates(Loss.of(snapshot, found, found.stop))]


def on_isolated_ports(*lengths: int) -> Snapshot:
    """The containers, one more than the tutorial's, cannot reach each other but by the host; their prefix lengths."""
    snapshot, host = tutorial(), tutorial()["host"]
    ports = (
        port(6, "vethc1", 2, 3, 5, isolated=True),
        port(7, "vethc2", 2, 4, 5, isolated=True),
        port(8, "vethc3", 2, 5, 5, isolated=True),
    )
    spaces = {**snapshot.namespaces, "host": replace(host, links=(*host.links[:5], *ports)), "c3": container("c3", 3)}
    peers = (*snapshot.peers, FoundPeer("host", 5, "c3"), FoundPeer("c3", 0, "host"))
    for name, length in zip(("c1", "c2", "c3"), lengths, strict=True):
        own = spaces[name].addresses[-1]
        near = kernel("172.17.0.0/16" if length == 16 else "172.17.0.1/32", 2)
        routes = (*spaces[name].routes[:-2], near, spaces[name].routes[-1])
        spaces[name] = replace(spaces[name], addresses=(*spaces[name].addresses[:-1], replace(own, prefixlen=length)), routes=routes)
    return Snapshot(spaces, peers)


def test_who_is_on_an_isolated_port_has_the_prefix_of_a_host_where_the_others_have() -> None:
    assert lines(chosen(on_isolated_ports(16, 32, 32), "c1", "172.17.0.3")) == [
        "ip address add 172.17.0.2/32 dev eth0",
        "ip address del 172.17.0.2/16 dev eth0",
    ]


def test_where_all_take_each_other_for_neighbours_the_isolation_is_odd() -> None:
    assert chosen(on_isolated_ports(16, 16, 16), "c1", "172.17.0.3").code == "port-isolated"


@pytest.mark.parametrize(("refusing", "code"), [("0.0.0.0/0", "ecmp-dead-nexthop"), ("10.0.0.0/16", "route-unreachable")])
def test_a_router_that_says_that_it_has_no_way_out_is_none_for_who_has_another(refusing: str, code: str) -> None:
    """c1 shares its packets among c2 and the host."""
    c1, c2, host = (tutorial()[name] for name in ("c1", "c2", "host"))
    legs = (Nexthop(2, "172.17.0.3"), Nexthop(2, "172.17.0.1"))
    snapshot = edited(tutorial(), "c1", routes=(*c1.routes[:-1], Route("10.0.0.0/16", nexthops=legs)))
    known = (*c2.routes[:-1], Route(refusing, "unreachable", protocol="boot"))
    snapshot = edited(edited(snapshot, "c2", routes=known, sysctls={"net.ipv4.ip_forward": "1"}), "host", routes=host.routes)
    assert chosen(snapshot, "c1", "10.0.0.2").code == code


def test_who_knows_an_address_by_a_wrong_entry_does_not_lack_a_way_to_it() -> None:
    """The host has another address there, to which the answer would find."""
    host = tutorial()["host"]
    ruleset = translating("-A POSTROUTING -o eth0 -j SNAT --to-source 203.0.113.2")
    addresses = (*host.addresses, InterfaceAddress(4, "203.0.113.3", 24))
    snapshot = edited(tutorial(), "host", ruleset=ruleset, addresses=addresses, routes=(*host.routes, *local("203.0.113.3")))
    snapshot = edited(snapshot, "internet", neighbours=(Neighbour(2, "203.0.113.2", "02:00:00:00:99:09", "permanent"),))
    assert chosen(snapshot, "red", "8.8.8.8").code == "neigh-wrong-entry"
