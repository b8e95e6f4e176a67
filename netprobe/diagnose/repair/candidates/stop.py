"""What the walk itself names: the object that said no, with the words that others know filled in. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import hints
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, Leg, Stop
from netprobe.predict.fixes import GATEWAY

_ADDING = {"add", "append", "-A", "-I", "insert"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """The end of the walk, mended where it is."""
    stop = completed(loss, loss.stop)
    if stop.commands and not stop.advice:
        adds = any(_ADDING & {*command.words} for command in stop.commands)
        yield from loss.repair(stop, Merit.ADDS if adds else Merit.UNDOES)


def completed(loss: Loss, stop: Stop) -> Stop:
    """The stop with the gateway in its commands, where a router is in sight."""
    if not any(command.lacks(GATEWAY.name) for command in stop.commands):
        return stop
    wanted = target(loss)
    via = hints.gateway(loss.snapshot, stop.place.namespace or "", wanted) if wanted else None
    return stop if via is None else replace(stop, commands=_filled(stop.commands, GATEWAY.name, via))


def target(loss: Loss) -> str | None:
    """The address that the broken leg is to reach, as it was when it left its sender."""
    request, reply = loss.prediction.request, loss.prediction.reply
    if loss.prediction.leg is not Leg.REPLY:
        return request.hops[0].flow.dst if request.hops else loss.probe.destination.address
    if reply is not None and reply.hops:
        return reply.hops[0].flow.dst
    return request.hops[-1].flow.src if request.hops else None


def _filled(commands: tuple[Command, ...], name: str, value: str) -> tuple[Command, ...]:
    return tuple(command.filled(name, value) for command in commands)
