"""A worker process that imports scapy while its parent does something else: scapy costs 0.2 s, of which
crafting needs a third, and there is a second core.

Fork it first thing, before anything heavy is loaded. The worker ends when its parent closes the pipe or dies,
whatever way.
"""

from __future__ import annotations

import ctypes
import gc
import marshal
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, NoReturn

from netprobe.model import Protocol
from netprobe.wire.craft import Recipe, craft, load_scapy_alone, load_six
from netprobe.wire.mark import Mark

PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h


class Crafter:
    """Crafts probes in a worker process; in this process where no worker can be had.

    With `six` the worker gets ready for IPv6, which it is else when it is first asked for. Close it, or use
    it as a context.
    """

    def __init__(self, six: bool = False) -> None:
        self._streams: tuple[BinaryIO, BinaryIO] | None = None
        self._end: weakref.finalize[..., Crafter] | None = None
        # forking beside other threads may copy a lock that nobody will ever release
        if threading.active_count() == 1:
            self._start(six)

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
        self._streams = os.fdopen(ask_in, "wb"), os.fdopen(answer_out, "rb")
        self._end = weakref.finalize(self, _end, pid, parent, self._streams)

    def __call__(self, recipe: Recipe) -> Iterator[bytes]:
        """The packets of `recipe`, as `netprobe.wire.craft.craft` makes them; the worker is ahead of who
        takes them.
        """
        if self._streams is None or recipe.mark.protocol is Protocol.OTHER:
            return craft(recipe)
        return self._stream(recipe, *self._streams)

    def _stream(self, recipe: Recipe, asking: BinaryIO, answering: BinaryIO) -> Iterator[bytes]:
        done = 0
        try:
            with suppress(OSError, EOFError, ValueError):  # the worker is gone: the rest is made here
                marshal.dump(_as_plain(recipe), asking)
                asking.flush()
                while done < recipe.mark.count:
                    packet = marshal.load(answering)
                    done += 1
                    yield packet
            if done < recipe.mark.count:
                self.close()
                yield from craft(recipe, done)
        finally:
            if done < recipe.mark.count:  # nobody wanted the rest, which lies in the pipe
                self.close()

    def close(self) -> None:
        """End the worker and collect it. Harmless when repeated."""
        self._streams = None
        if self._end is not None:
            self._end()

    def __enter__(self) -> Crafter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end(pid: int, parent: int, streams: tuple[BinaryIO, BinaryIO]) -> None:
    for stream in streams:
        with suppress(OSError):  # something was still to be written to a worker that is gone
            stream.close()
    if os.getpid() != parent:  # a process forked later inherits this object, but not the worker
        return
    try:
        os.kill(pid, signal.SIGKILL)  # it may still be importing, and it holds nothing that wants tidying
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def _work(parent: int, asked: int, answered: int, others: tuple[int, int], six: bool) -> NoReturn:
    """The worker's life: never returns into the code that forked it."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getppid() != parent:  # it died before the call above
            os._exit(0)
        for fd in others:
            os.close(fd)
        silence = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):  # a reader of our parent's output must not wait for us
            os.dup2(silence, fd)
        gc.disable()  # what is imported stays
        load_scapy_alone()
        if six:
            load_six()
        gc.enable()
        # scapy's first packet takes it five times as long as the next
        list(craft(Recipe(Mark(Protocol.ICMP, b"warmup"), "192.0.2.1", "192.0.2.2")))
        with os.fdopen(asked, "rb") as asking, os.fdopen(answered, "wb") as answering:
            while True:
                for packet in craft(_as_recipe(marshal.load(asking))):
                    marshal.dump(packet, answering)
                    answering.flush()
    except BaseException:
        os._exit(0)  # a closed pipe is the normal end; after anything else the parent crafts itself


_Plain = tuple[str, bytes, int, int, int, int, int, tuple[int, ...], int | None, str, str, str | None, str]


def _as_plain(recipe: Recipe) -> _Plain:
    """A recipe as marshal takes it: exact built-in types only."""
    mark = recipe.mark
    return (
        str(mark.protocol.value), mark.run, mark.count, mark.size, mark.icmp_id, mark.first, mark.isn,
        mark.source_ports, mark.port,
        recipe.src, recipe.dst, recipe.src_mac, recipe.dst_mac,
    )  # fmt: skip


def _as_recipe(plain: _Plain) -> Recipe:
    return Recipe(Mark(Protocol(plain[0]), *plain[1:9]), *plain[9:])
