"""pytest with the plugin, run by tests: in a process of its own, inside a lab, and by an ordinary user."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from identities import identity
from junitparser import JUnitXml, Properties

from netprobe.lab.lab import Lab

PROJECT = Path(__file__).parents[2]
PLUGIN = "netprobe.pytest_plugin"
INSTALLED = any(each.value == PLUGIN for each in entry_points(group="pytest11"))
LOADED = [] if INSTALLED else ["-p", PLUGIN]  # of a checkout that was installed before there was a plugin
PLAIN = ["-c", "/dev/null", "-p", "no:cacheprovider"]


def run(where: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """pytest in a process of its own: in this one its modules would come and go."""
    return where.runpytest_subprocess(*LOADED, "--strict-config", "--strict-markers", *arguments)


def pytest_in(lab: Lab, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a folder inside a lab, as the lab's user."""
    there = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(folder)]
    return lab.run([*there, sys.executable, "-m", "pytest", *LOADED, *PLAIN, "--rootdir", ".", "--basetemp", "made", *arguments])


def as_nobody(folder: Path, *arguments: str) -> str:
    """What pytest tells an ordinary user, outside of any lab."""
    command = [sys.executable, "-m", "pytest", *LOADED, *PLAIN, "-p", "no:tmpdir", "--rootdir", str(folder), "-rs"]
    return identity("rootless").run([*command, *arguments, str(folder)]).stdout


@contextmanager
def readable() -> Iterator[Path]:
    """A folder that everybody can read; pytest's own belong to who started it."""
    with tempfile.TemporaryDirectory(prefix="netprobe-plugin-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def properties_in(file: Path) -> dict[str, list[tuple[str, str]]]:
    """The properties of each test in a JUnit report."""
    cases = [case for suite in JUnitXml.fromfile(str(file)) for case in suite]
    return {case.name: [(each.name, each.value) for found in case.iterchildren(Properties) for each in found] for case in cases}
