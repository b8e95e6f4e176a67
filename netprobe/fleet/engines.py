"""The container engines of another host, asked over their sockets there, in the words of the engines here."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.linux.runtimes.api import LARGEST, LIMIT_S, HttpAnswer, Silent, parsed, request
from netprobe.linux.runtimes.cgroups import group_of
from netprobe.linux.runtimes.client import Client
from netprobe.linux.runtimes.container import Container
from netprobe.linux.runtimes.sockets import Sockets

from .questions import Questions

PATHS = {"docker": ("/run/docker.sock",), "podman": ("/run/podman/podman.sock",)}


class Engines:
    """Docker and Podman of a host, where root's engines usually listen."""

    kinds = tuple(PATHS)

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._remarks: list[str] = []
        self._clients = {
            kind: Client(kind, Sockets(paths), self._remarks, self._get) for kind, paths in PATHS.items()
        }
        self._by_id: dict[str, list[Container]] = {}

    def described(self, kind: str, name: str) -> list[Container]:
        """The containers that the engine of a kind takes `name` for."""
        return self._clients[kind].described(name)

    def of_group(self, cgroup: str) -> Iterator[Container]:
        """The container whose process has this /proc/PID/cgroup, as far as its engine knows it."""
        group = group_of(cgroup)
        if group is None or group.runtime not in ("", *self.kinds):
            return
        if group.identity not in self._by_id:
            kinds = [group.runtime] if group.runtime else self.kinds
            self._by_id[group.identity] = [
                each for kind in kinds for each in self.described(kind, group.identity)
            ]
        yield from self._by_id[group.identity]

    def heard(self) -> tuple[str, ...]:
        """What a person should know about the asking, as far as it is new."""
        remarks = tuple(f"{self._questions.name}: {each}" for each in self._remarks)
        self._remarks.clear()
        return remarks

    def _get(self, address: str, path: str, limit_s: float = LIMIT_S) -> HttpAnswer:
        """What the engine at the socket `address` of the host answers to GET `path`; raises as `api.get`."""
        try:
            raw = self._questions.call("unix", address, request(path), LARGEST, limit_s)
        except TimeoutError as error:
            raise Silent(f"no answer within {limit_s:.2g} s") from error
        if not isinstance(raw, bytes):
            raise ValueError("no answer of an engine")
        return parsed(raw, 0)
