"""A datagram that came to a program and was not answered, where others lie that it has not read. Pure."""

from __future__ import annotations

from netprobe.model import Leg, Stage, Stop
from netprobe.model.lookup import where
from netprobe.predict import sockets
from netprobe.predict.view import Packet

from .evidence import Case


def unread(case: Case) -> Stop | None:
    """The program that was given the probe and reads nothing; None where nothing lies there, or no datagram
    arrived.
    """
    for hop in where(case.request[-1:], stage=Stage.DELIVER, reached=True):
        there = case.snapshot.at(hop.namespace)
        return sockets.unread(there, there.link_named(hop.interface), Packet(hop.flow, Leg.REQUEST))
    return None
    for hop in where(case.request[-1:], stage=Stage.DELIVER):
        there = case.snapshot.at(hop.namespace)
        return sockets.unread(there, there.link_named(hop.interface), Packet(hop.flow, Leg.REQUEST))
    return None
