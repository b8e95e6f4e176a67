"""The tools that print rulesets, run in a foreign network namespace: several at a time, each waited for two
seconds, and for longer while it is at work.

They run as root, so PATH has no say in which they are: they come from the system's own folders, and from
those of `look_in`.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from netprobe.kernel.elsewhere import Elsewhere, Ended, Place
from netprobe.kernel.processor import used_s
from netprobe.linux import deadline, netns
from netprobe.linux.files import is_program

LIMIT_S = 2.0
LONGEST_S = 8.0  # more in one question, for those that use the processor
GLANCE_S = 0.1
AT_WORK_S = 0.01  # of a processor, that it must have used since the last glance
# resolv.conf(5): arptables asks for the name of an address that it prints, and waits for a silent name server
_NO_NAMES = {"RES_OPTIONS": "attempts:0"}
PATIENCE_S = 0.5  # with one that was killed
LARGEST = 64 << 20  # bytes of one listing: 150,000 rules in JSON
SHARE = 0.75  # of what is left of a question: 20,000 rules take 0.7 s
PLACES = (
    "/usr/sbin",
    "/sbin",
    "/usr/local/sbin",
    "/usr/bin",
    "/bin",
    "/usr/local/bin",
    "/run/current-system/sw/bin",
)
_before: list[str] = []  # the folders of `look_in`


def look_in(folders: Sequence[str]) -> None:
    """Look for tools in these folders first, from now on."""
    _before[:] = map(os.path.abspath, folders)


def _search_path() -> str:
    return os.pathsep.join((*_before, *PLACES))


def place(tool: str) -> str | None:
    """Where a tool is, None where it is not installed."""
    places = (os.path.join(folder, tool) for folder in (*_before, *PLACES))
    return next((place for place in places if is_program(place)), None)


class Printed(Struct, frozen=True):
    """What a tool printed; `error` says why there is nothing ("nft is not installed", "nft:

    Operation not permitted").
    """

    output: bytes = b""
    error: str | None = None


class Tools:
    """Tools that run side by side inside the namespace `fd`, from their start to the end of `with`, or to
    `close`.

    A child inherits the namespace of the thread that starts it, and nothing else of it.
    """

    def __init__(self, fd: Place) -> None:
        self._fd = fd
        self._children: dict[str, _Child] = {}
        self._asked: dict[str, Sequence[str]] = {}  # of another host

    def __enter__(self) -> Tools:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End those that still run."""
        for child in self._children.values():
            child.close()

    def start(self, commands: Mapping[str, Sequence[str]]) -> None:
        """Start each named command line.

        Raises NotPermitted or CannotLook when the namespace cannot be entered.
        """
        if isinstance(self._fd, Elsewhere):
            self._asked.update(commands)
            return
        with netns.inside(self._fd):
            for name, command in commands.items():
                self._children[name] = _Child(command)

    def printed(self) -> dict[str, Printed]:
        """What each of them has printed, when it has ended or was waited for long enough."""
        if isinstance(self._fd, Elsewhere):
            limit = deadline.share(LIMIT_S + LONGEST_S, SHARE)
            ended = self._fd.tools(self._asked, LARGEST, limit) if self._asked else {}
            return {name: _printed(self._asked[name][0], each, limit) for name, each in ended.items()}
        _wait(list(self._children.values()))
        return {name: child.printed() for name, child in self._children.items()}


def run(fd: Place, commands: Mapping[str, Sequence[str]]) -> dict[str, Printed]:
    """What each named command line prints, all run together inside the namespace `fd`.

    Raises as `Tools.start`.
    """
    with Tools(fd) as tools:
        tools.start(commands)
        return tools.printed()


class _Child:
    """A running tool. It writes into memory files: no pipe can fill up, whatever the order in which they are
    read.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.tool = command[0]
        self.process: subprocess.Popen[bytes] | None = None
        self.output, self.errors, self.pidfd = -1, -1, -1
        self.refusal = f"{self.tool} is not installed"
        self.leash: _Leash | None = None
        self.waited_s = 0.0
        program = place(command[0])
        if program is None:
            return
        try:
            self.leash = _Leash()
            self.output = os.memfd_create("output")
            self.errors = os.memfd_create("errors")
            self.process = subprocess.Popen(
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.errors,
                env={"LC_ALL": "C", "PATH": _search_path(), **_NO_NAMES},
                pass_fds=(self.leash.held,),
            )
            _let_it_write(self.process.pid, LARGEST)
            self.leash.bind(self.process.pid)
            self.pidfd = os.pidfd_open(self.process.pid)
        except OSError as error:
            self.close()
            self.process, self.refusal = None, f"{self.tool} could not be started: {error.strerror}"

    def printed(self) -> Printed:
        """What it printed, and how it ended."""
        if self.process is None:
            return Printed(error=self.refusal)
        code = self.process.poll()
        output, errors = (b"", b"") if code is None else (_content(self.output), _content(self.errors))
        return _printed(self.tool, Ended(code, output, errors), self.waited_s)

    def close(self) -> None:
        """End the process if it still runs, and let go of its files."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            with suppress(subprocess.TimeoutExpired):  # the kernel does not let it go: it dies when it can
                self.process.wait(PATIENCE_S)
        if self.leash is not None:
            self.leash.close()
        for fd in (self.output, self.errors, self.pidfd):
            if fd >= 0:
                os.close(fd)
        self.output = self.errors = self.pidfd = -1


def _printed(tool: str, ended: Ended | OSError, waited_s: float) -> Printed:
    """What a tool printed, or why there is nothing of it."""
    if isinstance(ended, FileNotFoundError):
        return Printed(error=f"{tool} is not installed")
    if isinstance(ended, OSError):
        return Printed(error=f"{tool} could not be started: {ended.strerror}")
    code, output, errors = ended
    if code is None:
        return Printed(error=f"{deadline.NOT_IN_TIME}: {tool} did not answer within {waited_s:.2g} s")
    if code == -signal.SIGXFSZ:
        return Printed(error=f"{tool} printed more than {LARGEST >> 20} MiB")
    if code:
        said = errors.decode("utf-8", "replace").strip() or f"exit code {code}"
        return Printed(output, f"{tool}: {said.splitlines()[0]}")
    return Printed(output)


def _let_it_write(pid: int, size: int) -> None:
    """No file of the process becomes larger than `size`: those are memory of ours."""
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    allowed = size if most == resource.RLIM_INFINITY else min(size, most)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (allowed, most))


class _Leash:
    """Ends a tool with netprobe, in whatever way that ends: a pipe, the reading end of which only the tool
    holds open.

    The kernel closes the writing end with us, and tells the owner of the other (F_SETOWN) by the signal of
    our choice (F_SETSIG): fcntl(2), pipe_release in fs/pipe.c. PR_SET_PDEATHSIG wants code to run in the
    child, and a fork that takes 3 ms.
    """

    def __init__(self) -> None:
        self.held, self._hold = os.pipe2(os.O_CLOEXEC)

    def bind(self, pid: int) -> None:
        """Make it the leash of this child, which has inherited `held`."""
        fcntl.fcntl(self.held, fcntl.F_SETOWN, pid)
        fcntl.fcntl(self.held, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(self.held, fcntl.F_SETFL, os.O_ASYNC)
        os.close(self.held)
        self.held = -1

    def close(self) -> None:
        """Let go: a tool that still runs is killed. Harmless when repeated."""
        for fd in (self.held, self._hold):
            if fd >= 0:
                os.close(fd)
        self.held = self._hold = -1


def _content(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def _wait(children: list[_Child]) -> None:
    """Until all have ended, or the time is up."""
    limit = deadline.share(LIMIT_S, SHARE)
    for child in children:
        child.waited_s = limit
    running = {child.pidfd for child in children if child.pidfd >= 0}
    end = time.monotonic() + limit
    poll = select.poll()
    for pidfd in running:
        poll.register(pidfd, select.POLLIN)
    while running:
        ended = poll.poll(max(end - time.monotonic(), 0) * 1000)
        if not ended:
            break
        for pidfd, _ in ended:
            poll.unregister(pidfd)
            running.discard(pidfd)
    with deadline.overtime(LONGEST_S) as until:  # not for want of time, but for much to print
        _wait_while_at_work([child for child in children if child.pidfd in running], until)


def _wait_while_at_work(children: list[_Child], end: float) -> None:
    """As long as those that still run get on, until `end` of time.monotonic(): ten thousand services have
    more rules than are printed in two seconds.
    """
    used = 0.0
    while time.monotonic() < end:
        children = [child for child in children if child.process and child.process.poll() is None]
        now = sum(used_s(child.process.pid) for child in children if child.process)
        if now - used < AT_WORK_S:
            return
        used = now
        time.sleep(GLANCE_S)
        for child in children:
            child.waited_s += GLANCE_S
