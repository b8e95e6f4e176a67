"""A rule that refuses what it was to let through: without it, its chain would refuse the packet. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.predict import allow


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rule that refused the packet, accepting it. Taken away it is better, where that is enough."""
    thing = loss.stop.object
    if thing is None or thing.kind != "rule":
        return
    commands = allow.accepted(thing)
    if commands:
        yield from loss.repair(replace(loss.stop, commands=commands, advice=""), Merit.ADDS)
