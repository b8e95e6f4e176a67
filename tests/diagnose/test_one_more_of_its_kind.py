"""A route, a rule, a mark, a published port that others of its kind have, and one lacks; and who comes too late."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import iptables, nft_forward, nft_table, payload, test
from msgspec.structs import replace
from networks import edited, local, tutorial, veth, via
from test_beside import chosen, kernel, lines
from test_policy_siblings import sorted_rules
from test_published import cause, fix, web
from test_repair import lost_in

from netprobe.diagnose.repair.candidates import as_its_peers
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Chain, InterfaceAddress, Neighbour, PolicyRule, Route, Rule, Ruleset, Snapshot, Statement, Table, TcFilter, Term


def behind_a_proxy(**rules: object) -> Snapshot:
    """c1 and c2 have addresses of the provider's network, for which the host answers; it has a route to that of c2 alone."""
    snapshot = tutorial()
    for name, address in (("c1", "203.0.113.51"), ("c2", "203.0.113.52")):
        there = snapshot[name]
        addresses = (*there.addresses, InterfaceAddress(2, address, 32))
        snapshot = edited(snapshot, name, addresses=addresses, routes=(*there.routes, *local(address)))
    host = snapshot["host"]
    answers = {**host.sysctls, "net.ipv4.conf.eth0.proxy_arp": "1"}
    return edited(snapshot, "host", sysctls=answers, routes=(*host.routes, via("203.0.113.52/32", None, 5)), **rules)


def test_a_proxy_does_not_answer_for_what_it_would_send_back() -> None:
    cause = chosen(behind_a_proxy(), "internet", "203.0.113.51")
    assert (cause.code, cause.place.namespace) == ("no-route", "host")
    assert lines(cause) == ["ip route replace 203.0.113.51/32 dev docker0"]


def test_a_proxy_looks_into_the_table_of_what_comes_in() -> None:
    """The main table would do: what comes in by eth0 has one of its own."""
    host = behind_a_proxy()["host"]
    mine = (via("203.0.113.0/24", None, 4, table=100), via("203.0.113.51/32", None, 5))
    rules = sorted_rules(*host.rules, PolicyRule(900, 4, table=100, mask=0, iif="eth0"))
    cause = chosen(edited(behind_a_proxy(), "host", routes=(*host.routes, *mine), rules=rules), "internet", "203.0.113.51")
    assert lines(cause) == ["ip route replace 203.0.113.51/32 dev docker0 table 100"]


APART = """*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:8080
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:APART - [0:0]
:PUBLISHED - [0:0]
-A FORWARD -j APART
-A FORWARD -j PUBLISHED
-A APART -i br0 -o docker0 -j DROP
-A PUBLISHED {who}-p tcp -m tcp --dport 8080 -j ACCEPT
COMMIT"""


@pytest.mark.parametrize(("who", "first"), [("", True), ("-d 172.17.0.2/32 ! -i docker0 -o docker0 ", False)])
def test_who_lets_in_whoever_asks_for_a_port_is_asked_before_who_keeps_networks_apart(who: str, first: bool) -> None:
    """A rule for one container lets in from outside, and not from another network."""
    there = edited(edited(tutorial(), "c1", sockets=(web(8080),)), "host", ruleset=iptables(APART.format(who=who)))
    before = ["iptables -D FORWARD -j PUBLISHED", "iptables -I FORWARD 1 -j PUBLISHED"]
    assert (fix(cause(there, "red", "203.0.113.2", 8080)) == before) is first


LET_IN = """*nat
:PREROUTING ACCEPT [0:0]
:PUBLISHED - [0:0]
-A PREROUTING -j PUBLISHED
-A PUBLISHED -p tcp -m tcp --dport 8001 -j DNAT --to-destination 172.17.0.2:8001
-A PUBLISHED -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:8080
COMMIT
*filter
:FORWARD DROP [0:0]
:OF_EACH - [0:0]
:PUBLISHED - [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -j PUBLISHED
-A FORWARD -j OF_EACH
-A OF_EACH -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8001 -j ACCEPT
-A PUBLISHED -p tcp -m tcp --dport 8001 -j ACCEPT
COMMIT"""


def test_the_chain_that_leads_a_port_on_is_the_one_that_lets_it_pass() -> None:
    there = edited(edited(tutorial(), "c1", sockets=(web(8080),)), "host", ruleset=iptables(LET_IN))
    assert fix(cause(there, "red", "203.0.113.2", 8080)) == ["iptables -I PUBLISHED 1 -p tcp -m tcp --dport 8080 -j ACCEPT"]


IN_A_ROW = """*nat
:PREROUTING ACCEPT [0:0]
:EACH - [0:0]
-A PREROUTING -p tcp -j EACH
-A EACH -p tcp -m tcp --dport 61001 -j DNAT --to-destination 172.17.0.8:80
-A EACH -p tcp -m tcp --dport 61003 -j DNAT --to-destination 172.17.0.3:80
COMMIT"""


@pytest.mark.parametrize(("port", "listening", "led"), [(61002, 80, True), (443, 80, False), (61002, 81, False)])
def test_a_port_that_lacks_in_a_row_is_led_to_the_station_that_no_other_one_is_for(port: int, listening: int, led: bool) -> None:
    there = edited(edited(tutorial(), "c1", sockets=(web(listening),)), "host", ruleset=iptables(IN_A_ROW), sockets=(web(22),))
    line = f"iptables -t nat -A EACH -p tcp -m tcp --dport {port} -j DNAT --to-destination 172.17.0.2:80"
    assert (line in fix(cause(there, "red", "203.0.113.2", port))) is led


def marked_by(door: str) -> Snapshot:
    """What is marked leaves by the main table; what is not, into a table that leads back to br0."""
    host = tutorial()["host"]
    rules = (PolicyRule(900, 4, table=254, mark=0x80, mask=0x80), PolicyRule(901, 4, table=7, iif="br0"))
    astray = via("0.0.0.0/0", "10.0.0.9", 2, table=7)
    marks = f"*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i {door} -j MARK --set-xmark 0x80/0x80\nCOMMIT"
    changed = {"routes": (*host.routes, astray), "rules": sorted_rules(*host.rules, *rules), "ruleset": iptables(marks)}
    return edited(tutorial(), "host", **changed)


@pytest.mark.parametrize("door", ["eni+", "docker0"])
def test_what_comes_in_by_another_door_is_marked_as_well(door: str) -> None:
    cause = chosen(marked_by(door), "red", "8.8.8.8")
    assert lines(cause) == ["iptables -t mangle -I PREROUTING 1 -i br0 -j MARK --set-xmark 0x80/0x80"]


@pytest.mark.parametrize("asked", ["-i docker0", "-p icmp -m icmp --icmp-type 8 -i docker0"])
def test_what_has_no_mark_lacks_the_way_of_all_else(asked: str) -> None:
    """One network has a table of its own, and nobody else is led there."""
    marks = f"*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING {asked} -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT\n"
    host = tutorial()["host"]
    without = tuple(each for each in host.routes if not each.is_default)
    changed = {"routes": (*without, via("0.0.0.0/0", "203.0.113.1", 4, table=100)), "ruleset": iptables(marks)}
    rules = sorted_rules(*host.rules, PolicyRule(100, 4, table=100, mark=1, mask=0xFFFFFFFF))
    cause = chosen(edited(tutorial(), "host", rules=rules, **changed), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("no-route", ["ip route add default via 203.0.113.1"])


def test_a_mark_for_another_door_in_nft() -> None:
    came = Statement("match", Term("key", "meta iifname"), "==", Term("value", "eni*"))
    sets = Statement("set", Term("key", "meta mark"), right=Term("value", "128"))
    chains = (Chain("pre", (Rule(1, 'iifname "eni*" meta mark set 0x00000080', (came, sets), handle=5),), "prerouting", priority=-150),)
    there = edited(marked_by("eni+"), "host", ruleset=Ruleset((), (Table("nft", "ip", "vpc", chains),)))
    assert lines(chosen(there, "red", "8.8.8.8")) == ['nft insert rule ip vpc pre position 5 iifname "br0" meta mark set 0x00000080']


SERVICES = """*nat
:PREROUTING ACCEPT [0:0]
:PORTS - [0:0]
:SERVICES - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j PORTS
-A PREROUTING -j SERVICES
-A PORTS -p tcp -m tcp --dport 80 {to}-j DNAT --to-destination 172.17.0.3:80
-A SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -d 172.17.0.3/32 -j DROP
COMMIT"""


@pytest.mark.parametrize(("to", "first"), [("", True), ("-d 10.0.0.1/32 ", False)])
def test_who_names_the_address_is_asked_before_who_takes_the_port_of_any(to: str, first: bool) -> None:
    there = edited(edited(tutorial(), "c1", sockets=(web(8080),)), "host", ruleset=iptables(SERVICES.format(to=to)))
    before = ["iptables -t nat -D PREROUTING -j SERVICES", "iptables -t nat -I PREROUTING 1 -j SERVICES"]
    assert (fix(cause(there, "red", "10.0.0.1", 80)) == before) is first


EACH_BRIDGE = """*filter
:FORWARD DROP [0:0]
:ADMIN - [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -j ADMIN
-A ADMIN {side}
COMMIT"""


@pytest.mark.parametrize(
    ("side", "says"),
    [
        ("-d 10.0.0.0/16 -o br0 -j ACCEPT", "iptables -I ADMIN 1 -d 172.17.0.0/16 -o docker0 -j ACCEPT"),
        ("-s 172.17.0.0/16 -i docker0 -j ACCEPT", "iptables -I ADMIN 1 -s 10.0.0.0/16 -i br0 -j ACCEPT"),
        ("-d 10.9.0.0/16 -o br0 -j ACCEPT", "iptables -I FORWARD -i br0 -o docker0 -j ACCEPT"),  # not the bridge's network
        ("-d 10.0.0.0/16 -o br0 -p tcp -j ACCEPT", "iptables -I FORWARD -i br0 -o docker0 -j ACCEPT"),  # not for all of it
        ("-d 203.0.113.0/24 -o eth0 -j ACCEPT", "iptables -I FORWARD -i br0 -o docker0 -j ACCEPT"),  # no bridge
    ],
)
def test_of_two_bridges_one_has_a_rule_with_its_network(side: str, says: str) -> None:
    there = edited(tutorial(), "host", ruleset=iptables(EACH_BRIDGE.format(side=side)))
    assert lines(chosen(there, "red", "172.17.0.2")) == [says]


def test_of_two_cables_one_is_let_in_and_the_other_one_need_not_be() -> None:
    """A firewall is between them: eth1 may come in, and eth0 is the world's."""
    host = tutorial()["host"]
    eth1, own = veth(90, "eth1", "02:00:00:00:07:01", 2, 77), InterfaceAddress(90, "198.51.100.1", 24)
    rules = iptables(EACH_BRIDGE.format(side="-s 198.51.100.0/24 -i eth1 -j ACCEPT"))
    there = edited(tutorial(), "host", links=(*host.links, eth1), addresses=(*host.addresses, own), ruleset=rules)
    assert lines(chosen(there, "internet", "10.0.0.2"))[0] == "iptables -I FORWARD -i eth0 -o br0 -j ACCEPT"


def test_a_bridge_that_is_refused_by_name_is_kept_apart() -> None:
    """As the isolated network of a virtualizer: that another one is let through tells nothing of it."""
    refused = "-A FORWARD -o docker0 -j REJECT\nCOMMIT"
    rules = EACH_BRIDGE.format(side="-d 10.0.0.0/16 -o br0 -j ACCEPT").replace("COMMIT", refused)
    said = chosen(edited(tutorial(), "host", ruleset=iptables(rules)), "red", "172.17.0.2")
    assert lines(said)[0].startswith("iptables -R FORWARD 3 -o docker0 ")


@pytest.mark.parametrize(
    "asked",
    [
        [test({"meta": {"key": "oifname"}}, "br0"), test({"meta": {"key": "oifname"}}, "docker0")],
        [test({"meta": {"key": "oifname"}}, "br0"), test(payload("ip", "daddr"), "10.0.0.1")],
    ],
)
def test_a_rule_for_several_at_once_is_none_for_each(asked: list[Any]) -> None:
    network = {"prefix": {"addr": "10.0.0.0", "len": 16}}
    rule = [*asked, test(payload("ip", "daddr"), network), {"accept": None}]
    there = edited(tutorial(), "host", ruleset=nft_forward(rule, policy="drop"))
    assert chosen(there, "red", "172.17.0.2").code == "policy-drop"


@pytest.mark.parametrize(("known_to", "code"), [(("c2", "host"), "link"), (("c2",), "neighbour")])
def test_a_mac_that_several_were_given_is_the_one_that_an_interface_had(known_to: tuple[str, ...], code: str) -> None:
    """One entry may as well be of before."""
    given, snapshot = "0a:58:0a:00:00:15", tutorial()
    for name in known_to:
        index = 5 if name == "host" else 2
        snapshot = edited(snapshot, name, neighbours=(Neighbour(index, "172.17.0.2", given, "permanent"),))
    said = chosen(snapshot, "c2", "172.17.0.2")
    assert (said.code, said.thing.kind) == ("neigh-wrong-entry", code)
    assert (lines(said) == [f"ip link set dev eth0 address {given}"]) is (code == "link")


TO_ONE = """*nat
:PREROUTING ACCEPT [0:0]
:GUEST - [0:0]
-A PREROUTING -i br0 -j GUEST
-A GUEST -p tcp -m tcp --dport 22 -j DNAT --to-destination 172.17.0.2
-A GUEST -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.{other}
COMMIT"""


@pytest.mark.parametrize(("other", "listening", "led"), [(2, 8080, True), (3, 8080, False), (2, 8081, False)])
def test_a_port_that_lacks_among_those_of_one_station(other: int, listening: int, led: bool) -> None:
    there = edited(edited(tutorial(), "c1", sockets=(web(listening),)), "host", ruleset=iptables(TO_ONE.format(other=other)), sockets=())
    line = "iptables -t nat -A GUEST -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2"
    assert (fix(cause(there, "red", "10.0.0.1", 8080)) == [line]) is led


@pytest.mark.parametrize("to", [{"range": [80, 90]}, {"map": {"key": payload("tcp", "dport"), "data": {"set": [[8080, 80], [8081, 81]]}}}])
def test_ports_that_are_led_to_several_are_no_row(to: dict[str, Any]) -> None:
    chain = {"chain": {"name": "pre", "handle": 2, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    rule = [test(payload("tcp", "dport"), 8081), {"dnat": {"addr": "172.17.0.2", "port": to}}]
    there = edited(tutorial(), "host", ruleset=nft_table(chain, {"rule": {"chain": "pre", "handle": 11, "expr": rule}}), sockets=())
    assert cause(there, "red", "10.0.0.1", 8080).code == "port-closed"


def test_a_bridge_has_the_network_that_is_elsewhere_as_well() -> None:
    """What is on the bridge keeps its network: the one address alone is led to where all else goes."""
    elsewhere = tutorial()["internet"]
    far = (*elsewhere.addresses, InterfaceAddress(1, "172.17.5.5", 32))
    there = edited(tutorial(), "internet", addresses=far, routes=(*elsewhere.routes, *local("172.17.5.5")))
    host = there["host"]
    routes = tuple(each for each in host.routes if each.dst != "172.17.0.0/16")
    there = edited(there, "host", routes=(*routes, kernel("172.17.0.0/16", 5)))
    said = chosen(there, "host", "172.17.5.5")
    assert (said.code, said.thing.id) == ("route-overlap", "172.17.0.0/16 dev docker0")
    assert lines(said) == ["ip route add 172.17.5.5/32 via 203.0.113.1 dev eth0"]


LATE = """*filter
:FORWARD ACCEPT [0:0]
:MARKS - [0:0]
-A FORWARD -j MARKS
-A FORWARD -p tcp -m tcp --dport 179 -j ACCEPT
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -m mark --mark 0x20000/0x20000 -j ACCEPT
-A MARKS -j MARK --set-xmark {mark}/{mark}
COMMIT"""


@pytest.mark.parametrize(("mark", "late"), [("0x20000", True), ("0x40000", False)])
def test_what_is_marked_is_accepted_too_late(mark: str, late: bool) -> None:
    """Put before the rule that refuses, and not before those that mark."""
    said = lines(chosen(edited(tutorial(), "host", ruleset=iptables(LATE.format(mark=mark))), "red", "8.8.8.8"))
    assert ("iptables -I FORWARD 3 -m mark --mark 0x20000/0x20000 -j ACCEPT" in said) is late


ASKED_FOR = """*filter
:FORWARD DROP [0:0]
:VPN - [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -j VPN
-A VPN -m mark --mark 0x40000/0xff0000 -j ACCEPT
{more}COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
{also}COMMIT"""
SETS: dict[str, Any] = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 0x40000}}
ALSO = "-A POSTROUTING -m mark --mark 0x40000/0xff0000 -j MASQUERADE\n"


@pytest.mark.parametrize(
    ("more", "also", "lost"),
    [("", ALSO, True), ("", "", False), ("-A VPN -i docker0 -j MARK --set-xmark 0x40000/0xff0000\n", ALSO, False)],
)
def test_a_mark_that_two_ask_for_and_nothing_gives(more: str, also: str, lost: bool) -> None:
    """One alone may ask for what programs give."""
    there = edited(tutorial(), "host", ruleset=iptables(ASKED_FOR.format(more=more, also=also)))
    line = "iptables -I VPN 1 -i br0 -j MARK --set-xmark 0x40000/0xff0000"
    assert (lines(chosen(there, "red", "8.8.8.8")) == [line]) is lost


BY_TC = tuple(replace(each, filters=(TcFilter("ingress", "bpf", "bpf"),)) for each in tutorial()["host"].links)
BY_A_BRIDGE = nft_table({"chain": {"name": "f", "handle": 1}}, {"rule": {"chain": "f", "handle": 2, "expr": [SETS]}}, family="bridge")


@pytest.mark.parametrize("giving", [{"links": BY_TC}, {"ruleset": BY_A_BRIDGE}], ids=["tc", "a rule of a bridge"])
def test_a_mark_that_something_else_may_give(giving: dict[str, Any]) -> None:
    asking = iptables(ASKED_FOR.format(more="", also=ALSO))
    there = edited(tutorial(), "host", **giving)
    both = (*there["host"].filters.tables, *asking.tables)
    there = edited(there, "host", ruleset=replace(asking, tables=both))
    assert "MARK" not in lines(chosen(there, "red", "8.8.8.8"))[0]


@pytest.mark.parametrize(
    ("route", "says"),
    [
        (via("172.30.0.0/16", None, 2), ["ip route add 172.30.0.0/16 dev eth0"]),
        (via("172.30.0.0/16", "203.0.113.9", 2), []),  # a gateway of its own
        (kernel("172.30.0.0/16", 2), []),  # it is on that network itself
        (via("172.30.0.0/16", None, 1), []),  # by an interface that is no cable to this one
    ],
)
def test_a_route_that_the_peer_has_by_its_interface_of_the_same_name(route: Route, says: list[str]) -> None:
    """A node of a cluster leads the network of services into the tunnel as the others do: what it asks there has another source."""
    there = tutorial()
    internet = there["internet"]
    far = InterfaceAddress(1, "172.30.7.7", 32)
    routes = (*internet.routes, *local("172.30.7.7"), route)
    there = edited(there, "internet", addresses=(*internet.addresses, far), routes=routes)
    drops = iptables("-A INPUT -s 203.0.113.0/24 -j DROP")
    there = edited(there, "internet", ruleset=drops)
    lost = lost_in(there, "host", "172.30.7.7")
    assert lost.stop is not None
    found = as_its_peers._of_peers(Loss.of(there, lost, lost.stop), lost.routed[0])
    assert [" ".join(command.words) for each in found for command in each.stop.commands] == says
