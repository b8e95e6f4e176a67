"""What is said of a container: whether a name means it, why it has no namespace, what is not ordinary about it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.linux.runtimes.container import Container, absence, changed, label, remarks, span
from netprobe.linux.runtimes.descriptions import Described, moment

ID = "a4f16b7270571755df43e45024fd0e8b44af5dc1a2f4abd256734065bd8682d8"
C1 = Container("docker", ID, "c1", 4711, "running", "bridge", ("bridge",))


@pytest.mark.parametrize(
    ("name", "means"),
    [("c1", True), (ID, True), (ID[:12], True), (ID[:63], True), (ID[:11], False), ("c", False), ("", False), (ID.upper(), False),
     (f" {ID[:12]}", False), (f"{ID[:12]}\n", False), (ID[1:20], False)],
)  # fmt: skip
def test_which_names_mean_it(name: str, means: bool) -> None:
    assert C1.is_called(name) is means


@given(st.integers(0, 70))
def test_no_beginning_of_an_id_under_twelve_digits(size: int) -> None:
    assert C1.is_called(ID[:size]) is (size >= 12)


@pytest.mark.parametrize(
    ("state", "code", "ended", "says", "hint"),
    [
        ("exited", 137, 1000 - 200, "c1 is stopped (exited 3 minutes ago with 137)", "start it: docker start c1"),
        ("exited", 0, None, "c1 is stopped (exited with 0)", "start it: docker start c1"),
        ("stopped", None, None, "c1 is stopped", "start it: docker start c1"),
        ("created", None, None, "c1 was created but never started", "start it: docker start c1"),
        ("restarting", 1, 998.5, "c1 is restarting (exited 1 second ago with 1)", "see why: docker logs c1"),
        ("dead", 1, 100.0, "c1 is dead (exited 15 minutes ago with 1)", ""),
        ("removing", None, None, "c1 is being removed", ""),
        ("running", None, None, "c1 is stopped", "start it: docker start c1"),  # its process has just gone
    ],
)
def test_why_there_is_no_namespace(state: str, code: int | None, ended: float | None, says: str, hint: str) -> None:
    assert absence(changed(C1, pid=0, state=state, exit_code=code, ended=ended), now=1000) == (says, hint)


@pytest.mark.parametrize(
    ("runtime", "hint"),
    [("podman", "start it: podman start c1"), ("lxc", "start it: lxc-start c1"), ("containerd", ""), ("pod", "")],
)
def test_each_runtime_is_started_its_own_way(runtime: str, hint: str) -> None:
    assert absence(changed(C1, runtime=runtime, state="exited"))[1] == hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("e;id>pwn", "start it: docker start 'e;id>pwn'"),
        ("$(id)", "start it: docker start '$(id)'"),
        ("--attach", "start it: docker start -- --attach"),
        ("c1\nid", "start it: docker start $'c1\\012id'"),
    ],
)
def test_an_engine_that_lies_about_a_name_gets_nothing_run(name: str, hint: str) -> None:
    stopped = changed(C1, name=name, state="exited")
    assert absence(stopped)[1] == hint
    assert absence(changed(stopped, state="restarting"))[1] == hint.replace("start it: docker start", "see why: docker logs")


def test_a_name_is_quoted_where_it_is_to_be_connected() -> None:
    [said] = remarks(changed(C1, name="-x;id", networks=()))
    assert said.endswith("to connect it: docker network connect -- NETWORK '-x;id'")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 seconds"), (0, "0 seconds"), (1.9, "1 second"), (59, "59 seconds"), (60, "1 minute"), (7199, "1 hour"), (172800, "2 days")],
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("change", "short", "start"),
    [
        ({}, "", ""),
        ({"state": "paused"}, "paused", "it is paused: "),
        ({"network": "none", "networks": ("none",)}, "no network", "it was made without a network"),
        ({"network": "container:web", "networks": ()}, "network of web", "it shares the network of web"),
        ({"networks": ()}, "disconnected", "it is connected to no network; to connect it: docker network connect NETWORK c1"),
        ({"network": "host", "networks": ("host",)}, "network of the host", "it has no network of its own"),
        ({"network": "pasta:-t,auto", "networks": ()}, "pasta", "its traffic passes through pasta"),
        ({"networks": None}, "", ""),
    ],
)
def test_what_is_not_ordinary(change: dict[str, object], short: str, start: str) -> None:
    container = changed(C1, **change)
    assert label(container) == short
    assert "".join(remarks(container)).startswith(start)
    assert len(remarks(container)) == bool(short)


def test_the_state_of_dockers_own_file_is_told_by_flags() -> None:
    def state(**flags: object) -> str:
        return msgspec.convert({"State": flags}, Described).container("docker").state

    started = {"StartedAt": "2026-11-23T17:50:23.711219439Z"}
    assert state(Running=True, **started) == "running"
    assert state(Running=True, Paused=True, **started) == "paused"
    assert state(Running=True, Restarting=True, **started) == "restarting"
    assert state(Running=False, **started) == "exited"
    assert state(Running=False, StartedAt="0001-01-01T00:00:00Z") == "created"
    assert state(Dead=True, **started) == "dead"
    assert state(RemovalInProgress=True, Dead=True, **started) == "removing"


def test_moments_as_go_prints_them() -> None:
    assert moment("1970-01-01T00:01:00.5Z") == 60.5
    assert moment("2026-11-23T17:50:23.711219439Z") == pytest.approx(moment("2026-11-23T18:50:23.711219+01:00"))
    assert [moment(text) for text in ("0001-01-01T00:00:00Z", "", "soon", "2026-11-23T17:50:23")] == [None] * 4
