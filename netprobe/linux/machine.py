"""This machine, live: the world behind the engine's seam. Names to namespaces, reading, observing; changes nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

from netprobe.endpoint import Named, parse
from netprobe.errors import CannotLook, NetprobeError, NotPermitted, WrongQuestion
from netprobe.model import (
    AskedRoute,
    AskRoute,
    AskSet,
    Blind,
    Endpoint,
    FindPeer,
    FoundPeer,
    Namespace,
    Need,
    Observation,
    ReadNamespace,
    RouteAnswer,
    Snapshot,
    Watch,
)

from . import config, netns, peers, resolver
from .crafter import Crafter
from .handles import Handles
from .names import Found, NamedNamespaces, NameSource, Paths, Processes, UnknownName, inner_source, lookup, title_of
from .netlink import BATCH, Netlink
from .privilege import not_permitted

HOST = "host"
HOST_ROOT = "/proc/1/root"


class Machine:
    """The namespaces of this machine, opened as they are asked for; `with` closes them all.

    `host` names the namespace that the word `host` means (default: the one this thread is in when the machine is entered; in
    a container that shares the host's PID namespace, the host's). `exclude` names namespaces to treat as not visible.
    Raises WrongQuestion, NotPermitted or CannotLook.
    """

    def __init__(self, host: str | None = None, exclude: Sequence[str] = (), crafter: Crafter | None = None) -> None:
        self._crafter = crafter
        root = HOST_ROOT if _in_a_container_of_the_host() else ""
        self.sources: list[NameSource] = [NamedNamespaces(root), Processes(), Paths()]
        self._host_text, self._exclude_texts = host, exclude
        self._home_path = "/proc/1/ns/net" if root else netns.OWN
        self._handles = Handles()
        self._found: dict[str, Found] = {}
        self._excluded: set[netns.Identity] = set()
        self._peers: dict[str, dict[int, str]] = {}
        self._home = -1

    def __enter__(self) -> Machine:
        try:
            self._home = self._open_home()
            self._excluded = {self._identity(parse(text)) for text in self._exclude_texts}
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._handles.close()
        if self._home >= 0:
            os.close(self._home)
            self._home = -1

    def _open_home(self) -> int:
        if self._host_text is None or self._host_text == HOST:
            return netns.open_namespace(self._home_path, HOST)
        return self._open(self._locate(parse(self._host_text)))

    # --- names

    def resolve(self, text: str, inside: Endpoint | None = None, version: int | None = None) -> Endpoint:
        """The endpoint that `text` names. With `inside` (the source) a host name may stand as well, and is resolved there.

        A bare address gives `namespace` None; `version` (4 or 6) chooses among the addresses of a host name.
        """
        named = self._parse(text)
        if named.ip is not None:
            return Endpoint(text, interface=named.interface, address=named.ip, port=named.port)
        try:
            name = self._namespace(named)
        except UnknownName:
            if inside is None or inside.namespace is None or not named.may_be_host:
                raise
            return self._host_name(named, inside.namespace, version)
        if named.interface is not None:
            self._check_interface(named, name)
        return Endpoint(text, name, named.interface, named.address, named.port)

    def _parse(self, text: str) -> Named:
        """`text` taken apart; a name in /run/netns that looks like more than a name ("a:80") is taken whole."""
        if text and self.sources[0].find(text) and not _is_address(text):
            return Named(text, name=text)
        return parse(text)

    def _namespace(self, named: Named) -> str:
        """The display name of the namespace that `named` means, now open."""
        if self._means_host(named):
            return self._add(os.dup(self._home), Found(HOST, HOST, self._home_path))
        found = self._locate(named)
        name = self._add(self._open(found), found)
        if netns.identity(self._handles[name]) in self._excluded:
            raise WrongQuestion(f"{named.text} is excluded by --exclude")
        return name

    def _means_host(self, named: Named) -> bool:
        return named.kind is None and named.name == HOST and not named.nested and not self.sources[0].find(HOST)

    def _locate(self, named: Named) -> Found:
        found = lookup(named, self.sources)
        for inner in named.nested:
            source = inner_source(found)
            step = lookup(Named(named.text, name=inner), [source])
            found = replace(step, name=f"{found.name}//{inner}")
        return found

    def _open(self, found: Found) -> int:
        """A descriptor of the namespace, after making sure that it may be entered: better now than after half the work."""
        try:
            fd = found.open()
            try:
                with netns.inside(fd):
                    return fd
            except BaseException:
                os.close(fd)
                raise
        except NotPermitted as error:
            raise not_permitted(str(error)) from error

    def _identity(self, named: Named) -> netns.Identity:
        if self._means_host(named):
            return netns.identity(self._home)
        fd = self._locate(named).open()
        try:
            return netns.identity(fd)
        finally:
            os.close(fd)

    def _add(self, fd: int, found: Found) -> str:
        """Keep `fd` open under the name that people should read for it."""
        known = self._handles.name_of(netns.identity(fd))
        name = self._handles.add(fd, () if known else self._titles(netns.identity(fd), found))
        self._found.setdefault(name, found)
        return name

    def _titles(self, identity: netns.Identity, found: Found) -> Iterator[str]:
        """Names for a namespace, the best first; the first one that is free is taken."""
        if found.kind not in (HOST, Processes.kind, Paths.kind):
            yield found.name
            yield found.text
        if self._home >= 0 and identity == netns.identity(self._home):
            yield from self._known_names(identity, self.sources[:1])
            yield HOST
        yield from self._known_names(identity, self.sources)
        if found.kind == Paths.kind:
            yield found.text
        pid = found.pid or next((each.pid for each in Processes().all() if each.identity() == identity), None)
        if pid is not None:
            yield title_of(pid)

    def _known_names(self, identity: netns.Identity, sources: Iterable[NameSource]) -> Iterator[str]:
        return (found.name for source in sources if source.bare for found in source.all() if found.identity() == identity)

    def _check_interface(self, named: Named, name: str) -> None:
        with netns.inside(self._handles[name]):
            known = [interface for _, interface in socket.if_nameindex()]
        if named.interface not in known:
            raise WrongQuestion(f"{name} has no interface {named.interface}", "it has " + ", ".join(known))

    def _host_name(self, named: Named, inside: str, version: int | None) -> Endpoint:
        found = self._found.get(inside)
        files = resolver.files_of(inside, found.pid if found else None)
        addresses = resolver.addresses_of(named.name, self._handles[inside], version, files)
        return Endpoint(named.text, address=addresses[0], port=named.port, host_name=named.name)

    # --- reading

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """`snapshot` with what `needs` asks for; what cannot be had becomes a blind spot, never an exception."""
        for need in needs:
            try:
                snapshot = self._read(snapshot, need)
            except NetprobeError as error:
                snapshot = _blinded(snapshot, need, str(error))
        return snapshot

    def _read(self, snapshot: Snapshot, need: Need) -> Snapshot:
        if isinstance(need, ReadNamespace):
            return snapshot.with_namespace(config.read_namespace(need.name, self._handle(need.name)))
        if isinstance(need, FindPeer):
            return replace(snapshot, peers=(*snapshot.peers, FoundPeer(need.namespace, need.nsid, self._peer(need))))
        if isinstance(need, AskRoute):
            answer = config.ask_route(self._handle(need.namespace), need.query)
            return replace(snapshot, answers=(*snapshot.answers, AskedRoute(need.namespace, need.query, answer)))
        return config.answer_set(snapshot, need, self._handle(need.namespace))

    def _handle(self, name: str) -> int:
        try:
            return self._handles[name]
        except KeyError:
            raise CannotLook(f"the namespace {name} is not open") from None

    # --- neighbours across namespaces

    def _peer(self, need: FindPeer) -> str | None:
        """The namespace that `need.namespace` calls `need.nsid`; None when it is not visible from here."""
        known = self._peers.setdefault(need.namespace, {})
        if need.nsid not in known:
            self._search_peer(need, known)
        return known.get(need.nsid)

    def _search_peer(self, need: FindPeer, known: dict[int, str]) -> None:
        asking = self._handle(need.namespace)
        with netns.inside(asking), Netlink() as netlink:
            candidates = self._candidates()
            while batch := list(islice(candidates, BATCH)):
                with ExitStack() as stack:
                    opened = [(found, fd) for found in batch if (fd := _opened(found, stack)) is not None]
                    for (found, fd), nsid in zip(opened, peers.nsids(netlink, [fd for _, fd in opened]), strict=True):
                        if nsid is not None and netns.identity(fd) not in self._excluded:
                            known.setdefault(nsid, self._add(os.dup(fd), found))
                if need.nsid in known:
                    return

    def _candidates(self) -> Iterator[Found]:
        """Every namespace that can be seen, likely ones first; some come twice."""
        yield Found(HOST, HOST, f"/proc/self/fd/{self._home}")
        yield from list(self._found.values())
        for source in self.sources:
            yield from source.all()

    # --- observing

    def observe(self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]) -> tuple[Observation, ...]:
        """Send the probe of `watch` and report what was seen of it, until `settled` or its timeout."""
        from .observe import observe

        return observe(watch, self._handles, settled, self._crafter)


def _opened(found: Found, stack: ExitStack) -> int | None:
    """A descriptor that `stack` closes, or None when the file is stale or not ours to open."""
    try:
        fd = found.open()
    except NetprobeError:
        return None
    stack.callback(os.close, fd)
    return fd


def _blinded(snapshot: Snapshot, need: Need, why: str) -> Snapshot:
    """`snapshot` with an empty answer to `need` and a blind spot that says why, so that nobody asks again."""
    if isinstance(need, ReadNamespace):
        blind = Blind(f"namespace {need.name}", why)
        return replace(snapshot.with_namespace(Namespace(need.name, blind=(blind,))), blind=(*snapshot.blind, blind))
    if isinstance(need, FindPeer):
        blind = Blind(f"the namespace that {need.namespace} calls nsid {need.nsid}", why)
        return replace(snapshot, peers=(*snapshot.peers, FoundPeer(need.namespace, need.nsid, None)), blind=(*snapshot.blind, blind))
    blind = Blind(f"the kernel's answer in {need.namespace}", why)
    if isinstance(need, AskSet):
        return replace(snapshot, blind=(*snapshot.blind, blind))
    asked = AskedRoute(need.namespace, need.query, RouteAnswer(error="EPERM"))
    return replace(snapshot, answers=(*snapshot.answers, asked), blind=(*snapshot.blind, blind))


def _is_address(text: str) -> bool:
    try:
        return parse(text).ip is not None
    except WrongQuestion:
        return False


def _in_a_container_of_the_host() -> bool:
    """Whether process 1 is visible and has another root directory: a container started with the host's PID namespace."""
    try:
        return not os.path.samefile(HOST_ROOT, "/") and Path("/proc/1/ns/net").exists()
    except OSError:
        return False
