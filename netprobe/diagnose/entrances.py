"""Where the commands of a report are typed: each one gets its namespace, and the words that run it in there.
Pure.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from netprobe.model import Cause, Command, Hop, Leg, Paths, Report, Snapshot, Stop
from netprobe.model.command import way_of

# Their word goes to a daemon or to the kernel as a whole, and is the same in every namespace.
_ANYWHERE = ("netprobe", "docker", "podman", "systemctl", "bpftool", "firewall-cmd")

_CABLE = ("ip", "link", "add", "type", "veth", "peer", "name")
_BY_HAND = Command.advice("connect it to a network: make a veth pair and move one end into the namespace")

_End = TypeVar("_End", Stop, Cause)


def with_entrances(report: Report, snapshot: Snapshot) -> Report:
    """The report with commands that can be typed in the shell that netprobe was started from, as far as it is
    known how a namespace is entered.
    """
    paths = Paths(*(tuple(_hop(hop, snapshot) for hop in report.path.of(leg)) for leg in Leg))
    causes, blockers, alternatives = (
        tuple(_entered(cause, snapshot) for cause in each)
        for each in (report.causes, report.blockers, report.alternatives)
    )
    return replace(report, path=paths, causes=causes, blockers=blockers, alternatives=alternatives)


def _hop(hop: Hop, snapshot: Snapshot) -> Hop:
    return replace(hop, suspects=tuple(_entered(each, snapshot) for each in hop.suspects))


def _entered(end: _End, snapshot: Snapshot) -> _End:
    behind = end.because
    return replace(
        end,
        commands=tuple(_typed(command, end.place.namespace, snapshot) for command in end.commands),
        because=None if behind is None else _entered(behind, snapshot),
    )


def _typed(command: Command, here: str | None, snapshot: Snapshot) -> Command:
    name = command.namespace or here
    if {*command.words[:1]} & {*_ANYWHERE}:
        return replace(command, enter=_way(name, snapshot))
    if command.words[: len(_CABLE)] == _CABLE:
        return _from_home(command, _way(name, snapshot), snapshot)
    words = _with_target(command.words, snapshot)
    return replace(command, words=words, namespace=name, enter=snapshot.at(name).enter)


def _way(name: str | None, snapshot: Snapshot) -> tuple[str, ...]:
    """The words that lead to the host of a namespace; none where it is this machine."""
    return way_of(snapshot.at(name).entrance)[0]


def _from_home(command: Command, way: tuple[str, ...], snapshot: Snapshot) -> Command:
    """A cable from the namespace that netprobe, or its agent on that host, was started in; advice where that
    one is to be connected.
    """
    target = _target(command.words[-1], snapshot)
    if target in (None, _HERE):
        return _BY_HAND
    return replace(command, words=(*command.words[:-1], target), enter=way)


def _with_target(words: tuple[str, ...], snapshot: Snapshot) -> tuple[str, ...]:
    """`ip link set dev IFACE netns TARGET`, or a cable to there, with the target as ip(8) knows it."""
    match words:
        case ("ip", "link", "set", "dev", _, "netns", name) | ("ip", "link", "add", *_, "netns", name):
            return (*words[:-1], _target(name, snapshot) or name)
    return words


_HERE = "1"  # process 1 is in the namespace that netprobe was started in


def _target(name: str, snapshot: Snapshot) -> str | None:
    """A namespace as ip-link(8) takes it behind `netns`: a name or a process; None where neither is known."""
    enter = snapshot.at(name).enter
    match enter and way_of(enter)[1]:
        case ("ip", "netns", "exec", name):
            return name
        case ("nsenter", "-t", process, "-n"):
            return process
        case ():
            return _HERE
    return None
