"""Attributes that hold one struct after the other, which pyroute2 has no word for."""

from __future__ import annotations

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
