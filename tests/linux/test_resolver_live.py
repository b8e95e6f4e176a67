"""Host names, resolved with the files of the namespace that asks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from netprobe.errors import CannotLook, WrongQuestion
from netprobe.lab.lab import Lab
from netprobe.linux import netns
from netprobe.linux.names import resolver

pytestmark = pytest.mark.lab


def looked_up(name: str, files: dict[str, bytes], namespace: str = "red") -> tuple[Any, bytes]:
    """The addresses, or the error, and the machine's own /etc/hosts afterwards."""
    fd = netns.open_namespace(f"/run/netns/{namespace}")
    try:
        return resolver.addresses_of(name, fd, None, files), Path("/etc/hosts").read_bytes()
    except (CannotLook, WrongQuestion) as error:
        return type(error).__name__, Path("/etc/hosts").read_bytes()
    finally:
        os.close(fd)


def test_host_names_are_resolved_with_the_namespaces_own_files(lab: Lab) -> None:
    own = Path("/etc/hosts").read_bytes()
    files = {"/etc/hosts": b"10.9.8.7 service.example\n", "/etc/resolv.conf": b"nameserver 127.0.0.1\n"}
    assert lab.call(looked_up, "service.example", files) == (("10.9.8.7",), own)
    assert lab.call(looked_up, "other.example", files) == ("NoNameServer", own)  # nothing in red listens on port 53


def test_a_silent_name_server_is_not_waited_for_long(lab: Lab) -> None:
    files = {"/etc/hosts": b"", "/etc/resolv.conf": b"nameserver 10.0.77.77\noptions timeout:9 attempts:1\n"}
    assert lab.call(looked_up, "slow.example", files)[0] == "NoNameServer"


def hint(files: dict[str, bytes]) -> str:
    fd = netns.open_namespace("/run/netns/red")
    try:
        resolver.addresses_of("other.example", fd, None, files, "red")
    except resolver.NoNameServer as silent:
        return silent.hint
    finally:
        os.close(fd)
    return ""


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (b"search x\n nameserver 127.0.0.1 \nnameserver 10.0.0.9\n", ": netprobe trace -p udp -P 53 red 127.0.0.1"),
        (b"nameserver ::1\n", ": netprobe trace -p udp -P 53 red ::1"),
    ],
)
def test_the_command_that_tells_why_no_name_server_answers(lab: Lab, server: bytes, said: str) -> None:
    assert lab.call(hint, {"/etc/hosts": b"", "/etc/resolv.conf": server}).endswith(said)


@pytest.mark.parametrize(
    "server", [b"", b"nameserver", b"nameserver $(reboot)\n", b"nameserver \xff\n", b"nameserver 1\0\n", b"#nameserver 10.0.0.1\n"]
)
def test_what_is_no_name_server_is_not_asked(server: bytes) -> None:
    assert resolver.name_server({"/etc/hosts": b"", "/etc/resolv.conf": server}) is None


def test_files_of_a_namespace(tmp_path: Path) -> None:
    own = netns.own_identity()
    found = resolver.files_of("red", os.getpid(), own)
    assert found["/etc/hosts"] == Path("/etc/hosts").read_bytes()
    assert resolver.files_of("../../tmp", None, own) == {}


def test_a_process_of_another_namespace_has_no_files_for_it() -> None:
    assert resolver.files_of("red", os.getpid(), (0, 0)) == {}
    assert resolver.files_of("red", 4194305, netns.own_identity()) == {}


def test_a_process_that_ends_meanwhile_has_no_files() -> None:
    """Its number may have been another's when they were read."""
    child = subprocess.Popen(["sleep", "100"])

    def read(*_: object) -> dict[str, bytes]:
        child.kill()
        child.wait()
        return {"/etc/hosts": b"10.0.0.1 web"}

    with patch.object(resolver, "_read", read):
        assert resolver.files_of("red", child.pid, netns.own_identity()) == {}
