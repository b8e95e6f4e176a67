"""Containers as Docker and Podman describe them in JSON.

Source: Docker Engine API (ContainerInspect, ContainerList).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_interface
from itertools import islice

from msgspec import Struct, field

from netprobe.model.engines import EngineEndpoint, PublishedPort

from .container import Container

PID_MAX = 1 << 22  # include/linux/threads.h, PID_MAX_LIMIT
MOST_PORTS = 256  # of one container
MOST_NETWORKS = 256  # the same
LONGEST = 255  # characters of a name
NEVER = "0001-01-01T00:00:00Z"  # Go's zero time


class ContainerState(Struct, rename="pascal"):
    """How it is. Docker's own file has flags where the API has `status`."""

    status: str = ""
    running: bool = False
    paused: bool = False
    restarting: bool = False
    removal_in_progress: bool = False
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    started_at: str = NEVER
    finished_at: str = NEVER

    @property
    def word(self) -> str:
        """The word for it, decided in Docker's own order (moby, daemon/container/state.go)."""
        if self.status:
            return self.status
        if self.running:
            return next(
                (word for word, so in (("paused", self.paused), ("restarting", self.restarting)) if so),
                "running",
            )
        if self.removal_in_progress or self.dead:
            return "removing" if self.removal_in_progress else "dead"
        return "created" if self.started_at.startswith("0001") else "exited"


class PortBinding(Struct, rename="pascal"):
    """An address and a port of the host, as text; empty where Docker may choose."""

    host_ip: str = ""
    host_port: str = ""


class HostConfig(Struct, rename="pascal"):
    """What was asked for when it was made."""

    network_mode: str = ""
    port_bindings: Mapping[str, tuple[PortBinding, ...] | None] | None = None

    @property
    def published(self) -> tuple[PublishedPort, ...]:
        """The ports that were asked for by number, on one address of the host or on all of one version."""
        return tuple(
            PublishedPort(protocol, int(each.host_port), each.host_ip, int(target))
            for inside, bound in islice((self.port_bindings or {}).items(), MOST_PORTS)
            for target, _, protocol in (inside.partition("/"),)
            for each in (bound or ())[:MOST_PORTS]
            if _is_port(target) and _is_port(each.host_port)
        )


class NetworkSettings(Struct, rename="pascal"):
    """What it is connected to, by the networks' names. Podman says null where Docker says {}."""

    networks: Mapping[str, object] | None = None

    @property
    def endpoints(self) -> tuple[EngineEndpoint, ...]:
        """The connections of which an address is told, and understood."""
        named = islice((self.networks or {}).items(), MOST_NETWORKS)
        found = (EngineEndpoint(name[:LONGEST], tuple(_addresses(each))) for name, each in named)
        return tuple(each for each in found if each.addresses)


# how the engines call an address of a connection, and its length
_ADDRESSES = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))


def _addresses(endpoint: object) -> Iterator[str]:
    """The addresses of a connection with their lengths; "" and 0 are none."""
    if not isinstance(endpoint, Mapping):
        return
    for address, length in _ADDRESSES:
        with suppress(ValueError):
            written = ip_interface(f"{endpoint.get(address)}/{endpoint.get(length)}")
            if written.network.prefixlen:
                yield written.with_prefixlen


class Described(Struct, rename="pascal"):
    """The answer to /containers/NAME/json, and Docker's own config.v2.json, which writes `ID`."""

    id: str = ""
    id_on_disk: str = field(default="", name="ID")
    name: str = ""
    state: ContainerState = field(default_factory=ContainerState)
    host_config: HostConfig | None = None
    network_settings: NetworkSettings | None = None

    def container(self, kind: str) -> Container:
        """What it describes, as a container of the engine `kind`."""
        state, word = self.state, self.state.word
        ended = word in ("exited", "dead", "restarting", "removing", "stopped")
        identity = self.id or self.id_on_disk
        return Container(
            kind,
            identity,
            named(self.name, identity),
            state.pid if 0 < state.pid <= PID_MAX else 0,
            word,
            self.host_config.network_mode[:LONGEST] if self.host_config else "",
            _names(self.network_settings),
            state.exit_code if ended and abs(state.exit_code) < 1 << 31 else None,
            moment(state.finished_at) if ended else None,
            published=self.host_config.published if self.host_config else (),
        )


class ListedPort(Struct):
    """A port of a container that runs; those that are not published have no public one."""

    private: int = field(default=0, name="PrivatePort")
    public: int = field(default=0, name="PublicPort")
    protocol: str = field(default="", name="Type")
    address: str = field(default="", name="IP")

    @property
    def published(self) -> PublishedPort | None:
        """It, where the host has one for it."""
        if not 0 < self.public < 1 << 16:
            return None
        return PublishedPort(self.protocol, self.public, self.address, self.private)


class Listed(Struct, rename="pascal"):
    """An entry of the answer to /containers/json."""

    id: str = ""
    names: tuple[str, ...] | None = ()
    state: str = ""
    ports: tuple[ListedPort, ...] | None = ()
    host_config: HostConfig | None = None
    network_settings: NetworkSettings | None = None

    def container(self, kind: str) -> Container:
        """What it describes, without its process."""
        names = [name.lstrip("/") for name in self.names or ()]
        plain = [name for name in names if "/" not in name] or [""]  # "/web/db" is a link's name
        networks = _names(self.network_settings)
        mode = self.host_config.network_mode[:LONGEST] if self.host_config else ""
        if not mode and networks in (("none",), ("host",)):  # Podman's list leaves the mode out
            mode = networks[0]
        return Container(
            kind, self.id, named(plain[0], self.id), state=self.state, network=mode, networks=networks,
            published=tuple(filter(None, (each.published for each in (self.ports or ())[:MOST_PORTS]))),
            endpoints=self.network_settings.endpoints if self.network_settings is not None else (),
        )  # fmt: skip


def named(name: str, identity: str) -> str:
    """The name in the words of an engine; the beginning of the id in the place of what no engine takes for a
    name.
    """
    plain = name.lstrip("/")
    return (
        plain
        if 0 < len(plain) <= LONGEST and plain.isprintable() and not set(plain) & set("/ ")
        else identity[:12]
    )


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 1 << 16


def _names(settings: NetworkSettings | None) -> tuple[str, ...] | None:
    return tuple(settings.networks or ()) if settings is not None else None


def moment(text: str) -> float | None:
    """Seconds since the epoch of a time as Go prints it (RFC 3339); None for its zero, the year 1, and for
    what is none.
    """
    try:
        when = datetime.fromisoformat(text)
        return when.timestamp() if when.year > 1 and when.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
