"""What answers in a lab: TCP accepts and closes, UDP sends back what it got. One child process serves all; it ends with the lab."""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress

from .namespaces import entered
from .topology import Service, Topology

_BACKLOG = 512
_LARGEST_DATAGRAM = 65535


def start(topology: Topology) -> None:
    """Open every service of the topology and serve them from now on. When this returns they answer."""
    sockets = [opened for service in topology.services for opened in _open(service, topology)]
    if not sockets:
        return
    if os.fork() == 0:
        try:
            _detach()
            _serve(sockets)
        finally:
            os._exit(1)
    for opened in sockets:
        opened.close()


def _open(service: Service, topology: Topology) -> Iterator[socket.socket]:
    """One socket for each address: UDP answers come from the address asked only when the socket is bound to it."""
    addresses = (service.address,) if service.address else topology.addresses(service.namespace)
    kind = socket.SOCK_STREAM if service.protocol == "tcp" else socket.SOCK_DGRAM
    for address in addresses:
        with entered(service.namespace):
            opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, service.port))
        opened.setblocking(False)
        if kind == socket.SOCK_STREAM:
            opened.listen(_BACKLOG)
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
                with suppress(OSError):  # the peer may be gone, or its way back broken: that is what labs are for
                    _answer(key.fileobj)


def _answer(opened: socket.socket) -> None:
    if opened.type == socket.SOCK_STREAM:
        opened.accept()[0].close()
    else:
        data, peer = opened.recvfrom(_LARGEST_DATAGRAM)
        opened.sendto(data, peer)
