"""Ctrl-C, SIGTERM, kill -9 and a reader that goes away: nothing stays behind, and the exit code says what it was."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from asking import ask, once, until
from belongings import packet_sockets, processes

from netprobe.lab.lab import Lab, Program

pytestmark = [pytest.mark.lab, once]

NAMESPACES = ["host", "red", "c1", "c2", "internet"]
ENDLESS = {
    "trace": ["trace", "red", "8.8.8.8", "-c", "10000", "-i", "20ms"],
    "tcp": ["trace", "red", "8.8.8.8:80", "-c", "10000", "-i", "20ms"],
    "arping": ["arping", "c1", "c2", "-c", "10000", "-i", "20ms"],
    "waiting": ["trace", "--exclude", "internet", "red", "9.9.9.9", "-W", "10m"],
}


def taps(lab: Lab) -> int:
    return sum(lab.call(packet_sockets, NAMESPACES).values())


@pytest.fixture
def busy(lab: Lab) -> Any:
    """busy(question) starts netprobe, and gives it back when it is observing; afterwards nothing of it may be left."""
    until(lambda: not taps(lab), "the test before left packet sockets")
    before = lab.call(processes)
    folder = Path(lab.folder, "busy")
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)

    def start(question: list[str]) -> Program:
        program = lab.start(["netprobe", *question, "--captures", str(folder)], environment={"TMPDIR": str(folder), "HOME": str(folder)})
        until(lambda: taps(lab) or not program.running(), "no tap was opened")
        assert program.running(), program.errors()
        return program

    yield start
    until(lambda: lab.call(processes) == before, f"left: {set(lab.call(processes)) - set(before)}")
    until(lambda: not taps(lab), "packet sockets are left")
    kept = list(folder.iterdir())
    assert all(each.suffix == ".pcapng" for each in kept), "nothing half written is left"
    for each in kept:
        each.unlink()


@pytest.mark.parametrize("question", ENDLESS.values(), ids=ENDLESS)
def test_interrupted(busy: Any, question: list[str]) -> None:
    number = signal.SIGTERM if question[0] == "arping" else signal.SIGINT
    program = busy(question)
    program.kill(number)  # to the whole session, as a terminal does
    assert program.wait() == 130
    assert program.errors().strip() == ""
    # of what was answered by then there is a report: tests/live/test_interrupted.py
    assert "interrupted after " in program.output() or program.output() == ""


def test_only_the_program_is_terminated(lab: Lab, busy: Any) -> None:
    program = busy(ENDLESS["trace"])
    lab.run(["kill", "-TERM", str(program.pid)], check=True)
    assert program.wait() == 130


def test_killed_without_a_chance(lab: Lab, busy: Any) -> None:
    """No `finally` runs; the worker and every socket end with the process all the same."""
    program = busy(ENDLESS["trace"])
    lab.run(["kill", "-KILL", str(program.pid)], check=True)
    assert program.wait() == -signal.SIGKILL


def test_an_impatient_user(busy: Any) -> None:
    program = busy(ENDLESS["trace"])
    for _ in range(5):
        program.kill(signal.SIGINT)
    assert program.wait() in (130, -signal.SIGINT)


def test_a_reader_that_goes_away(lab: Lab) -> None:
    trace = "trace red 8.8.8.8"
    for arguments in (f"{trace} --captures none", f"{trace} -w -", "ls", "--help", "schema", "explain"):
        done = lab.run(["bash", "-c", f'netprobe {arguments} | true; echo "${{PIPESTATUS[0]}}"'])
        assert done.stdout.split()[-1] == "141", done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr


def test_a_reader_that_reads_one_line(lab: Lab) -> None:
    done = lab.run(["bash", "-c", 'netprobe trace red 8.8.8.8 --captures none | head -1; echo "${PIPESTATUS[0]}"'])
    assert done.stdout.splitlines()[0].startswith("red (10.0.0.2)")
    assert done.stdout.split()[-1] in ("0", "141")  # it may have written everything by then
    assert done.stderr == ""


def test_in_the_background_ctrl_c_is_for_others(lab: Lab) -> None:
    """A shell without job control starts background programs with SIGINT ignored; it stays so."""
    interrupts = "for i in 1 2 3 4 5; do sleep .1; kill -INT $pid; done"
    script = f"netprobe trace red 8.8.8.8 -c 20 -i 50ms --captures none & pid=$!; {interrupts}; wait $pid"
    done = lab.run(["sh", "-c", script])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 sent, 20 answered" in done.stdout


def test_quiet_and_verbose_do_not_mix_up_the_streams(lab: Lab) -> None:
    done = ask(lab, "-q", "trace", "red", "8.8.8.8", "--captures", "none")
    assert (done.code, len(done.stdout.splitlines()), done.stderr) == (0, 1, "")
