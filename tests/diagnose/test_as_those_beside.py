"""What a network lacks that the one beside it has, a way out that those beside do not take, and rules that stand before their like."""

from __future__ import annotations

from literal_rules import iptables
from networks import MAC, edited, local, port, tutorial, veth, via
from test_beside import chosen, kernel, lines
from test_policy_siblings import sorted_rules

from netprobe.model import Bridge, InterfaceAddress, Link, PolicyRule, Route, Snapshot


def by_a_tunnel(*rules: PolicyRule) -> Snapshot:
    """What comes from br0's network goes to the provider, who knows nothing of it."""
    host = tutorial()["host"]
    known = {"10.0.0.0/16": 2, "172.17.0.0/16": 5}
    connected = (kernel(dst, index) for dst, index in known.items())
    routes = (*(each for each in host.routes if each.dst not in known), *connected, via("0.0.0.0/0", "203.0.113.1", 4, table=7))
    led = PolicyRule(110, 4, table=7, mask=0, src="10.0.0.0/16")
    return edited(tutorial(), "host", routes=routes, rules=sorted_rules(*host.rules, led, *rules))


def test_a_network_is_excepted_as_the_one_beside_it_is() -> None:
    cause = chosen(by_a_tunnel(PolicyRule(100, 4, table=254, mask=0, dst="172.17.0.0/16")), "red", "10.0.0.1")
    assert lines(cause) == ["ip rule add pref 100 to 10.0.0.0/16 lookup main"]


def test_where_none_is_excepted_the_networks_are_asked_for_first() -> None:
    cause = chosen(by_a_tunnel(PolicyRule(100, 4, table=254, mask=0, dst="192.0.2.0/24")), "red", "10.0.0.1")
    assert not any("to 10.0.0.0/16" in line for line in lines(cause))


def on_two_networks(*, beside: str) -> Snapshot:
    """c1 and c2 are on an inner network as well, whose router lets nothing out; c1 leaves by it, c2 by `beside`."""
    host = tutorial()["host"]
    bridge = Link(30, "inner", "bridge", MAC.format(2, 30), bridge=Bridge())
    ends = (port(31, "vi1", 3, 3, 30), port(32, "vi2", 3, 4, 30))
    own, routes = InterfaceAddress(30, "10.9.0.1", 24), (*host.routes, *local("10.9.0.1"), kernel("10.9.0.0/24", 30))
    snapshot = edited(tutorial(), "host", links=(*host.links, bridge, *ends), addresses=(*host.addresses, own), routes=routes)
    snapshot = edited(snapshot, "host", ruleset=iptables("-A FORWARD -i inner -j DROP"))
    for number, (name, gateway) in enumerate((("c1", "10.9.0.1"), ("c2", beside)), 1):
        there, address = snapshot[name], f"10.9.0.{number + 1}"
        near = [each for each in there.routes if each.dst != "0.0.0.0/0"]
        out = via("0.0.0.0/0", gateway, 3 if gateway.startswith("10.9.") else 2)
        links = (*there.links, veth(3, "eth1", MAC.format(9, 90 + number), 30 + number, 0))
        known = (*there.addresses, InterfaceAddress(3, address, 24))
        snapshot = edited(snapshot, name, links=links, addresses=known, routes=(*near, *local(address), kernel("10.9.0.0/24", 3), out))
    internet = snapshot["internet"]
    back = (via(network, "203.0.113.2", 2) for network in ("172.17.0.0/16", "10.9.0.0/24"))
    return edited(snapshot, "internet", routes=(*internet.routes, *back))


def test_a_station_of_an_inner_network_leaves_by_the_other_one_as_its_neighbour_does() -> None:
    cause = chosen(on_two_networks(beside="172.17.0.1"), "c1", "8.8.8.8")
    assert lines(cause) == ["ip route replace default via 172.17.0.1 dev eth0"]


def test_where_all_leave_by_the_network_whose_router_refuses_that_is_to_let_them() -> None:
    cause = chosen(on_two_networks(beside="10.9.0.1"), "c1", "8.8.8.8")
    assert lines(cause) == ["iptables -D FORWARD -i inner -j DROP"]


LATE = """-A FORWARD -i eth0 -j ACCEPT
-A FORWARD -s 192.168.43.0/24 -o eth0 -j ACCEPT
-A FORWARD -j DROP
-A FORWARD -i br0 -o eth0 -j ACCEPT"""


def test_a_rule_that_comes_too_late_is_meant_rather_than_one_for_others() -> None:
    cause = chosen(edited(tutorial(), "host", ruleset=iptables(LATE)), "red", "8.8.8.8")
    assert lines(cause) == ["iptables -D FORWARD -i br0 -o eth0 -j ACCEPT", "iptables -I FORWARD -i br0 -o eth0 -j ACCEPT"]


FORMER = """*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.77
-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE
COMMIT"""


def test_a_translation_to_an_address_of_before_goes_where_the_right_one_stands_behind_it() -> None:
    internet = tutorial()["internet"].routes
    unknown = (*(each for each in internet if each.dst != "10.0.0.0/16"), Route("203.0.113.64/26", "unreachable"))
    cause = chosen(edited(edited(tutorial(), "internet", routes=unknown), "host", ruleset=iptables(FORMER)), "red", "8.8.8.8")
    assert lines(cause) == ["iptables -t nat -D POSTROUTING -s 10.0.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.77"]
