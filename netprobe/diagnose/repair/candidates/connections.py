"""Tracked connections that keep a translation of before. Pure.

See: conntrack(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, Object, Place, Stage, Stop
from netprobe.model.lookup import among, but, where

_FIELDS = ("src", "dst", "sport", "dport")


def candidates(loss: Loss) -> Iterator[Repair]:
    """A connection whose translation the packet got where no rule gives it; one that was there before a rule
    was.
    """
    hops = loss.prediction.request.hops
    for hop in where(hops, object=None):
        if but(among(hop.changes, field=_FIELDS), by="forward"):
            target = hop.flow.goal
            yield from _forgotten(loss, hop.place, f"still sends the packet to {target}")
    for found in but(loss.snapshot.connections, entries=()) if hops else ():  # no step: it met none
        place = Place(found.namespace, None, Stage.PREROUTING)
        yield from _forgotten(loss, place, "is older than the rules, which are asked for new ones alone")


def _forgotten(loss: Loss, place: Place, what: str) -> Iterator[Repair]:
    first = loss.prediction.request.hops[0].flow
    asked = loss.probe.destination.address or first.dst
    text = f"a connection tracked in {place.namespace} {what}: {loss.stop.text}"
    entry = f"{first.protocol} {first.src} {first.dst}"
    fix = (Command.of("conntrack", "-D", "-p", str(first.protocol), "-s", first.src, "-d", asked),)
    thing = Object("conntrack", entry, f"{entry} -> {asked}")
    yield from loss.repair(Stop("stale-conntrack", place, text, thing, fix, (loss.stop.text,)), Merit.UNDOES)
