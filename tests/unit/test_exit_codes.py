"""However netprobe ends, its exit code is one of the contract's: without a stream to write to, without a library, in the middle."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SAMPLE = str(PROJECT / "captures/samples/no-masquerade.pcapng")
AS_MODULE = [sys.executable, "-m", "netprobe"]
AS_SCRIPT = [sys.executable, "-c", "import sys; sys.argv[0] = 'netprobe'; from netprobe.__main__ import main; sys.exit(main())"]
PROGRAMS = pytest.mark.parametrize("program", [AS_MODULE, AS_SCRIPT], ids=["module", "script"])


def run(argv: list[str], path: str | Path = PROJECT) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": f"{path}:{PROJECT}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(argv, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=60)


# streams

ANSWER = {"show": (["show", SAMPLE], 1), "help": (["--help"], 0), "completion": (["completion", "bash"], 0), "schema": (["schema"], 0)}
ERROR = {"nothing": ([], 2), "usage": (["tarce"], 2), "file": (["show", "/etc/passwd"], 2), "cause": (["explain", "no-such-cause"], 2)}
NO_STDERR = ("2>&-", "2>/dev/full", "2> >(true)")
NO_STDOUT = {">&-": 74, ">/dev/full": 74, "| true": 141}


def code_of(argv: list[str], redirection: str) -> tuple[int, str]:
    script = f"{shlex.join([*AS_MODULE, *argv])} {redirection}; exit ${{PIPESTATUS[0]}}"
    done = run(["bash", "-c", script])
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("redirection", NO_STDERR)
@pytest.mark.parametrize(("argv", "code"), [*ANSWER.values(), *ERROR.values()], ids=[*ANSWER, *ERROR])
def test_nobody_hears_what_it_says(argv: list[str], code: int, redirection: str) -> None:
    """stderr closed, full, or a pipe that nobody reads: the answer stands."""
    assert code_of(argv, redirection)[0] == code


@PROGRAMS
def test_who_asks_nothing_is_told_what_can_be_asked(program: list[str]) -> None:
    """As a page, on stderr: a pipe gets nothing that it could take for an answer."""
    done = run(program)
    asked = run([*program, "--help"])
    assert (done.returncode, done.stdout, done.stderr) == (2, "", asked.stdout)


@pytest.mark.parametrize(("redirection", "code"), NO_STDOUT.items(), ids=NO_STDOUT)
@pytest.mark.parametrize("argv", [argv for argv, _ in ANSWER.values()], ids=ANSWER)
def test_nobody_takes_the_answer(argv: list[str], redirection: str, code: int) -> None:
    found, told = code_of(argv, redirection)
    assert found == code
    assert told.startswith("netprobe: cannot write") is (code == 74), told


@pytest.mark.parametrize("redirection", [">&- 2>&-", ">/dev/full 2>/dev/full", "<&- >&- 2>/dev/full"])
def test_neither(redirection: str) -> None:
    assert code_of(["show", SAMPLE], redirection)[0] == 74
    assert code_of(["tarce"], redirection)[0] == 2


def test_a_closed_stream_is_not_the_next_file(tmp_path: Path) -> None:
    """The report goes into its file, and what is said goes nowhere; without care the file would be opened as descriptor 1 or 2."""
    code, _ = code_of(["show", SAMPLE, "--out", str(tmp_path / "report")], ">&- 2>&-")
    assert code == 1
    assert (tmp_path / "report").read_text().startswith("red (10.0.0.2)")


@pytest.mark.parametrize("argv", [["schema"], ["show", SAMPLE, "-o", "json"], ["--help"]], ids=lambda argv: argv[0])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_file_with_room_for_the_first_half(tmp_path: Path, argv: list[str], unbuffered: str) -> None:
    """write(2) writes what there is room for, and says how much that was."""
    script = f"ulimit -f 1; PYTHONUNBUFFERED={unbuffered} {shlex.join([*AS_MODULE, *argv])} >{shlex.quote(str(tmp_path / 'half'))}"
    done = run(["bash", "-c", script])
    assert (tmp_path / "half").stat().st_size == 1024
    assert done.returncode == 74, done.stderr
    assert done.stderr.startswith("netprobe: cannot write")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_does_not_block_is_waited_for(unbuffered: str) -> None:
    """As that of a terminal or a pipe shared with a program that has set O_NONBLOCK on it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    room = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    environment = {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": unbuffered}
    with os.fdopen(reader, "rb") as pipe:
        asked = subprocess.Popen([*AS_MODULE, "schema"], cwd=PROJECT, env=environment, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        while not int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder) and asked.poll() is None:
            time.sleep(0.01)
        time.sleep(0.2)  # it has filled the pipe, and would have given up
        said = pipe.read()
    _, told = asked.communicate(timeout=60)
    assert (asked.returncode, told) == (0, b"")
    assert len(said) > room
    assert json.loads(said)["title"] == "netprobe.report/1"


def test_a_character_set_that_has_not_every_name() -> None:
    done = subprocess.run(
        [*AS_MODULE, "show", SAMPLE], cwd=PROJECT, env={"PYTHONIOENCODING": "ascii:strict", "PYTHONPATH": str(PROJECT)},
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.isascii()


# libraries


def broken(folder: Path, name: str, text: str) -> Path:
    """A folder in which a library is this text."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "argv"),
    [("click", ["--help"]), ("msgspec", ["show", SAMPLE]), ("pyroute2", ["why", "host", "127.0.0.1"]), ("tabulate", ["show", SAMPLE])],
    ids=lambda each: each if isinstance(each, str) else None,
)
@pytest.mark.parametrize(
    "text", ["raise ModuleNotFoundError('No module named {0}', name={0!r})", "raise ImportError('cut off', name={0!r})"]
)
@PROGRAMS
def test_a_library_that_is_missing_is_named(tmp_path: Path, program: list[str], name: str, argv: list[str], text: str) -> None:
    done = run([*program, *argv], broken(tmp_path, name, text.format(name)))
    assert (done.returncode, done.stdout) == (70, ""), done.stderr
    assert done.stderr.startswith(f"netprobe: cannot load {name}")
    assert "Install netprobe again" in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize("text", ["1 / 0", "raise MemoryError", "def", "raise RecursionError('deep')", "raise SystemExit(1)"])
@PROGRAMS
def test_a_library_that_is_broken(tmp_path: Path, program: list[str], text: str) -> None:
    done = run([*program, "--help"], broken(tmp_path, "click", text))
    assert (done.returncode, done.stdout) == (3 if "Memory" in text else 70, ""), done.stderr
    assert done.stderr.startswith("netprobe: ")
    assert len(done.stderr.splitlines()) == 1


# in the middle


def patched(line: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """netprobe with one thing of it replaced."""
    before = "import os, signal, sys, netprobe.cli as cli, netprobe.cli.commands as commands\ndef fails(error):\n    raise error"
    script = f"{before}\n{line}\nfrom netprobe.__main__ import main\nmain()"
    return run([sys.executable, "-c", script, *argv])


@pytest.mark.parametrize(
    "error",
    [
        "MemoryError()",
        "OSError(12, 'Cannot allocate memory', 'lib')",
        "RecursionError('deep')",
        "KeyError('x')",
        "AssertionError()",
        "GeneratorExit()",
        "SystemExit(1)",
    ],
)
@pytest.mark.parametrize(
    "place", ["cli.program = lambda", "cli.run_line = lambda _", "commands.shown = lambda *_"], ids=["program", "line", "command"]
)
def test_what_nobody_foresaw(error: str, place: str) -> None:
    done = patched(f"{place}: fails({error})", "explain" if "shown" not in place else "show", SAMPLE)
    if "shown" in place and "Exit" not in error:
        assert done.returncode == 2  # a saved run is somebody else's statement
    elif "shown" in place and "SystemExit" in error:
        assert done.returncode == 1  # how a command ends
    elif "emory" in error:
        assert (done.returncode, "bug" in done.stderr) == (3, False), done.stderr
    else:
        assert done.returncode == 70, done.stderr
    assert "Traceback" not in done.stderr


def test_a_traceback_for_who_asks_for_it() -> None:
    done = patched("commands.compared_runs = lambda *_: fails(KeyError('x'))", "-v", "diff", SAMPLE, SAMPLE)
    assert done.returncode == 70
    assert done.stderr.startswith("Traceback")
    assert done.stderr.rstrip().endswith("KeyError: 'x'")


@pytest.mark.parametrize("error", ["OSError(5, 'gone')", "KeyError('x')", "MemoryError()"])
def test_a_machine_that_cannot_be_left(error: str) -> None:
    line = f"from netprobe.linux.machine import Machine\nMachine.__exit__ = lambda *_: fails({error})"
    done = patched(line, "why", "host", "127.0.0.1")
    assert done.returncode in ((3,) if "Memory" in error else (70, 74)), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "moment",
    [
        "cli.program = lambda: os.kill(os.getpid(), signal.{0})",
        "commands.shown = lambda *_: os.kill(os.getpid(), signal.{0})",
        "import netprobe.__main__ as last\nflushed = last._flushed\n"
        "last._flushed = lambda stream: (os.kill(os.getpid(), signal.{0}), flushed(stream))[1]",
        "class Last:\n    def __del__(self): os.kill(os.getpid(), signal.{0})\ncommands.shown = lambda *_: Last() and None",
        "class Name:\n    def __set_name__(self, *_): os.kill(os.getpid(), signal.{0})\n"
        "commands.shown = lambda *_: type('Made', (), {{'name': Name()}})",
    ],
    ids=["running", "command", "leaving", "taking apart", "making a class"],
)
@pytest.mark.parametrize("times", [1, 3])
def test_interrupted(number: str, moment: str, times: int) -> None:
    """At whatever moment, and by whoever is impatient."""
    line = moment.format(number)
    if times > 1:
        line = f"kill = os.kill\nos.kill = lambda pid, number: [kill(pid, number) for _ in range({times})]\n{line}"
    done = patched(line, "show", SAMPLE)
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@PROGRAMS
def test_interrupted_while_it_loads(tmp_path: Path, program: list[str], number: str) -> None:
    done = run([*program, "--help"], broken(tmp_path, "click", f"import os, signal; os.kill(os.getpid(), signal.{number}); 1 / 0"))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("instruction", ["nonsense", "bash_complete", "fish_complete", "bash_source_x", "_"])
def test_a_variable_of_the_completion_that_no_shell_has_set(monkeypatch: pytest.MonkeyPatch, instruction: str) -> None:
    monkeypatch.setenv("_NETPROBE_COMPLETE", instruction)
    done = subprocess.run([*AS_MODULE, "--version"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("netprobe: _NETPROBE_COMPLETE is set")
