"""The names of the namespaces of another host: its /run/netns, its processes, the containers of its engines.

Everything of the host `h1` is called `h1:NAME`. What the host lists is asked for once a question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from netprobe.endpoint import Named
from netprobe.errors import CannotLook, NetprobeError, NotPermitted, WrongQuestion
from netprobe.kernel.elsewhere import Elsewhere, Place
from netprobe.linux import netns
from netprobe.linux.names.containers import Containers
from netprobe.linux.names.names import Found, NamedNamespaces, Processes
from netprobe.linux.names.namespaces import HOST, Directory
from netprobe.model.command import joined

from .engines import Engines
from .place import DistantNamespace
from .questions import Questions, Unanswered

NETNS = "/run/netns"
MOST = 4096  # namespaces that a host has
OWN = "/proc/self/ns/net"  # of the agent, which stays where it is


class Listing:
    """What a host lists of its namespaces, each list asked for once a question."""

    def __init__(self, questions: Questions) -> None:
        self.questions = questions
        self._kept: dict[str, list[Any]] = {}

    def forget(self) -> None:
        """A new question begins."""
        self._kept.clear()

    def named(self) -> list[tuple[str, netns.Identity]]:
        """(name, identity) of each file in /run/netns."""
        return self._once("names", lambda: self._rows("names", (str, int, int), _named))

    def processes(self) -> list[tuple[int, str, netns.Identity, str]]:
        """(pid, comm, identity, cgroup) of one process of each namespace that has one."""
        return self._once(
            "processes", lambda: self._rows("processes", (int, str, int, int, str), _process, MOST)
        )

    def _once(self, what: str, ask: Callable[[], list[Any]]) -> list[Any]:
        if what not in self._kept:
            self._kept[what] = ask()
        return self._kept[what]

    def _rows(
        self, verb: str, kinds: tuple[type, ...], row: Callable[..., Any], *arguments: Any
    ) -> list[Any]:
        rows = self.questions.call(verb, *arguments)
        fits = isinstance(rows, list) and all(
            isinstance(each, list) and tuple(map(type, each)) == kinds for each in rows
        )
        if not fits:
            raise Unanswered(f"{self.questions.name} gives other answers than it was asked for")
        return [row(*each) for each in rows]


def _named(name: str, device: int, inode: int) -> tuple[str, netns.Identity]:
    return name, (device, inode)


def _process(
    pid: int, comm: str, device: int, inode: int, cgroup: str
) -> tuple[int, str, netns.Identity, str]:
    return pid, comm, (device, inode), cgroup


@dataclass(frozen=True, slots=True)
class FoundThere(Found):
    """A namespace of another host; `which` it is, as far as the host has listed it."""

    questions: Questions | None = field(default=None, compare=False)
    which: netns.Identity | None = None
    begun: list[Callable[[], Any]] = field(default_factory=list, compare=False, repr=False)

    def begin(self) -> None:
        """Ask for it to be opened: the answer is heard by `open`."""
        assert self.questions is not None
        if (held := self.questions.held(self.path)) is None:
            self.begun.append(self.questions.begun("open", self.path))
        else:
            held.close()

    def open(self) -> Elsewhere:
        """The namespace, open there. Raises NotPermitted or CannotLook with its name."""
        questions = self.questions
        assert questions is not None
        called = f"{questions.name}:{self.name}"
        if (held := questions.held(self.path)) is not None:
            return held
        try:
            answer = (self.begun.pop() if self.begun else questions.begun("open", self.path))()
            found = answer if isinstance(answer, list) else [answer, questions.call("identity", answer)]
        except PermissionError as error:
            raise NotPermitted(
                f"not permitted to open the network namespace {called}: {error.strerror}"
            ) from error
        except OSError as error:
            raise CannotLook(f"cannot open the network namespace {called}: {error.strerror}") from error
        match found:
            case [int(number), int(device), int(inode)] | [int(number), [int(device), int(inode)]]:
                place = DistantNamespace(questions, number, (device, inode))
                questions.hold(self.path, place)
                return place
        raise Unanswered(f"{questions.name} gives other answers than it was asked for")

    def identity(self) -> netns.Identity | None:
        """Which namespace the file stood for when it was listed."""
        return self.which

    @property
    def enter(self) -> tuple[str, ...] | None:
        """The words before a command that run it in there, on its host."""
        if self.kind == HOST:
            return ()
        if self.pid is not None:
            return ("nsenter", "-t", str(self.pid), "-n")
        return ("ip", "netns", "exec", self.name)


class NamedThere(NamedNamespaces):
    """The files of `ip netns` on a host."""

    def __init__(self, listing: Listing) -> None:
        super().__init__()
        self._listing = listing

    def find(self, name: str) -> Sequence[Found]:
        """The file of this name, if there is one."""
        return [each for each in self.all() if each.name == name]

    def all(self) -> Iterator[Found]:
        """All files, sorted by name."""
        for name, identity in sorted(self._listing.named()):
            yield FoundThere(
                self.kind, name, f"{NETNS}/{name}", questions=self._listing.questions, which=identity
            )


class ProcessesThere(Processes):
    """Any process of a host, by its number."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    def find(self, name: str) -> Sequence[Found]:
        """The namespace of the process with this number; whether it runs shows when it is opened."""
        pid = int(name)
        known = next((which for other, _, which, _ in self._listing.processes() if other == pid), None)
        return [self._found(pid, known)]

    def all(self) -> Iterator[Found]:
        """One process of each network namespace that has one."""
        for pid, _, identity, _ in self._listing.processes():
            yield self._found(pid, identity)

    def _found(self, pid: int, identity: netns.Identity | None) -> Found:
        path = f"/proc/{pid}/ns/net"
        return FoundThere(self.kind, str(pid), path, pid, questions=self._listing.questions, which=identity)

    def title(self, pid: int) -> str:
        """How a namespace is called that only a process shows: `pid 123 (nginx)`."""
        comm = next((comm for other, comm, _, _ in self._listing.processes() if other == pid), "")
        return f"pid {pid} ({comm})" if comm else f"pid {pid}"


class ContainersThere(Containers):
    """The containers of Docker and Podman on a host, asked over the engines' sockets there."""

    def __init__(self, listing: Listing, engines: Engines) -> None:
        super().__init__(environment={})
        self._listing, self._engines = listing, engines
        self.sources = [each for each in self.sources if each.kind in engines.kinds]

    def remembered(self, kind: str, name: str) -> Sequence[Found]:  # noqa: ARG002 - as the others
        """Nothing: no file of an engine is read on another host."""
        return ()

    def find(self, kind: str, name: str) -> Sequence[Found]:
        """Containers of this kind with this name; one that does not run is found as well."""
        return [
            self._found(kind, each.name, each.pid, each.text) for each in self._engines.described(kind, name)
        ]

    def sought(self, kind: str, name: str) -> Sequence[Found]:  # noqa: ARG002 - as the others
        """Nothing more."""
        return ()

    def running(self, kind: str) -> Iterator[Found]:
        """Every container of this kind that runs."""
        for _, _, _, cgroup in self._listing.processes():
            for each in self._engines.of_group(cgroup):
                if each.runtime == kind and each.pid:
                    yield self._found(kind, each.name, each.pid, each.text)

    def _found(self, kind: str, name: str, pid: int, text: str) -> Found:
        if not pid:
            return StoppedThere(kind, name, "", note=text)
        known = next((which for other, _, which, _ in self._listing.processes() if other == pid), None)
        path = f"/proc/{pid}/ns/net"
        return FoundThere(kind, name, path, pid, questions=self._listing.questions, which=known)

    def heard(self) -> tuple[str, ...]:
        """What a person should know about the asking, as far as it is new."""
        return self._engines.heard()

    def living_in(self, network: netns.Identity) -> Iterator[Found]:
        """The containers in whose control group a process of this network namespace is."""
        for _, _, identity, cgroup in self._listing.processes():
            if identity == network:
                for each in self._engines.of_group(cgroup):
                    yield self._found(each.runtime, each.name, each.pid, each.text)

    def hosts_of(self, network: netns.Identity) -> Iterator[Found]:  # noqa: ARG002 - as the others
        """Nothing: what containers make inside of themselves is not looked for on another host."""
        return iter(())


class StoppedThere(Found):
    """A container of another host that does not run."""

    @property
    def alive(self) -> bool:
        """It has no namespace."""
        return False

    def begin(self) -> None:
        """There is nothing to open."""

    def open(self) -> Elsewhere:
        """Raises WrongQuestion."""
        raise WrongQuestion(f"the container {self.note} does not run", "Start it first.")


class HostDirectory(Directory):
    """Opens the namespaces of a host by name and holds them; `close` lets all go.

    `way`: the words before a command that run it on the host, from the shell that netprobe was started from;
    () is by ssh, by the host's own name, and None that they are not known.
    """

    def __init__(
        self, questions: Questions, exclude: Sequence[str] = (), way: tuple[str, ...] | None = ()
    ) -> None:
        self.questions, self._listing = questions, Listing(questions)
        self._way = ("ssh", questions.name) if way == () else way
        self._own = None
        containers = ContainersThere(self._listing, Engines(questions))
        self._know(f"{questions.name}:", NamedThere(self._listing), containers, ProcessesThere(self._listing))
        place = FoundThere(HOST, HOST, OWN, questions=questions).open()
        home = FoundThere(HOST, HOST, OWN, questions=questions, which=place.identity)
        self._begin(home, place, exclude)
        questions.keep(OWN, place)

    def forget(self) -> None:
        """A new question begins: what the host lists is asked for again."""
        self._listing.forget()
        self.questions.forget()
        for name, found in [(HOST, self._host_found), *self._found.items()]:
            place = self.handles.get(name, self._home)
            if isinstance(place, DistantNamespace):
                self.questions.keep(found.path, place)
        self._by_identity = self._in_order = None

    def close(self) -> None:
        """Close every descriptor. Harmless when repeated."""
        super().close()
        self.questions.settle()

    def adopt(self, fd: Place, found: Found) -> str:
        """Take over an open namespace; the name under which it is held from now on."""
        name = super().adopt(fd, found)
        place = self.handles[name]
        if isinstance(place, DistantNamespace):
            self.questions.keep(found.path, place)
        return name

    def enter(self, name: str) -> tuple[str, ...] | None:
        """The words before a command that run it in the open namespace `name`: over ssh, as far as it is
        known how.
        """
        found = self.found(name)
        words = None if found is None else found.enter
        return None if words is None or self._way is None else (*self._way, *words)

    def _host(self) -> Found:
        return self._host_found

    def candidates(self, beside: str = "") -> Iterator[Iterator[Found]]:
        """As of this machine, each once: it costs a round trip to open one."""
        met: set[netns.Identity | None] = set()
        for kind in super().candidates(beside):
            yield self._new(kind, met)

    def _new(self, kind: Iterator[Found], met: set[netns.Identity | None]) -> Iterator[Found]:
        for found in kind:
            if found.identity() is None or found.identity() not in met:
                met.add(found.identity())
                yield found

    def _again(self, _name: str, found: Found) -> Found:
        return found

    def _locate(self, named: Named) -> Found:
        if named.nested:
            raise WrongQuestion(
                f"{self.prefix}{named.text}: what is inside of a container is not looked for on another host",
                f"Run netprobe there: {joined((*(self._way or ()), 'netprobe'))}",
            )
        if named.kind is not None and all(source.kind != named.kind for source in self.sources):
            kinds = ", ".join(f"{source.kind}:NAME" for source in self.sources)
            raise WrongQuestion(
                f"{self.prefix}{named.text}: names of kind {named.kind} are not looked up on another host",
                f"Write one of: NAME, {kinds}",
            )
        return super()._locate(named)

    def _enterable(self, found: Found) -> Any:
        place = found.open()
        if self.handles.name_of(netns.identity(place)) is not None:  # it was entered before
            return place
        try:
            self.questions.ask(netns.number(place), ("cookie",))
        except PermissionError as error:
            netns.close(place)
            raise NotPermitted(
                f"not permitted to enter {self.prefix}{found.name}: {error.strerror}",
                "The user of the connection needs CAP_SYS_ADMIN and CAP_NET_ADMIN there.",
            ) from error
        except (OSError, NetprobeError):
            netns.close(place)
            raise
        return place
