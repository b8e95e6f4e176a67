"""What the configuration would do with a probe: both ways, how they end, and the decisions they rest on."""

from __future__ import annotations

from itertools import chain

from msgspec import Struct

from netprobe.model import Flow, Hop, Leg, PassedRules, Probe, Snapshot, Stop, Walk

from . import sockets
from .trace import Resolved, Routed


class Prediction(Struct, frozen=True, gc=False):
    """Both ways as the configuration would have them. `reply` is None where the request gets no answer.

    `probe` is the probe with its source address chosen. `ending` says why a delivered request gets no answer,
    or a refusal. `routed` are the routing decisions on both ways, in order, `resolved` the neighbour entries
    used, `rules` those that matched.
    """

    probe: Probe
    request: Walk
    reply: Walk | None = None
    ending: Stop | None = None
    routed: tuple[Routed, ...] = ()
    resolved: tuple[Resolved, ...] = ()
    rules: tuple[PassedRules, ...] = ()

    @property
    def walks(self) -> tuple[Walk, ...]:
        """The ways there are, the request's first."""
        return (self.request,) if self.reply is None else (self.request, self.reply)

    @property
    def arriving(self) -> tuple[Flow, ...]:
        """The request as it is where its way ends; nothing where it has none."""
        return tuple(hop.flow for hop in self.request.hops[-1:])

    @property
    def target(self) -> str:
        """The address that the request is for where its way ends: not as it was asked for, if translated."""
        asked = self.probe.destination.address or ""
        return self.request.hops[-1].flow.dst if self.request.hops else asked

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The hops of all ways."""
        return tuple(chain.from_iterable(walk.hops for walk in self.walks))

    @property
    def stop(self) -> Stop | None:
        """The first thing that stops the probe, on either way."""
        stops = (self.request.stop, self.ending, *(walk.stop for walk in self.walks[1:]))
        return next(filter(None, stops), None)

    def stop_of(self, leg: Leg) -> Stop | None:
        """What ends the walk of one leg before it arrives; None also where there is no such walk."""
        walk = self.request if leg is Leg.REQUEST else self.reply
        return walk.stop if walk is not None else None

    @property
    def leg(self) -> Leg | None:
        """The leg that is stopped, or None when both ways are free."""
        if self.request.stop is not None:
            return Leg.REQUEST
        if self.ending is not None:
            return sockets.leg_of(self.ending)
        return Leg.REPLY if self.stop is not None else None

    @property
    def lost_leg(self) -> Leg:
        """The leg that is stopped; the request's where both ways are free."""
        return self.leg or Leg.REQUEST

    @property
    def passes(self) -> bool:
        """Whether an answer comes back, as far as anybody can see."""
        return self.stop is None and self.reply is not None


class Faring(Struct, frozen=True, gc=False):
    """A network, and how the probe fares there."""

    snapshot: Snapshot
    prediction: Prediction

    @property
    def stop(self) -> Stop | None:
        """What stops it there."""
        return self.prediction.stop
