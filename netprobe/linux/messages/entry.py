"""An entry of a table that may have thousands of them: pyroute2 makes an object of each message and attribute, 0.1 ms an entry."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

HEADER = 16  # bytes of a struct nlmsghdr (include/uapi/linux/netlink.h), which begins with the length of the message
_LENGTH = struct.Struct("=I")
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_TYPE = 0x3FFF  # NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER


class Slot(NamedTuple):
    """An attribute that is decoded already, as pyroute2's are when they are asked for."""

    name: str
    value: Any


class Entry(dict[str, Any]):
    """A message of plain attributes in the order they come, as pyroute2's are; an attribute that is not named is passed over."""

    fields: ClassVar[struct.Struct]
    names: ClassVar[tuple[str, ...]]
    attributes: ClassVar[Mapping[int, tuple[str, Callable[[bytes], Any]]]]

    def __init__(self, data: bytes, offset: int = 0) -> None:
        super().__init__()
        self.data, self.offset = data, offset

    def decode(self) -> None:
        start = self.offset + HEADER
        self.update(zip(self.names, self.fields.unpack_from(self.data, start), strict=True))
        start, end = start + self.fields.size, self.offset + _LENGTH.unpack_from(self.data, self.offset)[0]
        data, known, slots = self.data, self.attributes, []
        while start + 4 <= end:
            length, kind = _ATTRIBUTE.unpack_from(data, start)
            if not 4 <= length <= end - start:  # cannot be true
                break
            if (kind := kind & _TYPE) in known:
                name, decode = known[kind]
                slots.append(Slot(name, decode(data[start + 4 : start + length])))
            start += (length + 3) & ~3
        self["attrs"] = slots


def name(value: bytes) -> str | bytes:
    """A text that ends with a zero; one that is not UTF-8 stays bytes, as with pyroute2."""
    value = value.rstrip(b"\0")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def number(value: bytes) -> int:
    """A number in the order of the network."""
    return int.from_bytes(value, "big")
