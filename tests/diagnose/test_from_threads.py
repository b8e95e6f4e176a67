"""What programs write for each way, each list, each table: one entry of it is missing, too wide, or of what was before."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, tutorial, via
from test_beside import chosen, kernel, lines
from test_policy_siblings import sorted_rules, translating
from test_published import cause as of_a_port
from test_published import fix

from netprobe.model import Chain, InterfaceAddress, PolicyRule, Route, Rule, Ruleset, Snapshot, Socket, Statement, Table, Term
from netprobe.rules.read.iptables_save import read_save


def two_ways(*rules: PolicyRule) -> Snapshot:
    """Each way in is led to a table of its own with a default route; that of docker0 has the containers' network as well."""
    host = tutorial()["host"]
    near = via("172.17.0.0/16", None, 5, table=1, scope="link")
    mine = (via("0.0.0.0/0", "203.0.113.1", 4, table=1), near, via("0.0.0.0/0", "203.0.113.1", 4, table=2))
    known = (*(each for each in host.routes if each.dst != "172.17.0.0/16"), kernel("172.17.0.0/16", 5))
    return edited(tutorial(), "host", routes=(*known, *mine), rules=sorted_rules(*host.rules, *rules))


def test_a_table_lacks_a_network_that_the_others_of_its_kind_have() -> None:
    """Each way in has its own: br0 lacks no rule that leads to that of docker0."""
    rules = (PolicyRule(1001, 4, table=1, mask=0, iif="docker0"), PolicyRule(1002, 4, table=2, mask=0, iif="br0"))
    cause = chosen(two_ways(*rules), "red", "172.17.0.2")
    assert lines(cause) == ["ip route add 172.17.0.0/16 dev docker0 table 2"]


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


def test_a_rule_that_spares_too_much_spares_its_own_network() -> None:
    internet = tutorial()["internet"]
    routes = (*(each for each in internet.routes if each.dst != "10.0.0.0/16"), *via_loopback("10.77.0.5"))
    away = edited(tutorial(), "internet", routes=routes, addresses=(*internet.addresses, InterfaceAddress(1, "10.77.0.5", 32)))
    nat = translating("-A POSTROUTING -s 10.0.0.0/16 ! -d 10.0.0.0/8 -j MASQUERADE")
    cause = chosen(edited(away, "host", ruleset=nat), "red", "10.77.0.5")
    assert lines(cause) == ["iptables -t nat -R POSTROUTING 1 -s 10.0.0.0/16 ! -d 10.0.0.0/16 -j MASQUERADE"]


def via_loopback(address: str) -> tuple[Route, ...]:
    return (replace(via(f"{address}/32", None, 1), type="local", table=255),)


PUBLISHED = """*filter
:FORWARD DROP [0:0]
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -d {dst} -p tcp -m tcp --dport {port} -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080
COMMIT"""


@pytest.mark.parametrize(("dst", "port"), [("172.17.0.2/32", 80), ("203.0.113.2/32", 8080)])
def test_a_rule_that_accepts_what_is_published_is_to_accept_what_it_leads_to(dst: str, port: int) -> None:
    listening = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    said = of_a_port(edited(listening, "host", ruleset=iptables(PUBLISHED.format(dst=dst, port=port))), "internet", "203.0.113.2", 80)
    assert fix(said) == ["iptables -R FORWARD 2 -d 172.17.0.2/32 -p tcp -m tcp --dport 8080 -j ACCEPT"]


ASKED = ("-A FORWARD -i br0 -j ROUTES", "-A FORWARD -i br0 -j DROP")


def listed(*entries: str) -> Snapshot:
    text = "\n".join(("*filter", ":FORWARD ACCEPT [0:0]", ":ROUTES - [0:0]", *entries, *ASKED, "COMMIT", ""))
    return edited(tutorial(), "host", ruleset=Ruleset(tables=tuple(read_save(text, "iptables", "ip"))))


def test_a_list_of_what_is_let_through_gets_one_more() -> None:
    cause = chosen(listed("-A ROUTES -d 192.0.2.1/32 -j ACCEPT"), "red", "8.8.8.8")
    assert lines(cause) == ["iptables -A ROUTES -d 8.8.8.8 -j ACCEPT"]


def test_a_chain_that_does_other_things_is_no_list() -> None:
    cause = chosen(listed("-A ROUTES -d 192.0.2.1/32 -j ACCEPT", "-A ROUTES -s 192.0.2.9/32 -j DROP"), "red", "8.8.8.8")
    assert lines(cause) == ["iptables -D FORWARD -i br0 -j DROP"]


def test_a_list_in_nft() -> None:
    came = Statement("match", Term("key", "meta iifname"), "==", Term("value", "br0"))
    call = Rule(1, 'iifname "br0" jump routes', (came, Statement("jump", target="routes")), handle=7)
    rest = Rule(2, 'iifname "br0" drop', (came, Statement("drop")), handle=8)
    goal = Statement("match", Term("key", "ip daddr"), "==", Term("value", "192.0.2.1"))
    entry = Rule(1, "ip daddr 192.0.2.1 accept", (goal, Statement("accept")), handle=9)
    chains = (Chain("fwd", (call, rest), "forward"), Chain("routes", (entry,)))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "inet", "fw", chains),))), "red", "8.8.8.8")
    assert lines(cause) == ["nft add rule inet fw routes ip daddr 8.8.8.8 accept"]
