"""`why` against the wire, for the rulesets that Docker and Podman write, each as its engine writes them on a machine of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from engines.docker import DockerLab
from engines.engine import Engine
from engines.podman import PodmanLab
from runtimes.engine_world import CAPABLE, NETWORK, netprobe
from witness import KNOCK

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SERVE = "while true; do echo | nc -l -p 80 >/dev/null; done"
PUBLISHED = "--publish=8080:80"


THOROUGH = pytest.mark.thorough  # by day one network of two engines


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("docker", "bookworm"), marks=THOROUGH),
        ("docker", "trixie"),
        pytest.param(("docker", "sid"), marks=THOROUGH),
        ("podman", "trixie"),
    ],
    ids=" ".join,
)
def engine(request: pytest.FixtureRequest, docker_lab: Callable[[str], DockerLab], podman_lab: Callable[[str], PodmanLab]) -> Engine:
    name, suite = request.param
    return docker_lab(suite) if name == "docker" else podman_lab(suite)


@contextmanager
def world(engine: Engine, *network: str) -> Iterator[dict[str, int]]:
    """A server with a published port and a client on the usual network, and one more on a network made with these options."""
    engine.client("network", "create", *network, "beside")
    try:
        pids = {
            "server": engine.container("server", CAPABLE, PUBLISHED, command=("sh", "-c", SERVE)),
            "client": engine.container("client", CAPABLE),
            "other": engine.container("other", CAPABLE, "--network=beside", command=("sh", "-c", SERVE)),
        }
        yield pids
    finally:
        engine.remove("server", "client", "other")
        engine.client("network", "rm", "beside")


def address(engine: Engine, name: str, network: str) -> str:
    return engine.client("inspect", "--format", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', name)


def answered(engine: Engine, enter: list[str], protocol: str, target: str, port: int | None) -> bool:
    """Whether a real packet of the kernel's own programs is answered."""
    ping = ["ping", "-n", "-c1", "-W1", target]
    command = ping if port is None else [sys.executable, "-c", KNOCK, protocol, target, str(port), "0"]
    return engine.run([*enter, *command], check=False).returncode == 0


@pytest.mark.parametrize(
    "network",
    [
        pytest.param((), id="plain"),
        pytest.param(("--internal",), id="internal", marks=THOROUGH),
        pytest.param(("--opt=com.docker.network.bridge.enable_icc=false",), id="icc", marks=THOROUGH),
    ],
)
def test_why_agrees_with_the_wire(engine: Engine, network: tuple[str, ...]) -> None:
    if engine.name == "podman" and network[:1] and "icc" in network[0]:
        network = ("--opt=isolate=true",)
    found = []
    with world(engine, *network) as pids:
        server, other = address(engine, "server", NETWORK[engine.name]), address(engine, "other", "beside")
        places = {name: ["nsenter", f"--target={pid}", "--net"] for name, pid in pids.items()}
        places |= {"internet": ["ip", "netns", "exec", "internet"], "host": []}
        for source, enter in places.items():
            for target in (server, other, "8.8.8.8"):
                found += [*asked(engine, source, enter, "icmp", target, None)]
            for target, port in ((server, 80), (other, 80), ("198.51.100.2", 8080)):
                found += [*asked(engine, source, enter, "tcp", target, port)]
    assert not found, "\n".join(found)


def asked(engine: Engine, source: str, enter: list[str], protocol: str, target: str, port: int | None) -> Iterator[str]:
    """Where netprobe and the wire disagree, in words."""
    outcome = netprobe(engine, "why", source, target, "-p", protocol, *(("-P", str(port)) if port is not None else ()))
    wire = answered(engine, enter, protocol, target, port)
    if outcome.report["verdict"] != ("reachable" if wire else "unreachable"):
        yield f"{source} -> {target} {protocol} {port}: {outcome.report['verdict']}, the wire {wire}: {outcome.report['summary']}"
