"""The taps of a run: in each namespace to watch one for the probe and one for what travels beside it, here
and on other hosts.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from netprobe.errors import NetprobeError
from netprobe.kernel.elsewhere import Elsewhere, Place
from netprobe.linux.netns import inside
from netprobe.model import Watch
from netprobe.wire.around import Around
from netprobe.wire.bpf import Instruction
from netprobe.wire.filter import side_filter, tap_filter

from .distant import DistantTap, sensors_of, understood
from .haul import Buffers
from .observations import Logbook
from .ports import enslaved
from .sensor import Sensor
from .tap import Room, Tap

AnyTap: TypeAlias = Tap | DistantTap

PIECE = 1232  # bytes of payload that fit a fragment on any link of IPv6 (RFC 8200 section 5)
SPARE = 1000  # frames that a tap keeps beside those that a run may make
PLACES = 64  # how often one packet of a run may pass the interfaces of a namespace, both ways
# that the kernels on the way may broadcast in a namespace: three for each neighbour that they do not know
REQUESTS = 8
MOST = 1 << 18  # frames of all taps of a run together, however many packets it has: 600 MB
# frames that all taps of neighbours and fragments keep together, beside fragments that a run may make
BESIDE = 4000


class Taps(Sensor):
    """All taps of a run. Those of another host are armed by `HostSensors`, all hosts side by side."""

    def __init__(self, watch: Watch, handles: Mapping[str, Place], book: Logbook) -> None:
        super().__init__(watch, handles, book)
        self._taps: list[AnyTap] = []
        self._hosts = sensors_of(handles, (book.home, *watch.namespaces))
        source = handles[book.home]
        self._source = source.sensors() if isinstance(source, Elsewhere) else None
        self._buffers = Buffers.lent()

    def arm(self) -> None:
        """Open the taps in every namespace to watch; one where that fails is blind.

        What travels beside the probe has a tap of its own, so that a flood of it takes no room from the
        probe.
        """
        watch, around = self.watch, Around(self.watch.addresses, self.watch.pairs)
        programs = [(tap_filter(self.book.mark, around), False)]
        if not watch.probe.protocol.on_segment:
            programs.append((side_filter(self.book.mark, around), True))
        for namespace in dict.fromkeys(watch.namespaces):
            try:
                with inside(self.handles[namespace]):
                    for program, beside in programs:
                        kept = room(watch, namespace, beside)
                        self._taps.append(_tap(namespace, self.handles[namespace], program, kept, beside))
            except KeyError:
                self.book.blind(namespace, "the namespace is not open")
            except (OSError, NetprobeError) as error:
                self.book.blind(namespace, f"no tap: {error}")
        self._arm_distant()

    def _arm_distant(self) -> None:
        """Arm the taps of other hosts; those that cannot be armed are blind."""
        for host in self._hosts:
            host.arm()
        refused = [each for each in self._distant if each.refusal is not None]
        reasons = ((each.namespace, _reason(each.refusal)) for each in refused)
        for namespace, why in dict.fromkeys(reasons):
            self.book.blind(namespace, f"no tap: {why}")
        self._taps = [each for each in self._taps if each not in refused]

    @property
    def _distant(self) -> list[DistantTap]:
        return [tap for tap in self._taps if isinstance(tap, DistantTap)]

    def listen(self) -> Iterable[int]:
        """The taps, and what comes from other hosts, those with nothing but the sender included."""
        for host in self._hosts:
            host.begin()
        return [each.fileno() for each in (*self._taps, *self._hosts)]

    def rehearse(self) -> None:
        """Receive into the buffers, and find their memory."""
        self._buffers.rehearse()

    def clear(self) -> None:
        """Make room in taps that have little left."""
        for tap in self._taps:
            if tap.crowded:
                tap.clear()

    def read(self) -> None:
        """Take what is queued at each tap."""
        for tap in self._taps:
            for haul in tap.take(self._buffers):
                self.book.took(tap, haul)

    def finish(self) -> None:
        """Take what the taps of other hosts have still, and say what was lost."""
        for host in self._hosts:
            host.finish()
        for host in self._hosts:
            host.end()
        for tap in self._distant:
            self._take_last(tap)
        if self._source is not None and self._source.gone:
            self.book.deaf(self._source.gone)
        for each in self._taps:
            self.book.lost(each.namespace, each.lost(), each.full, each.beside)

    def _take_last(self, tap: DistantTap) -> None:
        """Of a host that was lost nothing is known from then on."""
        for haul in tap.take(None):
            self.book.took(tap, haul)
        if tap.sensors.gone and not tap.beside:
            self.book.blind(tap.namespace, tap.sensors.gone)

    def close(self) -> Iterable[socket.socket]:
        """The sockets of the taps here; those of other hosts are closed there."""
        self._buffers.close()
        for host in self._hosts:
            host.end()
        return [tap.socket for tap in self._taps if isinstance(tap, Tap)]


class BridgePorts(Sensor):
    """Asks at the end which interfaces that saw frames to another station are ports: there those are
    normal.
    """

    def finish(self) -> None:
        """Say which are; where nobody can tell, that place is blind."""
        for namespace, indexes in self.book.doubtful().items():
            try:
                with inside(self.handles[namespace]), understood(self.handles[namespace]):
                    self.book.ports(namespace, enslaved(indexes))
            except (OSError, NetprobeError) as error:
                self.book.blind(namespace, f"ports of bridges: {error}")


def _tap(namespace: str, place: Place, program: tuple[Instruction, ...], kept: Room, beside: bool) -> AnyTap:
    """A tap on the namespace in which this thread is; one of another host listens when that is armed."""
    if isinstance(place, Elsewhere):
        return DistantTap(namespace, place, program, kept, beside)
    return Tap(namespace, program, kept, beside)


def _reason(refusal: OSError | None) -> str:
    return str(refusal if refusal is None else refusal.strerror or refusal)


def room(watch: Watch, namespace: str, beside: bool) -> Room:
    """What a tap may be given to keep: what the run's own packets can make of themselves, and some more.

    A request for a neighbour leaves by every port of a bridge: that of an ARP probe, and those of the kernel
    beside another one.
    """
    probe, ports, share = watch.probe, watch.interfaces.get(namespace, 0), max(1, len(watch.namespaces))
    if beside:
        frames = PLACES * probe.count * (probe.size // PIECE) + max(
            min(SPARE, BESIDE // share), REQUESTS * ports
        )
    else:
        frames = (PLACES + (ports if probe.protocol.on_segment else 0)) * probe.count + SPARE + ports
    frames = min(frames, MOST // share)
    return Room(frames, frames * 2 * PIECE)
