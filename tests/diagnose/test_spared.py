"""What rules spare from a translation: too much, or a network of before; and what is translated where it is sent."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, tutorial, via
from test_beside import chosen, kernel, lines
from test_policy_siblings import translating
from test_published import cause as of_a_port
from test_published import fix
from test_routes_of_programs import via_loopback

from netprobe.diagnose import nat_rules, source_nat
from netprobe.diagnose.repair.candidates.spared import instead as spared_ones
from netprobe.model import InterfaceAddress, Route, Snapshot, Socket
from netprobe.model.lookup import all_but, where


def test_a_rule_that_spares_too_much_spares_its_own_network() -> None:
    internet = tutorial()["internet"]
    routes = (*(each for each in internet.routes if each.dst != "10.0.0.0/16"), *via_loopback("10.77.0.5"))
    away = edited(tutorial(), "internet", routes=routes, addresses=(*internet.addresses, InterfaceAddress(1, "10.77.0.5", 32)))
    nat = translating("-A POSTROUTING -s 10.0.0.0/16 ! -d 10.0.0.0/8 -j MASQUERADE")
    cause = chosen(edited(away, "host", ruleset=nat), "red", "10.77.0.5")
    assert lines(cause) == ["iptables -t nat -R POSTROUTING 1 -s 10.0.0.0/16 ! -d 10.0.0.0/16 -j MASQUERADE"]


def test_a_rule_that_spares_one_host_is_for_no_part_of_that() -> None:
    """10.0.0.0/16 is no part of the one address that is spared: who did that meant it."""
    internet = tutorial()["internet"]
    routes = (*(each for each in internet.routes if each.dst != "10.0.0.0/16"), *via_loopback("10.77.0.5"))
    routes = (*routes, replace(via("10.0.0.2/32", None, 1), type="blackhole", nexthops=()))
    away = edited(tutorial(), "internet", routes=routes, addresses=(*internet.addresses, InterfaceAddress(1, "10.77.0.5", 32)))
    nat = translating("-A POSTROUTING -s 10.0.0.0/16 ! -d 10.77.0.5/32 -j MASQUERADE")
    cause = chosen(edited(away, "host", ruleset=nat), "red", "10.77.0.5")
    assert lines(cause) == ["ip route replace 10.0.0.2/32 via 203.0.113.2 dev eth0"]


SPARED = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.3:80
-A POSTROUTING -d {spared} -j RETURN
-A POSTROUTING -d 172.16.0.0/12 -j MASQUERADE
COMMIT"""


def test_a_rule_that_spares_what_is_led_back_to_the_segment_goes() -> None:
    """C2 answers its neighbour straight."""
    routes = (kernel("172.17.0.0/16", 2), *(each for each in tutorial()["c2"].routes if each.dst != "172.17.0.0/16"))
    listening = edited(tutorial(), "c2", routes=routes, sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    said = of_a_port(edited(listening, "host", ruleset=iptables(SPARED.format(spared="172.17.0.0/16"))), "c1", "10.0.0.1", 80)
    assert (said.code, fix(said)) == ("nat-wrong-match", ["iptables -t nat -D POSTROUTING -d 172.17.0.0/16 -j RETURN"])


@pytest.mark.parametrize(("spared", "instead"), [("172.18.0.0/16", [("172.18.0.0/16", "172.17.0.0/16")]), ("172.17.0.0/16", [])])
def test_a_network_of_before_is_spared_and_the_one_that_is_here_is_meant(spared: str, instead: list[tuple[str, str]]) -> None:
    host = tutorial()["host"]
    routes = (*(each for each in host.routes if each.dst != "172.17.0.0/16"), kernel("172.17.0.0/16", 5))
    node = replace(host, routes=routes, ruleset=iptables(SPARED.format(spared=spared)))
    rule = next(each.rule for each in nat_rules.rules_of_nat(node, "postrouting", "172.18.0.9", "return"))
    assert [*spared_ones(node, rule, "172.18.0.9")] == instead


@pytest.mark.parametrize(("rule", "empty"), [("", 1), ("-A mine -o eth0 -j MASQUERADE\n", 0)])
def test_a_chain_for_other_sources_that_has_no_rule_was_made_for_some(rule: str, empty: int) -> None:
    text = f"*nat\n:POSTROUTING ACCEPT [0:0]\n:mine - [0:0]\n-A POSTROUTING -j mine\n{rule}COMMIT"
    host = edited(tutorial(), "host", ruleset=iptables(text))["host"]
    assert source_nat.emptied(host, "10.0.0.2") == empty


SERVICE = """*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:SERVICES - [0:0]
-A PREROUTING -j SERVICES
-A OUTPUT -j SERVICES
-A SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 203.0.113.1:6443
COMMIT"""


@pytest.mark.parametrize(
    ("route", "says"),
    [
        (None, "ip route add default via GATEWAY"),
        (Route("10.96.0.0/12", "blackhole", protocol="bird"), "ip route del blackhole 10.96.0.0/12"),
    ],
)
def test_who_asks_a_service_that_it_translates_itself_needs_no_address_of_it(route: Route | None, says: str) -> None:
    """What is sent is routed before it is translated (nf_nat_ipv4_local_fn): any way out will do."""
    host = tutorial()["host"]
    kept = all_but(host.routes, where(host.routes, is_default=True)) if route is None else (*host.routes, route)
    network = edited(tutorial(), "host", routes=kept, ruleset=iptables(SERVICE))
    assert fix(of_a_port(network, "host", "10.96.0.1", 443)) == [says]


MASQUERADED = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING ! -s {spared} -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MARK --set-xmark 0x4000/0x4000
-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE
COMMIT"""
OF_RED = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.2/32 -j ACCEPT\nCOMMIT"


@pytest.mark.parametrize(("spared", "worded"), [("10.244.0.0/24", True), ("203.0.113.0/24", False)])
def test_who_spares_a_network_of_nobody_means_that_of_the_stations(spared: str, worded: bool) -> None:
    """The clusterCIDR that kube-proxy was told; the pods' policy knows the sender by its own address."""
    c1 = replace(tutorial()["c1"], ruleset=iptables(OF_RED), sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    there = Snapshot({**tutorial().namespaces, "c1": c1}, tutorial().peers)
    network = edited(there, "host", ruleset=iptables(MASQUERADED.format(spared=spared)))
    said = lines(of_a_port(network, "red", "172.17.0.2", 80))
    assert any(each.startswith("iptables -t nat -R PREROUTING 1 ! -s 10.0.0.0/16 -d") for each in said) is worded
