"""Names of namespaces: who knows them, and which file is meant.

Each `NameSource` knows one kind of name. A bare name is asked of all sources that take bare names, in their order; a prefix
(`pid:123`) asks one. Looking a name up opens nothing and never creates anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from netprobe.endpoint import Named
from netprobe.errors import NetprobeError, Shortage, WrongQuestion, is_short

from . import netns
from .shortage import looked

NEAREST = 3  # how many similar names an error offers


@dataclass(frozen=True, slots=True)
class Found:
    """A namespace as a source knows it. `path` is the file to open; `pid` a process that lives in it.

    `beneath` is a directory from which `path` is walked without following a symbolic link: inside a container those are not
    ours to trust. `note` is what a person should know about it ("paused").
    """

    kind: str
    name: str
    path: str
    pid: int | None = None
    beneath: str | None = None
    note: str = ""

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
    def is_own(self) -> bool:
        """Whether it is known to be somebody's own namespace, so that it keeps that name also where netprobe was started in it."""
        return False

    @property
    def way_in(self) -> str:
        """A command before ours that gives the privilege to enter it without being root; "" where there is none."""
        return ""

    @property
    def alive(self) -> bool:
        """Whether there is a namespace now; a container that does not run has none."""
        return True

    def open(self) -> int:
        """A descriptor of the namespace. Raises NotPermitted or CannotLook with its name."""
        if self.beneath is not None:
            return netns.open_beneath(self.beneath, self.path, self.text)
        return netns.open_namespace(self.path, self.text)

    def identity(self) -> netns.Identity | None:
        """Which namespace the file stands for, without opening it; None when the file cannot be looked at."""
        if self.beneath is not None:
            return _identity_beneath(self)
        try:
            return netns.identity_of(Path(self.path).stat())
        except OSError:
            return None


def _identity_beneath(found: Found) -> netns.Identity | None:
    try:
        fd = found.open()
    except Shortage:
        raise
    except NetprobeError:
        return None
    try:
        return netns.identity(fd)
    finally:
        os.close(fd)


class NameSource(Protocol):
    """One kind of name, written with the prefix `kind`. `bare`: its names may stand without the prefix."""

    kind: str
    bare: bool

    def find(self, name: str) -> Sequence[Found]:
        """All that this name can mean here; more than one is an ambiguity."""
        ...

    def remembered(self, name: str) -> Sequence[Found]:
        """The same, as far as it can be told from files: no daemon is asked, and no list of all processes is made."""
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
        self._beneath = None if trusted else root
        self._directories = [f"{root}/run/netns"]
        if not (_same(f"{root}/run", f"{root}/var/run") if trusted else _is_linked(f"{root}/var", f"{root}/var/run")):
            self._directories.append(f"{root}/var/run/netns")

    def find(self, name: str) -> Sequence[Found]:
        """The file of this name, if there is one. A name with a slash has none."""
        if "/" in name or name in ("", ".", ".."):
            return ()
        return [self._found(directory, name) for directory in self._directories if os.path.lexists(f"{directory}/{name}")][:1]

    def all(self) -> Iterator[Found]:
        """All files, sorted by name."""
        for directory in self._directories:
            try:
                names = sorted(entry.name for entry in os.scandir(directory))
            except OSError as error:
                if is_short(error):
                    raise
                continue
            yield from (self._found(directory, name) for name in names)

    def _found(self, directory: str, name: str) -> Found:
        path = f"{directory}/{name}"
        return Found(self.kind, name, path if self._beneath is None else path.removeprefix(self._beneath), beneath=self._beneath)


class Processes(NameSource):
    """Any process, by its number."""

    kind = "pid"
    bare = False

    def find(self, name: str) -> Sequence[Found]:
        """The namespace of the process with this number, if it runs."""
        pid = int(name)
        return [Found(self.kind, str(pid), f"/proc/{pid}/ns/net", pid)] if Path(f"/proc/{pid}").exists() else []

    def all(self) -> Iterator[Found]:
        """One process, the oldest, of each network namespace that has one."""
        seen = set()
        for pid in sorted(int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()):
            found = Found(self.kind, str(pid), f"/proc/{pid}/ns/net", pid)
            identity = found.identity()
            if identity is not None and identity not in seen:
                seen.add(identity)
                yield found


class Paths(NameSource):
    """Any file that is a network namespace."""

    kind = "path"
    bare = False

    def find(self, name: str) -> Sequence[Found]:
        """The file, if it exists."""
        return [Found(self.kind, name, name)] if os.path.lexists(name) else []

    def all(self) -> Sequence[Found]:
        """Nothing: every file would be one."""
        return ()


class UnknownName(WrongQuestion):
    """No source knows the name; the hint offers the nearest ones."""


def lookup(named: Named, sources: Sequence[NameSource]) -> Found:
    """The one namespace that `named` means (its nested names left aside).

    Raises WrongQuestion: an unknown name, with the nearest known ones, or several different namespaces of that name.
    """
    if named.kind is not None and all(source.kind != named.kind for source in sources):
        raise WrongQuestion(f"{named.text}: names of kind {named.kind} cannot be looked up here")
    asked = [source for source in sources if (source.bare if named.kind is None else source.kind == named.kind)]
    matches = _matches(named.name, asked)
    if not matches:
        looked(named.name)  # a source may have passed over what it could not open
        raise _unknown(named, asked)
    matches = [found for found in matches if found.alive] or matches  # one that does not run hides nobody of its name
    if len(matches) > 1 and len({found.identity() for found in matches}) > 1:
        raise WrongQuestion(f"{named.text} is the name of more than one namespace", "write one of: " + "  ".join(_told_apart(matches)))
    return matches[0]


def _matches(name: str, asked: Sequence[NameSource]) -> Sequence[Found]:
    """What the sources know by this name. Where the first has it, the others say only what they know without asking around."""
    first = list(asked[0].find(name))
    if first:
        known = [each for source in asked[1:] for each in source.remembered(name)]
        return first + [each for each in known if each.identity() is not None]  # files may speak of what has ended long ago
    found = [each for source in asked[1:] for each in source.find(name)]
    return found or [each for source in asked for each in source.sought(name)]


def _told_apart(matches: Sequence[Found]) -> list[str]:
    texts = [found.text for found in matches]
    return list(dict.fromkeys(found.text if texts.count(found.text) == 1 else found.precise for found in matches))


def _unknown(named: Named, asked: Sequence[NameSource]) -> UnknownName:
    what = {"pid": "process", "path": "file", None: "namespace or container"}.get(named.kind, f"{named.kind} name")
    return UnknownName(f"there is no {what} {named.name}", _nearest(named, asked))


def _nearest(named: Named, asked: Sequence[NameSource]) -> str:
    if not named.may_be_host:  # a host name will be asked of a resolver: nobody misspelt a container
        known = {found.name: None for source in asked if source.kind != Processes.kind for found in source.all()}
        if near := did_you_mean(named.name, known):
            return near
    return "`netprobe ls` lists those that can be seen from here"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The question after the nearest of the `known` names; "" when none is near."""
    import difflib  # 10 ms that only a typo should cost

    near = difflib.get_close_matches(name, list(known), NEAREST, 0.5)
    return "did you mean " + " or ".join(near) + "?" if near else ""


def inner_source(outer: Found) -> NamedNamespaces:
    """The namespaces that the container `outer` made for itself: its own /run/netns. Raises WrongQuestion when it has no files."""
    if outer.pid is None:
        raise WrongQuestion(f"{outer.name} has no process whose /run/netns could be looked into", "write the namespace's own name")
    return NamedNamespaces(f"/proc/{outer.pid}/root", trusted=False)


def _is_linked(*parts: str) -> bool:
    """Whether one of the directories is a symbolic link: in a container it could lead to any of ours."""
    return any(Path(part).is_symlink() for part in parts)


def title_of(pid: int) -> str:
    """How a namespace is called that only a process shows: `pid 123 (nginx)`."""
    try:
        return f"pid {pid} ({Path(f'/proc/{pid}/comm').read_text(errors='surrogateescape').strip()})"
    except OSError:
        return f"pid {pid}"


def _same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return True
