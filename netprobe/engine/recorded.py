"""A world of saved runs: what they have read can be read again, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from netprobe.endpoint import Named, parse
from netprobe.errors import CannotLook, WrongQuestion
from netprobe.model import (
    Endpoint,
    Need,
    Observation,
    ReadNamespace,
    Snapshot,
    Watch,
)

if TYPE_CHECKING:
    from .world import Pauses

_Found = TypeVar("_Found")


class Unrecorded(CannotLook):
    """The saved runs do not hold what the answer depends on."""


class Recorded:
    """The configuration in `snapshots`, of one machine: of what several hold, the last counts."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshot = merged(snapshots)

    def reading(self, limit_ns: int) -> AbstractContextManager[Pauses]:  # noqa: ARG002 - a world's signature
        """Nothing is waited for."""
        return nullcontext(nullcontext)

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        """The endpoint that `text` names among the namespaces that were read."""
        if text in self._snapshot:
            return Endpoint(text, text)
        named = parse(text)
        if named.ip is not None:
            return Endpoint(
                text, interface=named.interface, address=named.ip, port=named.port, protocol=named.protocol
            )
        name = next((each for each in _names(named) if each in self._snapshot), None)
        if name is None:
            raise self._unknown(named, inside)
        if named.interface is not None and self._snapshot[name].link_named(named.interface) is None:
            raise WrongQuestion(f"{name} has no interface {named.interface} in the saved run")
        return Endpoint(text, name, named.interface, named.address, named.port, protocol=named.protocol)

    def _unknown(self, named: Named, inside: Endpoint | None) -> WrongQuestion:
        known = sorted(self._snapshot.namespaces)
        near = get_close_matches(named.name, known, 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        if inside is not None and named.may_be_host:
            hint = "A host name is not resolved here: write its address. "
        return WrongQuestion(
            f"the saved run holds no namespace {named.text}", f"{hint}It holds {', '.join(known)}."
        )

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """All that was recorded, with what `snapshot` holds besides. Raises Unrecorded for a namespace that
        is not among it.
        """
        for need in needs:
            if isinstance(need, ReadNamespace) and need.name not in self._snapshot:
                raise Unrecorded(f"the saved run holds nothing of {need.name}")
        return replace(self._snapshot, moment=snapshot.moment or self._snapshot.moment)

    def observe(
        self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]
    ) -> tuple[Observation, ...]:
        """Nothing is sent in a saved run."""
        del settled
        raise CannotLook(f"{watch.probe.source.endpoint} is in a saved run: nothing can be sent there")


def _names(named: Named) -> Iterator[str]:
    """What a snapshot may call an endpoint."""
    nested = "".join(f"//{name}" for name in named.nested)
    yield f"{named.name}{nested}"
    yield f"{named.kind}:{named.name}{nested}"


def merged(snapshots: Sequence[Snapshot]) -> Snapshot:
    """What these hold together, all of one machine; of what several hold, the last counts."""
    found = Snapshot()
    for each in snapshots:
        found = replace(
            each,
            namespaces={**found.namespaces, **each.namespaces},
            peers=_last(found.peers, each.peers),
            answers=(*(a for a in found.answers if a.namespace not in each), *each.answers),
            connections=_last(found.connections, each.connections),
            blind=_last(found.blind, each.blind), engines=each.engines or found.engines,
            macvlans=_last(found.macvlans, each.macvlans), behind=_last(found.behind, each.behind),
        )  # fmt: skip
    return found


def _last(before: tuple[_Found, ...], after: tuple[_Found, ...]) -> tuple[_Found, ...]:
    """Both, the later ones first: who looks for one takes the first that fits."""
    return tuple(dict.fromkeys((*after, *before)))
