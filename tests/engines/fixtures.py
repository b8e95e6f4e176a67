"""Fixtures that make container engines, a plugin of the tests. Tests without an engine are skipped, and the run ends with a loud line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import pytest
from engines.docker import DockerLab
from engines.engine import Engine
from engines.packages import Unavailable
from engines.podman import PodmanLab

MISSING = pytest.StashKey[dict[str, str]]()
Lab = TypeVar("Lab", DockerLab, PodmanLab)


def without(config: pytest.Config, name: str, reason: str) -> NoReturn:
    """Skip the test that cannot be had without `name`, and say so at the end of the run; a failure where engines are required."""
    config.stash.setdefault(MISSING, {})[name] = reason
    if os.environ.get("NETPROBE_ENGINES") == "required":
        pytest.fail(f"{name}: {reason}")
    pytest.skip(f"{name}: {reason}")


class _Engines:
    """The engines of a test session: each is started once, when the first test asks for it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.running: dict[tuple[str, ...], Engine] = {}

    def get(self, kind: type[Lab], suite: str, *options: str) -> Lab:
        key = (kind.name, suite, *options)
        if key not in self.running:
            try:
                self.running[key] = kind(suite, *options)
            except Unavailable as reason:
                without(self.config, " ".join(key), str(reason))
        engine = self.running[key]
        assert isinstance(engine, kind)
        return engine


@pytest.fixture(scope="session")
def engines(request: pytest.FixtureRequest) -> Iterator[_Engines]:
    made = _Engines(request.config)
    yield made
    for engine in made.running.values():
        engine.down()


@pytest.fixture(scope="session")
def docker_lab(engines: _Engines) -> Callable[..., DockerLab]:
    """`docker_lab(suite="bookworm", *dockerd_options)`: a Docker engine, shared by the tests of a session that ask for the same."""
    return lambda suite="bookworm", *options: engines.get(DockerLab, suite, *options)


@pytest.fixture(scope="session")
def podman_lab(engines: _Engines) -> Callable[..., PodmanLab]:
    """`podman_lab(suite="trixie")`: a Podman, shared by the tests of a session that ask for the same."""
    return lambda suite="trixie": engines.get(PodmanLab, suite)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, reason in config.stash.get(MISSING, {}).items():
        terminalreporter.write_line(f"!!! NOT TESTED with {name}: {reason}", red=True, bold=True)
