"""Routes that another table has, refusals of more than what is missing, rules for the network of before, an engine's own ports."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, probe, tutorial, via
from test_beside import chosen, lines
from test_policy_siblings import sorted_rules
from test_published import cause as of_a_port
from test_published import fix

from netprobe.model import InterfaceAddress, Nexthop, PolicyRule, Route, Snapshot, Socket
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def of_two_sides(*routes: Route) -> Snapshot:
    """What comes in by br0 goes by table 2, what comes in by docker0 by table 1; main has no way out."""
    host = tutorial()["host"]
    known = tuple(each for each in host.routes if not each.is_default)
    led = (PolicyRule(100, 4, table=1, mask=0, iif="docker0"), PolicyRule(101, 4, table=2, mask=0, iif="br0"))
    return edited(tutorial(), "host", routes=(*known, *routes), rules=sorted_rules(*host.rules, *led))


def test_a_route_that_another_table_has_is_put_where_its_like_are() -> None:
    like, stray = (via(dst, "203.0.113.1", 4, table=table, protocol="bgp") for dst, table in (("9.9.9.0/24", 2), ("8.8.8.0/24", 1)))
    cause = chosen(of_two_sides(like, stray), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("no-route", ["ip route add 8.8.8.0/24 via 203.0.113.1 dev eth0 table 2 proto bgp"])


def test_what_has_its_own_table_needs_no_other_one() -> None:
    cause = chosen(of_two_sides(via("9.9.9.0/24", "203.0.113.1", 4, table=1, protocol="bgp")), "red", "8.8.8.8")
    assert not any("table 2" in line for line in lines(cause))


@pytest.mark.parametrize("stray", [Route("10.0.0.0/16", "unreachable", 1), via("10.0.0.0/16", "203.0.113.1", 4, table=1)])
def test_a_source_check_that_heeds_marks_finds_the_way_back_in_the_table_of_the_mark(stray: Route) -> None:
    """Both tables of marks have a copy of br0's network: in the one by which the packet goes it leads elsewhere."""
    host = tutorial()["host"]
    copies = (via("10.0.0.0/16", None, 2, table=2, scope="link"), via("172.17.0.0/16", None, 5, table=1, scope="link"))
    led = tuple(PolicyRule(100 + each, 4, table=each, mark=each) for each in (1, 2))
    marking = iptables("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br0 -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT")
    strict = {**host.sysctls, "net.ipv4.conf.br0.rp_filter": "1", "net.ipv4.conf.all.src_valid_mark": "1"}
    known = tuple(replace(each, protocol="kernel") for each in host.routes if each.gateways == [None])
    routes = (*known, via("0.0.0.0/0", "203.0.113.1", 4, table=1), stray, *copies)
    network = edited(tutorial(), "host", routes=routes, rules=sorted_rules(*host.rules, *led), ruleset=marking, sysctls=strict)
    assert lines(chosen(network, "red", "172.17.0.2")) == ["ip route replace 10.0.0.0/16 dev br0 table 1"]


def with_a_block(length: int, name: str = "c1") -> Snapshot:
    """A container has a network behind it, of which the host refuses all that has no route."""
    c1, host = tutorial()[name], tutorial()["host"]
    own = InterfaceAddress(1, "10.8.4.1", 24)
    routes = (
        *c1.routes,
        Route("10.8.4.0/24", nexthops=(Nexthop(1),), protocol="kernel"),
        Route("10.8.4.1/32", "local", 255, (Nexthop(1),)),
    )
    there = edited(tutorial(), name, addresses=(*c1.addresses, own), routes=routes, sysctls={"net.ipv4.ip_forward": "1"})
    block = Route(f"10.8.{4 * (length > 16)}.0/{length}", "unreachable", protocol="boot")
    return edited(there, "host", routes=(*host.routes, block))


def test_the_rest_of_a_block_is_not_led_where_one_network_of_it_is() -> None:
    cause = chosen(with_a_block(16), "red", "10.8.4.1")
    assert lines(cause) == ["ip route add 10.8.4.0/24 via 172.17.0.2 dev docker0"]


def test_who_sends_all_to_the_same_gateway_is_none_for_all() -> None:
    """c1's own way out is right, though c2 would do for this network."""
    cause = chosen(with_a_block(16, "c2"), "c1", "10.8.4.1")
    assert lines(cause) == ["ip route add 10.8.4.0/24 via 172.17.0.3 dev eth0"]


def test_what_refuses_no_more_than_that_network_may_be_led_there() -> None:
    cause = chosen(with_a_block(24), "red", "10.8.4.1")
    assert lines(cause) == ["ip route replace 10.8.4.0/24 via 172.17.0.2 dev docker0 onlink"]


INSIDE = """*filter
:INPUT DROP [0:0]
-A INPUT -s {old} -d {old} -j ACCEPT
-A INPUT -s 192.168.10.0/24 -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT"""


def letting_in(old: str) -> Snapshot:
    return edited(tutorial(), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),), ruleset=iptables(INSIDE.format(old=old)))


def test_a_rule_for_what_stays_in_the_network_of_before_is_for_that_of_now() -> None:
    said = of_a_port(letting_in("172.19.0.0/16"), "c1", "172.17.0.3", 80)
    assert fix(said) == ["iptables -R INPUT 1 -s 172.17.0.0/16 -d 172.17.0.0/16 -j ACCEPT"]


RESOLVER = """*nat
:PREROUTING ACCEPT [0:0]
:DOCKER_OUTPUT - [0:0]
-A PREROUTING -d 8.8.8.8/32 -j DOCKER_OUTPUT
-A DOCKER_OUTPUT -d 8.8.8.8/32 -p tcp -j DNAT --to-destination 127.0.0.11:43469
COMMIT"""


def test_an_engines_rule_that_leads_to_its_own_loopback_is_no_published_port() -> None:
    host, internet = tutorial()["host"], tutorial()["internet"]
    sysctls = {**host.sysctls, "net.ipv4.conf.all.route_localnet": "1"}
    own = (*host.addresses, InterfaceAddress(1, "127.0.0.11", 8, scope="host"))
    listening = edited(tutorial(), "internet", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),), routes=internet.routes)
    said = of_a_port(
        edited(listening, "host", ruleset=iptables(RESOLVER), sysctls=sysctls, addresses=own, sockets=()), "red", "8.8.8.8", 80
    )
    assert fix(said) == ["iptables -t nat -D DOCKER_OUTPUT -d 8.8.8.8/32 -p tcp -j DNAT --to-destination 127.0.0.11:43469"]


LED_ON = """*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -i br0 -o docker0 -j ACCEPT
-A FORWARD -d 172.17.0.3/32 -o {out} -p tcp -m tcp --dport 8022 -j ACCEPT
-A FORWARD -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport {other} -j DNAT --to-destination 172.17.0.3:8022
-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080
COMMIT"""


def published(**words: str) -> list[str]:
    listening = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    return fix(of_a_port(edited(listening, "host", ruleset=iptables(LED_ON.format(**words))), "internet", "203.0.113.2", 80))


@pytest.mark.parametrize("out", ["docker0", "br9"])
def test_what_is_led_on_is_let_through_as_what_is_led_to_another_is(out: str) -> None:
    said = published(out=out, other="8022")
    assert said == ["iptables -I FORWARD 3 -d 172.17.0.2/32 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT"]


def test_a_rule_to_which_nothing_is_led_is_no_pattern() -> None:
    text = LED_ON.format(out="docker0", other="8022").replace("172.17.0.3:8022", "172.17.0.3:22")
    listening = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    said = fix(of_a_port(edited(listening, "host", ruleset=iptables(text)), "internet", "203.0.113.2", 80))
    assert not any("-d 172.17.0.2/32" in line for line in said)


@pytest.mark.parametrize(("way_in", "code"), [("br0", "rule-local-missing"), ("docker0", None)])
def test_who_is_asked_for_does_not_know_its_own_address_where_another_table_comes_first(way_in: str, code: str | None) -> None:
    """ARP asks the routes of the packet that came in (arp_process)."""
    host = tutorial()["host"]
    late = (PolicyRule(100, 4, table=7, mask=0, iif=way_in), PolicyRule(200, 4, table=255, mask=0), PolicyRule(32766, 4, table=254, mask=0))
    routes = (*host.routes, via("0.0.0.0/0", "203.0.113.1", 4, table=7))
    found = predict(edited(tutorial(), "host", routes=routes, rules=late), probe("red", "10.0.0.1"), ask=False)
    assert isinstance(found, Prediction)
    assert (None if found.stop is None else found.stop.code) == code


def test_a_rule_that_passes_over_all_between_makes_them_idle() -> None:
    host = tutorial()["host"]
    led = (PolicyRule(90, 4, "goto", mask=0, goto=32766), PolicyRule(100, 4, table=1, mask=0, iif="br0"))
    routes = (*(each for each in host.routes if not each.is_default), via("0.0.0.0/0", "203.0.113.1", 4, table=1))
    cause = chosen(edited(tutorial(), "host", routes=routes, rules=sorted_rules(*host.rules, *led)), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("rule-wrong-table", ["ip rule del pref 90 from all goto 32766"])
