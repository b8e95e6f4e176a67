"""Real containers by name, in every state they can be in, on Docker 20.10, Docker 28.5 and Podman."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from engines.engine import Engine
from runtimes.conftest import EVERYBODY
from runtimes.engine_world import BRIDGE, address, answers, identity, inode, netprobe, resolve

pytestmark = pytest.mark.engine


def pid_of(engine: Engine, name: str) -> int:
    return int(engine.client("inspect", "--format", "{{.State.Pid}}", name))


def test_a_name_is_the_namespace_of_the_first_process(engine: Engine) -> None:
    whole = identity(engine, "c1")
    names = ["c1", f"{engine.name}:c1", whole, whole[:12], f"{engine.name}:{whole[:20]}"]
    found = resolve(engine, *names)
    assert {each.get("inode") for each in found.values()} == {inode(engine, pid_of(engine, "c1"))}, found
    assert {each["namespace"] for each in found.values()} == {"c1"}
    assert all(not each["notes"] for each in found.values())


def test_what_is_no_name(engine: Engine) -> None:
    whole, pid = identity(engine, "c1"), pid_of(engine, "c1")
    names = [whole[:11], "c", "C1", str(pid), f"lxc:{whole}", f"netns:{whole[:12]}"]
    found = resolve(engine, *names)
    assert {each.get("code") for each in found.values()} == {2}, found


def test_two_names_of_one_namespace(engine: Engine) -> None:
    found = resolve(engine, "c1", "aside")
    assert found["aside"]["inode"] == found["c1"]["inode"]
    assert found["aside"]["notes"] == ["it shares the network of c1 (--network container:c1)"]


def test_containers_without_a_network_of_their_own(engine: Engine) -> None:
    found = resolve(engine, "hosty", "lonely", "loose")
    assert found["hosty"]["namespace"] == "host"
    assert "no network of its own" in found["hosty"]["notes"][0]
    assert found["lonely"]["notes"] == ["it was made without a network (--network none)"]
    assert "connected to no network" in found["loose"]["notes"][0]


def test_a_paused_container_answers_and_is_said_to_be_paused(engine: Engine) -> None:
    asked = netprobe(engine, "ping", "c1", "still")
    assert (asked.code, asked.report["verdict"]) == (0, "reachable")
    assert any(note.startswith("still: it is paused") for note in asked.report["notes"])
    assert answers(engine, "c1", str(asked.report["probe"]["destination"]["address"]))


def test_what_does_not_run_says_why_and_how_to_start_it(engine: Engine) -> None:
    found = resolve(engine, "gone", f"{engine.name}:never", "removed")
    assert {each["code"] for each in found.values()} == {2}
    assert found["gone"]["error"].startswith("gone is stopped (exited ")
    assert found["gone"]["error"].endswith(" ago with 7)")
    assert found["gone"]["hint"] == f"start it: {engine.name} start gone"
    assert found[f"{engine.name}:never"]["error"] == "never was created but never started"
    assert found["removed"]["error"] == "there is no namespace or container removed"


def test_a_namespace_and_a_container_of_one_name_are_ambiguous(engine: Engine) -> None:
    engine.run(["ip", "netns", "add", "c2"])
    try:
        found = resolve(engine, "c2", "netns:c2", f"{engine.name}:c2")
    finally:
        engine.run(["ip", "netns", "delete", "c2"])
    assert found["c2"]["code"] == 2
    assert found["c2"]["hint"] == f"Write one of: netns:c2  {engine.name}:c2"
    assert found[f"{engine.name}:c2"]["inode"] == inode(engine, pid_of(engine, "c2")) != found["netns:c2"]["inode"]


def test_two_files_of_one_namespace_are_no_ambiguity(engine: Engine) -> None:
    pid = pid_of(engine, "c2")
    engine.run(["ip", "netns", "attach", "c2", str(pid)])  # what people did before containers had names here
    try:
        assert resolve(engine, "c2")["c2"]["inode"] == inode(engine, pid)
    finally:
        engine.run(["ip", "netns", "delete", "c2"])


@pytest.mark.parametrize(
    "without",
    [
        "--bounding-set=-sys_ptrace,-dac_override,-dac_read_search",
        "--bounding-set=-all,+sys_admin,+sys_ptrace,+net_admin,+net_raw",
        "--reuid=65534",
    ],
)
def test_what_is_not_ours_to_look_at_is_passed_over(engine: Engine, without: str) -> None:
    """As root without capabilities, with those that the README gives to a container, and as an ordinary user."""
    program = Path(sys.executable).with_name("netprobe")
    probing = ["--captures", "none", "--exclude", "internet"]
    for arguments in (["ls"], ["trace", *probing, "c1", "8.8.8.8"], ["ping", *probing, "c1", "nobody"]):
        done = engine.run(["setpriv", "--clear-groups", without, program, *arguments], check=False)
        assert done.returncode in (0, 2, 3, 4), done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_ls_tells_which_veth_is_whose(engine: Engine) -> None:
    spaces = {space["name"]: space for space in netprobe(engine, "ls").report["spaces"]}
    assert {"c1", "c2", "host", "internet", "lonely", "loose", "still", "two"} <= spaces.keys()
    assert not {"gone", "never"} & spaces.keys()
    for name in ("c1", "c2", "still"):
        wired = next(each for each in spaces[name]["interfaces"] if each["name"] == "eth0")
        assert wired["peer_bridge"] == BRIDGE[engine.name]
        port = next(each for each in spaces["host"]["interfaces"] if f"host/{each['name']}" == wired["peer"])
        assert (port["peer"], port["bridge"]) == (f"{name}/eth0", BRIDGE[engine.name])
    assert f"{engine.name}:aside" in spaces["c1"]["names"]
    assert f"{engine.name}:hosty" in spaces["host"]["names"]
    assert {spaces[name]["note"] for name in ("still", "lonely", "loose")} == {"paused", "no network", "disconnected"}
    assert sorted(each["name"] for each in spaces["two"]["interfaces"]) == ["eth0", "eth1", "lo"]


def test_arping_between_containers(engine: Engine) -> None:
    asked = netprobe(engine, "arping", "c1", "c2")
    assert (asked.code, asked.report["verdict"]) == (0, "reachable"), asked.err
    mac = engine.client("exec", "c2", "cat", "/sys/class/net/eth0/address")
    assert [answer["mac"] for answer in asked.report["answers"]] == [mac]
    assert asked.places[0] == "c1/eth0"
    assert "c2/eth0" in asked.places
    own = engine.client("exec", "c1", "arping", "-c1", "-w2", "-I", "eth0", address(engine, "c2"))
    assert "Received 1 response" in own
    assert mac in own.lower()


def test_trace_between_containers(engine: Engine) -> None:
    asked = netprobe(engine, "trace", "c1", "c2")
    assert (asked.code, asked.report["agreement"]) == (0, "confirmed"), asked.err
    assert [asked.places[0], asked.places[-1]] == ["c1/eth0", "c2/eth0"]
    ports = [hop for hop in asked.report["path"]["request"] if hop["namespace"] == "host"]
    assert f"port of {BRIDGE[engine.name]} (c1)" in ports[0]["note"]
    assert "(c2)" in ports[-1]["note"]
    assert answers(engine, "c1", address(engine, "c2"))


def test_trace_to_the_outside(engine: Engine) -> None:
    asked = netprobe(engine, "trace", "c1", "8.8.8.8")
    assert (asked.code, asked.report["agreement"]) == (0, "confirmed"), asked.err
    assert asked.translated == [("host", address(engine, "c1"), "198.51.100.2")]
    assert [asked.places[0], asked.places[-1]] == ["c1/eth0", "internet/eth0"]
    assert f"host/{BRIDGE[engine.name]}" in asked.places
    assert answers(engine, "c1", "8.8.8.8")


def test_a_container_met_on_the_way_has_its_name(engine: Engine) -> None:
    asked = netprobe(engine, "trace", "host", address(engine, "c2"))
    assert asked.code == 0
    assert asked.places[-1] == "c2/eth0"


def test_a_container_on_two_networks(engine: Engine) -> None:
    second = engine.client("exec", "two", "ip", "-o", "-4", "address", "show", "dev", "eth1").split("inet ")[1].split("/")[0]
    asked = netprobe(engine, "trace", f"two@{second}", "10.77.0.1")
    assert asked.code == 0, asked.err
    assert asked.places[0] == "two/eth1"
    assert netprobe(engine, "arping", "c1", "two").code == 0


@pytest.mark.parametrize("name", ["lonely", "loose"])
def test_without_an_interface_nothing_leaves(engine: Engine, name: str) -> None:
    asked = netprobe(engine, "trace", name, "8.8.8.8")
    assert (asked.code, asked.report["verdict"], asked.report["direction"]) == (1, "unreachable", "request")
    cause = asked.report["causes"][0]
    assert (cause["code"], cause["place"]["namespace"]) == ("link-missing", name)
    assert not answers(engine, name, "8.8.8.8")


def test_no_container_is_changed(engine: Engine) -> None:
    before = engine.client("inspect", *EVERYBODY)
    links = engine.run(["ip", "-o", "link"]).stdout
    for question in (["ls"], ["trace", "c1", "8.8.8.8"], ["arping", "c1", "still"], ["ping", "gone", "c1"]):
        netprobe(engine, *question)
    assert engine.client("inspect", *EVERYBODY) == before
    assert engine.run(["ip", "-o", "link"]).stdout == links
