"""What one lacks of what the same host has for others, or its peers have: a route, a translation, the length of a network."""

from __future__ import annotations

import pytest
from diagnose.test_two_by_two import offices
from literal_rules import iptables
from networks import edited, local, tutorial, via
from test_beside import chosen, lines

from netprobe.model import InterfaceAddress, Link, Snapshot
from netprobe.model.lookup import all_but, where


def with_networks_behind_c2(known: str | None) -> Snapshot:
    """The stations send all by the host, which has a route to another network behind c2, a router."""
    snapshot = tutorial()
    c2, host = snapshot["c2"], snapshot["host"]
    own, routes = (*c2.addresses, InterfaceAddress(1, "10.50.0.5", 24)), (*c2.routes, *local("10.50.0.5"))
    snapshot = edited(snapshot, "c2", addresses=own, routes=routes, sysctls={"net.ipv4.ip_forward": "1"})
    led = (via(known, "172.17.0.3", 5),) if known else ()
    return edited(snapshot, "host", routes=(*host.routes, *led))


@pytest.mark.parametrize(("known", "place"), [("10.51.0.0/24", "host"), (None, "c1")])
def test_who_leads_to_other_networks_behind_a_router_leads_to_this_one(known: str | None, place: str) -> None:
    cause = chosen(with_networks_behind_c2(known), "c1", "10.50.0.5")
    assert (cause.code, cause.place.namespace) == ("no-route", place)
    assert lines(cause)[0].startswith("ip route add 10.50.0.0/24 via 172.17.0.3")


def with_two_networks(rule: str) -> Snapshot:
    """The router of an office has two networks behind interfaces of one kind; the other office knows no way to either."""
    r1, r2 = offices()["r1"], offices()["r2"]
    snapshot = edited(offices(), "r2", routes=all_but(r2.routes, where(r2.routes, is_default=True)))
    links = (*r1.links, Link(9, "lan1", "veth", "02:00:00:00:01:09"))
    own, routes = (*r1.addresses, InterfaceAddress(9, "10.7.0.1", 24)), (*r1.routes, *local("10.7.0.1"), via("10.7.0.0/24", None, 9))
    ruleset = iptables(f"*nat\n:POSTROUTING ACCEPT [0:0]\n{rule}COMMIT")
    return edited(snapshot, "r1", links=links, addresses=own, routes=routes, ruleset=ruleset)


def test_what_comes_from_a_network_beside_is_translated_so_this_is_as_well() -> None:
    cause = chosen(with_two_networks("-A POSTROUTING -s 10.7.0.0/24 -o wan -j MASQUERADE\n"), "pc", "10.2.0.10")
    assert (cause.code, lines(cause)) == ("nat-missing", ["iptables -t nat -A POSTROUTING -s 10.1.0.0/24 -o wan -j MASQUERADE"])


@pytest.mark.parametrize("rule", ["", "-A POSTROUTING -s 10.7.0.0/24 -o eth7 -j MASQUERADE\n"])
def test_where_nothing_beside_is_translated_that_way_a_route_is_missing(rule: str) -> None:
    assert chosen(with_two_networks(rule), "pc", "10.2.0.10").code == "no-route"


SPARED = """*nat
:POSTROUTING ACCEPT [0:0]
:AGENT - [0:0]
-A POSTROUTING -j AGENT
-A AGENT -d {network} -j RETURN
-A AGENT -d 172.17.0.0/16 -j RETURN
-A AGENT -o eth0 -j MASQUERADE
COMMIT"""


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ("8.8.0.0/24", "iptables -t nat -R AGENT 1 -d 8.8.0.0/24 -j RETURN"),
        ("9.9.0.0/24", None),  # each has its own
        ("8.0.0.0/8", None),
    ],
)
def test_the_same_rule_of_a_peer_speaks_of_less(theirs: str, says: str | None) -> None:
    """Nodes of a cluster get the same rules; what this one spares of too much the way out refuses."""
    snapshot = edited(tutorial(), "host", ruleset=iptables(SPARED.format(network="8.0.0.0/8")))
    snapshot = edited(snapshot, "c2", ruleset=iptables(SPARED.format(network=theirs)))
    refusing = "-A INPUT -s 10.0.0.0/16 -j DROP"
    snapshot = edited(snapshot, "internet", ruleset=iptables(refusing))
    cause = chosen(snapshot, "red", "8.8.8.8")
    assert (lines(cause) == [says]) is (says is not None)
