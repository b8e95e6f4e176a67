"""The end of a question's reading: who waits no longer, whose wait does not count, and what is said of what was not read."""

from __future__ import annotations

import os
import socket
import time
from threading import Thread
from unittest.mock import patch

import pytest

from netprobe.engine import ask
from netprobe.errors import CannotLook
from netprobe.lab.lab import Lab
from netprobe.linux import apart, deadline, machine, namespace, netns
from netprobe.linux.machine import Machine
from netprobe.linux.names import listing, resolver
from netprobe.linux.netfilter import tools
from netprobe.linux.netlink import Netlink
from netprobe.linux.runtimes.api import HttpAnswer
from netprobe.linux.runtimes.client import Client
from netprobe.linux.runtimes.sockets import Sockets
from netprobe.model import (
    NOT_IN_TIME,
    AskConnection,
    AskRoute,
    AskSet,
    FindMacvlans,
    FindPeer,
    Flow,
    Need,
    Protocol,
    ReadNamespace,
    Report,
    RouteQuery,
    SetQuery,
    Snapshot,
)
from netprobe.question import Question

NEEDS: list[Need] = [
    ReadNamespace("red"), FindPeer("red", 0), FindMacvlans("red", 2), AskRoute("red", RouteQuery(None, "8.8.8.8")),
    AskConnection("red", Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP)), AskSet("red", SetQuery("inet", "t", "s", ("8.8.8.8",))),
]  # fmt: skip


def test_outside_of_a_question_there_is_no_end() -> None:
    assert (deadline.left(7.0), deadline.share(7.0), deadline.has_passed()) == (7.0, 7.0, False)
    deadline.check()


def test_what_is_left_becomes_less() -> None:
    with deadline.within(100):
        assert 90 < deadline.left(1000) <= 100
        assert 45 < deadline.share(1000) <= 50
        assert deadline.share(3) == 3
        with deadline.within(-1):
            assert (deadline.left(7), deadline.share(7), deadline.has_passed()) == (0, 0, True)
            with pytest.raises(TimeoutError, match=NOT_IN_TIME):
                deadline.check()
        deadline.check()
    assert deadline.left(7) == 7


def test_what_is_no_reading_gives_its_time_back() -> None:
    with deadline.within(0.05):
        with deadline.stopped():
            time.sleep(0.1)
            assert deadline.left(7) == 7
        assert 0 < deadline.left(7) <= 0.05


def test_overtime_is_one_for_all_parts_of_a_question() -> None:
    def overtime() -> float:
        with deadline.overtime(0.2) as until:
            time.sleep(0.15)
            return until - time.monotonic() + 0.15

    with deadline.within(5):
        assert 0.15 < overtime() <= 0.2
        assert overtime() <= 0.05
        assert overtime() <= 0
        assert 4.9 < deadline.left(7) <= 5, "it is beside the question's own time"
    with deadline.within(5):
        assert overtime() > 0.15
    assert [overtime() > 0.15 for _ in range(2)] == [True, True], "outside of a question there is no sum"


def test_each_thread_has_its_own() -> None:
    seen: list[float] = []
    with deadline.within(-1):
        thread = Thread(target=lambda: seen.append(deadline.left(7)))
        thread.start()
        thread.join()
    assert seen == [7]


# who waits


def test_an_engine_is_given_half_of_what_is_left() -> None:
    given: list[float] = []

    def ask_engine(address: str, path: str, limit_s: float) -> HttpAnswer:
        given.append(limit_s)
        return HttpAnswer(200, "", b"[]")

    client = Client("docker", Sockets(("/nowhere",)), [], ask_engine)
    for seconds in (1.0, -1.0, 100.0):
        with deadline.within(seconds):
            list(client.listed())
    assert 0.4 < given[0] <= 0.5
    assert 0 < given[1] <= 0.001
    assert 1.9 < given[2] <= 2.0


def test_a_file_of_somebody_else_is_not_waited_for_when_the_time_is_up() -> None:
    apart.forget()
    with deadline.within(-1), pytest.raises(TimeoutError, match=NOT_IN_TIME):
        apart.value(lambda: 7)
    assert "were not read in time" in apart.heard()[0]
    assert apart.value(lambda: 7) == 7


def test_a_tool_is_told_by_name() -> None:
    fd = netns.open_namespace(netns.OWN)
    try:
        with deadline.within(-1):
            printed = tools.run(fd, {"slow": ["sleep", "1000"]})
    finally:
        os.close(fd)
    assert printed["slow"].error == f"{NOT_IN_TIME}: sleep did not answer within 0 s"


def test_a_tool_prints_no_more_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it prints is held in memory, and a container's rules decide how much that is."""
    monkeypatch.setattr(tools, "LARGEST", 1 << 20)
    fd = netns.open_namespace(netns.OWN)
    try:
        with tools.Tools(fd) as running:
            running.start({"endless": ["yes"], "short": ["echo", "hello"]})
            printed = running.printed()
            sizes = {name: os.fstat(child.output).st_size for name, child in running._children.items()}
    finally:
        os.close(fd)
    assert printed["endless"] == tools.Printed(error="yes printed more than 1 MiB")
    assert printed["short"] == tools.Printed(b"hello\n")
    assert sizes["endless"] < 64 << 20, "it may have begun before it was told; two seconds of it are gigabytes"


def test_a_name_server_as_well() -> None:
    fd = netns.open_namespace(netns.OWN)
    try:
        with (
            patch.object(resolver, "_resolved", lambda *_: time.sleep(0.2) or ()),
            deadline.within(-1),
            pytest.raises(CannotLook, match="in time"),
        ):
            resolver.addresses_of("slow.example", fd)
    finally:
        os.close(fd)


# what is said


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: type(need).__name__)
def test_what_is_not_read_is_a_blind_spot(need: Need) -> None:
    with Machine() as here, deadline.within(-1):
        snapshot = here.read(Snapshot(), [ReadNamespace("red"), need])
    blind = [*snapshot.blind, *(each for one in snapshot.namespaces.values() for each in one.blind)]
    assert {each.why for each in blind} == {NOT_IN_TIME}


def listed() -> dict[str, str | None]:
    """In the lab: why each namespace is blind, where the one with veth0 takes long to read."""
    read = listing.read_addresses

    def reading(netlink: Netlink) -> object:
        if any(name == "veth0" for _, name in socket.if_nameindex()):
            deadline._end.set(time.monotonic() - 1)
        return read(netlink)

    with patch.object(listing, "read_addresses", reading), Machine() as here:
        return {space.name: space.blind for space in here.spaces()}


@pytest.mark.lab
def test_a_namespace_that_takes_long_does_not_hide_the_others(lab: Lab) -> None:
    found = lab.call(listed)
    assert found.pop("host") == NOT_IN_TIME
    assert len(found) > 3
    assert set(found.values()) == {None}


def asked(late: int) -> tuple[Report, list[float]]:
    """In the lab: a trace of which each reading of a namespace from this one on comes late, and how long each could have taken."""
    left: list[float] = []
    read = namespace.read_namespace

    def reading(name: str, fd: int, settings: object) -> object:
        left.append(deadline.left(1000))
        if len(left) > late:
            deadline._end.set(time.monotonic() - 1)
            deadline.check()
        return read(name, fd, settings)

    with patch.object(machine.namespace, "read_namespace", reading), Machine() as here:
        return ask(here, Question("red", "8.8.8.8", timeout_ns=300_000_000)).report, left


@pytest.mark.lab
def test_a_cause_that_cannot_be_looked_at_again_stands_and_says_so(fresh_lab: Lab) -> None:
    fresh_lab.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"], check=True)
    whole, left = fresh_lab.call(asked, 1000)
    assert (whole.causes[0].code, whole.blind) == ("forwarding-off", ())
    once = len(left) // 2
    report, left = fresh_lab.call(asked, once)
    assert (report.causes[0].code, report.verdict) == ("forwarding-off", whole.verdict)
    assert {each.why for each in report.blind} == {NOT_IN_TIME}
    assert {"the second look at red", "the second look at host"} <= {each.what for each in report.blind}
    assert max(left) < 2
    assert not any("changed" in note for note in report.notes)
