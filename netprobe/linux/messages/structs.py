"""Attributes that hold one thing after the other: structs, which pyroute2 has no word for, and numbers, which
it makes objects of.
"""

from __future__ import annotations

import struct
from typing import Any

from pyroute2.netlink import nla


class StructArray(nla):
    """Decodes into a list of `element`, an nlmsg without a header.

    What is left over at the end is no element.
    """

    element: Any = None

    def decode(self) -> None:
        nla.decode(self)
        size, start, end = self.element.get_size(), self.offset + 4, self.offset + self.length
        self.value = [self._element_at(offset) for offset in range(start, end - size + 1, size)]

    def _element_at(self, offset: int) -> Any:
        found = self.element(data=self.data, offset=offset)
        found.decode()
        return found


class Int32Array(nla):
    """Decodes into a tuple of int32; what is left over at the end is no number."""

    of_int32 = True

    def decode(self) -> None:
        nla.decode(self)
        count = (self.length - 4) // 4
        self.value = struct.unpack_from(f"={count}i", self.data, self.offset + 4)
