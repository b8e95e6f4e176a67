"""The mark of a packet and that of its connection, one in the place of the other."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial, via
from test_policy_siblings import sorted_rules
from test_repair_whole import ask, chosen, said

from netprobe.model import Chain, PolicyRule, Rule, Ruleset, Snapshot, Table
from netprobe.rules.read.nft_text import rule_statements

GIVE, KEEP = "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", "-j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff"
BY_NFT = ("ct mark & 0x000000ff != 0x00000000 meta mark set ct mark accept", 'iifname "eth0" meta mark set 0x00000001')
KEPT = "meta mark & 0x000000ff != 0x00000000 ct mark set meta mark"


def by_marks(ruleset: Ruleset) -> Snapshot:
    """What came in by eth0 is to be answered by eth0; all else leaves by br0, to red, who leads nothing on."""
    host = tutorial()["host"]
    routes = (*(each for each in host.routes if not each.is_default), via("0.0.0.0/0", "203.0.113.1", 4, table=1))
    networks = PolicyRule(50, 4, table=254, mask=0, suppress_prefixlen=0)
    rules = sorted_rules(*host.rules, networks, PolicyRule(100, 4, table=1, mark=0x1, mask=0xFF))
    internet = tutorial()["internet"]
    known = (*internet.routes, via("172.17.0.0/16", "203.0.113.2", 2, source="8.8.8.8"))
    network = edited(tutorial(), "internet", routes=known)
    return edited(network, "host", routes=routes, rules=rules, ruleset=ruleset)


def by_iptables(*rules: str) -> Snapshot:
    lines = "\n".join(f"-A PREROUTING {each}" for each in rules)
    return by_marks(iptables(f"*mangle\n:PREROUTING ACCEPT [0:0]\n{lines}\nCOMMIT\n"))


def by_nft(*rules: str) -> Snapshot:
    made = tuple(Rule(at, each, tuple(rule_statements(each)), handle=10 + at) for at, each in enumerate(rules, 1))
    return by_marks(Ruleset((), (Table("nft", "inet", "fw", (Chain("steer", made, "prerouting", priority=-150),)),)))


SETTING = "-i eth0 -m mark --mark 0x0/0xff -j MARK --set-xmark 0x1/0xff"


@pytest.mark.parametrize(
    ("rules", "fix"),
    [
        ((GIVE, SETTING, GIVE), f"-R PREROUTING 3 {KEEP}"),
        ((KEEP, SETTING, KEEP), f"-R PREROUTING 1 {GIVE}"),
        ((f"-m mark ! --mark 0x0/0xff {GIVE}", SETTING, KEEP), f"-R PREROUTING 1 -m connmark ! --mark 0x0/0xff {GIVE}"),
    ],
)
def test_of_keeping_a_mark_and_giving_it_back_both_are_needed(rules: tuple[str, ...], fix: str) -> None:
    assert said(chosen(by_iptables(*rules), ask("internet", "172.17.0.2"))) == [f"host: iptables -t mangle {fix}"]


@pytest.mark.parametrize(
    ("rules", "handle", "meant"),
    [
        ((*BY_NFT, KEPT.replace("ct mark set meta mark", "meta mark set ct mark")), 13, KEPT),
        ((BY_NFT[0].replace("ct mark &", "meta mark &"), BY_NFT[1], KEPT), 11, BY_NFT[0]),
        ((BY_NFT[0].replace("meta mark set ct mark", "ct mark set meta mark"), BY_NFT[1], KEPT), 11, BY_NFT[0]),
    ],
)
def test_the_same_of_nft(rules: tuple[str, ...], handle: int, meant: str) -> None:
    assert said(chosen(by_nft(*rules), ask("internet", "172.17.0.2"))) == [f"host: nft replace rule inet fw steer handle {handle} {meant}"]


def test_a_mark_that_nothing_gives_back_is_the_packet_s() -> None:
    network = by_iptables("-i br0 -j CONNMARK --set-xmark 0x1/0xff")
    assert said(chosen(network, ask("red", "8.8.8.8"))) == ["host: iptables -t mangle -R PREROUTING 1 -i br0 -j MARK --set-xmark 0x1/0xff"]


def test_a_mark_from_a_map_that_nothing_gives_back_is_the_packet_s() -> None:
    network = by_nft('ct mark set iifname map { "br0" : 0x00000001 }')
    assert said(chosen(network, ask("red", "8.8.8.8"))) == [
        'host: nft replace rule inet fw steer handle 11 meta mark set iifname map { "br0" : 0x00000001 }'
    ]


def test_a_zone_is_no_mark_that_another_way_in_lacks() -> None:
    network = by_nft('iifname "docker0" ct zone set 7')
    assert not any("zone" in line for line in said(chosen(network, ask("red", "8.8.8.8"))))


ASKED_BY_ETH0 = "-i eth0 -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x1/0xffffffff"
BACK = "-m conntrack --ctdir reply -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff"


@pytest.mark.parametrize("marking", [(ASKED_BY_ETH0,), ("-i eth0 -j MARK --set-xmark 0x1/0xff", "-j CONNMARK --save-mark")])
def test_what_marks_connections_wants_a_rule_that_gives_answers_their_mark(marking: tuple[str, ...]) -> None:
    """A port published at one of two uplinks: its answers left by the other one."""
    told = chosen(by_iptables(*marking), ask("internet", "172.17.0.2"))
    assert said(told) == [f"host: iptables -t mangle -I PREROUTING {BACK}"]
    assert (told.stop.code, told.stop.place.namespace) == ("reply-wrong-path", "host")


def test_of_what_the_host_answers_itself_the_mark_is_given_at_output() -> None:
    """Which has a way at first, a wrong one: who has none sends nothing that rules could mark."""
    network = by_iptables(ASKED_BY_ETH0)
    network = edited(network, "host", routes=(*network["host"].routes, via("0.0.0.0/0", "10.0.0.2", 2)))
    told = chosen(network, ask("internet", "172.17.0.1"))
    assert said(told) == [f"host: iptables -t mangle -I OUTPUT {BACK}"]


def test_the_same_of_nft_where_its_table_has_a_chain_for_it() -> None:
    marking = ('iifname "eth0" ct state new ct mark set 0x00000001',)
    line = "host: nft add rule inet fw steer ct direction reply meta mark set ct mark"
    assert said(chosen(by_nft(*marking), ask("internet", "172.17.0.2"))) == [line]
    assert line not in said(chosen(by_nft(*marking), ask("internet", "172.17.0.1")))


def test_where_marks_are_given_back_no_rule_is_missing() -> None:
    told = said(chosen(by_iptables(ASKED_BY_ETH0, "-i docker9 -j CONNMARK --restore-mark"), ask("internet", "172.17.0.2")))
    assert not any("-I PREROUTING -m conntrack" in line for line in told)
