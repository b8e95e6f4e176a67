"""The questions for neighbours and their answers, as the taps saw them: ARP and neighbour discovery. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from netprobe.model import Flow, Observation

from .correlate import frames

QUESTION, ANSWER = "question", "answer"
# the operations of ARP, and the types of ICMPv6
_SAYS = {1: QUESTION, 135: QUESTION, 2: ANSWER, 136: ANSWER}


class Message(Struct, frozen=True):
    """One frame of ARP or neighbour discovery, and where it was seen."""

    namespace: str
    interface: str | None
    bound: str | None
    flow: Flow

    @property
    def says(self) -> str:
        """A question, an answer, or nothing of the two: ""."""
        return _SAYS.get(self.flow.icmp_type or 0, "")

    @property
    def src(self) -> str:
        """Who asks or answers."""
        return self.flow.src

    @property
    def dst(self) -> str:
        """Who is asked for, or is answered."""
        return self.flow.dst

    @property
    def outer(self) -> Flow | None:
        """The flow of the tunnel that it is in."""
        return self.flow.outer

    @property
    def words(self) -> tuple[str, str, str, int | None]:
        """What is said, wherever it is seen."""
        return self.src, self.dst, self.flow.protocol, self.flow.icmp_type


def neighbour_messages(observations: Sequence[Observation]) -> tuple[Message, ...]:
    """Those of the captured frames that are ARP or neighbour discovery, by time."""
    return tuple(
        Message(o.namespace, o.interface, o.bound, o.flow)
        for o in frames(observations)
        if o.flow is not None and o.flow.protocol.on_segment
    )
