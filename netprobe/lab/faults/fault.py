"""What a fault is: a network that works, one thing that breaks in it, how to see it, and what netprobe should
then say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from netprobe.errors import CannotLook
from netprobe.lab.changes import LabChange
from netprobe.lab.topology import Topology
from netprobe.lab.tutorial import TUTORIAL, WIRING


@dataclass(frozen=True, slots=True)
class Network:
    """A topology and its picture."""

    name: str
    topology: Topology
    wiring: str


THE_TUTORIAL = Network("tutorial", TUTORIAL, WIRING)


@dataclass(frozen=True, slots=True)
class Expected:
    """The right diagnosis: a code of the catalogue, where, on which way of the packet, and the id of the
    object to change.

    `interface` None: the whole namespace. `direction` None: the verdict is intermittent, and some probes die
    on either way. `object` "" where there is nothing of its own to change.
    """

    code: str
    namespace: str
    interface: str | None
    direction: Literal["request", "reply"] | None
    object: str = ""
    verdict: Literal["unreachable", "intermittent", "undetermined"] = "unreachable"
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can be broken. `probe` is the netprobe command that shows it, without the word netprobe.

    `given` are circumstances in which the network still works (a published port, a policy rule); `changes`
    break it. `foreseen` says whether the configuration alone decides, so that `netprobe why` knows without a
    packet. `privileged`: only root can inject it.
    """

    name: str
    title: str
    probe: tuple[str, ...]
    changes: tuple[LabChange, ...]
    expected: Expected
    network: Network = THE_TUTORIAL
    given: tuple[LabChange, ...] = ()
    foreseen: bool = True
    privileged: bool = False

    def prepare(self) -> None:
        """Make the circumstances, and read back that they are there."""
        _make(self.given, self.name)

    def inject(self) -> None:
        """Break it, and read back that it is broken.

        Raises CannotLook when it was before, or is not afterwards.
        """
        if self.verify():
            raise CannotLook(f"{self.name} is in place already")
        _make(self.changes, self.name)

    def verify(self) -> bool:
        """Read back whether it is broken now."""
        return all(change.holds() for change in self.changes)


def _make(changes: Sequence[LabChange], name: str) -> None:
    for change in changes:
        change.apply()
    for change in changes:
        if not change.holds():
            raise CannotLook(
                f"{name} could not be injected: this kernel accepted `{change.command}` and did nothing"
            )
