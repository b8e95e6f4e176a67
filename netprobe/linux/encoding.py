"""A request to the kernel as bytes, by what its class of pyroute2 declares.

pyroute2 makes an object of each attribute, 0.02 ms each: a question has 30 requests, and that for a
connection, which no other question has, has eight attributes. What is of an unusual type pyroute2 encodes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

_ATTRIBUTE, _HEADER = struct.Struct("=HH"), struct.Struct("=IHHII")  # struct nlattr, struct nlmsghdr
_TEXT = "z"  # the layout of a field that pyroute2 gives a length of its own


class _Unusual(Exception):
    """It is pyroute2's to encode."""


def encoded(
    request: type, kind: int, flags: int, fields: Mapping[str, Any], attributes: Iterable[tuple[str, Any]]
) -> bytes | None:
    """The message, its number zero; None of one that has something unusual."""
    try:
        says = _encoder(request)
        body = says.body(fields, attributes)
    except (_Unusual, struct.error, ValueError, KeyError, TypeError):
        return None
    length = _HEADER.size + len(body)
    return _padded(_HEADER.pack(length, kind, flags, 0, 0) + body)


class _Encoder:
    """What a class of pyroute2 declares of a message, or of what is nested in one."""

    def __init__(self, declared: Any) -> None:
        from pyroute2.netlink import nlmsg_base

        has_texts = any(layout[0] == _TEXT for _, layout in declared.fields)
        if declared.encode is not nlmsg_base.encode or has_texts:
            raise _Unusual
        self._class = declared
        self._parts = [(name, struct.Struct(_plain(layout))) for name, layout in declared.fields]
        self._absent = {name: b"" if layout[-1] in "xs" else 0 for name, layout in declared.fields}
        self._numbers: dict[str, tuple[int, str]] = {}
        for place, attribute in enumerate(declared.nla_map or ()):
            number, name, kind = attribute if len(attribute) == 3 else (place, *attribute)
            self._numbers[name] = number, kind

    def body(self, fields: Mapping[str, Any], attributes: Iterable[tuple[str, Any]]) -> bytes:
        """The fields, and the attributes behind them. Raises _Unusual, or what struct does."""
        if fields.keys() - self._absent.keys():
            raise _Unusual
        parts = [part.pack(fields.get(name, self._absent[name])) for name, part in self._parts]
        return b"".join((*parts, *(_padded(self._attribute(*each)) for each in attributes)))

    def _attribute(self, name: str, value: Any) -> bytes:
        number, kind = self._numbers[name]
        writes = _WRITERS.get(kind)
        if writes is not None:
            content, flag = writes(value), 0
        else:
            inner = getattr(self._class, kind, None)
            if not isinstance(value, dict) or not isinstance(inner, type):
                raise _Unusual
            says = _encoder(inner)
            content = says.body({k: v for k, v in value.items() if k != "attrs"}, value["attrs"])
            flag = inner.nla_flags  # type: ignore[attr-defined]
        return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(content), number | flag) + content


@lru_cache(maxsize=256)
def _encoder(request: type) -> _Encoder:
    return _Encoder(request)


def _plain(layout: str) -> str:
    """The layout without alignment; what only fills is bytes that nobody gives."""
    plain = layout.replace("x", "s")
    return plain if plain[0] in "=<>!" else "=" + plain


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _address(value: str) -> bytes:
    return ip_address(value).packed


def _octets(value: bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _Unusual
    return value


_WRITERS: dict[str, Callable[[Any], bytes]] = {
    "uint8": struct.Struct("=B").pack, "uint16": struct.Struct("=H").pack, "uint32": struct.Struct("=I").pack,
    "uint64": struct.Struct("=Q").pack, "int32": struct.Struct("=i").pack,
    "be16": struct.Struct(">H").pack, "be32": struct.Struct(">I").pack, "be64": struct.Struct(">Q").pack,
    "ipaddr": _address, "ip4addr": _address, "ip6addr": _address, "cdata": _octets,
}  # fmt: skip
