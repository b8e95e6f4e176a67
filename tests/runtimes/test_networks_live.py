"""The networks that Docker makes: user-defined, internal, macvlan, without talk among containers, with published ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from engines.docker import DockerLab
from runtimes.engine_world import CAPABLE, Outcome, address, answers, netprobe

pytestmark = [pytest.mark.engine, pytest.mark.slow]

HTTP = "while true; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\n' | nc -l -p 80 >/dev/null; done"


@pytest.fixture(scope="module", params=[pytest.param("bookworm", marks=pytest.mark.thorough), "sid"])
def docker(request: pytest.FixtureRequest, docker_lab: Callable[..., DockerLab]) -> DockerLab:
    return docker_lab(request.param)


@pytest.fixture
def containers(docker: DockerLab) -> Iterator[Callable[..., None]]:
    """containers("x", "--network=y") starts one; it goes with the test."""
    made: list[str] = []

    def start(name: str, *options: str, **more: object) -> None:
        made.append(name)
        docker.container(name, CAPABLE, *options, **more)  # type: ignore[arg-type]

    yield start
    docker.remove(*made)


@pytest.fixture
def network(docker: DockerLab, containers: Callable[..., None]) -> Iterator[Callable[..., str]]:
    """network("x", "--internal") makes one, and gives the name of its bridge; it goes after the containers."""
    made: list[str] = []

    def create(name: str, *options: str) -> str:
        identity = docker.client("network", "create", *options, name)
        made.append(name)
        return f"br-{identity[:12]}"

    yield create
    for name in made:
        for container in docker.client("ps", "--all", "--quiet", "--filter", f"network={name}").split():
            docker.client("network", "disconnect", "--force", name, container)
        docker.client("network", "rm", name)


def decided_by_a_rule(asked: Outcome, namespace: str) -> None:
    """The request was stopped by a rule that Docker made in `namespace`, and the report names that rule."""
    assert (asked.code, asked.report["verdict"], asked.report["direction"]) == (1, "unreachable", "request"), asked.err
    cause = asked.report["causes"][0]
    assert cause["code"] in ("filtered-by-rule", "rejected-by-rule", "policy-drop")
    assert cause["place"]["namespace"] == namespace
    assert cause["object"]["kind"] in ("rule", "policy")
    assert cause["object"]["owner"] == "docker"


def test_a_user_defined_network(docker: DockerLab, network: Callable[..., str], containers: Callable[..., None]) -> None:
    bridge = network("mine")
    containers("m1", "--network=mine")
    containers("m2", "--network=mine")
    asked = netprobe(docker, "trace", "m1", "m2")
    assert (asked.code, asked.report["agreement"]) == (0, "confirmed"), asked.err
    assert [asked.places[0], asked.places[-1]] == ["m1/eth0", "m2/eth0"]
    assert f"port of {bridge} (m1)" in asked.report["path"]["request"][1]["note"]
    away = netprobe(docker, "trace", "m1", "8.8.8.8")
    assert (away.code, away.places[-1]) == (0, "internet/eth0")
    assert answers(docker, "m1", address(docker, "m2"))


def test_between_two_networks_docker_isolates(docker: DockerLab, network: Callable[..., str], containers: Callable[..., None]) -> None:
    network("one")
    network("other")
    containers("o1", "--network=one")
    containers("o2", "--network=other")
    asked = netprobe(docker, "trace", "o1", "o2")
    decided_by_a_rule(asked, "host")
    assert not answers(docker, "o1", address(docker, "o2"))


def test_an_internal_network_has_no_way_out(docker: DockerLab, network: Callable[..., str], containers: Callable[..., None]) -> None:
    network("inner", "--internal")
    containers("i1", "--network=inner")
    containers("i2", "--network=inner")
    assert netprobe(docker, "trace", "i1", "i2").code == 0
    asked = netprobe(docker, "trace", "i1", "8.8.8.8")
    if "default" in docker.client("exec", "i1", "ip", "route"):  # Docker 20.10 leaves the route and relies on its rules alone
        decided_by_a_rule(asked, "host")
    else:
        cause = asked.report["causes"][0]
        assert (asked.code, asked.report["verdict"], asked.report["direction"]) == (1, "unreachable", "request")
        assert (cause["code"], cause["place"]["namespace"]) == ("no-route", "i1")
    assert not answers(docker, "i1", "8.8.8.8")


def test_an_internal_network_with_a_route_of_ones_own(
    docker: DockerLab, network: Callable[..., str], containers: Callable[..., None]
) -> None:
    network("closed", "--internal", "--subnet=10.66.0.0/16")
    containers("z1", "--network=closed", "--cap-add=NET_ADMIN")
    docker.client("exec", "z1", "ip", "route", "replace", "default", "via", "10.66.0.1")
    asked = netprobe(docker, "trace", "z1", "8.8.8.8")
    decided_by_a_rule(asked, "host")
    assert not answers(docker, "z1", "8.8.8.8")


def test_macvlan(docker: DockerLab, network: Callable[..., str], containers: Callable[..., None]) -> None:
    network("flat", "--driver=macvlan", "--opt=parent=eth0", "--subnet=198.51.100.0/24", "--gateway=198.51.100.1")
    containers("v1", "--network=flat", "--ip=198.51.100.21")
    containers("v2", "--network=flat", "--ip=198.51.100.22")
    assert netprobe(docker, "trace", "v1", "v2").code == 0
    assert netprobe(docker, "arping", "v1", "v2").code == 0
    away = netprobe(docker, "trace", "v1", "8.8.8.8")
    assert (away.code, away.places[0], away.places[-1]) == (0, "v1/eth0", "internet/eth0")
    assert away.translated == []
    assert answers(docker, "v1", "8.8.8.8")


def test_macvlan_cannot_reach_its_own_host(docker: DockerLab, network: Callable[..., str], containers: Callable[..., None]) -> None:
    network("flat2", "--driver=macvlan", "--opt=parent=eth0", "--subnet=198.51.100.0/24", "--gateway=198.51.100.1")
    containers("w1", "--network=flat2", "--ip=198.51.100.23")
    asked = netprobe(docker, "trace", "w1", "198.51.100.2")
    assert (asked.code, asked.report["verdict"], asked.report["direction"]) == (1, "unreachable", "request")
    assert not answers(docker, "w1", "198.51.100.2")


def test_without_talk_among_containers(docker: DockerLab, network: Callable[..., str], containers: Callable[..., None]) -> None:
    network("mute", "--opt=com.docker.network.bridge.enable_icc=false")
    containers("q1", "--network=mute")
    containers("q2", "--network=mute")
    asked = netprobe(docker, "trace", "q1", "q2")
    decided_by_a_rule(asked, "host")
    assert not answers(docker, "q1", address(docker, "q2"))
    assert netprobe(docker, "arping", "q1", "q2").code == 0, "ARP is no IP: the rule does not see it"
    assert netprobe(docker, "trace", "q1", "8.8.8.8").code == 0


def test_a_published_port_from_outside(docker: DockerLab, containers: Callable[..., None]) -> None:
    containers("web", "--publish=8080:80", command=("sh", "-c", HTTP))
    asked = netprobe(docker, "trace", "internet", "198.51.100.2:8080")
    assert (asked.code, asked.report["verdict"]) == (0, "reachable"), asked.err
    assert asked.places[-1] == "web/eth0"
    translated = [(hop["namespace"], c["field"], c["to"]) for hop in asked.report["path"]["request"] for c in hop["changes"]]
    assert ("host", "dst", address(docker, "web")) in translated
    assert ("host", "dport", "80") in translated
    docker.run(["ip", "netns", "exec", "internet", "bash", "-c", "exec 3<>/dev/tcp/198.51.100.2/8080"])


def test_a_published_port_that_nobody_serves(docker: DockerLab, containers: Callable[..., None]) -> None:
    containers("idle", "--publish=8081:81")
    asked = netprobe(docker, "trace", "internet", "198.51.100.2:8081")
    cause = asked.report["causes"][0]
    assert (asked.code, cause["code"], cause["place"]["namespace"]) == (1, "dnat-dead-target", "host")
    assert cause["object"]["owner"] == "docker"
    assert asked.places[-1] == "idle/eth0", "the way is complete: the refusal is idle's own"
