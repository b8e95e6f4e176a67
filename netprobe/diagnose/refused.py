"""A far end that nobody can look into, and that refuses the probe itself: the only thing known of it is its
own word. Pure.
"""

from __future__ import annotations

from netprobe.model import Hop, IcmpError, Object, Place, Stage, Stop
from netprobe.model.lookup import column, where

from .evidence import Case

PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}  # ICMP type and code; RFC 792, RFC 4443


def from_beyond(case: Case) -> Stop | None:
    """The end of a probe that left through an exit and was refused by its destination; None when it was
    not.
    """
    protocol, target = case.probe.protocol, case.probe.destination
    refused = _reset(case) or any(_says_so(case, error) for error in case.errors)
    for exit in where(case.request[-1:], stage=Stage.EXIT) if protocol.has_ports and refused else ():
        return _closed(
            exit,
            f"{protocol} {target.address}:{target.port}",
            f"{target.address} refuses {protocol}/{target.port}: nothing listens there",
        )
    return None


def _closed(exit: Hop, id: str, text: str) -> Stop:
    return Stop(
        "port-closed", Place(exit.namespace, exit.interface, Stage.EXIT), text, Object("socket", id, text)
    )


def _reset(case: Case) -> bool:
    """Whether the destination answered with TCP resets only."""
    return {*column(case.of_kind("answered"), "text")} == {"refused"}


def _says_so(case: Case, error: IcmpError) -> bool:
    """Whether an ICMP error comes from the destination itself and is about the port."""
    said = (error.sender, (error.type, error.code))
    return said == (case.probe.destination.address, PORT_UNREACHABLE[case.probe.version])
