"""What could not be read is not "none": a namespace with unread parts, of which a walk may look at the others
only. Pure.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from msgspec.structs import replace

from netprobe.model import Namespace, Snapshot, Stage

from .drop import Unread

PARTS = {
    "links": ("interfaces", Stage.TRANSMIT), "addresses": ("addresses", Stage.ROUTE),
    "routes": ("routes", Stage.ROUTE),
    "rules": ("policy rules", Stage.ROUTE), "neighbours": ("neighbours", Stage.NEIGHBOUR),
    "fdb": ("bridge forwarding entries", Stage.BRIDGE), "groups": ("bridge multicast groups", Stage.BRIDGE),
    "sysctls": ("sysctls", Stage.ROUTE), "asking": ("settings of neighbours", Stage.NEIGHBOUR),
    "sockets": ("sockets", Stage.SOCKET),
    "xfrm": ("IPsec policies", Stage.OUTPUT),
}  # fmt: skip
"""The fields of a namespace without which a walk cannot go on, as messages call them, and who uses them."""


class PartlyRead(Namespace, frozen=True, gc=False):
    """A namespace of which parts could not be read.

    To look at one of these raises Unread; the others are as in any.
    """

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in PARTS and (why := super().__getattribute__("unread").get(name)) is not None:
            what, stage = PARTS[name]
            raise Unread(super().__getattribute__("name"), what, why, stage)
        return found

    def sysctl(self, name: str, default: str | None = None) -> str | None:
        """As of any namespace: those of an interface come with the interface, and may be there when the
        others are not.
        """
        known = super().__getattribute__("sysctls")
        return known[name] if name in known else super().sysctl(name, default)


def guarded(snapshot: Snapshot, names: Set[str | None] | None = None) -> Snapshot:
    """The snapshot with each namespace that has unread parts, of these names alone where they are given, as a
    `PartlyRead`.
    """
    wanted = snapshot.namespaces.keys() if names is None else names
    unread = (each for name, each in snapshot.namespaces.items() if each.unread and name in wanted)
    partly = {each.name: _partly(each) for each in unread}
    return replace(snapshot, namespaces={**snapshot.namespaces, **partly}) if partly else snapshot


def _partly(namespace: Namespace) -> PartlyRead:
    if isinstance(namespace, PartlyRead):
        return namespace
    return PartlyRead(**{field: getattr(namespace, field) for field in namespace.__struct_fields__})


__all__ = ["PARTS", "PartlyRead", "Unread", "guarded"]
