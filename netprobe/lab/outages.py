"""Changes to the programs of a lab: a service ends, hangs, or comes back on another address."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Literal

from . import commands, services
from .changes import typed
from .namespaces import entered
from .topology import Service

_MORE_THAN_FITS = 64


@dataclass(frozen=True, slots=True)
class StopService:
    """The program that serves a port ends."""

    namespace: str
    protocol: Literal["tcp", "udp"]
    port: int

    @property
    def command(self) -> str:
        """`fuser -k` ends whoever has the port."""
        return typed(self.namespace, f"fuser -k {self.port}/{self.protocol}")

    def apply(self) -> None:
        """Kill it."""
        services.signalled(self.namespace, self.protocol, self.port, signal.SIGKILL)

    def holds(self) -> bool:
        """Whether nobody has the port."""
        return not listening(self.namespace, self.protocol, self.port)


@dataclass(frozen=True, slots=True)
class MoveService:
    """The program that serves a port is started again, on `service.address` alone."""

    service: Service

    @property
    def namespace(self) -> str:
        """Where it runs."""
        return self.service.namespace

    @property
    def command(self) -> str:
        """As nc would do it."""
        kind = "-u " if self.service.protocol == "udp" else ""
        return typed(self.namespace, f"nc -l {kind}{self.service.address} {self.service.port}")

    def apply(self) -> None:
        """Kill it and start it."""
        with suppress(FileNotFoundError):
            services.signalled(self.namespace, self.service.protocol, self.service.port, signal.SIGKILL)
        assert self.service.address is not None
        services.run(self.service, (self.service.address,))

    def holds(self) -> bool:
        """Whether that address, and no other, is bound."""
        lines = listening(self.namespace, self.service.protocol, self.service.port)
        return len(lines) == 1 and f"{self.service.address}:{self.service.port} " in lines[0]


@dataclass(frozen=True, slots=True)
class HangService:
    """The program that serves a port stops working, and what is sent to it piles up until no more fits."""

    namespace: str
    protocol: Literal["tcp", "udp"]
    port: int
    address: str

    @property
    def command(self) -> str:
        """SIGSTOP is as good as a deadlock."""
        return typed(self.namespace, f"fuser -k -STOP {self.port}/{self.protocol}")

    def apply(self) -> None:
        """Stop it and fill its queue from within its namespace."""
        services.signalled(self.namespace, self.protocol, self.port, signal.SIGSTOP)
        kind = socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM
        with ExitStack() as opened:
            for _ in range(_MORE_THAN_FITS):
                with entered(self.namespace):
                    client = opened.enter_context(socket.socket(socket.AF_INET, kind))
                client.setblocking(False)
                with suppress(BlockingIOError):
                    client.connect((self.address, self.port))
                if kind is socket.SOCK_DGRAM:
                    client.send(bytes(64))

    def holds(self) -> bool:
        """Whether its queue is full, as `ss` shows it: more connections than the backlog, or bytes that are
        not read.
        """
        for line in listening(self.namespace, self.protocol, self.port):
            received, backlog, where = line.split()[1:4]
            if where == f"{self.address}:{self.port}" and int(received) > (
                int(backlog) if self.protocol == "tcp" else 0
            ):
                return True
        return False


def listening(namespace: str, protocol: str, port: int) -> list[str]:
    """The sockets on a port that wait for peers, as `ss` prints them."""
    return commands.run(
        namespace, ("ss", "-Hlnt" if protocol == "tcp" else "-Hlnu", f"sport = :{port}")
    ).splitlines()
