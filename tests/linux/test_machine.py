"""The live machine: endpoints resolved, namespaces read, far ends found, and everything closed again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from entering import entrances

from netprobe.errors import CannotLook, NotPermitted, WrongQuestion
from netprobe.lab.lab import Lab
from netprobe.linux import netns
from netprobe.linux.machine import Machine
from netprobe.linux.names import names
from netprobe.linux.names.containers import Containers
from netprobe.linux.names.listing import natural
from netprobe.linux.names.names import Found, inside_of, open_each
from netprobe.model import AskRoute, Endpoint, FindBare, FindPeer, ReadNamespace, RouteQuery, Snapshot, Space

pytestmark = pytest.mark.lab


def descriptors() -> set[str]:
    return {entry.name for entry in os.scandir("/proc/self/fd")}


def resolved(texts: list[str], host: str | None = None, source: str | None = None) -> list[Endpoint | str]:
    """In the lab: what each text means, or the error and its hint. Nothing stays open."""
    before = descriptors()
    found: list[Endpoint | str] = []
    with Machine(host) as machine:
        inside = machine.resolve(source) if source else None
        for text in texts:
            try:
                found.append(machine.resolve(text, inside))
            except (WrongQuestion, CannotLook, NotPermitted) as error:
                found.append(f"{type(error).__name__}: {error} | {error.hint}")
    assert descriptors() == before
    return found


def test_endpoints(lab: Lab) -> None:
    red, port, wire, own, host, path, address = lab.call(
        resolved, ["red", "red:80/udp", "red/eth0", "c1@172.17.0.2", "host", "path:/run/netns/red", "[2001:db8::1]:443"]
    )
    assert red == Endpoint("red", "red")
    assert (port.namespace, port.port, port.protocol) == ("red", 80, "udp")
    assert (wire.namespace, wire.interface) == ("red", "eth0")
    assert (own.namespace, own.address) == ("c1", "172.17.0.2")
    assert host == Endpoint("host", "host")
    assert (path.endpoint, path.namespace) == ("path:/run/netns/red", "red")
    assert address == Endpoint("[2001:db8::1]:443", None, None, "2001:db8::1", 443)


def test_wrong_questions_create_nothing(lab: Lab) -> None:
    before = lab.run(["ls", "-li", "/run/netns"], check=True).stdout
    typo, interface, nobody, stranger = lab.call(resolved, ["rde", "red/eth9", "pid:4194305", "docker:c1"])
    assert typo == "UnknownName: there is no namespace or container rde | Did you mean red?"
    assert interface == "WrongQuestion: red has no interface eth9 | It has lo, eth0"
    assert nobody.startswith("UnknownName: there is no process 4194305")
    assert stranger.startswith(("WrongQuestion", "UnknownName", "CannotLook"))
    assert lab.run(["ls", "-li", "/run/netns"], check=True).stdout == before


def test_host_can_be_another(lab: Lab) -> None:
    (host,) = lab.call(resolved, ["host"], "red")
    assert host.namespace == "red"


def where_it_was_started(before: Sequence[str]) -> list[str]:
    """What a snapshot has of `red` when `host` is asked for there, and who is behind its cables."""
    with Machine("red") as machine:
        snapshot = machine.read(Snapshot(), [ReadNamespace(str(machine.resolve(name).namespace)) for name in before])
        snapshot = machine.read(snapshot, [ReadNamespace("host")])
        (home,) = snapshot.namespaces
        far = next(link.far_end for link in snapshot[home].links if link.far_end is not None)
        found = machine.read(snapshot, [FindPeer(home, far[0] or 0)])
    assert not found.blind
    return [home]


@pytest.mark.parametrize("before", [(), ("red",)])
def test_host_stands_under_its_one_name(lab: Lab, before: tuple[str, ...]) -> None:
    """`host` is also an `ip netns`, and may have been met under that name before."""
    assert lab.call(where_it_was_started, before) == ["red"]


def hostile_names(names: list[bytes]) -> list[str]:
    """Namespaces with such names, resolved by them and read."""
    for name in names:
        subprocess.run([b"ip", b"netns", b"add", name], check=True)
    texts = [os.fsdecode(name) for name in names]
    with Machine() as machine:
        found = [machine.resolve(text).namespace or "" for text in texts]
        snapshot = machine.read(Snapshot(), [ReadNamespace(name) for name in found])
    assert all(snapshot[name].link_named("lo") for name in found)
    return found


def test_hostile_names(fresh_lab: Lab) -> None:
    names = [b"x\x1b[31m", b"n\xe9\xff", b"a" * 15, b"1e5", b"--help", b"a b", b"a:80", b"a@b", b"red.5", b"b" * 255]
    assert fresh_lab.call(hostile_names, names) == [os.fsdecode(name) for name in names]


def stale_files() -> list[str]:
    Path("/run/netns/stale").touch()
    Path("/run/netns/dangling").symlink_to("/proc/4194305/ns/net")
    Path("/run/netns/folder").mkdir()
    os.mkfifo("/run/netns/pipe")
    with Machine() as machine:
        names = [space.name for space in machine.spaces() if space.blind]
        machine.resolve("red")
        red = machine.read(Snapshot(), [ReadNamespace("red")])["red"]
        nsid = red.link_named("eth0").link.nsid  # type: ignore[union-attr]
        names.append(str(machine.read(Snapshot(), [FindPeer("red", nsid or 0)]).peers[0].peer))
    return names + [str(found) for found in resolved(["stale", "dangling", "folder", "pipe"])]


def test_stale_files_are_named_and_harm_nobody(fresh_lab: Lab) -> None:
    *blind, peer, stale, dangling, folder, pipe = fresh_lab.call(stale_files)
    assert blind == ["dangling", "folder", "pipe", "stale"]
    assert peer == "host"
    assert stale.startswith("CannotLook: netns:stale is not a network namespace")
    assert "ip netns delete" in stale
    assert dangling.startswith("CannotLook: cannot open the network namespace netns:dangling")
    assert "netns:folder" in folder
    assert "netns:pipe" in pipe


def names_of_one_namespace() -> list[str]:
    Path("/run/netns/alias").symlink_to("red")
    sleeper = subprocess.Popen(["ip", "netns", "exec", "red", "sleep", "60"])
    alone = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    try:
        wait_for_other_namespace(sleeper.pid)
        wait_for_other_namespace(alone.pid)
        with Machine() as machine:
            texts = ["red", "alias", f"pid:{sleeper.pid}", f"path:/proc/{sleeper.pid}/ns/net"]
            names = [machine.resolve(text).namespace or "" for text in texts]
        with Machine() as machine:
            texts = [f"pid:{sleeper.pid}", f"pid:{alone.pid}", f"path:/proc/{alone.pid}/ns/net", f"pid:{os.getpid()}"]
            names += [(machine.resolve(text).namespace or "").replace(str(alone.pid), "N") for text in texts]
        return names
    finally:
        for process in (sleeper, alone):
            process.kill()
            process.wait()


def wait_for_other_namespace(pid: int) -> None:
    own = netns.own_identity()
    for _ in range(1000):
        if netns.identity_of(Path(f"/proc/{pid}/ns/net").stat()) != own:
            return
        subprocess.run(["sleep", "0.01"], check=True)
    raise AssertionError("the process stayed where it was born")


def test_one_namespace_has_one_name(fresh_lab: Lab) -> None:
    names = fresh_lab.call(names_of_one_namespace)
    assert names[:4] == ["red"] * 4
    assert names[4] in ("red", "alias")
    assert names[5] == names[6]
    assert names[5].startswith("pid N (")
    assert names[7] == "host"


def walk_the_wires(exclude: tuple[str, ...]) -> list[tuple[str, str, str | None]]:
    """The far ends of every veth of the lab, from `red` on, as predict would ask for them."""
    wires = []
    with Machine(exclude=exclude) as machine:
        machine.resolve("red")
        snapshot, todo = Snapshot(), ["red"]
        while todo:
            name = todo.pop(0)
            snapshot = machine.read(snapshot, [ReadNamespace(name)])
            for link in snapshot[name].links:
                if link.link is None or link.link.nsid is None:
                    continue
                snapshot = machine.read(snapshot, [FindPeer(name, link.link.nsid)])
                peer = snapshot.peers[-1].peer
                wires.append((name, link.name, peer))
                if peer is not None and peer not in snapshot and peer not in todo:
                    todo.append(peer)
    return wires


def test_far_ends(lab: Lab) -> None:
    wires = lab.call(walk_the_wires, ())
    assert ("red", "eth0", "host") in wires
    assert {peer for name, _, peer in wires if name == "host"} >= {"red", "c1", "c2", "internet"}
    assert {(name, peer) for name, _, peer in wires if name != "host"} == {
        ("red", "host"), ("c1", "host"), ("c2", "host"), ("internet", "host"),
    }  # fmt: skip


def test_an_excluded_namespace_is_not_visible(lab: Lab) -> None:
    wires = lab.call(walk_the_wires, ("internet",))
    assert ("host", "eth0", None) in wires
    assert "internet" not in {name for name, _, _ in wires}
    assert lab.call(resolve_excluded) == "internet is excluded by --exclude"
    with pytest.raises(WrongQuestion, match="nosuch"):
        lab.call(walk_the_wires, ("nosuch",))


def test_wrong_endpoints_are_told_with_their_text() -> None:
    with Machine() as machine, pytest.raises(WrongQuestion, match="not a port"):
        machine.resolve("host:http")


def resolve_excluded() -> str:
    with Machine(exclude=["internet"]) as machine, pytest.raises(WrongQuestion) as caught:
        machine.resolve("internet")
    return str(caught.value)


def many_namespaces() -> tuple[int, str | None]:
    """How many namespaces are opened for one trace's questions among 200 others."""
    for number in range(200):
        subprocess.run(["ip", "netns", "add", f"other{number}"], check=True)
    opened: list[str] = []
    original = netns.open_namespace

    def counting(path: str, name: str | None = None, **options: Any) -> int:
        opened.append(path)
        return original(path, name, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(netns, "open_namespace", counting)
        with Machine() as machine:
            machine.resolve("red")
            red = machine.read(Snapshot(), [ReadNamespace("red")])["red"]
            nsid = red.link_named("eth0").link.nsid  # type: ignore[union-attr]
            peer = machine.read(Snapshot(), [FindPeer("red", nsid or 0)]).peers[0].peer
    return len([path for path in opened if path.startswith("/run/netns")]), peer


def test_other_namespaces_are_not_opened(fresh_lab: Lab) -> None:
    opened, peer = fresh_lab.call(many_namespaces)
    assert peer == "host"
    assert opened < 10


def named_among_many() -> str | None:
    """The far end of host's veth0, which is red, the last of many named namespaces; nobody may look at what comes after those."""

    def forbidden(*_: object) -> Any:
        raise AssertionError("neither a process nor a container is looked at")

    for number in range(20):
        subprocess.run(["ip", "netns", "add", f"other{number}"], check=True)
    with pytest.MonkeyPatch.context() as patch, Machine() as machine:
        machine.resolve("host")
        host = machine.read(Snapshot(), [ReadNamespace("host")])["host"]
        nsid = host.link_named("veth0").link.nsid  # type: ignore[union-attr]
        patch.setattr(names.Processes, "all", forbidden)
        patch.setattr(Containers, "all", forbidden)
        patch.setattr(Containers, "registry", property(forbidden))
        return machine.read(Snapshot(), [FindPeer("host", nsid or 0)]).peers[0].peer


def test_a_far_end_with_a_name_is_found_without_a_look_at_processes_and_containers(fresh_lab: Lab) -> None:
    assert fresh_lab.call(named_among_many) == "red"


def vanishing() -> tuple[str, bool, list[str]]:
    with Machine() as machine:
        source = machine.resolve("red")
        subprocess.run(["ip", "netns", "delete", "red"], check=True)
        subprocess.run(["ip", "netns", "delete", "c1"], check=True)
        needs = [ReadNamespace("red"), ReadNamespace("c1"), FindPeer("c1", 0), AskRoute("c1", RouteQuery(None, "8.8.8.8"))]
        snapshot = machine.read(Snapshot(), needs)
        spots = [*snapshot.blind, *snapshot["c1"].blind]
        return source.namespace or "", snapshot["red"].link_named("eth0") is not None, [f"{spot.what}: {spot.why}" for spot in spots]


def test_a_namespace_that_vanishes(fresh_lab: Lab) -> None:
    name, still_readable, blind = fresh_lab.call(vanishing)
    assert (name, still_readable) == ("red", True)  # a held namespace lives on
    assert len(blind) == 3
    assert all("c1" in spot for spot in blind)


def inner_namespace() -> list[Endpoint | str]:
    """A process with its own /run/netns, in which it made `inner`, as a privileged container does."""
    script = "mount -t tmpfs none /run; ip netns add inner; ln -s /proc/1/ns/net /run/netns/evil; echo ready; sleep 60"
    process = subprocess.Popen(["unshare", "-mn", "sh", "-ec", script], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        found = resolved([f"pid:{process.pid}//inner", f"pid:{process.pid}//innre", f"pid:{process.pid}//evil", "inner"])
        [(words, there)] = entrances([f"pid:{process.pid}//inner"])
        assert (words, there) == (("nsenter", f"--net=/proc/{process.pid}/root/run/netns/inner"), True)
        process.stdout.close()
        return found
    finally:
        process.kill()
        process.wait()


def test_a_namespace_inside_a_container(lab: Lab) -> None:
    inner, typo, evil, outside = lab.call(inner_namespace)
    assert inner.namespace.endswith("//inner")
    assert "Did you mean inner?" in typo
    assert "cannot open" in evil
    assert outside.startswith("UnknownName")


def test_a_destination_may_be_a_host_name(lab: Lab) -> None:
    local, typo = lab.call(resolved, ["localhost:80", "rde"], None, "red")
    assert (local.namespace, local.host_name, local.port) == (None, "localhost", 80)
    assert local.address in ("127.0.0.1", "::1")
    assert "Did you mean red?" in typo


def test_a_namespace_inside_a_container_that_ends_meanwhile() -> None:
    """The number of its process may be another container's, which has a /run/netns as well."""
    child = subprocess.Popen(["sleep", "100"])
    outer = Found("pid", "c1", f"/proc/{child.pid}/ns/net", child.pid)
    red = inside_of(outer, Found("netns", "red", "self/ns/net", beneath="/proc"))
    fds = [os.open("/proc/self/ns/net", os.O_RDONLY) for _ in range(2)]
    try:
        assert red.held(fds[0]) == fds[0]
        child.kill()
        child.wait()
        with pytest.raises(CannotLook, match="pid:c1 has ended meanwhile"):
            red.held(fds[1])
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fds[1])
        with patch.object(netns, "open_all_beneath", lambda places: [os.dup(fds[0]) for _ in places]):
            (result,) = open_each([red])
        assert isinstance(result, CannotLook)
        with patch.object(netns, "open_beneath", lambda *_: os.dup(fds[0])), pytest.raises(CannotLook, match="ended"):
            red.open()
    finally:
        os.close(fds[0])


def spaces() -> tuple[Space, ...]:
    before = descriptors()
    with Machine() as machine:
        found = machine.spaces()
    assert descriptors() == before
    return found


def test_the_list_of_namespaces(lab: Lab) -> None:
    listed = {space.name: space for space in lab.call(spaces)}
    assert {"host", "red", "c1", "c2", "internet"} <= listed.keys()
    eth0 = next(interface for interface in listed["c1"].interfaces if interface.name == "eth0")
    assert (eth0.peer_bridge, eth0.up) == ("docker0", True)
    assert "172.17.0.2/16" in eth0.addresses
    assert eth0.peer is not None
    assert eth0.peer.startswith("host/")
    port = next(interface for interface in listed["host"].interfaces if f"host/{interface.name}" == eth0.peer)
    assert (port.peer, port.bridge) == ("c1/eth0", "docker0")
    assert listed["red"].names == ("netns:red",)
    assert listed["red"].typed == "red"
    assert (listed["host"].kind, listed["host"].typed) == ("host", "host")


ASK = "from netprobe.linux.machine import Machine\nwith Machine() as m: print(m.resolve('host').namespace, flush=True); m.resolve('red')"


def test_without_privilege_the_answer_is_what_to_do(lab: Lab) -> None:
    program = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", sys.executable, "-c", ASK]
    done = lab.run(program)
    assert done.stdout == "host\n"  # the own namespace needs none
    assert "NotPermitted: entering another network namespace needs CAP_SYS_ADMIN" in done.stderr


def test_names_are_in_the_order_in_which_people_count() -> None:
    names = ["c10", "c2", "10", "9", "c", "c2b10", "c2b9", "C1", "", "c02"]
    assert sorted(names, key=natural) == ["", "9", "10", "C1", "c", "c02", "c2", "c2b9", "c2b10", "c10"]
    assert natural("9" * 255) > natural("9" * 254)


def turned_in() -> list[list[str]]:
    """In the lab: those of some namespaces from which nothing leads out."""
    for line in (
        "netns add dbl1", "netns add dbl2", "netns add dbl3", "-n dbl1 link add in0 type veth peer name in1",
        "-n dbl2 link add out0 type veth peer name out1 netns dbl1",
    ):  # fmt: skip
        subprocess.run(["ip", *line.split()], check=True)
    before = readable()
    subprocess.run(["ip", "-n", "dbl2", "link", "del", "out0"], check=True)
    return [before, readable()]


def readable() -> list[str]:
    with Machine() as machine:
        return sorted(name for name in machine.read(Snapshot(), [FindBare("host")]).namespaces if name.startswith("dbl"))


def test_a_cable_with_both_ends_in_one_namespace_leads_not_out_of_it(fresh_lab: Lab) -> None:
    """So a container stands alone whose host's end was moved to it."""
    assert fresh_lab.call(turned_in) == [["dbl3"], ["dbl1", "dbl2", "dbl3"]]
