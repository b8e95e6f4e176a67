"""Labs of hosts with an sshd each, for the tests of this folder.

def test_x(hosts):            two hosts, h1 and h2, shared: leave them as you found them
def test_x(make_hosts):       make_hosts(3, sshd={"h2": ("SetEnv PATH=/nowhere",)}): others, to break
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from open_labs import open_hosts

from netprobe.lab.hosts import HostsLab


@pytest.fixture(scope="session")
def hosts() -> Iterator[HostsLab]:
    with open_hosts(2) as opened:
        yield opened


@pytest.fixture
def make_hosts() -> Iterator[Callable[..., HostsLab]]:
    with ExitStack() as stack:
        yield lambda count=2, **options: stack.enter_context(open_hosts(count, **options))
