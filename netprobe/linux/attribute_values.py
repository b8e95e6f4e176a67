"""What the attributes of a message of the kernel hold, as text. That of another host says what it likes: what
cannot be is an OSError, as if the kernel had refused to tell.
"""

from __future__ import annotations

import errno
import socket

from netprobe.model.address import bits


def malformed(what: str) -> OSError:
    """The error about an attribute that is none; `what` says why, behind "an attribute"."""
    return OSError(errno.EBADMSG, f"an attribute of a message of the kernel {what}")


def text(value: str | bytes) -> str:
    """A name as text."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def address(value: bytes) -> str:
    """An IPv4 (4 bytes) or IPv6 (16 bytes) address as canonical text. Raises OSError for anything else."""
    if len(value) == 4:
        return socket.inet_ntop(socket.AF_INET, value)
    if len(value) == 16:
        return socket.inet_ntop(socket.AF_INET6, value)
    raise malformed(f"of {len(value)} bytes is no address")


def prefix(address: str, length: int) -> str:
    """An address with a prefix length: "10.0.0.0/16". Raises OSError where the address is shorter."""
    return f"{address}/{prefix_length(address, length)}"


def prefix_length(address: str, length: int) -> int:
    """The length, where an address can have such a prefix. Raises OSError."""
    if length > bits(address):
        raise malformed(f"gives {address} a prefix of {length} bits")
    return length
