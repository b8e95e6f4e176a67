"""A tap on a namespace of another host, with the face of one here; and who takes part in an observation."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from netprobe.errors import CannotLook, NetprobeError
from netprobe.kernel.elsewhere import Elsewhere, HostSensors, Place
from netprobe.wire.bpf import Instruction, packed

from .haul import Taken
from .tap import Caught, Room, caught, index_of

NO_WORD = (errno.EBADMSG, errno.EPROTO)  # made of an answer that is none


class DistantTap:
    """A tap on the namespace `place`, armed with all others of its host by `HostSensors.arm`; `refusal` says
    then why it could not be.
    """

    def __init__(
        self,
        namespace: str,
        place: Elsewhere,
        instructions: tuple[Instruction, ...],
        room: Room,
        beside: bool = False,
    ) -> None:
        self.namespace, self.beside = namespace, beside
        self.sensors = place.sensors()
        self.full = False
        self.crowded = False  # the host sees to it before it sends
        self._names: dict[int, str] = {}
        self._number = self.sensors.tap(place, packed(instructions), room.frames, room.bytes)

    @property
    def refusal(self) -> OSError | None:
        """Why it does not listen."""
        return self.sensors.armed(self._number)

    def fileno(self) -> int:
        """A descriptor that can be read when something has come from its host."""
        return self.sensors.fileno()

    def take(self, buffers: object) -> list[list[Taken]]:  # noqa: ARG002 - as a tap here
        """Everything that has come, not yet looked at."""
        found = self.sensors.taken(self._number)
        taken = [(address, control, frame) for _, address, control, frame in found]
        self._names.update((index_of(each), name) for each, (name, *_) in zip(taken, found, strict=True))
        return [taken] if taken else []

    def caught(self, taken: Taken) -> Caught:
        """A frame that `take` gave."""
        name, host = self._names[index_of(taken)], self.sensors
        return caught(self.namespace, name, taken, host.shift_ns, host.bound_ns)

    def clear(self) -> None:
        """Nothing: the host does it."""

    def lost(self) -> int:
        """How many matching frames the kernel there had no room for; after the host has ended."""
        dropped, self.full = self.sensors.lost(self._number)
        return dropped


@contextmanager
def understood(place: Place) -> Iterator[None]:
    """In the block the words of a kernel are taken apart: those of another host may be anything.

    Raises CannotLook for what no kernel says.
    """
    try:
        yield
    except (NetprobeError, MemoryError):
        raise
    except Exception as error:
        is_said = isinstance(error, OSError) and error.errno not in NO_WORD
        if is_said or not isinstance(place, Elsewhere):
            raise
        raise CannotLook(f"{place.host} gives answers that no kernel gives ({error!r:.80})") from error


def sensors_of(handles: Mapping[str, Place], namespaces: Iterable[str]) -> list[HostSensors]:
    """The other hosts that have some of these namespaces."""
    places = (handles.get(name) for name in namespaces)
    return list(dict.fromkeys(place.sensors() for place in places if isinstance(place, Elsewhere)))
