"""Where the commands of a report are typed: each one gets its namespace, and the words that run it in there.
Pure.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from netprobe.model import Cause, Command, Hop, Paths, Report, Snapshot, Stop

# Their word goes to a daemon or to the kernel as a whole, and is the same in every namespace.
_ANYWHERE = ("netprobe", "docker", "podman", "systemctl", "bpftool")

_MOVED = 7  # words

_End = TypeVar("_End", Stop, Cause)


def with_entrances(report: Report, snapshot: Snapshot) -> Report:
    """The report with commands that can be typed in the shell that netprobe was started from, as far as it is
    known how a namespace is entered.
    """
    paths = Paths(
        *(tuple(_hop(hop, snapshot) for hop in leg) for leg in (report.path.request, report.path.reply))
    )
    causes, blockers, alternatives = (
        tuple(_entered(cause, snapshot) for cause in each)
        for each in (report.causes, report.blockers, report.alternatives)
    )
    return replace(report, path=paths, causes=causes, blockers=blockers, alternatives=alternatives)


def _hop(hop: Hop, snapshot: Snapshot) -> Hop:
    if not hop.suspects:
        return hop
    return replace(hop, suspects=tuple(_entered(each, snapshot) for each in hop.suspects))


def _entered(end: _End, snapshot: Snapshot) -> _End:
    behind = end.because
    return replace(
        end,
        commands=tuple(_typed(command, end.place.namespace, snapshot) for command in end.commands),
        because=None if behind is None else _entered(behind, snapshot),
    )


def _typed(command: Command, here: str | None, snapshot: Snapshot) -> Command:
    if command.words[:1] and command.words[0] in _ANYWHERE:
        return replace(command, enter=())
    name = command.namespace or here
    known = snapshot.namespaces.get(name or "")
    words = _with_target(command.words, snapshot)
    return replace(command, words=words, namespace=name, enter=None if known is None else known.enter)


def _with_target(words: tuple[str, ...], snapshot: Snapshot) -> tuple[str, ...]:
    """`ip link set dev IFACE netns TARGET` with the target as ip(8) knows it: by its name or by a process."""
    if len(words) != _MOVED or words[:4] != ("ip", "link", "set", "dev") or words[5] != "netns":
        return words
    known = snapshot.namespaces.get(words[6])
    match known.enter if known is not None else None:
        case ("ip", "netns", "exec", name):
            return (*words[:6], name)
        case ("nsenter", "-t", process, "-n"):
            return (*words[:6], process)
        case ():  # process 1 is in the namespace that netprobe was started in
            return (*words[:6], "1")
    return words
