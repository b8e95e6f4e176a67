"""The map: read all namespaces, join them, cut to what was asked for, and lay a predicted path over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from netprobe.errors import WrongQuestion
from netprobe.model import Cause, Endpoint, Hop, Leg, Report, Verdict
from netprobe.model.wiring import LaidPath, MachineReading, WireEnd, Wiring
from netprobe.predict.wiring_cut import cut
from netprobe.predict.wiring_graph import wiring
from netprobe.question import Question

from .line import ask
from .world import World


class MapWorld(World, Protocol):
    """A machine that can be read as a whole."""

    def wiring(self) -> MachineReading:
        """Every namespace that can be seen, as a map shows it."""
        ...


def drawn(world: MapWorld, endpoints: Sequence[str], highlight: tuple[str, str] | None) -> Wiring:
    """The map of a machine, cut to what is connected with `endpoints`, with the path of `highlight` over it.

    Raises WrongQuestion, NotPermitted or CannotLook.
    """
    named = [world.resolve(text) for text in endpoints]  # first: a wrong name should not wait for all that
    path = _laid(ask(world, Question(*highlight, "why", send=False)).report) if highlight else None
    whole = wiring(world.wiring())
    wanted = [_wanted(each, whole) for each in named]
    shown = cut(whole, wanted, tuple(endpoints)) if wanted else whole
    return replace(shown, path=path)


def _wanted(endpoint: Endpoint, whole: Wiring) -> tuple[str, str | None]:
    """The namespace, and the interface, that an endpoint means; an address is where it is configured."""
    if endpoint.namespace is not None:
        return endpoint.namespace, endpoint.interface
    for space in whole.spaces:
        for interface in space.interfaces:
            if endpoint.address in [text.partition("/")[0] for text in interface.addresses]:
                return space.name, interface.name
    raise WrongQuestion(
        f"no namespace that can be seen has the address {endpoint.address}",
        "Write a namespace, a container, or an address of one; `netprobe ls` lists them.",
    )


def _laid(report: Report) -> LaidPath:
    """The predicted path of a report: the request's; of an answer that is lost, the answer's."""
    back = report.direction is Leg.REPLY and report.path.reply
    hops = report.path.reply if back else report.path.request
    cause = report.causes[0] if report.causes else None
    ends = _in_order([hop for hop in hops if hop.reached])
    lost = report.verdict is not Verdict.REACHABLE
    return LaidPath(
        report.probe.source.endpoint,
        report.probe.destination.endpoint,
        report.verdict,
        report.summary,
        ends,
        _in_order([hop for hop in hops if not hop.reached]),
        _stop(cause, ends) if cause is not None and lost else None,
        cause.code if cause is not None else None,
    )


def _stop(cause: Cause, ends: Sequence[WireEnd]) -> WireEnd | None:
    """Where a path ends: the place of the cause, if it comes there; else the last interface it comes to."""
    there = WireEnd(cause.place.namespace or "", cause.place.interface or "")
    return there if there in ends else next(reversed(ends), None)


def _in_order(hops: Sequence[Hop]) -> tuple[WireEnd, ...]:
    """The interfaces of these hops, each once where it comes several times in a row."""
    ends = [end for hop in hops for end in _ends(hop)]
    return tuple(end for before, end in zip([None, *ends], ends, strict=False) if end != before)


def _ends(hop: Hop) -> list[WireEnd]:
    return [WireEnd(hop.namespace, hop.interface)] if hop.interface else []
