"""Connection tracking and translation within one hook and from one to the next."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import (
    ACCEPT,
    DROP,
    ETH0,
    MASQUERADE,
    WEB,
    decided,
    forwarded,
    iptables,
    nft_table,
)

from netprobe.model import ConntrackEntry, Flow, Protocol, Ruleset
from netprobe.rules import HookPacket, HookVerdict, Surroundings, traverse

WEB6 = Flow("fd00::2", "2001:db8::8", Protocol.TCP, sport=40000, dport=80)
AROUND = Surroundings(own_address=lambda _kind, link, _towards: "203.0.113.2" if link is ETH0 else "10.0.0.1")


def test_masquerade_takes_the_address_of_the_interface_out() -> None:
    ruling = traverse(iptables(MASQUERADE), "ip", "postrouting", forwarded(), around=AROUND)
    assert ruling.packet.flow.src == "203.0.113.2"
    [made] = ruling.translations
    assert (made.kind, made.decision and made.decision.object.id) == ("MASQUERADE", "iptables nat POSTROUTING 1")
    assert made.decision
    assert made.decision.object.kind == "nat-rule"
    assert ruling.packet.connection
    assert ruling.packet.connection.reply == ("8.8.8.8", "203.0.113.2", None, 7)


def test_the_reply_is_translated_back() -> None:
    after = traverse(iptables(MASQUERADE), "ip", "postrouting", forwarded(), around=AROUND).packet
    back = HookPacket(after.flow.reversed(), iif=ETH0, state="established", reply=True, connection=after.connection)
    ruling = traverse(iptables(MASQUERADE), "ip", "prerouting", back)
    assert ruling.packet.flow.dst == "10.0.0.2"
    assert [each.kind for each in ruling.translations] == ["SNAT undone"]


def test_an_accept_before_the_translation_ends_it() -> None:
    rules = iptables(MASQUERADE.replace("-A POST", "-A POSTROUTING -s 10.0.0.2/32 -j ACCEPT\n-A POST"))
    ruling = traverse(rules, "ip", "postrouting", forwarded(), around=AROUND)
    assert (ruling.packet.flow.src, ruling.translations) == ("10.0.0.2", ())
    assert [each.object.id for each in ruling.passed] == ["iptables nat POSTROUTING 1"]


def test_the_first_of_several_nat_chains_that_translates_wins() -> None:
    def chain(name: str, priority: int, *expressions: object) -> tuple[dict[str, object], ...]:
        head = {"chain": {"name": name, "handle": 1, "type": "nat", "hook": "postrouting", "prio": priority, "policy": "accept"}}
        return head, {"rule": {"chain": name, "handle": 10 + priority, "expr": list(expressions)}}

    rules = nft_table(
        *chain("b", 100, {"snat": {"addr": "1.1.1.1"}}), *chain("a", 90, ACCEPT), *chain("c", 110, {"snat": {"addr": "2.2.2.2"}})
    )
    ruling = traverse(rules, "ip", "postrouting", forwarded())
    assert ruling.packet.flow.src == "1.1.1.1"
    assert [each.chain for each in ruling.passed] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "says", "others"),
    [
        ("-j SNAT --to-source 1.1.1.1", HookVerdict.ACCEPT, []),  # either comes to the same
        ("-d 9.9.9.9/32 -j SNAT --to-source 2.2.2.2", HookVerdict.ACCEPT, []),  # it is for others
        ("-j SNAT --to-source 2.2.2.2", HookVerdict.UNDETERMINED, ["1.1.1.1", "2.2.2.2"]),
    ],
)
def test_which_of_two_engines_translates_first_cannot_be_seen(old: str, says: HookVerdict, others: list[str]) -> None:
    """The one whose table was made last; nothing tells which that is."""
    saved = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING {}\nCOMMIT"
    new, legacy = iptables(saved.format("-j SNAT --to-source 1.1.1.1")), iptables(saved.format(old), "iptables-legacy")
    ruling = traverse(Ruleset(tables=(*new.tables, *legacy.tables)), "ip", "postrouting", forwarded())
    assert (ruling.verdict, [each.packet.flow.src for each in ruling.alternatives]) == (says, others)


def test_a_drop_in_a_nat_chain_drops() -> None:
    head = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "postrouting", "prio": 90, "policy": "accept"}}
    ruling = traverse(nft_table(head, {"rule": {"chain": "p", "handle": 4, "expr": [DROP]}}), "ip", "postrouting", forwarded())
    assert decided(ruling)[:2] == ("drop", "nft inet t p handle 4")


def test_later_packets_pass_no_nat_rule() -> None:
    entry = ConntrackEntry("icmp", ("10.0.0.2", "8.8.8.8", 7, None), ("8.8.8.8", "203.0.113.2", None, 7))
    ruling = traverse(iptables(MASQUERADE), "ip", "postrouting", forwarded(state="established", connection=entry))
    assert (ruling.packet.flow.src, ruling.passed) == ("203.0.113.2", ())


def test_notrack_keeps_nat_away() -> None:
    rules = Ruleset(
        tables=(*iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CT --notrack\nCOMMIT").tables, *iptables(MASQUERADE).tables)
    )
    packet = traverse(rules, "ip", "prerouting", forwarded(state=None, oif=None)).packet
    assert packet.state == "untracked"
    ruling = traverse(rules, "ip", "postrouting", packet, around=AROUND)
    assert (ruling.packet.flow.src, ruling.translations) == ("10.0.0.2", ())


def test_a_zone_is_set_before_tracking_looks() -> None:
    zones: list[int] = []

    def track(packet: HookPacket) -> HookPacket:
        zones.append(packet.zone)
        return packet

    rules = iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br0 -j CT --zone 5\nCOMMIT")
    traverse(rules, "ip", "prerouting", forwarded(state=None), around=Surroundings(track=track))
    assert zones == [5]


def test_published_ports_change_destination_and_port() -> None:
    publish = "-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    rules = iptables(f"*nat\n:PREROUTING ACCEPT [0:0]\n{publish}\nCOMMIT")
    packet = HookPacket(Flow("203.0.113.1", "203.0.113.2", Protocol.TCP, sport=4000, dport=8080), iif=ETH0)
    local = Surroundings(address_type=lambda address, _interface: "local" if address == "203.0.113.2" else "unicast")
    ruling = traverse(rules, "ip", "prerouting", packet, around=local)
    assert (ruling.packet.flow.dst, ruling.packet.flow.dport) == ("172.17.0.2", 80)
    assert ruling.packet.connection
    assert ruling.packet.connection.reply == ("172.17.0.2", "203.0.113.1", 80, 4000)
    assert traverse(rules, "ip", "prerouting", packet).verdict is HookVerdict.UNDETERMINED  # nobody says what is local


def test_load_balancing_by_chance_names_every_way() -> None:
    head = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    key = {"numgen": {"mode": "random", "mod": 3, "offset": 0}}
    address = {"map": {"key": key, "data": {"set": [[0, "10.0.0.7"], [{"range": [1, 2]}, "10.0.0.8"]]}}}
    ruling = traverse(
        nft_table(head, {"rule": {"chain": "p", "handle": 4, "expr": [{"dnat": {"addr": address}}]}}), "ip", "prerouting", forwarded()
    )
    assert ruling.packet.flow.dst == "10.0.0.8"
    [other] = ruling.alternatives
    assert (other.packet.flow.dst, other.doubts[0].chance) == ("10.0.0.7", pytest.approx(1 / 3))


def test_kubernetes_chooses_a_pod_by_statistic() -> None:
    rules = iptables("""
        *nat
        :PREROUTING ACCEPT [0:0]
        :KUBE-SVC - [0:0]
        :KUBE-SEP-A - [0:0]
        :KUBE-SEP-B - [0:0]
        -A PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC
        -A KUBE-SVC -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-A
        -A KUBE-SVC -j KUBE-SEP-B
        -A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination 10.1.0.5:8080
        -A KUBE-SEP-B -p tcp -m tcp -j DNAT --to-destination 10.1.0.6:8080
    """)
    from msgspec.structs import replace

    ruling = traverse(rules, "ip", "prerouting", forwarded(replace(WEB, dst="10.96.0.10"), state=None))
    assert {ruling.packet.flow.dst, *(each.packet.flow.dst for each in ruling.alternatives)} == {"10.1.0.5", "10.1.0.6"}


@pytest.mark.parametrize(
    ("what", "four", "six"),
    [
        ({"dnat": {"family": "ip", "addr": "10.9.9.9"}}, "10.9.9.9", None),
        ({"dnat": {"family": "ip6", "addr": "fd00::9", "port": 80}}, None, "fd00::9"),
        ({"dnat": {"family": "ip", "addr": {"range": ["10.9.9.9", "10.9.9.9"]}}}, "10.9.9.9", None),
        ({"dnat": {"family": "ip6", "addr": {"prefix": {"addr": "fd00:9::", "len": 64}}}}, None, "fd00:9::8"),
        ({"dnat": {"family": "ip", "addr": {"map": {"key": {"numgen": {"mode": "inc", "mod": 1}}, "data": {"set": [[0, "10.9.9.9"]]}}}}},
         "10.9.9.9", None),
        ({"tproxy": {"family": "ip", "port": 80}}, "dropped", None),
        ({"tproxy": {"family": "ip6", "addr": "::1", "port": 80}}, None, "dropped"),
        ({"tproxy": {"port": 80}}, "dropped", "dropped"),
    ],
)  # fmt: skip
def test_in_a_table_of_both_versions_a_target_is_for_its_own(what: dict[str, Any], four: str | None, six: str | None) -> None:
    kind = "filter" if "tproxy" in what else "nat"
    chain = {"chain": {"name": "f", "handle": 1, "type": kind, "hook": "prerouting", "prio": -100, "policy": "accept"}}
    ruleset = nft_table(chain, {"rule": {"chain": "f", "handle": 9, "expr": [what, *([DROP] * ("tproxy" in what))]}})
    for packet, target in ((forwarded(WEB), four), (forwarded(WEB6), six)):
        ruling = traverse(ruleset, packet.ethertype, "prerouting", packet)
        assert (ruling.verdict is HookVerdict.DROP) is (target == "dropped")
        if target != "dropped":
            assert ruling.packet.flow.dst == (target or packet.flow.dst)
