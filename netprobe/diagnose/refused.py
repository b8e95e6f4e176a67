"""A far end that nobody can look into, and that refuses the probe itself: the only thing known of it is its
own word. Pure.
"""

from __future__ import annotations

from netprobe.model import Hop, IcmpError, Object, Place, Stage, Stop

from .evidence import Case

PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}  # ICMP type and code; RFC 792, RFC 4443


def from_beyond(case: Case) -> Stop | None:
    """The end of a probe that left through an exit and was refused by its destination; None when it was
    not.
    """
    exit = case.request[-1] if case.request and case.request[-1].stage is Stage.EXIT else None
    protocol, target = case.probe.protocol, case.probe.destination
    if (
        exit is None
        or not protocol.has_ports
        or not (_reset(case) or any(_says_so(case, e) for e in case.errors))
    ):
        return None
    return _closed(
        exit,
        f"{protocol} {target.address}:{target.port}",
        f"{target.address} refuses {protocol}/{target.port}: nothing listens there",
    )


def _closed(exit: Hop, id: str, text: str) -> Stop:
    return Stop(
        "port-closed", Place(exit.namespace, exit.interface, Stage.EXIT), text, Object("socket", id, text)
    )


def _reset(case: Case) -> bool:
    """Whether the destination answered with TCP resets only."""
    answers = case.of_kind("answered")
    return bool(answers) and all(o.text == "refused" for o in answers)


def _says_so(case: Case, error: IcmpError) -> bool:
    """Whether an ICMP error comes from the destination itself and is about the port."""
    return (
        error.sender == case.probe.destination.address
        and (error.type, error.code) == PORT_UNREACHABLE[case.probe.version]
    )
