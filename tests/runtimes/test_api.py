"""The one request to an engine: what comes back, and what is made of an engine that hangs, drips, lies or is not there."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest
from runtimes.canned_engine import canned, described

from netprobe.linux.runtimes.api import Busy, Silent, get, inspect, listing


def test_an_answer(tmp_path: Path) -> None:
    with canned(tmp_path / "s", {"/containers/c1/json": described()}) as engine:
        answer = get(engine.path, inspect("c1"))
    assert (answer.status, answer.server) == (200, "Docker/28.5.0 (linux)")
    assert json.loads(answer.body)["Name"] == "/c1"
    assert engine.asked == ["GET /containers/c1/json HTTP/1.0"]


def test_an_answer_larger_than_a_piece(tmp_path: Path) -> None:
    entries = [described(f"container-{n}") for n in range(2000)]
    with canned(tmp_path / "s", {"/containers/json?all=1": entries}) as engine:
        assert len(json.loads(get(engine.path, listing()).body)) == 2000


def test_a_refusal_has_its_status(tmp_path: Path) -> None:
    with canned(tmp_path / "s") as engine:
        assert get(engine.path, inspect("nobody")).status == 404


@pytest.mark.parametrize("name", ["a/../../version", "c1?all=1", "c1 HTTP/1.0\r\nX: y", "ö", "\udce9", "%2e"])
def test_a_name_stays_within_its_place_in_the_path(name: str) -> None:
    path = inspect(name)
    inner = path.removeprefix("/containers/").removesuffix("/json")
    assert path.isascii()
    assert not set(inner) & set("/? \r\n#")


def test_filters_are_escaped() -> None:
    assert listing(id="0123456789ab") == "/containers/json?all=1&filters=%7B%22id%22%3A%5B%220123456789ab%22%5D%7D"


@pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.0 \r\n\r\n{}", b"HTTP/2 x y\r\n\r\n{}", b"\0"])
def test_what_is_no_http(tmp_path: Path, raw: bytes) -> None:
    with canned(tmp_path / "s", raw=raw) as engine, pytest.raises(ValueError, match=r".+"):
        get(engine.path, inspect("c1"))


def test_a_socket_that_nobody_serves(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    with pytest.raises(ConnectionRefusedError):
        get(str(tmp_path / "s"), inspect("c1"))
    with pytest.raises(FileNotFoundError):
        get(str(tmp_path / "none"), inspect("c1"))


def test_an_engine_that_takes_the_connection_and_says_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "s"))
        hanging.listen()
        with pytest.raises(Silent, match=r"no answer within 0\.05 s"):
            get(str(tmp_path / "s"), inspect("c1"), 0.05)


def test_an_engine_whose_queue_is_full(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        full.bind(str(tmp_path / "s"))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(str(tmp_path / "s"))
        with pytest.raises(Busy, match="queue of connections is full"):
            get(str(tmp_path / "s"), inspect("c1"), 0.05)


def test_an_engine_that_drips_does_not_prolong_the_limit(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    done = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            while not done.wait(0.02):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(Silent):
            get(str(tmp_path / "s"), inspect("c1"), 0.2)
    finally:
        done.set()
        thread.join()
        listener.close()
