"""A watch folded round by round: statistics, since when, what is told, what changed and when, and that an hour of it stays as large."""

import gc
import statistics
import tracemalloc

import pytest
from diagnose.watching import HEALTHY, LOST, round_of, snapshot_with
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from netprobe.diagnose.live import after_failure, after_round, changed_since, dated, ended, known_after, passed, verdict
from netprobe.model import Blind, Chain, Changed, Difference, Leg, Namespace, Rule, Ruleset, Snapshot, Table, Verdict
from netprobe.model.live import (
    MOST_CHANGES,
    MOST_HOPS,
    ChangeEvent,
    Latency,
    Live,
    LiveChange,
    Notice,
    RoundEvent,
    VerdictEvent,
)

SECOND = 1_000_000_000
RULE = LiveChange(5, Changed("rule", "nft ip filter forward handle 7", "drop", namespace="host", after="drop"), heard=True)


def watched(*reports):
    state, events = Live(), []
    for number, report in enumerate(reports):
        state, told = after_round(state, report, (), number * SECOND)
        events += told
    return state, events


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=50))
def test_latency_is_what_statistics_says(spans):
    found = Latency()
    for span in spans:
        found = found.after(span)
    assert (found.count, found.last_ns, found.best_ns, found.worst_ns) == (len(spans), spans[-1], min(spans), max(spans))
    assert found.average_ns == pytest.approx(statistics.fmean(spans), abs=1)
    assert found.deviation_ns == pytest.approx(statistics.pstdev(spans), abs=1 + 1e-6 * max(spans))


def test_no_span_has_no_statistics():
    assert (Latency().average_ns, Latency().deviation_ns) == (0, 0)


def test_each_place_counts_what_it_saw():
    state, _ = watched(HEALTHY, HEALTHY, LOST, HEALTHY)
    counted = {(each.leg, each.hop.interface): (each.sent, each.seen) for each in state.hops}
    assert counted == {
        (Leg.REQUEST, "eth0"): (4, 4), (Leg.REQUEST, "veth0"): (4, 4), (Leg.REQUEST, "wan"): (4, 3),
        (Leg.REPLY, "wan"): (4, 3), (Leg.REPLY, "eth0"): (4, 3),
    }  # fmt: skip
    assert (state.rounds, state.answered, state.lost) == (4, 3, 1)


def test_a_place_without_a_sensor_counts_nothing():
    blind = replace(HEALTHY, path=replace(HEALTHY.path, request=tuple(replace(hop, observed=None) for hop in HEALTHY.path.request)))
    state, _ = watched(HEALTHY, blind)
    assert {(each.sent, each.seen) for each in state.hops if each.leg is Leg.REQUEST} == {(1, 1)}


def test_a_way_that_is_left_counts_no_more_and_is_forgotten():
    other = round_of("eth0", "veth9", "wan")
    state, _ = watched(HEALTHY, *[other] * 10, LOST)
    left = next(each for each in state.hops if each.hop.interface == "veth0" and each.leg is Leg.REQUEST)
    assert (left.sent, left.away) == (2, 0)  # the last round led there again
    state, _ = watched(HEALTHY, *[other] * 400)
    assert "veth0" not in {each.hop.interface for each in state.hops}


def test_a_verdict_is_told_when_it_changes():
    _, events = watched(HEALTHY, HEALTHY, LOST, LOST, HEALTHY)
    told = [(each.round, each.before, each.verdict) for each in events if isinstance(each, VerdictEvent)]
    assert told == [(1, None, "reachable"), (3, "reachable", "unreachable"), (5, "unreachable", "reachable")]
    assert len([each for each in events if isinstance(each, RoundEvent)]) == 5


def test_another_cause_is_another_finding():
    other = replace(LOST, causes=(replace(LOST.causes[0], code="link-down"),))
    state, events = watched(LOST, other)
    assert [each.round for each in events if isinstance(each, VerdictEvent)] == [1, 2]
    assert state.since_ns == SECOND


def test_since_when():
    state, _ = watched(HEALTHY, LOST, LOST, LOST)
    assert state.since_ns == SECOND


def test_a_round_that_could_not_be_asked_says_nothing_about_the_network():
    state, _ = watched(HEALTHY)
    state, events = after_failure(state, "there is no namespace red", SECOND)
    assert (state.rounds, state.answered, state.lost, state.failed) == (2, 1, 0, 1)
    assert [(each.verdict, each.trouble) for each in events] == [(None, "there is no namespace red")]
    assert verdict(state) is Verdict.UNDETERMINED
    state, events = after_round(state, HEALTHY, (), 2 * SECOND)
    assert state.trouble == ""
    assert [type(each) for each in events] == [RoundEvent, VerdictEvent]


@pytest.mark.parametrize(
    ("rounds", "answer"), [((HEALTHY,) * 2, Verdict.REACHABLE), ((LOST,) * 2, Verdict.UNREACHABLE), ((HEALTHY, LOST), Verdict.INTERMITTENT)]
)
def test_all_rounds_are_one_answer(rounds, answer):
    assert verdict(watched(*rounds)[0]) is answer


def test_the_end_has_all_rounds():
    state, _ = watched(HEALTHY, LOST)
    event = ended(state, LOST, 9, True, "lost.pcapng")
    assert (event.rounds, event.answered, event.lost, event.complete, event.lost_capture) == (2, 1, 1, True, "lost.pcapng")
    assert [(hop.interface, hop.sent, hop.seen) for hop in event.hops][:3] == [("eth0", 2, 2), ("veth0", 2, 2), ("wan", 2, 1)]


def test_changes_are_told_and_only_the_last_are_kept():
    state, kinds = Live(), []
    for number in range(MOST_CHANGES * 2):
        state, events = after_round(state, HEALTHY, (replace(RULE, at_ns=number),), number)
        kinds += [type(each) for each in events if isinstance(each, ChangeEvent)]
    assert len(kinds) == state.changed == MOST_CHANGES * 2
    assert [each.at_ns for each in state.changes] == list(range(MOST_CHANGES, 2 * MOST_CHANGES))


# ---- when something changed


DOWN = Difference("link", "veth0", "up", "down", "host")
DROP = Difference("rule", "nft ip filter forward handle 7", None, "drop", "host")


def test_the_moment_is_the_notices():
    notices = (Notice(3, "red", "link", "veth0", "down"), Notice(5, "host", "link", "veth0", "down"))
    shown, explained = dated((DOWN,), notices, 9)
    assert [(each.at_ns, each.heard) for each in shown] == [(5, True)]
    assert explained == {notices[1]}


def test_what_follows_from_a_change_has_its_moment():
    gone = Difference("route", "default", "via 10.0.0.1", None, "host")
    shown, _ = dated((DOWN, gone), (Notice(5, "host", "link", "veth0", "down"),), 9)
    assert [each.at_ns for each in shown] == [5, 5]


def test_rules_are_not_dated_by_links():
    shown, explained = dated((DROP,), (Notice(5, "host", "link", "veth0", "down"),), 9)
    assert [(each.at_ns, each.heard) for each in shown] == [(9, False)]
    assert explained == set()


def test_who_did_it():
    shown, _ = dated((DROP,), (Notice(5, "host", "rule", DROP.name, "new", "nft"),), 9)
    assert [(each.by, each.what.text) for each in shown] == [("nft", "drop")]


def test_what_is_as_before_is_told_when_it_was_otherwise():
    notices = [
        Notice(5, "host", "link", "veth0", "down"), Notice(6, "host", "link", "veth0", "up"), Notice(7, "host", "link", "veth1", "up"),
        Notice(8, "host", "link", "veth0", ""), Notice(12, "host", "link", "veth0", "down"),
    ]  # fmt: skip
    shown, left = passed(notices, 10)
    assert [(each.at_ns, each.what.id, each.what.after, each.passing) for each in shown] == [(5, "veth0", "down, then up", True)]
    assert left == [notices[2], notices[4]]


def test_changes_are_found_against_what_was_read_before():
    before, without, after = snapshot_with("1"), snapshot_with("1", names=("red",)), snapshot_with("0")
    known = known_after(known_after(before, before), without)
    assert "host" in known
    found = changed_since(known, after, HEALTHY)
    assert {(each.namespace, each.name, each.before, each.after) for each in found} == {
        (name, "net.ipv4.ip_forward", "1", "0") for name in ("red", "host")
    }


def test_what_could_not_be_read_is_no_change():
    before = snapshot_with("1")
    blind = before.with_namespace(replace(before["host"], sysctls={}, unread={"sysctls": "not read in time"}))
    known = known_after(before, blind)
    assert changed_since(before, blind, HEALTHY) == ()
    assert changed_since(known, before, HEALTHY) == ()


def test_rules_that_could_not_be_read_are_as_they_were():
    """They kept changing while they were read: the next reading is held against the one before."""
    without, rule = Table("nft", "ip", "filter", (Chain("forward"),)), Rule(7, "drop")
    before, now = (Ruleset(tables=(replace(without, chains=(Chain("forward", rules=rules),)),)) for rules in ((rule,), ()))
    blind = Ruleset((Blind("the ruleset of host", "it kept changing"),))
    known = Snapshot()
    for ruleset in (before, blind, blind):
        fresh = Snapshot({"host": Namespace("host", ruleset=ruleset)})
        assert changed_since(known, fresh, HEALTHY) == ()
        known = known_after(known, fresh)
    [found] = changed_since(known, Snapshot({"host": Namespace("host", ruleset=now)}), HEALTHY)
    assert (found.kind, found.before, found.after) == ("rule", "drop", None)


def test_namespaces_that_come_and_go_are_forgotten():
    known = snapshot_with("1")
    for number in range(100):
        known = known_after(known, snapshot_with("1", names=(f"c{number}",)))
    assert len(known.namespaces) < 40


# ---- an hour


def hour(state, rounds):
    """So many rounds: the way changes, is lost, rules come and go, some cannot be asked."""
    ways = [round_of("eth0", f"veth{n}", "wan") for n in range(50)]
    for number in range(rounds):
        at_ns = number * SECOND
        if number % 50 == 13:
            state, _ = after_failure(state, "not now", at_ns)
            continue
        report = LOST if number % 7 == 0 else replace(ways[number % 50], rtt_ns=(number * 1000,))
        state, _ = after_round(state, report, (replace(RULE, at_ns=at_ns),) if number % 3 == 0 else (), at_ns)
    return state


def test_an_hour_is_as_large_as_ten_minutes():
    tracemalloc.start()
    try:
        state = hour(Live(), 600)
        gc.collect()
        after_ten_minutes = tracemalloc.get_traced_memory()[0]
        state = hour(state, 3600)
        gc.collect()
        after_the_hour = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert state.rounds == 4200
    assert len(state.hops) <= MOST_HOPS
    assert after_the_hour - after_ten_minutes < 20_000  # bytes; a hundred a round would be 360,000
