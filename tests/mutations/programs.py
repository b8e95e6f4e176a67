"""Programs that answer: one ends, hangs until its queue is full, or comes back on another address, port or interface."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Sequence
from random import Random
from typing import Any
from unittest.mock import patch

from mutations.mutation import Call, Mutation, known
from mutations.sight import Sight

from netprobe.lab import commands
from netprobe.lab.changes import typed
from netprobe.lab.namespaces import entered
from netprobe.lab.outages import HangService
from netprobe.lab.services import run
from netprobe.lab.topology import Service

_SO_BINDTODEVICE = 25  # asm-generic/socket.h
_Listener = tuple[str, str, int, tuple[str, ...]]


def service_stopped(sight: Sight, rng: Random) -> Mutation | None:
    found = _listeners(sight)
    if not found:
        return None
    name, protocol, port, addresses = rng.choice(found)
    return Mutation(
        "service-stopped", (_killed(name, protocol, port),), (_started(name, protocol, port, addresses),), (known(name, "socket"),)
    )


def service_moved(sight: Sight, rng: Random) -> Mutation | None:
    """It comes back on the loopback, on one address, or on another port."""
    found = _listeners(sight)
    if not found:
        return None
    name, protocol, port, addresses = rng.choice(found)
    where, number = rng.choice([(("127.0.0.1",), port), ((rng.choice(addresses),), port), (addresses, port + 1)])
    steps = (_killed(name, protocol, port), _started(name, protocol, number, where))
    undo = (_killed(name, protocol, number), _started(name, protocol, port, addresses))
    return Mutation("service-moved", steps, undo, (known(name, "socket"),))


def service_on_a_device(sight: Sight, rng: Random) -> Mutation | None:
    """Its sockets hear one interface alone (SO_BINDTODEVICE)."""
    found = _listeners(sight)
    if not found:
        return None
    name, protocol, port, addresses = rng.choice(found)
    device = rng.choice([link["ifname"] for where, link in sight.links if where == name])
    shown = typed(name, f"(a server of {protocol} {port} that is bound to {device})")
    steps = (_killed(name, protocol, port), Call(shown, _bound, (name, protocol, port, addresses, device)))
    undo = (_killed(name, protocol, port), _started(name, protocol, port, addresses))
    return Mutation("service-on-a-device", steps, undo, (known(name, "socket"),))


def service_hangs(sight: Sight, rng: Random) -> Mutation | None:
    """It accepts and reads nothing any more, and its queue fills where it is small."""
    found = [each for each in _listeners(sight) if any("." in address for address in each[3])]
    if not found:
        return None
    name, protocol, port, addresses = rng.choice(found)
    address = next(each for each in addresses if "." in each)
    hangs = HangService(name, protocol, port, address)  # type: ignore[arg-type]
    undo = (_killed(name, protocol, port), _started(name, protocol, port, addresses))
    return Mutation("service-hangs", (Call(hangs.command, hangs.apply, ()),), undo, (known(name, "socket"),))


def _listeners(sight: Sight) -> list[_Listener]:
    """(namespace, protocol, port, addresses) of every program that answers."""
    found: dict[tuple[str, str, int], list[str]] = {}
    for name in sight.spaces:
        for line in sight.said(name, "ss -Hnlut").splitlines():
            words = line.split()
            address, _, port = words[4].rpartition(":")
            found.setdefault((name, words[0], int(port)), []).append(re.sub(r"[\[\]]|%.*", "", address))
    return [(*key, tuple(sorted(addresses))) for key, addresses in sorted(found.items())]


def _killed(name: str, protocol: str, port: int) -> Call:
    return Call(typed(name, f"fuser -k {port}/{protocol}"), _kill, (name, protocol, port))


def _kill(name: str, protocol: str, port: int) -> None:
    """End whoever has the port, and wait for the end: a socket that is just closing still has it."""
    said = commands.run(name, ("ss", "-Hnlp", "-u" if protocol == "udp" else "-t", f"sport = :{port}"))
    for pid in sorted({int(number) for number in re.findall(r"pid=(\d+)", said)}):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _started(name: str, protocol: str, port: int, addresses: Sequence[str]) -> Call:
    service = Service(name, "udp" if protocol == "udp" else "tcp", port)
    return Call(typed(name, f"(a server of {protocol} {port} on {', '.join(addresses)})"), run, (service, tuple(addresses)))


def _bound(name: str, protocol: str, port: int, addresses: Sequence[str], device: str) -> None:
    """A server as `run` starts it, whose sockets are bound to a device before they are bound to an address."""
    with entered(name), patch.object(socket, "socket", deaf(device)):
        run(Service(name, "udp" if protocol == "udp" else "tcp", port), addresses)


def deaf(device: str) -> type[socket.socket]:
    """Sockets that hear one device alone. A class as theirs is one: the server goes on asking what its sockets are."""

    class Deaf(socket.socket):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, device.encode() + b"\0")

    return Deaf


KINDS = (service_stopped, service_moved, service_on_a_device, service_hangs)
