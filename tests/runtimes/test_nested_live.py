"""A namespace made inside a container: the tutorial's network within c1, seen from the host of the container and from inside it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engines.docker import DockerLab
from runtimes.engine_world import Outcome, in_namespace, netprobe, resolve

pytestmark = [pytest.mark.engine, pytest.mark.slow]

RED = "mkdir -p /run/netns && touch /run/netns/red && unshare -n mount --bind /proc/self/ns/net /run/netns/red"


@dataclass
class Nest:
    """An engine with the container c1, whose process is `pid`, and in it the namespace red."""

    engine: DockerLab
    pid: int

    def inside(self, *command: str) -> None:
        """Run a program in c1's namespace."""
        in_namespace(self.engine, self.pid, *command)

    def red(self, *command: str) -> None:
        """Run a program in red."""
        self.engine.run(["nsenter", f"--net=/proc/{self.pid}/root/run/netns/red", *command])


@pytest.fixture(scope="module")
def nest(docker_lab: Callable[..., DockerLab]) -> Iterator[Nest]:
    lab = docker_lab("sid")  # 20.10 gives no privileged containers on a machine made of namespaces
    nest = Nest(lab, lab.container("c1", "--privileged"))
    lab.container("c2", "--cap-add=NET_RAW")
    lab.client("exec", "c1", "sh", "-c", RED)
    nest.inside("ip", "link", "add", "br0", "type", "bridge")
    nest.inside("ip", "address", "add", "10.0.0.1/16", "dev", "br0")
    nest.inside("ip", "link", "set", "br0", "up")
    nest.inside("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "eth9")
    nest.inside("ip", "link", "set", "veth0", "master", "br0", "up")
    nest.inside("sh", "-c", f"ip link set eth9 netns /proc/{nest.pid}/root/run/netns/red")
    nest.inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
    nest.inside(*masquerade("-A"))
    nest.red("ip", "link", "set", "eth9", "name", "eth0")
    nest.red("ip", "address", "add", "10.0.0.2/32", "dev", "eth0")
    nest.red("ip", "link", "set", "lo", "up")
    nest.red("ip", "link", "set", "eth0", "up")
    nest.red("ip", "route", "add", "default", "via", "10.0.0.1", "dev", "eth0", "onlink")
    yield nest
    lab.remove("c1", "c2")


def masquerade(action: str) -> list[str]:
    return ["iptables", "-t", "nat", action, "POSTROUTING", "-s", "10.0.0.0/16", "-o", "eth0", "-j", "MASQUERADE"]


def own_address(nest: Nest) -> str:
    shown = nest.engine.client("exec", "c1", "ip", "-o", "-4", "address", "show", "dev", "eth0")
    return shown.split("inet ")[1].split("/")[0]


def test_the_whole_way_with_both_translations(nest: Nest) -> None:
    asked = netprobe(nest.engine, "trace", "c1//red", "8.8.8.8")
    assert (asked.code, asked.report["agreement"]) == (0, "confirmed"), asked.err
    assert asked.translated == [("c1", "10.0.0.2", own_address(nest)), ("host", own_address(nest), "198.51.100.2")]
    met = [place for place in asked.places if not place.endswith("/None")]
    assert met[:4] == ["c1//red/eth0", "c1/veth0", "c1/br0", "c1/eth0"]
    assert met[4].startswith("host/veth")
    assert met[5:] == ["host/docker0", "host/eth0", "internet/eth0", "internet/eth0"]


INSIDE = """
mount -t tmpfs none /run/netns && touch /run/netns/red && mount --no-canonicalize --bind /proc/$0/root/run/netns/red /run/netns/red &&
exec nsenter --net=/proc/$0/ns/net unshare --pid --fork --mount-proc "$@"
"""


def test_run_inside_the_container_the_way_ends_where_it_leaves_it(nest: Nest) -> None:
    """What netprobe sees in c1: its network namespace and /run/netns, and none of the host's processes."""
    program = str(Path(sys.executable).with_name("netprobe"))
    enter = ["unshare", "--mount", "sh", "-c", INSIDE, str(nest.pid)]
    done = nest.engine.run([*enter, program, "trace", "red", "8.8.8.8", "--captures", "none", "-o", "json"], check=False)
    asked = Outcome(done.returncode, done.stdout, done.stderr)
    assert (asked.code, asked.report["verdict"]) == (0, "reachable"), asked.err
    assert [place for place in asked.places if not place.endswith("/None")][:4] == ["red/eth0", "host/veth0", "host/br0", "host/eth0"]
    assert asked.translated == [("host", "10.0.0.2", own_address(nest))]
    assert (asked.report["path"]["request"][-1]["stage"], asked.places[-1]) == ("exit", "host/eth0")


def test_from_the_container_into_its_namespace(nest: Nest) -> None:
    asked = netprobe(nest.engine, "trace", "c1", "10.0.0.2")
    assert (asked.code, asked.places[-1]) == (0, "c1//red/eth0")


def test_from_the_namespace_to_another_container(nest: Nest) -> None:
    asked = netprobe(nest.engine, "trace", "c1//red", "c2")
    assert (asked.code, asked.places[-1]) == (0, "c2/eth0")
    assert [where for where, *_ in asked.translated] == ["c1"]


def test_names_inside_a_container(nest: Nest) -> None:
    found = resolve(nest.engine, "c1//red", "docker:c1//red", f"pid:{nest.pid}//red", "c1//blue", "c2//red")
    assert found["c1//red"]["namespace"] == found["docker:c1//red"]["namespace"] == "c1//red"
    assert found["c1//red"]["inode"] == found[f"pid:{nest.pid}//red"]["inode"]
    assert found["c1//blue"]["error"] == "there is no namespace blue inside c1"
    assert found["c1//blue"]["hint"] == "It has red"
    assert found["c2//red"]["hint"] == "It has none in its /run/netns"


def test_ls_shows_the_inner_wire(nest: Nest) -> None:
    spaces = {space["name"]: space for space in netprobe(nest.engine, "ls").report["spaces"]}
    wired = {each["name"]: each for each in spaces["c1//red"]["interfaces"]}
    assert (wired["eth0"]["peer"], wired["eth0"]["peer_bridge"]) == ("c1/veth0", "br0")


def test_a_process_inside_does_not_give_the_inner_namespace_its_containers_name(nest: Nest) -> None:
    nest.engine.client("exec", "--detach", "c1", "nsenter", "--net=/run/netns/red", "sleep", "300")
    names = [space["name"] for space in netprobe(nest.engine, "ls").report["spaces"]]
    assert sorted(name for name in names if name.startswith("c1")) == ["c1", "c1//red"]


def test_broken_inside(nest: Nest) -> None:
    nest.inside(*masquerade("-D"))
    try:
        asked = netprobe(nest.engine, "trace", "c1//red", "8.8.8.8")
    finally:
        nest.inside(*masquerade("-A"))
    cause = asked.report["causes"][0]
    assert (asked.code, asked.report["direction"], cause["code"], cause["place"]["namespace"]) == (1, "reply", "nat-missing", "c1")


def test_broken_outside(nest: Nest) -> None:
    rule = ["POSTROUTING", "-s", "172.17.0.0/16", "!", "-o", "docker0", "-j", "MASQUERADE"]
    nest.engine.run(["iptables", "-t", "nat", "-D", *rule])
    try:
        asked = netprobe(nest.engine, "trace", "c1//red", "8.8.8.8")
    finally:
        nest.engine.run(["iptables", "-t", "nat", "-A", *rule])
    cause = asked.report["causes"][0]
    assert (asked.code, asked.report["direction"], cause["code"], cause["place"]["namespace"]) == (1, "reply", "nat-missing", "host")


def test_a_forward_drop_at_each_level(nest: Nest) -> None:
    for where, run in (("c1", nest.inside), ("host", lambda *command: nest.engine.run(list(command)))):
        rule = ["FORWARD", "-p", "icmp", "-d", "8.8.8.8", "-j", "DROP"]
        run("iptables", "-I", *rule)
        try:
            asked = netprobe(nest.engine, "trace", "c1//red", "8.8.8.8")
        finally:
            run("iptables", "-D", *rule)
        cause = asked.report["causes"][0]
        assert (asked.code, asked.report["direction"]) == (1, "request")
        assert (cause["place"]["namespace"], cause["object"]["id"]) == (where, "iptables filter FORWARD 1")
