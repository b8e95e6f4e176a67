"""What is read of a file has a size, whatever the file says; and what netprobe writes has it, too."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from netprobe import limits
from netprobe.codec import report_to_json, run_to_json
from netprobe.errors import WrongQuestion
from netprobe.limits import LARGEST_BYTES, MOST_OBJECTS, MOST_VALUES, excess
from netprobe.model import Run
from netprobe.render import pcapng_blocks
from netprobe.render.pcapng_blocks import Capture, read, write
from netprobe.saved import load, save

PROJECT = Path(__file__).parents[2]
SAMPLE = PROJECT / "captures/samples/trace-red-8.8.8.8.pcapng"
MEASURED = """
import re, sys
from netprobe.cli import run_line
code = run_line(sys.argv[1:])
print(code, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


def shown(file: str, **options: Any) -> tuple[int, int, str]:
    """Exit code, peak of memory in MB, and stderr of `netprobe show` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "show", file], capture_output=True, text=True, cwd=PROJECT, check=True, **options
    )
    code, megabytes = done.stdout.split()[-2:]
    return int(code), int(megabytes), done.stderr


def bomb(packed: bytes) -> bytes:
    """A capture whose run is these bytes, as they are."""
    made = pcapng_blocks.NAME + packed
    room = pcapng_blocks.CUSTOM_ROOM
    options = [(pcapng_blocks.CUSTOM, pcapng_blocks.ENTERPRISE + made[start : start + room]) for start in range(0, len(made), room)]
    head = pcapng_blocks.struct.pack("<IHHq", pcapng_blocks.MAGIC, 1, 0, -1)
    return pcapng_blocks._block(pcapng_blocks.SECTION, head + pcapng_blocks._options(options))


HUGE = {
    "lists": b'{"schema":"netprobe.run/1",' + b'"a":[],' * 20_000_000,
    "nothing": b" " * 200_000_000,
    "numbers": b'{"schema":"netprobe.report/1","rtt_ns":[' + b"1," * 50_000_000,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_a_small_capture_of_a_huge_run(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "bomb.pcapng"
    file.write_bytes(bomb(zlib.compress(text, 6)))
    assert file.stat().st_size < 1_000_000
    code, megabytes, told = shown(str(file))
    assert code == 2, told
    assert megabytes < 200
    assert "damaged" in told


def test_a_capture_of_nothing_but_blocks(tmp_path: Path) -> None:
    file = tmp_path / "blocks.pcapng"
    file.write_bytes(write(Capture()) + pcapng_blocks._block(9, b"") * 2_000_000)
    code, _, told = shown(str(file))
    assert code == 2
    assert "blocks" in told


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "zeros"
    with file.open("wb") as stream:
        stream.truncate(3_000_000_000)
    code, megabytes, told = shown(str(file))
    assert (code, megabytes < 100) == (2, True), told
    assert "larger than any saved run" in told


def test_an_endless_device_is_not_read_to_its_end() -> None:
    code, megabytes, told = shown("/dev/zero")
    assert (code, megabytes < 100) == (2, True), told


def test_an_endless_pipe_is_not_read_to_its_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "while True: print('{' * 100000)"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as writer:
        assert writer.stdout is not None
        code, megabytes, told = shown("/dev/stdin", stdin=writer.stdout)
        writer.stdout.close()
        assert code == 2, told
        assert megabytes < 400


def test_a_run_comes_through_a_pipe() -> None:
    with SAMPLE.open("rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) as cat:
        code, _, told = shown("/dev/stdin", stdin=cat.stdout)
    assert (code, told) == (0, "")


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        (b" " * LARGEST_BYTES, True), (b" " * (LARGEST_BYTES + 1), False), (b"," * MOST_VALUES, True), (b"," * (MOST_VALUES + 1), False),
        (b"{" * MOST_OBJECTS, True), (b"[{" * (MOST_OBJECTS // 2 + 1), False),
    ],
    ids=["bytes", "too many bytes", "values", "too many values", "objects", "too many objects"],
)  # fmt: skip
def test_how_much_is_too_much(data: bytes, fits: bool) -> None:
    assert (excess(data) is None) is fits


@pytest.fixture
def run() -> Run:
    _, found = load(str(SAMPLE))
    assert found is not None
    return found


def test_a_large_real_run_is_written_and_read(run: Run, tmp_path: Path) -> None:
    """As many probes as fit, a tenth of the limit: what netprobe writes opens again."""
    large = replace(run, observations=run.observations * 700)
    written, failed = save(large, str(tmp_path / "large.pcapng"), "none", "netprobe")
    assert failed is None
    _, again = load(str(tmp_path / "large.pcapng"))
    assert again is not None
    assert again.observations == written.observations


@pytest.mark.parametrize(
    "run_bytes", [b" " * 20_000_000, bytes(range(256)) * 80_000, os.urandom(9_000_000)], ids=["nothing", "little", "noise"]
)
def test_however_much_is_in_it_what_is_packed_can_be_unpacked(run_bytes: bytes) -> None:
    assert read(write(Capture(run=run_bytes))).run == run_bytes


def test_a_run_that_is_too_large_is_kept_for_others(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames are written, and it is said that `show` will not have them."""
    monkeypatch.setattr(limits, "LARGEST_BYTES", len(run_to_json(run)) // 2)
    file = tmp_path / "too-large.pcapng"
    _, failed = save(run, str(file), "none", "netprobe")
    assert failed is not None
    assert "cannot be shown again" in failed[0]
    found = read(file.read_bytes())
    assert (found.run, len(found.frames)) == (None, len(run.report.sightings))
    with pytest.raises(WrongQuestion, match="not one that netprobe saved"):
        load(str(file))


def test_every_recording_is_far_below_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGEST_BYTES", LARGEST_BYTES // 50)
    monkeypatch.setattr(limits, "DEEPEST", limits.DEEPEST // 4)
    for file in (PROJECT / "tests/faults/recordings").glob("*.pcapng"):
        load(str(file))


def test_white_space_without_an_end_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "blank.json").write_bytes(b" " * (120 << 20) + b"{}")
    code, megabytes, told = shown(str(tmp_path / "blank.json"))
    assert (code, "not a saved run" in told) == (2, True)
    assert megabytes < 60


@pytest.mark.parametrize("output", ["text", "wide", "markdown", "html", "svg"])
def test_a_long_path_is_shown_at_once(tmp_path: Path, output: str) -> None:
    """The limit bounds a hang: where each row looked at all others, this took ten minutes."""
    report, _ = load(str(PROJECT / "captures/samples/no-masquerade.pcapng"))
    hops = report.path.request * (20_000 // len(report.path.request))
    file = tmp_path / "long.json"
    file.write_bytes(report_to_json(replace(report, path=replace(report.path, request=hops))))
    command = [sys.executable, "-m", "netprobe", "show", str(file), "-o", output]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False, timeout=60)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) > 20_000 or output in ("html", "svg")
