"""What `netprobe ls` prints: every namespace, its interfaces and addresses, and the far end of each veth.

Where the table is too wide its last two columns are wrapped; where that leaves them too narrow to read, each
namespace is a paragraph.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import chain, repeat, zip_longest

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Space, SpaceInterface
from netprobe.model.command import quoted

from .pen import DIM, Pen, columns
from .terminal import Terminal
from .text import grid

_HEADS = ("NAME", "KIND", "INTERFACE", "ADDRESSES", "LEADS TO")
_USUAL = ("127.0.0.1/8", "::1/128")  # of lo
_GAP = 2  # between columns
_READABLE = 20  # columns that the last one needs


class _Row(Struct, frozen=True):
    """The cells of one line, safe. `also` is another name, dim; `remark` stands in the place of addresses."""

    name: str = ""
    kind: str = ""
    interface: str = ""
    addresses: str = ""
    leads: str = ""
    also: str = ""
    remark: str = ""


def spaces(found: Sequence[Space], terminal: Terminal, quiet: bool = False) -> str:
    """A table, one interface a row; a namespace's name, as it is typed, stands at its first. Why several
    could not be read is said once, below. `quiet` are the names alone.
    """
    pen = Pen(terminal)
    if quiet:
        return "".join(pen.plain(written(space)) + "\n" for space in found)
    told = Counter(filter(None, (space.blind for space in found)))
    often = {reason: f"{times} were not read" for reason, times in told.items() if times > 1}
    rows = [row for space in found for row in _rows(space, often, pen)]
    room = _room(rows, pen)
    lines = _table(rows, room, pen) if room is not None else _paragraphs(rows, pen)
    for reason, how_many in often.items():
        lines += ["", *pen.wrap(f"{how_many}: {reason}; `netprobe doctor` says what helps", pen.width)]
    return "\n".join(lines) + "\n"


_PROCESS = re.compile(r"(?:[^:]+:)?pid:[0-9]+")


def written(space: Space) -> str:
    """How a namespace is typed, quoted where a shell needs that."""
    return quoted(space.typed or space.name)


def _rows(space: Space, often: Collection[str], pen: Pen) -> list[_Row]:
    kind = pen.plain(f"{space.kind} ({space.note})" if space.note else space.kind)
    head = _Row(pen.plain(written(space)), kind)
    tail = [_Row(also=pen.plain(f"also {name}")) for name in _further_names(space)]
    if space.blind:
        said_below = dict.fromkeys(often, "not read")
        why = said_below.get(space.blind, f"not read: {space.blind}")
        return [replace(head, remark=pen.plain(why)), *tail]
    rows = [_interface(interface, pen) for interface in space.interfaces]
    shown = [row for row in rows if row.interface != "lo" or row.addresses]
    if not shown:
        return [replace(head, remark="no interface besides lo"), *tail]
    return [replace(shown[0], name=head.name, kind=head.kind), *shown[1:], *tail]


def _further_names(space: Space) -> list[str]:
    """How else it is typed, but for what is its name with its kind before it, on this machine or a host of
    ours (`h1:netns:red`), and for processes in it.
    """
    said = (space.name, space.typed)
    others = (name for name in space.names if name.replace(f"{space.kind}:", "", 1) not in said)
    return [quoted(name) for name in others if name not in said and _PROCESS.fullmatch(name) is None]


def _interface(interface: SpaceInterface, pen: Pen) -> _Row:
    name = interface.name if interface.up else f"{interface.name} (down)"
    # every interface has one of these; it tells nothing
    addresses = [a for a in interface.addresses if not a.startswith("fe80:") and a not in _USUAL]
    return _Row(
        interface=pen.plain(name),
        addresses=pen.plain(" ".join(addresses)),
        leads=pen.plain(_leads(interface)),
    )


def _leads(interface: SpaceInterface) -> str:
    """The bridge that an interface is a port of, and where it leads."""
    far_bridge = f"port of {interface.peer_bridge}" if interface.peer_bridge else ""
    peer = ", ".join(filter(None, (interface.peer, far_bridge))) if interface.peer else ""
    if not interface.bridge:
        return peer
    return f"port of {interface.bridge}" + (f", leads to {peer}" if peer else "")


def _room(rows: Sequence[_Row], pen: Pen) -> tuple[int, int] | None:
    """How wide the last two columns may be: as they are where there is room; None where they cannot be
    read.
    """
    *beside, addresses, leads = (
        max(map(columns, column)) for column in zip(_HEADS, *map(_cells, rows), strict=True)
    )
    if pen.width is None:
        return addresses, leads
    left = pen.width - sum(beside) - (len(_HEADS) - 1) * _GAP
    longest = max(map(columns, " ".join((_HEADS[3], *(_cells(row)[3] for row in rows))).split()))
    given = max(longest, min(addresses, left - leads))
    return (given, left - given) if left - given >= min(leads, _READABLE) else None


def _cells(row: _Row) -> tuple[str, ...]:
    """What stands in each column."""
    return row.name or row.also, row.kind, row.interface, row.addresses or row.remark, row.leads


def _table(rows: Sequence[_Row], room: tuple[int, int], pen: Pen) -> list[str]:
    lines: list[list[str]] = []
    for row in rows:
        last = zip_longest(
            pen.wrap(row.addresses, room[0]), _dim(row.remark, room[0], pen), pen.wrap(row.leads, room[1]),
            fillvalue="",
        )  # fmt: skip
        heads = chain([[row.name + pen.paint(row.also, DIM), row.kind, row.interface]], repeat([""] * 3))
        lines += [
            [*head, address + remark, lead]
            for head, (address, remark, lead) in zip(heads, last, strict=False)
        ]
    return grid([pen.plain(head) for head in _HEADS], lines, ("left",) * len(_HEADS))


def _dim(text: str, room: int, pen: Pen) -> list[str]:
    return [pen.paint(line, DIM) for line in pen.wrap(text, room)]


def _paragraphs(rows: Sequence[_Row], pen: Pen) -> list[str]:
    """Each namespace on a line, its interfaces below it."""
    return [line for row in rows for line in _paragraph(row, pen)]


def _paragraph(row: _Row, pen: Pen) -> list[str]:
    head = [(row.name, ""), (row.kind, "")]
    below = [
        (row.interface, ""),
        *((each, "") for each in row.addresses.split()),
        (row.remark, DIM),
        (row.also, DIM),
    ]
    return [*_flowed(head, 0, pen), *_flowed(below, 2, pen), *_flowed([(row.leads, "")], 4, pen)]


def _flowed(parts: Sequence[tuple[str, str]], indent: int, pen: Pen) -> list[str]:
    """Those parts that say something, side by side as far as there is room, so many columns from the left."""
    inner = pen.narrower(indent)
    return [" " * indent + line for line in inner.flowed([part for part in parts if part[0]], _GAP, "  ")]
