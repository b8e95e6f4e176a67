"""Tracked connections that keep a translation of before. Pure.

See: conntrack(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, Object, Stop

_FIELDS = ("src", "dst", "sport", "dport")


def candidates(loss: Loss) -> Iterator[Repair]:
    """A connection whose translation the packet got where no rule gives it."""
    hops = loss.prediction.request.hops
    for hop in hops:
        if hop.object is not None or not any(c.field in _FIELDS and c.by != "forward" for c in hop.changes):
            continue
        target = f"{hop.flow.dst}:{hop.flow.dport}" if hop.flow.dport else hop.flow.dst
        first = hops[0].flow
        asked = loss.probe.destination.address or first.dst
        text = f"a connection tracked in {hop.namespace} still sends the packet to {target}: {loss.stop.text}"
        entry = f"{first.protocol} {first.src} {first.dst}"
        fix = (Command.of("conntrack", "-D", "-p", str(first.protocol), "-s", first.src, "-d", asked),)
        thing = Object("conntrack", entry, f"{entry} -> {target}")
        stop = Stop("stale-conntrack", hop.place, text, thing, fix, (loss.stop.text,))
        yield from loss.repair(stop, Merit.UNDOES)
        return
