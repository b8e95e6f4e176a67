"""Readers to which the kernel says no: what they could not read is unread, and a shortage of our own is told as one."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from netprobe.endpoint import parse
from netprobe.errors import CannotLook, NotPermitted, Shortage, WrongQuestion
from netprobe.kernel import close
from netprobe.lab.lab import Lab
from netprobe.linux import files, namespace, netlink, netns
from netprobe.linux.machine import Machine
from netprobe.linux.names import listing, names, resolver
from netprobe.linux.names.names import Found, UnknownName, lookup
from netprobe.linux.names.namespaces import Directory, opened
from netprobe.linux.netfilter.tools import run
from netprobe.linux.sensors import crafter
from netprobe.linux.sensors.crafter import Crafter
from netprobe.linux.tables import bridges, fib, links, neighbours, policy, sockets, sysctl, tc, xfrm
from netprobe.model import AskRoute, AskSet, FindMacvlans, FindPeer, Namespace, ReadNamespace, RouteQuery, SetQuery, Snapshot
from netprobe.predict.unread import PARTS

READERS: dict[str, tuple[Any, str]] = {
    "links": (links, "read_links"), "qdiscs": (tc, "with_traffic_control"), "addresses": (links, "read_addresses"),
    "routes": (fib, "read_routes"), "rules": (policy, "read_rules"), "neighbours": (neighbours, "read_neighbours"),
    "fdb": (neighbours, "read_fdb"), "sysctls": (sysctl, "read_globals"), "sockets": (sockets, "read_sockets"),
    "xfrm": (xfrm, "read_policies"), "asking": (neighbours, "read_asking"), "groups": (bridges, "read_groups"),
}  # fmt: skip
RARE = {"xfrm": "IPsec", "asking": "settings of neighbours"}


def descriptors() -> set[str]:
    return {entry.name for entry in os.scandir("/proc/self/fd")}


def failing(code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def read_own(part: str, code: int) -> Namespace:
    place, reader = READERS[part]
    fd = netns.open_namespace(netns.OWN)
    try:
        with patch.object(place, reader, failing(code)):
            return namespace.read_namespace("own", fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO])
@pytest.mark.parametrize("part", [part for part in READERS if part not in RARE])
def test_a_reader_that_is_refused_leaves_its_part_unread(part: str, code: int) -> None:
    found = read_own(part, code)
    assert found.unread[part] == os.strerror(code)
    assert os.strerror(code) in [spot.why for spot in found.blind]


@pytest.mark.parametrize(("part", "called"), RARE.items())
def test_what_few_packets_meet_and_is_not_ours_to_read_is_a_blind_spot_alone(part: str, called: str) -> None:
    for code in (errno.EPERM, errno.EPROTONOSUPPORT):
        found = read_own(part, code)
        assert part not in found.unread
        assert any(called in spot.what for spot in found.blind)
    assert read_own(part, errno.ENOMEM).unread[part] == os.strerror(errno.ENOMEM)


def test_the_parts_are_those_that_are_read() -> None:
    assert set(namespace.PARTS) == set(READERS) == {*PARTS, "qdiscs"}
    assert set(namespace.unread("red", "why").unread) == set(READERS)


def test_sysctls_that_could_not_be_opened_are_not_absent() -> None:
    with patch.object(files.os, "open", failing(errno.EMFILE)), pytest.raises(OSError, match="Too many open files"):
        sysctl.read(["net.ipv4.ip_forward"])
    with patch.object(files.os, "open", failing(errno.ENOENT)):
        assert sysctl.read(["net.ipv4.ip_forward"]) == {}
        with pytest.raises(OSError, match="cannot be read"):
            sysctl.read_globals()


# what is asked beside


def asked_in_vain() -> tuple[Snapshot, Snapshot]:
    """In the lab: one question of each kind while the kernel gives no socket, and the namespace then."""
    questions = [
        AskRoute("red", RouteQuery(None, "8.8.8.8")), FindPeer("red", 0), FindMacvlans("red", 2),
        AskSet("red", SetQuery("ip", "filter", "banned", ("192.0.2.1",))),
    ]  # fmt: skip
    with Machine() as machine:
        machine.resolve("red")
        snapshot = machine.read(Snapshot(), [ReadNamespace("red")])
        with patch.object(netlink.socket, "socket", failing(errno.EMFILE)):
            return machine.read(snapshot, questions), machine.read(Snapshot(), [ReadNamespace("red")])


@pytest.mark.lab
def test_what_could_not_be_asked_is_no_answer(lab: Lab) -> None:
    asked, read = lab.call(asked_in_vain)
    why = os.strerror(errno.EMFILE)
    assert [each.why for each in (*asked.answers, *asked.peers, *asked.macvlans)] == [why] * 3
    assert asked["red"].ruleset is not None
    assert [(each.member, each.error) for each in asked["red"].ruleset.answers] == [(False, why)]
    assert len(asked.blind) == 3  # a set that could not be asked is told by the rule that asks it
    assert set(read["red"].unread) == set(READERS)
    assert [(spot.what, spot.why) for spot in read["red"].blind] == [("namespace red", why)]


def test_a_namespace_that_cannot_be_opened_for_want_of_descriptors() -> None:
    found = Found("netns", "red", "/proc/self/ns/net")
    with patch.object(files.os, "open", failing(errno.EMFILE)), pytest.raises(Shortage, match="Too many open files"):
        opened(found)
    with patch.object(files.os, "open", failing(errno.ENOENT)):
        assert opened(found) is None
    with patch.object(files.os, "open", failing(errno.EACCES)), pytest.raises(NotPermitted):
        found.open()


def listed(code: int) -> list[str | None]:
    """In the lab: why each namespace of the list could not be read, when the kernel refuses with this code."""
    with Machine() as machine, patch.object(listing, "list_links", failing(code)):
        return [space.blind for space in machine.spaces()]


def test_a_list_of_namespaces_that_were_not_looked_into_is_none(lab: Lab) -> None:
    for code in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        with pytest.raises(Shortage, match=os.strerror(code)):
            lab.call(listed, code)
    assert all(os.strerror(errno.EIO) in (why or "") for why in lab.call(listed, errno.EIO))


def test_a_name_is_unknown_when_it_was_looked_for() -> None:
    with pytest.raises(UnknownName):
        lookup(parse("pid:4194305"), [names.Processes()])
    with patch.object(files.os, "open", failing(errno.EMFILE)), pytest.raises(Shortage) as told:
        lookup(parse("pid:4194305"), [names.Processes()])
    assert isinstance(told.value, CannotLook)
    assert told.value.exit_code == 3


def test_a_host_name_that_could_not_be_looked_up() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    no_thread = patch.object(resolver.Thread, "start", side_effect=RuntimeError("can't start new thread"))
    fd = netns.open_namespace(netns.OWN)
    before = descriptors()
    try:
        with patch.object(resolver.socket, "getaddrinfo", side_effect=unknown):
            with pytest.raises(WrongQuestion, match="Name or service not known"):
                resolver.addresses_of("nowhere.example", fd)
            with patch.object(files.os, "open", failing(errno.EMFILE)), pytest.raises(CannotLook, match="Too many open files"):
                resolver.addresses_of("nowhere.example", fd)
            with no_thread, pytest.raises(Shortage, match="thread"):
                resolver.addresses_of("nowhere.example", fd)
        assert descriptors() == before
    finally:
        os.close(fd)


def test_sockets_are_let_go_of_without_a_descriptor_to_spare() -> None:
    before = descriptors()
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    with patch.object(close.socket, "socketpair", failing(errno.EMFILE)):
        close.release(sockets)
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(5)
    assert descriptors() == before


def test_a_namespace_that_cannot_be_named_is_let_go_of() -> None:
    before = descriptors()
    directory = Directory()
    try:
        held = descriptors()
        with patch.object(directory, "titles", failing(errno.EMFILE)), pytest.raises(OSError, match="Too many"):
            directory.adopt(os.open("/proc/self/ns/net", os.O_RDONLY), Found("pid", "1", "/proc/self/ns/net"))
        assert descriptors() == held
    finally:
        directory.close()
    assert descriptors() == before


# processes


def test_a_tool_that_cannot_be_started() -> None:
    fd = netns.open_namespace(netns.OWN)
    before = descriptors()
    calls = ((subprocess, "Popen", errno.EAGAIN), (os, "memfd_create", errno.EMFILE), (os, "pidfd_open", errno.EMFILE))
    try:
        for place, call, code in calls:
            with patch.object(place, call, failing(code)):
                printed = run(fd, {"some": ["cat", "/dev/null"]})
            assert printed["some"].error == f"cat could not be started: {os.strerror(code)}"
        assert descriptors() == before
    finally:
        os.close(fd)


def test_without_a_worker_packets_are_crafted_here() -> None:
    before = descriptors()
    pipes = [os.pipe, failing(errno.EMFILE)]
    for patched in (patch.object(crafter.os, "fork", failing(errno.EAGAIN)), patch.object(crafter.os, "pipe", lambda: pipes.pop(0)())):
        with patched, Crafter() as none:
            assert none._streams is None
    assert descriptors() == before
