"""Fixtures that make container engines, a plugin of the tests. Where one cannot be had the test is skipped, and the end of the run says so out loud."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from engines.docker import DockerLab
from engines.engine import Engine
from engines.packages import Unavailable
from engines.podman import PodmanLab

MISSING = pytest.StashKey[dict[str, str]]()


class _Engines:
    """The engines of a test session: each is started once, when the first test asks for it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.running: dict[tuple[str, ...], Engine] = {}

    def get(self, *key: str, make: Callable[[], Engine]) -> Engine:
        if key not in self.running:
            try:
                self.running[key] = make()
            except Unavailable as reason:
                self._without(" ".join(key), str(reason))
        return self.running[key]

    def _without(self, name: str, reason: str) -> None:
        self.config.stash.setdefault(MISSING, {})[name] = reason
        if os.environ.get("NETPROBE_ENGINES") == "required":
            pytest.fail(f"{name}: {reason}")
        pytest.skip(f"{name}: {reason}")


@pytest.fixture(scope="session")
def engines(request: pytest.FixtureRequest) -> Iterator[_Engines]:
    made = _Engines(request.config)
    yield made
    for engine in made.running.values():
        engine.down()


@pytest.fixture(scope="session")
def docker_lab(engines: _Engines) -> Callable[..., DockerLab]:
    """`docker_lab(suite="bookworm", *dockerd_options)`: a Docker engine, shared by the tests of a session that ask for the same."""
    return lambda suite="bookworm", *options: engines.get("docker", suite, *options, make=lambda: DockerLab(suite, *options))


@pytest.fixture(scope="session")
def podman_lab(engines: _Engines) -> Callable[..., PodmanLab]:
    """`podman_lab(suite="trixie")`: a Podman, shared by the tests of a session that ask for the same."""
    return lambda suite="trixie": engines.get("podman", suite, make=lambda: PodmanLab(suite))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, reason in config.stash.get(MISSING, {}).items():
        terminalreporter.write_line(f"!!! NOT TESTED with {name}: {reason}", red=True, bold=True)
