"""Rules that look at the clock. 2026-11-28 was a Saturday."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import DROP, forward, iptables, nft_forward

from netprobe.model import Moment
from netprobe.rules import HookVerdict
from netprobe.rules.packet import Surroundings

NOON = 1795867200  # 2026-11-28 12:00:00 UTC
UTC, BERLIN = Surroundings(moment=Moment(NOON)), Surroundings(moment=Moment(NOON, 3600))


@pytest.mark.parametrize(
    ("match", "drops"),
    [
        ("--timestart 10:00 --timestop 14:00:00", True), ("--timestart 13:00:00 --timestop 14:00:00", False),
        ("--timestart 22:00:00 --timestop 06:00:00", False), ("--timestart 22:00:00 --timestop 12:00:00", True),
        ("--weekdays Sat,Sun", True), ("--weekdays Mon,Tue", False), ("! --weekdays Sat,Sun", False), ("--monthdays 28", True),
        ("--monthdays 1,2", False), ("--datestart 2026-11-28T11:59:59 --datestop 2026-11-28T12:00:01", True),
        ("--datestart 2027-01-01T00:00:00", False), ("--datestop 2026-11-28T11:59:59", False),
        ("--weekdays Sat --datestart 2020-05-30T21:51:23", True),
    ],
)  # fmt: skip
def test_the_time_match(match: str, drops: bool) -> None:
    found = forward(iptables(f"-A FORWARD -m time {match} -j DROP"), around=BERLIN)
    assert found.verdict is (HookVerdict.DROP if drops else HookVerdict.ACCEPT)


@pytest.mark.parametrize("match", ["--timestart 10:00:00 --kerneltz", "--timestart 22:00:00 --timestop 06:00:00 --contiguous"])
def test_what_is_not_known_stays_open(match: str) -> None:
    assert forward(iptables(f"-A FORWARD -m time {match} -j DROP"), around=UTC).verdict is HookVerdict.UNDETERMINED


def test_without_a_clock_it_stays_open() -> None:
    assert forward(iptables("-A FORWARD -m time --timestart 10:00:00 -j DROP")).verdict is HookVerdict.UNDETERMINED


def condition(key: str, op: str, right: Any) -> list[Any]:
    return [{"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}}, DROP]


@pytest.mark.parametrize(
    ("key", "op", "right", "around", "verdict"),
    [
        ("time", ">=", "2022-05-30 21:51:23", UTC, "drop"), ("time", ">=", "2026-11-28 12:30:00", UTC, "accept"),
        ("time", ">=", "2026-11-28 12:30:00", BERLIN, "drop"), ("time", "<", "2022-05-30 21:51:23", UTC, "accept"),
        ("time", "==", {"range": ["2026-11-28 11:00:00", "2026-11-28 13:00:00"]}, UTC, "drop"),
        ("hour", "==", {"range": ["10:00", "13:00:30"]}, UTC, "drop"), ("hour", "<", "10:00", UTC, "accept"),
        ("hour", ">=", "12:00", UTC, "drop"), ("hour", ">=", "12:00", BERLIN, "undetermined"), ("day", "==", "Saturday", UTC, "drop"),
        ("day", "==", {"set": ["Monday", "Tuesday"]}, UTC, "accept"), ("day", "!=", "Sunday", UTC, "drop"), ("day", "==", 6, UTC, "drop"),
    ],
)  # fmt: skip
def test_nfts_clock(key: str, op: str, right: Any, around: Surroundings, verdict: str) -> None:
    assert forward(nft_forward(condition(key, op, right)), around=around).verdict == verdict
