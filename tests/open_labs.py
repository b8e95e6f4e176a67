"""Private labs for tests, as root or as an ordinary user."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from identities import identity

from netprobe.errors import NetprobeError
from netprobe.lab import commands
from netprobe.lab.hosts import HostsLab
from netprobe.lab.lab import Lab
from netprobe.lab.topology import Topology
from netprobe.lab.tutorial import TUTORIAL


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


@contextmanager
def open_hosts(count: int = 2, **options: Any) -> Iterator[HostsLab]:
    """A lab of so many hosts with an sshd each; skipped, with the reason, where it cannot be had."""
    missing = [program for program in ("sshd", "ssh", "ssh-keygen", "nsenter") if commands.find(program) is None]
    if missing:
        pytest.skip(f"a lab of hosts needs {', '.join(missing)}: apt-get install openssh-server openssh-client util-linux")
    folder = Path(tempfile.mkdtemp(prefix="netprobe-hosts-"))
    folder.chmod(0o755)  # what runs on a host as an ordinary user starts in it
    try:
        try:
            lab = HostsLab(count, folder=str(folder), environment=identity("root").environment, **options)
        except NetprobeError as error:
            pytest.skip(f"no lab of hosts on this machine: {error}")
        with lab:
            yield lab
    finally:
        shutil.rmtree(folder)
