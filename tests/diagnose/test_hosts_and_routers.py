"""Of several repairs that would do, the one that is meant: on hosts with tunnels, two ways out, and translations of their own."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import MAC, edited, lo, local, tutorial, via, with_link_locals
from test_beside import chosen, kernel, lines, two_uplinks, with_pod
from test_mistyped import of_tcp
from test_policy_siblings import sorted_rules, translating
from test_repair_whole import chosen as chosen_of
from test_repair_whole import said

from netprobe.model import (
    Chain,
    InterfaceAddress,
    Link,
    LinkRef,
    Neighbour,
    PolicyRule,
    Route,
    Rule,
    Ruleset,
    Snapshot,
    Socket,
    Table,
)
from netprobe.rules.read.nft_text import rule_statements

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


def test_behind_a_peer_that_is_on_no_network_of_ours_are_others_than_those_that_routes_lead_to() -> None:
    """Tunnels give each end the address of a host; c1's two networks came with its name, and one has no route."""
    c1, host = tutorial()["c1"], tutorial()["host"]
    own = (*lo()[1], InterfaceAddress(2, "10.255.1.1", 32), InterfaceAddress(1, "10.77.0.1", 16), InterfaceAddress(1, "10.78.0.1", 16))
    back = (*local("10.255.1.1", "10.77.0.1", "10.78.0.1"), via("10.255.0.1/32", None, 2), via("0.0.0.0/0", "10.255.0.1", 2))
    there = edited(tutorial(), "c1", addresses=own, routes=back, sysctls={**c1.sysctls, "net.ipv4.ip_forward": "1"})
    ours = (*(each for each in host.addresses if each.index != 5), InterfaceAddress(5, "10.255.0.1", 32))
    known = (each for each in host.routes if each.dst != "172.17.0.0/16")
    ways = (*local("10.255.0.1"), via("10.255.1.1/32", None, 5), via("10.77.0.0/16", "10.255.1.1", 5))
    there = edited(there, "host", addresses=ours, routes=(*known, *ways))
    assert lines(chosen(there, "red", "10.78.0.1")) == ["ip route add 10.78.0.0/16 via 10.255.1.1 dev docker0"]


def test_who_answers_for_one_station_needs_a_way_to_it_by_the_rules_for_who_asks() -> None:
    """The table of the interface leads back out of it, and the one for all others to the station (arp_process)."""
    there = with_pod(via("10.244.1.5/32", None, 8), via("10.244.1.0/24", None, 4, table=100))
    rules = sorted_rules(*there["host"].rules, PolicyRule(500, 4, table=100, mask=0, iif="eth0"))
    there = edited(there, "host", rules=rules, neighbours=(Neighbour(4, "10.244.1.5", None, "", proxy=True),))
    near = (*there["internet"].routes, via("10.244.1.0/24", None, 2))
    cause = chosen(edited(there, "internet", routes=near), "internet", "10.244.1.5")
    assert (cause.code, lines(cause)) == ("no-route", ["ip route replace 10.244.1.5/32 dev cali1 table 100"])


def of_sources(*origins: str, rules: Ruleset | None = None) -> Snapshot:
    """The host's default routes of IPv6 are for its own prefixes alone; red has a local address of the site's."""
    host, inet, red = (tutorial()[name] for name in ("host", "internet", "red"))
    own = (*host.addresses, InterfaceAddress(2, "fd00:10::1", 64), InterfaceAddress(4, "2001:db8:1::2", 64))
    ways = [replace(via("::/0", "fe80::1", 4, metric=512), origin=each) for each in origins]
    near = (*local("fd00:10::1", "2001:db8:1::2"), kernel("fd00:10::/64", 2), kernel("2001:db8:1::/64", 4))
    forwards = {**host.sysctls, "net.ipv6.conf.all.forwarding": "1"}
    there = edited(tutorial(), "host", addresses=own, routes=(*host.routes, *near, *ways), ruleset=rules, sysctls=forwards)
    far = ("2001:db8:1::1", "2001:db8::8")
    theirs = (InterfaceAddress(2, "fe80::1", 64, scope="link"), InterfaceAddress(2, far[0], 64), InterfaceAddress(1, far[1], 128))
    known = (*inet.routes, *local("fe80::1", *far), kernel("2001:db8:1::/64", 2))
    there = edited(there, "internet", addresses=(*inet.addresses, *theirs), routes=known)
    mine = (*red.addresses, InterfaceAddress(2, "fd00:10::2", 64))
    led = (*red.routes, *local("fd00:10::2"), kernel("fd00:10::/64", 2), via("::/0", "fd00:10::1", 2))
    return with_link_locals(edited(there, "red", addresses=mine, routes=led))


def test_who_translates_needs_a_route_that_is_not_for_the_translated_alone() -> None:
    """Source-specific routing (RFC 8028): the way is asked for before the packet gets its source."""
    rules = iptables("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT", family="ip6")
    cause = chosen(of_sources("2001:db8:1::/64", "2001:db8:7::/56", rules=rules), "red", "2001:db8::8")
    assert (cause.code, lines(cause)) == ("no-route", ["ip -6 route add default via fe80::1 dev eth0 metric 512"])


def test_a_gateway_of_the_other_ip_version_is_none() -> None:
    there = of_sources()
    host = there["host"]
    bare = edited(there, "host", routes=[each for each in host.routes if not {*each.gateways} & {"fe80::1"}])
    assert not any("203.0.113.1" in line for line in lines(chosen(bare, "red", "2001:db8::8")))


def test_a_mark_that_a_packet_is_given_for_its_way_on_is_none_for_the_way_back() -> None:
    """Another program has set that it is (ip-sysctl, src_valid_mark): the filter is as strict without."""
    host = tutorial()["host"]
    way = via("0.0.0.0/0", "203.0.113.1", 4, table=256)
    rules = sorted_rules(*host.rules, PolicyRule(4000, 4, table=256, mark=0x10000, mask=0xFF0000))
    marks = iptables("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br0 -j MARK --set-xmark 0x10000/0xff0000\nCOMMIT")
    strict = {**host.sysctls, "net.ipv4.conf.br0.rp_filter": "1", "net.ipv4.conf.all.src_valid_mark": "1"}
    there = edited(tutorial(), "host", routes=(*host.routes, way), rules=rules, ruleset=marks, sysctls=strict)
    cause = chosen(there, "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("rp-filter", ["sysctl -w net.ipv4.conf.all.src_valid_mark=0"])


def test_an_address_more_is_nothing_odd_where_a_rule_chooses_among_them() -> None:
    """A router with two prefixes of its provider, of which one is led to it: nobody is of the other's network."""
    there = of_sources()
    host, inet = there["host"], there["internet"]
    rules = iptables("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j SNAT --to-source 2001:db8:2::1\nCOMMIT", family="ip6")
    own = (*host.addresses, InterfaceAddress(4, "2001:db8:2::1", 64))
    ways = (*host.routes, *local("2001:db8:2::1"), kernel("2001:db8:2::/64", 4), via("::/0", "fe80::1", 4))
    there = edited(there, "host", addresses=own, routes=ways, ruleset=rules)
    assert chosen(edited(there, "internet", routes=inet.routes), "red", "2001:db8::8").code == "nat-wrong-address"


@pytest.mark.parametrize(
    ("accepted", "put"),
    [
        ('iifname "eth0" ip daddr 172.17.0.2 tcp dport 8080 accept', 'iifname "eth0" ip daddr 172.17.0.2 tcp dport 8080 accept'),
        ('iifname "eth0" accept', "iifname eth0 oifname docker0 accept"),  # tells of no station
    ],
)
def test_what_one_chain_of_a_hook_accepts_another_one_accepts_as_well(accepted: str, put: str) -> None:
    """A program opens ports in a table of its own, and the firewall's is asked after it (nft, VERDICT STATEMENTS)."""
    texts = {"pnp": [accepted], "fw": ["ct state established,related accept", 'iifname "br0" accept']}
    tables = tuple(
        Table("nft", "inet", name, (Chain("fwd", tuple(
            Rule(1, text, tuple(rule_statements(text)), handle=at) for at, text in enumerate(rules, start=4)
        ), "forward", at - 25, "filter", policy="drop" if at else "accept"),))
        for at, (name, rules) in enumerate(texts.items())
    )  # fmt: skip
    there = edited(tutorial(), "host", ruleset=Ruleset(tables=tables))
    there = edited(there, "internet", routes=(*there["internet"].routes, via("172.17.0.0/16", "203.0.113.2", 2)))
    there = edited(there, "c1", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    assert said(chosen_of(there, of_tcp("internet", "172.17.0.2", 8080))) == [f"host: nft insert rule inet fw fwd {put}"]


def test_an_address_of_a_link_alone_is_no_source_beside_another() -> None:
    """The gateway has an address of that network, and the length of a host (RFC 3927, 1.9)."""
    c1, host = tutorial()["c1"], tutorial()["host"]
    ways = (*(each for each in c1.routes if not each.is_default), *local("169.254.77.8"), kernel("169.254.0.0/16", 2))
    own = (*c1.addresses, InterfaceAddress(2, "169.254.77.8", 16, scope="link"))
    there = edited(tutorial(), "c1", addresses=own, routes=(*ways, via("0.0.0.0/0", "169.254.0.1", 2)))
    near = (*host.addresses, InterfaceAddress(5, "169.254.0.1", 32))
    known = (*host.routes, *local("169.254.0.1"), kernel("172.17.0.0/16", 5))
    cause = chosen(edited(there, "host", addresses=near, routes=known), "c1", "169.254.0.1")
    assert (cause.code, lines(cause)) == ("route-wrong-src", ["ip address del 169.254.77.8/16 dev eth0"])


def test_no_source_is_wrong_where_nobody_was_met_who_looks_at_it() -> None:
    """A DHCP client gave the host a default route by its containers' network, with such an address (moby#49653)."""
    host = tutorial()["host"]
    own = (*host.addresses, InterfaceAddress(5, "169.254.33.7", 16, scope="link"))
    usual = (replace(each, metric=1002) if each.is_default else each for each in host.routes)
    routes = (*usual, *local("169.254.33.7"), via("0.0.0.0/0", None, 5, scope="link", source="169.254.33.7", metric=1001))
    cause = chosen(edited(tutorial(), "host", addresses=own, routes=routes), "host", "8.8.8.8")
    assert (cause.code, cause.thing.id) == ("route-wrong-nexthop", "default dev docker0")


SPARED = """*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -i br0 ! -o eth1 -j REJECT
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o eth1 -j MASQUERADE
COMMIT"""


def test_a_gateway_that_is_beside_two_interfaces_is_meant_by_the_one_that_no_other_table_has() -> None:
    """Two VPNs of one provider; the first one's routes are in table 100, the second one's were to be by eth1."""
    there = two_uplinks(PolicyRule(500, 4, table=101, mask=0, iif="br0"), PolicyRule(501, 4, table=100, mask=0, iif="docker0"))
    host, internet = there["host"], there["internet"]
    near = [kernel("10.8.1.0/24", each) for each in (4, 8)]
    ways = [via("0.0.0.0/0", "10.8.1.1", 4, table=each) for each in (100, 101)]
    own = (*host.addresses, InterfaceAddress(4, "10.8.1.2", 24), InterfaceAddress(8, "10.8.1.3", 24))
    routes = (*(each for each in host.routes if each.table != 200), *local("10.8.1.2"), *local("10.8.1.3"), *near, *ways)
    there = edited(there, "host", addresses=own, routes=routes, ruleset=iptables(SPARED))
    far = (*internet.addresses, InterfaceAddress(2, "10.8.1.1", 24), InterfaceAddress(3, "10.8.1.1", 24))
    known = (*internet.routes, *local("10.8.1.1"), via("10.8.1.3/32", None, 3))
    cause = chosen(edited(there, "internet", addresses=far, routes=known, sysctls={}), "red", "8.8.8.8")
    assert lines(cause) == ["ip route replace default via 10.8.1.1 dev eth1 table 101"]
