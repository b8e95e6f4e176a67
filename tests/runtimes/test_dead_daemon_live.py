"""The same names when the daemon is dead, hangs, or was never there: known from its files and from /proc."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from engines.docker import DockerLab
from engines.engine import Engine
from engines.podman import PodmanLab
from runtimes.conftest import clear, populate
from runtimes.engine_world import CAPABLE, address, netprobe, resolve

pytestmark = [pytest.mark.engine, pytest.mark.slow]

NAMES = ("c1", "aside", "hosty", "lonely", "loose", "still", "gone", "never")


def without_moments(found: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Answers without how long ago something was, and without the remarks about engines."""
    plain = {name: dict(answer) for name, answer in found.items()}
    for answer in plain.values():
        answer["error"] = re.sub(r"exited .* ago", "exited", str(answer.get("error")))
        answer["notes"] = [note for note in answer.get("notes") or [] if not note.startswith(("docker at", "podman at"))]  # type: ignore[attr-defined]
    return plain


@pytest.fixture(scope="module", params=[pytest.param("bookworm", marks=pytest.mark.thorough), "sid"])
def docker(request: pytest.FixtureRequest, docker_lab: Callable[..., DockerLab]) -> Iterator[DockerLab]:
    """A Docker that may be killed: with live restore the containers outlive that, and its next start."""
    lab = docker_lab(request.param, "--live-restore")
    populate(lab)
    yield lab
    clear(lab)


def test_the_daemon_is_killed(docker: DockerLab) -> None:
    before = resolve(docker, *NAMES, "docker:c2")
    here = address(docker, "c2")
    docker.kill_daemon()
    try:
        after = resolve(docker, *NAMES, "docker:c2")
        asked = netprobe(docker, "trace", "c1", "8.8.8.8")
        pinged = netprobe(docker, "ping", "host", here)
        listed = {space["name"]: space for space in netprobe(docker, "ls").report["spaces"]}
    finally:
        docker.prepare()
    assert without_moments(after) == without_moments(before)
    assert (asked.code, asked.places[0]) == (0, "c1/eth0")
    assert pinged.places[-1] == "c2/eth0"
    assert {"c1", "c2", "still", "two"} <= listed.keys()
    assert "docker:aside" in listed["c1"]["names"]


def test_the_daemon_hangs(docker: DockerLab) -> None:
    before = resolve(docker, *NAMES)
    docker.hang_daemon()
    try:
        after = resolve(docker, *NAMES)
        asked = netprobe(docker, "ping", "c1", "c2")
        plain = netprobe(docker, "ping", "internet", "198.51.100.2")
    finally:
        docker.wake_daemon()
    assert without_moments(after) == without_moments(before)
    assert asked.code == 0
    assert [note for note in asked.report["notes"] if "no answer within" in note]
    assert (plain.code, plain.report["notes"]) == (0, []), "namespaces that are no containers concern no daemon"


def test_a_data_root_somewhere_else(docker_lab: Callable[..., DockerLab]) -> None:
    """Where dockerd keeps its files is known to nobody but itself: the mounts of a container that runs show it."""
    lab = docker_lab("bookworm", "--data-root=/run/elsewhere")
    for name in ("c1", "c2"):
        lab.container(name, CAPABLE)
    try:
        before = resolve(lab, "c1", "c2")
        lab.kill_daemon()
        try:
            assert resolve(lab, "c1", "c2") == before
            assert "code" in resolve(lab, "c3")["c3"]
            assert netprobe(lab, "arping", "c1", "c2").code == 0
        finally:
            lab.prepare()
    finally:
        lab.remove("c1", "c2")


@pytest.fixture(scope="module")
def podman(podman_lab: Callable[..., PodmanLab]) -> Iterator[PodmanLab]:
    lab = podman_lab()
    populate(lab)
    yield lab
    clear(lab)


def test_podman_without_its_service(podman: PodmanLab) -> None:
    before = resolve(podman, *NAMES)
    after = without_service(podman, lambda: resolve(podman, *NAMES))
    assert without_moments(after) == without_moments(before)


def without_service(engine: Engine, question: Callable[[], dict[str, dict[str, object]]]) -> dict[str, dict[str, object]]:
    """The answer while Podman's socket is not there, as on most machines."""
    socket = "/run/podman/podman.sock"
    engine.run(["mv", socket, f"{socket}.away"])
    try:
        return question()
    finally:
        engine.run(["mv", f"{socket}.away", socket])
