"""Work that may hang for ever, done in a process of its own: the lookup of a name or the reading of a page in
a file system that somebody else serves (FUSE, a dead server). No flag of open(2) bounds that, and a thread
that waits for it cannot be ended.

The process is forked from ours, hands over each result as it has it, and is killed when it has stood still
for a moment. What all of a run may wait for such work is limited as well; afterwards none is tried.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import select
import signal
import socket
import struct
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from netprobe.errors import SHORT

from . import deadline

STILL_S = 0.3  # without a result, asleep
BUSY_S = 1.0  # the same while it computes, or a loaded machine does not let it
RUN_S = 2.0  # all waiting of one run
# what a result may take without being counted as that: a container may have hundreds of namespaces, and hide
# nothing
USUAL_S = 0.005
PR_SET_PDEATHSIG = 1
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LARGEST = 256 << 20  # bytes of one result: the readers' limits are below it
_HEAD, _FD = struct.Struct("=Q"), struct.Struct("=i")

_T = TypeVar("_T")
_A = TypeVar("_A")


class _Run:
    """What this process, as one run of netprobe, has waited for so far."""

    waited_s = 0.0
    lost = 0
    is_apart = False


def is_here() -> bool:
    """Whether this is such a process."""
    return _Run.is_apart


def forget() -> None:
    """Begin a new run."""
    _Run.waited_s, _Run.lost = 0.0, 0


def heard() -> tuple[str, ...]:
    """What a person should know about work that was given up, as far as it is new."""
    lost, _Run.lost = _Run.lost, 0
    return (
        (f"{lost} of the files of users or containers were not read in time; what they say is left out",)
        if lost
        else ()
    )


def value(work: Callable[[], _T]) -> _T:
    """What `work` returns: of built-in types. Raises the OSError that it raises, ETIMEDOUT when it hangs."""
    (result,) = values(lambda _: work(), (None,))
    if isinstance(result, OSError):
        raise result
    return result


def values(work: Callable[[_A], _T], items: Sequence[_A]) -> Iterator[_T | OSError]:
    """What `work` returns for each of `items`, in their order, or the OSError that it raised or that came of
    waiting for it.
    """
    for result, fds in _results(lambda item: (work(item), ()), items):
        for fd in fds:
            os.close(fd)
        yield result


def descriptor(work: Callable[[], int]) -> int:
    """The descriptor that `work` returns; the caller closes it. Raises OSError as `value`."""
    (result,) = descriptors(lambda _: work(), (None,))
    if isinstance(result, OSError):
        raise result
    return result


def descriptors(work: Callable[[_A], int], items: Sequence[_A]) -> list[int | OSError]:
    """The descriptors that `work` returns for `items`, which the caller closes, or the OSErrors, in their
    order.
    """
    found: list[int | OSError] = []
    for result, fds in _results(lambda item: (None, (work(item),)), items):
        found.append(result if isinstance(result, OSError) else next(iter(fds), None) or _no_more_files())
    return found


def _no_more_files() -> OSError:
    return OSError(errno.EMFILE, os.strerror(errno.EMFILE))


_Result = tuple[Any, Sequence[int]]


def _results(work: Callable[[_A], _Result], items: Sequence[_A]) -> Iterator[_Result]:
    """One result for each item.

    A process that stands still at one is given up, and another begins with the next.
    """
    done = 0
    while done < len(items):
        start = time.monotonic()
        found = _some(work, items[done:]) if _left() > 0 else []
        _Run.waited_s += max(_waited(start, found), 0.0)
        yield from found
        done += len(found)
        if done < len(items):
            done += 1
            _Run.lost += 1
            yield OSError(errno.ETIMEDOUT, deadline.NOT_IN_TIME), ()


def _some(work: Callable[[_A], _Result], items: Sequence[_A]) -> list[_Result]:
    """The results for the first of `items`, up to one for which there is none in time."""
    found: list[_Result] = []
    try:
        with _Worker(work, items) as worker:
            start, left = time.monotonic(), _left()
            while (
                len(found) < len(items)
                and _waited(start, found) < left
                and (result := worker.next()) is not None
            ):
                found.append(result)
    except OSError as error:  # no more processes, no more files
        return [*found, *((error, ()) for _ in items[len(found) :])]
    except BaseException:
        for _, fds in found:
            for fd in fds:
                os.close(fd)
        raise
    return found


def _left() -> float:
    """How long this run may wait for results, in seconds: somebody else decides when they come."""
    return deadline.share(max(RUN_S - _Run.waited_s, 0.0))


def _waited(since: float, found: Sequence[_Result]) -> float:
    """How long was waited for results beyond what these may take."""
    return time.monotonic() - since - USUAL_S * len(found)


class _Worker:
    """The process that does `work` for `items`."""

    def __init__(self, work: Callable[[_A], _Result], items: Sequence[_A]) -> None:
        self._socket, theirs = socket.socketpair()
        parent = os.getpid()
        # a signal between fork and _work would run our caller's code twice
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            # Python warns of a fork beside threads: one that hangs because of it is given up, too
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self._pid = os.fork()
            if self._pid == 0:
                _work(parent, theirs, work, items, mask)
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """End it. One that the kernel does not let go is not waited for: it dies when it can."""
        self._socket.close()
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._pid, signal.SIGKILL)
            for pause in (0.0, 0.001, 0.01, 0.05, 0.25):
                time.sleep(pause)
                if os.waitpid(self._pid, os.WNOHANG)[0]:
                    return

    def next(self) -> _Result | None:
        """The next result; None when there is none in time, or it has died."""
        start = time.monotonic()
        try:
            if not self._has_come(start):
                return None
            head, fds = _received_head(self._socket)
            try:
                plain = marshal.loads(_received(self._socket, _HEAD.unpack(head)[0]))
            except BaseException:
                for fd in fds:
                    os.close(fd)
                raise
            return (plain[0] if plain[1] is None else _told(*plain[1])), fds
        except (OSError, EOFError, ValueError, struct.error):
            return None

    def _has_come(self, start: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if poll.poll(STILL_S * 1000):
            return True
        while time.monotonic() - start < BUSY_S and _is_running(self._pid):
            if poll.poll(50):
                return True
        return False


def _told(code: int, text: str) -> OSError:
    """The error of a process apart.

    It has closed all that it does not need: that there is no more of something, the file system says.
    """
    if code not in SHORT:
        return OSError(code, text)
    _Run.lost += 1
    return OSError(errno.EIO, text)


def _is_running(pid: int) -> bool:
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.read(fd, 4096).rpartition(b")")[2].split()[:1] == [b"R"]
    except OSError:
        return False
    finally:
        os.close(fd)


def _received_head(connection: socket.socket) -> tuple[bytes, list[int]]:
    # not socket.recv_fds, which forgets its flags
    space = socket.CMSG_LEN(_FD.size)
    head, ancillary, _, _ = connection.recvmsg(_HEAD.size, space, socket.MSG_CMSG_CLOEXEC)
    fds = [
        _FD.unpack(data)[0]
        for _, kind, data in ancillary
        if kind == socket.SCM_RIGHTS and len(data) == _FD.size
    ]
    try:
        return head + _received(connection, _HEAD.size - len(head)) if head else head, fds
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def _received(connection: socket.socket, size: int) -> bytes:
    if size > _LARGEST:
        raise ValueError(size)
    pieces = []
    connection.settimeout(BUSY_S)
    while size:
        piece = connection.recv(min(size, 1 << 20))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _work(
    parent: int,
    connection: socket.socket,
    work: Callable[[Any], _Result],
    items: Sequence[Any],
    mask: set[signal.Signals | int],
) -> NoReturn:
    """The process's life: never returns into the code that forked it."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if os.getppid() == parent:
            _Run.is_apart = True
            _let_go_of_others(connection.fileno())
            for item in items:
                _answer(connection, work, item)
    finally:
        os._exit(0)


def _let_go_of_others(own: int) -> None:
    """Close what our parent has open: who waits for the end of its output must not wait for us."""
    silence = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(silence, fd)
    os.closerange(3, own)
    os.closerange(own + 1, max(os.sysconf("SC_OPEN_MAX"), 1024))


def _answer(connection: socket.socket, work: Callable[[Any], _Result], item: Any) -> None:
    fds: Sequence[int] = ()
    try:
        result, fds = work(item)
        data = marshal.dumps((result, None))
    except OSError as error:
        data = marshal.dumps((None, (error.errno or errno.EIO, error.strerror or str(error))))
    except Exception as error:
        data = marshal.dumps((None, (errno.EIO, repr(error)[:200])))
    head = _HEAD.pack(len(data))
    if fds:
        socket.send_fds(connection, [head], fds)
    else:
        connection.sendall(head)
    connection.sendall(data)
    for fd in fds:
        os.close(fd)
