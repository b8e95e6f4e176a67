"""Rules that depend on more than the packet: limits, chance, quotas, lists of recent addresses."""

from __future__ import annotations

import pytest
from literal_rules import ACCEPT, DROP, PING, WEB, decided, forward, forwarded, iptables, nft_forward, payload, test

from netprobe.model import RecentEntry, RecentList, Ruleset
from netprobe.rules import HookPacket, HookVerdict, Reason, Surroundings
from netprobe.rules.packet import Listening


def test_a_limit_lets_the_first_pass_and_says_what_becomes_of_the_rest() -> None:
    ruling = forward(iptables("-A FORWARD -m limit --limit 1/sec --limit-burst 3 -j ACCEPT\n-A FORWARD -p icmp -j DROP"))
    assert ruling.verdict is HookVerdict.ACCEPT
    [other] = ruling.alternatives
    assert decided(other)[:2] == ("drop", "iptables filter FORWARD 2")
    [doubt] = other.doubts
    assert (doubt.reason, doubt.decision and doubt.decision.object.id) == (Reason.LIMIT, "iptables filter FORWARD 1")


def test_a_limit_over_drops_only_what_is_too_much() -> None:
    rules = nft_forward([{"limit": {"rate": 10, "per": "second", "burst": 5, "inv": True}}, DROP])
    ruling = forward(rules)
    assert ruling.verdict is HookVerdict.ACCEPT
    assert decided(ruling.alternatives[0]) == ("drop", "nft inet t f handle 10", "limit")


@pytest.mark.parametrize(
    ("mode", "main", "chance"),
    [
        ("--mode random --probability 0.25", "accept", 0.25), ("--mode nth --every 2 --packet 0", "drop", 0.5),
        ("--mode random --probability 0.90000000000", "drop", 0.9), ("--mode nth --every 10 --packet 3", "accept", 0.1),
    ],
)  # fmt: skip
def test_chance_is_told_with_its_share(mode: str, main: str, chance: float) -> None:
    ruling = forward(iptables(f"-A FORWARD -m statistic {mode} -j DROP"))
    assert ruling.verdict == main
    ways = {ruling.verdict.value, *(each.verdict.value for each in ruling.alternatives)}
    assert ways == {"accept", "drop"}
    assert [doubt.chance for each in ruling.alternatives for doubt in each.doubts] == [pytest.approx(chance)]
    dropped = next(each for each in (ruling, *ruling.alternatives) if each.verdict is HookVerdict.DROP)
    assert decided(dropped)[2] == "random"


def test_numgen_in_a_verdict_map() -> None:
    key = {"numgen": {"mode": "random", "mod": 10, "offset": 0}}
    ruling = forward(nft_forward([{"vmap": {"key": key, "data": {"set": [[0, DROP], [{"range": [1, 9]}, ACCEPT]]}}}]))
    assert ruling.verdict is HookVerdict.ACCEPT
    [dropped] = ruling.alternatives
    assert (decided(dropped)[2], dropped.doubts[0].chance) == ("random", pytest.approx(0.1))


@pytest.mark.parametrize(
    ("used", "over", "verdict"), [(0, True, "accept"), (500, True, "drop"), (417, True, "drop"), (500, False, "accept")]
)
def test_an_nft_quota_tells_what_is_used(used: int, over: bool, verdict: str) -> None:
    quota = {"quota": {"val": 500, "val_unit": "bytes", "used": used, "used_unit": "bytes", "inv": over}}
    ruling = forward(nft_forward([quota, DROP]))
    assert ruling.verdict == verdict
    assert verdict != "drop" or decided(ruling)[2] == "quota"


def test_a_quota_that_will_not_last_is_said() -> None:
    ruling = forward(nft_forward([{"quota": {"val": 500, "val_unit": "bytes", "used": 100, "used_unit": "bytes"}}, ACCEPT], policy="drop"))
    assert ruling.verdict is HookVerdict.ACCEPT
    assert [each.doubts[0].reason for each in ruling.alternatives] == [Reason.QUOTA]


def test_an_iptables_quota_is_known_from_its_rules_counter() -> None:
    ruling = forward(iptables("[2:168] -A FORWARD -m quota --quota 200 -j ACCEPT\n[2:168] -A FORWARD -j DROP"))
    assert decided(ruling)[:2] == ("drop", "iptables filter FORWARD 2")
    assert [(each.object.id, each.reason) for each in ruling.spent] == [("iptables filter FORWARD 1", Reason.QUOTA)]


def test_a_quota_that_drops_what_is_over_it_lets_the_rest_pass() -> None:
    """It is not used up: what refuses the packet is the policy alone."""
    over = {"quota": {"val": 1000, "val_unit": "mbytes", "inv": True, "used": 100, "used_unit": "bytes"}}
    ruling = forward(nft_forward([over, DROP], policy="drop"))
    assert (ruling.verdict, ruling.spent) == (HookVerdict.DROP, ())


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ("--rcheck --seconds 600", "drop"), ("--rcheck --seconds 5", "accept"), ("--rcheck --seconds 600 --hitcount 3", "accept"),
        ("--update --hitcount 2", "drop"), ("--rcheck --rdest", "accept"), ("--rcheck --rttl", "accept"), ("--set", "drop"),
    ],
)  # fmt: skip
def test_a_recent_list_as_it_was_read(options: str, verdict: str) -> None:
    rules = iptables(f"-A FORWARD -m recent {options} --name ban --mask 255.255.255.255 -j DROP")
    lists = (RecentList("ban", (RecentEntry("10.0.0.2", (10_000, 20_000), 64),)),)
    assert forward(Ruleset(tables=rules.tables, recent=lists)).verdict == verdict
    assert verdict == "drop" or forward(rules).verdict is HookVerdict.UNDETERMINED


@pytest.mark.parametrize(
    ("match", "verdict"),
    [
        ("--string BitTorrent", "accept"), ("! --string BitTorrent", "drop"), ("--string ab", "undetermined"),
        ("--hex-string |0a00000208080808|", "drop"), ("--hex-string |0a00000208080808| --from 12", "drop"),
        ("--hex-string |0a00000208080808| --from 13", "accept"), ("--hex-string |0a00000208080808| --to 11", "accept"),
        ("--hex-string |xy|", "undetermined"),
    ],
)  # fmt: skip
def test_a_text_in_the_packet(match: str, verdict: str) -> None:
    assert forward(iptables(f"-A FORWARD -m string {match} --algo bm -j DROP")).verdict == verdict


ANY, OWN, OPEN = Listening(True, False), Listening(False, False), Listening(False, True)


@pytest.mark.parametrize(
    ("found", "match", "verdict"),
    [
        ((), "", "accept"), ((OWN,), "", "drop"), ((ANY,), "", "accept"), ((ANY,), "--nowildcard", "drop"),
        ((OWN,), "--transparent", "accept"),
        ((OPEN,), "--transparent", "drop"), ((OWN, OPEN), "--transparent", "undetermined"), (None, "", "undetermined"),
        ((Listening(False, None),), "--transparent", "undetermined"),
    ],
)  # fmt: skip
def test_a_socket_that_would_take_the_packet(found: tuple[Listening, ...] | None, match: str, verdict: str) -> None:
    around = Surroundings(listening=lambda _: found)
    assert forward(iptables(f"-A FORWARD -m socket {match} -j DROP"), around=around).verdict == verdict


@pytest.mark.parametrize(
    ("found", "key", "verdict"),
    [((), "transparent", "accept"), ((OPEN,), "transparent", "drop"), ((ANY,), "wildcard", "drop"), ((OWN,), "wildcard", "accept"),
     ((OWN,), "mark", "undetermined"), (None, "wildcard", "undetermined")],
)  # fmt: skip
def test_a_socket_in_nfts_words(found: tuple[Listening, ...] | None, key: str, verdict: str) -> None:
    around = Surroundings(listening=lambda _: found)
    assert forward(nft_forward([test({"socket": {"key": key}}, 1), DROP]), around=around).verdict == verdict


@pytest.mark.parametrize(
    ("packet", "verdict"),
    [
        (forwarded(WEB), "drop"), (forwarded(PING), "accept"), (forwarded(WEB, tcp_flags=("ack",)), "accept"),
        (forwarded(WEB, tcp_flags=("syn", "ack")), "undetermined"), (forwarded(WEB, clamped=True), "undetermined"),
    ],
)  # fmt: skip
def test_the_mss_of_a_syn(packet: HookPacket, verdict: str) -> None:
    size = {"tcp option": {"name": "maxseg", "field": "size"}}
    assert forward(nft_forward([test(size, {"range": [1400, 1500]}), DROP]), packet).verdict == verdict


def test_a_rule_that_sets_the_mss() -> None:
    rules = iptables("-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu")
    ruling = forward(rules, forwarded(WEB))
    assert (ruling.verdict, ruling.packet.clamped, ruling.doubts) == (HookVerdict.ACCEPT, True, ())


@pytest.mark.parametrize(("packet", "verdict"), [(forwarded(WEB), "undetermined"), (forwarded(PING), "accept")])
def test_a_field_that_is_not_known_matters_to_packets_that_have_it(packet: HookPacket, verdict: str) -> None:
    assert forward(nft_forward([test(payload("tcp", "window"), 5), DROP]), packet).verdict == verdict
    assert forward(nft_forward([test(payload("sctp", "dport"), 5), DROP]), packet).verdict == "accept"
    assert forward(nft_forward([test({"sctp chunk": {"name": "data"}}, True), DROP]), packet).verdict == "accept"
    assert forward(nft_forward([test({"ipsec": {"dir": "in", "spnum": 0, "key": "reqid"}}, 5), DROP]), packet).verdict == "accept"
