"""What programs write for each way, each list, each table: one entry of it is missing, too wide, or of what was before."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, port, tutorial, via
from test_beside import chosen, kernel, lines
from test_dispatched import dropping
from test_policy_siblings import sorted_rules, translating
from test_published import cause as of_a_port
from test_published import fix
from test_repair import lost_in

from netprobe.diagnose import nat_rules, source_nat
from netprobe.diagnose.repair.candidates import bridges, missing_routes, moved, stop, values
from netprobe.diagnose.repair.candidates.spared import instead as spared_ones
from netprobe.diagnose.repair.repair import Loss, Merit
from netprobe.model import (
    Chain,
    FdbEntry,
    InterfaceAddress,
    Link,
    LinkRef,
    NamedSet,
    PolicyRule,
    Route,
    Rule,
    Ruleset,
    Snapshot,
    Socket,
    Statement,
    Table,
    Term,
)
from netprobe.model.lookup import all_but, where
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


def test_a_rule_that_spares_one_host_is_for_no_part_of_that() -> None:
    """10.0.0.0/16 is no part of the one address that is spared: who did that meant it."""
    internet = tutorial()["internet"]
    routes = (*(each for each in internet.routes if each.dst != "10.0.0.0/16"), *via_loopback("10.77.0.5"))
    routes = (*routes, replace(via("10.0.0.2/32", None, 1), type="blackhole", nexthops=()))
    away = edited(tutorial(), "internet", routes=routes, addresses=(*internet.addresses, InterfaceAddress(1, "10.77.0.5", 32)))
    nat = translating("-A POSTROUTING -s 10.0.0.0/16 ! -d 10.77.0.5/32 -j MASQUERADE")
    cause = chosen(edited(away, "host", ruleset=nat), "red", "10.77.0.5")
    assert lines(cause) == ["ip route replace 10.0.0.2/32 via 203.0.113.2 dev eth0"]


def test_who_takes_the_asker_for_itself_by_a_route_needs_no_translation() -> None:
    nat = translating("-A POSTROUTING -s 10.0.0.0/16 -d 9.9.9.9/32 -j MASQUERADE")
    taken = edited(tutorial(), "c1", routes=(*tutorial()["c1"].routes, *via_loopback("10.0.0.2")))
    cause = chosen(edited(taken, "host", ruleset=nat), "red", "172.17.0.2")
    assert lines(cause) == ["ip route del local 10.0.0.2/32 dev lo"]


def via_loopback(address: str, length: int = 32) -> tuple[Route, ...]:
    return (replace(via(f"{address}/{length}", None, 1), type="local", table=255),)


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


MARKED = """*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i br0 -j MARK --set-xmark 0x1bd21/0xffffffff
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -i br0 -j DROP
{more}COMMIT"""


def test_a_mark_that_nothing_looks_at_was_for_a_rule_that_accepts_it() -> None:
    cause = chosen(edited(tutorial(), "host", ruleset=iptables(MARKED.format(more=""))), "red", "8.8.8.8")
    assert lines(cause) == ["iptables -I FORWARD 1 -m mark --mark 0x1bd21 -j ACCEPT"]


def test_a_mark_at_which_others_look_is_for_them() -> None:
    more = "-A FORWARD -m mark --mark 0x1bd21 -j ACCEPT\n"
    cause = chosen(edited(tutorial(), "host", ruleset=iptables(MARKED.format(more=more))), "red", "8.8.8.8")
    assert not any("-m mark" in line and "-I" in line for line in lines(cause))


def test_a_mark_in_nft() -> None:
    came = Statement("match", Term("key", "meta iifname"), "==", Term("value", "br0"))
    sets = Rule(1, "meta mark set 0x00000007", (came, Statement("set", Term("key", "meta mark"), right=Term("value", "7"))), handle=5)
    rest = Rule(1, 'iifname "br0" drop', (came, Statement("drop")), handle=8)
    chains = (Chain("pre", (sets,), "prerouting", priority=-150), Chain("fwd", (rest,), "forward"))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "ip", "fw", chains),))), "red", "8.8.8.8")
    assert lines(cause) == ["nft insert rule ip fw fwd position 8 meta mark 0x7 accept"]


def test_a_set_of_those_that_are_not_marked_gets_the_network() -> None:
    """What comes from br0 is marked for a way that is off, but for networks that are near."""
    host = tutorial()["host"]
    near = NamedSet("near", elements=(Term("value", "203.0.113.0/24"),), types=("ipv4_addr",))
    looks = Statement("match", Term("key", "ip daddr"), "==", Term("ref", "near"))
    unmarked = Statement("match", Term("key", "meta mark"), "==", Term("value", "0"))
    first = Rule(1, "ip daddr @near meta mark set 1", (looks, marks("1")), handle=5)
    came = Statement("match", Term("key", "meta iifname"), "==", Term("value", "br0"))
    rest = Rule(2, 'iifname "br0" meta mark 0 meta mark set 2', (came, unmarked, marks("2")), handle=6)
    table = Table("nft", "ip", "fw", (Chain("pre", (first, rest), "prerouting", priority=-150),), (near,))
    rules = sorted_rules(*host.rules, PolicyRule(2062, 4, action="unreachable", mark=2))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset((), (table,)), rules=rules), "red", "172.17.0.2")
    assert lines(cause) == ["nft add element ip fw near { 172.17.0.0/16 }"]


def marks(value: str) -> Statement:
    return Statement("set", Term("key", "meta mark"), right=Term("value", value))


def test_who_has_heard_a_router_is_to_hear_it_again() -> None:
    """The default route that comes then is no command's."""
    snapshot, key = with_ipv6(), "net.ipv6.conf.eth0"
    c1 = snapshot["c1"]
    deaf = {f"{key}.accept_ra": "1", f"{key}.forwarding": "1", "net.ipv6.conf.all.forwarding": "1"}
    own = (*c1.addresses, InterfaceAddress(2, "fd00:17::2", 64, flags=("dynamic",)))
    routes = (*c1.routes, kernel("fd00:17::/64", 2), *via_loopback("fd00:17::2", 128))
    cause = chosen(edited(snapshot, "c1", addresses=own, routes=routes, sysctls={**c1.sysctls, **deaf}), "c1", "2001:db8::8")
    assert (cause.code, lines(cause)) == ("ra-not-accepted", [f"sysctl -w {key}.accept_ra=2"])


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        ("boot", "ip -6 route add default via fd00:17::1 dev eth0"),
        ("ra", "sysctl -w net.ipv6.conf.eth0.accept_ra=2"),
    ],
)
def test_where_a_station_beside_was_given_its_default_route_no_router_announces_itself(protocol: str, says: str) -> None:
    snapshot, key = with_ipv6(), "net.ipv6.conf.eth0"
    deaf = {f"{key}.accept_ra": "1", f"{key}.forwarding": "1", "net.ipv6.conf.all.forwarding": "1"}
    for name in ("c1", "c2"):
        there, own = snapshot[name], f"fd00:17::{name}"
        routes = (*there.routes, kernel("fd00:17::/64", 2), *via_loopback(own, 128))
        addresses = (*there.addresses, InterfaceAddress(2, own, 64))
        snapshot = edited(snapshot, name, addresses=addresses, routes=routes, sysctls={**there.sysctls, **deaf})
    led = via("::/0", "fd00:17::1", 2, protocol=protocol)
    snapshot = edited(snapshot, "c2", routes=(*snapshot["c2"].routes, led))
    assert says in lines(chosen(snapshot, "c1", "2001:db8::8"))


def with_ipv6() -> Snapshot:
    """The host is a router of IPv6 beside c1, and has 2001:db8::8 itself."""
    host = tutorial()["host"]
    own = (*host.addresses, InterfaceAddress(5, "fd00:17::1", 64), InterfaceAddress(1, "2001:db8::8", 128))
    routes = (*host.routes, kernel("fd00:17::/64", 5), *via_loopback("2001:db8::8", 128), *via_loopback("fd00:17::1", 128))
    return edited(tutorial(), "host", addresses=own, routes=routes, sysctls={**host.sysctls, "net.ipv6.conf.all.forwarding": "1"})


def test_of_two_interfaces_on_a_segment_the_last_one_answers_first_and_is_to_keep_silent() -> None:
    """Host has a second interface on docker0's own segment, behind c2's cable, and lets the port in by the first alone."""
    c2 = tutorial()["c2"]
    lo, eth0 = c2.links
    links = (lo, eth0, Link(3, "eth1", "veth", "02:00:00:00:04:09", link=LinkRef(8, 0)))
    host = tutorial()["host"]
    ports = (*host.links, port(8, "vethc3", 3, 4, 5))
    snapshot = edited(tutorial(), "host", links=ports)
    rules = dropping("INPUT", "-A INPUT -i eth0 -j ACCEPT")
    cause = chosen(edited(snapshot, "c2", links=links, ruleset=rules), "c1", "172.17.0.3")
    assert (cause.code, lines(cause)) == (
        "addr-duplicate",
        ["sysctl -w net.ipv4.conf.eth1.arp_ignore=1", "ip neigh flush to 172.17.0.3 dev eth0"],
    )


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


@pytest.mark.parametrize(("rule", "empty"), [("", 1), ("-A mine -o eth0 -j MASQUERADE\n", 0)])
def test_a_chain_for_other_sources_that_has_no_rule_was_made_for_some(rule: str, empty: int) -> None:
    text = f"*nat\n:POSTROUTING ACCEPT [0:0]\n:mine - [0:0]\n-A POSTROUTING -j mine\n{rule}COMMIT"
    host = edited(tutorial(), "host", ruleset=iptables(text))["host"]
    assert source_nat.emptied(host, "10.0.0.2") == empty


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


def test_a_station_lacks_a_route_that_another_one_beside_it_has() -> None:
    c2, red = tutorial()["c2"], together()["red"]
    there = together(routes=(*red.routes, via("192.0.2.0/24", "172.17.0.3", 2)))
    addresses = (*c2.addresses, InterfaceAddress(1, "192.0.2.5", 32))
    there = edited(there, "c2", addresses=addresses, routes=(*c2.routes, *via_loopback("192.0.2.5")))
    assert lines(chosen(there, "c1", "192.0.2.5")) == ["ip route add 192.0.2.0/24 via 172.17.0.3 dev eth0"]


MARKS = """*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i br0 -p tcp -m tcp --dport 22 -j MARK --set-xmark 0x7/0xffffffff
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -m mark --mark 0x7 -j ACCEPT
-A FORWARD -i br0 -j REJECT
COMMIT"""


LED_ON = """*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:8080
COMMIT"""


def marking(rules: str, dst: str) -> list[str]:
    """What is said of port 8080 of c1 behind these rules, asked by its own address or another one."""
    listening = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    return fix(of_a_port(edited(listening, "host", ruleset=iptables(rules)), "red", dst, 8080))


def test_a_published_port_is_not_marked_as_another_one_that_is_let_through_by_its_mark() -> None:
    line = "iptables -t mangle -A PREROUTING -i br0 -p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x7/0xffffffff"
    assert marking(f"{LED_ON}\n{MARKS}", "203.0.113.2") == [line]
    assert line not in marking(MARKS, "172.17.0.2")  # nobody said that it is to be let through


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


def over(snapshot: Snapshot, source: str = "red", goal: str = "192.0.2.1") -> Loss:
    lost = lost_in(snapshot, source, goal)
    assert lost.stop is not None
    return Loss.of(snapshot, lost, lost.stop)


@pytest.mark.parametrize(
    ("protocol", "answers", "is_loose"),
    [("kernel", "0", True), ("static", "0", False), ("kernel", "1", False)],  # the last one: for the station behind it, as for a pod
)
def test_an_end_by_which_somebody_leads_was_not_moved_away(protocol: str, answers: str, is_loose: bool) -> None:
    host = tutorial()["host"]
    bare = tuple(each for each in host.addresses if each.index != 4)
    routes = (*(each for each in host.routes if not {*each.indexes} & {4}), replace(via("192.0.2.0/24", None, 4), protocol=protocol))
    sysctls = {**host.sysctls, "net.ipv4.conf.eth0.proxy_arp": answers}
    snapshot = edited(tutorial(), "host", addresses=bare, routes=routes, sysctls=sysctls)
    ends = [(name, snapshot[name].link_named("eth0")) for name in ("host", "internet")]
    loss = over(edited(snapshot, "red", routes=()))
    assert moved._is_loose(loss, *ends) is is_loose  # type: ignore[arg-type]


@pytest.mark.parametrize(("of", "is_astray"), [("c1", True), ("internet", False)])
def test_an_entry_leads_into_a_tunnel_where_its_station_is_here(of: str, is_astray: bool) -> None:
    host = tutorial()["host"]
    tunnel = Link(9, "vx0", "vxlan", "02:00:00:00:00:09", master=5)
    eth0 = tutorial()[of].link_named("eth0")
    assert eth0 is not None
    entry = FdbEntry(9, eth0.mac, 5, state="static")
    snapshot = edited(tutorial(), "host", links=(*host.links, tunnel), fdb=(entry,))
    loss = over(edited(snapshot, "red", routes=()))
    assert bridges._leads_astray(loss, snapshot["host"], entry, tunnel) is is_astray


def test_a_router_is_no_station_as_those_behind_it() -> None:
    """What red has is nothing that the host lacks, to which red sends all else."""
    c2, red = tutorial()["c2"], together()["red"]
    there = together(routes=(*red.routes, via("192.0.2.0/24", "172.17.0.3", 2)))
    addresses = (*c2.addresses, InterfaceAddress(1, "192.0.2.5", 32))
    there = edited(there, "c2", addresses=addresses, routes=(*c2.routes, *via_loopback("192.0.2.5")))
    loss = over(there, "host", "192.0.2.5")
    assert not [*missing_routes._as_others(loss, loss.prediction.routed[0])]


def test_who_refuses_what_has_no_mark_means_it() -> None:
    refusing = MARKS.replace("-A FORWARD -i br0 -j REJECT", "-A FORWARD -i br0 -m mark ! --mark 0x7 -j REJECT")
    assert not any("--dport 8080 -j MARK" in line for line in marking(f"{LED_ON}\n{refusing}", "203.0.113.2"))


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
