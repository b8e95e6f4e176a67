"""What real programs say about a probe: ping, arping, and a client that connects or sends a datagram. They are the judges of the labs."""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from netprobe.lab import commands
from netprobe.lab.namespaces import entered
from netprobe.lab.topology import Topology

_PATIENCE = 0.5  # seconds; every answer in a lab comes within a millisecond or two
_SO_MARK = 36  # asm-generic/socket.h


def _parser() -> argparse.ArgumentParser:
    """The words of a netprobe command line that matter to a real program too."""
    parser = argparse.ArgumentParser()
    for word in ("command", "source", "destination"):
        parser.add_argument(word)
    parser.add_argument("-p", "--protocol")
    parser.add_argument("-P", "--port", type=int)
    parser.add_argument("-c", "--count", type=int, default=1)
    parser.add_argument("-i", "--interval", default="200ms")
    parser.add_argument("-s", "--size", type=int)
    parser.add_argument("--df", action="store_true")
    parser.add_argument("--no-df", action="store_true")
    for word in ("--ttl", "--source-address", "--source-port", "--mark", "--exclude", "-W"):
        parser.add_argument(word)
    return parser


def answers(probe: Sequence[str], topology: Topology) -> tuple[int, int]:
    """How many of its packets a real program gets answered: (answered, sent). Only inside a lab."""
    said = _parser().parse_args(list(probe))
    named, _, port = said.destination.rpartition(":") if said.destination.count(":") == 1 else (said.destination, "", "")
    address = next(iter(topology.addresses(named)), named) if named in topology.namespaces else named
    port = said.port or (int(port) if port else None)
    if said.command == "arping":
        return _arping(said.source, address)
    if port is None:
        return _ping(said, address)
    kind = socket.SOCK_DGRAM if said.protocol == "udp" else socket.SOCK_STREAM
    return sum(_connects(said, kind, address, port) for _ in range(said.count)), said.count


def _run(namespace: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    program = commands.find(argv[0])
    assert program is not None, f"{argv[0]} is not installed"
    with entered(namespace):
        return subprocess.run([program, *argv[1:]], capture_output=True, text=True, check=False)


def _arping(source: str, address: str) -> tuple[int, int]:
    """By the exit code, which is all that the two programs of this name (iputils, Habets) agree on."""
    return int(_run(source, ["arping", "-c1", "-w1", "-I", "eth0", address]).returncode == 0), 1


def _ping(said: argparse.Namespace, address: str) -> tuple[int, int]:
    argv = ["ping", "-n", "-q", "-c", str(said.count), "-W", str(_PATIENCE), "-i", str(int(said.interval.removesuffix("ms")) / 1000)]
    given = {"-s": said.size, "-t": said.ttl, "-I": said.source_address, "-m": said.mark}
    argv += [word for option, value in given.items() if value is not None for word in (option, str(value))]
    argv += ["-M", "do" if said.df else "dont"] if said.df or said.no_df else []
    found = re.search(r"(\d+) received", _run(said.source, [*argv, address]).stdout)
    return int(found[1]) if found else 0, said.count


def _connects(said: argparse.Namespace, kind: socket.SocketKind, address: str, port: int) -> bool:
    """TCP: the connection is accepted by the kernel of the other side. UDP: our own word comes back, from where it was sent to."""
    with entered(said.source):
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    with client, suppress(OSError):
        client.settimeout(_PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if said.mark:
            client.setsockopt(socket.SOL_SOCKET, _SO_MARK, int(said.mark))
        if said.source_address or said.source_port:
            client.bind((said.source_address or "", int(said.source_port or 0)))
        client.connect((address, port))
        if kind is socket.SOCK_STREAM:
            return True
        client.send(b"w" * (said.size or 4))
        return bool(client.recv(65535))
    return False
