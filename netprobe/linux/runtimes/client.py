"""The sockets of one kind of engine, asked one after the other; one that fails once is left alone for the
rest of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from netprobe.linux import deadline
from netprobe.model.engines import EngineNetwork

from .api import LIMIT_S, NETWORKS, PODMAN_NETWORKS, Busy, HttpAnswer, Silent, get, inspect, listing
from .container import GONE, SHORT_ID, WHOLE_ID, Container, changed
from .descriptions import Described, Listed
from .json import decoded
from .networks import ListedNetwork, PodmanNetwork
from .process import whose
from .sockets import Sockets

_T = TypeVar("_T")
# what an answer may take without being counted against LIMIT_S, which is for all questions of a run to one
# socket
USUAL_S = 0.02
NAMESAKES = 8  # containers whose ids begin with what is the name of one
PODMANS_NAME = "Libpod"  # how Podman signs its answers, also at a socket with Docker's name


class Client:
    """Asks the engines of one kind. What kept one from answering is added to `remarks`, for people."""

    def __init__(
        self,
        kind: str,
        sockets: Sockets,
        remarks: list[str],
        ask: Callable[[str, str, float], HttpAnswer] = get,
    ) -> None:
        self._kind = kind
        self._sockets = sockets
        self._remarks = remarks
        self._ask = ask
        self._failed: set[str] = set()
        self._slow_s: dict[str, float] = {}  # how much longer than it should each socket has let us wait
        self._warned = not sockets.remark

    @property
    def is_addressed(self) -> bool:
        """Whether there is an engine to ask, or the user named one that cannot be asked."""
        return bool(self._sockets.paths or self._sockets.remark)

    def described(self, name: str, limit_s: float = LIMIT_S) -> list[Container]:
        """The containers that the engines take `name` for, with all that is known of them."""
        return [each for address in self._addresses() for each in self._described_by(address, name, limit_s)]

    def listed(self) -> Iterator[Container]:
        """Every container, without its process."""
        for address in self._addresses():
            answer = self._get(address, listing(), LIMIT_S)
            yield from self._valid(answer, self._read(answer, address, list[Listed]) or ())

    def publishing(self, most: int) -> Iterator[Container]:
        """Every container with what it publishes; of those that do not run, or are on no network, the first
        `most` are asked for it, one by one.
        """
        for each in self.listed():
            silent = (each.state in GONE or each.networks == ()) and most > 0
            most -= silent
            yield next(iter(self.described(each.id)), each) if silent else each

    def networks(self) -> Iterator[EngineNetwork]:
        """Every network for which an interface of the host stands."""
        for address in self._addresses():
            answer = self._get(address, NETWORKS, LIMIT_S)
            if self._signed(answer) == "podman":
                answer = self._get(address, PODMAN_NETWORKS, LIMIT_S)
                of_podman = self._read(answer, address, list[PodmanNetwork]) or ()
                found = [each.network() for each in of_podman]
            else:
                listed = self._read(answer, address, list[ListedNetwork]) or ()
                found = [each.network() for each in listed]
            yield from filter(None, found)

    def _addresses(self) -> tuple[str, ...]:
        """The sockets to ask; that there is none although the user named an engine is remarked once."""
        if not self._warned:
            self._warned = True
            self._remarks.append(self._sockets.remark)
        return self._sockets.paths

    def _described_by(self, address: str, name: str, limit_s: float) -> Iterator[Container]:
        answer = self._get(address, inspect(name), limit_s)
        described = self._read(answer, address, Described)
        first = next(self._valid(answer, [described] if described else ()), None)
        if first is not None:
            yield first
        # the engine prefers a name to an id: see both
        if SHORT_ID.fullmatch(name) and (first is None or first.name == name):
            others = self._read(self._get(address, listing(id=name), limit_s), address, list[Listed]) or ()
            found = [
                each.id
                for each in others
                if each.id.startswith(name) and each.id != name and (first is None or each.id != first.id)
            ]
            for identity in found[:NAMESAKES]:
                answer = self._get(address, inspect(identity), limit_s)
                other = self._read(answer, address, Described)
                yield from self._valid(answer, [other] if other else ())

    def _valid(self, answer: HttpAnswer | None, said: Iterable[Described | Listed]) -> Iterator[Container]:
        """The containers in an answer, as far as they have an id: the name of a file is made of it."""
        kind, owner = self._signed(answer), whose(answer.user) if answer else 0
        found = (each.container(kind) for each in said)
        yield from (
            changed(each, owner=owner) if owner else each for each in found if WHOLE_ID.fullmatch(each.id)
        )

    def _get(self, address: str, path: str, limit_s: float) -> HttpAnswer | None:
        """The engine's answer, None when it has none.

        An engine that fails is not asked again, unless it was only glanced at.
        """
        if address in self._failed:
            return None
        left = max(LIMIT_S - self._slow_s.get(address, 0.0), 0.001)
        start = time.monotonic()
        try:
            answer = self._ask(address, path, max(deadline.share(min(limit_s, left)), 0.001))
        except (OSError, ValueError) as error:
            if limit_s >= LIMIT_S:
                self._failed.add(address)
                self._remark(address, error)
            return None
        finally:
            waited = time.monotonic() - start - USUAL_S
            self._slow_s[address] = self._slow_s.get(address, 0.0) + max(waited, 0.0)
        return answer if answer.status == 200 else None

    def _read(self, answer: HttpAnswer | None, address: str, kind: type[_T]) -> _T | None:
        """What an answer says; None for no answer, and for one that makes no sense: that engine is not asked
        again.
        """
        if answer is None:
            return None
        found = decoded(answer.body, kind)
        if found is None:
            self._failed.add(address)
        return found

    def _remark(self, address: str, error: OSError | ValueError) -> None:
        """A socket that nobody serves is no news; one that hangs, or refuses us, is."""
        if isinstance(error, (Silent, Busy, PermissionError)):
            why = error.strerror or str(error)
            self._remarks.append(
                f"{self._kind} at {address}: {why}; containers are known from /proc and its files instead"
            )

    def _signed(self, answer: HttpAnswer | None) -> str:
        """Which engine has answered: Podman may listen at Docker's address."""
        return "podman" if answer and answer.server.startswith(PODMANS_NAME) else self._kind
