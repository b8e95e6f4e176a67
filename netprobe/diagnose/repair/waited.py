"""The time that a repair takes: with spanning tree, what it plugs in or switches on listens before it
forwards. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model import Command, Link
from netprobe.model.command import inside
from netprobe.model.lookup import has, where
from netprobe.predict.bridge import waiting

from .repair import Loss, Repair


def with_waiting(loss: Loss, repair: Repair) -> Repair:
    """The repair, and behind it the time until the ports forward that come to do so by it."""
    waits = filter(None, _waits(loss, repair))
    longest = max(waits, key=lambda commands: int(commands[0].words[-1]), default=())
    if not longest or any(command.words[0] == "sleep" for command in repair.stop.commands):
        return repair
    return repair.with_more(longest, repair.mended)


def _waits(loss: Loss, repair: Repair) -> Iterator[tuple[Command, ...]]:
    """The time of each bridge at which a port comes to forward."""
    for name in sorted(repair.mended.changed_from(loss.snapshot)):
        for bridge in where(repair.mended[name].links_of("bridge"), has_stp=True):
            ports = where(repair.mended[name].ports(bridge), port_state="forwarding")
            if not all(_forwarded(loss, name, port) for port in ports):
                yield inside(name, waiting(repair.mended[name], bridge, "disabled"))


def _forwarded(loss: Loss, name: str, port: Link) -> bool:
    """Whether a port did so before."""
    before = loss.snapshot.at(name).links
    return has(before, index=port.index, master=port.master, port_state="forwarding")
