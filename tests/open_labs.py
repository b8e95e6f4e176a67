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
