"""What `netprobe ls` prints: every namespace, its interfaces and addresses, and the far end of each veth."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import Space, SpaceInterface

from .pen import DIM, Pen
from .terminal import Terminal
from .text import grid

_HEADS = ("NAME", "KIND", "INTERFACE", "ADDRESSES", "LEADS TO")


def spaces(found: Sequence[Space], terminal: Terminal) -> str:
    """A table, one interface a row; a namespace's name stands at its first."""
    pen = Pen(terminal)
    rows = [row for space in found for row in _rows(space, pen)]
    lines = grid([pen.plain(head) for head in _HEADS], rows, ("left",) * len(_HEADS))
    return "\n".join(lines) + "\n"


def _rows(space: Space, pen: Pen) -> list[list[str]]:
    also = [
        name
        for name in space.names
        if name not in (space.name, f"{space.kind}:{space.name}") and not name.startswith("pid:")
    ]
    head = [pen.plain(space.name), pen.plain(f"{space.kind} ({space.note})" if space.note else space.kind)]
    tail = [[pen.paint(pen.plain(f"  also {name}"), DIM), "", "", "", ""] for name in also]
    if space.blind:
        return [[*head, "", pen.paint(pen.plain(f"not read: {space.blind}"), DIM), ""], *tail]
    shown = [interface for interface in space.interfaces if interface.name != "lo"]
    if not shown:
        return [[*head, "", pen.paint("no interface besides lo", DIM), ""], *tail]
    return [
        [*(head if not at else ("", "")), *_interface(interface, pen)] for at, interface in enumerate(shown)
    ] + tail


def _interface(interface: SpaceInterface, pen: Pen) -> list[str]:
    name = interface.name if interface.up else f"{interface.name} (down)"
    peer = (
        f"{interface.peer}, port of {interface.peer_bridge}"
        if interface.peer and interface.peer_bridge
        else interface.peer
    )
    parts = [
        f"port of {interface.bridge}" if interface.bridge else "",
        f"leads to {peer}" if peer and interface.bridge else peer or "",
    ]
    # every interface has one; it tells nothing
    addresses = [a for a in interface.addresses if not a.startswith("fe80:")]
    return [
        pen.plain(name),
        pen.plain(" ".join(addresses)),
        pen.plain(", ".join(part for part in parts if part)),
    ]
