"""A machine out of a capture: its namespaces can be named and read, as far as they were read then, and nothing can be sent."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from netprobe.endpoint import parse
from netprobe.errors import CannotLook, WrongQuestion
from netprobe.model import (
    AskedRoute,
    AskRoute,
    Endpoint,
    FindMacvlans,
    FindPeer,
    FoundMacvlans,
    FoundPeer,
    Namespace,
    Need,
    Observation,
    ReadNamespace,
    RouteAnswer,
    RouteQuery,
    Snapshot,
)
from netprobe.predict import fib
from netprobe.saved import load

SAMPLE = Path(__file__).resolve().parents[2] / "captures/samples/trace-red-8.8.8.8.pcapng"


class RecordedMachine:
    """In the place of `netprobe.linux.machine.Machine`; the routes that were not asked for then are answered by the model."""

    sample = SAMPLE

    def __init__(self, *_: Any) -> None:
        _, run = load(str(self.sample))
        assert run is not None
        self.whole = run.snapshot

    def __enter__(self) -> RecordedMachine:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def reading(self, limit_ns: int) -> AbstractContextManager[Any]:  # noqa: ARG002 - the seam's signature
        return nullcontext(nullcontext)

    def resolve(self, text: str, *_: Any) -> Endpoint:
        named = parse(text)
        if named.ip is not None:
            return Endpoint(text, interface=named.interface, address=named.ip, port=named.port, protocol=named.protocol)
        if named.name not in self.whole or named.kind not in (None, "netns") or named.nested:
            raise WrongQuestion(f"there is no namespace or container {named.name}", "")
        if named.interface is not None and self.whole[named.name].link_named(named.interface) is None:
            raise WrongQuestion(f"{named.name} has no interface {named.interface}", "")
        return Endpoint(text, named.name, named.interface, named.address, named.port, protocol=named.protocol)

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        for need in needs:
            snapshot = self._read(snapshot, need)
        return snapshot

    def _read(self, snapshot: Snapshot, need: Need) -> Snapshot:
        if isinstance(need, ReadNamespace):
            return snapshot.with_namespace(self.whole.namespaces.get(need.name, Namespace(need.name)))
        if isinstance(need, FindPeer):
            peer = next((p for p in self.whole.peers if (p.namespace, p.nsid) == (need.namespace, need.nsid)), None)
            return replace(snapshot, peers=(*snapshot.peers, peer or FoundPeer(need.namespace, need.nsid, None)))
        if isinstance(need, FindMacvlans):
            return replace(snapshot, macvlans=(*snapshot.macvlans, FoundMacvlans(need.namespace, need.index)))
        if isinstance(need, AskRoute):
            answer = self._route(need.namespace, need.query)
            return replace(snapshot, answers=(*snapshot.answers, AskedRoute(need.namespace, need.query, answer)))
        return snapshot

    def _route(self, name: str, query: RouteQuery) -> RouteAnswer:
        found = fib.lookup(self.whole[name], query)
        leg = found.leg
        return RouteAnswer(found.error, found.type, index=leg.index if leg else None, via=leg.via if leg else None)

    def behind_port(self, *_: Any) -> tuple[str, ...]:
        return ()

    def observe(self, *_: Any) -> tuple[Observation, ...]:
        raise CannotLook("a recording cannot be sent to")
