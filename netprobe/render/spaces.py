"""What `netprobe ls` prints: every namespace, its interfaces and addresses, and the far end of each veth.

Where the table is too wide its last two columns are wrapped; where that leaves them too narrow to read, each
namespace is a paragraph.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Space, SpaceInterface

from .pen import DIM, Pen, columns
from .terminal import Terminal
from .text import grid

_HEADS = ("NAME", "KIND", "INTERFACE", "ADDRESSES", "LEADS TO")
_GAP = 2  # between columns
_READABLE = 20  # columns that the last one needs


class _Row(Struct, frozen=True):
    """The cells of one line, safe. `also` is another name, which has no kind; `remark` stands in the place of
    addresses.
    """

    name: str = ""
    kind: str = ""
    interface: str = ""
    addresses: str = ""
    leads: str = ""
    also: bool = False
    remark: bool = False


def spaces(found: Sequence[Space], terminal: Terminal) -> str:
    """A table, one interface a row; a namespace's name stands at its first."""
    pen = Pen(terminal)
    groups = [_rows(space, pen) for space in found]
    rows = [row for group in groups for row in group]
    room = _room(rows, pen)
    lines = _table(rows, room, pen) if room is not None else _paragraphs(groups, pen)
    return "\n".join(lines) + "\n"


def _rows(space: Space, pen: Pen) -> list[_Row]:
    also = [
        name
        for name in space.names
        if name not in (space.name, f"{space.kind}:{space.name}") and not name.startswith("pid:")
    ]
    kind = pen.plain(f"{space.kind} ({space.note})" if space.note else space.kind)
    head = _Row(pen.plain(space.name), kind)
    tail = [_Row(pen.plain(f"also {name}"), also=True) for name in also]
    if space.blind:
        return [replace(head, addresses=pen.plain(f"not read: {space.blind}"), remark=True), *tail]
    shown = [_interface(interface, pen) for interface in space.interfaces if interface.name != "lo"]
    if not shown:
        return [replace(head, addresses="no interface besides lo", remark=True), *tail]
    return [replace(shown[0], name=head.name, kind=head.kind), *shown[1:], *tail]


def _interface(interface: SpaceInterface, pen: Pen) -> _Row:
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
    leads = pen.plain(", ".join(part for part in parts if part))
    return _Row(interface=pen.plain(name), addresses=pen.plain(" ".join(addresses)), leads=leads)


def _room(rows: Sequence[_Row], pen: Pen) -> tuple[int, int] | None:
    """How wide the last two columns may be: as they are where there is room; None where they cannot be
    read.
    """
    name, kind, interface, addresses, leads = (_widest(rows, at) for at in range(5))
    if pen.width is None:
        return addresses, leads
    left = pen.width - name - kind - interface - 4 * _GAP
    longest = max(columns(word) for row in rows or [_Row()] for word in (*row.addresses.split(), _HEADS[3]))
    given = max(longest, min(addresses, left - leads))
    return (given, left - given) if left - given >= min(leads, _READABLE) else None


def _widest(rows: Sequence[_Row], at: int) -> int:
    return max(columns(cell) for cell in (_HEADS[at], *(_cells(row)[at] for row in rows)))


def _cells(row: _Row) -> tuple[str, str, str, str, str]:
    return row.name, row.kind, row.interface, row.addresses, row.leads


def _table(rows: Sequence[_Row], room: tuple[int, int], pen: Pen) -> list[str]:
    lines: list[list[str]] = []
    for row in rows:
        addresses, leads = (pen.wrap(cell, wide) for cell, wide in zip(_cells(row)[3:], room, strict=True))
        head = (pen.paint(row.name, DIM if row.also else ""), row.kind, row.interface)
        for at in range(max(len(addresses), len(leads))):
            address, lead = (each[at] if at < len(each) else "" for each in (addresses, leads))
            first = head if at == 0 else ("", "", "")
            lines.append([*first, pen.paint(address, DIM if row.remark else ""), lead])
    return grid([pen.plain(head) for head in _HEADS], lines, ("left",) * len(_HEADS))


def _paragraphs(groups: Sequence[Sequence[_Row]], pen: Pen) -> list[str]:
    """Each namespace on a line, its interfaces below it."""
    return [line for group in groups for row in group for line in _paragraph(row, pen)]


def _paragraph(row: _Row, pen: Pen) -> list[str]:
    assert pen.width is not None
    inner = Pen(replace(pen.terminal, width=pen.width - 2))
    head = [(row.name, ""), (row.kind, "")]
    addresses = [row.addresses] if row.remark else row.addresses.split()
    parts = [(row.interface, ""), *((each, DIM if row.remark else "") for each in addresses)]
    if row.also:
        parts = [(row.name, DIM)]
    return [
        *(pen.flowed([part for part in head if part[0]], _GAP, "  ") if not row.also else ()),
        *(f"  {line}" for line in inner.flowed([part for part in parts if part[0]], _GAP, "  ")),
        *(f"    {line}" for line in inner.wrap(row.leads, pen.width - 4) if line),
    ]
