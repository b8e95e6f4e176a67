"""A datagram that came to a program and was not answered, where others lie that it has not read. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import Hop, Leg, Snapshot, Stage, Stop
from netprobe.model.lookup import where
from netprobe.predict import sockets
from netprobe.predict.view import Packet


def unread(snapshot: Snapshot, request: Sequence[Hop]) -> Stop | None:
    """The program that is given the probe and reads nothing; None where nothing lies there, or no datagram
    arrives.
    """
    for hop in where(request[-1:], stage=Stage.DELIVER, reached=True):
        there = snapshot.at(hop.namespace)
        return sockets.unread(there, there.link_named(hop.interface), Packet(hop.flow, Leg.REQUEST))
    return None
