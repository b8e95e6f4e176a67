"""The one place where netprobe acts on a network: it arms taps, sends a probe, and reports what every sensor
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
from typing import TypeAlias

from netprobe.errors import CannotLook, Interrupted, NetprobeError, is_short
from netprobe.kernel.close import release
from netprobe.kernel.elsewhere import DistantSocket, Elsewhere, HostSensors, Place
from netprobe.linux.netns import inside
from netprobe.linux.privilege import not_permitted
from netprobe.model import Observation, Probe, Protocol, Watch
from netprobe.wire.around import Around
from netprobe.wire.bpf import Instruction
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.filter import side_filter, tap_filter
from netprobe.wire.mark import mark_of

from .distant import DistantTap, sensors_of, understood
from .frame_sender import FrameSender
from .observations import Logbook
from .ports import enslaved
from .sender import Sender
from .tap import Room, Tap, buffers

AnyTap: TypeAlias = Tap | DistantTap

Settled = Callable[[Sequence[Observation], int], bool]
Craft = Callable[[Recipe], Iterable[bytes]]

TICK_NS = 5_000_000  # how often to ask whether all is settled while nothing arrives
IDLE_NS = 500_000  # before the next packet, which is time to look at the frames of one
SHORT_NS, FD_SETSIZE = 4_000_000, 1024
CROWD = 4096  # frames that wait to be looked at, 35 us each
WHOLE_FRAMES = (Protocol.ARP, Protocol.ND)
PIECE = 1232  # bytes of payload that fit a fragment on any link of IPv6 (RFC 8200 section 5)
SPARE = 1000  # frames that a tap keeps beside those that a run may make
PLACES = 64  # how often one packet of a run may pass the interfaces of a namespace, both ways
# that the kernels on the way may broadcast in a namespace: three for each neighbour that they do not know
REQUESTS = 8
MOST = 1 << 18  # frames of all taps of a run together, however many packets it has: 600 MB
# frames that all taps of neighbours and fragments keep together, beside fragments that a run may make
BESIDE = 4000


def observe(
    watch: Watch, handles: Mapping[str, Place], settled: Settled, crafter: Craft = craft
) -> tuple[Observation, ...]:
    """Send the probe of `watch` and return what was seen, in the order of time.

    `handles` are open descriptors of the namespaces by name. `settled(observations so far, ns since the last
    send)` says when there is nothing more to wait for; the probe's timeout after the last send ends the wait
    anyway. What cannot be looked at is an observation of kind "blind", a refused send one of kind "refused".
    Raises NotPermitted where raw sockets are not allowed in the source, CannotLook when `handles` lacks it or
    its host is lost, Interrupted with what was seen until Ctrl-C.
    """
    probe, home = watch.probe, watch.probe.source.namespace or ""
    book = Logbook(watch)
    if home not in handles:
        raise CannotLook(f"the namespace {home} of the source is not open")
    taps: list[AnyTap] = []
    sensors: list[HostSensors] = []
    sender: Sender | FrameSender | None = None
    try:
        sensors += sensors_of(handles, (home, *watch.namespaces))
        place = handles[home]
        source = place.sensors() if isinstance(place, Elsewhere) else None
        sender = _open_sender(probe, handles[home], book)
        if sender is None:
            return book.observations()
        book.begin(mark_of(probe, sender.source_ports, watch.ports, watch.services), sender.source)
        _arm(watch, handles, taps, book)
        _arm_distant(sensors, taps, book)
        interruption: KeyboardInterrupt | None = None
        try:
            with select.epoll() as epoll:
                loop = _Loop(book, sender, taps, settled, epoll)
                loop.listen(sensors)
                loop.run(crafter(sender.recipe(book.mark)))
        except OSError as error:
            if not is_short(error):
                raise
            book.gave_up(error, time.time_ns())
        except KeyboardInterrupt as error:
            interruption = error
        unheard = sender.lost()
        _end(sensors, source, taps, book)
        for heard in sender.hear() if source is not None else ():
            book.heard(heard)
        for tap in taps:
            book.lost(tap.namespace, tap.lost(), tap.full, tap.beside)
        book.unheard(unheard)
        _ask_masters(handles, book)
        if interruption is not None:
            raise _interrupted(book) or interruption
        return book.observations()
    finally:
        for host in sensors:
            host.end()
        _release(sender, taps)


def _release(sender: Sender | FrameSender | None, taps: Iterable[AnyTap]) -> None:
    """Close all sockets; those of other hosts are closed there."""
    held = [tap.socket for tap in taps if isinstance(tap, Tap)]
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
                return FrameSender(probe) if probe.protocol in WHOLE_FRAMES else Sender(probe)
        except OSError as error:
            if error.errno == errno.EPERM:
                raise not_permitted(f"not permitted to send a probe from {probe.source.endpoint}") from error
            # no memory for a socket (packet_create); of a send: a full queue
            if error.errno == errno.ENOBUFS:
                error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            for sequence in range(probe.count):
                book.refused(sequence, error, time.time_ns())
            return None


def _arm(watch: Watch, handles: Mapping[str, Place], taps: list[AnyTap], book: Logbook) -> None:
    """Open the taps in every namespace to watch; one where that fails is blind, and no reason to stop.

    What travels beside the probe has a tap of its own, so that a flood of it takes no room from the probe.
    """
    around = Around(watch.addresses, watch.pairs)
    programs = [(tap_filter(book.mark, around), False)]
    if watch.probe.protocol not in WHOLE_FRAMES:
        programs.append((side_filter(book.mark, around), True))
    namespaces = dict.fromkeys(watch.namespaces)
    for namespace in namespaces:
        try:
            with inside(handles[namespace]):
                for program, beside in programs:
                    kept = room(watch, namespace, beside)
                    taps.append(_tap(namespace, handles[namespace], program, kept, beside))
        except KeyError:
            book.blind(namespace, "the namespace is not open")
        except (OSError, NetprobeError) as error:
            book.blind(namespace, f"no tap: {error}")


def _tap(namespace: str, place: Place, program: tuple[Instruction, ...], kept: Room, beside: bool) -> AnyTap:
    """A tap on the namespace in which this thread is; one of another host listens when that is armed."""
    if isinstance(place, Elsewhere):
        return DistantTap(namespace, place, program, kept, beside)
    return Tap(namespace, program, kept, beside)


def _arm_distant(sensors: Sequence[HostSensors], taps: list[AnyTap], book: Logbook) -> None:
    """Arm the taps of other hosts, all hosts side by side; those that cannot be armed are blind."""
    for host in sensors:
        host.arm()
    refused = [each for each in taps if isinstance(each, DistantTap) and each.refusal is not None]
    reasons = ((each.namespace, _reason(each.refusal)) for each in refused)
    for namespace, why in dict.fromkeys(reasons):
        book.blind(namespace, f"no tap: {why}")
    taps[:] = [each for each in taps if each not in refused]


def _reason(refusal: OSError | None) -> str:
    return str(refusal if refusal is None else refusal.strerror or refusal)


def _end(
    sensors: Sequence[HostSensors], source: HostSensors | None, taps: Sequence[AnyTap], book: Logbook
) -> None:
    """Take what the taps of other hosts have still; of a host that was lost nothing is known from then on,
    nor of the answers if it is the source's.
    """
    for host in sensors:
        host.finish()
    for host in sensors:
        host.end()
    for tap in [each for each in taps if isinstance(each, DistantTap)]:
        book.took(tap, tap.take(None))
        if tap.sensors.gone and not tap.beside:
            book.blind(tap.namespace, tap.sensors.gone)
    if source is not None and source.gone:
        book.deaf(source.gone)


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
        frames = (PLACES + (ports if probe.protocol in WHOLE_FRAMES else 0)) * probe.count + SPARE + ports
    frames = min(frames, MOST // share)
    return Room(frames, frames * 2 * PIECE)


def _ask_masters(handles: Mapping[str, Place], book: Logbook) -> None:
    """Frames to another station are normal on a bridge port: find out which interfaces are ports."""
    for namespace, indexes in book.doubtful().items():
        try:
            with inside(handles[namespace]), understood(handles[namespace]):
                book.ports(namespace, enslaved(indexes))
        except (OSError, NetprobeError) as error:
            book.blind(namespace, f"ports of bridges: {error}")


class _Loop:
    """Sends at the probe's pace, reads whatever comes meanwhile, and ends when settled or at the timeout."""

    def __init__(
        self,
        book: Logbook,
        sender: Sender | FrameSender,
        taps: Sequence[AnyTap],
        settled: Settled,
        epoll: select.epoll,
    ) -> None:
        self.book = book
        self.epoll = epoll
        self.sender = sender
        self.taps = taps
        self.settled = settled
        self.buffers = buffers()

    def listen(self, sensors: Sequence[HostSensors]) -> None:
        """Begin to hear what comes to the taps and to the sender, here and on other hosts."""
        sockets = self.sender.listen(self.book.mark)
        for sock in sockets:
            if isinstance(sock, DistantSocket):
                sock.hear()
        for host in sensors:
            host.begin()
        for fd in dict.fromkeys(each.fileno() for each in (*self.taps, *sockets, *sensors)):
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
            self._read()
        self._wait(probe.timeout_ns)
        self._read()

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
        self._read()  # there is hardly anything yet; but what was just done is done faster when it matters
        for tap in self.taps if sequence == 0 else ():
            if tap.crowded:
                tap.clear()
        now = time.time_ns()
        try:
            now = self.sender.send(packet) or now
        except OSError as error:
            self.book.refused(sequence, error, now)
        else:
            self.book.sent(sequence, flow, now)

    def _wait(self, timeout_ns: int) -> None:
        last = time.monotonic_ns()
        while (passed := time.monotonic_ns() - last) < timeout_ns:
            # the cheap question first
            if self.settled(self.book.said(), passed) or self.settled(self.book.progress(), passed):
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
        for tap in self.taps:
            self.book.took(tap, tap.take(self.buffers))
        for heard in self.sender.hear():
            self.book.heard(heard)
