"""Labs for tests: real namespaces, real packets, in a child process; every lab test runs as root and as an ordinary user.

def test_x(lab):                     the tutorial's network, shared: leave it as you found it
def test_x(fresh_lab):               one of your own, to break: fresh_lab.inject("no-masquerade")
def test_x(make_lab):                make_lab(Topology(...)): any other
def test_x(user):                    no lab, but user.run([...]) as root and as an ordinary user
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import hypothesis
import pytest
from identities import Identity, identity
from open_labs import open_lab

from netprobe.lab.lab import Lab

pytest_plugins = ["engines.fixtures"]  # docker_lab, podman_lab

hypothesis.settings.register_profile("netprobe", deadline=None, database=None)  # no test is timed; the checkout may be read-only
hypothesis.settings.load_profile("netprobe")

# A shell starts what it runs in the background without Ctrl-C, and that is inherited: the programs that tests interrupt would not hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_PRIVILEGES = ["root", "rootless"] if os.geteuid() == 0 else ["rootless"]


def pytest_report_header() -> str:
    """As whom the lab tests run is the first thing to know about a result."""
    return f"labs: {' and '.join(_PRIVILEGES)}" + ("" if "root" in _PRIVILEGES else " (as root they are tested both ways)")


@pytest.fixture(scope="session", params=_PRIVILEGES)
def privilege(request: pytest.FixtureRequest) -> str:
    """As whom the lab is made."""
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
