"""Addresses from their bytes to the text in which the rest of the program knows them."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address


def ipv4_text(address: bytes) -> str:
    """Four bytes as dotted decimal."""
    return ".".join(map(str, address))


@lru_cache(maxsize=1024)
def ipv6_text(address: bytes) -> str:
    """Sixteen bytes as RFC 5952 text."""
    return str(IPv6Address(address))


@lru_cache(maxsize=1024)
def mac_text(address: bytes) -> str:
    """Six bytes as lower case hexadecimal with colons."""
    return address.hex(":")
