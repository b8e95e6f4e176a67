"""What a packet shows to a rule: the selectors of nft(8), each with its type and reader. A file a layer."""

from __future__ import annotations

from netprobe.rules import datatypes as dt

from . import conntrack, header, ip, link, meta, raw, route
from .conntrack import tracked
from .value import UNKNOWN, Reader, Rows, Seen, Unknown

SELECTORS: Rows = {**ip.ROWS, **link.ROWS, **meta.ROWS, **conntrack.ROWS, **route.ROWS}


def find(selector: str) -> tuple[dt.Datatype, Reader]:
    """The type and reader of a selector; one that is not known reads as UNKNOWN where it may be there."""
    return SELECTORS.get(selector) or raw.reader(selector) or header.reader(selector)


__all__ = ["SELECTORS", "UNKNOWN", "Reader", "Seen", "Unknown", "find", "tracked"]
