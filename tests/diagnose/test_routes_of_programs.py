"""Tables and routes that programs write for each way: one entry is missing, leads round, or is of what was before."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, tutorial, via
from test_beside import chosen, kernel, lines
from test_policy_siblings import sorted_rules, translating
from test_repair import lost_in

from netprobe.diagnose.repair.candidates import missing_routes, stop
from netprobe.diagnose.repair.repair import Loss, Merit
from netprobe.model import InterfaceAddress, Link, PolicyRule, Route, Snapshot


def two_ways(*rules: PolicyRule) -> Snapshot:
    """Each way in is led to a table of its own with a default route; that of docker0 has the containers' network as well."""
    host = tutorial()["host"]
    near = via("172.17.0.0/16", None, 5, table=1, scope="link")
    mine = (via("0.0.0.0/0", "203.0.113.1", 4, table=1), near, via("0.0.0.0/0", "203.0.113.1", 4, table=2))
    known = (*(each for each in host.routes if each.dst != "172.17.0.0/16"), kernel("172.17.0.0/16", 5))
    return edited(tutorial(), "host", routes=(*known, *mine), rules=sorted_rules(*host.rules, *rules))


@pytest.mark.parametrize(
    ("had", "says"),
    [
        ((), ("no-route", ["ip route add 172.17.0.0/16 dev docker0 table 2"])),
        ((via("172.17.0.0/16", "203.0.113.1", 4, table=2),), ("route-overlap", ["ip route replace 172.17.0.0/16 dev docker0 table 2"])),
    ],
)
def test_a_table_lacks_a_network_that_the_others_of_its_kind_have(had: tuple[Route, ...], says: tuple[str, list[str]]) -> None:
    """Each way in has its own: br0 lacks no rule that leads to that of docker0. It may have the network by another way."""
    rules = (PolicyRule(1001, 4, table=1, mask=0, iif="docker0"), PolicyRule(1002, 4, table=2, mask=0, iif="br0"))
    there = two_ways(*rules)
    cause = chosen(edited(there, "host", routes=(*there["host"].routes, *had)), "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == says


def test_a_source_that_is_nobodys_any_more_is_no_routes_either() -> None:
    """The kernel takes the routes of a lost address out of the table main alone (fib_sync_down_addr)."""
    host = tutorial()["host"]
    stale = via("0.0.0.0/0", "203.0.113.1", 4, table=51, source="203.0.113.7", protocol="boot")
    rules = sorted_rules(*host.rules, PolicyRule(1000, 4, table=51, mask=0, dst="8.8.8.0/24"))
    cause = chosen(edited(tutorial(), "host", routes=(*host.routes, stale), rules=rules), "host", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("route-wrong-src", ["ip route replace default via 203.0.113.1 dev eth0 table 51"])


def with_a_second_way(*rules: PolicyRule) -> Snapshot:
    """What c1 answers would leave by eth0, and 8.8.8.8 has asked by br0, as whose station red has it; the provider drops it."""
    host, red = tutorial()["host"], tutorial()["red"]
    known = (*host.routes, via("10.0.0.2/32", None, 2))
    snapshot = edited(tutorial(), "host", routes=known, rules=sorted_rules(*host.rules, *rules))
    addresses = (*red.addresses, InterfaceAddress(1, "9.9.9.9", 32))
    sent = (
        *red.routes,
        via("172.17.0.0/16", "10.0.0.1", 2, source="9.9.9.9"),
        replace(via("9.9.9.9/32", None, 1), type="local", table=255),
    )
    return edited(snapshot, "red", addresses=addresses, routes=sent)


def test_a_table_that_is_empty_gets_the_way_by_which_was_asked() -> None:
    cause = chosen(with_a_second_way(PolicyRule(500, 4, table=77, mask=0, src="172.17.0.0/16")), "red", "172.17.0.2")
    assert lines(cause) == ["ip route add 9.9.9.9/32 via 10.0.0.2 dev br0 table 77"]


def test_a_table_for_one_sender_gets_a_way_to_all() -> None:
    cause = chosen(with_a_second_way(PolicyRule(500, 4, table=77, mask=0, src="172.17.0.2/32")), "red", "172.17.0.2")
    assert lines(cause) == ["ip route add default via 10.0.0.2 dev br0 table 77"]


def test_who_takes_the_asker_for_itself_by_a_route_needs_no_translation() -> None:
    nat = translating("-A POSTROUTING -s 10.0.0.0/16 -d 9.9.9.9/32 -j MASQUERADE")
    taken = edited(tutorial(), "c1", routes=(*tutorial()["c1"].routes, *via_loopback("10.0.0.2")))
    cause = chosen(edited(taken, "host", ruleset=nat), "red", "172.17.0.2")
    assert lines(cause) == ["ip route del local 10.0.0.2/32 dev lo"]


def via_loopback(address: str, length: int = 32) -> tuple[Route, ...]:
    return (replace(via(f"{address}/{length}", None, 1), type="local", table=255),)


def before_main(*rules: PolicyRule, others: bool = True) -> Snapshot:
    """A VPN has written the containers' network into its table, which is asked before main, and a network of its own."""
    host = tutorial()["host"]
    known = (*(each for each in host.routes if each.dst != "172.17.0.0/16"), kernel("172.17.0.0/16", 5))
    mine = (via("172.17.0.0/16", None, 2, table=52), *(via("100.64.0.9/32", None, 2, table=52) for _ in range(others)))
    return edited(tutorial(), "host", routes=(*known, *mine), rules=sorted_rules(*host.rules, *rules))


def test_a_network_beside_is_no_tunnels() -> None:
    cause = chosen(before_main(PolicyRule(5270, 4, table=52, mask=0)), "red", "172.17.0.2")
    assert lines(cause) == ["ip route del 172.17.0.0/16 dev br0 table 52"]


def test_of_a_table_for_that_alone_the_rule_goes() -> None:
    cause = chosen(before_main(PolicyRule(5270, 4, table=52, mask=0), others=False), "red", "172.17.0.2")
    assert lines(cause) == ["ip rule del pref 5270 from all lookup 52"]


def test_who_drops_answers_whose_question_went_another_way_is_not_the_first_to_blame() -> None:
    """The answer to 9.9.9.9 goes round by internet, which tracks connections."""
    rounds = with_a_second_way(PolicyRule(900, 4, table=7, mask=0, iif="eth0"))
    host, internet = rounds["host"], rounds["internet"]
    back = edited(rounds, "host", routes=(*host.routes, via("9.9.9.9/32", "10.0.0.2", 2, table=7)))
    tracks = iptables("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT")
    routes = (*internet.routes, via("9.9.9.9/32", "203.0.113.2", 2))
    forwards = {**internet.sysctls, "net.ipv4.ip_forward": "1"}
    snapshot = edited(back, "internet", routes=routes, ruleset=tracks, sysctls=forwards)
    lost = lost_in(snapshot, "red", "172.17.0.2")
    assert lost.stop is not None
    assert lost.stop.code == "conntrack-invalid"
    assert [each.merit for each in stop.candidates(Loss.of(snapshot, lost, lost.stop))] == [Merit.ADDS]


def test_an_interface_without_an_address_sends_from_that_of_another() -> None:
    """What is sent into a tunnel that has none: the far end knows one of the networks beside the gateway."""
    host, internet = tutorial()["host"], tutorial()["internet"]
    bare = tuple(each for each in host.addresses if each.index != 4)
    routes = (*(each for each in host.routes if not {*each.indexes} & {4}), via("0.0.0.0/0", None, 4))
    near = [via(network, None, 2) for network in ("172.17.0.0/16", "10.0.0.0/16")]
    ways = (*(each for each in internet.routes if each.dst != "10.0.0.0/16"), *near)
    rules = iptables("*filter\n:INPUT DROP [0:0]\n-A INPUT -s 172.17.0.0/16 -j ACCEPT\nCOMMIT")
    far = edited(tutorial(), "internet", routes=ways, ruleset=rules)
    cause = chosen(edited(far, "host", addresses=bare, routes=routes), "host", "8.8.8.8")
    assert lines(cause) == ["ip route replace default dev eth0 src 172.17.0.1"]


def together(**of_red: object) -> Snapshot:
    """c1, c2 and red are on docker0."""
    host, red = tutorial()["host"], tutorial()["red"]
    links = tuple(replace(each, master=5) if each.index == 3 else each for each in host.links)
    routes = (*via_loopback("172.17.0.9"), via("172.17.0.0/16", None, 2), via("0.0.0.0/0", "172.17.0.1", 2))
    addresses = (red.addresses[0], InterfaceAddress(2, "172.17.0.9", 16))
    known = {"addresses": addresses, "routes": routes, **of_red}
    return edited(edited(tutorial(), "host", links=links), "red", **known)


def test_of_two_routes_to_a_network_the_one_that_goes_in_a_circle_is_of_before() -> None:
    """10.77.0.0/16 has moved from red to c1; red sends back to the host what is not its own."""
    c1, host, internet = (tutorial()[name] for name in ("c1", "host", "internet"))
    there = together(sysctls={"net.ipv4.ip_forward": "1"})
    there = edited(there, "internet", routes=(*internet.routes, via("10.77.0.0/16", "203.0.113.2", 2)))
    ways = [replace(via("10.77.0.0/16", via_whom, 5), metric=10 + n) for n, via_whom in enumerate(("172.17.0.9", "172.17.0.2"))]
    there = edited(there, "host", routes=(*host.routes, *ways))
    addresses = (*c1.addresses, InterfaceAddress(1, "10.77.0.5", 32))
    there = edited(there, "c1", addresses=addresses, routes=(*c1.routes, *via_loopback("10.77.0.5")))
    assert lines(chosen(there, "internet", "10.77.0.5")) == ["ip route del 10.77.0.0/16 via 172.17.0.9 dev docker0"]


def test_a_station_lacks_a_route_that_another_one_beside_it_has() -> None:
    c2, red = tutorial()["c2"], together()["red"]
    there = together(routes=(*red.routes, via("192.0.2.0/24", "172.17.0.3", 2)))
    addresses = (*c2.addresses, InterfaceAddress(1, "192.0.2.5", 32))
    there = edited(there, "c2", addresses=addresses, routes=(*c2.routes, *via_loopback("192.0.2.5")))
    assert lines(chosen(there, "c1", "192.0.2.5")) == ["ip route add 192.0.2.0/24 via 172.17.0.3 dev eth0"]


def over(snapshot: Snapshot, source: str = "red", goal: str = "192.0.2.1") -> Loss:
    lost = lost_in(snapshot, source, goal)
    assert lost.stop is not None
    return Loss.of(snapshot, lost, lost.stop)


def test_a_router_is_no_station_as_those_behind_it() -> None:
    """What red has is nothing that the host lacks, to which red sends all else."""
    c2, red = tutorial()["c2"], together()["red"]
    there = together(routes=(*red.routes, via("192.0.2.0/24", "172.17.0.3", 2)))
    addresses = (*c2.addresses, InterfaceAddress(1, "192.0.2.5", 32))
    there = edited(there, "c2", addresses=addresses, routes=(*c2.routes, *via_loopback("192.0.2.5")))
    loss = over(there, "host", "192.0.2.5")
    assert not [*missing_routes._as_others(loss, loss.prediction.routed[0])]


def test_a_network_is_behind_a_station_to_which_a_route_leads_straight() -> None:
    """Pods are reached so: of one that sends for others, the node has no network in which its address is."""
    red, host, internet = (tutorial()[name] for name in ("red", "host", "internet"))
    addresses = tuple(replace(each, prefixlen=32) if each.index == 2 else each for each in host.addresses)
    routes = (*(each for each in host.routes if not {*each.indexes} & {2}), via("10.0.0.2/32", None, 2, scope="link"))
    node = edited(tutorial(), "host", addresses=addresses, routes=routes)
    sent = (*via_loopback("10.8.0.2"), *(replace(each, source="10.8.0.2") if each.is_default else each for each in red.routes))
    node = edited(node, "red", addresses=(*red.addresses, InterfaceAddress(1, "10.8.0.2", 32)), routes=sent)
    node = edited(node, "internet", routes=(*internet.routes, via("10.8.0.0/16", "203.0.113.2", 2)))
    assert lines(chosen(node, "red", "8.8.8.8")) == ["ip route add 10.8.0.2/32 via 10.0.0.2 dev br0"]


@pytest.mark.parametrize(("proxy", "by"), [("1", ["ip route add 172.17.0.0/16 via 169.254.1.1 dev eth0"]), ("0", [])])
def test_who_answers_for_an_address_to_which_a_route_leads_straight_is_a_gateway(proxy: str, by: list[str]) -> None:
    """Calico's pods send by it; one with another network has its way out there."""
    red, host = tutorial()["red"], tutorial()["host"]
    routes = (*via_loopback("10.0.0.2"), via("169.254.1.1/32", None, 2, scope="link"), via("192.0.2.0/24", None, 3))
    links = (*red.links, Link(3, "net1", "dummy", "02:00:00:00:01:03"))
    pod = edited(tutorial(), "red", links=links, routes=routes, addresses=(*red.addresses, InterfaceAddress(3, "192.0.2.7", 24)))
    others = tuple(each for each in host.addresses if each.index != 2)
    pod = edited(pod, "host", addresses=others, sysctls={**host.sysctls, "net.ipv4.conf.br0.proxy_arp": proxy})
    assert [each for each in lines(chosen(pod, "red", "172.17.0.2")) if "169.254.1.1" in each] == by


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (100, "ip route replace 172.17.0.2/32 dev docker0 table 100"),
        (254, "ip rule del pref 32000 from all iif eth0 lookup 100"),
    ],
)
def test_a_table_that_lists_stations_lacks_the_one_beside(table: int, says: str) -> None:
    """LXD writes each container into the table of those who come by the way in, where its network is outside."""
    host, internet = (tutorial()[name] for name in ("host", "internet"))
    routes = (via("172.17.0.0/16", None, 4, table=100), via("172.17.0.3/32", None, 5, table=table))
    rules = (*host.rules, PolicyRule(32000, 4, table=100, iif="eth0"))
    c1 = replace(tutorial()["c1"], addresses=(InterfaceAddress(2, "172.17.0.2", 32),))
    there = edited(Snapshot({**tutorial().namespaces, "c1": c1}, tutorial().peers), "host", routes=(*host.routes, *routes), rules=rules)
    there = edited(there, "internet", routes=(*internet.routes, via("172.17.0.0/16", "203.0.113.2", 2)))
    assert lines(chosen(there, "internet", "172.17.0.2")) == [says]
