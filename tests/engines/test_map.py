"""The map of machines with real engines - two networks, a namespace within a container, VXLAN - is what iproute2 says, edge by edge."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engines.docker import DockerLab
from engines.engine import Engine
from engines.podman import PodmanLab

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))
import wired

pytestmark = [pytest.mark.engine, pytest.mark.thorough]

RED = "mkdir -p /run/netns && touch /run/netns/red && unshare -n mount --bind /proc/self/ns/net /run/netns/red"
ON = {"c1": ("front",), "c2": ("front",), "c3": ("back",), "both": ("front", "back")}


class World:
    """An engine with its containers; `enter` are the words before a command in each namespace."""

    def __init__(self, engine: Engine, on: dict[str, tuple[str, ...]], *options: str) -> None:
        self.engine = engine
        for network in dict.fromkeys(each for those in on.values() for each in those):
            engine.client("network", "create", network)
        self.pids = {}
        for name, (first, *others) in on.items():
            self.pids[name] = engine.container(name, *options, "--network", first)
            for network in others:
                engine.client("network", "connect", network, name)
        self.enter = {name: ["nsenter", "-t", str(pid), "-n"] for name, pid in self.pids.items()}
        self.enter |= {"host": [], "internet": ["nsenter", "--net=/run/netns/internet"]}

    def run(self, name: str, command: list[str]) -> str:
        return self.engine.run([*self.enter[name], *command]).stdout

    def map(self, *words: str) -> str:
        done = self.engine.run([sys.executable, "-c", "from netprobe.cli import main; main()", "map", *words], check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    def truth(self) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[int, str]]]:
        """Links and numbers. iproute2 has no name for most of these namespaces: who a number is, is told by the veth whose
        other end says the same of it."""
        links = {name: json.loads(self.run(name, ["ip", "-d", "-j", "address"])) for name in self.enter}
        numbers: dict[str, dict[int, str]] = {name: {} for name in links}
        for name, those in links.items():
            for link in those:
                if "link_netnsid" in link:
                    numbers[name][link["link_netnsid"]] = self.other(links, name, link)
        return links, numbers

    @staticmethod
    def other(links: dict[str, list[dict[str, Any]]], name: str, link: dict[str, Any]) -> str:
        """The namespace in which the other end of a veth is: by both indexes, and where that is ambiguous by the MAC address that
        the engine derives from the container's, or that a station has."""
        found = [
            other for other, those in links.items() if other != name
            for each in those
            if (each["ifindex"], each.get("link_index")) == (link["link_index"], link["ifindex"])
        ]  # fmt: skip
        assert len(found) == 1, (name, link, found)
        return found[0]


@pytest.fixture(scope="module")
def docker(docker_lab: Callable[..., DockerLab]) -> Iterator[World]:
    lab = docker_lab("sid")  # 20.10 gives no privileged containers on a machine made of namespaces
    world = World(lab, ON, "--privileged")
    lab.client("exec", "c1", "sh", "-c", RED)
    world.enter["c1//red"] = ["nsenter", f"--net=/proc/{world.pids['c1']}/root/run/netns/red"]
    for name, words in (
        ("c1", "link add in0 type veth peer name eth9"), ("c1", "address add 10.9.0.1/24 dev in0"), ("c1", "link set in0 up"),
        ("c1", f"link set eth9 netns /proc/{world.pids['c1']}/root/run/netns/red"), ("c1//red", "link set eth9 name eth0"),
        ("c1//red", "address add 10.9.0.2/24 dev eth0"), ("c1//red", "link set eth0 up"),
        ("host", "link add vxlan42 type vxlan id 42 local 198.51.100.2 remote 198.51.100.1 dstport 4789 dev eth0"),
        ("host", "link set vxlan42 up"), ("internet", "link add br0 type bridge"),
        ("internet", "link add vxlan42 type vxlan id 42 local 198.51.100.1 remote 198.51.100.2 dstport 4789 dev eth0"),
        ("internet", "link set vxlan42 master br0 up"), ("internet", "link set br0 up"),
    ):  # fmt: skip
        world.run(name, ["ip", *words.split()])
    yield world
    world.run("host", ["ip", "link", "del", "vxlan42"])
    world.run("internet", ["ip", "link", "del", "vxlan42"])
    lab.remove(*ON)
    for network in ("front", "back"):
        lab.client("network", "rm", network)


def bridges(engine: Engine) -> dict[str, str]:
    """The bridge of each network of Docker, as it says."""
    told = json.loads(engine.client("network", "inspect", "bridge", "front", "back"))
    return {each["Name"]: each["Options"].get("com.docker.network.bridge.name", f"br-{each['Id'][:12]}") for each in told}


def test_docker_edge_by_edge(docker: World) -> None:
    links, numbers = docker.truth()
    found = json.loads(docker.map("-o", "json"))
    assert {space["name"] for space in found["spaces"]} == set(links)
    assert wired.of_map(found) == wired.edges(links, numbers)
    assert wired.of_map(found, "tunnel") == {("tunnel", frozenset(("host/vxlan42", "internet/vxlan42")))}
    assert wired.addresses_of_map(found) == wired.addresses(links)


def test_docker_networks_by_their_names(docker: World) -> None:
    named = bridges(docker.engine)
    found = json.loads(docker.map("-o", "json"))
    [host] = [space for space in found["spaces"] if space["name"] == "host"]
    assert {each["network"]: each["name"] for each in host["interfaces"] if each["network"]} == named
    rules = {(rule["kind"], rule["source"], *rule["inside"], *rule["leaves"]) for rule in host["translations"]}
    assert {("MASQUERADE", "172.18.0.0/16", named["front"], "eth0"), ("MASQUERADE", "172.17.0.0/16", named["bridge"], "eth0")} <= rules
    assert all(rule["owner"] == "docker" for rule in host["translations"])
    shown = docker.map()
    assert f"{named['front']} (front)  bridge" in shown
    assert f"{named['bridge']} (bridge)  bridge" in shown
    assert "── both/eth1" in shown
    assert "── c1//red/eth0  10.9.0.2/24" in shown


def test_docker_while_the_daemon_does_not_answer(docker: World) -> None:
    named = bridges(docker.engine)
    assert isinstance(docker.engine, DockerLab)
    docker.engine.hang_daemon()
    try:
        done = docker.engine.run([sys.executable, "-c", "from netprobe.cli import main; main()", "map"], check=False)
    finally:
        docker.engine.wake_daemon()
    assert "no answer within" in done.stderr
    assert f"{named['front']} (front)  bridge" in done.stdout  # c1 and c2 are on it alone
    assert "── c1/eth0" in done.stdout


def test_podman(podman_lab: Callable[..., PodmanLab]) -> None:
    lab = podman_lab()
    on = {"p1": ("front",), "p2": ("back",), "p3": ("front",)}
    world = World(lab, on)
    try:
        links, numbers = world.truth()
        found = json.loads(world.map("-o", "json"))
        assert {space["name"] for space in found["spaces"]} == set(links)
        assert wired.of_map(found) == wired.edges(links, numbers)
        told = json.loads(lab.client("network", "inspect", "front", "back"))
        [host] = [space for space in found["spaces"] if space["name"] == "host"]
        named = {each["network"]: each["name"] for each in host["interfaces"] if each["network"]}
        assert named == {each["name"]: each["network_interface"] for each in told}
        assert {rule["owner"] for rule in host["translations"]} == {"podman"}
    finally:
        lab.remove(*on)
        for network in ("front", "back"):
            lab.client("network", "rm", network)
