"""What the tests of `observe` do inside a lab: small functions that a lab's process calls, and plain results."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from netprobe.linux.netns import inside, open_namespace
from netprobe.linux.sensors.observe import observe
from netprobe.linux.sensors.sender import Sender
from netprobe.model import Endpoint, Observation, Probe, Protocol, Watch
from netprobe.wire.craft import craft
from netprobe.wire.mark import mark_of

TUTORIAL = ("red", "host", "internet", "c1", "c2")
GRACE_NS = 20_000_000


def path_of(namespace: str) -> str:
    """`host` is where a lab's process sits."""
    return "/proc/self/ns/net" if namespace == "host" else f"/run/netns/{namespace}"


@contextmanager
def handles(namespaces: Sequence[str] = TUTORIAL) -> Iterator[dict[str, int]]:
    with ExitStack() as stack:
        opened = {namespace: open_namespace(path_of(namespace)) for namespace in namespaces}
        for fd in opened.values():
            stack.callback(os.close, fd)
        yield opened


def a_probe(protocol: str, source: tuple[str, str], destination: tuple[str, int | None], **more: Any) -> Probe:
    """source: namespace and address; destination: address and port."""
    return Probe(
        Protocol(protocol), secrets.token_hex(8), Endpoint(source[0], source[0], "eth0", source[1] or None),
        Endpoint(destination[0], address=destination[0], port=destination[1]), **more,
    )  # fmt: skip


def all_answered(probe: Probe, grace_ns: int = GRACE_NS) -> Callable[[Sequence[Observation], int], bool]:
    """Settled when every packet has its answer, and a little later, for what follows the answer."""
    return lambda seen, ns: len({o.sequence for o in seen if o.kind == "answered"}) >= probe.count and ns > grace_ns


def send(
    protocol: str, source: tuple[str, str], destination: tuple[str, int | None], namespaces: Sequence[str] = TUTORIAL, /, **more: Any
) -> tuple[Observation, ...]:
    """Send a probe and return what was seen, without the frames."""
    probe = a_probe(protocol, source, destination, **more)
    with handles(namespaces) as opened:
        seen = observe(Watch(probe, tuple(namespaces)), opened, all_answered(probe))
    return tuple(replace(o, frame=b"") for o in seen)


def send_as(options: dict[str, Any], *arguments: Any) -> tuple[Observation, ...]:
    """`send` with the options as a dictionary, for `Lab.call`."""
    return send(*arguments, **options)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def leaves(*arguments: Any) -> tuple[int, int, list[str]]:
    """Descriptors before and after a probe, and the namespaces that still have packet sockets a second later."""
    send(*arguments)  # whatever is opened once for good
    before = descriptors()
    send(*arguments)
    after = descriptors()
    deadline = time.monotonic() + 5
    while (left := [n for n in TUTORIAL if _packet_sockets_in(n)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return before, after, left


def _packet_sockets_in(namespace: str) -> int:
    with inside(path_of(namespace)):
        return len(Path("/proc/thread-self/net/packet").read_text().splitlines()) - 1


def leaves_after_an_exception() -> tuple[int, int, str]:
    """The same when the engine's own callback fails in the middle, as on Ctrl-C."""

    def interrupted(seen: Sequence[Observation], ns: int) -> bool:
        if ns:  # it was sent
            raise KeyboardInterrupt
        return False

    probe = a_probe("icmp", ("red", "10.0.0.2"), ("8.8.8.8", None))
    name = ""
    with handles() as opened:
        send("icmp", ("red", "10.0.0.2"), ("8.8.8.8", None))
        before = descriptors()
        try:
            observe(Watch(probe, TUTORIAL), opened, interrupted)
        except KeyboardInterrupt as error:
            name = type(error).__name__
        return before, descriptors(), name


def unheard(protocol: str, room: int) -> int:
    """How many of 50 answers to a sender in c1 were lost at its socket, which has so many bytes for them."""
    probe = a_probe(protocol, ("c1", "172.17.0.2"), ("172.17.0.3", 81 if protocol == "tcp" else None), count=50)
    with inside(path_of("c1")):
        sender = Sender(probe)
        try:
            mark = mark_of(probe, sender.source_ports)
            (listening,) = sender.listen(mark)
            for size in (1, room):  # what was lost before the sender listens is no answer
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
                sender.listen(mark)
                for packet in craft(sender.recipe(mark)):
                    sender.send(packet)
                time.sleep(0.1)
            return sender.lost()
        finally:
            sender.close()


def many(times: int) -> list[int]:
    """How many frames of the request and the reply each of `times` pings from red to 8.8.8.8 was seen as."""
    counts = []
    with handles() as opened:
        for _ in range(times):
            probe = a_probe("icmp", ("red", "10.0.0.2"), ("8.8.8.8", None))
            seen = observe(Watch(probe, TUTORIAL), opened, all_answered(probe, 0))
            counts.append(sum(o.kind == "seen" and o.leg is not None for o in seen))
    return counts


def while_running(command: Sequence[str], namespace: str, options: dict[str, Any], *arguments: Any) -> tuple[Observation, ...]:
    """Send a probe; after its first packet run a command in a namespace."""
    probe = a_probe(*arguments, **options)
    done = []

    def settled(seen: Sequence[Observation], ns: int) -> bool:
        if not done and any(o.kind == "sent" for o in seen):
            done.append(subprocess.run(["ip", "netns", "exec", namespace, *command] if namespace != "host" else command, check=True))
        return False

    with handles() as opened:
        seen = observe(Watch(probe, TUTORIAL), opened, settled)
    return tuple(replace(o, frame=b"") for o in seen)


def main(protocol: str, namespace: str, source: str, destination: str, port: str, size: str, count: str, interval_ns: str) -> None:
    """As a program: prints of each packet its sequence, in how many frames it and its answer were seen, and who answered."""
    options = {"count": int(count), "size": int(size), "interval_ns": int(interval_ns), "timeout_ns": 300_000_000}
    seen = send(protocol, (namespace, source), (destination, int(port) or None), **options)
    frames = Counter(o.sequence for o in seen if o.kind == "seen" and o.leg is not None)
    for o in seen:
        if o.kind == "answered" and o.flow is not None:
            print(o.sequence, frames[o.sequence], o.flow.src_mac)


if __name__ == "__main__":
    main(*sys.argv[1:])


def with_a_further_sensor(protocol: str, *ends: Any) -> tuple[list[str], list[str]]:
    """The moments at which a sensor beside the taps is called, those that repeat once; and what it tells in the end."""
    from netprobe.linux.sensors import observe as room
    from netprobe.linux.sensors.sensor import Sensor
    from netprobe.model import Source

    moments: list[str] = []

    class Further(Sensor):
        def arm(self) -> None:
            moments.append(f"arm {self.book.mark.protocol}")

        def listen(self) -> tuple[int, ...]:
            moments.append("listen")
            return ()

        def clear(self) -> None:
            moments.append("clear")

        def read(self) -> None:
            moments.append("read")

        def finish(self) -> None:
            moments.append("finish")
            self.book.told("red", Source.COUNTER, "three were dropped")

        def close(self) -> tuple[socket.socket, ...]:
            moments.append("close")
            return ()

    before, room.SENSORS = room.SENSORS, (*room.SENSORS, Further)
    try:
        got = send(protocol, *ends)
    finally:
        room.SENSORS = before
    return [*dict.fromkeys(moments)], [f"{o.source} {o.namespace}: {o.text}" for o in got if o.kind == "told"]
