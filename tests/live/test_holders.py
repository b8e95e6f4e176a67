"""Who holds the port at which a probe has arrived: the program, and where a docker-proxy leads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from asking import once

from netprobe.lab.lab import Lab
from netprobe.linux.runtimes.cgroups import Group
from netprobe.linux.runtimes.container import Container
from netprobe.linux.runtimes.holders import Holder, led_to, sentence

LISTENING = """
import socket, time
listener = socket.create_server(("0.0.0.0", 8080))
print("ready", flush=True)
time.sleep(1000)
"""
PROXY = ("/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8080", "-container-ip", "172.17.0.2")
WORDS = (*PROXY, "-container-port", "80", "-use-listen-fd")


def test_where_a_docker_proxy_leads() -> None:
    assert led_to(WORDS) == ("172.17.0.2", "80")
    assert led_to(PROXY) is None
    assert led_to(("nginx", *WORDS[1:])) is None
    assert led_to(()) is None


def test_the_sentence() -> None:
    class Known:
        def of_group(self, group: Group) -> Container:
            return Container("docker", group.identity, "web")

    group = Group("/docker/" + "0" * 64, "docker", "0" * 64)
    said = sentence(Holder(7, WORDS), "TCP port 8080 of host", None)
    assert said == (
        "TCP port 8080 of host is held by docker-proxy (pid 7), which leads to 172.17.0.2 port 80 (`netprobe ls 172.17.0.2` says whose)"
    )
    within = sentence(Holder(8, ("nginx", "-g"), group), "TCP port 80 of host", Known())  # type: ignore[arg-type]
    assert within == "TCP port 80 of host is held by nginx (pid 8) in the container web"


@pytest.mark.parametrize(("state", "stopped", "word"), [("paused", False, "paused"), ("running", True, "stopped"), ("running", False, "")])
def test_who_takes_a_connection_and_serves_nobody(state: str, stopped: bool, word: str) -> None:
    class Known:
        def of_group(self, group: Group) -> Container:
            return Container("docker", group.identity, "web", state=state)

    group = Group("/docker/" + "0" * 64, "docker", "0" * 64)
    said = sentence(Holder(8, ("nginx",), group, stopped), "TCP port 80 of web", Known())  # type: ignore[arg-type]
    still = f", which is {word}: the kernel takes connections for it, and nobody answers what is sent"
    assert said == f"TCP port 80 of web is held by nginx (pid 8) in the container web{still if word else ''}"


@pytest.fixture
def proxy(lab: Lab) -> Iterator[int]:
    """A program in c2 that calls itself a docker-proxy and listens."""
    program = lab.start(["bash", "-c", f'exec -a docker-proxy {sys.executable} -c "$0" "$@"', LISTENING, *WORDS[1:]], namespace="c2")
    program.until("ready")
    yield program.pid
    program.stop()


@pytest.mark.lab
@once
def test_a_port_in_a_lab(lab: Lab, proxy: int) -> None:
    done = lab.run(["netprobe", "trace", "-o", "json", "--captures", "none", "c1", "c2:8080"])
    notes = json.loads(done.stdout)["notes"]
    [held] = [note for note in notes if note.startswith("TCP port 8080 of c2 is held by ")]
    holder = held.partition("(pid ")[2].partition(")")[0]
    lab.run(["kill", "-STOP", holder])
    done = lab.run(["netprobe", "trace", "-o", "json", "--captures", "none", "c1", "c2:8080"])
    assert ", which is stopped: " in json.loads(done.stdout)["notes"][-1]
    lab.run(["kill", "-CONT", holder])
    silent = lab.run(["netprobe", "trace", "-o", "json", "--captures", "none", "c1", "c2"])
    assert not [note for note in json.loads(silent.stdout)["notes"] if "held" in note]
