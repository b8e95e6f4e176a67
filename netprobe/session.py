"""Questions asked from Python: what `import netprobe` offers, with one set of open namespaces for many
questions.

The command line asks in the same way. A broken network is in the report; exceptions are for a wrong question,
a missing privilege, and what cannot be looked at (see `netprobe.errors`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from msgspec.structs import replace

from . import model
from .answers import Report, report_of
from .duration import nanoseconds
from .engine import Recall, ask
from .errors import Interrupted, WrongQuestion
from .linux.sensors.guest import Guest
from .question import Question, check_values

if TYPE_CHECKING:
    from .all_pairs import Matrix, MatrixOptions, Progress
    from .checking import Check, Gathered, Written
    from .engine.check import Told
    from .expectations.expectation import Expectation
    from .fleet.opening import OpenFleet
    from .hosts import Hosts
    from .linux.machine import Machine
    from .linux.sensors.crafter import Crafter
    from .wiring import Map


class Options(TypedDict, total=False):
    """What a probe can be told, as the options of the same names on the command line.

    `timeout` and `interval` are spans: "200ms", or a number of seconds. `size` is in bytes. `version` is 4 or
    6. `write` names a file for the capture, which is otherwise not kept. `since` names the capture of an
    earlier run of the same question in which all was well: where it fails now, what differs comes first.
    """

    protocol: str | None
    port: int | None
    count: int
    timeout: str | float
    interval: str | float
    version: int | None
    size: int
    df: bool | None
    ttl: int | None
    source_address: str | None
    source_port: int | None
    mark: int
    uid: int | None
    write: str | os.PathLike[str] | None
    since: str | os.PathLike[str] | None


class Session:
    """One machine with its namespaces held open, for many questions; close it, or use it as a context.

    `host` names the namespace that the word `host` means, `exclude` those that count as not visible.
    `crafter` makes the packets in a process of its own; without one the session starts one. With
    `hosts` - names, or a `Hosts` - these are connected to, and endpoints are written h1:red. Raises
    WrongQuestion, NotPermitted or CannotLook.
    """

    def __init__(
        self,
        host: str | None = None,
        exclude: Sequence[str] = (),
        crafter: Crafter | None = None,
        hosts: Hosts | Sequence[str] | None = None,
    ) -> None:
        self._is_open = True
        excluded = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        self._guest = Guest(crafter is None)
        self._machine = _opened_world(host, excluded, crafter or self._guest, hosts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the namespaces go. Harmless when repeated; what is asked afterwards raises ValueError."""
        self._is_open = False
        self._machine.__exit__()

    def trace(self, source: str, destination: str, **options: Unpack[Options]) -> Report:
        """Send a probe from `source` to `destination` and follow it through every hop, both ways."""
        return self._asked("trace", source, destination, options)

    def ping(self, source: str, destination: str, **options: Unpack[Options]) -> Report:
        """The same question as `trace`; its text is one line."""
        return self._asked("ping", source, destination, options)

    def arping(self, source: str, destination: str, **options: Unpack[Options]) -> Report:
        """Ask by ARP (or neighbour discovery) who on the segment of `source` has the address of
        `destination`.
        """
        return self._asked("arping", source, destination, options)

    def why(self, source: str, destination: str, **options: Unpack[Options]) -> Report:
        """Predict what would happen to the probe. Nothing is sent."""
        return self._asked("why", source, destination, options)

    def check(
        self,
        *files: str | os.PathLike[str],
        wait: str | float = 0,
        timeout: str | float = "1s",
        changes: Sequence[str] = (),
        told: Told | None = None,
        gathered: Gathered | None = None,
    ) -> Check:
        """Ask whether the expectations of these files hold; for so long as `wait` those that do not are asked
        again. With `changes` - commands as a person types them - nothing is sent: the model says which would
        hold after these. `told` hears of progress, `gathered` gets the configuration that was read.
        """
        from .checking import check_live, check_model, read_files

        wanted = read_files(files)
        if changes:
            return check_model(self._opened(), wanted, changes, told=told)
        spans = nanoseconds(wait), nanoseconds(timeout)
        return check_live(self._opened(), wanted, self.run, *spans, told, gathered)

    def checked(self, wanted: Sequence[Expectation], ask: Callable[[Question], model.Run]) -> Check:
        """The same of expectations that were read, each asked by `ask`."""
        from .checking import check_live

        return check_live(self._opened(), wanted, ask)

    def expect(
        self,
        *endpoints: str,
        protocol: str | None = None,
        port: int | None = None,
        blocked: bool = False,
        timeout: str | float = "1s",
        told: Told | None = None,
    ) -> Written:
        """A file of expectations (YAML) of what answers now among these endpoints; without any, among all
        namespaces that have an address. `blocked`: what does not answer is expected not to.
        """
        from .checking import addressed, written_now
        from .expectations.written import Asking

        check_values(Question("host", "host", "ping", protocol, port))  # type: ignore[arg-type]
        machine = self._opened()
        named = endpoints or addressed(machine, self.ls())
        by = Asking(protocol, port)  # type: ignore[arg-type]
        return written_now(machine, self.run, named, by, blocked, nanoseconds(timeout), told)

    def matrix(
        self,
        endpoints: Sequence[str] | Mapping[str, Sequence[str]] = (),
        progress: Progress | None = None,
        **options: Unpack[MatrixOptions],
    ) -> Matrix:
        """Ask for each pair of `endpoints`, both ways, whether one reaches the other; named groups of them
        stand together. `progress` is told how many pairs are done, and of how many.
        """
        from .all_pairs import asked

        self._guest.start()
        return asked(self._opened(), endpoints, progress, options)

    def ls(self, *names: str) -> tuple[model.Space, ...]:
        """The namespaces and containers that can be seen from here, with their interfaces and addresses; with
        `names` those alone of whose names, kind or addresses one holds one of these, or fits it as a pattern.
        """
        found = self._opened().spaces()
        return tuple(each for each in found if not names or any(_fits(each, name) for name in names))

    def map(self, *endpoints: str, highlight: tuple[str, str] | None = None) -> Map:
        """How the namespaces are wired; of what is connected with `endpoints`, where there are any.
        `highlight`: a source and a destination, whose predicted path lies over it.
        """
        from .wiring import mapped

        return mapped(self._of_this_machine("map"), endpoints, highlight)

    def run(self, question: Question, recall: Recall | None = None) -> model.Run:
        """The whole run of a question: the report, and the configuration and the frames that it was made
        of. `recall` knows of an earlier run. Raises Interrupted, with the run so far, for a Ctrl-C.
        """
        if question.send:
            self._guest.start()  # it gets ready beside all the reading
        return ask(self._opened(), question, recall)

    def with_holders(self, run: model.Run) -> model.Run:
        """The run, and among its notes which programs hold the port at which the probe has arrived."""
        held = _held(self._opened(), run.report)
        return replace(run, report=replace(run.report, notes=(*run.report.notes, *held)))

    def heard(self) -> tuple[str, ...]:
        """What a person should know about how the names of `ls` were found: which engine did not answer."""
        return self._opened().heard()

    def _opened(self) -> Machine | OpenFleet:
        """The machine, as long as its descriptors are ours: later their numbers may be those of other
        files.
        """
        if not self._is_open:
            raise ValueError("the session is closed")
        return self._machine

    def _of_this_machine(self, command: str) -> Machine:
        """The same for a question that is asked of one machine alone. Raises WrongQuestion where there are
        other hosts.
        """
        from .linux.machine import Machine

        machine = self._opened()
        if not isinstance(machine, Machine):
            raise WrongQuestion(
                f"{command} asks the namespaces of one machine, and other hosts were given",
                f"Leave the hosts out, or run netprobe {command} on the host.",
            )
        return machine

    def _asked(self, command: str, source: str, destination: str, options: Options) -> Report:
        write = options.get("write")
        if write is not None and not os.fspath(write):
            raise WrongQuestion("the file to write has no name", 'Write one: write="run.pcapng".')
        asked, recall = question(command, source, destination, options), _recall(options.get("since"))
        words = (command, source, destination)
        try:
            run = self.run(asked, recall)
        except Interrupted as error:
            if write is not None:
                with suppress(OSError):  # the interruption is what the caller hears of
                    _kept(error.kept, os.fspath(write), *words)
            raise
        run = self.with_holders(run)
        return report_of(run.report if write is None else _kept(run, os.fspath(write), *words))


def _opened_world(
    host: str | None,
    exclude: tuple[str, ...],
    crafter: Crafter | Guest,
    hosts: Hosts | Sequence[str] | None,
) -> Machine | OpenFleet:
    """This machine, or the hosts that are given; without any nothing of them is imported."""
    if hosts:
        from .fleet.opening import open_fleet
        from .hosts import given

        return open_fleet(given(hosts), host, exclude, crafter)
    from .linux.machine import Machine

    return Machine(host, exclude, crafter)


def question(command: str, source: str, destination: str, options: Options) -> Question:
    """What is asked, of options as people give them.

    Raises WrongQuestion for a value that is none, and an option of no use.
    """
    if command == "why" and (useless := [name for name in _SENDING if name in options]):
        raise WrongQuestion(
            f"{useless[0]} has no meaning for why, which sends nothing", "Leave it out, or ask by trace."
        )
    if command == "arping":
        if options.get("protocol") not in (None, "arp"):
            raise WrongQuestion(
                f"arping asks by ARP, and the protocol is to be {options['protocol']}",
                "Leave it out, or ask by trace.",
            )
        options = {**options, "protocol": "arp"}
    given = {
        key: value for key, value in options.items() if key not in ("write", "since", "timeout", "interval")
    }
    spans = {f"{key}_ns": nanoseconds(options[key]) for key in ("timeout", "interval") if key in options}
    send = command != "why"
    asked = Question(source, destination, command, send=send, **given, **spans)  # type: ignore[arg-type]
    check_values(asked)
    return asked


_SENDING = ("count", "timeout", "interval", "write")


def _recall(path: str | os.PathLike[str] | None) -> Recall | None:
    """The earlier run that an option names."""
    if path is None:
        return None
    from .earlier import RunOfFile

    return RunOfFile(os.fspath(path))


def _kept(run: model.Run, path: str, *words: str) -> model.Report:
    """The report of a run whose capture was written to `path`. Raises OSError where that failed."""
    from .saved import save

    run, failed = save(run, path, "none", " ".join(("netprobe", *words)))
    if failed is not None:
        raise OSError(failed[0])
    return run.report


def _held(machine: Machine | OpenFleet, report: model.Report) -> tuple[str, ...]:
    """Who holds the port at which the probe has arrived, in sentences."""
    last = report.path.request[-1] if report.path.request else None
    if last is None or last.stage is not model.Stage.DELIVER or not last.flow.dport or not last.reached:
        return ()
    return machine.behind_port(last.namespace, last.flow.protocol.value, last.flow.dport)


def _fits(space: model.Space, wanted: str) -> bool:
    """Whether a word means a namespace; with * or ? in it, it is a pattern of a whole name (fnmatch)."""
    names = (each for each in space.names if not each.startswith("pid:"))  # of a process `typed` has it
    addresses = (address.partition("/")[0] for each in space.interfaces for address in each.addresses)
    words = (space.name, space.typed, space.kind, *names, *addresses)
    if set(wanted) & set("*?"):
        return any(fnmatchcase(word, wanted) for word in words)
    return any(wanted in word for word in words)
