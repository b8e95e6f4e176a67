"""The engines with containers of every state. They are made once for all tests of this folder, which leave them as they found them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from engines.docker import DockerLab
from engines.engine import Engine
from engines.podman import PodmanLab
from runtimes.engine_world import CAPABLE, NETWORK

EVERYBODY = ("c1", "c2", "aside", "hosty", "lonely", "loose", "still", "gone", "never", "two")


def populate(engine: Engine) -> None:
    """Containers of every state: plain, sharing, without a network, paused, stopped, never started, on two networks."""
    engine.container("c1", CAPABLE)
    engine.container("c2", CAPABLE)
    engine.container("aside", CAPABLE, "--network=container:c1")
    engine.container("hosty", CAPABLE, "--network=host")
    engine.container("lonely", CAPABLE, "--network=none")
    engine.container("loose", CAPABLE)
    engine.client("network", "disconnect", NETWORK[engine.name], "loose")
    engine.container("still", CAPABLE)
    engine.client("pause", "still")
    engine.client("run", "--name", "gone", "busybox", "sh", "-c", "exit 7", check=False)
    engine.client("create", "--name", "never", "busybox")
    engine.client("network", "create", "--subnet=10.77.0.0/16", "second")
    engine.container("two", CAPABLE)
    engine.client("network", "connect", "second", "two")


def clear(engine: Engine) -> None:
    engine.client("unpause", "still", check=False)
    engine.remove("aside")  # the one that needs another first
    engine.remove(*(name for name in EVERYBODY if name != "aside"))
    engine.client("network", "rm", "second", check=False)


@pytest.fixture(scope="module", params=[("docker", "bookworm"), ("docker", "sid"), ("podman", "trixie")], ids=" ".join)
def engine(request: pytest.FixtureRequest, docker_lab: Callable[..., DockerLab], podman_lab: Callable[..., PodmanLab]) -> Iterator[Engine]:
    """Each engine in turn, with everybody in it."""
    name, suite = request.param
    lab = docker_lab(suite) if name == "docker" else podman_lab(suite)
    populate(lab)
    yield lab
    clear(lab)
