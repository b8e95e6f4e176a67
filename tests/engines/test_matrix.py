"""Who reaches whom among 20 containers on three networks of a real Docker: what `docker exec ... ping` says, pair by pair."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

import pytest
from engines.docker import DockerLab

pytestmark = [pytest.mark.engine, pytest.mark.thorough]

NETWORKS = ("front", "back", "data")
ON = {
    **{f"f{n}": ("front",) for n in range(1, 9)},
    **{f"b{n}": ("back",) for n in range(1, 7)},
    **{f"d{n}": ("data",) for n in range(1, 5)},
    **{f"m{n}": ("front", "back") for n in range(1, 3)},
}
"""The networks of each container."""

PING = "for t in {targets}; do (ping -c1 -W2 -q $t >/dev/null 2>&1 && echo $t) & done; wait"
Pair = tuple[str, str]


@pytest.fixture(scope="module", params=["bookworm", "sid"])
def docker(request: pytest.FixtureRequest, docker_lab: Callable[[str], DockerLab]) -> Iterator[DockerLab]:
    lab = docker_lab(request.param)
    for network in NETWORKS:
        lab.client("network", "create", network)
    for name, (first, *others) in ON.items():
        lab.container(name, "--network", first)
        for network in others:
            lab.client("network", "connect", network, name)
    yield lab
    lab.remove(*ON)
    for network in NETWORKS:
        lab.client("network", "rm", network)


def addresses(docker: DockerLab) -> dict[str, dict[str, str]]:
    """The address of each container on each of its networks, as Docker says."""
    told = json.loads(docker.client("inspect", *ON))
    return {each["Name"][1:]: {name: its["IPAddress"] for name, its in each["NetworkSettings"]["Networks"].items()} for each in told}


def pinged(docker: DockerLab) -> dict[Pair, bool]:
    """What ping says of each pair: asked for the address on a common network, else for any."""
    has = addresses(docker)
    found = {}
    for source in ON:
        targets = {
            other: next((a for n, a in has[other].items() if n in has[source]), min(has[other].values())) for other in ON if other != source
        }
        answered = docker.client("exec", source, "sh", "-c", PING.format(targets=" ".join(targets.values()))).split()
        found.update({(source, other): address in answered for other, address in targets.items()})
    return found


def netprobe(docker: DockerLab, *argv: str) -> dict[str, object]:
    done = docker.run([sys.executable, "-c", "from netprobe.cli import main; main()", "matrix", "-o", "json", *argv], check=False)
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, object] = json.loads(done.stdout)
    return report


def verdicts(report: dict[str, object]) -> dict[Pair, str]:
    return {(pair["source"], pair["destination"]): pair["verdict"] for pair in report["pairs"]}  # type: ignore[attr-defined]


def test_the_matrix_is_what_ping_says(docker: DockerLab) -> None:
    report = netprobe(docker, *ON)
    truth = pinged(docker)
    assert len(truth) == 20 * 19
    assert {pair: verdict == "reachable" for pair, verdict in verdicts(report).items()} == truth
    apart = {pair for pair, answers in truth.items() if not answers}
    assert apart == {(a, b) for a in ON for b in ON if not {*ON[a]} & {*ON[b]}}


def test_isolation_is_by_design(docker: DockerLab) -> None:
    report = netprobe(docker, *ON)
    groups: list[dict[str, object]] = report["groups"]  # type: ignore[assignment]
    told = [(each["pairs"], each["by_design"], each["walked"], each["summary"]) for each in groups]
    assert len(groups) == 1, told
    [group] = groups
    assert (group["by_design"], group["summary"]) == (True, "docker keeps its networks apart")
    assert group["cause"]["code"] == "filtered-by-rule"  # type: ignore[index]
    assert group["cause"]["object"]["owner"] == "docker"  # type: ignore[index]
    assert group["pairs"] == list(verdicts(report).values()).count("unreachable")


def test_the_containers_of_a_network_take_part(docker: DockerLab) -> None:
    report = netprobe(docker, "--network", "docker:front")
    assert {source for source, _ in verdicts(report)} == {f"docker:{name}" for name, networks in ON.items() if "front" in networks}
    assert set(verdicts(report).values()) == {"reachable"}
