"""What answers in a lab:

TCP accepts and closes, UDP sends back what it got. Each service is a process of its own; it ends with the
lab.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from .namespaces import entered
from .private import LAB_FOLDER
from .topology import Service, Topology

_FOLDER = f"{LAB_FOLDER}/services"
_LARGEST_DATAGRAM = 65535


def start(topology: Topology) -> None:
    """Open every service of the topology and serve them from now on. When this returns they answer."""
    for service in topology.services:
        run(service, (service.address,) if service.address else topology.addresses(service.namespace))


def run(service: Service, addresses: Sequence[str]) -> None:
    """Serve one service on these addresses, in a process of its own, from now on.

    OSError when an address is not there or taken.
    """
    sockets = [*_open(service, addresses)]
    if (child := os.fork()) == 0:
        try:
            _detach()
            _serve(sockets)
        finally:
            os._exit(1)
    for opened in sockets:
        opened.close()
    Path(_FOLDER).mkdir(parents=True, exist_ok=True)
    _note(service.namespace, service.protocol, service.port).write_text(str(child))


def signalled(namespace: str, protocol: str, port: int, number: signal.Signals) -> None:
    """Send a signal to the process of a service; one that ends it is waited for.

    Raises FileNotFoundError when there is none.
    """
    pid = int(_note(namespace, protocol, port).read_text())
    os.kill(pid, number)
    if number is signal.SIGKILL:
        os.waitpid(pid, 0)


def _note(namespace: str, protocol: str, port: int) -> Path:
    return Path(_FOLDER, f"{namespace}-{protocol}-{port}")


def _open(service: Service, addresses: Sequence[str]) -> Iterator[socket.socket]:
    """One socket for each address:

    UDP answers come from the address asked only when the socket is bound to it.
    """
    kind = socket.SOCK_STREAM if service.protocol == "tcp" else socket.SOCK_DGRAM
    for address in addresses:
        with entered(service.namespace):
            opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, service.port))
        opened.setblocking(False)
        if kind == socket.SOCK_STREAM:
            opened.listen(service.backlog)
        elif service.receive_buffer is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, service.receive_buffer)
        yield opened


def _detach() -> None:
    """Be out of the way: no terminal, no Ctrl-C, no pipe of the lab's process held open."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _serve(sockets: list[socket.socket]) -> None:
    with selectors.DefaultSelector() as ready:
        for opened in sockets:
            ready.register(opened, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                assert isinstance(key.fileobj, socket.socket)
                # the peer may be gone, or its way back broken: that is what labs are for
                with suppress(OSError):
                    _answer(key.fileobj)


def _answer(opened: socket.socket) -> None:
    if opened.type == socket.SOCK_STREAM:
        opened.accept()[0].close()
    else:
        data, peer = opened.recvfrom(_LARGEST_DATAGRAM)
        opened.sendto(data, peer)
