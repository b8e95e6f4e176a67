"""A worker process that imports scapy while its parent does something else: scapy costs 0.2 s, of which
crafting needs a tenth, and there is a second core.

Ours is forked first thing, before anything heavy is loaded. For a program of somebody else's a new one is
started: its process may have threads, and gets no scapy from us that lacks interfaces and routes. The worker
ends when its parent closes the pipe or dies, whatever way.
"""

from __future__ import annotations

import ctypes
import gc
import marshal
import os
import select
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, NoReturn

from netprobe.model import Protocol
from netprobe.wire.craft import Recipe, craft, load_scapy_alone, load_six
from netprobe.wire.mark import Mark

PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
IDLE_S = 20.0  # after which a guest's worker ends

# what a worker crafts to see that it can: a scapy of which it has too little is none
_FIRST = Recipe(Mark(Protocol.ICMP, b"warmup", size=8), "192.0.2.1", "192.0.2.2")
_FIRST_PACKET = bytes.fromhex("080098bf00000001") + b"warmup\0\0"


class Crafter:
    """Crafts probes in a worker process; in this process where no worker can be had.

    With `six` the worker gets ready for IPv6, which it is else when it is first asked for. Close it, or use
    it as a context.
    """

    def __init__(self, six: bool = False) -> None:
        self._nobody()
        # forking beside other threads may copy a lock that nobody will ever release
        if threading.active_count() == 1:
            self._start(six)

    def _nobody(self) -> None:
        self._streams: tuple[IO[bytes], IO[bytes]] | None = None
        self._end: weakref.finalize[..., Crafter] | None = None
        self._parent = os.getpid()

    def _hold(self, streams: tuple[IO[bytes], IO[bytes]], pid: int) -> None:
        """Have this worker from now on, known by a descriptor: somebody else may collect it, and its number
        may be another process's then.
        """
        try:
            worker = os.pidfd_open(pid)
        except OSError:  # no more descriptors
            for stream in streams:
                stream.close()  # which ends it
            os.waitpid(pid, 0)
            return
        self._streams = streams
        self._end = weakref.finalize(self, _end, worker, self._parent, streams)

    def _start(self, six: bool) -> None:
        parent = os.getpid()
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            pid = os.fork()
        except OSError:  # no more processes or descriptors: this process crafts
            for fd in pipes:
                os.close(fd)
            return
        ask_out, ask_in, answer_out, answer_in = pipes
        if pid == 0:
            _work(parent, ask_out, answer_in, (ask_in, answer_out), six)
        os.close(ask_out)
        os.close(answer_in)
        self._hold((os.fdopen(ask_in, "wb"), os.fdopen(answer_out, "rb")), pid)

    def __call__(self, recipe: Recipe) -> Iterator[bytes]:
        """The packets of `recipe`, as `netprobe.wire.craft.craft` makes them; the worker begins at once, and
        is ahead of who takes them.
        """
        if self._streams is None or recipe.mark.protocol is Protocol.OTHER:
            return craft(recipe)
        stream = self._stream(recipe, *self._streams)
        next(stream)
        return stream

    def _stream(self, recipe: Recipe, asking: IO[bytes], answering: IO[bytes]) -> Iterator[bytes]:
        """Nothing when the worker is asked, and then the packets."""
        done, is_asked = 0, False
        try:
            with suppress(OSError, ValueError):
                marshal.dump(_as_plain(recipe), asking)
                asking.flush()
                is_asked = True
            yield b""
            with suppress(OSError, EOFError, ValueError):  # the worker is gone: the rest is made here
                while is_asked and done < recipe.mark.count:
                    packet = marshal.load(answering)
                    done += 1
                    yield packet
            if done < recipe.mark.count:
                self.close()
                yield from self._rest(recipe, done)
        finally:
            if done < recipe.mark.count:  # nobody wanted the rest, which lies in the pipe
                self.close()

    def _rest(self, recipe: Recipe, done: int) -> Iterator[bytes]:
        """What the worker did not make."""
        return craft(recipe, done)

    def close(self) -> None:
        """End the worker and collect it. Harmless when repeated."""
        self._streams = None
        if self._end is not None:
            self._end()

    def __enter__(self) -> Crafter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class GuestCrafter(Crafter):
    """The same in a program of somebody else's. The worker is started by `start`, or when it is first needed,
    and ends when nothing was asked of it for IDLE_S.

    A scapy that the program has imported itself is good enough, and there is no worker.
    """

    def __init__(self) -> None:
        self._nobody()
        self._has_failed, self._used_s = False, 0.0
        self._starting, self._asked = threading.Lock(), threading.Lock()

    def start(self) -> None:
        """Have a worker that loads scapy from now on. Harmless when repeated."""
        with self._starting:
            if self._parent != os.getpid():  # forked: the worker is the other one's
                self._nobody()
            now, before = time.monotonic(), self._used_s
            self._used_s = now
            if self._has_failed or _is_loaded() or not _is_python(sys.executable):
                return
            if self._streams is not None and now - before < IDLE_S / 2:  # after that it may be about to end
                return
            self.close()
            self._spawn()

    def _spawn(self) -> None:
        import subprocess

        flags = ["-S", *(["-B"] if sys.dont_write_bytecode else [])]
        command = [sys.executable, *flags, "-c", _WORK, str(self._parent), str(IDLE_S), *sys.path]
        try:
            worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError:
            return
        assert worker.stdin is not None
        assert worker.stdout is not None
        self._hold((worker.stdin, worker.stdout), worker.pid)
        worker.returncode = 0  # it is ended and collected as the other one

    def __call__(self, recipe: Recipe) -> Iterator[bytes]:
        """The packets of `recipe`; another worker makes what another thread asks meanwhile."""
        self.start()
        return craft(recipe) if _is_loaded() else super().__call__(recipe)

    def _stream(self, recipe: Recipe, asking: IO[bytes], answering: IO[bytes]) -> Iterator[bytes]:
        if not self._asked.acquire(blocking=False):
            with GuestCrafter() as another:
                packets = another(recipe)
                yield b""
                yield from packets
            return
        try:
            yield from super()._stream(recipe, asking, answering)
        finally:
            self._used_s = time.monotonic()
            self._asked.release()

    def _rest(self, recipe: Recipe, done: int) -> Iterator[bytes]:
        self._has_failed = True
        return super()._rest(recipe, done)


_WORK = (
    "import sys; given = int(sys.argv[1]), float(sys.argv[2]); sys.path[:] = sys.argv[3:]; "
    "from netprobe.linux.sensors.crafter import work; work(*given)"
)


def _is_loaded() -> bool:
    return "scapy.layers.inet" in sys.modules


def _is_python(program: str | None) -> bool:
    """Whether a program can be asked to run our code: inside another one this is that one's name."""
    return bool(program) and os.path.basename(program or "").startswith("python")


def work(parent: int, idle_s: float) -> NoReturn:
    """The life of a worker that was started with its pipes as standard input and output."""
    pipes = os.dup(0), os.dup(1)
    _work(parent, *pipes, (), six=False, idle_s=idle_s)


def _end(worker: int, parent: int, streams: tuple[IO[bytes], IO[bytes]]) -> None:
    for stream in streams:
        with suppress(OSError):  # something was still to be written to a worker that is gone
            stream.close()
    # a process forked later inherits this object, but not the worker
    with suppress(ProcessLookupError, ChildProcessError):
        if os.getpid() == parent:
            # it may still be importing, and it holds nothing that wants tidying
            signal.pidfd_send_signal(worker, signal.SIGKILL)
            os.waitid(os.P_PIDFD, worker, os.WEXITED)
    os.close(worker)


def _work(
    parent: int, asked: int, answered: int, others: tuple[int, ...], six: bool, idle_s: float | None = None
) -> NoReturn:
    """The worker's life: never returns into the code that forked it.

    One that does not end when it is idle ends with the thread of the parent that has made it, which is all
    that prctl(2) offers.
    """
    try:
        watched: list[int] = []
        if idle_s is None:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        else:
            watched.append(os.pidfd_open(parent))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getppid() != parent:  # it died before the call above
            os._exit(0)
        for fd in others:
            os.close(fd)
        silence = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):  # a reader of our parent's output must not wait for us
            os.dup2(silence, fd)
        _load(six)
        with os.fdopen(asked, "rb") as asking, os.fdopen(answered, "wb") as answering:
            while asked in select.select([asked, *watched], [], [], idle_s)[0]:
                for packet in craft(_as_recipe(marshal.load(asking))):
                    marshal.dump(packet, answering)
                    answering.flush()
        os._exit(0)
    except BaseException:
        os._exit(0)  # a closed pipe is the normal end; after anything else the parent crafts itself


def _load(six: bool) -> None:
    """Import scapy, and craft a packet: its first one takes it five times as long as the next."""
    gc.disable()
    load_scapy_alone()
    if six:
        load_six()
    gc.freeze()  # what is imported stays, and need not be looked through
    gc.enable()
    if list(craft(_FIRST)) != [_FIRST_PACKET]:
        raise ValueError("scapy crafts something else")


_Plain = tuple[
    str,
    bytes,
    int,
    int,
    int,
    int,
    int,
    tuple[int, ...],
    int | None,
    str,
    str,
    str | None,
    str,
    bool,
    int | None,
]


def _as_plain(recipe: Recipe) -> _Plain:
    """A recipe as marshal takes it: exact built-in types only."""
    mark = recipe.mark
    return (
        str(mark.protocol.value), mark.run, mark.count, mark.size, mark.icmp_id, mark.first, mark.isn,
        mark.source_ports, mark.port,
        recipe.src, recipe.dst, recipe.src_mac, recipe.dst_mac, recipe.ecn,
        recipe.mss,
    )  # fmt: skip


def _as_recipe(plain: _Plain) -> Recipe:
    return Recipe(Mark(Protocol(plain[0]), *plain[1:9]), *plain[9:])
