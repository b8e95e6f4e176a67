"""Lists of what is let through: one entry is missing, is for a port or network of before, or is there for one way alone."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, tutorial, via
from test_beside import chosen, kernel, lines
from test_published import cause as of_a_port
from test_published import fix

from netprobe.diagnose.repair.candidates import values
from netprobe.model import Chain, Rule, Ruleset, Snapshot, Socket, Statement, Table, Term
from netprobe.rules.read.iptables_save import read_save

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


FOR_EACH = """*filter
:FORWARD DROP [0:0]
:ADMIN - [0:0]
-A FORWARD -j ADMIN
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ADMIN -d 172.17.0.{other}/32 -p tcp -m tcp --dport 443 -m conntrack --ctstate NEW -j ACCEPT
COMMIT"""


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (3, ["iptables -A ADMIN -d 172.17.0.2/32 -p tcp -m tcp --dport 8080 -m conntrack --ctstate NEW -j ACCEPT"]),
        (2, ["iptables -I FORWARD -i br0 -o docker0 -j ACCEPT"]),  # it is for the same one
    ],
)
def test_what_is_let_through_one_by_one_lacks_one(other: int, says: list[str]) -> None:
    """Of one that is beside it: CNI and Docker write a rule for each container."""
    listening = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    said = of_a_port(edited(listening, "host", ruleset=iptables(FOR_EACH.format(other=other))), "red", "172.17.0.2", 8080)
    assert fix(said) == says


def test_a_station_elsewhere_is_no_pattern() -> None:
    listening = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    elsewhere = FOR_EACH.replace("172.17.0.{other}", "10.0.0.3")
    said = of_a_port(edited(listening, "host", ruleset=iptables(elsewhere)), "red", "172.17.0.2", 8080)
    assert fix(said) == ["iptables -I FORWARD -i br0 -o docker0 -j ACCEPT"]


ALLOWED = """*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT DROP [0:0]
:my-input - [0:0]
:my-output - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -j my-input
-A OUTPUT -j my-output
-A OUTPUT -o eth0 -j ACCEPT
-A my-input -s 172.17.0.0/16 -i {door} -j ACCEPT
COMMIT"""


@pytest.mark.parametrize(
    ("door", "says"),
    [
        ("docker0", "iptables -A my-output -d 172.17.0.0/16 -o docker0 -j ACCEPT"),
        ("br0", "iptables -I OUTPUT -o docker0 -p icmp -j ACCEPT"),  # another one's
    ],
)
def test_who_may_come_in_may_be_asked(door: str, says: str) -> None:
    cause = chosen(edited(tutorial(), "host", ruleset=iptables(ALLOWED.format(door=door))), "host", "172.17.0.2")
    assert lines(cause) == [says]


def test_who_may_come_in_may_be_asked_in_nft() -> None:
    came = Statement("match", Term("key", "meta iifname"), "==", Term("value", '"docker0"'))
    near = Statement("match", Term("key", "ip saddr"), "==", Term("value", "172.17.0.0/16"))
    rule = Rule(1, 'iifname "docker0" ip saddr 172.17.0.0/16 accept', (came, near, Statement("accept")), handle=5)
    chains = (Chain("in", (rule,), "input"), Chain("out", (), "output", policy="drop"))
    snapshot = edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "ip", "fw", chains),)))
    said = 'nft add rule ip fw out oifname "docker0" ip daddr 172.17.0.0/16 accept'
    assert lines(chosen(snapshot, "host", "172.17.0.2")) == [said]


ANSWERS = """*filter
:FORWARD DROP [0:0]
-A FORWARD -i br0 -j ACCEPT
-A FORWARD -s 10.217.0.0/16 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT"""


def test_the_answers_of_a_network_of_before_are_let_through() -> None:
    cause = chosen(edited(tutorial(), "host", ruleset=iptables(ANSWERS)), "red", "172.17.0.2")
    assert lines(cause) == ["iptables -R FORWARD 2 -s 172.17.0.0/16 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"]


@pytest.mark.parametrize(
    ("routes", "network"),
    [(("10.11.1.5/32", "10.11.2.0/24"), "10.11.0.0/16"), (("10.11.1.5/32",), "10.11.1.5"), (("10.12.2.0/24",), "10.11.1.5")],
)
def test_a_network_in_parts_is_as_long_as_the_one_before(routes: tuple[str, ...], network: str) -> None:
    """A node leads to each of its pods alone, and to those of each other node as to a network."""
    host = tutorial()["host"]
    written = tuple(replace(via(each, None, 5), protocol="static") for each in routes)
    node = edited(tutorial(), "host", routes=(*host.routes, *written))["host"]
    assert values.instead(node, "10.217.0.0/16", "10.11.1.5") == network


def test_a_source_that_a_router_gave_is_no_station_of_a_list() -> None:
    """c1 lets c2 in, and sees the router for all that comes from elsewhere."""
    to_c1 = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o docker0 -j MASQUERADE\nCOMMIT"
    lets_in = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 172.17.0.3/32 -j ACCEPT\nCOMMIT"
    there = edited(edited(tutorial(), "host", ruleset=iptables(to_c1)), "c1", ruleset=iptables(lets_in))
    assert not any("-A INPUT -s 172.17.0.1" in line for line in lines(chosen(there, "red", "172.17.0.2")))


LISTS = """*filter
:OUTPUT ACCEPT [0:0]
:OUT - [0:0]
:VPN - [0:0]
:LAN - [0:0]
-A OUTPUT -j OUT
-A OUT -o lo -j ACCEPT
-A OUT -j VPN
-A OUT -j LAN
-A OUT -j DROP
-A VPN -d 192.0.2.7/32 -p udp -m udp --dport 2049 -j ACCEPT
-A LAN -d {known} -j ACCEPT
COMMIT"""


@pytest.mark.parametrize(("known", "new"), [("224.0.0.0/4", "172.17.0.0/16"), ("192.0.2.1/32", "172.17.0.3")])
def test_a_list_of_networks_before_all_else_is_refused_gets_the_one_beside(known: str, new: str) -> None:
    routes = (*(each for each in tutorial()["c1"].routes if each.dst != "172.17.0.0/16"), kernel("172.17.0.0/16", 2))
    cause = chosen(edited(tutorial(), "c1", routes=routes, ruleset=iptables(LISTS.format(known=known))), "c1", "172.17.0.3")
    assert lines(cause) == [f"iptables -A LAN -d {new} -j ACCEPT"]
