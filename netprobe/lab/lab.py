"""A lab kept open from outside: programs and functions are run in its namespaces until it is closed.

with Lab() as lab:
    lab.run(["ping", "-c1", "8.8.8.8"], namespace="red")
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from . import faults, keeper
from .firewall import FirewallTool
from .keeper import Call, Failed, Setup, Start
from .namespaces import HOST
from .topology import Topology
from .tutorial import TUTORIAL

_PATIENCE = 20.0  # seconds for one program, unless the caller says otherwise
_TIME_TO_CLOSE = 5.0
_GLANCE = 0.02
_INSIDE = f"import sys; from {keeper.__name__} import main; sys.exit(main(int(sys.argv[1])))"


class Program:
    """A program that runs in a lab. Its whole session ends with it, with `stop`, and with the lab."""

    def __init__(
        self, argv: tuple[str, ...], channel: socket.socket, output: IO[bytes], errors: IO[bytes]
    ) -> None:
        self.args = argv
        self.pid = int(_outcome(channel))  # as the lab counts: it has process numbers of its own
        self._channel = channel
        self._files = (output, errors)
        self._said = ("", "")
        self._code: int | None = None

    def wait(self, timeout: float = _PATIENCE) -> int:
        """The exit code, or minus the signal that ended it.

        After `timeout` seconds: TimeoutError, and the program is killed.
        """
        if self._code is None:
            self._channel.settimeout(timeout)
            try:
                self._end(int(_outcome(self._channel)))
            except TimeoutError:
                self._end(-signal.SIGKILL)
                raise TimeoutError(
                    f"still running after {timeout} s: {' '.join(self.args)}\n{''.join(self._said)}"
                ) from None
        assert self._code is not None
        return self._code

    def running(self) -> bool:
        """Whether it still runs."""
        if self._code is None:
            self._channel.settimeout(0)
            with suppress(BlockingIOError):
                self._end(int(_outcome(self._channel)))
        return self._code is None

    def output(self) -> str:
        """What it wrote to its standard output until now."""
        return self._heard()[0]

    def errors(self) -> str:
        """What it wrote to its standard error until now."""
        return self._heard()[1]

    def until(self, text: str, timeout: float = _PATIENCE) -> str:
        """Wait until `text` appears in what it writes; all of that.

        TimeoutError when it ends or the time passes without it.
        """
        end = time.monotonic() + timeout
        while text not in (said := "".join(self._heard())):
            if time.monotonic() > end or not self.running():
                raise TimeoutError(f"{self.args[0]} did not say {text!r} but:\n{said}")
            time.sleep(_GLANCE)
        return said

    def kill(self, number: int) -> None:
        """Send a signal to its session."""
        keeper.send(self._channel, number)

    def stop(self, number: int = signal.SIGTERM, timeout: float = _TIME_TO_CLOSE) -> int:
        """Ask it to end, and insist when it does not. Its exit code."""
        if self.running():
            self.kill(number)
            with suppress(TimeoutError):
                self.wait(timeout)
        return self.wait()

    def abandon(self) -> None:
        """Kill it if it still runs, without waiting for its end."""
        if self._code is None:
            self._end(-signal.SIGKILL)

    def _heard(self) -> tuple[str, str]:
        return (_read(self._files[0]), _read(self._files[1])) if self._code is None else self._said

    def _end(self, code: int) -> None:
        self._said = self._heard()
        self._code = code
        for opened in (self._channel, *self._files):
            opened.close()


class Lab:
    """One lab in a child process. Raises NotPermitted or CannotLook when this machine cannot have one.

    `launcher` is put before the child's command line: a program that changes user, for example. Programs run
    in `folder`.
    """

    def __init__(
        self, topology: Topology = TUTORIAL, *, rootless: bool | None = None,
        engine: FirewallTool | None = None, folder: str | None = None,
        launcher: Sequence[str] = (), environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._programs: list[Program] = []
        self.folder = folder or str(Path.cwd())
        self._control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with inside:
            self._child = subprocess.Popen(
                [*launcher, sys.executable, "-c", _INSIDE, str(inside.fileno())], pass_fds=[inside.fileno()],
                stdin=subprocess.DEVNULL, env=_environment(environment or {}),
                start_new_session=True,  # Ctrl-C is for the caller, who then closes the lab
            )  # fmt: skip
        try:
            keeper.send(
                self._control,
                Setup(topology, rootless, engine, self.folder, tuple(path for path in sys.path if path)),
            )
            _outcome(self._control)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process, as the machine counts, whose end is the end of the lab."""
        return self._child.pid

    def start(
        self,
        argv: Sequence[str],
        namespace: str = HOST,
        *,
        text: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Program:
        """Run a program beside this one, with `text` as its input.

        FileNotFoundError for an unknown program or namespace.
        """
        with ExitStack() as opened:
            output, errors, given = (opened.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            given.write(text.encode())
            given.seek(0)
            request = Start(tuple(argv), namespace, tuple((environment or {}).items()))
            channel = opened.enter_context(
                self._ask(request, (given.fileno(), output.fileno(), errors.fileno()))
            )
            program = Program(tuple(argv), channel, output, errors)
            opened.pop_all()
            given.close()
        self._programs.append(program)
        return program

    def run(
        self, argv: Sequence[str], namespace: str = HOST, *, text: str = "", timeout: float = _PATIENCE,
        environment: Mapping[str, str] | None = None, check: bool = False,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a program to its end.

        TimeoutError after `timeout` seconds; with `check`, CalledProcessError unless it gives 0.
        """
        program = self.start(argv, namespace, text=text, environment=environment)
        code = program.wait(timeout)
        done = subprocess.CompletedProcess(list(argv), code, program.output(), program.errors())
        if check:
            try:
                done.check_returncode()
            except subprocess.CalledProcessError as error:
                error.add_note(done.stdout + done.stderr)
                raise
        return done

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call an importable function in the lab's process, which sits in `host`; its result.

        Its exception is raised here.
        """
        with self._ask(Call(function, arguments), ()) as channel:
            return _outcome(channel)

    def inject(self, name: str) -> None:
        """Break what the fault `name` of `lab.faults` breaks, verified by reading back."""
        self.call(faults.inject, name)

    def close(self) -> None:
        """End the lab and everything in it."""
        for program in self._programs:
            program.abandon()
        self._control.close()
        try:
            self._child.wait(_TIME_TO_CLOSE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: object, fds: tuple[int, ...]) -> socket.socket:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            try:
                keeper.send(self._control, request, (far.fileno(), *fds))
            except BaseException:
                near.close()
                raise
        return near


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """The child's environment; it must find this very netprobe, which need not be installed."""
    merged = {**os.environ, **given}
    source = str(Path(__file__).resolve().parents[2])
    return {**merged, "PYTHONPATH": os.pathsep.join(filter(None, [source, merged.get("PYTHONPATH")]))}


def _outcome(channel: socket.socket) -> Any:
    """The next value of a channel; an exception that was sent is raised. EOFError when the lab is gone."""
    value, _ = keeper.receive(channel)
    if isinstance(value, Failed):
        raise value.error
    return value


def _read(file: IO[bytes]) -> str:
    """All of a file that a program is writing to. pread, because the file's position is shared with that
    program.
    """
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")
