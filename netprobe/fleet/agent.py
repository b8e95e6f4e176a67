"""What runs on another host: verbs that carry bytes to its kernel and back, and decide nothing.

One file, the standard library, Python 3.6 or later: it is sent to the host, or installed there as a forced
command, and leaves nothing behind. Values are None, bool, int, bytes, str, list, and dict with str keys, in a
codec with limits; a frame is the length of what follows in four bytes, then the packed [number, verb, arguments],
answered by [number, True, value] or [number, False, errno, text]. namespaces(7), netlink(7), packet(7).
"""

import ctypes
import errno
import fcntl
import os
import queue
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

VERSION = 1
PREFACE = b"netprobe agent %d\n" % VERSION  # what a login shell prints before it is skipped

# --- codec ----------------------------------------------------------------------------------------------------

LARGEST_FRAME = 80 << 20  # bytes, more than the largest answer of `batch`
MOST_VALUES = 1 << 20  # in one frame: some 60 bytes of memory each
DEEPEST = 12  # lists in lists

_LENGTH = struct.Struct(">I")
_SMALL, _LARGE = struct.Struct(">cq"), struct.Struct(">cQ")


class Malformed(ValueError):
    """Bytes that are no packed value, or a value that cannot be packed."""


def pack(value: Any) -> bytes:
    """A value as bytes. Raises Malformed."""
    out = []  # type: List[bytes]
    try:
        _put(value, out, 0)
    except (struct.error, UnicodeEncodeError) as error:
        raise Malformed(str(error)) from None
    return b"".join(out)


def _put(value: Any, out: "List[bytes]", depth: int) -> None:
    if depth > DEEPEST:
        raise Malformed("nested too deeply")
    if value is None or value is True or value is False:
        out.append({None: b"N", True: b"T", False: b"F"}[value])
    elif isinstance(value, int):
        out.append(_SMALL.pack(b"i", value) if value < 1 << 63 else _LARGE.pack(b"u", value))
    elif isinstance(value, (bytes, bytearray)):
        out.extend((b"b" + _LENGTH.pack(len(value)), bytes(value)))
    elif isinstance(value, str):
        data = value.encode("utf-8", "surrogateescape")
        out.extend((b"s" + _LENGTH.pack(len(data)), data))
    elif isinstance(value, (list, tuple)):
        out.append(b"l" + _LENGTH.pack(len(value)))
        for each in value:
            _put(each, out, depth + 1)
    elif isinstance(value, dict):
        out.append(b"d" + _LENGTH.pack(len(value)))
        for key, each in value.items():
            if not isinstance(key, str):
                raise Malformed("a key that is no text")
            _put(key, out, depth + 1)
            _put(each, out, depth + 1)
    else:
        raise Malformed("a value of another kind: %s" % type(value).__name__)


def unpack(data: bytes) -> Any:
    """The value in these bytes, all of them. Raises Malformed."""
    reader = _Reader(data)
    try:
        value = reader.value(0)
    except struct.error as error:
        raise Malformed(str(error)) from None
    if reader.at != len(data):
        raise Malformed("more than one value")
    return value


class _Reader:
    """Takes values from bytes that a stranger may have made."""

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data)
        self.at = 0
        self._left = MOST_VALUES

    def value(self, depth: int) -> Any:
        """The next value."""
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            raise Malformed("nested too deeply, or too many values")
        kind = self.data[self.at : self.at + 1]
        if kind in _CONSTANTS:
            self.at += 1
            return _CONSTANTS[kind]
        if kind in (b"i", b"u"):
            _, number = (_SMALL if kind == b"i" else _LARGE).unpack_from(self.data, self.at)
            self.at += _SMALL.size
            return number
        (size,) = _LENGTH.unpack_from(self.data, self.at + 1)
        self.at += 1 + _LENGTH.size
        if size > len(self.data) - self.at:
            raise Malformed("shorter than it says")
        if kind in (b"b", b"s"):
            self.at += size
            found = self.data[self.at - size : self.at]
            return found if kind == b"b" else found.decode("utf-8", "surrogateescape")
        if kind == b"l":
            return [self.value(depth + 1) for _ in range(size)]
        if kind == b"d":
            return dict(self._entry(depth + 1) for _ in range(size))
        raise Malformed("a value of an unknown kind")

    def _entry(self, depth: int) -> "Tuple[str, Any]":
        key = self.value(depth)
        if not isinstance(key, str):
            raise Malformed("a key that is no text")
        return key, self.value(depth)


_CONSTANTS = {b"N": None, b"T": True, b"F": False}


def framed(value: Any) -> bytes:
    """A frame with this value. Raises Malformed."""
    data = pack(value)
    if len(data) > LARGEST_FRAME:
        raise Malformed("more than %d MiB" % (LARGEST_FRAME >> 20))
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Cuts what comes in, in pieces of any size, into the values of its frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> "List[Any]":
        """The values of the frames that are complete with `data`. Raises Malformed."""
        self._pending += data
        found = []
        while len(self._pending) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._pending)
            if size > LARGEST_FRAME:
                raise Malformed("a frame of more than %d MiB" % (LARGEST_FRAME >> 20))
            if len(self._pending) < _LENGTH.size + size:
                break
            found.append(unpack(bytes(self._pending[_LENGTH.size : _LENGTH.size + size])))
            del self._pending[: _LENGTH.size + size]
        return found


# --- the kernel's words ---------------------------------------------------------------------------------------

CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
NS_GET_NSTYPE = 0xB703  # include/uapi/linux/nsfs.h
SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h
SOL_NETLINK, GET_STRICT_CHK = 270, 12  # include/uapi/linux/netlink.h
NLMSG_ERROR, NLMSG_DONE = 2, 3
OWN = "/proc/thread-self/ns/net"
ROOTS = ("/proc/", "/sys/", "/run/")
PLACES = (
    "/usr/sbin",
    "/sbin",
    "/usr/local/sbin",
    "/usr/bin",
    "/bin",
    "/usr/local/bin",
    "/run/current-system/sw/bin",
)
LARGEST = 64 << 20  # bytes of all answers of one `batch`
DATAGRAM = 1 << 16
RECEIVE_BUFFER = 1 << 20
PATIENCE_S = 5.0  # the kernel answers at once or never

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_O_PATH = getattr(os, "O_PATH", 0o10000000)
_LOOK = _O_PATH | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


def now_ns() -> int:
    """The wall clock, in ns since the epoch. (time.time_ns is of Python 3.7.)"""
    return int(time.clock_gettime(time.CLOCK_REALTIME) * 1e9)


def _refusal(code: int, text: str = "") -> OSError:
    return OSError(code, text or os.strerror(code))


def _failed() -> OSError:
    return _refusal(ctypes.get_errno())


def _attempt(work: "Callable[..., Any]", *arguments: Any) -> Any:
    """What `work` returns, or {"errno", "text"} of its failure."""
    try:
        return work(*arguments)
    except OSError as error:
        return {"errno": error.errno or errno.EIO, "text": str(error.strerror or error)}
    except WRONG as error:
        return {"errno": errno.EINVAL, "text": "%s: %s" % (type(error).__name__, error)}


# what comes of arguments of another shape than a verb takes
WRONG = (TypeError, ValueError, LookupError, AttributeError, OverflowError, struct.error)


# --- files ----------------------------------------------------------------------------------------------------


def _found(path: str, flags: int = 0) -> int:
    """An O_PATH descriptor of what is at `path`, which lies in ROOTS or is a namespace; the caller closes it."""
    fd = os.open(path, _LOOK | flags)
    try:
        place = os.readlink("/proc/thread-self/fd/%d" % fd) + "/"
        if not place.startswith(ROOTS) and not _is_namespace(fd):
            raise _refusal(errno.EACCES, "not in " + ", ".join(ROOTS))
        return fd
    except BaseException:
        os.close(fd)
        raise


def _is_namespace(fd: int) -> bool:
    """Whether the file is of nsfs, on the device of which our own namespace is too (fs/nsfs.c)."""
    return os.fstat(fd).st_dev == os.stat(OWN).st_dev


@contextmanager
def _looking_at(path: str, flags: int = 0) -> "Iterator[int]":
    fd = _found(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _opened(fd: int) -> "Iterator[int]":
    """What an O_PATH descriptor stands for, open for reading."""
    opened = os.open("/proc/thread-self/fd/%d" % fd, _READ)
    try:
        yield opened
    finally:
        os.close(opened)


def read_file(path: str, limit: int) -> bytes:
    """All of a regular file in ROOTS, up to `limit` bytes."""
    with _looking_at(path) as fd:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _refusal(errno.EINVAL, "not a regular file")
        with _opened(fd) as opened:
            pieces, left = [], min(limit, LARGEST) + 1
            while left > 0:
                piece = os.read(opened, min(left, 1 << 20))
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)
                left -= len(piece)
    raise _refusal(errno.EFBIG, "larger than %d bytes" % limit)


def read_link(path: str) -> str:
    """Where a symbolic link in ROOTS leads."""
    with _looking_at(path, os.O_NOFOLLOW) as fd:
        return os.readlink("", dir_fd=fd)


def read_names(path: str, limit: int) -> "List[str]":
    """The names in a directory in ROOTS, up to `limit` of them."""
    with _looking_at(path) as fd:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise _refusal(errno.ENOTDIR)
        with _opened(fd) as opened:
            found = os.listdir(opened)
    if len(found) > limit:
        raise _refusal(errno.EFBIG, "more than %d names" % limit)
    return sorted(found)


def read_key(path: str) -> "List[int]":
    """The device and inode of what is at `path`."""
    with _looking_at(path) as fd:
        seen = os.fstat(fd)
        return [seen.st_dev, seen.st_ino]


# --- netlink --------------------------------------------------------------------------------------------------


def netlink(protocol: int, strict: bool, message: bytes, wanted: int, most: int = 0) -> "List[bytes]":
    """Send bytes to netlink and return the datagrams that answer them.

    `wanted`: how many questions of `message` are to be answered, by any message but NLMSG_DONE with their
    sequence number; 0 for a dump, which ends by NLMSG_DONE or an error. After more than `most` entries of a dump
    no further are heard, unless `most` is 0.
    """
    end, datagrams, size, answered, entries = time.monotonic() + PATIENCE_S, [], 0, set(), 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if strict:
            sock.setsockopt(SOL_NETLINK, GET_STRICT_CHK, 1)
        sock.settimeout(PATIENCE_S)
        sock.send(message)
        while True:
            data = _datagram(sock, end)
            size += len(data)
            if size > LARGEST:
                raise _refusal(errno.EFBIG, "the kernel lists more than %d MiB" % (LARGEST >> 20))
            datagrams.append(data)
            for kind, sequence in _messages_in(data):
                if not wanted and kind in (NLMSG_DONE, NLMSG_ERROR):
                    return datagrams
                entries += 1
                if kind != NLMSG_DONE:
                    answered.add(sequence)
            if (wanted and len(answered) >= wanted) or (not wanted and most and entries > most):
                return datagrams


def _datagram(sock: socket.socket, end: float) -> bytes:
    left = end - time.monotonic()
    if left <= 0:
        raise _refusal(errno.ETIMEDOUT)
    sock.settimeout(left)
    try:
        data, _, flags, _ = sock.recvmsg(DATAGRAM)
    except socket.timeout:
        raise _refusal(errno.ETIMEDOUT) from None
    if flags & socket.MSG_TRUNC:
        raise _refusal(errno.EMSGSIZE, "an answer of the kernel has more than %d bytes" % DATAGRAM)
    return data


def _messages_in(data: bytes) -> "Iterator[Tuple[int, int]]":
    """The type and sequence number of each message of a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            raise _refusal(errno.EBADMSG)
        yield kind, sequence
        at += (length + 3) & ~3


# --- tools ----------------------------------------------------------------------------------------------------


class _Tool:
    """A program in the namespace of the calling thread, killed with us: it alone holds the reading end of a pipe,
    the closing of whose other end the kernel tells it by SIGKILL (fcntl(2), F_SETSIG).
    """

    def __init__(self, argv: "List[str]", limit: int, seconds: float) -> None:
        program = _program(argv[0])
        self.end = time.monotonic() + min(seconds, 60)
        self.limit = min(limit, LARGEST)
        self.printed = {}  # type: Dict[int, bytearray]
        held, self._hold = os.pipe2(os.O_CLOEXEC)
        try:
            self.process = subprocess.Popen(
                [program] + argv[1:],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"LC_ALL": "C", "PATH": os.pathsep.join(PLACES)},
                pass_fds=(held,),
            )
            fcntl.fcntl(held, fcntl.F_SETOWN, self.process.pid)
            fcntl.fcntl(held, getattr(fcntl, "F_SETSIG", 10), signal.SIGKILL)
            fcntl.fcntl(held, fcntl.F_SETFL, os.O_ASYNC)
        except BaseException:
            os.close(self._hold)
            raise
        finally:
            os.close(held)
        self._out, self._err = self._pipes()
        for fd in (self._out, self._err):
            self.printed[fd] = bytearray()
            os.set_blocking(fd, False)
        self.reading = {self._out, self._err}
        self.is_long = False

    def _pipes(self) -> "Tuple[int, int]":
        assert self.process.stdout is not None and self.process.stderr is not None
        return self.process.stdout.fileno(), self.process.stderr.fileno()

    def read(self, fd: int) -> None:
        """Take what waits in one of its pipes; from what prints too much nothing more is taken."""
        try:
            piece = os.read(fd, 1 << 16)
        except BlockingIOError:
            return
        if not piece:
            self.reading.discard(fd)
        self.printed[fd] += piece
        if sum(map(len, self.printed.values())) > self.limit:
            self.is_long = True
            self.reading.clear()

    def answer(self) -> "List[Any]":
        """[exit code or None while it still runs, stdout, stderr]."""
        if self.is_long:
            raise _refusal(errno.EFBIG, "printed more than %d bytes" % self.limit)
        code = None
        if not self.reading:
            try:
                code = self.process.wait(max(0.0, self.end - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
        return [code, bytes(self.printed[self._out]), bytes(self.printed[self._err])]

    def close(self) -> None:
        """End it, if it still runs."""
        os.close(self._hold)
        if self.process.poll() is None:
            self.process.kill()
            try:
                self.process.wait(0.5)
            except subprocess.TimeoutExpired:  # the kernel does not let it go: it dies when it can
                pass
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def _program(name: str) -> str:
    for place in PLACES:
        path = os.path.join(place, name)
        if "/" not in name and os.access(path, os.X_OK):
            return path
    raise _refusal(errno.ENOENT, "%s is not installed" % name)


def _finish(tools: "List[_Tool]") -> None:
    """Take what the tools print, until each has closed its output, or its time is up."""
    while True:
        now = time.monotonic()
        running = [tool for tool in tools if tool.reading and tool.end > now]
        if not running:
            return
        poll, owners = select.poll(), {}
        for tool in running:
            for fd in tool.reading:
                poll.register(fd, select.POLLIN)
                owners[fd] = tool
        for fd, _ in poll.poll(1000 * (min(tool.end for tool in running) - now)):
            if fd in owners[fd].reading:
                owners[fd].read(fd)


# --- what a host has ------------------------------------------------------------------------------------------


def cookie() -> int:
    """SO_NETNS_COOKIE of the namespace in which this thread is; 0 where the kernel has none (before 5.14)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), sys.byteorder)
        except OSError:
            return 0


def hello() -> "Dict[str, Any]":
    """Who answers here, and what it may do."""
    home = os.stat(OWN)
    return {
        "version": VERSION,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "uid": os.geteuid(),
        "capabilities": _capabilities(),
        "release": os.uname().release,
        "home": [home.st_dev, home.st_ino],
        "cookie": cookie(),
        "clock_ns": now_ns(),
    }


def _capabilities() -> int:
    """The effective set as bits, capabilities(7)."""
    for line in read_file("/proc/thread-self/status", 1 << 16).splitlines():
        if line.startswith(b"CapEff:"):
            return int(line.split()[1], 16)
    return 0


def names() -> "List[List[Any]]":
    """[name, device, inode] of each file in /run/netns. What ip netns has not finished is on another device."""
    found = []
    folder = "/run/netns"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        try:
            seen = os.stat(os.path.join(folder, name))
        except OSError:  # removed meanwhile
            continue
        found.append([name, seen.st_dev, seen.st_ino])
    return found


def processes(limit: int) -> "List[List[Any]]":
    """[pid, comm, device, inode, cgroup] of the first process in each network namespace, up to `limit`."""
    found, met = [], set()  # type: List[List[Any]], Set[Tuple[int, int]]
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            seen = os.stat("/proc/%d/ns/net" % pid)
            key = seen.st_dev, seen.st_ino
            if key in met:
                continue
            comm, cgroup = (read_file("/proc/%d/%s" % (pid, name), 1 << 16) for name in ("comm", "cgroup"))
        except OSError:  # ended meanwhile, or another user's
            continue
        if len(found) >= limit:
            raise _refusal(errno.EFBIG, "more than %d namespaces" % limit)
        met.add(key)
        found.append([pid, os.fsdecode(comm.rstrip(b"\n")), seen.st_dev, seen.st_ino, os.fsdecode(cgroup)])
    return found


def unix(path: str, data: bytes, limit: int, seconds: float) -> bytes:
    """What the server at a unix socket in ROOTS answers to `data` until it closes, up to `limit` bytes."""
    end, pieces, size = time.monotonic() + min(seconds, 60), [], 0
    with _looking_at(path) as fd:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                sock.connect("/proc/self/fd/%d" % fd)
                sock.sendall(data)
                while size <= limit:
                    sock.settimeout(max(0.001, end - time.monotonic()))
                    piece = sock.recv(1 << 16)
                    if not piece:
                        return b"".join(pieces)
                    pieces.append(piece)
                    size += len(piece)
            except socket.timeout:
                raise _refusal(errno.ETIMEDOUT) from None
    raise _refusal(errno.EFBIG, "more than %d bytes" % limit)


# --- the verbs ------------------------------------------------------------------------------------------------


class Agent:
    """The verbs of one host, and what they hold open. Threads may call side by side; `close` lets go of all."""

    def __init__(self) -> None:
        self.heard = time.monotonic()  # when the last call came
        self.lease_s = 0.0  # 0: none
        self._namespaces = set()  # type: Set[int]
        self._verbs = {
            "hello": hello,
            "clock": now_ns,
            "lease": self.lease,
            "open": self.open,
            "shut": self.shut,
            "identity": self.identity,
            "batch": self.batch,
            "names": names,
            "processes": processes,
            "unix": unix,
        }  # type: Dict[str, Callable[..., Any]]

    def call(self, verb: str, arguments: "List[Any]") -> Any:
        """What the verb answers. Raises OSError: ENOSYS for an unknown verb, EINVAL for arguments that do not
        fit.
        """
        self.heard = time.monotonic()
        work = self._verbs.get(verb)
        if work is None:
            raise _refusal(errno.ENOSYS, "no such verb: %s" % verb)
        try:
            return work(*arguments)
        except WRONG as error:
            raise _refusal(errno.EINVAL, "%s: %s" % (type(error).__name__, error)) from error
        finally:
            self.heard = time.monotonic()

    def answer(self, question: Any) -> "List[Any]":
        """The frame that answers a frame."""
        number, verb, arguments = question
        try:
            return [number, True, self.call(verb, arguments)]
        except OSError as error:
            return [number, False, error.errno or errno.EIO, str(error.strerror or error)]

    def close(self) -> None:
        """Let go of everything."""
        self.shut(list(self._namespaces))

    def lease(self, seconds: int) -> None:
        """From now on the agent ends when it has heard nothing for so long."""
        self.lease_s = float(seconds)

    def open(self, path: str) -> int:
        """A descriptor of the network namespace at `path`, by which other verbs name it."""
        with _looking_at(path) as fd:
            if not _is_namespace(fd):
                raise _refusal(errno.EINVAL, "not a network namespace")
            opened = os.open("/proc/thread-self/fd/%d" % fd, _READ)
        try:
            if fcntl.ioctl(opened, NS_GET_NSTYPE) != CLONE_NEWNET:
                raise _refusal(errno.EINVAL, "not a network namespace")
        except BaseException:
            os.close(opened)
            raise
        self._namespaces.add(opened)
        return opened

    def shut(self, numbers: "List[int]") -> None:
        """Close descriptors that `open` gave; others are left alone."""
        for number in numbers:
            if number in self._namespaces:
                self._namespaces.discard(number)
                os.close(number)

    def identity(self, number: int) -> "List[int]":
        """The device and inode of an open namespace."""
        seen = os.fstat(self._held(number))
        return [seen.st_dev, seen.st_ino]

    def _held(self, number: int) -> int:
        if number not in self._namespaces:
            raise _refusal(errno.EBADF)
        return number

    @contextmanager
    def _inside(self, place: "Optional[int]") -> "Iterator[None]":
        """This thread in the namespace `place`, None for where the agent is."""
        if place is None:
            yield
            return
        there = self._held(place)
        home = os.open(OWN, _READ)
        try:
            _enter(home)  # refused here rather than on the way back
            try:
                _enter(there)
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)

    def batch(self, place: "Optional[int]", requests: "List[List[Any]]") -> "List[Any]":
        """The answers to requests in the namespace `place`, one each; tools run side by side with the others."""
        tools = []  # type: List[_Tool]
        answers, left = [], LARGEST
        try:
            with self._inside(place):
                for request in requests:
                    answers.append(_attempt(_begin, *request))
                    tools += [answers[-1]] if isinstance(answers[-1], _Tool) else []
            _finish(tools)
            for number, begun in enumerate(answers):
                if isinstance(begun, _Tool):
                    answers[number] = _attempt(begun.answer)
                left -= _size(answers[number])
                if left < 0:
                    answers[number] = {"errno": errno.EFBIG, "text": "more than %d bytes together" % LARGEST}
        finally:
            for tool in tools:
                tool.close()
        return answers


_REQUESTS = {
    "netlink": netlink,
    "file": read_file,
    "link": read_link,
    "names": read_names,
    "key": read_key,
    "cookie": cookie,
    "tool": _Tool,
}  # type: Dict[str, Callable[..., Any]]


def _begin(kind: str, *arguments: Any) -> Any:
    """The answer to a request, or the tool that will give it."""
    if kind not in _REQUESTS:
        raise _refusal(errno.ENOSYS, "no such request: %s" % kind)
    return _REQUESTS[kind](*arguments)


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        raise _failed()


def _size(answer: Any) -> int:
    """About how many bytes an answer has."""
    if isinstance(answer, (list, tuple)):
        return sum(_size(each) for each in answer)
    return len(answer) if isinstance(answer, (bytes, str)) else 8


# --- as a process of its own ----------------------------------------------------------------------------------

WORKERS = 8
LEASE_S = 10  # until the controller says another
GLANCE_S = 0.25


class Service:
    """Answers questions in threads of its own, in any order, and ends the process when its lease is over."""

    def __init__(self, agent: Agent, send: "Callable[[bytes], None]") -> None:
        self._agent, self._send = agent, send
        self._questions = queue.Queue()  # type: queue.Queue[Any]
        for work in [self._work] * WORKERS + [self._watch]:
            thread = threading.Thread(target=work)
            thread.daemon = True
            thread.start()

    def ask(self, question: Any) -> None:
        """Answer this as soon as there is a thread for it."""
        self._agent.heard = time.monotonic()
        self._questions.put(question)

    def _work(self) -> None:
        while True:
            question = self._questions.get()
            try:
                self._send(framed(self._agent.answer(question)))
            except BaseException:  # nobody hears us, or nobody whom we understand
                end()

    def _watch(self) -> None:
        while True:
            time.sleep(GLANCE_S)
            if time.monotonic() - self._agent.heard > (self._agent.lease_s or LEASE_S):
                end()


def end() -> None:
    """End this process at once: the kernel closes its sockets, and its tools end with it."""
    os._exit(0)


def serve(reading: int = 0, writing: int = 1) -> None:
    """Be an agent that is spoken to by frames over two descriptors, until the first is at its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lock = threading.Lock()

    def send(data: bytes) -> None:
        with lock:
            while data:
                data = data[os.write(writing, data) :]

    send(PREFACE)
    service, frames = Service(Agent(), send), Frames()
    try:
        while True:
            data = os.read(reading, 1 << 16)
            if not data:
                break
            for question in frames.feed(data):
                service.ask(question)
    except (OSError, ValueError):
        pass
    end()


if __name__ == "__main__":
    serve()
