"""A container engine that is nothing but a unix socket: it answers each path with what a test gives it, or does not answer at all."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ID = "4131bb9ddc4303b5169ef9e93c5922959d258002759d96ef8d1310d24602e238"
OTHER = "43e628ca1b2c92625cf32dbc50f9b4c8f178f1ad73fc1b32513475fcd2546ff7"


class CannedEngine:
    """Serves one request a connection. `asked` lists the request lines; `raw` answers every request with these bytes.

    `user` listens; only root can let another do so.
    """

    def __init__(
        self, path: Path, answers: Mapping[str, Any] | None = None, server: str = "Docker/28.5.0 (linux)", raw: bytes = b"", user: int = 0
    ) -> None:
        self.path = str(path)
        self.asked: list[str] = []
        self._answers = answers or {}
        self._server = server
        self._raw = raw
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        own = os.geteuid()
        os.seteuid(user or own)
        self._listener.listen()
        os.seteuid(own)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """End it: the thread is woken by a connection of its own."""
        self._closing = True
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self.path)
            last.sendall(b"\r\n\r\n")
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (piece := connection.recv(4096)):
                    request += piece
                line = request.split(b"\r\n")[0].decode()
                if not line:
                    return
                self.asked.append(line)
                with suppress(BrokenPipeError, ConnectionResetError):  # who asks has heard enough
                    connection.sendall(self._raw or self._answer(line.split(" ")[1]))

    def _answer(self, path: str) -> bytes:
        known = path in self._answers
        body = json.dumps(self._answers[path] if known else {"message": f"no such container: {path}"}).encode()
        head = f"HTTP/1.0 {'200 OK' if known else '404 Not Found'}\r\nServer: {self._server}\r\nContent-Type: application/json\r\n\r\n"
        return head.encode() + body


@contextmanager
def canned(path: Path, *args: Any, **options: Any) -> Iterator[CannedEngine]:
    """A canned engine for the time of a test."""
    engine = CannedEngine(path, *args, **options)
    try:
        yield engine
    finally:
        engine.close()


def described(name: str = "c1", identity: str = ID, pid: int = 4711, network: str = "bridge", **state: Any) -> dict[str, Any]:
    """What an engine says of a container, shortened."""
    return {
        "Id": identity,
        "Name": f"/{name}",
        "State": {"Status": "running", "Pid": pid, "ExitCode": 0, "FinishedAt": "0001-01-01T00:00:00Z", **state},
        "HostConfig": {"NetworkMode": network},
        "NetworkSettings": {"SandboxKey": "/var/run/docker/netns/50d3aaa90bce", "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
    }
