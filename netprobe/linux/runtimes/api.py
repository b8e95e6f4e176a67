"""One request to a container engine over its unix socket.

Source: Docker Engine API, which Podman speaks as well.

By hand, because it is one GET: http.client alone takes longer to import (30 ms) than the request takes (2
ms). HTTP/1.0 has neither chunks nor a connection to keep: the body ends where the engine closes.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from urllib.parse import quote

import msgspec
from msgspec import Struct

LIMIT_S = 2.0
LARGEST = 32 << 20  # bytes; a list of ten thousand containers has 20 MB
PIECE = 1 << 16
# the paths of the list of all networks: Docker's, and that of Podman, which has more
NETWORKS, PODMAN_NETWORKS = "/networks", "/v4.0.0/libpod/networks/json"
_UCRED = struct.Struct("=iII")  # process, user, group


class Silent(OSError):
    """The engine took the connection and did not answer in time."""


class Busy(OSError):
    """The engine does not take connections: the queue of those that wait for it is full (unix(7), EAGAIN)."""


class HttpAnswer(Struct, frozen=True):
    """An HTTP answer: its status, the server's own name ("Docker/28.5.0 (linux)", "Libpod/5.4.0 (linux)"),
    and its JSON.

    `user` is the number of the user who listened there, as the kernel says: what lies at the path may be
    exchanged meanwhile.
    """

    status: int
    server: str
    body: bytes
    user: int = 0


def get(address: str, path: str, limit_s: float = LIMIT_S) -> HttpAnswer:
    """What the engine at the socket `address` answers to GET `path`.

    Raises Silent after `limit_s` seconds, Busy at once, another OSError when there is no engine, ValueError
    when it does not speak HTTP or has no end.
    """
    deadline = time.monotonic() + limit_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        try:
            connection.settimeout(limit_s)
            connection.connect(address)
            connection.sendall(request(path))
            return parsed(_received(connection, deadline), _listener(connection))
        except BlockingIOError as error:
            raise Busy("its queue of connections is full, it accepts none") from error
        except TimeoutError as error:
            raise Silent(f"no answer within {limit_s:.2g} s") from error


def _received(connection: socket.socket, deadline: float) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while size <= LARGEST:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if PIECE <= size < 2 * PIECE and b"\r\n\r\n" not in b"".join(pieces):
            raise ValueError("headers without an end")
    raise ValueError("an answer without an end")


def _listener(connection: socket.socket) -> int:
    """The user at the other end: SO_PEERCRED, struct ucred of unix(7)."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(told)[1])


def request(path: str) -> bytes:
    """The request GET `path`, as it goes over the wire."""
    return f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()


def parsed(raw: bytes, user: int) -> HttpAnswer:
    """An answer as it came over the wire, of an engine of this user. Raises ValueError."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = [*first.split(" "), "", ""]
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise ValueError("it does not speak HTTP")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return HttpAnswer(int(status), headers.get("server", ""), body, user)


def inspect(name: str) -> str:
    """The path of one container's description."""
    return f"/containers/{quote(os.fsencode(name), safe='')}/json"


def listing(**filters: str) -> str:
    """The path of the list of all containers, running or not, that pass `filters` (name=REGEX, id=PREFIX)."""
    if not filters:
        return "/containers/json?all=1"
    wanted = msgspec.json.encode({key: [value] for key, value in filters.items()})
    return f"/containers/json?all=1&filters={quote(wanted)}"
