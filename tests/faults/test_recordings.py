"""Every recording, diagnosed again without a kernel: the same answer as in the live lab, and the right one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faults.diagnosis import diagnosis, everything, expected

from netprobe import codec
from netprobe.engine import replay
from netprobe.lab.faults import FAULTS, Fault
from netprobe.model import Leg
from netprobe.render.marks import Fate, hops, marks
from netprobe.render.rows import rows
from netprobe.saved import load

FOLDER = Path(__file__).with_name("recordings")
LARGEST = 30_000  # bytes


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS])
def test_a_recording_is_diagnosed_as_the_lab_was(fault: Fault) -> None:
    """A missing recording is made by scripts/recordings."""
    recorded, run = load(str(FOLDER / f"{fault.name}.pcapng"))
    assert run is not None
    said = json.loads(codec.report_to_json(replay(run).report))
    assert diagnosis(said, fault.expected) == expected(fault.expected), said["summary"]
    assert everything(said) == everything(json.loads(codec.report_to_json(recorded)))


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in FAULTS if fault.expected.verdict == "unreachable"])
def test_nothing_passes_behind_the_loss(fault: Fault) -> None:
    """As people read it: what lies behind is not reached, or was not seen there."""
    _, run = load(str(FOLDER / f"{fault.name}.pcapng"))
    assert run is not None
    report = replay(run).report
    for leg in Leg:
        fates = marks(report, leg)
        behind = fates[fates.index(Fate.LOST) + 1 :] if Fate.LOST in fates else ()
        assert not {Fate.PASSED, Fate.TRANSLATED} & {*behind}
        missed = [mark for hop, mark in zip(hops(report, leg), fates, strict=True) if not hop.reached]
        assert {*missed} <= {Fate.NOT_REACHED}
        assert list(fates[len(fates) - len(missed) :]) == missed
        assert not [row for row in rows(report, leg) if row.mark in (Fate.PASSED, Fate.TRANSLATED) and "not reached" in row.what]


def test_there_is_one_for_each_fault_and_no_other() -> None:
    assert {file.stem for file in FOLDER.glob("*.pcapng")} == {fault.name for fault in FAULTS}


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in sorted(FOLDER.glob("*.pcapng"))])
def test_it_is_small_and_tells_nothing_of_a_machine(file: Path) -> None:
    assert file.stat().st_size <= LARGEST
    _, run = load(str(file))
    assert run is not None
    told = codec.run_to_json(run).decode()
    assert not [path for path in ("/home", "/root", "/work", "/tmp", "/usr/") if path in told]
