"""A run leaves the system as it found it: nothing configured, nothing held, nothing running, nothing created."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from asking import ask, ask_program, once
from belongings import configuration, held, neighbours, packet_sockets, processes

from netprobe.lab.firewall import FirewallTool
from netprobe.lab.lab import Lab
from netprobe.lab.tutorial import TUTORIAL

pytestmark = pytest.mark.lab

NAMESPACES = ["host", "red", "c1", "c2", "internet"]
QUESTIONS = [
    ["trace", "red", "8.8.8.8"],
    ["trace", "red", "8.8.8.8:80"],
    ["trace", "red", "8.8.8.8:4000/udp"],
    ["trace", "red", "2001:4860:4860::8888", "-s", "3000", "--no-df"],
    ["trace", "red", "8.8.8.8", "--ttl", "1", "-c", "3", "-i", "2ms", "-W", "50ms"],
    ["arping", "c1", "c2", "-c", "3", "-i", "2ms"],
    ["arping", "c1", "fd00:172:17::3"],
    ["ping", "c1", "c2"],
    ["why", "red", "8.8.8.8"],
    ["ls"],
    ["trace", "rde", "8.8.8.8"],
]


def asked(lab: Lab, question: list[str]) -> int:
    keeping = [] if question[0] in ("why", "ls") else ["--captures", "none"]
    return ask(lab, *question, *keeping).code


def test_the_configuration_of_every_namespace_is_the_same(make_lab: Any, privilege: str) -> None:
    """With the rules of nft, and of iptables: one of the two each as root and as an ordinary user."""
    lab = make_lab(TUTORIAL, engine=FirewallTool.NFT if privilege == "root" else FirewallTool.IPTABLES)
    lab.run(["ip", "neigh", "add", "10.0.77.77", "lladdr", "02:00:00:00:00:77", "dev", "br0", "nud", "permanent"], check=True)
    assert asked(lab, ["ping", "red", "8.8.8.8"]) == 0  # neighbours are known from here on
    before, known = configuration(lab, NAMESPACES), set(lab.call(neighbours, NAMESPACES))
    assert "no answer of ip" not in before.values()
    codes = [asked(lab, question) for question in QUESTIONS]
    assert codes == [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 2]
    after, still = configuration(lab, NAMESPACES), set(lab.call(neighbours, NAMESPACES))
    assert {name: after[name] for name in before if after[name] != before[name]} == {}
    assert known - still == set()


@once
def test_the_comparison_notices_what_it_should(fresh_lab: Lab) -> None:
    """Each kind of change is seen by the comparison above; a blind one would always pass."""
    changes = {
        "host: links": "ip link set br0 promisc on",
        "red: addresses": "ip -n red addr add 10.1.2.3/32 dev lo",
        "red: routes": "ip -n red route add 10.1.2.0/24 dev lo",
        "c1: rules": "ip -n c1 rule add from 10.9.9.9 lookup 77",
        "host: nft": "nft add table ip extra",
        "c2: sysctls": "ip netns exec c2 sysctl -qw net.ipv4.ip_forward=1",
        "host: qdiscs": "tc qdisc add dev veth0 clsact",
        "namespaces": "ip netns add extra",
    }
    neighbour = "10.0.77.77 lladdr 02:00:00:00:00:77 dev br0"
    fresh_lab.run(f"ip neigh add {neighbour} nud permanent".split(), check=True)
    before, known = configuration(fresh_lab, NAMESPACES), set(fresh_lab.call(neighbours, NAMESPACES))
    for command in [*changes.values(), f"ip neigh del {neighbour}"]:
        fresh_lab.run(command.split(), check=True)
    after, still = configuration(fresh_lab, NAMESPACES), set(fresh_lab.call(neighbours, NAMESPACES))
    assert changes.keys() - {name for name in before if after[name] != before[name]} == set()
    assert ["10.0.77.77" in lost for lost in known - still] == [True]


@once
def test_nothing_is_promiscuous_while_it_looks(lab: Lab) -> None:
    def links() -> list[tuple[str, str, int]]:
        found = []
        for namespace in NAMESPACES:
            printed = lab.run(["ip", "-d", "-j", "link"], namespace=namespace, check=True).stdout
            found += [(namespace, link["ifname"], link["promiscuity"]) for link in json.loads(printed)]
        return found

    before = links()
    program = lab.start(["netprobe", "trace", "red", "8.8.8.8", "-c", "1000", "-i", "50ms", "--captures", "none"])
    wait_for_taps(lab)
    assert links() == before
    program.stop()


def wait_for_taps(lab: Lab) -> None:
    """Until netprobe has its taps open in the namespaces of its way."""
    end = time.monotonic() + 60
    while not all(lab.call(packet_sockets, ["host", "red", "internet"]).values()):
        assert time.monotonic() < end, "no tap was opened"
        time.sleep(0.02)


def test_no_descriptor_thread_or_socket_is_left(lab: Lab) -> None:
    for question in QUESTIONS:  # whatever is opened once for good
        asked(lab, question)
    before = lab.call(held)
    for question in QUESTIONS:
        asked(lab, question)
        assert lab.call(held) == before, question
    end = time.monotonic() + 10  # the kernel closes packet sockets in its own time
    while any(lab.call(packet_sockets, NAMESPACES).values()) and time.monotonic() < end:
        time.sleep(0.05)
    assert lab.call(packet_sockets, NAMESPACES) == dict.fromkeys(NAMESPACES, 0)


def test_no_process_and_no_file_is_left(lab: Lab) -> None:
    home, temporary, work = (Path(lab.folder, name) for name in ("home", "temporary", "work"))
    for folder in (home, temporary, work):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    places = {"HOME": str(home), "TMPDIR": str(temporary), "XDG_CACHE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    before = lab.call(processes)
    done = ask_program(lab, "trace", "red", "8.8.8.8", "--captures", str(work), environment=places)
    assert done.code == 0, done.told
    assert lab.call(processes) == before
    assert [*home.iterdir(), *temporary.iterdir()] == []
    assert [path.name for path in work.iterdir()] == [Path(done.stdout.rpartition("capture: ")[2].strip()).name]


@pytest.mark.parametrize(
    "question",
    [
        ["trace", "rde", "8.8.8.8"], ["trace", "red", "c11"], ["arping", "c1", "c22"], ["why", "netns:rde", "8.8.8.8"],
        ["trace", "--exclude", "rde", "red", "8.8.8.8"], ["--host", "rde", "trace", "red", "8.8.8.8"],
        ["trace", "path:/run/netns/rde", "8.8.8.8"],
    ],
)  # fmt: skip
@once
def test_a_typo_creates_nothing(lab: Lab, question: list[str]) -> None:
    before = lab.run(["ls", "-lai", "/run/netns"], check=True).stdout
    done = ask(lab, *question)
    assert done.code == 2, done.told
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    typo = next(word for word in question if word.endswith(("rde", "c11", "c22")))
    assert typo.rpartition(":")[2] in done.stderr
    if "path:" not in typo:
        assert "Did you mean" in done.stderr
    assert lab.run(["ls", "-lai", "/run/netns"], check=True).stdout == before
