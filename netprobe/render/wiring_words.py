"""What a map says of namespaces and interfaces, in words that text and pictures share. Not escaped yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import filterfalse
from operator import attrgetter

from netprobe.model import Verdict
from netprobe.model.lookup import gathered
from netprobe.model.wiring import (
    SpaceGroup,
    WayOut,
    WiredInterface,
    WiredSpace,
    WiredTranslation,
    WireEnd,
    Wiring,
)

USUAL = ("127.0.0.1/8", "::1/128")  # what every loopback interface has
DEVICE = "device"  # an interface without a kind: hardware, or what a hypervisor calls so


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts names as people count: c2 before c10."""
    pieces = re.split("([0-9]+)", name)
    return [(int(piece) if at % 2 else 0, piece) for at, piece in enumerate(pieces)]


def is_told(interface: WiredInterface) -> bool:
    """Whether an interface is worth a line: a loopback interface only with addresses of its own."""
    return interface.kind != "loopback" or bool(addresses(interface))


def told(space: WiredSpace) -> Iterator[WireEnd]:
    """The interfaces of a namespace that are worth a line."""
    return map(space.end, map(attrgetter("name"), filter(is_told, space.interfaces)))


def addresses(interface: WiredInterface) -> list[str]:
    """Its addresses but for those that every interface has, which tell nothing."""
    return list(filterfalse(_is_usual, interface.addresses))


def _is_usual(address: str) -> bool:
    return address in USUAL or address.startswith("fe80:")


def titled(interface: WiredInterface) -> str:
    """Its name, and the network of an engine that it stands for: "br-a1b2c3d4e5f6 (front)"."""
    return f"{interface.name} ({interface.network})" if interface.network else interface.name


def kind_of(interface: WiredInterface, plugged: bool = False) -> str:
    """Its kind and what belongs to that: "vxlan id 42, 10.0.0.1 → 10.0.0.2, port 4789". Of a veth whose
    other end is shown, that it is one says nothing.
    """
    kind = "" if plugged and interface.kind == "veth" else interface.kind or DEVICE
    return " ".join(filter(None, (kind, interface.detail)))


def state_of(interface: WiredInterface) -> str:
    """ "down", or "no carrier" where it is up and nothing is at the other end; else nothing."""
    if not interface.up:
        return "down"
    return "" if interface.carrier else "no carrier"


def way_out(gateways: Sequence[WayOut]) -> str:
    """Default routes: "default via 10.0.0.1 (host), fd00::1 (host)"; nothing where there is none."""
    return f"default {', '.join(map(_via, gateways))}" if gateways else ""


def _via(gateway: WayOut) -> str:
    owner = f" ({gateway.namespace})" if gateway.namespace else ""
    return f"via {gateway.via}{owner}" if gateway.via else "route"


def space_notes(space: WiredSpace) -> list[str]:
    """What kind of namespace it is, what is odd about it, and its other names."""
    said = (space.name, f"{space.kind}:{space.name}", f"netns:{space.name}")
    others = filterfalse(said.__contains__, filterfalse(_is_process, space.names))
    kind = space.kind * (space.kind != space.name)
    note = space.note * (f"({space.note})" not in space.name)
    return [*filter(None, (kind, note)), *map("also {}".format, others)]


def _is_process(name: str) -> bool:
    return name.startswith("pid:")


def translated(rule: WiredTranslation) -> str:
    """What a rule translates, for which network, out of which interface, and how the rule is called."""
    return " ".join(_translated(rule))


def _translated(rule: WiredTranslation) -> Iterator[str]:
    yield rule.kind
    yield meant(rule)
    if rule.of_source:
        yield f"out of {_among(rule.out, rule.leaves)}"
    elif rule.into or rule.inside:
        yield f"from {_among(rule.into, rule.inside)}"


def _among(said: str, meant_here: Sequence[str]) -> str:
    """The interfaces of a rule; where it names none, or those that it is not for, which these are here."""
    named = ", ".join(meant_here)
    if said and not said.startswith("!"):
        return said
    return " ".join(filter(None, (f"any but {said[1:]}" if said else "any", f"({named})" if named else "")))


def meant(rule: WiredTranslation) -> str:
    """The packets that a rule is for, and what it makes of them: "tcp 8080 → 172.17.0.2:80"."""
    source = _not(rule.source) if rule.source else ""
    destination = f"to {_not(rule.destination)}" if rule.destination else ""
    packets = " ".join(filter(None, (source, destination, rule.service))) or "everything"
    return f"{packets} → {rule.to}" if rule.to else packets


def _not(text: str) -> str:
    """A condition in words: "!eth0" is all but eth0."""
    return f"all but {text[1:]}" if text.startswith("!") else text


def more(group: SpaceGroup, wiring: Wiring) -> str:
    """A group in words: "297 more of front (c4 … c300)"."""
    where = " and ".join(map(partial(_short, wiring), group.at))
    of = f"of {where}" if where else "that nothing is connected to"
    return f"{group.count} more {of} ({group.first} … {group.last})"


def _short(wiring: Wiring, end: WireEnd) -> str:
    return getattr(wiring.at(end), "network", None) or end.interface


def unread(wiring: Wiring) -> dict[str, tuple[str, ...]]:
    """What could not be read, by the reason; first the namespaces of which nothing could be."""
    spaces = [(space.blind, space.name) for space in wiring.spaces if space.blind]
    return gathered([*spaces, *((blind.why, blind.what) for blind in wiring.blind)])


def path_words(wiring: Wiring) -> str:
    """The question of the path that lies over the map, and its answer, in one line."""
    path = wiring.path
    if path is None:
        return ""
    question = f"{path.source} → {path.destination}: {path.verdict.value}"
    if path.verdict is Verdict.REACHABLE:
        return f"{question} (predicted)"
    code = f" [{path.code}]" if path.code else ""
    return f"{question}{code} (predicted): {path.summary}"


def joined_end(end: WireEnd) -> str:
    """An interface of a namespace in one word: host/eth0."""
    return f"{end.namespace}/{end.interface}"
