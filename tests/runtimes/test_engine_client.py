"""Docker and Podman by their API: which container a name means, and what is remembered when they do not answer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from runtimes.canned_engine import ID, OTHER, canned, described

from netprobe.linux.runtimes.api import HttpAnswer, Silent
from netprobe.linux.runtimes.client import Client
from netprobe.linux.runtimes.container import Container
from netprobe.linux.runtimes.engine import Engine
from netprobe.linux.runtimes.sockets import Sockets
from netprobe.model.engines import EngineEndpoint, PublishedPort


class Memory:
    """What an engine left on disk."""

    def __init__(self, *known: Container) -> None:
        self.known = known

    def named(self, name: str) -> Sequence[Container]:
        return [each for each in self.known if each.is_called(name)]

    def sought(self, name: str) -> Sequence[Container]:  # noqa: ARG002 - it has no other place
        return ()

    def identified(self, identity: str) -> Container | None:
        return next((each for each in self.known if each.id == identity), None)

    def all(self) -> Iterable[Container]:
        return self.known


def engine_at(path: str, *known: Container, kind: str = "docker") -> tuple[Engine, list[str]]:
    remarks: list[str] = []
    return Engine(kind, Client(kind, Sockets((path,)), remarks), lambda: Memory(*known)), remarks


def test_a_name(tmp_path: Path) -> None:
    with canned(tmp_path / "s", {"/containers/c1/json": described()}) as socket_:
        engine, remarks = engine_at(socket_.path)
        assert engine.named("c1") == [Container("docker", ID, "c1", 4711, "running", "bridge", ("bridge",))]
        assert engine.named("c2") == []
    assert remarks == []


@pytest.mark.parametrize(("name", "found"), [("c1", 1), (ID, 1), (ID[:12], 1), (ID[:11], 0), ("c", 0), ("C1", 0), (f"{ID}0", 0)])
def test_an_engine_guesses_more_than_we_take(tmp_path: Path, name: str, found: int) -> None:
    """Docker takes any beginning of an id for it; a name that short may be anything."""
    with canned(tmp_path / "s", {f"/containers/{name}/json": described()}) as socket_:
        assert len(engine_at(socket_.path)[0].named(name)) == found


def test_a_name_that_is_also_the_beginning_of_an_id(tmp_path: Path) -> None:
    short = OTHER[:12]
    answers = {
        f"/containers/{short}/json": described(short),
        f"/containers/json?all=1&filters=%7B%22id%22%3A%5B%22{short}%22%5D%7D": [{"Id": OTHER}],
        f"/containers/{OTHER}/json": described("c2", OTHER),
        f"/containers/json?all=1&filters=%7B%22id%22%3A%5B%22{OTHER}%22%5D%7D": [{"Id": OTHER}],
    }
    with canned(tmp_path / "s", answers) as socket_:
        assert [each.name for each in engine_at(socket_.path)[0].named(short)] == [short, "c2"]


def test_podman_at_dockers_address(tmp_path: Path) -> None:
    with canned(tmp_path / "s", {"/containers/c1/json": described()}, server="Libpod/5.4.2 (linux)") as socket_:
        assert engine_at(socket_.path)[0].named("c1")[0].text == "podman:c1"


def test_whose_network_is_shared(tmp_path: Path) -> None:
    answers = {
        "/containers/aside/json": described("aside", OTHER, network=f"container:{ID}"),
        f"/containers/{ID}/json": described("c1"),
    }
    with canned(tmp_path / "s", answers) as socket_:
        assert engine_at(socket_.path)[0].named("aside")[0].network == "container:c1"


@pytest.mark.parametrize("content", [[], "c1", 7, None, {"Name": None}, {"State": [], "Id": {}}, [{"Id": []}], {"State": {"Pid": "many"}}])
def test_answers_that_make_no_sense(tmp_path: Path, content: object) -> None:
    with canned(tmp_path / "s", {"/containers/c1/json": content, "/containers/json?all=1": content}) as socket_:
        engine, _ = engine_at(socket_.path)
        assert engine.named("c1") == []
        assert [each for each in engine.all() if each.name == "c1"] == []


def test_an_answer_that_breaks_off(tmp_path: Path) -> None:
    with canned(tmp_path / "s", raw=b'HTTP/1.0 200 OK\r\n\r\n{"Id": "') as socket_:
        assert engine_at(socket_.path)[0].named("c1") == []


def test_a_dead_engine_is_remembered_without_a_word(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    known = Container("docker", ID, "c1", 4711)
    engine, remarks = engine_at(str(tmp_path / "s"), known)
    assert (engine.named("c1"), engine.identified(ID), engine.all()) == ([known], known, [known])
    assert remarks == []


def hanging(asked: list[str]) -> Callable[[str, str, float], HttpAnswer]:
    def ask(address: str, path: str, limit_s: float) -> HttpAnswer:
        asked.append(path)
        raise Silent(f"no answer within {limit_s:g} s")

    return ask


def test_an_engine_that_hangs_is_asked_once_and_reported() -> None:
    asked: list[str] = []
    remarks: list[str] = []
    known = Container("docker", ID, "c1", 4711)
    client = Client("docker", Sockets(("/run/docker.sock",)), remarks, hanging(asked))
    engine = Engine("docker", client, lambda: Memory(known))
    assert engine.named("c1") == engine.named("c1") == [known]
    assert asked == ["/containers/c1/json"]
    assert remarks == ["docker at /run/docker.sock: no answer within 2 s; containers are known from /proc and its files instead"]


def test_who_may_not_ask_is_told() -> None:
    remarks: list[str] = []

    def refuse(address: str, path: str, limit_s: float) -> HttpAnswer:
        raise PermissionError(13, "Permission denied")

    engine = Engine("docker", Client("docker", Sockets(("/run/docker.sock",)), remarks, refuse), Memory)
    assert engine.named("c1") == []
    assert remarks == ["docker at /run/docker.sock: Permission denied; containers are known from /proc and its files instead"]


def test_a_glance_asks_the_engine_alone(tmp_path: Path) -> None:
    with canned(tmp_path / "s", {"/containers/c1/json": described()}) as socket_:
        engine, _ = engine_at(socket_.path, Container("docker", OTHER, "c2"))
        assert [each.name for each in engine.glanced("c1")] == ["c1"]
        assert engine.glanced("c2") == []


def test_an_engine_glanced_at_is_asked_again_in_earnest() -> None:
    asked: list[str] = []
    remarks: list[str] = []
    client = Client("docker", Sockets(("/run/docker.sock",)), remarks, hanging(asked))
    engine = Engine("docker", client, Memory)
    engine.glanced("c1")
    assert remarks == []
    engine.named("c1")
    assert len(asked) == 2


def test_all_of_an_engine(tmp_path: Path) -> None:
    entries = [
        {"Id": ID, "Names": ["/other/alias", "/c1"], "State": "paused", "HostConfig": {"NetworkMode": "default"},
         "NetworkSettings": {"Networks": {"bridge": {}}}},
        {"Id": OTHER, "Names": ["/aside"], "State": "running", "HostConfig": {"NetworkMode": f"container:{ID}"}, "NetworkSettings": {}},
        {"Id": "f" * 64, "Names": ["/lonely"], "State": "running", "NetworkSettings": {"Networks": {"none": {}}}},
    ]  # fmt: skip
    with canned(tmp_path / "s", {"/containers/json?all=1": entries}) as socket_:
        found = engine_at(socket_.path, Container("docker", "e" * 64, "elsewhere"))[0].all()
    assert [(each.name, each.state, each.network) for each in found] == [
        ("c1", "paused", "default"), ("aside", "running", "container:c1"), ("lonely", "running", "none"), ("elsewhere", "running", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "addresses"),
    [
        (
            {"IPAddress": "172.17.0.2", "IPPrefixLen": 16, "GlobalIPv6Address": "fd00::2", "GlobalIPv6PrefixLen": 64},
            ("172.17.0.2/16", "fd00::2/64"),
        ),
        ({"IPAddress": "", "IPPrefixLen": 0}, ()),
        ({"IPAddress": "172.17.0.2"}, ()),
        ({"IPAddress": "172.17.0.2", "IPPrefixLen": 99}, ()),
        ({"IPAddress": ["172.17.0.2"], "IPPrefixLen": {}}, ()),
        ({"GlobalIPv6Address": "fe80::2%$(touch x)", "GlobalIPv6PrefixLen": 64}, ("fe80::2/64",)),
        ("172.17.0.2/16", ()),
        (None, ()),
    ],
)
def test_the_addresses_that_an_engine_gave(tmp_path: Path, said: object, addresses: tuple[str, ...]) -> None:
    """Whatever stands in their place is none, and the container is there all the same."""
    entries = [{"Id": ID, "Names": ["/c1"], "State": "running", "NetworkSettings": {"Networks": {"bridge": said}}}]
    with canned(tmp_path / "s", {"/containers/json?all=1": entries}) as socket_:
        (found,) = engine_at(socket_.path)[0].all()
    assert found.networks == ("bridge",)
    assert found.told.endpoints == ((EngineEndpoint("bridge", addresses),) if addresses else ())


def test_what_is_published(tmp_path: Path) -> None:
    """Of those that run, on a network, the list says it; the others are asked, as far as that is worth its time."""
    bound = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostPort": ""}], "53/udp": None, "x/tcp": [{"HostPort": "1"}]}
    stopped = described() | {"State": {"Status": "exited"}, "HostConfig": {"NetworkMode": "default", "PortBindings": bound}}
    entries = [
        {"Id": ID, "Names": ["/c1"], "State": "exited"},
        {"Id": OTHER, "Names": ["/runs"], "State": "running", "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 53, "PublicPort": 5353, "Type": "udp"}, {"PrivatePort": 80, "Type": "tcp"},
        ]},
        {"Id": "d" * 64, "Names": ["/left"], "State": "running", "NetworkSettings": {"Networks": {}}},
        {"Id": "f" * 64, "Names": ["/second"], "State": "exited"},
    ]  # fmt: skip
    left = described("left", "d" * 64) | {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "81"}]}}}
    answers = {"/containers/json?all=1": entries, f"/containers/{ID}/json": stopped, f"/containers/{'d' * 64}/json": left}
    with canned(tmp_path / "s", answers) as socket_:
        found = [*Client("docker", Sockets((socket_.path,)), []).publishing(2)]
        asked = [line.split()[1] for line in socket_.asked]
    assert [(each.name, each.published) for each in found] == [
        ("c1", (PublishedPort("tcp", 8080, "127.0.0.1", 80),)), ("runs", (PublishedPort("udp", 5353, "0.0.0.0", 53),)),
        ("left", (PublishedPort("tcp", 81, "", 80),)), ("second", ()),
    ]  # fmt: skip
    assert asked == [*answers]
