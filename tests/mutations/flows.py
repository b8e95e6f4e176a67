"""What a network is for: who asks whom for what, and whether real programs get their answers. They are the judges of the measure."""

from __future__ import annotations

import re
import selectors
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from netprobe.errors import NetprobeError
from netprobe.lab import commands
from netprobe.lab.namespaces import entered

PATIENCE = 0.6
"""Seconds; every answer in a lab comes within a few milliseconds."""

_FORM = re.compile(
    r"(?P<source>\S+) (?P<address>[0-9a-f.:]+?)(?:\+(?P<port>\d+)(?:/(?P<kind>udp))?)?(?: from (?P<own>\d+))?(?: (?P<size>\d+) bytes)?"
    r"(?: by (?P<device>\S+))?$"
)


@dataclass(frozen=True, slots=True)
class Flow:
    """One question and its answer: a ping (of `size` bytes that may not be fragmented), a connection, a datagram that is sent back, or
    who has an address on the segment of `device` ("arp").

    `source_port`: always the same, as those have it that keep a socket open for ever.
    """

    source: str
    address: str
    protocol: str = "icmp"
    port: int | None = None
    size: int | None = None
    source_port: int | None = None
    device: str | None = None

    def __str__(self) -> str:
        port = f"+{self.port}" if self.port else ""
        kind = "/udp" if self.protocol == "udp" else ""
        own = f" from {self.source_port}" if self.source_port else ""
        size = f" {self.size} bytes" if self.size else ""
        return f"{self.source} {self.address}{port}{kind}{own}{size}{f' by {self.device}' if self.device else ''}"

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    def question(self, command: str) -> tuple[str, ...]:
        """The command line of netprobe that asks for this flow, without the word netprobe."""
        if self.protocol == "arp" and command == "trace":
            return ("arping", f"{self.source}/{self.device}", self.address)
        words = [command, self.source, self.address, "-p", self.protocol]
        words += ["-P", str(self.port)] if self.port else []
        words += ["-s", str(self.size), "--df"] if self.size else []
        words += ["--source-port", str(self.source_port)] if self.source_port else []
        return tuple(words)


def flow(text: str) -> Flow:
    """ "red 8.8.8.8", "red 8.8.8.8+80", "c1 172.17.0.3+53/udp", "pc fd00:2::10 1400 bytes", "c1 172.17.0.3 by eth0"."""
    found = _FORM.match(text)
    if found is None:
        raise ValueError(f"not a flow: {text!r}")
    port, size, own = (int(found[key]) if found[key] else None for key in ("port", "size", "own"))
    protocol = found["kind"] or ("tcp" if port else "arp" if found["device"] else "icmp")
    return Flow(found["source"], found["address"], protocol, port, size, own, found["device"])


def working(flows: Sequence[Flow], rounds: int = 2) -> dict[Flow, int]:
    """Which flows get through, all tried side by side: the round in which each did, counted from 1; 0 for those that never did.

    Only inside a lab. A namespace that is gone lets nothing through.
    """
    passed = dict.fromkeys(flows, 0)
    for number in range(1, rounds + 1):
        left = [one for one, when in passed.items() if when == 0]
        passed |= dict.fromkeys(_once(left), number)
    return passed


def can_be_asked(one: Flow) -> bool:
    """Whether the program that is the judge would ask at all: arping(8) refuses an interface that is gone, or whose neighbours are not
    asked for, and tells nothing of the network then. Only inside a lab.
    """
    if one.device is None:
        return True
    with suppress(NetprobeError):
        return "NOARP" not in commands.run(one.source, ("ip", "link", "show", "dev", one.device))
    return False


def _once(flows: Sequence[Flow]) -> set[Flow]:
    """Those that get an answer within the patience."""
    pings = [(one, _ping(one)) for one in flows if one.port is None]
    passed = _exchanges([one for one in flows if one.port is not None])
    for one, process in pings:
        if process is not None and process.wait() == 0:
            passed.add(one)
    return passed


def _ping(one: Flow) -> subprocess.Popen[bytes] | None:
    program = commands.find("arping" if one.device else "ping")
    assert program is not None, "ping and arping are not installed"
    size = ["-s", str(one.size), "-M", "do"] if one.size else []
    words = ["-w", "1", "-I", one.device] if one.device else [f"-{one.version}", "-n", "-W", str(PATIENCE), *size]
    argv = [program, "-q", "-c", "1", *words, one.address]
    with entered(one.source):
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _exchanges(flows: Sequence[Flow]) -> set[Flow]:
    """Connections that are accepted, and words that come back."""
    passed: set[Flow] = set()
    with selectors.DefaultSelector() as ready:
        for one in flows:
            with suppress(OSError):
                ready.register(*_begun(one), data=one)
        end = time.monotonic() + PATIENCE
        while ready.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in ready.select(left):
                opened = key.fileobj
                assert isinstance(opened, socket.socket)
                if _answered(opened):
                    passed.add(key.data)
                ready.unregister(opened)
                opened.close()
        for key in list(ready.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return passed


def _begun(one: Flow) -> tuple[socket.socket, int]:
    """A socket that asked, and what to wait for."""
    kind = socket.SOCK_DGRAM if one.protocol == "udp" else socket.SOCK_STREAM
    with entered(one.source):
        client = socket.socket(socket.AF_INET6 if one.version == 6 else socket.AF_INET, kind)
    client.setblocking(False)
    try:
        if one.source_port:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(("", one.source_port))
        with suppress(BlockingIOError):
            client.connect((one.address, one.port))
        if kind is socket.SOCK_DGRAM:
            client.send(b"word")
    except OSError:
        client.close()
        raise
    return client, selectors.EVENT_READ if kind is socket.SOCK_DGRAM else selectors.EVENT_WRITE


def _answered(opened: socket.socket) -> bool:
    if opened.type == socket.SOCK_STREAM:
        return opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    with suppress(OSError):
        return opened.recv(64) == b"word"
    return False
