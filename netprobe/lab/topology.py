"""What a lab is made of, as values: namespaces, links, addresses, routes, translation, services.

`build` makes them real.

A topology reads like a wiring list. `Veth(Interface("red", "eth0", ("10.0.0.2/32",)), Interface("host",
"veth0", master="br0"))` is a cable between two namespaces with one end plugged into a bridge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from .namespaces import HOST

# Interface names are at most 15 bytes, linux/if.h IFNAMSIZ.
_LONGEST_NAME = 15


class _Placed(Protocol):
    """Whatever belongs to one namespace."""

    @property
    def namespace(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface: where it is, what it is called, its addresses ("10.0.0.2/32"), the bridge it is
    a port of.
    """

    namespace: str
    name: str
    addresses: tuple[str, ...] = ()
    master: str | None = None
    mac: str | None = None
    mtu: int | None = None
    up: bool = True

    def __post_init__(self) -> None:
        if not 0 < len(self.name.encode()) <= _LONGEST_NAME:
            raise ValueError(f"an interface name has 1 to {_LONGEST_NAME} bytes: {self.name!r}")


@dataclass(frozen=True, slots=True)
class Veth:
    """A cable: two Ethernet interfaces, usually in two namespaces."""

    near: Interface
    far: Interface


@dataclass(frozen=True, slots=True)
class LabBridge:
    """A switch in software; `Interface.master` of other links plugs them in."""

    near: Interface
    stp: bool = False


@dataclass(frozen=True, slots=True)
class Dummy:
    """An interface without a wire, for example to hold an address."""

    near: Interface


@dataclass(frozen=True, slots=True)
class LabMacvlan:
    """A second MAC on the `parent` interface of the namespace `parent_namespace`, moved to its own
    namespace.
    """

    near: Interface
    parent: str
    parent_namespace: str = HOST
    mode: Literal["bridge", "private", "vepa", "passthru"] = "bridge"


@dataclass(frozen=True, slots=True)
class LabVxlan:
    """A tunnel that carries Ethernet frames in UDP between the addresses `local` and `remote` (None: by FDB
    entries only).
    """

    near: Interface
    vni: int
    local: str
    remote: str | None = None
    port: int = 4789
    learning: bool = True
    underlay: str | None = None


Link = Veth | LabBridge | Dummy | LabMacvlan | LabVxlan


@dataclass(frozen=True, slots=True)
class LabRoute:
    """One route. `onlink`: believe that the gateway is on the wire although no route leads to it."""

    namespace: str
    destination: str = "default"
    via: str | None = None
    device: str | None = None
    onlink: bool = False
    kind: Literal["unicast", "blackhole", "unreachable", "prohibit", "throw"] = "unicast"
    table: int = 254
    source: str | None = None
    metric: int | None = None
    mtu: int | None = None

    @property
    def version(self) -> int:
        """4 or 6, by the addresses named."""
        return 6 if any(":" in text for text in (self.destination, self.via or "", self.source or "")) else 4


@dataclass(frozen=True, slots=True)
class LabPolicyRule:
    """One policy routing rule (`ip rule`): who looks up which table, and when."""

    namespace: str
    priority: int
    table: int = 254
    source: str | None = None
    destination: str | None = None
    mark: int | None = None
    incoming: str | None = None
    version: Literal[4, 6] = 4


@dataclass(frozen=True, slots=True)
class LabNeighbour:
    """A permanent neighbour (ARP or ND) entry."""

    namespace: str
    device: str
    address: str
    mac: str


@dataclass(frozen=True, slots=True)
class LabFdbEntry:
    """A forwarding entry of a bridge port, or of a VXLAN device when `remote` names the far tunnel end."""

    namespace: str
    device: str
    mac: str
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel setting, "net.ipv4.ip_forward"."""

    namespace: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Translate what leaves through `out` to that interface's own address, IPv4 and IPv6."""

    namespace: str
    out: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules in a tool's own language: `nft` reads an nft file, the others what iptables-restore reads."""

    namespace: str
    tool: Literal["nft", "iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"]
    text: str


@dataclass(frozen=True, slots=True)
class Service:
    """Something that answers:

    TCP accepts and closes, UDP sends back what it got, from the address that was asked.

    `address` None means every address of the namespace, with a socket for each; "0.0.0.0" is one socket for
    all. `backlog` connections may wait to be accepted, `receive_buffer` bytes (None: the kernel's default) to
    be read.
    """

    namespace: str
    protocol: Literal["tcp", "udp"]
    port: int
    address: str | None = None
    backlog: int = 512
    receive_buffer: int | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole lab. `namespaces` are made besides `host`, in which the lab's own processes sit.

    Checked when made: ValueError.
    """

    namespaces: tuple[str, ...]
    links: tuple[Link, ...] = ()
    loopback: tuple[Interface, ...] = ()
    routes: tuple[LabRoute, ...] = ()
    policy: tuple[LabPolicyRule, ...] = ()
    neighbours: tuple[LabNeighbour, ...] = ()
    fdb: tuple[LabFdbEntry, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    masquerade: tuple[Masquerade, ...] = ()
    rules: tuple[Rules, ...] = ()
    services: tuple[Service, ...] = ()

    def _parts(self) -> tuple[_Placed, ...]:
        return (
            *self.interfaces(), *self.routes, *self.policy, *self.neighbours,
            *self.fdb, *self.sysctls, *self.masquerade, *self.rules, *self.services,
        )  # fmt: skip

    def inhabited(self) -> frozenset[str]:
        """The namespaces in which there is more than a loopback interface to make; the others of a thousand
        stay empty.
        """
        parents = {link.parent_namespace for link in self.links if isinstance(link, LabMacvlan)}
        return frozenset(part.namespace for part in self._parts()) | parents

    def __post_init__(self) -> None:
        known = {HOST, *self.namespaces}
        if len(known) != 1 + len(self.namespaces):
            raise ValueError(f"a namespace is declared twice, or named {HOST}: {', '.join(self.namespaces)}")
        for name in self.namespaces:
            if not name or "/" in name or name in (".", ".."):
                raise ValueError(f"not a name for a namespace: {name!r}")
        for part in self._parts():
            if part.namespace not in known:
                raise ValueError(f"{part} is in a namespace that the topology does not make")
        present = {(interface.namespace, interface.name) for interface in self.interfaces()}
        for interface in self.interfaces():
            if interface.master is not None and (interface.namespace, interface.master) not in present:
                raise ValueError(
                    f"{interface.name} is a port of {interface.master}, which {interface.namespace} does not"
                    " have"
                )

    def without_ipv6(self) -> Topology:
        """The same lab on a kernel that speaks IPv4 only."""

        def spoken(interface: Interface) -> Interface:
            return replace(
                interface, addresses=tuple(address for address in interface.addresses if ":" not in address)
            )

        links = (replace(link, near=spoken(link.near)) for link in self.links)
        return replace(
            self,
            links=tuple(
                replace(link, far=spoken(link.far)) if isinstance(link, Veth) else link for link in links
            ),
            loopback=tuple(map(spoken, self.loopback)),
            routes=tuple(route for route in self.routes if route.version == 4),
            policy=tuple(rule for rule in self.policy if rule.version == 4),
            neighbours=tuple(entry for entry in self.neighbours if ":" not in entry.address),
            sysctls=tuple(sysctl for sysctl in self.sysctls if not sysctl.name.startswith("net.ipv6")),
            rules=tuple(rules for rules in self.rules if not rules.tool.startswith("ip6")),
            services=tuple(service for service in self.services if ":" not in (service.address or "")),
        )

    def interfaces(self) -> Iterator[Interface]:
        """Every interface of the lab, both ends of each cable."""
        yield from self.loopback
        for link in self.links:
            yield link.near
            if isinstance(link, Veth):
                yield link.far

    def addresses(self, namespace: str) -> tuple[str, ...]:
        """All addresses of a namespace, without prefix lengths."""
        return tuple(
            address.partition("/")[0]
            for interface in self.interfaces()
            if interface.namespace == namespace
            for address in interface.addresses
        )
