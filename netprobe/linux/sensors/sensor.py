"""What a sensor is: it watches one run beside the socket that sends, and says in its book what it saw."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

from netprobe.kernel.elsewhere import Place
from netprobe.model import Watch

from .observations import Logbook


class Sensor:
    """One way to see what becomes of a probe. `observe` calls all that it lists, at each moment of a run.

    `handles` are the open namespaces by name. What cannot be watched is said in the book as blind, and is no
    reason to stop. Here nothing is done at any moment.
    """

    def __init__(self, watch: Watch, handles: Mapping[str, Place], book: Logbook) -> None:
        self.watch, self.handles, self.book = watch, handles, book

    def arm(self) -> None:
        """Begin to watch. What the probe looks like is known by now (`book.mark`), and it was not sent."""

    def listen(self) -> Iterable[int]:
        """The descriptors to wait for; `read` may be called from now on."""
        return ()

    def rehearse(self) -> None:
        """The first packet is about to be sent: what is done then for the first time may be done once now."""

    def clear(self) -> None:
        """What came until now, before the first packet, may be thrown away."""

    def read(self) -> None:
        """Give the book what has come. Called often, and must not wait."""

    def finish(self) -> None:
        """Nothing more is sent nor waited for: say what is left."""

    def close(self) -> Iterable[socket.socket]:
        """Let go. Packet sockets, which take long to close, are handed back open. Harmless when repeated."""
        return ()
