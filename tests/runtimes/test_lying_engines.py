"""Engines that lie: whatever a socket answers, a question ends within its limit, and what comes of it is a container or nothing."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from runtimes.canned_engine import ID, OTHER, canned, described
from runtimes.test_engine_client import Memory

from netprobe.endpoint import Named
from netprobe.errors import CannotLook, NetprobeError
from netprobe.linux.names.names import Found, NamedNamespaces, NameSource, lookup
from netprobe.linux.runtimes import client as asking
from netprobe.linux.runtimes.api import Busy, HttpAnswer, get
from netprobe.linux.runtimes.client import Client
from netprobe.linux.runtimes.container import Container
from netprobe.linux.runtimes.engine import Engine
from netprobe.linux.runtimes.found import FoundContainer
from netprobe.linux.runtimes.json import decoded
from netprobe.linux.runtimes.sockets import Sockets

HEAD = b"HTTP/1.0 200 OK\r\nServer: Docker/28.5.0 (linux)\r\n\r\n"
KNOWN = Container("docker", OTHER, "known", 4711)


def engine_at(path: str) -> tuple[Engine, list[str]]:
    remarks: list[str] = []
    return Engine("docker", Client("docker", Sockets((path,)), remarks), lambda: Memory(KNOWN)), remarks


def body(entry: object) -> bytes:
    return HEAD + json.dumps(entry).encode()


def state(**of: Any) -> bytes:
    return body({"Id": ID, "Name": "/c1", "State": {"Status": "running", **of}})


LIES = {
    "html": HEAD + b"<html>200 OK</html>",
    "nothing": b"\n",
    "half an answer": HEAD + b'{"Id": "',
    "endless headers": b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 200_000,
    "endless body": HEAD + b" " * (33 << 20),
    "nested": HEAD + b'{"Id": "' + ID.encode() + b'", "HostConfig": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested, unread": HEAD + b'{"x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "number": HEAD + b'{"Id": "' + ID.encode() + b'", "Name": "/c1", "State": {"Pid": ' + b"9" * 100_000 + b"}}",
    "float": HEAD + b'{"Id": "' + ID.encode() + b'", "Name": "/c1", "State": {"Pid": 1e999}}',
    "no text": HEAD + b'{"Id": "' + ID.encode() + b'", "Name": "/\xff\xfe"}',
    "half a character": HEAD + b'{"Id": "' + ID.encode() + b'", "Name": "/\\ud800"}',
    "an id that is a path": body({"Id": "../../../../etc", "Name": "/c1"}),
    "an id as long as one": body({"Id": ("../" * 30)[:64], "Name": "/c1"}),
    "another container": body(described("c2", OTHER)),
    "no container": body({}),
    "a list": body([described()]),
    "a million": HEAD + b"[" + b'{"Id":""},' * 1_500_000 + b"{}]",
    "a million networks": HEAD + b'{"NetworkSettings": {"Networks": {' + b",".join(b'"%d":{}' % n for n in range(1_500_000)) + b"}}}",
    "a date": body({"Id": "", "State": {"Status": "exited", "FinishedAt": "9999-12-31T23:59:59.999999999-23:59"}}),
}  # fmt: skip


@pytest.mark.parametrize("raw", LIES.values(), ids=LIES.keys())
def test_a_lie_is_no_container(tmp_path: Path, raw: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with canned(tmp_path / "s", raw=raw) as socket_:
        engine, _ = engine_at(socket_.path)
        assert engine.named("c1") == []
        assert [each.name for each in engine.all()] == ["known"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize("pid", [0, -1, 1 << 63, 1 << 200, 4194305])
def test_what_is_no_process(tmp_path: Path, pid: int) -> None:
    with canned(tmp_path / "s", {"/containers/c1/json": described(pid=pid)}) as socket_:
        assert [each.pid for each in engine_at(socket_.path)[0].named("c1")] == [0]


def test_the_process_of_somebody_else(tmp_path: Path) -> None:
    for pid in (1, os.getpid()):
        with canned(tmp_path / f"s{pid}", {"/containers/c1/json": described(pid=pid)}) as socket_:
            (found,) = engine_at(socket_.path)[0].named("c1")
        with pytest.raises(NetprobeError, match=f"process {pid}") as caught:
            FoundContainer(found).open()
        assert isinstance(caught.value, CannotLook)


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a/b", "../../etc/passwd", "", "x" * 10_000, "a b", "\u202eb"])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    entries = [{"Id": ID, "Names": [f"/{name}"], "State": "running"}]
    with canned(tmp_path / "s", {"/containers/json?all=1": entries, f"/containers/{ID}/json": described(name)}) as socket_:
        engine, _ = engine_at(socket_.path)
        assert [each.name for each in engine.all()] == [ID[:12], "known"]
        assert [each.name for each in engine.named(ID)] == [ID[:12]]


def test_a_beginning_of_an_id_is_not_followed_for_ever(tmp_path: Path) -> None:
    """Each container that the engine lists for the id leads to the next."""
    asked: list[str] = []

    def ask(address: str, path: str, limit_s: float) -> HttpAnswer:
        asked.append(path)
        if "filters" in path:
            return HttpAnswer(200, "", json.dumps([{"Id": ID[:12] + f"{len(asked) + n:052x}"} for n in range(1000)]).encode())
        return HttpAnswer(200, "", json.dumps(described("x", path.split("/")[2].ljust(64, "0"))).encode())

    client = Client("docker", Sockets(("/nowhere",)), [], ask)
    client.described(ID[:12])
    assert len(asked) < 20


@contextmanager
def dripping(path: Path, pause_s: float, answer: bytes) -> Iterator[None]:
    """An engine that answers each request, one piece after the other."""
    done = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        listener.settimeout(0.05)

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=drip, args=(connection,)).start()

        def drip(connection: socket.socket) -> None:
            with connection:
                connection.recv(4096)
                for piece in (answer[:10], answer[10:20], answer[20:]):
                    if done.wait(pause_s):
                        return
                    try:
                        connection.sendall(piece)
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def test_an_engine_that_drips_does_not_cost_its_limit_for_each_question(tmp_path: Path) -> None:
    with dripping(tmp_path / "s", 0.5, body(described())):
        engine, remarks = engine_at(str(tmp_path / "s"))
        start = time.monotonic()
        for _ in range(20):
            engine.named("c1")
        assert time.monotonic() - start < 8
    assert len(remarks) == 1


def test_quick_answers_cost_nothing_of_the_limit() -> None:
    clock = [0.0]

    def ask(address: str, path: str, limit_s: float) -> HttpAnswer:
        clock[0] += asking.USUAL_S
        return HttpAnswer(200, "", json.dumps(described()).encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking.time, "monotonic", lambda: clock[0])
        engine = Engine("docker", Client("docker", Sockets(("/nowhere",)), [], ask), Memory)
        assert all(engine.named("c1") for _ in range(1000))


def test_a_full_queue_is_said_as_that() -> None:
    def ask(address: str, path: str, limit_s: float) -> HttpAnswer:
        raise Busy("its queue of connections is full, it accepts none")

    remarks: list[str] = []
    engine = Engine("docker", Client("docker", Sockets(("/run/docker.sock",)), remarks, ask), Memory)
    assert engine.named("c1") == []
    assert remarks[0].startswith("docker at /run/docker.sock: its queue of connections is full, it accepts none; ")


@pytest.mark.skipif(os.geteuid() != 0, reason="a socket of another user is root's to make")
def test_a_users_engine_speaks_for_that_user(tmp_path: Path) -> None:
    with canned(tmp_path / "s", {"/containers/c1/json": described(pid=os.getpid())}, user=4711) as socket_:
        (found,) = engine_at(socket_.path)[0].named("c1")
    assert found.owner == 4711


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen for another user")
def test_a_users_engine_is_that_also_where_its_path_leads_to_roots(tmp_path: Path) -> None:
    """Who owns the folder exchanges the socket, once it is connected, for a link to root's."""
    answers = {"/containers/c1/json": described(pid=os.getpid())}
    with canned(tmp_path / "root", {}) as roots, canned(tmp_path / "s", answers, user=4711) as users:

        def exchanged(address: str, path: str, limit_s: float) -> HttpAnswer:
            answer = get(address, path, limit_s)
            Path(users.path).rename(tmp_path / "old")
            Path(users.path).symlink_to(roots.path)
            return answer

        client = Client("docker", Sockets((users.path,)), [], exchanged)
        owners = [each.owner for each in client.described("c1")]
        (tmp_path / "old").rename(users.path)
    assert owners == [4711]


# whose name it is


class Nothing(NamedNamespaces):
    def find(self, name: str) -> Sequence[Found]:  # noqa: ARG002 - it has none
        return ()


class Says(NameSource):
    """An engine that knows what it is told."""

    kind = "docker"
    bare = True

    def __init__(self, *known: Container) -> None:
        self._known = known

    def find(self, name: str) -> Sequence[Found]:
        return [FoundContainer(each) for each in self._known if each.is_called(name)]

    def all(self) -> Sequence[Found]:
        return [FoundContainer(each) for each in self._known]


@pytest.mark.parametrize("order", [lambda both: both, lambda both: both[::-1]])
def test_a_users_container_neither_hides_nor_doubles_roots(order: Callable[[list[Container]], list[Container]]) -> None:
    roots = Container("docker", ID, "c1", 0, "exited")
    users = Container("docker", OTHER, "c1", os.getpid(), owner=4711)
    found = lookup(Named("c1", name="c1"), [Nothing(), Says(*order([roots, users]))])
    assert isinstance(found, FoundContainer)
    assert found.container == roots
    alone = lookup(Named("c1", name="c1"), [Nothing(), Says(users)])
    assert isinstance(alone, FoundContainer)
    assert alone.container == users


def test_json_is_a_value_or_nothing() -> None:
    assert decoded(b'{"Id": "x"}', dict) == {"Id": "x"}
    for data in (b"", b"{", b"[" * 100_000, b"\xff", b'"\\ud800"', b"[" + b"1," * (1 << 20) + b"1]"):
        assert decoded(data, dict) is None
