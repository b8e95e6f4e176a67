"""Of several repairs that would do, the one that is meant: on hosts with tunnels, two ways out, and translations of their own."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import MAC, edited, tutorial, via
from test_beside import chosen, kernel, lines
from test_policy_siblings import sorted_rules, translating

from netprobe.model import InterfaceAddress, Link, LinkRef, PolicyRule, Route, Ruleset, Snapshot

SNAT = "-A POSTROUTING -s 172.17.0.0/16 -j SNAT --to-source 203.0.113.2"


def without_a_way_to(network: str, name: str = "c1", ruleset: Ruleset | None = None) -> Snapshot:
    """c1 keeps nothing of a network, which it otherwise gets by its gateway."""
    routes = (*tutorial()[name].routes, Route(network, "blackhole"))
    return edited(edited(tutorial(), name, routes=routes), "host", ruleset=ruleset)


def knowing_no_way_back(*routes: Route) -> Snapshot:
    """The host translates nothing, and internet has no route to red's network, but these."""
    known = (each for each in tutorial()["internet"].routes if each.dst != "10.0.0.0/16")
    return edited(edited(tutorial(), "internet", routes=(*known, *routes)), "host", ruleset=Ruleset())


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (SNAT, "iptables -t nat -I POSTROUTING 1 -s 172.17.0.0/16 -d 172.17.0.0/16 -j ACCEPT"),
        (SNAT.replace("-s 172.17.0.0/16", "-o docker0"), "ip route del blackhole 203.0.113.0/24"),  # which somebody wrote for this way
    ],
)
def test_what_a_host_sends_to_its_neighbour_needs_no_other_source(rule: str, line: str) -> None:
    """A server of a VPN gives its clients its public address, and so itself, where it asks one of them."""
    cause = chosen(without_a_way_to("203.0.113.0/24", ruleset=translating(rule)), "host", "172.17.0.2")
    assert lines(cause) == [line]


@pytest.mark.parametrize(("gateway", "code"), [("203.0.113.2", "route-blackhole"), ("203.0.113.9", "nat-missing")])
def test_towards_a_station_that_has_it_as_its_gateway_a_router_translates_nothing(gateway: str, code: str) -> None:
    """The station has taken the half of the world for a tunnel besides."""
    there = knowing_no_way_back(Route("0.0.0.0/1", "blackhole"), via("0.0.0.0/0", gateway, 2))
    assert chosen(there, "red", "203.0.113.1").code == code


@pytest.mark.parametrize(("known", "code"), [("203.0.113.2/32", "nat-missing"), ("203.0.113.9/32", "policy-drop")])
def test_who_lets_the_router_in_lets_in_what_comes_by_it_with_its_address(known: str, code: str) -> None:
    """One translation, and neither a rule for each sender nor a way back to it."""
    lets_in = f"*filter\n:INPUT DROP [0:0]\n-A INPUT -s {known} -j ACCEPT\nCOMMIT"
    there = edited(knowing_no_way_back(), "internet", ruleset=iptables(lets_in))
    assert chosen(there, "red", "203.0.113.1").code == code


def with_two_tables(*rules: PolicyRule) -> Snapshot:
    """Table 7 leads to a gateway of before, table 8 to the provider; main is asked first for networks."""
    host = tutorial()["host"]
    ways = via("0.0.0.0/0", "203.0.113.9", 4, table=7), via("0.0.0.0/0", "203.0.113.1", 4, table=8)
    known = (*host.rules, PolicyRule(800, 4, table=254, mask=0, suppress_prefixlen=0))
    return edited(tutorial(), "host", routes=(*host.routes, *ways), rules=sorted_rules(*known, *rules))


@pytest.mark.parametrize(
    ("first", "later", "asks"),
    [
        ({}, {"src": "10.0.0.2/32"}, "from 10.0.0.2/32"),
        ({}, {"iif": "br0"}, "from all iif br0"),
        ({"src": "10.0.0.0/8"}, {"src": "10.0.0.0/16", "dst": "8.8.8.0/24"}, "from 10.0.0.0/16 to 8.8.8.0/24"),
    ],
)
def test_a_policy_rule_that_is_never_asked_was_to_stand_before_the_one_for_more(
    first: dict[str, str], later: dict[str, str], asks: str
) -> None:
    rules = PolicyRule(900, 4, table=7, mask=0, **first), PolicyRule(1000, 4, table=8, mask=0, **later)  # type: ignore[arg-type]
    cause = chosen(with_two_tables(*rules), "red", "8.8.8.8")
    assert (cause.code, cause.thing.id) == ("rule-wrong-table", f"1000: {asks} lookup 8")
    assert lines(cause) == [f"ip rule add pref 899 {asks} lookup 8", f"ip rule del pref 1000 {asks} lookup 8"]


def test_a_policy_rule_for_others_is_not_put_before() -> None:
    """Of 10.0.0.0/8 and what comes in by br0 neither is more than the other."""
    rules = PolicyRule(900, 4, table=7, mask=0, iif="br0"), PolicyRule(1000, 4, table=8, mask=0, src="10.0.0.0/8")
    assert not any("899" in line for line in lines(chosen(with_two_tables(*rules), "red", "8.8.8.8")))


@pytest.mark.parametrize("setting", ["arp_filter", "rp_filter"])
def test_an_address_on_a_macvlan_beside_its_parent_has_the_prefix_of_a_host(setting: str) -> None:
    """A service's address, on an interface with a MAC of its own: with the prefix of the network it gets what is sent there."""
    c1 = tutorial()["c1"]
    eth0 = c1.link_named("eth0")
    assert eth0 is not None
    shared = Link(5, "vrrp", "macvlan", mac=MAC.format(9, 9), mtu=1500, link=LinkRef(2, None), macvlan_mode="private")
    routes = [replace(each, metric=202) if each.dst == "172.17.0.0/16" else each for each in c1.routes]
    there = edited(
        tutorial(),
        "c1",
        links=(*c1.links, shared),
        addresses=(*c1.addresses, InterfaceAddress(5, "172.17.0.20", 16)),
        routes=(kernel("172.17.0.0/16", 5), *routes),
        sysctls={"net.ipv4.conf.all.arp_ignore": "1", f"net.ipv4.conf.eth0.{setting}": "1"},
    )
    cause = chosen(there, "c2", "172.17.0.2")
    assert lines(cause) == ["ip address add 172.17.0.20/32 dev vrrp", "ip address del 172.17.0.20/16 dev vrrp"]


MARKED = """*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x200/0xffffffff
-A PREROUTING{} -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
COMMIT"""


def test_the_mark_of_a_connection_is_given_to_its_answers_alone() -> None:
    """By what it leads to, answers leave by the interface by which was asked; a question went back out of it."""
    host, internet = tutorial()["host"], tutorial()["internet"]
    way = via("0.0.0.0/0", "203.0.113.1", 4, table=200)
    rules = sorted_rules(*host.rules, PolicyRule(1000, 4, table=200, mark=0x200))
    there = edited(tutorial(), "host", routes=(*host.routes, way), rules=rules, ruleset=iptables(MARKED.format("")))
    there = edited(there, "internet", routes=(*internet.routes, via("172.17.0.0/16", "203.0.113.2", 2)))
    words = "-m conntrack --ctdir reply -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff"
    assert lines(chosen(there, "internet", "172.17.0.2")) == [f"iptables -t mangle -R PREROUTING 2 {words}"]
