"""What the container engines of a machine say of their containers and networks: their word."""

from __future__ import annotations

from msgspec import Struct

from .flow import Flow
from .lookup import among, has, sole, where
from .runtime import BY_KIND, UNKNOWN, RuntimeKind

_NONE = ("none",)  # the network of Docker that is no network


class EngineNetwork(Struct, frozen=True, gc=False):
    """A network of a container engine: the interface of the host that stands for it, as the engine says.
    `internal`: it was made with --internal, and no packet leaves it.
    """

    engine: str
    name: str
    interface: str
    internal: bool = False


class PublishedPort(Struct, frozen=True, gc=False):
    """A port of the host that leads to one of a container; `address` is "" for all addresses of the host."""

    protocol: str
    port: int
    address: str
    target: int


class EngineEndpoint(Struct, frozen=True, gc=False):
    """A container's connection to a network: the addresses that the engine gave it there, as
    `172.17.0.2/16`.
    """

    network: str
    addresses: tuple[str, ...] = ()


class EngineContainer(Struct, frozen=True, gc=False):
    """A container: its state in the engine's own words, the names of the networks it is on (None: not known),
    what it publishes, and its connections, as far as the engine tells of them.
    """

    engine: str
    name: str
    state: str
    networks: tuple[str, ...] | None = None
    published: tuple[PublishedPort, ...] = ()
    endpoints: tuple[EngineEndpoint, ...] = ()

    @property
    def runtime(self) -> RuntimeKind:
        """The row of its engine."""
        return BY_KIND.get(self.engine, UNKNOWN)

    @property
    def is_connected_by_name(self) -> bool:
        """Whether its engine connects it to networks, and says to which it is connected."""
        return bool(self.runtime.network) and self.networks is not None

    @property
    def runs(self) -> bool:
        """Whether it has processes, so that its ports may be served."""
        return self.state in ("running", "paused", "restarting")

    @property
    def joined(self) -> tuple[str, ...]:
        """The networks that it is known to be on."""
        return self.networks or ()

    @property
    def to_leave(self) -> tuple[str, ...]:
        """The networks that it must leave before it is connected to another: the one that is none."""
        return _NONE if self.networks == _NONE else ()

    @property
    def is_alone(self) -> bool:
        """Whether it is known to be on no network."""
        return self.networks in ((), _NONE)

    @property
    def is_held(self) -> bool:
        """Whether its engine holds the ports that it publishes, and passes nothing on itself."""
        return bool(self.runtime.reload)

    @property
    def hindrance(self) -> tuple[str, tuple[str, ...]]:
        """What keeps it from serving what it publishes, and its engine's command that ends that; empty where
        neither is known.
        """
        if not self.runs and self.runtime.start:
            what = {"exited": "stopped"}.get(self.state, f"not running, but {self.state}")
            return what, (*self.runtime.start.split(), self.name)
        if self.networks == () and self.runs and self.runtime.network:
            return "on no network", (self.engine, "network", "connect", self.runtime.network, self.name)
        return "", ()


class ContainerEngines(Struct, frozen=True, gc=False):
    """What all engines that could be asked say, empty where none answers; `home` is the namespace in which
    they publish ports: that netprobe was started in.
    """

    containers: tuple[EngineContainer, ...] = ()
    networks: tuple[EngineNetwork, ...] = ()
    home: str | None = None

    def called(self, name: str) -> EngineContainer | None:
        """The container that a namespace is called after, by its name alone or with its engine's, as far as
        that says of it what it is connected to.
        """
        engine, _, plain = name.rpartition(":")
        found = where(self.containers, name=plain, is_connected_by_name=True)
        return next((each for each in found if engine in ("", each.engine)), None)

    def publishing(self, protocol: str, address: str, port: int | None) -> tuple[EngineContainer, ...]:
        """The containers that a port of the host should lead to, whether they run or not."""
        anyway = ("", "0.0.0.0", "::", address)
        return tuple(
            each
            for each in self.containers
            if has(among(each.published, address=anyway), protocol=protocol, port=port)
        )

    def publisher(self, namespace: str | None, flow: Flow) -> tuple[EngineContainer, ...]:
        """The one container to which a port should lead, of a packet that ends at the host; nothing where
        that is none, or one of several.
        """
        found = self.publishing(flow.protocol.value, flow.dst, flow.dport) if namespace == self.home else ()
        return sole(found)
