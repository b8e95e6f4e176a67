"""What Docker and Podman tell by their API, and what is done when they do not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from .api import Answer, Silent, get, inspect, listing
from .container import SHORT_ID, Container
from .sockets import Sockets

PODMANS_NAME = "Libpod"  # how Podman signs its answers, also at a socket with Docker's name


class Memory(Protocol):
    """Where an engine keeps its containers on disk: readable although it is dead."""

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means."""
        ...

    def remembered(self, name: str) -> Sequence[Container]:
        """The containers that `name` means, as far as the usual files tell; stale where nobody corrects them."""
        ...

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        ...

    def all(self) -> Iterable[Container]:
        """Every container."""
        ...


class Engine:
    """One kind of engine (`kind` docker or podman): asked at its sockets, else read from its `memory`.

    `remarks` collects what a person should know about the asking: an engine that hangs, one that may not be asked.
    """

    def __init__(
        self, kind: str, sockets: Callable[[], Sockets], memory: Memory, remarks: list[str], ask: Callable[[str, str], Answer] = get
    ) -> None:
        self.kind = kind
        self._sockets = sockets
        self._memory = memory
        self._remarks = remarks
        self._ask = ask
        self._known: tuple[str, ...] | None = None
        self._silent: set[str] = set()
        self._signed: dict[str, str] = {}  # Podman may answer at Docker's address, and its containers are podman's all the same

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means."""
        found = self._from_sockets(name)
        return found or self._memory.named(name)

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        found = self._from_sockets(identity)
        return found[0] if found else self._memory.identified(identity)

    def all(self) -> Sequence[Container]:
        """Every container, those of an engine that answers without their `pid`."""
        found = {each.id: each for address in self._addresses() for each in self._listed(address)}
        for each in self._memory.all():
            found.setdefault(each.id, each)
        return [
            _with_name_of_owner(each, lambda identity: found[identity].name if identity in found else identity[:12])
            for each in found.values()
        ]

    def remembered(self, name: str) -> Sequence[Container]:
        """The containers that `name` means as far as the disk tells: no engine is asked."""
        return self._memory.remembered(name)

    def _from_sockets(self, name: str) -> list[Container]:
        found = {each.id: each for address in self._addresses() for each in self._inspected(address, name) if each.is_called(name)}
        return [_with_name_of_owner(each, self._owner) for each in found.values()]

    def _owner(self, identity: str) -> str:
        """The name of the container whose network another one shares."""
        described = [each for address in self._addresses() for each in self._inspected(address, identity)]
        return described[0].name if described else identity[:12]

    def _addresses(self) -> Sequence[str]:
        """The sockets of this kind of engine that have not failed to answer before."""
        if self._known is None:
            sockets = self._sockets()
            self._known = sockets.paths
            if sockets.remark:
                self._remarks.append(sockets.remark)
        return [address for address in self._known if address not in self._silent]

    def _get(self, address: str, path: str) -> Any:
        """The JSON at `path`, None when the engine does not say. One that failed once is not asked again."""
        try:
            answer = self._ask(address, path)
        except (OSError, ValueError) as error:
            self._silent.add(address)
            if isinstance(error, (Silent, PermissionError)):
                why = error.strerror or str(error)
                self._remarks.append(f"{self.kind} at {address}: {why}; containers are known from /proc and its files instead")
            return None
        self._signed[address] = "podman" if answer.server.startswith(PODMANS_NAME) else self.kind
        return answer.content if answer.status == 200 else None

    def _inspected(self, address: str, name: str) -> list[Container]:
        described = self._get(address, inspect(name))
        found = [described_container(self._signed[address], described)] if isinstance(described, dict) else []
        if SHORT_ID.fullmatch(name) and len(name) < 64 and address not in self._silent:  # the engine prefers a name to an id: see both
            others = self._get(address, listing(id=name)) or []
            known = {each.id for each in found}
            found += [each for entry in others if entry.get("Id") not in known for each in self._inspected(address, str(entry.get("Id")))]
        return found

    def _listed(self, address: str) -> list[Container]:
        entries = self._get(address, listing()) or ()
        return [listed_container(self._signed[address], entry) for entry in entries]


def _with_name_of_owner(container: Container, owner: Callable[[str], str]) -> Container:
    from dataclasses import replace

    kind, _, identity = container.network.partition(":")
    return replace(container, network=f"container:{owner(identity)}") if kind == "container" and SHORT_ID.fullmatch(identity) else container


def described_container(kind: str, entry: Mapping[str, Any]) -> Container:
    """A container from the answer to /containers/NAME/json (ContainerInspect), or from Docker's own config.v2.json."""
    state = entry.get("State") or {}
    networks = (entry.get("NetworkSettings") or {}).get("Networks")
    status = str(state.get("Status") or _status(state))
    ended = status in ("exited", "dead", "restarting", "removing", "stopped")
    return Container(
        kind,
        str(entry.get("Id") or entry.get("ID") or ""),
        str(entry.get("Name") or "").lstrip("/"),
        int(state.get("Pid") or 0),
        status,
        str((entry.get("HostConfig") or {}).get("NetworkMode") or ""),
        None if networks is None else tuple(networks),
        int(state.get("ExitCode") or 0) if ended else None,
        moment(str(state.get("FinishedAt") or "")) if ended else None,
    )


def _status(state: Mapping[str, Any]) -> str:
    """The word for a state that is given as flags, in the order in which Docker decides it (daemon/container/state.go)."""
    if state.get("Running"):
        return "paused" if state.get("Paused") else "restarting" if state.get("Restarting") else "running"
    flags = {"removing": "RemovalInProgress", "dead": "Dead"}
    named = next((word for word, flag in flags.items() if state.get(flag)), None)
    never = str(state.get("StartedAt") or "0001").startswith("0001")
    return named or ("created" if never else "exited")


def listed_container(kind: str, entry: Mapping[str, Any]) -> Container:
    """A container from the answer to /containers/json (ContainerList): without its process."""
    names = [str(name).lstrip("/") for name in entry.get("Names") or ()]
    plain = [name for name in names if "/" not in name] or [""]  # "/web/db" is a link's name
    networks = (entry.get("NetworkSettings") or {}).get("Networks")
    mode = str((entry.get("HostConfig") or {}).get("NetworkMode") or "")
    return Container(
        kind,
        str(entry.get("Id") or ""),
        plain[0],
        state=str(entry.get("State") or ""),
        network=mode,
        networks=None if networks is None else tuple(networks),
    )


def moment(text: str) -> float | None:
    """Seconds since the epoch of a time as Go prints it (RFC 3339); None for its zero, the year 1, and for what is none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when.timestamp() if when.year > 1 and when.tzinfo is not None else None
