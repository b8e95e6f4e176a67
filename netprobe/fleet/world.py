"""Several hosts as one world: each need goes to the host whose prefix its namespace bears, the network
between them is known by who says that he is at it, and a probe is watched on all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec.structs import replace

from netprobe.endpoint import parse
from netprobe.engine.world import Pauses, World
from netprobe.errors import CannotLook, NetprobeError, WrongQuestion
from netprobe.linux import deadline
from netprobe.linux.blind import blinded
from netprobe.model import (
    NOT_IN_TIME,
    STARTED_IN,
    AskEngines,
    Blind,
    Endpoint,
    FindWire,
    FoundWire,
    Need,
    Observation,
    ReadNamespace,
    Snapshot,
    Space,
    Watch,
)

if TYPE_CHECKING:
    from netprobe.wire.craft import Craft

_T = TypeVar("_T")
PATIENCE_S = 0.6  # for one that has to say whether it has an address; the others have the rest of the time
SPACES_S = 5.0  # to list all its namespaces
HERE = ""  # the machine that netprobe runs on: its names have no prefix


class HostWorld(World, Protocol):
    """One host, as a part of several. All names that it hands out, and is asked for, have its prefix."""

    @property
    def home(self) -> str:
        """The name of the namespace that the host stands in. Raises NetprobeError or OSError."""
        ...

    def opened(self, names: Iterable[str]) -> Mapping[str, Any]:
        """The open namespaces among these, by name."""
        ...

    def spaces(self) -> tuple[Space, ...]:
        """Every namespace of the host, with its interfaces."""
        ...

    def heard(self) -> tuple[str, ...]:
        """What a person should know about how names were found."""
        ...

    def behind_port(self, name: str, protocol: str, port: int) -> tuple[str, ...]:
        """Which programs hold a port of an open namespace."""
        ...

    def ahead(self, needs: Sequence[Need]) -> None:
        """These will be asked for: what takes a while may be begun. Never waits, never raises."""
        ...


class Fleet:
    """A world of several hosts, by their short names; the one called `HERE` is this machine.

    `unasked` are those that could not be reached, with what was raised then: blind spots, until one of them
    is named. Raises WrongQuestion, NotPermitted or CannotLook as a machine does.
    """

    def __init__(
        self,
        hosts: Mapping[str, HostWorld],
        unasked: Mapping[str, NetprobeError] | None = None,
        crafter: Craft | None = None,
    ) -> None:
        self._hosts = dict(hosts)
        self._unasked = dict(unasked or {})
        self._late: dict[str, str] = {}  # that kept others waiting, for the rest of the question
        self._homes: dict[str, str] | None = None
        self._crafter = crafter

    @contextmanager
    def reading(self, limit_ns: int) -> Iterator[Pauses]:
        """In the block, which is one question, all reading together takes no longer than this many ns."""
        self._late, self._homes = {}, None
        with ExitStack() as stack:
            for world in self._hosts.values():
                stack.enter_context(world.reading(limit_ns))
            yield deadline.stopped

    # --- resolving

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        """The endpoint that `text` names: NAME of host h1 is h1:NAME, and h1:ADDRESS the namespace of h1 that
        has this address. Without a host an address, or a name in `inside`.
        """
        host, found, rest = text.partition(":")
        if found and host in (*self._hosts, *self._unasked) and host != HERE:
            return self._on_host(text, self._world_of(text), rest, inside)
        if HERE in self._hosts:
            return self._hosts[HERE].resolve(text, inside)
        named = parse(text)
        if named.ip is not None:
            return Endpoint(
                text, interface=named.interface, address=named.ip, port=named.port, protocol=named.protocol
            )
        if inside is None or inside.namespace is None:
            known = " or ".join(f"{name}:{named.name}" for name in self._hosts)
            raise WrongQuestion(f"{text} does not say on which host it is", f"Write {known}")
        return self._world_of(inside.namespace).resolve(text, inside)

    def _on_host(self, text: str, world: HostWorld, rest: str, inside: Endpoint | None) -> Endpoint:
        """What `rest` names on one host; an address is that of the namespace there that has it."""
        found = world.resolve(rest, inside)
        if found.namespace is not None or found.address is None:
            return found
        for space in world.spaces():
            for interface in space.interfaces:
                if found.address in (each.partition("/")[0] for each in interface.addresses):
                    own = world.resolve(space.name.removeprefix(text.partition(":")[0] + ":"), inside)
                    return replace(found, endpoint=text, namespace=own.namespace, notes=own.notes)
        raise WrongQuestion(f"no namespace of {text.partition(':')[0]} has the address {found.address}")

    def _host_of(self, name: str) -> str:
        """The host whose prefix a name bears."""
        host, found, _ = name.partition(":")
        return host if found and (host in self._hosts or host in self._unasked) else HERE

    def _world_of(self, name: str) -> HostWorld:
        host = self._host_of(name)
        if host in self._unasked:
            raise self._unasked[host]
        if host in self._late:
            raise CannotLook(f"{host} could not be asked: {self._late[host]}")
        if host not in self._hosts:
            raise CannotLook(f"{name} is on none of the hosts")
        return self._hosts[host]

    # --- reading

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """`snapshot` with what `needs` asks for, each of its own host; what cannot be had becomes a blind
        spot.
        """
        snapshot = _with_blind(replace(snapshot, homes=self._all_homes()), self._unasked)
        wires = [need for need in needs if isinstance(need, FindWire)]
        asked: dict[str, list[Need]] = {}
        for need in needs:
            if not isinstance(need, FindWire):
                asked.setdefault(self._host_of(_place_of(need)), []).append(need)
        for host, theirs in asked.items():
            if host in self._hosts and host not in self._late:
                self._hosts[host].ahead(theirs)
        for theirs in asked.values():
            snapshot = self._read_of_one(snapshot, theirs)
        return self._with_wires(snapshot, wires) if wires else snapshot

    def _read_of_one(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """The same with what is asked of one host."""
        try:
            return self._world_of(_place_of(needs[0])).read(snapshot, needs)
        except NetprobeError as error:
            for need in needs:
                snapshot = blinded(snapshot, need, str(error))
            return snapshot

    def _named_homes(self) -> dict[str, str]:
        """The namespaces in which the hosts stand that can be asked."""
        if self._homes is None:
            self._homes = {}
            for host, world in self._hosts.items():
                with suppress(NetprobeError, OSError):  # what it is needed for says so
                    self._homes[host] = world.home
        return self._homes

    def _all_homes(self) -> tuple[str, ...]:
        """The same, and what stands for them of the hosts that cannot: those who look there learn why."""
        silent = (f"{host}:{STARTED_IN}" for host in self._silent() if host != HERE)
        return tuple(dict.fromkeys((*self._named_homes().values(), *silent)))

    def _silent(self) -> dict[str, NetprobeError | str]:
        """The hosts that cannot be asked, and why."""
        return {**self._unasked, **self._late}

    def _with_wires(self, snapshot: Snapshot, wires: Sequence[FindWire]) -> Snapshot:
        """The same with who is at the network between the hosts; who could not be asked is a blind spot."""
        told = self._told_by_all(wires)
        missing = _blind(self._silent())
        found = tuple(
            _merged(wire.sought, [each[n] for each in told], missing) for n, wire in enumerate(wires)
        )
        return _with_blind(replace(snapshot, wires=(*snapshot.wires, *found)), self._silent())

    def _told_by_all(self, wires: Sequence[FindWire]) -> list[tuple[FoundWire, ...]]:
        """What each host says that can be asked."""
        told = self._of_all(lambda world: world.read(Snapshot(), wires).wires, PATIENCE_S)
        return list(told.values())

    def _of_all(self, ask: Callable[[HostWorld], _T], patience: float) -> dict[str, _T]:
        """What each host that can be asked answers, all asked at once; who is late, or fails, is asked no
        more in this question.
        """
        asked = {host: world for host, world in self._hosts.items() if host not in self._late}
        pool = ThreadPoolExecutor(max(len(asked), 1), "netprobe-host")
        try:
            futures = {host: pool.submit(copy_context().run, ask, world) for host, world in asked.items()}
            wait(futures.values(), deadline.left(patience))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        answers = {}
        for host, future in futures.items():
            try:
                answers[host] = future.result(timeout=0)
            except TimeoutError:
                self._late[host] = NOT_IN_TIME
            except (NetprobeError, OSError) as error:
                self._late[host] = str(error)
        return answers

    # --- what else a machine is asked

    def spaces(self) -> tuple[Space, ...]:
        """Every namespace of all hosts, with its interfaces; a host that could not be looked at is in
        `heard`.
        """
        told = self._of_all(lambda world: world.spaces(), SPACES_S)
        return tuple(chain.from_iterable(told.values()))

    def heard(self) -> tuple[str, ...]:
        """What a person should know about how names were found, of all hosts."""
        names = chain.from_iterable(world.heard() for world in self._hosts.values())
        silent = self._silent()
        return (*names, *(f"{host} could not be asked: {why}" for host, why in silent.items()))

    def behind_port(self, name: str, protocol: str, port: int) -> tuple[str, ...]:
        """Which programs hold a port of an open namespace."""
        return self._world_of(name).behind_port(name, protocol, port)

    # --- observing

    def observe(
        self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]
    ) -> tuple[Observation, ...]:
        """Send the probe of `watch` from its host, when all hosts watch, and report what was seen of it."""
        from netprobe.linux.sensors.observe import observe
        from netprobe.wire.craft import craft

        handles: dict[str, Any] = {}
        for world in self._hosts.values():
            handles |= world.opened(watch.namespaces)
        with deadline.stopped():
            return observe(watch, handles, settled, self._crafter or craft)


def _blind(silent: Mapping[str, NetprobeError | str]) -> tuple[Blind, ...]:
    """The hosts that cannot be asked, and why."""
    return tuple(Blind(f"host {host}", str(why)) for host, why in silent.items())


def _with_blind(snapshot: Snapshot, silent: Mapping[str, NetprobeError | str]) -> Snapshot:
    """`snapshot` that says which hosts cannot be asked."""
    blind = (each for each in _blind(silent) if each not in snapshot.blind)
    return replace(snapshot, blind=(*snapshot.blind, *blind))


def _merged(sought: str, told: Sequence[FoundWire], missing: Sequence[Blind]) -> FoundWire:
    """What all hosts say together."""
    ends = tuple(chain.from_iterable(each.ends for each in told))
    why = next((each.why for each in told if each.why is not None), None)
    unasked = next((f"{each.what}: {each.why}" for each in missing), None)
    return FoundWire(sought, ends, why or unasked)


def _place_of(need: Need) -> str:
    """The namespace that a need is about."""
    assert not isinstance(need, FindWire | AskEngines)
    return need.name if isinstance(need, ReadNamespace) else need.namespace
