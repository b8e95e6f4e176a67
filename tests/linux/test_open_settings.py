"""Files of /proc/sys that stay open between questions: what they say is of now and of their namespace, and they are few."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from netprobe.lab.lab import Lab
from netprobe.linux import files, netns
from netprobe.linux.machine import Machine
from netprobe.linux.open_settings import NAMESPACES, OpenSettings
from netprobe.linux.tables import sysctl
from netprobe.model import ReadNamespace, Snapshot

FORWARD = "net.ipv4.ip_forward"


def descriptors() -> set[str]:
    return {entry.name for entry in os.scandir("/proc/self/fd")}


def test_a_file_is_opened_once() -> None:
    held: dict[str, int] = {}
    try:
        first = sysctl.read_globals(held)
        with patch.object(files.os, "open", side_effect=FileNotFoundError(2, "not again")):
            assert sysctl.read_globals(held) == first
    finally:
        for fd in held.values():
            os.close(fd)


def test_one_that_says_nothing_any_more_is_opened_anew() -> None:
    """So it is of a module that was unloaded."""
    held: dict[str, int] = {}
    path = "/proc/sys/net/ipv4/ip_forward"
    held[path] = os.open("/proc/self", os.O_RDONLY)  # which cannot be read
    try:
        assert sysctl.read([FORWARD], held)[FORWARD] in ("0", "1")
        assert Path(f"/proc/self/fd/{held[path]}").readlink() == Path(path)
    finally:
        os.close(held[path])


def test_where_descriptors_are_scarce_none_stays_open() -> None:
    before, held = descriptors(), dict[str, int]()
    with patch.object(files.resource, "getrlimit", return_value=(6, 6)):
        found = sysctl.read_globals(held)
    assert found == sysctl.read_globals()
    assert held == {}
    assert descriptors() == before


def test_who_looks_at_many_namespaces_holds_none_open() -> None:
    before, settings = descriptors(), OpenSettings()
    assert settings.of(0) is None  # a kernel that gives no cookies
    for cookie in range(1, NAMESPACES + 1):
        held = settings.of(cookie)
        assert held is not None
        sysctl.read([FORWARD], held)
        assert settings.of(cookie) is held
    assert len(descriptors()) == len(before) + NAMESPACES
    assert settings.of(NAMESPACES + 1) is None
    assert settings.of(1) is None
    assert descriptors() == before


def _changing() -> list[tuple[str, str]]:
    """In the lab: forwarding of two namespaces, read before and after it was changed from elsewhere."""
    before, found = descriptors(), []
    with Machine() as machine:
        machine.resolve("red")
        machine.resolve("host")
        for value in ("1", "0", "1"):
            with netns.inside("/run/netns/red"), open("/proc/sys/net/ipv4/ip_forward", "w") as file:
                file.write(value)
            read = machine.read(Snapshot(), [ReadNamespace("red"), ReadNamespace("host")])
            found.append((read["red"].sysctl(FORWARD), read["host"].sysctl(FORWARD)))
        assert len(descriptors()) > len(before) + 100
    assert descriptors() == before
    return found


@pytest.mark.lab
def test_what_is_held_open_says_what_holds_now(fresh_lab: Lab) -> None:
    assert fresh_lab.call(_changing) == [("1", "1"), ("0", "1"), ("1", "1")]
