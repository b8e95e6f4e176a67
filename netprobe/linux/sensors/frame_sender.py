"""Sending ARP requests and neighbour solicitations: whole frames, through a packet socket on the source's
interface.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from netprobe.errors import is_short
from netprobe.model import Probe
from netprobe.wire.addresses import mac_text
from netprobe.wire.craft import BROADCAST, Recipe
from netprobe.wire.mark import Mark

from .ports import hardware_address, index_of
from .sender import Heard, chosen_source, configure, new_socket, sent, without_zone
from .tap import AnySocket, bind_packet


class FrameSender:
    """The packet socket of an ARP or ND probe, in the namespace of the calling thread.

    Raises OSError. Close it.
    """

    source_ports: tuple[int, ...] = ()

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        interface = probe.device or probe.source.interface
        if interface is None:
            raise OSError(errno.ENODEV, "an ARP probe needs an interface to leave by")
        self._socket = new_socket(socket.AF_PACKET, socket.SOCK_RAW, 0, probe.uid)
        try:
            configure(self._socket, probe)
            self.mac = mac_text(hardware_address(interface))
            self.destination = without_zone(probe.destination.address or "")
            self.source = without_zone(probe.source.address or "") or self._own_address(interface)
            bind_packet(self._socket, index_of(interface), 0)
        except BaseException:
            self._socket.close()
            raise

    def _own_address(self, interface: str) -> str:
        """The address the kernel would ask from; for ARP without one 0.0.0.0, which asks and claims nothing
        (RFC 5227).
        """
        try:
            return chosen_source(self.probe, self.destination, index_of(interface))
        except OSError as error:
            if self.probe.version == 6 or is_short(error):
                raise
            return "0.0.0.0"

    @property
    def packet_sockets(self) -> tuple[AnySocket, ...]:
        """The socket, which takes long to close and is left open by `close`."""
        return (self._socket,)

    def close(self) -> None:
        """Nothing is held beside the packet socket."""

    def listen(self, mark: Mark) -> tuple[AnySocket, ...]:  # noqa: ARG002 - the same face as Sender's
        """No socket of ours hears the answer: the tap does."""
        return ()

    def recipe(self, mark: Mark) -> Recipe:
        """What to craft."""
        return Recipe(mark, self.source, self.destination, self.mac, BROADCAST)

    def send(self, packet: bytes) -> int:
        """Hand one frame to the interface; returns as that of Sender.

        Raises OSError (ENETDOWN: it is down, ENXIO: it is gone).
        """
        return sent(self._socket, packet, None)

    def lost(self) -> int:
        """No answer: the taps count theirs."""
        return 0

    def hear(self) -> Iterator[Heard]:
        """Nothing."""
        return iter(())
