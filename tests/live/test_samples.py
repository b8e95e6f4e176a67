"""The committed samples: anybody can look at them, today's diagnosis of them is that of the day, and a script makes them anew."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from dumps import TSHARK, tshark

from netprobe.engine import replay
from netprobe.model import Report
from netprobe.render.pcapng import read
from netprobe.saved import load

PROJECT = Path(__file__).parents[2]
SAMPLES = sorted((PROJECT / "captures" / "samples").glob("*.pcapng"))
EXPECTED = {"trace-red-8.8.8.8": 0, "arping-c1-c2": 0, "no-masquerade": 1}


def essence(report: Report) -> tuple[object, ...]:
    """What a report says, without its times and its wording."""
    ways = [[hop.place for hop in way] for way in (report.path.request, report.path.reply)]
    return report.command, report.verdict, report.direction, [(cause.code, cause.place) for cause in report.causes], ways


def test_there_are_samples() -> None:
    assert {path.stem for path in SAMPLES} == EXPECTED.keys()
    assert all(path.stat().st_size < 65536 for path in SAMPLES)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_shown(path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "netprobe", "show", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (EXPECTED[path.stem], "")
    assert ("error[nat-missing]" in done.stdout) is (path.stem == "no-masquerade")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_means_today_what_it_meant(path: Path) -> None:
    report, run = load(str(path))
    assert run is not None
    assert essence(replay(run).report) == essence(report)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_tells_nothing_of_the_machine_it_was_made_on(path: Path) -> None:
    capture = read(path.read_bytes())
    text = (capture.run or b"").decode() + capture.comment
    assert re.findall(r"/(?:root|home|tmp|work|usr|opt|srv|var)\b[^\"]*", text) == []
    assert (capture.application, capture.system, capture.hardware) == ("netprobe", "Linux", "")


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_tshark_reads_a_sample(path: Path) -> None:
    frames = tshark(path)
    assert len(frames) == len(read(path.read_bytes()).frames)
    assert all(frame[0] and frame[3] for frame in frames)


@pytest.mark.lab
def test_the_script_makes_them_anew(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(PROJECT / "scripts" / "samples"), str(tmp_path)], check=True, capture_output=True)
    for path in SAMPLES:
        assert essence(load(str(tmp_path / path.name))[0]) == essence(load(str(path))[0])
