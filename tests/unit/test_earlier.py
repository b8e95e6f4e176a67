"""The earlier run that a folder of captures holds: of the same question, asked in the same way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from fuzzing.recorded_world import RecordedMachine
from msgspec.structs import replace
from networks import tutorial
from test_repair_whole import after

from netprobe.earlier import RunsOfFolder
from netprobe.engine import ask
from netprobe.model import Probe, Protocol
from netprobe.question import Question
from netprobe.saved import load

GOOD = Path(__file__).resolve().parents[2] / "captures/samples/trace-red-8.8.8.8.pcapng"
PROBE = load(str(GOOD))[0].probe


@pytest.fixture
def folder(tmp_path: Path) -> str:
    shutil.copy(GOOD, tmp_path / "20260101-000000-000000-trace-red-8.8.8.8.pcapng")
    return str(tmp_path)


def sent_from(address: str | None, probe: Probe = PROBE) -> Probe:
    return replace(probe, source=replace(probe.source, address=address))


@pytest.mark.parametrize("command", ["trace", "ping", "why"])
@pytest.mark.parametrize("probe", [PROBE, sent_from(None), replace(PROBE, count=9, token="7", timeout_ns=7)])
def test_the_same_question_finds_it(folder: str, command: str, probe: Probe) -> None:
    """Who names no source has the one that was chosen: that another one is chosen now may be the change."""
    assert RunsOfFolder(folder).find(command, probe) is not None


@pytest.mark.parametrize(
    "otherwise",
    [
        {"ttl": 1},
        {"df": True},
        {"size": 1400},
        {"mark": 7},
        {"uid": 7},
        {"reused": True, "source_port": 53},
        {"protocol": Protocol.TCP},
        {"destination": replace(PROBE.destination, address="2001:4860:4860::8888")},
        {"source": replace(PROBE.source, address="10.9.9.9")},
    ],
    ids=lambda each: ", ".join(each),
)
def test_what_is_asked_otherwise_has_not_worked_before(folder: str, otherwise: dict[str, Any]) -> None:
    assert RunsOfFolder(folder).find("trace", replace(PROBE, **otherwise)) is None


def test_another_command_is_another_question(folder: str) -> None:
    assert RunsOfFolder(folder).find("arping", PROBE) is None


class Noted:
    """Of which source an earlier run was looked for."""

    def __init__(self) -> None:
        self.sources: list[str | None] = []

    def check(self, _command: str, _probe: Probe) -> None:
        """Fits."""

    def find(self, _command: str, probe: Probe) -> None:
        """None, of the source that was named."""
        self.sources.append(probe.source.address)


@pytest.mark.parametrize("named", [None, "10.0.0.2", "10.9.9.9"])
def test_it_is_looked_for_as_the_question_was_written(named: str | None) -> None:
    noted, machine = Noted(), RecordedMachine()
    machine.whole = after(tutorial(), "red: ip route del default")
    ask(machine, Question("red", "8.8.8.8", "why", source_address=named, send=False), noted)
    assert noted.sources == [named]
