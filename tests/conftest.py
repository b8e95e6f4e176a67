"""Labs for tests: real namespaces, real packets, in a child process; every lab test runs as root and as an ordinary user.

def test_x(lab):                     the tutorial's network, shared: leave it as you found it
def test_x(fresh_lab):               one of your own, to break: fresh_lab.inject("no-masquerade")
def test_x(make_lab):                make_lab(Topology(...)): any other
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import netprobe
from netprobe.errors import NetprobeError
from netprobe.lab.lab import Lab
from netprobe.lab.topology import Topology
from netprobe.lab.tutorial import TUTORIAL

_PROJECT = Path(netprobe.__file__).resolve().parents[1]
_AS_NOBODY = Path(__file__).with_name("as_nobody.py")


@dataclass(frozen=True)
class Identity:
    """As whom something is started: what to put before its command line, and its environment."""

    launcher: tuple[str, ...]
    environment: dict[str, str]

    def run(self, argv: Sequence[str], folder: str | Path = "/", text: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, outside of any lab. The project's netprobe can be imported."""
        environment = {**os.environ, "PYTHONPATH": str(_PROJECT), **self.environment}
        return subprocess.run(
            [*self.launcher, *argv], env=environment, cwd=folder, input=text, capture_output=True, text=True, timeout=timeout, check=False
        )


def identity(privilege: str) -> Identity:
    """Root as it is; an ordinary user as it is, or nobody (without a home) when pytest is root."""
    bin_folder = str(Path(sys.executable).parent)
    environment = {"PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "PYTHONDONTWRITEBYTECODE": "1"}
    if privilege == "root" or os.geteuid() != 0:
        return Identity((), environment)
    seen = dict.fromkeys([sys.prefix, sys.base_prefix, str(_PROJECT)])
    return Identity((sys.executable, str(_AS_NOBODY), *seen, "--"), {**environment, "HOME": "/nonexistent", "PYTHONPATH": str(_PROJECT)})


@contextmanager
def open_lab(privilege: str, topology: Topology = TUTORIAL, **options: Any) -> Iterator[Lab]:
    """A lab as "root" or "rootless"; skipped, with the reason, where it cannot be had. Its folder is /tmp/netprobe-lab-*, open to all."""
    folder = Path(tempfile.mkdtemp(prefix="netprobe-lab-"))
    folder.chmod(0o777)  # the rootless lab of a root pytest writes there as nobody
    user = identity(privilege)
    given = {"rootless": privilege == "rootless", "folder": str(folder), "launcher": user.launcher, "environment": user.environment}
    try:
        try:
            lab = Lab(topology, **{**given, **options})
        except NetprobeError as error:
            pytest.skip(f"no {privilege} lab on this machine: {error}")
        with lab:
            yield lab
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session", params=["root", "rootless"])
def privilege(request: pytest.FixtureRequest) -> str:
    """As whom the lab is made. Both, when pytest is root; else rootless only."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("a lab as root needs root; the rootless one runs")
    return str(request.param)


@pytest.fixture(scope="session")
def user(privilege: str) -> Identity:
    """user.run(argv): a program outside of any lab, as the user of `privilege`."""
    return identity(privilege)


@pytest.fixture(scope="session")
def lab(privilege: str) -> Iterator[Lab]:
    """The tutorial's network, one for all tests: do not change it."""
    with open_lab(privilege) as opened:
        yield opened


@pytest.fixture
def fresh_lab(privilege: str) -> Iterator[Lab]:
    """The tutorial's network, for this test alone: break it."""
    with open_lab(privilege) as opened:
        yield opened


@pytest.fixture
def make_lab(privilege: str) -> Iterator[Callable[..., Lab]]:
    """make_lab(topology, engine=...) gives a lab of any topology; it ends with the test."""
    with ExitStack() as stack:
        yield lambda topology, **options: stack.enter_context(open_lab(privilege, topology, **options))
