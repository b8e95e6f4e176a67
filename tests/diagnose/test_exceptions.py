"""An exception that stands too late, is missing one way, or is missing where others of its kind are there: it is put right, and what it
is excepted from stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from networks import RULES, edited, local, probe, relinked, tutorial, via, with_link_locals
from test_beside import chosen, lines
from test_meant import tables
from test_sets import by_iptables

from netprobe.diagnose.apply import carry_out
from netprobe.diagnose.repair import choice
from netprobe.model import (
    BridgePort,
    Chain,
    Command,
    Endpoint,
    FdbEntry,
    InterfaceAddress,
    NamedSet,
    Nexthop,
    PolicyRule,
    Protocol,
    Route,
    Rule,
    Ruleset,
    Snapshot,
    Statement,
    Table,
    Term,
    XfrmPolicy,
)
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save
from netprobe.rules.read.nft_text import rule_statements


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("-A INPUT -s 10.0.0.0/8 -j DROP", "-A INPUT -s 10.0.0.0/16 -j ACCEPT"),
        ("-A INPUT -s 10.0.0.0/8 -j REJECT", "-A INPUT -s 10.0.0.2/32 -p icmp -j ACCEPT"),
        ("-A INPUT -i eth0 -j DROP", "-A INPUT -i eth0 -p icmp -j ACCEPT"),
        ("-A INPUT -s 10.0.0.0/8 -g CLOSED", "-A INPUT -s 10.0.0.2/32 -g OPEN"),
        ("-A INPUT -s 10.0.0.0/8 -j CLOSED", "-A INPUT -s 10.0.0.2/32 -j OPEN"),
    ],
)
def test_a_rule_for_less_comes_before_the_one_that_takes_all_of_it(first: str, later: str) -> None:
    chains = (":CLOSED - [0:0]", ":OPEN - [0:0]", "-A CLOSED -j DROP", "-A OPEN -p icmp -j ACCEPT")
    cause = chosen(by_iptables(*chains, "-A INPUT -p udp -j ACCEPT", first, later), "red", "172.17.0.2")
    words = later.removeprefix("-A INPUT ")
    assert lines(cause) == [f"iptables -D INPUT {words}", f"iptables -I INPUT 2 {words}"]
    assert cause.thing.id == "iptables filter INPUT 3"


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("-A INPUT -s 10.0.0.0/16 -j DROP", "-A INPUT -s 10.0.0.0/8 -j ACCEPT"),  # for more
        ("-A INPUT -s 10.0.0.0/16 -j DROP", "-A INPUT -p icmp -j ACCEPT"),  # for something else
        ("-A INPUT -s 10.0.0.0/16 -m limit --limit 1/sec --limit-burst 1 -j DROP", "-A INPUT -s 10.0.0.2/32 -j DROP"),
    ],
)
def test_a_rule_that_is_for_more_or_for_something_else_stays_where_it_is(first: str, later: str) -> None:
    cause = chosen(by_iptables(first, later), "red", "172.17.0.2")
    assert not [line for line in lines(cause) if line.startswith("iptables -I INPUT ")]


def test_a_chain_that_refuses_only_some_leaves_the_rest_to_the_rules_behind_it() -> None:
    """Docker's order: what its chain is for, and then what a bridge's own stations send each other."""
    rules = (":SOME - [0:0]", "-A SOME -p icmp -j REJECT", "-A INPUT -s 10.0.0.0/8 -j SOME", "-A INPUT -s 10.0.0.0/16 -j ACCEPT")
    cause = chosen(by_iptables(*rules), "red", "172.17.0.2")
    assert (cause.thing.id, lines(cause)) == ("iptables filter SOME 1", ["iptables -D SOME -p icmp -j REJECT"])


@pytest.mark.parametrize(
    ("later", "wanted"),
    [
        ("-A POSTROUTING -s 10.0.0.0/16 -o docker0 -j ACCEPT", "10.0.0.0/16"),
        ("-A POSTROUTING -s 10.0.0.2/32 -o docker0 -j SNAT --to-source 203.0.113.2", "203.0.113.2"),
    ],
)
def test_a_translation_for_less_comes_before_the_one_for_all(later: str, wanted: str) -> None:
    nat = tables("-A POSTROUTING -o docker0 -j MASQUERADE", later, table="nat")
    snapshot = by_iptables(f"-A INPUT -s {wanted} -j ACCEPT", policy="DROP")
    cause = chosen(edited(snapshot, "host", ruleset=Ruleset(tables=nat, queues=())), "red", "172.17.0.2")
    words = later.removeprefix("-A POSTROUTING ")
    told = ["iptables -t nat -D POSTROUTING", "iptables -t nat -I POSTROUTING 1"]
    assert (cause.code, lines(cause)) == ("nat-wrong-address", [f"{each} {words}" for each in told])


PUBLISHED = "-A PREROUTING -d 203.0.113.2/32 -j DNAT --to-destination 172.17.0.2"


def published(filtering: Sequence[Table]) -> Snapshot:
    nat = tables(PUBLISHED, table="nat")
    return edited(tutorial(), "host", ruleset=Ruleset(tables=(*nat, *filtering), queues=()))


def test_what_lets_in_what_is_published_comes_before_what_refuses() -> None:
    accepting = "-m conntrack --ctstate DNAT -j ACCEPT"
    shut = ":SHUT - [0:0]", "-A SHUT -j REJECT", "-A FORWARD -i eth0 -j ACCEPT", "-A FORWARD -o docker0 -j SHUT"
    cause = chosen(published(tables(*shut, f"-A FORWARD {accepting}", "-A FORWARD -i docker0 -j ACCEPT")), "red", "203.0.113.2")
    assert lines(cause) == [f"iptables -D FORWARD {accepting}", f"iptables -I FORWARD {accepting}"]


def test_the_same_of_nft() -> None:
    said = ("ct state established accept", "oifname docker0 jump shut", "ct status dnat accept", "drop", "reject")
    *rules, last = (Rule(n, text, tuple(rule_statements(text)), handle=n) for n, text in enumerate(said, 1))
    chain, shut = Chain("forward", tuple(rules), "forward"), Chain("shut", (last,))
    cause = chosen(published((Table("nft", "inet", "fw4", (chain, shut)),)), "red", "203.0.113.2")
    assert lines(cause)[1] == "nft insert rule inet fw4 forward ct status dnat accept"


TUNNEL = "tmpl src 10.0.0.2 dst 203.0.113.1 proto esp mode tunnel"
OUT = XfrmPolicy("out", "10.0.0.2/32", "0.0.0.0/0", "allow", (TUNNEL,), "everything", 2000, keyed=False)


@pytest.mark.parametrize("priority", [0, 1000])
def test_an_exception_from_ipsec_that_one_direction_has_is_given_the_other(priority: int) -> None:
    known = XfrmPolicy("in", "8.8.8.0/24", "10.0.0.0/16", "allow", priority=priority)
    cause = chosen(edited(tutorial(), "red", xfrm=(OUT, known)), "red", "8.8.8.8")
    number = f" priority {priority}" if priority else ""
    assert cause.code == "xfrm-policy-block"
    assert lines(cause) == [f"ip xfrm policy add src 10.0.0.0/16 dst 8.8.8.0/24 dir out{number}"]


def test_an_exception_from_ipsec_for_others_says_nothing() -> None:
    known = XfrmPolicy("in", "9.9.9.0/24", "10.0.0.0/16", "allow")
    cause = chosen(edited(tutorial(), "red", xfrm=(OUT, known)), "red", "8.8.8.8")
    assert lines(cause) == ["ip xfrm policy delete src 10.0.0.2/32 dst 0.0.0.0/0 dir out"]


@pytest.mark.parametrize(("port", "words"), [({}, ""), ({"dport": (8, 0xFFFF)}, None), ({"sport": (8, 0xFFFF)}, " type 8")])
def test_a_policy_for_one_protocol_is_about_no_other_and_is_forgotten_by_all_that_it_selects(
    port: dict[str, tuple[int, int]], words: str | None
) -> None:
    """Of ICMP the ports are type and code (net/xfrm: xfrm_flowi_sport)."""
    policies = tuple(XfrmPolicy("out", "0.0.0.0/0", "8.8.8.8/32", "block", protocol=number, **port) for number in (17, 1))
    broken = edited(tutorial(), "red", xfrm=policies)
    if words is None:
        assert predict(broken, probe("red", "8.8.8.8"), ask=False).passes
        return
    fix = f"ip xfrm policy delete src 0.0.0.0/0 dst 8.8.8.8/32 proto 1{words} dir out"
    assert lines(chosen(broken, "red", "8.8.8.8")) == [fix]


def test_what_is_blocked_for_want_of_any_policy_passes_by_default_again() -> None:
    every = tuple(XfrmPolicy("fwd", whole, whole, "block", default=True) for whole in ("0.0.0.0/0", "::/0"))
    cause = chosen(edited(tutorial(), "host", xfrm=every), "red", "8.8.8.8")
    assert lines(cause) == ["ip xfrm policy setdefault fwd accept"]
    let = XfrmPolicy("fwd", "0.0.0.0/0", "0.0.0.0/0", "allow", priority=2000)
    assert predict(edited(tutorial(), "host", xfrm=(*every, let)), probe("red", "8.8.8.8"), ask=False).passes


FAR = Nexthop(4, "203.0.113.9")


def with_a_table(*routes: Route) -> Snapshot:
    """host asks table 220, with a default route to a gateway that is gone, before main."""
    own = tuple(replace(route, protocol="kernel") if route.nexthops[0].via is None else route for route in tutorial()["host"].routes)
    into = Route("0.0.0.0/0", table=220, nexthops=(FAR,))
    rules = (PolicyRule(220, 4, table=220), *RULES)
    return edited(tutorial(), "host", routes=(*own, into, *routes), rules=rules)


def thrown(dst: str) -> Route:
    return Route(dst, "throw", table=220)


@pytest.mark.parametrize("lacking", [(), (Route("172.17.0.0/16", table=220, nexthops=(FAR,)),)])
def test_a_network_beside_is_thrown_back_to_main_as_others_are(lacking: tuple[Route, ...]) -> None:
    snapshot = with_a_table(thrown("10.0.0.0/16"), thrown("203.0.113.0/24"), *lacking)
    cause = chosen(snapshot, "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("rule-wrong-table", ["ip route replace throw 172.17.0.0/16 table 220"])


def by_hand(*known: tuple[int, str]) -> Snapshot:
    """The ports of docker0 neither learn nor are flooded to; those of these indexes have entries."""
    snapshot = tutorial()
    for name in ("vethc1", "vethc2"):
        snapshot = relinked(snapshot, "host", name, port=BridgePort(learning=False, unicast_flood=False))
    return edited(snapshot, "host", fdb=tuple(FdbEntry(index, mac, 5, state="static") for index, mac in known))


def test_a_station_without_an_entry_gets_one_where_others_have_theirs() -> None:
    others, own = tutorial()["c2"].links[1].mac, tutorial()["c1"].links[1].mac
    cause = chosen(by_hand((7, others)), "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("port-flood-off", [f"bridge fdb add {own} dev vethc1 master static"])


def test_without_such_entries_the_port_is_what_is_off() -> None:
    assert lines(chosen(by_hand(), "red", "172.17.0.2")) == ["bridge link set dev vethc1 flood on"]


def with_ipv6(*elsewhere: str) -> Snapshot:
    """red asks the internet by host's address, which failed duplicate address detection; these are internet's and c1's."""
    snapshot = with_link_locals(tutorial())
    failed = InterfaceAddress(2, "fd00:10::1", 64, flags=("dadfailed", "tentative"))
    own = InterfaceAddress(2, "fd00:10::2", 64)
    near = via("fd00:10::/64", None, 2)
    snapshot = edited(snapshot, "host", addresses=(*snapshot["host"].addresses, failed), routes=(*snapshot["host"].routes, near))
    return edited(snapshot, "red", addresses=(*snapshot["red"].addresses, own), routes=(*snapshot["red"].routes, near))


def test_an_address_that_nobody_else_has_any_more_is_given_anew() -> None:
    cause = chosen(with_ipv6(), "red", "fd00:10::1")
    assert cause.code == "addr-dad-failed"
    assert lines(cause) == [f"ip address {what} fd00:10::1/64 dev br0" for what in ("del", "add")]


@pytest.mark.parametrize(("element", "line"), [
    ("fd00::/8", "nft delete element inet fw bogons { fd00::/8 }"),
    ("fec0::/10", "nft delete rule inet fw input handle 2"),
])  # fmt: skip
def test_what_asks_for_neighbours_is_taken_out_of_a_set_of_bogons(element: str, line: str) -> None:
    bogons = NamedSet("bogons", ("ipv6_addr",), flags=("interval",), elements=(Term("value", "fe80::/10"), Term("value", element)))
    said = ("ip6 saddr @bogons drop", "ip6 saddr fd00::/8 drop")[element != "fd00::/8" :]
    rule = Rule(1, said[0], tuple(rule_statements(said[0])), handle=2)
    fw = Table("nft", "inet", "fw", (Chain("input", (rule,), "input"),), sets=(bogons,))
    snapshot = with_link_locals(tutorial())
    for name, address in (("red", "fd00:10::2"), ("host", "fd00:10::1")):
        own, near = InterfaceAddress(2, address, 64), via("fd00:10::/64", None, 2)
        snapshot = edited(
            snapshot, name, addresses=(*snapshot[name].addresses, own), routes=(*snapshot[name].routes, near, *local(address)[1:])
        )
    failing = edited(snapshot, "host", ruleset=Ruleset((), (fw,)))
    cause = chosen(failing, "red", "fd00:10::1")
    assert lines(cause) == [line]


@pytest.mark.parametrize(
    ("element", "lacks"),
    [("10.0.0.9", True), ("10.0.0.0/30", False)],
)
def test_a_sender_that_a_map_of_marks_lacks(element: str, lacks: bool) -> None:
    host = tutorial()["host"]
    marks = NamedSet("wan", ("ipv4_addr",), "mark", elements=(Term("pair", args=(Term("value", element), Term("value", "0x00000001"))),))
    text = "meta mark set ip saddr map @wan"
    chain = Chain("pre", (Rule(1, text, tuple(rule_statements(text)), handle=2),), "prerouting", -150)
    table = Table("nft", "ip", "pbr", (chain,), sets=(marks,))
    out = tuple(replace(each, table=101 if lacks else 102) if each.dst == "0.0.0.0/0" else each for each in host.routes)
    ruleset = Ruleset(host.ruleset.blind, (*host.tables, table), queues=()) if host.ruleset else Ruleset((), (table,))
    cause = chosen(
        edited(tutorial(), "host", ruleset=ruleset, routes=out, rules=(PolicyRule(100, 4, table=101, mark=1), *RULES)), "red", "8.8.8.8"
    )
    assert (lines(cause)[0] == "nft add element ip pbr wan { 10.0.0.2 : 0x00000001 }") is lacks
    assert cause.code == "rule-wrong-table"


def of_ports(*rules: str) -> Snapshot:
    """red gives what is not marked to a table whose gateway is gone, and marks some of what it sends."""
    red = tutorial()["red"]
    lines = ("*mangle", ":PREROUTING ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", *rules, "COMMIT", "")
    away = (PolicyRule(100, 4, table=205, mark=57841, inverted=True), *RULES)
    into = Route("0.0.0.0/0", table=205, nexthops=(Nexthop(2, "10.0.0.9"),))
    marking = Ruleset(tables=tuple(read_save("\n".join(lines), "iptables", "ip")), queues=())
    return edited(tutorial(), "red", ruleset=marking, rules=away, routes=(*red.routes, into))


def by_tcp(snapshot: Snapshot, port: int) -> list[str]:
    asked = replace(
        probe("red", "8.8.8.8", Protocol.TCP, source_port=40000),
        icmp_id=None,
        destination=Endpoint("8.8.8.8", address="8.8.8.8", port=port),
    )
    found = predict(snapshot, asked, ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    return lines(choice.choose(snapshot, found, found.stop).stop)


MARKS = "-A OUTPUT -p tcp -m tcp --dport {} -j MARK --set-xmark 0xe1f1/0xffffffff"


def test_a_port_that_is_not_marked_as_another_one_is_gets_its_rule() -> None:
    rule = MARKS.format(22).removeprefix("-A ")
    assert by_tcp(of_ports(MARKS.format(443)), 22) == [f"iptables -t mangle -A {rule}"]


def test_the_port_of_one_connection_is_not_marked_as_that_of_a_service() -> None:
    assert not any("40000" in line for line in by_tcp(of_ports(MARKS.format(443).replace("--dport", "--sport")), 22))


def test_rules_that_mark_other_things_say_nothing_of_ports() -> None:
    other = "-A OUTPUT -d 192.0.2.0/24 -j MARK --set-xmark 0xe1f1/0xffffffff"
    assert by_tcp(of_ports(other), 22)[0].startswith("ip rule del")


def forwarding(*rules: str) -> Snapshot:
    return edited(tutorial(), "host", ruleset=Ruleset(tables=tables(*rules), queues=()))


def test_a_port_that_is_open_by_the_other_protocol_is_opened_by_this_one() -> None:
    """Not the isolation of the network goes, and nothing else is let through."""
    opened = "-A FORWARD -d 8.8.8.8/32 -i br0 -p udp -m udp --dport 53 -j ACCEPT"
    answers = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    snapshot = forwarding(answers, opened, "-A FORWARD -i br0 -o eth0 -j DROP")
    assert by_tcp(snapshot, 53) == ["iptables -I FORWARD 2 -d 8.8.8.8/32 -i br0 -p tcp -m tcp --dport 53 -j ACCEPT"]


def test_another_port_says_nothing() -> None:
    opened = "-A FORWARD -d 8.8.8.8/32 -i br0 -p udp -m udp --dport 53 -j ACCEPT"
    assert not by_tcp(forwarding(opened, "-A FORWARD -i br0 -o eth0 -j DROP"), 443)[0].endswith("--dport 53 -j ACCEPT")


def test_a_binding_of_arp_that_is_missing_is_added() -> None:
    """c1's port is bound to an address that c1 does not have."""
    pair = Term("concat", args=(Term("value", "vethc1"), Term("value", "172.17.0.9")))
    looked = Term("concat", args=(Term("key", "iifname"), Term("key", "arp saddr ip")))
    bound = Statement("match", looked, "==", Term("ref", "bindings"))
    text = "ether type arp iifname vethc1 drop"
    rules = (Rule(1, "", (bound, Statement("accept")), handle=1), Rule(2, text, tuple(rule_statements(text)), handle=2))
    bindings = NamedSet("bindings", ("ifname", "ipv4_addr"), elements=(pair,))
    dai = Table("nft", "bridge", "dai", (Chain("arpin", rules, "prerouting", -300),), sets=(bindings,))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset((), (dai,))), "red", "172.17.0.2")
    assert (cause.code, lines(cause)) == ("arp-filtered", ['nft add element bridge dai bindings { "vethc1" . 172.17.0.2 }'])


def test_a_default_route_that_refuses_goes_as_its_table_has_it_for_the_other_version() -> None:
    """red's table has a way out by IPv4, and by IPv6 nothing but an end; without it all would go by main."""
    snapshot = with_link_locals(tutorial())
    for name, address in (("red", "fd00:10::2"), ("host", "fd00:10::1")):
        own, near = InterfaceAddress(2, address, 64), via("fd00:10::/64", None, 2)
        snapshot = edited(
            snapshot, name, addresses=(*snapshot[name].addresses, own), routes=(*snapshot[name].routes, near, *local(address)[1:])
        )
    six = via("fd00:8::/64", None, 4)
    snapshot = edited(
        snapshot, "host", routes=(*snapshot["host"].routes, six), sysctls={"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
    )
    out = (Route("::/0", "unreachable", table=257, metric=1024), via("0.0.0.0/0", "10.0.0.1", 2, table=257), via("::/0", "fd00:10::1", 2))
    snapshot = edited(snapshot, "red", routes=(*snapshot["red"].routes, *out), rules=(PolicyRule(100, 6, table=257), *RULES))
    there = InterfaceAddress(2, "fd00:8::8", 64)
    back = (via("fd00:8::/64", None, 2), via("::/0", snapshot["host"].addresses_of(snapshot["host"].links[3], 6)[0].address, 2))
    internet = snapshot["internet"]
    snapshot = edited(
        snapshot, "internet", addresses=(*internet.addresses, there), routes=(*internet.routes, *back, *local("fd00:8::8")[1:])
    )
    cause = chosen(snapshot, "red", "fd00:8::8")
    assert (cause.code, lines(cause)) == (
        "route-unreachable",
        ["ip -6 route replace default via fd00:10::1 dev eth0 table 257 metric 1024"],
    )


def test_a_route_that_is_there_behind_another_one_cannot_take_its_place() -> None:
    """The kernel answers EEXIST (fib_table_insert)."""
    first, later = via("172.30.0.0/16", None, 4, source="203.0.113.2"), via("172.30.0.0/16", None, 2, source="10.0.0.1")
    snapshot = edited(tutorial(), "host", routes=(*tutorial()["host"].routes, first, later))
    words = Command.of("ip", "route", "replace", "172.30.0.0/16", "dev", "br0", "src", "10.0.0.1")
    assert carry_out(snapshot, "host", words) is None
    assert carry_out(snapshot, "host", replace(words, words=(*words.words[:-1], "172.17.0.1"))) is not None


def test_a_mark_without_a_mask_keeps_the_bits_by_which_others_are_routed() -> None:
    """host marks for its second way out, and then for something else; main leads to where nobody answers."""
    host = tutorial()["host"]
    marks = ("-A PREROUTING -i br0 -j MARK --set-xmark 0x200/0xff00", "-A PREROUTING -i br0 -j MARK --set-xmark 0x1/0xffffffff")
    lines_ = ("*mangle", ":PREROUTING ACCEPT [0:0]", *marks, "COMMIT", "")
    marking = Ruleset(tables=tuple(read_save("\n".join(lines_), "iptables", "ip")), queues=())
    away = tuple(via("0.0.0.0/0", "203.0.113.9", 4) if route.is_default else route for route in host.routes)
    rules = (PolicyRule(200, 4, table=2, mark=0x200, mask=0xFF00), *RULES)
    snapshot = edited(tutorial(), "host", ruleset=marking, routes=(*away, via("0.0.0.0/0", "203.0.113.1", 4, table=2)), rules=rules)
    cause = chosen(snapshot, "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == (
        "rule-wrong-table",
        ["iptables -t mangle -R PREROUTING 2 -i br0 -j MARK --set-xmark 0x1/0xffff00ff"],
    )


def test_a_rule_that_leads_to_a_table_in_which_nothing_is_means_the_one_to_which_none_leads() -> None:
    """All that was in one table is in another."""
    host = tutorial()["host"]
    away = tuple(via("0.0.0.0/0", "203.0.113.9", 4) if route.is_default else route for route in host.routes)
    rules = (RULES[0], PolicyRule(300, 4, table=3, mask=0, dst="8.8.8.0/24", protocol=1), *RULES[1:])
    moved = via("8.8.8.0/24", "203.0.113.1", 4, table=5)
    cause = chosen(edited(tutorial(), "host", routes=(*away, moved), rules=rules), "red", "8.8.8.8")
    old = "from all to 8.8.8.0/24 ipproto icmp lookup"
    assert (cause.code, lines(cause)) == ("rule-wrong-table", [f"ip rule del pref 300 {old} 3", f"ip rule add pref 300 {old} 5"])


def test_a_redirection_that_is_masqueraded_by_the_other_protocol_is_by_this_one() -> None:
    """c1 asks for a name server far away, is led to c2 beside it, and would get c2's own answer."""
    leading = [
        f"-A PREROUTING -i docker0 ! -d 172.17.0.3/32 -p {each} -m {each} --dport 53 -j DNAT --to-destination 172.17.0.3"
        for each in ("tcp", "udp")
    ]
    back = "-A POSTROUTING -s 172.17.0.0/16 -d 172.17.0.3/32 -p udp -m udp --dport 53 -j MASQUERADE"
    snapshot = edited(tutorial(), "host", ruleset=Ruleset(tables=tables(*leading, back, table="nat"), queues=()))
    asked = replace(
        probe("c1", "8.8.8.8", Protocol.TCP, source_port=40000), icmp_id=None, destination=Endpoint("8.8.8.8", address="8.8.8.8", port=53)
    )
    found = predict(snapshot, asked, ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    [line] = lines(choice.choose(snapshot, found, found.stop).stop)
    assert line == "iptables -t nat -I POSTROUTING 1 -s 172.17.0.0/16 -d 172.17.0.3/32 -p tcp -m tcp --dport 53 -j MASQUERADE"


def test_the_switch_that_hands_bridged_packets_to_iptables_is_told_behind_the_exception() -> None:
    """Engines want it on: an exception comes first."""
    switch = {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"}
    snapshot = edited(tutorial(), "host", ruleset=Ruleset(tables=tables(policy="DROP"), queues=()), sysctls=switch)
    found = predict(snapshot, probe("c1", "172.17.0.3"), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    chosen_ = choice.choose(snapshot, found, found.stop)
    assert chosen_.stop.code == "policy-drop"
    assert lines(chosen_.stop) == ["iptables -I FORWARD -i docker0 -o docker0 -j ACCEPT"]  # answers go between the same
    assert [lines(each.stop) for each in chosen_.others] == [["sysctl -w net.bridge.bridge-nf-call-iptables=0"]]
