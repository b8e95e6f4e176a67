"""What the live tests share."""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

import netprobe


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Programs of the tests find netprobe compiled: a lab's ordinary user may not write that down, and would compile it every time."""
    compileall.compile_dir(Path(netprobe.__file__).parent, quiet=2)
