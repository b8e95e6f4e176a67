"""Entering namespaces: where the thread is, what it sees there, and that it always comes back."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from threading import Thread

import pytest

from netprobe.errors import CannotLook
from netprobe.lab.lab import Lab
from netprobe.linux import netns
from netprobe.linux.tables import sysctl


def test_what_is_no_namespace(tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    stale.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (stale, pipe, tmp_path, "/proc/self/ns/uts", "/dev/null"):
        with pytest.raises(CannotLook, match="is not a network namespace"):
            netns.open_namespace(str(path))
    with pytest.raises(CannotLook, match=r"red.*No such file"):
        netns.open_namespace(str(tmp_path / "missing"), "red")


def test_links_are_not_followed_beneath_a_foreign_root(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "leaf").symlink_to("/proc/self/ns/net")
    (tmp_path / "way").symlink_to("/proc/self/ns")
    for path in ("run/leaf", "way/net", "run/missing"):
        with pytest.raises(CannotLook, match="c1//red"):
            netns.open_beneath(str(tmp_path), path, "c1//red")
    with pytest.raises(CannotLook):  # even what /proc shows of a namespace is a link
        netns.open_beneath("/proc/self", "ns/net", "own")


def descriptors() -> set[str]:
    return {entry.name for entry in os.scandir("/proc/self/fd")}


def test_nothing_stays_open(tmp_path: Path) -> None:
    (tmp_path / "stale").touch()
    before = descriptors()
    for path in (tmp_path / "stale", tmp_path / "missing"):
        with pytest.raises(CannotLook), netns.inside(str(path)):
            raise AssertionError("the block must not run")
    with netns.inside(netns.OWN):
        pass
    assert descriptors() == before


def names_here() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def visits() -> dict[str, object]:
    """In the lab, from `host`: where a thread is before, inside and after, and what /proc/sys shows there."""
    home = netns.own_identity()
    found: dict[str, object] = {"before": names_here()}
    with netns.inside("/run/netns/red"):
        found["inside"] = names_here()
        found["forwarding inside"] = sysctl.read(["net.ipv4.ip_forward"])["net.ipv4.ip_forward"]
        with netns.inside("/run/netns/c1"):
            found["cookie of c1"] = netns.cookie()
        found["cookie of red"] = netns.cookie()
        assert names_here() == found["inside"]
    found["forwarding after"] = sysctl.read(["net.ipv4.ip_forward"])["net.ipv4.ip_forward"]
    with pytest.raises(KeyError), netns.inside("/run/netns/red"):
        raise KeyError("an error inside")
    found["back"] = netns.own_identity() == home
    return found


@pytest.mark.lab
def test_inside_and_back(lab: Lab) -> None:
    found = lab.call(visits)
    assert found["inside"] == ["lo", "eth0"]
    assert "veth0" in found["before"]
    assert (found["forwarding inside"], found["forwarding after"]) == ("0", "1")
    assert found["back"]
    assert found["cookie of red"] != found["cookie of c1"]


def visits_of_a_thread() -> tuple[dict[str, object], list[str]]:
    results: list[dict[str, object]] = []
    with netns.inside("/run/netns/c2"):
        # a thread is born where its parent is, and moves without it
        thread = Thread(target=lambda: results.append(from_home()))
        thread.start()
        thread.join()
        return results[0], names_here()


def from_home() -> dict[str, object]:
    with netns.inside("/proc/1/ns/net"):
        return visits()


@pytest.mark.lab
def test_threads_move_alone(lab: Lab) -> None:
    found, names_of_the_main_thread = lab.call(visits_of_a_thread)
    assert (found["forwarding inside"], found["forwarding after"]) == ("0", "1")
    assert found["back"]
    assert names_of_the_main_thread == ["lo", "eth0"]
