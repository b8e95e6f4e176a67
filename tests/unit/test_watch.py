"""The loop of --watch, with rounds and notices that are written down: what it yields, when it asks again, what it holds a loss against."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from itertools import islice

import jsonschema
import pytest
from diagnose.watching import HEALTHY, LOST, snapshot_with
from msgspec.structs import replace

from netprobe.codec import event_to_json, watch_schema
from netprobe.diagnose.live import ended
from netprobe.engine.watch import HERE, GoodRound, Rounds, watch
from netprobe.errors import CannotLook, WrongQuestion
from netprobe.model import Earlier, Probe, Run
from netprobe.model.live import BeginEvent, ChangeEvent, Notice, RoundEvent, VerdictEvent

GOOD, BAD = Run(HEALTHY, snapshot_with("1"), started_ns=7), Run(LOST, snapshot_with("0"))
CONF = "net.ipv4.conf.all.forwarding"


class Ears:
    """A listener to whom these notices are told, one list each time that it is asked."""

    def __init__(self, *told: tuple[Notice, ...]) -> None:
        self.told = list(told)
        self.waited: list[float] = []

    def follow(self, namespaces: Mapping[str, int]) -> None:
        """Everywhere."""

    def wait(self, seconds: float) -> bool:
        """At once."""
        self.waited.append(seconds)
        return bool(self.told and self.told[0])

    def heard(self) -> tuple[Notice, ...]:
        """The next ones."""
        return self.told.pop(0) if self.told else ()

    def unheard(self) -> tuple[str, ...]:
        """Nothing."""
        return ()


def asked(*rounds):
    """The question, which is answered so, one round after the other; and what each was held against."""
    left, held = list(rounds), []

    def ask(recall, _patience_ns):
        found = left.pop(0)
        if isinstance(found, BaseException):
            raise found
        held.append(recall.find("trace", found.report.probe))
        return found

    return ask, held


def steps(*rounds, ears=None, limit=None):
    ask, held = asked(*rounds)
    return list(watch(ask, ears or Ears(), Rounds(0, limit or len(rounds)))), held


def test_a_round_after_the_other():
    found, _ = steps(GOOD, BAD, GOOD)
    assert [(each.live.rounds, each.live.answered, each.live.lost, each.run) for each in found] == [
        (1, 1, 0, GOOD),
        (2, 1, 1, BAD),
        (3, 2, 1, GOOD),
    ]
    otherwise = [ChangeEvent, ChangeEvent, RoundEvent, VerdictEvent]
    kinds = [type(event) for each in found for event in each.events]
    assert kinds == [BeginEvent, RoundEvent, VerdictEvent, *otherwise, *otherwise]


def test_what_changed_without_a_word_is_found_by_comparing():
    found, _ = steps(GOOD, BAD)
    changes = [event for event in found[1].events if isinstance(event, ChangeEvent)]
    assert [(each.heard, each.what.namespace, each.what.id, each.what.after) for each in changes] == [
        (False, "red", "net.ipv4.ip_forward", "0"), (False, "host", "net.ipv4.ip_forward", "0"),
    ]  # fmt: skip


def test_the_moment_is_what_the_kernel_told():
    notice = Notice(12345, "host", "sysctl", CONF)
    found, _ = steps(GOOD, BAD, ears=Ears((), (), (notice,)))
    changes = {event.what.namespace: event for event in found[1].events if isinstance(event, ChangeEvent)}
    assert (changes["host"].heard, changes["host"].at_ns) == (True, 12345)
    assert changes["red"].heard is False


def test_what_is_told_while_it_is_read_waits_for_the_next_round():
    """It may be in this reading or not: where it is not, the next round explains it, and comes at once."""
    notice = Notice(time.time_ns() + 10**12, "host", "sysctl", CONF)
    ears = Ears((), (notice,), ())
    ask, _ = asked(GOOD, BAD)
    found = list(watch(ask, ears, Rounds(60 * 10**9, 2)))
    assert ears.waited == []  # not a moment
    assert [event.at_ns for event in found[1].events if isinstance(event, ChangeEvent) and event.heard] == [notice.at_ns]


def test_a_notice_ends_the_wait():
    ears = Ears((), (), (Notice(5, "host", "link", "veth0", "down"),))
    ask, _ = asked(GOOD, GOOD)
    assert len(list(watch(ask, ears, Rounds(60 * 10**9, 2)))) == 2
    assert len(ears.waited) == 1
    assert 59 < ears.waited[0] <= 60


def test_a_loss_is_held_against_the_last_round_that_was_well():
    _, held = steps(GOOD, BAD, BAD)
    assert held[0] is None
    assert [(each.capture, each.time, each.snapshot) for each in held[1:]] == [(HERE, 7, GOOD.snapshot)] * 2


def test_the_error_of_the_first_round_is_the_callers():
    ask, _ = asked(WrongQuestion("there is no namespace rd"))
    with pytest.raises(WrongQuestion):
        next(watch(ask, Ears(), Rounds(0)))


def test_later_it_is_a_round_that_could_not_be_asked():
    found, _ = steps(GOOD, CannotLook("there is no namespace red"), GOOD)
    assert [(each.live.failed, each.live.trouble, each.run) for each in found[1:]] == [
        (1, "there is no namespace red", None), (1, "", GOOD),
    ]  # fmt: skip


def test_without_a_limit_it_goes_on():
    ask, _ = asked(*[GOOD] * 20)
    assert [each.live.rounds for each in islice(watch(ask, Ears(), Rounds(0)), 15)][-1] == 15


def test_patience_is_much_longer_than_any_answer_has_taken():
    slow = replace(GOOD, report=replace(HEALTHY, rtt_ns=(90_000_000,)))
    left, given = [BAD, GOOD, slow, BAD], []

    def ask(_recall, patience_ns):
        given.append(patience_ns)
        return left.pop(0)

    list(watch(ask, Ears(), Rounds(0, 4)))
    assert given == [None, None, 150_000_000, 360_000_000]


class Memory:
    """An earlier run, and how often it was asked for."""

    def __init__(self) -> None:
        self.checked = self.found = 0

    def check(self, _command: str, _probe: Probe) -> None:
        """Fits."""
        self.checked += 1

    def find(self, _command: str, _probe: Probe) -> Earlier:
        """It."""
        self.found += 1
        return Earlier("monday.pcapng", 1, "14:02", GOOD.snapshot)


def test_an_earlier_run_is_looked_for_once():
    memory = Memory()
    good = GoodRound(memory)
    for _ in range(3):
        good.check("trace", HEALTHY.probe)
        found = good.find("trace", HEALTHY.probe)
    assert (memory.checked, memory.found, found.capture) == (1, 1, "monday.pcapng")


def test_a_good_round_takes_its_place():
    good = GoodRound(Memory())
    good.learn(GOOD)
    good.learn(BAD)
    found = good.find("trace", HEALTHY.probe)
    assert found is not None
    assert found.capture == HERE


def test_every_event_is_as_the_schema_says():
    found, _ = steps(GOOD, BAD, CannotLook("not now"), replace(GOOD, snapshot=snapshot_with("1")), limit=4)
    events = [event for each in found for event in each.events]
    events.append(ended(found[-1].live, HEALTHY, 5, True, None))
    lines = [json.loads(event_to_json(event)) for event in events]
    validator = jsonschema.Draft202012Validator(json.loads(watch_schema()))
    assert [error.message for line in lines for error in validator.iter_errors(line)] == []
    assert {line["event"] for line in lines} == {"begin", "round", "change", "verdict", "end"}
    assert {line["schema"] for line in lines} == {"netprobe.watch/1"}
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"event": "round", "at_ns": "today"})
