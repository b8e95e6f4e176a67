"""What runs on another host: verbs that carry bytes to its kernel and back, and decide nothing.

One file, the standard library, Python 3.6 or later: it is sent to the host, or installed there as a forced
command, and leaves nothing behind. Values are None, bool, int, finite float, bytes, str, list, and dict with
str keys, in a codec with limits; a frame is the length of what follows in four bytes, then the packed
[number, verb, arguments], answered by [number, True, value] or [number, False, errno, text].
namespaces(7), netlink(7), packet(7).
"""

import ctypes
import errno
import fcntl
import os
import queue
import resource
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

VERSION = 1
PREFACE = b"netprobe agent %d\n" % VERSION  # what a login shell prints before it is skipped

# --- codec ----------------------------------------------------------------------------------------------

LARGEST_FRAME = 80 << 20  # bytes, more than the largest answer of `batch`
MOST_VALUES = 1 << 20  # in one frame: some 60 bytes of memory each
DEEPEST = 12  # lists in lists

_LENGTH = struct.Struct(">I")
_SMALL, _LARGE, _REAL = struct.Struct(">cq"), struct.Struct(">cQ"), struct.Struct(">cd")


class Malformed(ValueError):
    """Bytes that are no packed value, or a value that cannot be packed."""


def pack(value: Any) -> bytes:
    """A value as bytes. Raises Malformed."""
    out: List[bytes] = []
    try:
        _put(value, out, 0)
    except (struct.error, UnicodeEncodeError) as error:
        raise Malformed(str(error)) from None
    return b"".join(out)


def _put(value: Any, out: List[bytes], depth: int) -> None:
    if depth > DEEPEST or len(out) > MOST_VALUES:
        raise Malformed("nested too deeply, or too many values")
    if value is None or value is True or value is False:
        out.append({None: b"N", True: b"T", False: b"F"}[value])
    elif isinstance(value, int):
        out.append(_SMALL.pack(b"i", value) if value < 1 << 63 else _LARGE.pack(b"u", value))
    elif isinstance(value, float) and abs(value) != float("inf") and value == value:
        out.append(_REAL.pack(b"f", value))
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
    reader = _Unpacker(data)
    try:
        value = reader.value(0)
    except struct.error as error:
        raise Malformed(str(error)) from None
    if reader.at != len(data):
        raise Malformed("more than one value")
    return value


class _Unpacker:
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
        if kind in _NUMBERS:
            _, number = _NUMBERS[kind].unpack_from(self.data, self.at)
            self.at += _SMALL.size
            if number - number != 0:
                raise Malformed("a number that is none")
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

    def _entry(self, depth: int) -> Tuple[str, Any]:
        key = self.value(depth)
        if not isinstance(key, str):
            raise Malformed("a key that is no text")
        return key, self.value(depth)


_NUMBERS = {b"i": _SMALL, b"u": _LARGE, b"f": _REAL}
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

    def feed(self, data: bytes) -> List[Any]:
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


# --- the kernel's words ---------------------------------------------------------------------------------

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
    """The wall clock, in ns since the epoch; exact to 256 ns before Python 3.7."""
    return time.time_ns() if hasattr(time, "time_ns") else int(time.time() * 1e9)


def _refusal(code: int, text: str = "") -> OSError:
    return OSError(code, text or os.strerror(code))


def _failed() -> OSError:
    return _refusal(ctypes.get_errno())


def _attempt(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns, or {"errno", "text"} of its failure."""
    try:
        return work(*arguments)
    except OSError as error:
        return {"errno": error.errno or errno.EIO, "text": str(error.strerror or error)}
    except WRONG as error:
        return {"errno": errno.EINVAL, "text": "%s: %s" % (type(error).__name__, error)}


# what comes of arguments of another shape than a verb takes
WRONG = (TypeError, ValueError, LookupError, AttributeError, OverflowError, struct.error)


# --- files ----------------------------------------------------------------------------------------------


def _found(path: str, flags: int = 0) -> int:
    """An O_PATH descriptor of what is at `path`, in ROOTS or a namespace; the caller closes it."""
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
def _looking_at(path: str, flags: int = 0) -> Iterator[int]:
    fd = _found(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _opened(fd: int) -> Iterator[int]:
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
            pieces: List[bytes] = []
            # of a file of /proc/sys the kernel clears as much memory as is asked for (proc_sys_call_handler)
            left, size = min(limit, LARGEST) + 1, 1 << 12
            while left > 0:
                piece = os.read(opened, min(left, size))
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)
                left, size = left - len(piece), 1 << 16 if len(piece) == size else size
    raise _refusal(errno.EFBIG, "larger than %d bytes" % limit)


def read_link(path: str) -> str:
    """Where a symbolic link in ROOTS leads."""
    with _looking_at(path, os.O_NOFOLLOW) as fd:
        return os.readlink("", dir_fd=fd)


def read_names(path: str, limit: int) -> List[str]:
    """The names in a directory in ROOTS, up to `limit` of them."""
    with _looking_at(path) as fd:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise _refusal(errno.ENOTDIR)
        with _opened(fd) as opened:
            found = os.listdir(opened)
    if len(found) > limit:
        raise _refusal(errno.EFBIG, "more than %d names" % limit)
    return sorted(found)


def read_key(path: str) -> List[int]:
    """The device and inode of what is at `path`."""
    with _looking_at(path) as fd:
        seen = os.fstat(fd)
        return [seen.st_dev, seen.st_ino]


# --- netlink --------------------------------------------------------------------------------------------


def netlink(protocol: int, strict: bool, message: bytes, wanted: int, most: int = 0) -> List[bytes]:
    """Send bytes to netlink and return the datagrams that answer them.

    `wanted`: how many questions of `message` are to be answered, by any message but NLMSG_DONE with their
    sequence number; 0 for a dump, which ends by NLMSG_DONE or an error. After more than `most` entries of a
    dump no further are heard, unless `most` is 0.
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


def _messages_in(data: bytes) -> Iterator[Tuple[int, int]]:
    """The type and sequence number of each message of a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            raise _refusal(errno.EBADMSG)
        yield kind, sequence
        at += (length + 3) & ~3


# --- tools ----------------------------------------------------------------------------------------------


class _Tool:
    """A program in the namespace of the calling thread, killed with us: it alone holds the reading end of a
    pipe, and the kernel tells it by SIGKILL when the other end is closed (fcntl(2), F_SETSIG).
    """

    def __init__(self, argv: List[str], limit: int, seconds: float) -> None:
        program = _program(argv[0])
        self.end = time.monotonic() + min(seconds, 60)
        self.limit = min(limit, LARGEST)
        self.printed: Dict[int, bytearray] = {}
        held, self._hold = os.pipe2(os.O_CLOEXEC)
        try:
            self.process = subprocess.Popen(
                [program, *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"LC_ALL": "C", "PATH": os.pathsep.join(PLACES), "RES_OPTIONS": "attempts:0"},
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

    def _pipes(self) -> Tuple[int, int]:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
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

    def answer(self) -> List[Any]:
        """[exit code or None while it still runs, stdout, stderr]."""
        if self.is_long:
            raise _refusal(errno.EFBIG, "printed more than %d bytes" % self.limit)
        code = None
        if not self.reading:
            with suppress(subprocess.TimeoutExpired):
                code = self.process.wait(max(0.0, self.end - time.monotonic()))
        return [code, bytes(self.printed[self._out]), bytes(self.printed[self._err])]

    def close(self) -> None:
        """End it, if it still runs."""
        os.close(self._hold)
        if self.process.poll() is None:
            self.process.kill()
            with suppress(subprocess.TimeoutExpired):  # the kernel does not let it go: it dies when it can
                self.process.wait(0.5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def _program(name: str) -> str:
    for place in PLACES:
        path = os.path.join(place, name)
        if "/" not in name and os.access(path, os.X_OK):
            return path
    raise _refusal(errno.ENOENT, "%s is not installed" % name)


def _finish(tools: List[_Tool]) -> None:
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


# --- what a host has ------------------------------------------------------------------------------------


def cookie() -> int:
    """SO_NETNS_COOKIE of the namespace in which this thread is; 0 where the kernel has none (before 5.14)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), sys.byteorder)
        except OSError:
            return 0


def hello() -> Dict[str, Any]:
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


def names() -> List[List[Any]]:
    """[name, device, inode] of each file in /run/netns; an unfinished one is on another device."""
    found = []
    folder = "/run/netns"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        try:
            seen = os.stat(os.path.join(folder, name))
        except OSError:  # removed meanwhile
            continue
        found.append([name, seen.st_dev, seen.st_ino])
    return found


def processes(limit: int) -> List[List[Any]]:
    """[pid, comm, device, inode, cgroup] of the first process in each network namespace, up to `limit`."""
    found: List[List[Any]] = []
    met: Set[Tuple[int, int]] = set()
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
    end, size = time.monotonic() + min(seconds, 60), 0
    pieces: List[bytes] = []
    kind = socket.SOCK_STREAM | socket.SOCK_CLOEXEC
    with _looking_at(path) as fd, socket.socket(socket.AF_UNIX, kind) as sock:
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


# --- observing ------------------------------------------------------------------------------------------

SO_ATTACH_FILTER, SO_RCVBUFFORCE, SO_TIMESTAMPNS_NEW = 26, 33, 64  # include/uapi/asm-generic/socket.h
SOL_PACKET, PACKET_STATISTICS, PACKET_AUXDATA = 263, 6, 8  # include/uapi/linux/if_packet.h
ETH_P_ALL = 3
SIOCGIFNAME, SIOCGIFHWADDR, SIOCGIFINDEX = 0x8910, 0x8927, 0x8933  # include/uapi/linux/sockios.h
IOCTLS = (SIOCGIFNAME, SIOCGIFHWADDR, SIOCGIFINDEX)
MSG_ERRQUEUE = 0x2000
NOTHING = struct.pack("=HBBI", 6, 0, 0, 0)  # a filter: return 0
TAP_BUFFER = 1 << 20  # bytes of queue
AT_ONCE = 1024  # messages of a socket before the others are looked at again
ADDRESS, CONTROL = 128, 512  # bytes of an address, and of control messages
MOST_KEPT = 1 << 14  # messages of the sender's sockets, before the kernel has to keep them
MOST_TAKEN, TAKEN_BYTES = 1 << 14, 8 << 20  # frames and messages of one answer
LONGEST_WAIT_NS = 5000000000  # of one `take`
FULL_S = 0.01  # before what waits is looked at again while there is no room for it
GATHER_S = 0.0003  # what comes together is taken together
MOST_RUNS, MOST_TAPS = 64, 8192
_NOBODY_AT_ALL = ctypes.c_uint32(-1)  # setfsuid(2) refuses it, and says who we are


class _Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MessageHeader(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Inbox:
    """Where one thread receives into. Python's own recvmsg fails on an interface whose name is not UTF-8."""

    def __init__(self) -> None:
        self._data = ctypes.create_string_buffer(DATAGRAM)
        self._name = ctypes.create_string_buffer(ADDRESS)
        self._control = ctypes.create_string_buffer(CONTROL)
        self._piece = _Piece(ctypes.addressof(self._data), DATAGRAM)
        self._header = _MessageHeader(
            ctypes.addressof(self._name),
            ADDRESS,
            ctypes.addressof(self._piece),
            1,
            ctypes.addressof(self._control),
        )

    def receive(self, fd: int, flags: int = 0) -> Optional[Tuple[bytes, bytes, bytes]]:
        """(address, control messages, data) of the next message; None when none waits. Raises OSError."""
        header = self._header
        header.namelen, header.controllen = ADDRESS, CONTROL
        size = _libc.recvmsg(fd, ctypes.byref(header), flags | socket.MSG_DONTWAIT)
        if size >= 0:
            control = ctypes.string_at(self._control, header.controllen)
            return self._name.raw[: header.namelen], control, ctypes.string_at(self._data, size)
        if ctypes.get_errno() == errno.EAGAIN:
            return None
        raise _failed()


def _attach(sock: socket.socket, program: bytes) -> None:
    """Give a socket a filter: struct sock_filter after struct sock_filter."""
    if not program or len(program) % 8:
        raise _refusal(errno.EINVAL, "no filter")
    code = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)


def _empty(sock: socket.socket) -> None:
    """Throw away what is queued at a socket."""
    while True:
        try:
            sock.recv(1)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EBADF):
                return


def _enlarge(sock: socket.socket) -> None:
    """Give a socket a long queue; without privilege as long as the system allows."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, TAP_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TAP_BUFFER)


def _send_to(sock: socket.socket, data: bytes, address: bytes) -> None:
    """sendto(2), in the same way."""
    if _libc.sendto(sock.fileno(), data, ctypes.c_size_t(len(data)), 0, address, len(address)) < 0:
        raise _failed()


def _by_address(call: Callable[..., int], sock: socket.socket, address: Any) -> None:
    """bind(2) or connect(2) with a struct sockaddr, which Python cannot make for every family."""
    if call(sock.fileno(), address, len(address)):
        raise _failed()


class _Listener:
    """A packet socket on all interfaces of the namespace in which it is made. Raises OSError."""

    def __init__(self, number: int, program: bytes, frames: int, size: int) -> None:
        self.number, self._program = number, program
        self._room = self._frames, self._bytes = frames, size
        self._names: Dict[int, str] = {}
        self.is_full = False
        self.dropped = 0
        self.socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
        )
        try:  # the filter before the bind: nothing that is not asked for is ever queued
            _attach(self.socket, program)
            self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)
            self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            _enlarge(self.socket)
            address = struct.pack("=HHi12x", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0)
            _by_address(_libc.bind, self.socket, address)
        except BaseException:
            self.socket.close()
            raise

    def take(self, inbox: _Inbox) -> Iterator[List[Any]]:
        """[number, interface, address, control messages, frame] of what is queued; a full one is shut."""
        for _ in range(AT_ONCE):
            if self.is_full:
                return
            try:
                received = inbox.receive(self.socket.fileno())
            except OSError as error:
                if error.errno in (
                    errno.ENETDOWN,
                    errno.EINTR,
                ):  # ENETDOWN is told once, and the queue goes on
                    continue
                return
            if received is None:
                return
            address, control, frame = received
            self._frames, self._bytes = self._frames - 1, self._bytes - len(frame)
            if self._frames <= 0 or self._bytes <= 0:
                self.shut()
                self.is_full = True
            yield [self.number, self._name(address), address[:20], control, frame]

    def _name(self, address: bytes) -> str:
        (index,) = struct.unpack_from("=i", address, 4)
        if index not in self._names:
            try:
                told = fcntl.ioctl(self.socket, SIOCGIFNAME, struct.pack("=16si20x", b"", index))
                self._names[index] = os.fsdecode(told[:16].split(b"\0")[0])
            except OSError:  # it is gone
                self._names[index] = "if%d" % index
        return self._names[index]

    def shut(self) -> None:
        """Take no more frames; what is queued is thrown away."""
        _attach(self.socket, NOTHING)
        _empty(self.socket)

    def crowded(self) -> bool:
        """Whether a good part of its room is taken."""
        return self._frames * 4 < self._room[0] * 3 or self._bytes * 4 < self._room[1] * 3

    def clear(self) -> None:
        """Begin anew."""
        self.shut()
        self.count()
        self.dropped, self.is_full = 0, False
        self._frames, self._bytes = self._room
        _attach(self.socket, self._program)

    def count(self) -> None:
        """Add up how many frames the kernel had no room for; it then starts from 0."""
        told = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.dropped += struct.unpack("=II", told)[1]


class _Observing:
    """Taps, sockets that send, and one thread that reads all of them and sends when it is time."""

    def __init__(self) -> None:
        self.touched = time.monotonic()
        self.taps: List[_Listener] = []
        self.armed = 0  # taps that were asked for: each has its number, also one that failed
        self.sockets: List[Optional[socket.socket]] = []
        self._hearing: Dict[int, int] = {}
        self._lock = threading.Condition()
        self._frames: List[List[Any]] = []
        self._heard: List[List[Any]] = []
        self._sent: List[List[int]] = []
        self._sends: List[Any] = []
        self._number = 0
        self._is_over = False
        self._epoll = select.epoll()
        self._asleep, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._epoll.register(self._asleep, select.EPOLLIN)
        self._inbox = _Inbox()
        self._thread: Optional[threading.Thread] = None

    def add(self, tap: _Listener) -> None:
        """Read this tap, too."""
        with self._lock:
            self.taps.append(tap)
        self._epoll.register(tap.socket.fileno(), select.EPOLLIN)
        self._start()

    def hear(self, number: int) -> None:
        """Read what comes to a socket, its error queue included."""
        sock = self.at(number)
        with self._lock:
            self._hearing[sock.fileno()] = number
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._start()

    def at(self, number: int) -> socket.socket:
        """One of its sockets."""
        found = self.sockets[number] if 0 <= number < len(self.sockets) else None
        if found is None:
            raise _refusal(errno.EBADF)
        return found

    def fire(self, sends: List[Any]) -> None:
        """Send these, each so many ns after the one before it."""
        checked = [
            (self.at(number), bytes(data), address, max(0, int(wait_ns)))
            for number, data, address, wait_ns in sends
        ]
        with self._lock:
            self._sends.extend(checked)
        self._start()
        self._rouse()

    def take(self, wait_ns: int) -> Dict[str, Any]:
        """What has come since; waits for something so long."""
        end = time.monotonic() + min(wait_ns, LONGEST_WAIT_NS) / 1e9
        with self._lock:
            while not (self._frames or self._heard or self._sent or self._is_over):
                left = end - time.monotonic()
                if left <= 0 or not self._lock.wait(left):
                    break
        if wait_ns:
            time.sleep(GATHER_S)
        with self._lock:
            return self._taken(MOST_TAKEN, TAKEN_BYTES)

    def _taken(self, most: int, size: int) -> Dict[str, Any]:
        answer: Dict[str, Any] = {"sent": self._sent, "frames": [], "heard": []}
        self._sent = []
        for name, kept in (("heard", self._heard), ("frames", self._frames)):
            count = 0
            while count < min(len(kept), most) and size > 0:
                size -= _size(kept[count])
                count += 1
            answer[name] = kept[:count]
            del kept[:count]
        answer["more"] = bool(self._frames or self._heard)
        return answer

    def clear(self, crowded_only: bool = False) -> None:
        """Forget what the taps have caught, and empty them."""
        with self._lock:
            chosen = [tap for tap in self.taps if not crowded_only or tap.crowded()]
            for tap in chosen:
                tap.clear()
            numbers = {tap.number for tap in chosen}
            self._frames[:] = [frame for frame in self._frames if frame[0] not in numbers]

    def finish(self) -> Dict[str, Any]:
        """The rest, with how many frames each tap had no room for, and whether it became full."""
        with self._lock:
            self._is_over = True
            self._sends = []
            self._lock.notify_all()
        self._rouse()
        if self._thread is not None:
            self._thread.join()
        self._read()
        with self._lock:  # others may still be taking
            answer = self._taken(MOST_VALUES // 16, LARGEST)
        for tap in self.taps:
            tap.count()
        answer["taps"] = [[tap.number, tap.dropped, tap.is_full] for tap in self.taps]
        self.close()
        return answer

    def close(self) -> None:
        """Let go of everything. Closing a packet socket takes long: it is shut now, and closed beside."""
        self._is_over = True
        self._rouse()
        if self._thread is not None:
            self._thread.join()
        for tap in self.taps:
            tap.shut()
        sockets = [tap.socket for tap in self.taps] + [sock for sock in self.sockets if sock is not None]
        self.taps, self.sockets = [], []
        self._epoll.close()
        for fd in (self._asleep, self._wake):
            os.close(fd)
        self._wake = -1
        thread = threading.Thread(target=_close_all, args=(sockets,))
        thread.daemon = True
        thread.start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop)
            self._thread.daemon = True
            self._thread.start()

    def _rouse(self) -> None:
        with suppress(OSError):  # awake already, or closed
            os.write(self._wake, b"x")

    def _loop(self) -> None:
        due = time.monotonic()
        while not self._is_over:
            with self._lock:
                upcoming = self._sends[0] if self._sends else None
            left = due + upcoming[3] / 1e9 - time.monotonic() if upcoming else 1.0
            if upcoming and left <= 0:
                # late once is no reason to be late from then on, nor to send two at once
                due = max(due + upcoming[3] / 1e9, time.monotonic() - upcoming[3] / 4e9)
                self._send()
            else:
                self._sleep(left)
            self._read()
            if len(self._heard) >= MOST_KEPT:  # the rest waits in the kernel, which says so again and again
                time.sleep(FULL_S)

    def _sleep(self, seconds: float) -> None:
        """Until something comes, at most so long. epoll(7) counts in ms, select(2) in us."""
        if seconds < 0.004 and self._epoll.fileno() < 1024:
            select.select([self._epoll], [], [], seconds)
        else:
            self._epoll.poll(seconds)
        with suppress(BlockingIOError):
            os.read(self._asleep, 4096)

    def _send(self) -> None:
        if self._number == 0:
            self.clear(crowded_only=True)
        with self._lock:
            if not self._sends:
                return
            sock, data, address, _ = self._sends.pop(0)
        stamp, code = now_ns(), 0
        try:
            if isinstance(address, bytes):
                _send_to(sock, data, address)
            elif address is None:
                sock.send(data)
            else:
                sock.sendto(data, tuple(address))
        except OSError as error:
            code = error.errno or errno.EIO
        except WRONG:
            code = errno.EINVAL
        with self._lock:
            self._sent.append([self._number, stamp, code])
            self._number += 1
            self._lock.notify_all()

    def _read(self) -> None:
        """Everything that waits at the taps and the sockets now."""
        with self._lock:
            for tap in self.taps:
                self._frames.extend(tap.take(self._inbox))
            for fd, number in self._hearing.items():
                for flags in (0, MSG_ERRQUEUE):
                    if len(self._heard) < MOST_KEPT:
                        self._heard.extend(self._messages(fd, number, flags))
            if self._frames or self._heard:
                self._lock.notify_all()

    def _messages(self, fd: int, number: int, flags: int) -> Iterator[List[Any]]:
        for _ in range(AT_ONCE):
            try:
                received = self._inbox.receive(fd, flags)
            except OSError:  # an ICMP error that the kernel reports here once; it is in the error queue, too
                if flags:
                    return
                continue
            if received is None:
                return
            address, control, data = received
            yield [number, data, control, address, bool(flags)]


def _close_all(sockets: List[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _owned_by(uid: int, make: Callable[[], socket.socket]) -> socket.socket:
    """A socket that belongs to the user `uid`, 0 for us: routing rules and filters go by it. setfsuid(2)."""
    if not uid:
        return make()
    before = _libc.setfsuid(uid)
    try:
        if _libc.setfsuid(_NOBODY_AT_ALL) & 0xFFFFFFFF != uid:
            raise _refusal(errno.EPERM, "not permitted to send as user %d" % uid)
        return make()
    finally:
        _libc.setfsuid(before)


class _Operations:
    """What `sender` can do with the sockets of a run: a method each, named as in its argument."""

    def __init__(self, run: _Observing) -> None:
        self._run = run

    def do(self, name: str, *arguments: Any) -> Any:
        """The answer to one operation."""
        if name.startswith("_") or name == "do" or not hasattr(self, name):
            raise _refusal(errno.ENOSYS, "no such operation: %s" % name)
        return getattr(self, name)(*arguments)

    def socket(self, family: int, kind: int, protocol: int, uid: int = 0) -> int:
        """The number of a new socket, which does not block; one that fails takes a number, too."""
        self._run.sockets.append(None)
        kind |= socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._run.sockets[-1] = _owned_by(uid, lambda: socket.socket(family, kind, protocol))
        return len(self._run.sockets) - 1

    def setsockopt(self, number: int, level: int, option: int, value: Any) -> None:
        """setsockopt(2), with an int or bytes."""
        self._run.at(number).setsockopt(level, option, value)

    def getsockopt(self, number: int, level: int, option: int, size: int) -> bytes:
        """getsockopt(2), up to 4 KiB."""
        return self._run.at(number).getsockopt(level, option, min(size, 4096))

    def enlarge(self, number: int) -> None:
        """A long queue, as a tap's."""
        _enlarge(self._run.at(number))

    def bind(self, number: int, address: Any) -> None:
        """bind(2), with struct sockaddr as bytes, or a list as Python's."""
        sock = self._run.at(number)
        _by_address(_libc.bind, sock, address) if isinstance(address, bytes) else sock.bind(tuple(address))

    def connect(self, number: int, address: Any) -> None:
        """connect(2), in the same way."""
        sock = self._run.at(number)
        _by_address(_libc.connect, sock, address) if isinstance(address, bytes) else sock.connect(
            tuple(address)
        )

    def getsockname(self, number: int) -> List[Any]:
        """The address of a socket, as Python gives it."""
        return list(self._run.at(number).getsockname())

    def filter(self, number: int, program: bytes) -> None:
        """Give a socket a filter, and throw away what came before it."""
        _attach(self._run.at(number), program)
        _empty(self._run.at(number))

    def ioctl(self, request: int, data: bytes) -> bytes:
        """The name, index or hardware address of an interface, struct ifreq as netdevice(7) says."""
        if request not in IOCTLS or len(data) != 40:
            raise _refusal(errno.EINVAL)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            return fcntl.ioctl(sock, request, data)

    def hear(self, number: int) -> None:
        """Hand out by `take` what comes to a socket, its error queue included."""
        self._run.hear(number)

    def close(self, number: int) -> None:
        """Close a socket that is not heard."""
        self._run.at(number).close()
        self._run.sockets[number] = None


# --- the verbs ------------------------------------------------------------------------------------------


class Agent:
    """The verbs of one host, and what they hold open. Threads may call side by side; `close` ends all."""

    def __init__(self) -> None:
        self.heard = time.monotonic()  # when the last call came
        self.lease_s = 0.0  # 0: none
        self._namespaces: Set[int] = set()
        self._runs: Dict[Any, _Observing] = {}
        self._verbs: Dict[str, Callable[..., Any]] = {
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
            "arm": self.arm,
            "sender": self.sender,
            "fire": self.fire,
            "take": self.take,
            "clear": self.clear,
            "finish": self.finish,
        }

    def call(self, verb: str, arguments: List[Any]) -> Any:
        """What the verb answers. Raises OSError: ENOSYS for an unknown verb, EINVAL for arguments that do not
        fit.
        """
        self.heard = time.monotonic()
        try:
            if verb not in self._verbs:
                raise _refusal(errno.ENOSYS, "no such verb: %s" % verb)
            return self._verbs[verb](*arguments)
        except WRONG as error:
            raise _refusal(errno.EINVAL, "%s: %s" % (type(error).__name__, error)) from error
        finally:
            self.heard = time.monotonic()

    def answer(self, question: Any) -> List[Any]:
        """The frame that answers a frame."""
        number, verb, arguments = question
        try:
            return [number, True, self.call(verb, arguments)]
        except OSError as error:
            return [number, False, error.errno or errno.EIO, str(error.strerror or error)]

    def close(self) -> None:
        """Let go of everything."""
        for run in list(self._runs):
            self._runs.pop(run).close()
        self.shut(list(self._namespaces))

    def tidy(self) -> None:
        """Let go of runs that nobody has asked for since the length of a lease."""
        oldest = time.monotonic() - (self.lease_s or LEASE_S)
        for name, run in list(self._runs.items()):
            if run.touched < oldest and self._runs.pop(name, None) is not None:
                run.close()

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

    def shut(self, numbers: List[int]) -> None:
        """Close descriptors that `open` gave; others are left alone."""
        for number in numbers:
            if number in self._namespaces:
                self._namespaces.discard(number)
                os.close(number)

    def identity(self, number: int) -> List[int]:
        """The device and inode of an open namespace."""
        seen = os.fstat(self._held(number))
        return [seen.st_dev, seen.st_ino]

    def _held(self, number: int) -> int:
        if number not in self._namespaces:
            raise _refusal(errno.EBADF)
        return number

    @contextmanager
    def _inside(self, place: Optional[int]) -> Iterator[None]:
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

    def batch(self, place: Optional[int], requests: List[List[Any]]) -> List[Any]:
        """The answers to requests in the namespace `place`, one each; tools run beside the others."""
        tools: List[_Tool] = []
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

    def arm(self, run: Any, taps: List[List[Any]]) -> List[Any]:
        """Open taps, [place, filter, frames, bytes] each, numbered as they come: None for one that listens
        from now on and keeps so much, {"errno", "text"} for one that does not.
        """
        armed = self._run(run, make=True)
        if len(taps) > MOST_TAPS:
            raise _refusal(errno.EMFILE, "more than %d taps" % MOST_TAPS)
        first, armed.armed = armed.armed, armed.armed + len(taps)
        return [_attempt(self._arm, armed, number, *tap) for number, tap in enumerate(taps, first)]

    def _arm(
        self, run: _Observing, number: int, place: Optional[int], program: bytes, frames: int, size: int
    ) -> None:
        with self._inside(place):
            run.add(_Listener(number, program, frames, size))

    def sender(self, run: Any, place: Optional[int], operations: List[List[Any]]) -> List[Any]:
        """Do operations on sockets of the run, opened in `place`: an answer each, or {"errno", "text"}."""
        work = _Operations(self._run(run, make=True))
        with self._inside(place):
            return [_attempt(work.do, *operation) for operation in operations]

    def fire(self, run: Any, sends: List[List[Any]]) -> None:
        """Send [socket, bytes, address or None, ns to wait before it] in this order; `take` tells of each."""
        self._run(run).fire(sends)

    def take(self, run: Any, wait_ns: int) -> Dict[str, Any]:
        """What was caught, heard and sent since, as soon as there is any, or after `wait_ns`."""
        return self._run(run).take(wait_ns)

    def clear(self, run: Any) -> None:
        """Forget what the taps have caught so far."""
        self._run(run).clear()

    def finish(self, run: Any) -> Dict[str, Any]:
        """As `take`, for the last time; "taps" tells [number, frames lost, whether it became full]."""
        found = self._run(run)
        del self._runs[run]
        return found.finish()

    def _run(self, name: Any, make: bool = False) -> _Observing:
        if name not in self._runs:
            if not make:
                raise _refusal(errno.ESRCH, "no such run")
            if len(self._runs) >= MOST_RUNS:
                raise _refusal(errno.EMFILE, "more than %d runs" % MOST_RUNS)
            self._runs[name] = _Observing()
        self._runs[name].touched = time.monotonic()
        return self._runs[name]


_REQUESTS: Dict[str, Callable[..., Any]] = {
    "netlink": netlink,
    "file": read_file,
    "link": read_link,
    "names": read_names,
    "key": read_key,
    "cookie": cookie,
    "tool": _Tool,
}


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


# --- as a process of its own ----------------------------------------------------------------------------

WORKERS = 8
LEASE_S = 10  # until the controller says another
GLANCE_S = 0.25


class Answering:
    """Answers questions in threads of its own, in any order, and ends the process when its lease is over."""

    def __init__(self, agent: Agent, send: Callable[[bytes], None]) -> None:
        self._agent, self._send = agent, send
        self._questions: queue.Queue[Any] = queue.Queue()
        for work in [self._work] * WORKERS + [self._watch]:
            thread = threading.Thread(target=work)
            thread.daemon = True
            thread.start()

    def ask(self, question: Any) -> None:
        """Answer this as soon as there is a thread for it; whether we are here, and when, at once."""
        self._agent.heard = time.monotonic()
        if isinstance(question, list) and question[1:2] == ["clock"]:
            self._answer(question)
        else:
            self._questions.put(question)

    def _work(self) -> None:
        while True:
            self._answer(self._questions.get())

    def _answer(self, question: Any) -> None:
        try:
            answer = self._agent.answer(question)
            try:
                data = framed(answer)
            except Malformed as error:
                data = framed([answer[0], False, errno.EFBIG, "an answer that cannot be sent: %s" % error])
            self._send(data)
        except BaseException:  # nobody hears us, or nobody whom we understand
            end()

    def _watch(self) -> None:
        try:
            while time.monotonic() - self._agent.heard <= (self._agent.lease_s or LEASE_S):
                time.sleep(GLANCE_S)
                self._agent.tidy()
        finally:
            end()


def end() -> None:
    """End this process at once: the kernel closes its sockets, and its tools end with it."""
    os._exit(0)


def _settle() -> None:
    """As many descriptors as we may have; and Ctrl-C at the controller is the controller's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(reading: int = 0, writing: int = 1) -> None:
    """Be an agent that is spoken to by frames over two descriptors, until the first is at its end."""
    _settle()
    lock = threading.Lock()

    def send(data: bytes) -> None:
        with lock:
            while data:
                data = data[os.write(writing, data) :]

    send(PREFACE)
    service, frames = Answering(Agent(), send), Frames()
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


HANDLE = 900001  # of mitogen's messages to the agent
PIECE = 8 << 10  # bytes of a frame in one message: what comes over a slow link shows that it comes


def serve_messages(handle: int, router: Any) -> None:
    """Be an agent that is spoken to by messages of mitogen, whose child this is; `handle` hears us.

    mitogen is found where it is, and not imported: it is no part of this file.
    """
    core = sys.modules[type(router).__module__]
    _settle()
    # one thread sends, and never mitogen's own, whose messages would overtake pieces of others
    outbox: queue.Queue[bytes] = queue.Queue()
    outbox.put(PREFACE)
    service, frames = Answering(Agent(), outbox.put), Frames()

    def received(message: Any) -> None:
        try:
            if message.is_dead:
                end()
            for question in frames.feed(message.data):
                service.ask(question)
        except ValueError:
            end()

    router.add_handler(received, HANDLE, policy=core.has_parent_authority)
    core.listen(router.broker, "shutdown", end)
    while True:
        data = outbox.get()
        for at in range(0, len(data), PIECE):
            router.route(core.Message(dst_id=0, handle=handle, data=data[at : at + PIECE]))


serve_messages.mitogen_takes_router = True  # type: ignore[attr-defined]


if __name__ == "__main__":
    serve()
