"""Labs of hosts with an sshd each, for the tests of this folder.

def test_x(hosts):            two hosts, h1 and h2, shared: leave them as you found them
def test_x(make_hosts):       make_hosts(3, sshd={"h2": ("SetEnv PATH=/nowhere",)}): others, to break
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fleet import hostile
from fleet.agents import within
from open_labs import open_hosts

from netprobe.fleet.pulse import PULSE
from netprobe.lab.hosts import HostsLab


@pytest.fixture(scope="session")
def hosts() -> Iterator[HostsLab]:
    with open_hosts(2) as opened:
        yield opened


@pytest.fixture
def make_hosts() -> Iterator[Callable[..., HostsLab]]:
    with ExitStack() as stack:
        yield lambda count=2, **options: stack.enter_context(open_hosts(count, **options))


@pytest.fixture(autouse=True)
def _played_hosts_go() -> Iterator[None]:
    yield
    while hostile.PLAYED:
        hostile.PLAYED.pop().close()


@pytest.fixture(autouse=True, scope="module")
def _no_connection_stays() -> Iterator[None]:
    """A connection that a file leaves open would be found by the next one, or by none, as the files are shared out."""
    yield
    assert within(5, lambda: not PULSE._members), [getattr(each, "host", each) for each in PULSE._members]
