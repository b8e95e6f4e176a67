"""nft's raw payload: bits of a header by their place, `@nh,72,8` (nft(8), RAW PAYLOAD EXPRESSION)."""

# ruff: noqa: ARG001 - the readers of one table take the same arguments
from __future__ import annotations

from functools import lru_cache

from netprobe.rules import datatypes as dt
from netprobe.rules import octets
from netprobe.rules.packet import HookPacket, Surroundings

from .ip import carried
from .value import Reader, Seen, known

_HEADERS = {"@nh": octets.network, "@th": octets.transport}


@lru_cache(256)
def reader(selector: str) -> tuple[dt.Datatype, Reader] | None:
    """The type and reader of a raw payload of the network or transport header; None for anything else."""
    base, *numbers = selector.split(",")
    if base not in _HEADERS or len(numbers) != 2 or not "".join(numbers).isdecimal():
        return None
    offset, length = map(int, numbers)

    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if not carried(packet):
            return known(None)
        return known(octets.bits(_HEADERS[base](packet), offset, length))

    return dt.NUMBER, read
