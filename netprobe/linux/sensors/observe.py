"""The one place where netprobe acts on a network: it arms the sensors, sends a probe, and reports what each
saw.

One thread, one epoll loop. After the answer every tap is drained: stopping at the reply lost 4 of 10
sightings.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from netprobe.errors import CannotLook, Interrupted, is_short
from netprobe.kernel.close import release
from netprobe.kernel.elsewhere import DistantSocket, Elsewhere, Place
from netprobe.linux.netns import inside
from netprobe.linux.privilege import not_permitted
from netprobe.model import Observation, Probe, Watch
from netprobe.wire.craft import Craft, craft
from netprobe.wire.mark import mark_of

from .distant import understood
from .observations import Logbook
from .sender import Sender
from .sensor import Sensor
from .taps import BridgePorts, Taps

if TYPE_CHECKING:
    from .frame_sender import FrameSender

Settled = Callable[[Sequence[Observation], int], bool]

# What watches a run, called in this order.
SENSORS: tuple[type[Sensor], ...] = (Taps, BridgePorts)

TICK_NS = 5_000_000  # how often to ask whether all is settled while nothing arrives
IDLE_NS = 500_000  # before the next packet, which is time to look at the frames of one
SHORT_NS, FD_SETSIZE = 4_000_000, 1024
CROWD = 4096  # frames that wait to be looked at, 35 us each


def observe(
    watch: Watch, handles: Mapping[str, Place], settled: Settled, crafter: Craft = craft
) -> tuple[Observation, ...]:
    """Send the probe of `watch` and return what was seen, in the order of time.

    `handles` are open descriptors of the namespaces by name. `settled(observations so far, ns since the last
    send)` says when there is nothing more to wait for; the probe's timeout after the last send ends the wait
    anyway. It is asked before the send as well, 0 ns after it, about an answer that nobody sent. What cannot
    be looked at is an observation of kind "blind", a refused send one of kind "refused". Raises NotPermitted
    where raw sockets are not allowed in the source, CannotLook when `handles` lacks it or its host is lost,
    Interrupted with what was seen until Ctrl-C.
    """
    probe, home = watch.probe, watch.probe.source.namespace or ""
    book = Logbook(watch)
    if home not in handles:
        raise CannotLook(f"the namespace {home} of the source is not open")
    sensors: list[Sensor] = []
    sender: Sender | FrameSender | None = None
    try:
        sensors += (sensor(watch, handles, book) for sensor in SENSORS)
        sender = _open_sender(probe, handles[home], book)
        if sender is None:
            return book.observations()
        book.begin(mark_of(probe, sender.source_ports, watch.ports, watch.services), sender.source)
        packets = crafter(sender.recipe(book.mark))  # a worker makes them while the sensors are armed
        for sensor in sensors:
            sensor.arm()
        interruption = _sent_and_heard(_Loop(book, sender, sensors, settled), packets)
        unheard = sender.lost()
        for sensor in sensors:
            sensor.finish()
        for heard in sender.hear() if isinstance(handles[home], Elsewhere) else ():
            book.heard(heard)
        book.unheard(unheard)
        if interruption is not None:
            raise _interrupted(book) or interruption
        return book.observations()
    finally:
        _release(sender, sensors)


def _sent_and_heard(loop: _Loop, packets: Iterable[bytes]) -> KeyboardInterrupt | None:
    """Send all and wait; what netprobe itself lacks for that is in the book. Returns the interruption, if
    there was one.
    """
    try:
        with select.epoll() as epoll:
            loop.listen(epoll)
            loop.run(packets)
    except OSError as error:
        if not is_short(error):
            raise
        loop.book.gave_up(error, time.time_ns())
    except KeyboardInterrupt as error:
        return error
    return None


def _release(sender: Sender | FrameSender | None, sensors: Iterable[Sensor]) -> None:
    """Close all sockets; those of other hosts are closed there."""
    held = [*chain.from_iterable(sensor.close() for sensor in sensors)]
    if sender is not None:
        sender.close()
        held += [each for each in sender.packet_sockets if not isinstance(each, DistantSocket)]
    release(held)


def _interrupted(book: Logbook) -> Interrupted | None:
    """What there is of the packets that are decided by now; where none is, of all. None: none was sent."""
    count, every = book.decided(time.time_ns()), book.observations()
    seen = tuple(each for each in every if not count or each.sequence < count)
    return Interrupted(count, seen) if any(each.kind == "sent" for each in seen) or count else None


def _open_sender(probe: Probe, handle: Place, book: Logbook) -> Sender | FrameSender | None:
    """The sockets of the source, or None when the kernel refuses them with an error that speaks of the
    network.
    """
    with inside(handle):
        try:
            with understood(handle):
                if not probe.protocol.on_segment:
                    return Sender(probe)
                from .frame_sender import FrameSender

                return FrameSender(probe)
        except OSError as error:
            if error.errno == errno.EPERM:
                raise not_permitted(f"not permitted to send a probe from {probe.source.endpoint}") from error
            # no memory for a socket (packet_create); of a send: a full queue
            if error.errno == errno.ENOBUFS:
                error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            for sequence in range(probe.count):
                book.refused(sequence, error, time.time_ns())
            return None


class _Loop:
    """Sends at the probe's pace, reads whatever comes meanwhile, and ends when settled or at the timeout."""

    def __init__(
        self, book: Logbook, sender: Sender | FrameSender, sensors: Sequence[Sensor], settled: Settled
    ) -> None:
        self.book = book
        self.sender = sender
        self.sensors = sensors
        self.settled = settled

    def listen(self, epoll: select.epoll) -> None:
        """Begin to hear what comes to the sender and to the sensors, here and on other hosts."""
        self.epoll = epoll
        sockets = self.sender.listen(self.book.mark)
        for sock in sockets:
            if isinstance(sock, DistantSocket):
                sock.hear()
        watched = chain.from_iterable(sensor.listen() for sensor in self.sensors)
        for fd in dict.fromkeys((*watched, *(sock.fileno() for sock in sockets))):
            self.epoll.register(fd, select.EPOLLIN)

    def run(self, packets: Iterable[bytes]) -> None:
        """Send and collect. Everything that is queued when this returns has been read."""
        probe = self.book.watch.probe
        due = time.monotonic_ns()
        for sequence, packet in enumerate(packets):
            self._pause(due)
            # late once is no reason to be late from then on, nor to send two at once
            due = max(due + probe.interval_ns, time.monotonic_ns() + probe.interval_ns * 3 // 4)
            self._send(sequence, packet)
            if sequence + 1 < probe.count:
                self._read()
        self._wait(probe.timeout_ns)
        self._read()  # what the answer was seen as on its way was queued before it

    def _pause(self, due: int) -> None:
        """Collect until the next packet is due, and look at what came where there is time for it."""
        while (wait := due - time.monotonic_ns()) > 0:
            self._collect(wait)
            if due - time.monotonic_ns() > IDLE_NS:
                self.book.look()
        if self.book.waiting > CROWD:
            self.book.look()

    def _send(self, sequence: int, packet: bytes) -> None:
        flow = self.book.expect(packet)
        if not sequence:
            self._rehearse(packet)
            self._read()  # what was just done is done faster when it matters
            for sensor in self.sensors:
                sensor.clear()
        now = time.time_ns()
        try:
            now = self.sender.send(packet) or now
        except OSError as error:
            self.book.refused(sequence, error, now)
        else:
            self.book.sent(sequence, flow, now)

    def _rehearse(self, packet: bytes) -> None:
        """Do with what is thrown away all that is done when an answer comes: done for the first time it takes
        three times as long, and nobody could tell that from the network's time.
        """
        self.settled(self.book.rehearsed(packet), 0)
        for sensor in self.sensors:
            sensor.rehearse()

    def _wait(self, timeout_ns: int) -> None:
        """Until all is settled: by the answer that came to the sender as a rule, which is asked for first.
        Taps hold what they have.
        """
        last = time.monotonic_ns()
        self._hear()
        while (passed := time.monotonic_ns() - last) < timeout_ns:
            if self.settled(self.book.said(), passed):
                return
            self._read()
            if self.settled(self.book.progress(), passed):
                return
            self._collect(min(TICK_NS, timeout_ns - passed))

    def _collect(self, wait_ns: int) -> None:
        if self._is_something_there(wait_ns):
            self._read()

    def _is_something_there(self, wait_ns: int) -> bool:
        """Whether anything comes within this time. epoll(7) counts it in whole ms, select(2) in us, of
        descriptors up to 1023.
        """
        if wait_ns < SHORT_NS and self.epoll.fileno() < FD_SETSIZE:
            return bool(select.select([self.epoll], [], [], wait_ns / 1e9)[0])
        return bool(self.epoll.poll(wait_ns / 1e9))

    def _read(self) -> None:
        for sensor in self.sensors:
            sensor.read()
        self._hear()

    def _hear(self) -> None:
        for heard in self.sender.hear():
            self.book.heard(heard)
