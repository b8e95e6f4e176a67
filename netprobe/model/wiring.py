"""How a machine is wired: namespaces, their interfaces, what joins them, and who translates addresses.

No name here is escaped yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from operator import attrgetter
from typing import Literal

from msgspec import Struct, field

from .engines import EngineNetwork
from .lookup import first, gathered, grouped, indexed
from .namespace import Namespace
from .place import Blind
from .report import Verdict
from .space import Space

PAIRS = ("veth", "netkit", "vxcan")  # kinds of interfaces that are made two at a time, a cable between them


class Layer(Struct, frozen=True, gc=False):
    """What a map shows of an interface besides its `Link`: the text that its owner gave it (IFLA_IFALIAS), of
    a tunnel its ends and key or VNI, of a bond its mode, of a VRF its table. `remotes`: of a VXLAN device
    that no far end was given to, those in its forwarding entries.
    """

    alias: str = ""
    local: str | None = None
    remote: str | None = None
    key: int | None = None
    mode: str | None = None
    table: int | None = None
    remotes: tuple[str, ...] = ()


class SpaceReading(Struct, frozen=True, gc=False):
    """One namespace as it was read for a map: how it is called, its links, addresses, default routes and
    rulesets with translation; `layers` by ifindex, `nsids` the names of the namespaces that it has numbers
    for. `networks`: of the container that it belongs to, the engine and the names of the networks it is on.
    """

    space: Space
    config: Namespace
    layers: Mapping[int, Layer] = field(default_factory=dict)
    nsids: Mapping[int, str] = field(default_factory=dict)
    networks: tuple[str, tuple[str, ...]] = ("", ())


class MachineReading(Struct, frozen=True, gc=False):
    """All namespaces of a machine as they were read for a map, and the networks of its engines."""

    spaces: tuple[SpaceReading, ...]
    networks: tuple[EngineNetwork, ...] = ()
    blind: tuple[Blind, ...] = ()


class WireEnd(Struct, frozen=True, gc=False):
    """An interface of a namespace."""

    namespace: str
    interface: str


WireKind = Literal["cable", "port", "member", "on", "tunnel"]


class Wire(Struct, frozen=True, gc=False):
    """What joins two interfaces. `kind`:

    cable   the two ends of a veth (or netkit) pair
    port    `near` is a port of the bridge `far`
    member  `near` belongs to the bond, team or VRF `far`
    on      `near` stands on `far`: VLAN, macvlan, ipvlan; a tunnel and the interface it is bound to
    tunnel  two tunnel interfaces, each of which sends to the address of the other
    """

    kind: WireKind
    near: WireEnd
    far: WireEnd


class WayOut(Struct, frozen=True, gc=False):
    """A default route: the next hop (None: on the link itself), and the namespace that has this address on
    the same segment, as far as it can be seen.
    """

    via: str | None
    namespace: str | None = None


class WiredInterface(Struct, frozen=True, gc=False):
    """One interface. `detail` says what its kind does not: "id 42, 10.0.0.1 -> 10.0.0.2:4789"; `network` is
    the engine's network that a bridge stands for; `gateways` of the default routes that leave by it.

    `unseen`: why its other end is not on the map.
    """

    name: str
    index: int = 0
    kind: str = ""
    up: bool = True
    carrier: bool = True
    addresses: tuple[str, ...] = ()
    detail: str = ""
    alias: str = ""
    network: str | None = None
    gateways: tuple[WayOut, ...] = ()
    unseen: str | None = None

    @property
    def is_uplink(self) -> bool:
        """Whether it leads out of the machine, or what leaves by default goes this way."""
        return bool(self.gateways) or self.kind == ""


class WiredTranslation(Struct, frozen=True, gc=False):
    """A rule that translates addresses. `kind` is MASQUERADE, SNAT, DNAT, REDIRECT or NETMAP.

    `source` and `destination` are the networks it is for ("!10.0.0.0/8": all others), `out` and `into` the
    interfaces; empty: any. `to` is what is put in: an address, ports, or nothing for MASQUERADE.
    `inside` are the interfaces here that have the translated network, `leaves` those that its packets go out
    of; of a rule for the destination the other way round: where they come in, and where they go on.
    `of_source`: it changes where packets come from. `rule` is how the rule is called by its tool, `owner`
    the program that made it.
    """

    kind: str
    of_source: bool = True
    source: str = ""
    destination: str = ""
    into: str = ""
    out: str = ""
    service: str = ""
    to: str = ""
    inside: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    rule: str = ""
    owner: str | None = None


class WiredSpace(Struct, frozen=True, gc=False):
    """A namespace on the map. `kind`, `names`, `note` and `blind` are those of `Space`."""

    name: str
    kind: str
    names: tuple[str, ...] = ()
    note: str = ""
    blind: str | None = None
    interfaces: tuple[WiredInterface, ...] = ()
    translations: tuple[WiredTranslation, ...] = ()

    @property
    def ends(self) -> Iterator[tuple[WireEnd, WiredInterface]]:
        """Each interface with where it is."""
        return zip(map(self.end, map(attrgetter("name"), self.interfaces)), self.interfaces, strict=True)

    def end(self, interface: str) -> WireEnd:
        """An interface of this name here."""
        return WireEnd(self.name, interface)


class LaidPath(Struct, frozen=True, gc=False):
    """A predicted path that lies over the map: the interfaces in their order, those that it comes to and
    those `beyond` the place where it ends. `stop` is that place, `code` and `summary` say why.
    """

    source: str
    destination: str
    verdict: Verdict
    summary: str
    ends: tuple[WireEnd, ...] = ()
    beyond: tuple[WireEnd, ...] = ()
    stop: WireEnd | None = None
    code: str | None = None


class SpaceGroup(Struct, frozen=True, gc=False):
    """Namespaces that are shown as one: `count` more, from `first` to `last`, that are wired like their
    neighbours: to the interfaces `at` (bridges, or what theirs stand on; none: to nothing).
    """

    count: int
    at: tuple[WireEnd, ...] = ()
    first: str = ""
    last: str = ""


class Wiring(Struct, frozen=True, gc=False):
    """The wiring of a machine. `asked`: the endpoints to which it was cut; none: all of it. `blind`: what
    could not be read. `groups` stand for namespaces that are left out to keep it readable; never in JSON.
    """

    spaces: tuple[WiredSpace, ...] = ()
    wires: tuple[Wire, ...] = ()
    schema: str = "netprobe.map/1"
    command: str = "map"
    asked: tuple[str, ...] = ()
    path: LaidPath | None = None
    blind: tuple[Blind, ...] = ()
    groups: tuple[SpaceGroup, ...] = ()

    def space(self, name: str) -> WiredSpace | None:
        """The namespace of this name, or None."""
        return indexed(_by_name, self.spaces).get(name)

    def at(self, end: WireEnd) -> WiredInterface | None:
        """The interface that is there, or None."""
        return indexed(_by_end, self.spaces).get(end)

    def touching(self, end: WireEnd) -> tuple[Wire, ...]:
        """All wires of an interface, each with that as its near end."""
        return indexed(_by_near, self.wires).get(end, ())

    def above(self, end: WireEnd) -> tuple[Wire, ...]:
        """What is plugged into an interface or stands on it: the wires that it is the far end of."""
        return indexed(_above, self.wires).get(end, ())

    def beneath(self, end: WireEnd) -> tuple[Wire, ...]:
        """What an interface is plugged into or stands on: the wires that it is the near end of."""
        return indexed(_beneath, self.wires).get(end, ())

    def master(self, end: WireEnd) -> WireEnd | None:
        """The bridge, bond or VRF that an interface belongs to, or None."""
        return indexed(_masters, self.wires).get(end)

    def joined(self, end: WireEnd, kind: WireKind) -> tuple[WireEnd, ...]:
        """The far ends of the cables, or of the tunnels, of an interface."""
        return indexed(_joined, self.wires, of=kind).get(end, ())


# How the parts of a map are looked up.

_HANGING = ("port", "member", "on")
_near, _far = attrgetter("near"), attrgetter("far")


def turned(wire: Wire) -> Wire:
    """The same wire, looked at from its other end."""
    return Wire(wire.kind, wire.far, wire.near)


def _by_name(spaces: tuple[WiredSpace, ...]) -> dict[str, WiredSpace]:
    return first(spaces, attrgetter("name"))


def _by_end(spaces: tuple[WiredSpace, ...]) -> dict[WireEnd, WiredInterface]:
    return dict(chain.from_iterable(map(attrgetter("ends"), spaces)))


def _by_near(wires: tuple[Wire, ...]) -> dict[WireEnd, tuple[Wire, ...]]:
    return grouped(chain(wires, map(turned, wires)), _near)


def _hangs(wire: Wire) -> bool:
    return wire.kind in _HANGING


def _above(wires: tuple[Wire, ...]) -> dict[WireEnd, tuple[Wire, ...]]:
    return grouped(filter(_hangs, wires), _far)


def _beneath(wires: tuple[Wire, ...]) -> dict[WireEnd, tuple[Wire, ...]]:
    return grouped(filter(_hangs, wires), _near)


def _masters(wires: tuple[Wire, ...]) -> dict[WireEnd, WireEnd]:
    return {wire.near: wire.far for wire in wires if wire.kind in ("port", "member")}


def _joined(kind: str, wires: tuple[Wire, ...]) -> dict[WireEnd, tuple[WireEnd, ...]]:
    alike = [wire for wire in wires if wire.kind == kind]
    both = chain(alike, map(turned, alike))
    return gathered(map(_ends, both))


def _ends(wire: Wire) -> tuple[WireEnd, WireEnd]:
    return wire.near, wire.far
