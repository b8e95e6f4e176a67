"""Names of namespaces: who knows them, and which file is meant.

Each `NameSource` knows one kind of name. A bare name is asked of all sources that take bare names, in their
order; a prefix (`pid:123`) asks one. Looking a name up opens nothing and never creates anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Protocol

from netprobe.endpoint import Named
from netprobe.errors import CannotLook, NetprobeError, WrongQuestion, cannot_look, is_short
from netprobe.kernel.elsewhere import Place
from netprobe.linux import apart, files, netns
from netprobe.linux.shortage import looked
from netprobe.model.command import quoted

NETNS, VAR_NETNS = "/run/netns", "/var/run/netns"
INNER = 256  # files in a container's /run/netns that are looked at
NEAREST = 3  # how many similar names an error offers


@dataclass(frozen=True, slots=True)
class Found:
    """A namespace as a source knows it. `path` is the file to open; `pid` a process that lives in it.

    `beneath` is a directory from which `path` is walked without following a symbolic link: inside a container
    those are not ours to trust; `holder` is that container, whose process number may be another's by now.
    `note` is what a person should know about it ("paused").
    """

    kind: str
    name: str
    path: str
    pid: int | None = None
    beneath: str | None = None
    note: str = ""
    holder: Found | None = None

    @property
    def text(self) -> str:
        """The unambiguous way to write it."""
        return f"{self.kind}:{self.name}"

    @property
    def precise(self) -> str:
        """The way to write it when something else of its kind has the same name."""
        return self.text

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know about it, in sentences; `note` has it in few words."""
        return ()

    @property
    def owner(self) -> int:
        """The number of the user whose word it is that it has this name; 0: root's or that of who asks."""
        return 0

    @property
    def is_own(self) -> bool:
        """Whether it is known to be somebody's own namespace, so that it keeps that name also where netprobe
        was started in it.
        """
        return False

    @property
    def way_in(self) -> str:
        """A command before ours that gives the privilege to enter it without being root; "" where there is
        none.
        """
        return ""

    @property
    def enter(self) -> tuple[str, ...] | None:
        """The words before a command that run it in there: of ip-netns(8) where that knows the name, else of
        nsenter(1); None where the file means another namespace to another process.
        """
        if self.pid is not None:
            return ("nsenter", "-t", str(self.pid), "-n")
        path = self.beneath.rstrip("/") + self.path if self.beneath is not None else self.path
        if re.match(r"/proc/(?:thread-)?self/|(?!/)", path):
            return None
        own = f"{VAR_NETNS}/{self.name}"  # where ip looks, unless it was built for /run
        tree = files.Tree("/")
        if path in (f"{NETNS}/{self.name}", own) and tree.key(own) == tree.key(path) is not None:
            return ("ip", "netns", "exec", self.name)
        return ("nsenter", f"--net={path}")

    @property
    def alive(self) -> bool:
        """Whether there is a namespace now; a container that does not run has none."""
        return True

    def open(self) -> Place:
        """A descriptor of the namespace. Raises NotPermitted or CannotLook with its name."""
        if self.beneath is not None:
            return self.held(netns.open_beneath(self.beneath, self.path, self.text))
        return netns.open_namespace(self.path, self.text)

    def begin(self) -> None:
        """It is opened soon, and so are others: what takes its time, of another host, may begin."""

    def held(self, fd: int) -> int:
        """`fd`, which was opened beneath, if the holder lives still: it was that one's. Raises CannotLook."""
        if self.holder is not None and self.holder.identity() is None:
            os.close(fd)
            raise CannotLook(f"{self.holder.text} has ended meanwhile", "Try again.")
        return fd

    def identity(self) -> netns.Identity | None:
        """Which namespace the file stands for, without opening it; None when the file cannot be looked at."""
        try:
            if self.beneath is not None:
                return files.Tree(self.beneath, foreign=True).identity(self.path)
            return files.key(self.path)
        except ValueError:
            return None
        except OSError as error:
            if is_short(error):
                raise cannot_look(f"cannot look at {self.text}", error) from error
            return None


def open_each(batch: Sequence[Found]) -> list[Place | NetprobeError]:
    """A descriptor of each namespace, which the caller closes, or why there is none; those inside of
    containers all at once.
    """
    for each in batch:
        each.begin()
    inner = iter(
        netns.open_all_beneath(
            [(each.beneath, each.path, each.text) for each in batch if each.beneath is not None]
        )
    )
    return [
        _held_or_error(each, next(inner)) if each.beneath is not None else _open_or_error(each)
        for each in batch
    ]


def close_all(results: Iterable[Place | NetprobeError]) -> None:
    """Close the descriptors among what `open_each` gave."""
    for result in results:
        if not isinstance(result, NetprobeError):
            netns.close(result)


def _open_or_error(found: Found) -> Place | NetprobeError:
    try:
        return found.open()
    except NetprobeError as error:
        return error


def _held_or_error(found: Found, result: int | NetprobeError) -> int | NetprobeError:
    try:
        return found.held(result) if isinstance(result, int) else result
    except NetprobeError as error:
        return error


class NameSource(Protocol):
    """One kind of name, written with the prefix `kind`. `bare`: its names may stand without the prefix."""

    kind: str
    bare: bool

    def find(self, name: str) -> Sequence[Found]:
        """All that this name can mean here; more than one is an ambiguity."""
        ...

    def remembered(self, name: str) -> Sequence[Found]:
        """The same, as far as it can be told from files: no daemon is asked, and no list of all processes is
        made.
        """
        return self.find(name)

    def sought(self, name: str) -> Sequence[Found]:  # noqa: ARG002 - those that search need it
        """What it can mean after looking everywhere: for a name that nobody has."""
        return ()

    def all(self) -> Iterable[Found]:
        """Everything this source knows: for "did you mean" and for listing."""
        ...


class NamedNamespaces(NameSource):
    """The files of `ip netns`: /run/netns, below another root directory for a container's own."""

    kind = "netns"
    bare = True

    def __init__(self, root: str = "", trusted: bool = True) -> None:
        self._root = root
        self._tree = files.Tree(root or "/", foreign=not trusted)

    def find(self, name: str) -> Sequence[Found]:
        """The file of this name, if there is one. A name with a slash has none."""
        if "/" in name or name in ("", ".", ".."):
            return ()
        return [
            self._found(directory, name)
            for directory in self._directories
            if self._tree.exists(f"{directory}/{name}")
        ][:1]

    def all(self) -> Iterator[Found]:
        """All files, sorted by name."""
        for directory in self._directories:
            try:
                names = self._tree.names(directory)
            except OSError as error:
                if is_short(error):
                    raise
                continue
            yield from (self._found(directory, name) for name in names)

    @cached_property
    def _directories(self) -> tuple[str, ...]:
        """Where they can be: a distribution may have /run or /var/run, or one be a link to the other."""
        if self._tree.foreign:  # a link in a container could lead to any of ours
            linked = self._tree.is_link("/var") or self._tree.is_link("/var/run")
        else:
            linked = self._tree.key("/var/run") in (None, self._tree.key("/run"))
        return (NETNS,) if linked else (NETNS, VAR_NETNS)

    def _found(self, directory: str, name: str) -> Found:
        path = f"{directory}/{name}"
        if self._tree.foreign:
            return Found(self.kind, name, path, beneath=self._root)
        return Found(self.kind, name, self._root + path)


class Processes(NameSource):
    """Any process of this machine, by its number."""

    kind = "pid"
    bare = False

    def find(self, name: str) -> Sequence[Found]:
        """The namespace of the process with this number, if it runs."""
        pid = int(name)
        return (
            [Found(self.kind, str(pid), f"/proc/{pid}/ns/net", pid)]
            if files.Tree("/proc").exists(str(pid))
            else []
        )

    def all(self) -> Iterator[Found]:
        """One process, the oldest, of each network namespace that has one."""
        seen = set()
        for pid in sorted(int(name) for name in files.entries("/proc") if name.isdigit()):
            found = Found(self.kind, str(pid), f"/proc/{pid}/ns/net", pid)
            identity = found.identity()
            if identity is not None and identity not in seen:
                seen.add(identity)
                yield found

    def title(self, pid: int) -> str:
        """How a namespace is called that only a process shows: `pid 123 (nginx)`."""
        try:
            return f"pid {pid} ({os.fsdecode(files.kernel(f'/proc/{pid}/comm', files.SMALL)).strip()})"
        except OSError:
            return f"pid {pid}"


class NamespaceFiles(NameSource):
    """Any file that is a network namespace."""

    kind = "path"
    bare = False

    def find(self, name: str) -> Sequence[Found]:
        """The file, if it exists."""
        return [Found(self.kind, name, name)] if files.exists(name) else []

    def all(self) -> Sequence[Found]:
        """Nothing: every file would be one."""
        return ()


class UnknownName(WrongQuestion):
    """No source knows the name; the hint offers the nearest ones."""


def lookup(named: Named, sources: Sequence[NameSource]) -> Found:
    """The one namespace that `named` means (its nested names left aside).

    Raises WrongQuestion: an unknown name, with the nearest known ones, or several different namespaces of
    that name.
    """
    if named.kind is not None and all(source.kind != named.kind for source in sources):
        raise WrongQuestion(f"{named.text}: names of kind {named.kind} cannot be looked up here")
    asked = [
        source for source in sources if (source.bare if named.kind is None else source.kind == named.kind)
    ]
    matches = _matches(named.name, asked)
    if not matches:
        looked(named.name)  # a source may have passed over what it could not open
        raise _unknown(named, asked)
    # what another user says makes no name of root's ambiguous
    matches = [found for found in matches if not found.owner] or matches
    # one that does not run hides nobody of its name
    matches = [found for found in matches if found.alive] or matches
    if len(matches) > 1 and len({found.identity() for found in matches}) > 1:
        raise WrongQuestion(
            f"{named.text} is the name of more than one namespace",
            "Write one of: " + "  ".join(map(quoted, _told_apart(matches))),
        )
    return matches[0]


def _matches(name: str, asked: Sequence[NameSource]) -> Sequence[Found]:
    """What the sources know by this name.

    Where the first has it, the others say only what they know without asking around.
    """
    first = list(asked[0].find(name))
    if first:
        known = [each for source in asked[1:] for each in source.remembered(name)]
        # files may speak of what has ended long ago
        return first + [each for each in known if each.identity() is not None]
    found = [each for source in asked[1:] for each in source.find(name)]
    return found or [each for source in asked for each in source.sought(name)]


def _told_apart(matches: Sequence[Found]) -> list[str]:
    texts = [found.text for found in matches]
    return list(
        dict.fromkeys(found.text if texts.count(found.text) == 1 else found.precise for found in matches)
    )


def _unknown(named: Named, asked: Sequence[NameSource]) -> UnknownName:
    what = {"pid": "process ", "path": "file ", None: "namespace or container "}.get(
        named.kind, f"{named.kind}:"
    )
    return UnknownName(f"there is no {what}{named.name}", _nearest(named, asked))


def _nearest(named: Named, asked: Sequence[NameSource]) -> str:
    if not named.may_be_host:  # a host name will be asked of a resolver: nobody misspelt a container
        known = {
            found.name: None for source in asked if source.kind != Processes.kind for found in source.all()
        }
        if near := did_you_mean(named.name, known):
            return near
    return "`netprobe ls` lists those that can be seen from here"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The question after the nearest of the `known` names; "" when none is near."""
    import difflib  # 10 ms that only a typo should cost

    near = difflib.get_close_matches(name, list(known), NEAREST, 0.5)
    return "Did you mean " + " or ".join(map(quoted, near)) + "?" if near else ""


def inner_of(outers: Sequence[Found]) -> Iterator[Found]:
    """The namespaces that the containers `outers` made inside themselves, called `c1//red`; other files there
    are left out.
    """
    asked = [outer for outer in outers if outer.pid is not None]
    for outer, found in zip(
        asked, apart.values(_inside, [inner_source(outer) for outer in asked]), strict=True
    ):
        if not isinstance(found, OSError):
            for name, path in found:
                step = Found(NamedNamespaces.kind, name, path, beneath=f"/proc/{outer.pid}/root")
                yield inside_of(outer, step)


def _inside(source: NamedNamespaces) -> list[tuple[str, str]]:
    known = islice(source.all(), INNER)
    return [(found.name, found.path) for found in known if found.identity() is not None]


def inside_of(outer: Found, step: Found) -> Found:
    """The namespace `step` that the container `outer` made: it is called `c1//red`."""
    return replace(step, kind=outer.kind, name=f"{outer.name}//{step.name}", pid=None, holder=outer)


def inner_source(outer: Found) -> NamedNamespaces:
    """The namespaces that the container `outer` made for itself: its own /run/netns.

    Raises WrongQuestion when it has no files.
    """
    if outer.pid is None:
        raise WrongQuestion(
            f"{outer.name} has no process whose /run/netns could be looked into",
            "Write the namespace's own name.",
        )
    return NamedNamespaces(f"/proc/{outer.pid}/root", trusted=False)
