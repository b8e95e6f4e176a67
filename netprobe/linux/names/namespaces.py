"""The namespaces of this machine by name: found, opened, and called by one name each for the whole run."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

from netprobe.endpoint import Named, parse
from netprobe.errors import NetprobeError, NotPermitted, Shortage, WrongQuestion
from netprobe.kernel.elsewhere import Place
from netprobe.linux import files, netns
from netprobe.linux.privilege import not_permitted
from netprobe.model import STARTED_IN
from netprobe.model.command import quoted
from netprobe.model.pattern import pattern

from .containers import PODS, Containers
from .handles import Handles
from .names import (
    Found,
    NamedNamespaces,
    NameSource,
    NamespaceFiles,
    Processes,
    UnknownName,
    did_you_mean,
    inner_of,
    inner_source,
    inside_of,
    lookup,
)

HOST = STARTED_IN
OPENED = "/proc/self/fd/"  # where a namespace is that is open already
HOST_ROOT = "/proc/1/root"
# kinds whose names tell nothing without the kind before them
NAMELESS = (HOST, Processes.kind, NamespaceFiles.kind, PODS)
_GENERATED = pattern(r"(?:netns|cni)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Directory:
    """Opens namespaces by name and holds them; `close` lets all go.

    Raises WrongQuestion, NotPermitted or CannotLook.

    `host` names the namespace that the word `host` means (default: the one of the calling thread; in a
    container that shares the host's PID namespace, the host's). `exclude` names those that are to be treated
    as not visible. `prefix` stands before the names of all, as of another host's.
    """

    def __init__(self, host: str | None = None, exclude: Sequence[str] = (), prefix: str = "") -> None:
        shared = in_a_container_of_the_host()
        root = HOST_ROOT if shared else ""
        self._own: netns.Identity | None = netns.own_identity()
        self._know(prefix, NamedNamespaces(root), Containers(root), Processes())
        home = Found(HOST, HOST, "/proc/1/ns/net" if shared else netns.OWN, 1 if shared else None)
        if host is None or host == HOST:
            self._begin(home, netns.open_namespace(home.path, HOST), exclude)
        else:
            home = self._locate(parse(host))
            self._begin(home, self._enterable(home), exclude)

    def _know(
        self, prefix: str, named: NamedNamespaces, containers: Containers, processes: Processes
    ) -> None:
        """Who is asked for names."""
        self.prefix, self.home_name = prefix, prefix + HOST
        self.named, self.containers, self.processes = named, containers, processes
        self.sources: Sequence[NameSource] = (named, *containers.sources, processes, NamespaceFiles())
        self.handles = Handles(prefix)
        self._found: dict[str, Found] = {}
        self._at_hand: dict[str, Found] = {}  # the same, as they are open already
        self._notes: dict[str, tuple[str, ...]] = {}
        self._by_identity: dict[netns.Identity, list[Found]] | None = None
        self._in_order: list[Found] | None = None

    def _begin(self, home: Found, place: Place, exclude: Sequence[str]) -> None:
        """The word `host` means `home`, open as `place`; those of `exclude` are not visible."""
        self._host_found, self._home = home, place
        try:
            self._excluded = {self._identity_of(parse(text)) for text in exclude}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every descriptor. Harmless when repeated."""
        self.handles.close()
        if self._home != -1:
            netns.close(self._home)
            self._home = -1

    # from names to open namespaces

    def named_whole(self, text: str) -> bool:
        """Whether `text`, which a grammar might take apart ("a:80"), is as a whole the name of a
        namespace.
        """
        return bool(self.named.find(text))

    def open(self, named: Named) -> str:
        """The name, for this run, of the namespace that `named` means; it is open from now on."""
        if self._means_host(named):
            return self.open_home()
        found = self._locate(named)
        fd = self._enterable(found)
        if self.is_excluded(fd):
            netns.close(fd)
            raise WrongQuestion(f"{named.text} is excluded by --exclude")
        self._notes[named.text] = (*self.containers.heard(), *found.remarks)
        return self.adopt(fd, found)

    def open_home(self) -> str:
        """The name of the namespace that netprobe was started in; it is open from now on."""
        return self.adopt(netns.again(self._home), self._host())

    def notes(self, named: Named) -> tuple[str, ...]:
        """What a person should know about the namespace that was opened as `named`, and about how it was
        found.
        """
        return self._notes.get(named.text, ())

    def adopt(self, fd: Place, found: Found) -> str:
        """Take over the descriptor `fd` of `found`; the name under which it is held from now on."""
        try:
            identity = netns.identity(fd)
            known = self.handles.name_of(identity)
            name = self.handles.add(fd, () if known else self.titles(identity, found))
        except BaseException:
            netns.close(fd)
            raise
        if name not in self._found:
            self._found[name] = found
            self._at_hand[name] = self._again(name, found)
        return name

    def found(self, name: str) -> Found | None:
        """Where the open namespace `name` was found."""
        return self._found.get(name)

    def enter(self, name: str) -> tuple[str, ...] | None:
        """The words before a command that run it in the open namespace `name`, from the shell that netprobe
        was started from: none where netprobe is itself.

        A name in /run/netns is said even then: `ip netns exec` may have started netprobe, and no shell.
        """
        identity = netns.identity(self.handles[name])
        if identity == self._own:
            given = (other for other in self._aliases(identity) if not is_generated(other.name))
            return next((other.enter for other in given), ())
        found = self._found.get(name)
        if found is not None and found.kind == HOST:
            found = self._host_found
        return None if found is None else found.enter

    def is_excluded(self, fd: Place) -> bool:
        """Whether the user wants this namespace to count as not visible."""
        return netns.identity(fd) in self._excluded

    @property
    def is_home_excluded(self) -> bool:
        """Whether that is so of the one that netprobe was started in."""
        return self.is_excluded(self._home)

    def _means_host(self, named: Named) -> bool:
        return named.kind is None and named.name == HOST and not named.nested and not self.named.find(HOST)

    def _host(self) -> Found:
        return Found(HOST, HOST, f"{OPENED}{self._home}")

    def _locate(self, named: Named) -> Found:
        try:
            found = lookup(named, self.sources)
        except UnknownName as error:
            error.hint = "\n".join((error.hint, *self.containers.heard()))
            raise
        for inner in named.nested:
            netns.close(found.open())  # says what is the matter with a container that does not run
            found = inside_of(found, _only(inner, found))
        return found

    def _enterable(self, found: Found) -> Place:
        """A descriptor of `found`, after making sure that it may be entered: better now than after half the
        work.
        """
        try:
            fd = found.open()
            try:
                with netns.inside(fd):
                    return fd
            except BaseException:
                netns.close(fd)
                raise
        except NotPermitted as error:
            raise not_permitted(str(error), found.way_in) from error

    def _identity_of(self, named: Named) -> netns.Identity:
        if self._means_host(named):
            return netns.identity(self._home)
        fd = self._locate(named).open()
        try:
            return netns.identity(fd)
        finally:
            netns.close(fd)

    # from namespaces to names

    def titles(self, identity: netns.Identity, found: Found) -> Iterator[str]:
        """Names for a namespace, the best first; the first one that is free is taken."""
        return (self.prefix + title for title in self._titles(identity, found))

    def _titles(self, identity: netns.Identity, found: Found) -> Iterator[str]:
        if identity == netns.identity(self._home) and not found.is_own:
            yield from self._given(found if found.kind == self.named.kind else None, identity)
            yield HOST
        yield from self._given(found, identity)
        yield from self._containers(identity)
        yield from (other.name for other in self._aliases(identity))
        # made inside a process: nobody gave it a name but that one
        if found.kind == NamespaceFiles.kind or "//" in found.name:
            yield found.text
        pid = found.pid or next(
            (each.pid for each in self.processes.all() if each.identity() == identity), None
        )
        if pid is not None:
            yield self.processes.title(pid)

    def _given(self, found: Found | None, identity: netns.Identity) -> Iterator[str]:
        """The names that people gave it: the one they found it by, then those in /run/netns."""
        if found is not None and found.kind not in NAMELESS and not is_generated(found.name):
            yield from (found.name, found.text)
        if found is not None and (found.kind == PODS or "//" in found.name):
            yield found.text
        yield from (other.name for other in self._aliases(identity) if not is_generated(other.name))

    def _containers(self, identity: netns.Identity) -> Iterator[str]:
        """The names of the containers it belongs to, or the container's in which it was made (`c1//red`)."""
        own = list(self.containers.living_in(identity))
        yield from (each.name for each in own if each.kind != PODS)
        yield from (each.text for each in own)
        if not own:
            outers = list(self.containers.hosts_of(identity))
            yield from (each.name for each in inner_of(outers) if each.identity() == identity)

    def _aliases(self, identity: netns.Identity) -> Sequence[Found]:
        """All names of a namespace in /run/netns.

        Looks at every file once, the first time that a namespace without a name turns up.
        """
        if self._by_identity is None:
            self._by_identity = {}
            for found in self.named.all():
                if (known := found.identity()) is not None:
                    self._by_identity.setdefault(known, []).append(found)
        return self._by_identity.get(identity, ())

    # all of them

    def everything(self) -> Iterator[Found]:
        """Every namespace that can be seen, by all its names:

        `host`, those in use, the named, the containers', those of processes.

        Most come more than once. Nothing is opened by it.
        """
        yield from (self._host(), *self._at_hand.values())
        containers: list[Found] = []
        for source in self.sources:
            found = list(source.all())
            containers += found if source in self.containers.sources else []
            yield from (each for each in found if not each.owner)
        yield from (each for each in containers if each.owner)  # the names that other users give come last
        yield from inner_of(containers)

    def candidates(self, beside: str = "") -> Iterator[Iterator[Found]]:
        """Every namespace that can be seen, some twice, one kind after the other, the likely and the cheapest
        first: for a search that ends at the first.

        Likely is what was found last, and what is named like `beside`, whose namespaces are sought. What
        comes before the containers is found without asking anybody, and without a look at what belongs to
        others.
        """
        found = [*islice(reversed(self._at_hand.values()), _LIKELY)]
        yield iter([self._host(), *found[:_LIKELIEST]])
        near = self._next_to(beside)
        yield iter(near[:_LIKELIEST])
        yield iter(found[_LIKELIEST:])
        yield iter(near[_LIKELIEST:])
        yield iter([*self._at_hand.values()])
        yield self.named.all()
        yield iter(self.processes.all())
        yield inner_of(list(self.containers.all()))

    def _next_to(self, name: str) -> Sequence[Found]:
        """The named namespaces that follow this name, as they were when they were first asked for."""
        if self._in_order is None:
            self._in_order = sorted(self.named.all(), key=_place)
        at = bisect_right(self._in_order, _natural(name), key=_place)
        return self._in_order[at : at + _LIKELY]

    def _again(self, name: str, found: Found) -> Found:
        """An open namespace as it is found by who looks for it once more."""
        return Found(found.kind, name, f"{OPENED}{self.handles[name]}")


_LIKELY = 5  # of each kind, before all the others are asked
_LIKELIEST = 1  # of these, before the others are


def _natural(name: str) -> list[str | int]:
    """By what names are sorted so that r10 follows r9."""
    return [int(part) if n % 2 else part for n, part in enumerate(re.split(r"(\d+)", name))]


def _place(found: Found) -> list[str | int]:
    return _natural(found.name)


def _only(name: str, outer: Found) -> Found:
    """The namespace of this name that the container `outer` made.

    Raises UnknownName with those that there are.
    """
    source = inner_source(outer)
    found = source.find(name)
    if not found:
        known = [each.name for each in source.all()]
        hint = did_you_mean(name, known) or "It has " + (
            ", ".join(map(quoted, known)) or "none in its /run/netns"
        )
        raise UnknownName(f"there is no namespace {name} inside {outer.name}", hint)
    return found[0]


def is_generated(name: str) -> bool:
    """Whether a program made this name up:

    Podman's and the container network plugins' files in /run/netns.
    """
    return _GENERATED.fullmatch(name) is not None


def opened(found: Found) -> Place | None:
    """A descriptor of `found` that the caller closes; None when its file is stale or not ours to open.

    Raises Shortage.
    """
    try:
        return found.open()
    except Shortage:  # which says nothing of the file
        raise
    except NetprobeError:
        return None


def in_a_container_of_the_host() -> bool:
    """Whether process 1 is visible and has another root directory: a container started with the host's PID
    namespace.
    """
    try:
        return files.key(HOST_ROOT) != files.key("/") and bool(files.key("/proc/1/ns/net"))
    except OSError:
        return False
