"""Hosts that cannot be asked: what is said, where, what to do next, and the exit code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netprobe.lab.hosts import HostsLab

pytestmark = pytest.mark.lab


def ls(lab: HostsLab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return lab.run(["netprobe", "ls", "-q", "--ssh-config", lab.ssh_config, *arguments], timeout=60)


@pytest.fixture(scope="module")
def broken() -> HostsLab:
    """h1 is well; h2 has no Python, h3 lets nobody in, h4 has another key than ssh knows, h5 is switched off."""
    from open_labs import open_hosts

    odd = {"h2": ("SetEnv PATH=/nowhere",), "h3": ("DenyUsers root",)}
    with open_hosts(5, sshd=odd) as lab:
        known = Path(lab.folder, "known_hosts")
        lines = known.read_text().splitlines(keepends=True)
        lines[3] = lines[3].replace(lines[3].split()[2], lines[0].split()[2])
        known.write_text("".join(lines))
        lab.power_off("h5")
        yield lab


@pytest.mark.parametrize(
    ("host", "said", "next_step"),
    [
        ("h2", "python", "Install python3"),
        ("h3", "Permission denied", "must work without a question"),
        ("h4", "key", "ssh-keygen -R"),
        ("h5", "", "Look whether this works"),
        ("h9", "", "Look whether this works"),
        ("guest@h1", "may not", "--become"),
    ],
)
def test_a_host_that_cannot_be_asked_says_why_and_what_helps(broken: HostsLab, host: str, said: str, next_step: str) -> None:
    done = ls(broken, "-H", host)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert host.removeprefix("guest@") in done.stderr
    assert said in done.stderr
    assert next_step in done.stderr
    assert "Traceback" not in done.stderr


def test_the_others_are_asked_all_the_same(broken: HostsLab) -> None:
    done = ls(broken, "-H", "h1,h2,h3")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"h1:host", "h1:red", "h1:blue"}
    assert "h2 could not be asked" in done.stderr
    assert "h3 could not be asked" in done.stderr


def test_who_is_asked_and_cannot_answer_is_said_with_what_helps(broken: HostsLab) -> None:
    done = broken.run(["netprobe", "why", "-H", "h1,h2", "--ssh-config", broken.ssh_config, "h2:red", "h1:red"], timeout=60)
    assert done.returncode == 3, done.stdout
    assert "h2" in done.stderr
    assert "Install python3" in done.stderr


@pytest.mark.parametrize(
    ("source", "said", "next_step"),
    [
        ("h1:nope", "h1: there is no namespace or container nope", "`netprobe ls -H h1`"),
        ("h3:red", "h3 is none of the hosts that are given", "Add it: -H h3"),
        ("h1", "h1 is a host", "h1:host"),
        ("nope", "there is no namespace or container nope", "`netprobe ls`"),
    ],
)
def test_an_endpoint_that_is_none_says_on_which_host(hosts: HostsLab, source: str, said: str, next_step: str) -> None:
    done = hosts.run(["netprobe", "why", "-H", "h1", "--ssh-config", hosts.ssh_config, source, "h1:red"], timeout=60)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert next_step in done.stderr


@pytest.mark.skipif(shutil.which("sudo") is None, reason="sudo is not installed: apt-get install sudo")
def test_one_who_may_become_root_by_sudo_and_one_who_may_not(hosts: HostsLab) -> None:
    done = ls(hosts, "-H", "guest@h1,asked@h2", "--become")
    assert set(done.stdout.split()) == {"h1:host", "h1:red", "h1:blue"}, done.stderr
    assert "h2 could not be asked" in done.stderr
    done = ls(hosts, "-H", "asked@h2", "--become")
    assert done.returncode == 3
    assert "password" in done.stderr
    assert "NOPASSWD" in done.stderr


def test_without_mitogen_the_package_is_named(hosts: HostsLab) -> None:
    program = (
        "import sys, importlib.util as u; sys.modules['mitogen'] = None; f = u.find_spec;"
        " u.find_spec = lambda name, *a: None if name == 'mitogen' else f(name, *a);"
        " from netprobe.cli import run_line; sys.exit(run_line(['ls', '-H', 'h1']))"
    )
    done = hosts.run([sys.executable, "-c", program])
    assert done.returncode == 3
    assert "pip install 'netns-netprobe[fleet]'" in done.stderr


@pytest.mark.parametrize("words", [["--become"], ["--ssh-config", "x"], ["-H", "h1", "--hosts", "none"], ["-H", "-x"]])
def test_what_cannot_be_asked_is_a_wrong_question(user: Callable[..., object], words: list[str]) -> None:
    done = user.run([sys.executable, "-m", "netprobe", "ls", *words])  # type: ignore[attr-defined]
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
def test_a_configuration_of_ssh_that_is_not_there_is_no_lack_of_a_host(user: Callable[..., object]) -> None:
    done = user.run([sys.executable, "-m", "netprobe", "ls", "-H", "h1", "--ssh-config", "/none"])  # type: ignore[attr-defined]
    assert done.returncode == 3
    assert "/none: No such file or directory\n  Look whether this works: ssh -F /none h1 true" in done.stderr
