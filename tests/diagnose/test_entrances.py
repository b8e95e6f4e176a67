"""Where the commands of a report are typed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, tutorial
from test_roots import asked

from netprobe.diagnose.entrances import with_entrances
from netprobe.model import Cause, Command, Hop, Place, Report, Snapshot, Stage, Stop
from netprobe.predict import fixes

NAMED, BY_PROCESS = ("ip", "netns", "exec", "red"), ("nsenter", "-t", "7", "-n")
HERE = Place("red", None, Stage.ROUTE)


def known() -> Snapshot:
    return edited(edited(edited(tutorial(), "red", enter=NAMED), "c1", enter=BY_PROCESS), "host", enter=())


def cause(*commands: Command) -> Cause:
    return Cause("unknown", HERE, "", commands=commands)


def told(report: Report) -> Report:
    return with_entrances(report, known())


def test_every_command_of_a_report_says_where() -> None:
    command, elsewhere = Command.of("ip", "link"), Command.of("ip", "link", namespace="c1")
    report = replace(asked(tutorial()), causes=(replace(cause(command, elsewhere), because=cause(command)),), blockers=(cause(command),),
                     alternatives=(cause(command),))  # fmt: skip
    suspect = Stop("unknown", HERE, "", commands=(elsewhere,))
    hops = tuple(replace(hop, suspects=(suspect,)) for hop in report.path.request[:1])
    found = told(replace(report, path=replace(report.path, request=hops)))
    root = found.causes[0]
    assert root.fix == ("ip netns exec red ip link", "nsenter -t 7 -n ip link")
    assert [command.namespace for command in root.commands] == ["red", "c1"]
    assert root.because is not None
    for each in (root.because, *found.blockers, *found.alternatives):
        assert each.fix == ("ip netns exec red ip link",)
    assert found.path.request[0].suspects[0].fix == ("nsenter -t 7 -n ip link",)


@pytest.mark.parametrize("tool", ["netprobe", "docker", "podman", "systemctl", "bpftool"])
def test_what_is_about_the_whole_machine_is_typed_anywhere(tool: str) -> None:
    report = replace(asked(tutorial()), causes=(cause(Command.of(tool, "x")),))
    assert told(report).causes[0].fix == (f"{tool} x",)


def test_what_is_not_known_is_a_comment() -> None:
    report = replace(
        asked(tutorial()), causes=(cause(Command.of("ip", "link", namespace="c2"), Command.of("ip", "link", namespace="gone")),)
    )
    assert told(report).causes[0].fix == ("ip link   # in c2", "ip link   # in gone")


@pytest.mark.parametrize(("label", "word"), [("red", "red"), ("c1", "7"), ("host", "1"), ("c2", "c2"), ("gone", "gone")])
def test_an_interface_is_moved_to_what_ip_knows(label: str, word: str) -> None:
    report = replace(asked(tutorial()), causes=(cause(Command.of("ip", "link", "set", "dev", "netns", "netns", label)),))
    assert told(report).causes[0].commands[0].words == ("ip", "link", "set", "dev", "netns", "netns", word)


@pytest.mark.parametrize(("label", "word"), [("red", "red"), ("c1", "7")])
def test_a_cable_is_laid_from_where_netprobe_was_started(label: str, word: str) -> None:
    report = replace(asked(tutorial()), causes=(cause(fixes.cable("eth0", label)),))
    assert told(report).causes[0].fix == (f"ip link add type veth peer name eth0 netns {word}",)


@pytest.mark.parametrize("label", ["host", "c2", "gone"])
def test_a_cable_to_nobody_knows_where_is_advice(label: str) -> None:
    (said,) = told(replace(asked(tutorial()), causes=(cause(fixes.cable("eth0", label)),))).causes[0].fix
    assert said.startswith("# ")


def test_hops_without_a_suspect_stay_as_they_are() -> None:
    report = replace(asked(tutorial()), causes=(cause(Command.of("true")),))
    assert [hop for hop in told(report).path.request if not isinstance(hop, Hop)] == []
    assert told(report).path == report.path
