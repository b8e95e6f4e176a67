"""The pytest plugin: the fixture `netprobe`, and files of expectations as tests.

    def test_c1_reaches_c2(netprobe):
        assert netprobe.ping("c1", "c2")

pytest loads this file in every run where netprobe is installed (entry point `pytest11`), so it imports
nothing heavy: the first question does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .asking import Netprobe

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Netprobe"]

_ASKING = pytest.StashKey[Netprobe]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, all of which begin with --netprobe."""
    group = parser.getgroup("netprobe", "connectivity between network namespaces")
    group.addoption(
        "--netprobe-require",
        action="store_true",
        help="Fail, instead of skip, what lacks the privilege to look into a namespace.",
    )
    group.addoption(
        "--netprobe-host", metavar="NS", help="The namespace that `host` names (default: pytest's own)."
    )
    group.addoption(
        "--netprobe-captures", metavar="DIR", help="Keep the capture of each question in this folder."
    )


def pytest_configure(config: pytest.Config) -> None:
    """One for the whole run; nothing is opened before the first question."""
    config.stash[_ASKING] = Netprobe(
        config.getoption("--netprobe-host"),
        config.getoption("--netprobe-captures"),
        config.getoption("--netprobe-require"),
    )


@pytest.fixture(scope="session")
def netprobe(pytestconfig: pytest.Config) -> Netprobe:
    """The functions of `import netprobe`: `assert netprobe.ping("c1", "c2")`.

    Skips the test without the privilege to look (unless --netprobe-require). A test that fails shows the last
    answers.
    """
    return pytestconfig.stash[_ASKING]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """`*.netprobe.yaml`: each expectation in it is a test."""
    if not file_path.name.endswith((".netprobe.yaml", ".netprobe.yml")):
        return None
    from .items import ExpectationFile

    asking = parent.config.stash[_ASKING]
    found: pytest.Collector = ExpectationFile.from_parent(parent, path=file_path, asking=asking)
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What is asked from here on is asked by this test."""
    item.config.stash[_ASKING].begin(item.nodeid)


@pytest.hookimpl(hookwrapper=True)  # pluggy before 1.2 knows no other wrappers
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test that fails shows what it asked last; the causes are its properties in JUnit XML."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        asking = item.config.stash[_ASKING]
        report.sections.extend(asking.sections())
        found = [each for each in asking.properties() if each not in item.user_properties]
        item.user_properties.extend(found)  # JUnit takes those of the teardown's report, made after this one
        report.user_properties.extend(found)
