"""What one host contributes to one observation: its taps, and the sockets of the source if that is there.

A thread hears what the agent has taken; whoever observes waits for a descriptor, as for a socket's.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from netprobe.errors import CannotLook, NetprobeError
from netprobe.kernel.elsewhere import Distant, DistantSocket, Elsewhere, HostSensors
from netprobe.linux.sensors.tap import LATEST, NOTHING, Room, messages_of, stamp_of
from netprobe.wire.bpf import packed

from .connection import Pending
from .questions import Questions
from .taken import Rooms, TakenAnswer, below, is_address, python_address, taken_answer

WAIT_NS = 1_000_000_000  # of one `take`
SEND_S = 2.0  # for a host to say that it has sent
ARM_S = 3.0
END_S = 2.0
_RUNS = itertools.count()
NOTHING_TAKEN = packed(NOTHING)
_Operation = list[Any]
_Then = Callable[[Any], bool]  # whether it is an answer


class DistantSensors(HostSensors):
    """One run of the agent. `end` it."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._run = f"{os.getpid()}-{next(_RUNS)}-{time.monotonic_ns()}"
        self.gone, self.shift_ns, self.bound_ns = "", 0, 0
        try:
            self.shift_ns, self.bound_ns = questions.clock()
            if not 0 <= time.time_ns() - self.shift_ns <= LATEST:
                raise CannotLook(f"{questions.name} says a time that is none")
        except (NetprobeError, OSError) as error:
            self.gone = str(error)
        self._asked: list[list[Any]] = []
        self._arming: Pending | None = None
        self._ending: Pending | None = None
        self._refused: list[OSError | None] = []
        self.failed: OSError | CannotLook | None = None  # what was told with a question
        self._lock = threading.Condition()
        self._frames: dict[int, list[Distant]] = {}
        self._heard: dict[int, deque[list[Any]]] = {}
        self._sent: dict[int, tuple[int, int]] = {}
        self._taps: dict[int, tuple[int, bool]] = {}
        self._rooms = Rooms()
        self._sockets = self._fired = 0  # how many
        self._told: list[tuple[_Operation, _Then | None]] = []
        self._place: int | None = None
        self._thread: threading.Thread | None = None
        self._is_made = self._is_over = False
        self._asleep, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        weakref.finalize(self, _close, self._asleep, self._wake)

    # --- taps

    def tap(self, place: Elsewhere, program: bytes, frames: int, size: int) -> int:
        """A tap to be armed, which keeps so many frames and bytes: its number."""
        self._asked.append([place.number, program, frames, size])
        number = len(self._asked) - 1
        self._rooms.give(number, Room(frames, size))
        return number

    def arm(self) -> None:
        """Begin to arm the taps."""
        if self.gone:
            self._refused = [OSError(errno.ENOTCONN, self.gone)] * len(self._asked)
        elif self._asked:
            self._is_made = True
            self._arming = self._begin("arm", self._asked, ARM_S)

    def armed(self, tap: int) -> OSError | None:
        """Why this tap could not be armed; None when it listens."""
        if self._arming is not None:
            answers = self._result(self._arming, len(self._asked))
            self._refused, self._arming = [self._refusal(each) for each in answers], None
            for number in [n for n, refusal in enumerate(self._refused) if refusal is not None]:
                self._rooms.withdraw(number)
        return self._refused[tap]

    def _refusal(self, answer: Any) -> OSError | None:
        """Why something was refused, of which an answer tells."""
        if answer is None:
            return None
        code, text = (answer.get("errno"), answer.get("text")) if isinstance(answer, dict) else (None, None)
        number = code if isinstance(code, int) and 0 < code < 4096 else errno.EPROTO
        return OSError(number, str(text) if text else os.strerror(number))

    def _begin(self, verb: str, argument: Any, patience_s: float) -> Pending:
        return self._questions.connection.begin(verb, self._run, argument, timeout=patience_s)

    def _result(self, pending: Pending, count: int) -> list[Any]:
        """So many answers; of a host that is lost or late, that for each."""
        try:
            answers = pending.result()
        except OSError as error:
            self._lose(str(error.strerror or error))
            return [{"errno": error.errno or errno.EIO, "text": str(error.strerror or error)}] * count
        if isinstance(answers, list) and len(answers) == count:
            return answers
        return [{"errno": errno.EPROTO, "text": "an answer that is none"}] * count

    def taken(self, tap: int) -> list[Distant]:
        """The frames that have come of a tap."""
        with suppress(BlockingIOError):
            os.read(self._asleep, 4096)
        with self._lock:
            found = self._frames.pop(tap, None)
        return found or []

    def lost(self, tap: int) -> tuple[int, bool]:
        """How many frames a tap had no room for, and whether it was full: after `end`."""
        return self._taps.get(tap, (0, False))

    # --- sockets

    def socket(self, place: Elsewhere, family: int, kind: int, protocol: int, uid: int) -> Sock:
        """A socket in a namespace of the host; all of a run are in one."""
        if self._place not in (None, place.number):
            raise CannotLook(f"{self._questions.name}: a probe starts in one namespace")
        self._place = place.number
        number, self._sockets = self._sockets, self._sockets + 1
        self.tell(["socket", family, int(kind), protocol, uid])
        return Sock(self, number, family, kind == socket.SOCK_RAW)

    def tell(self, operation: _Operation, then: _Then | None = None) -> None:
        """Something is to be done with a socket, soon; `then` gets its answer."""
        self._told.append((operation, then))

    def settle(self) -> None:
        """Do what was told. Raises the first OSError of it, not one of `getsockopt`; CannotLook."""
        told, self._told = self._told, []
        if not told:
            return
        self._is_made = True
        operations = [operation for operation, _ in told]
        answers = self._questions.call("sender", self._run, self._place, operations)
        if not isinstance(answers, list) or len(answers) != len(told):
            raise CannotLook(f"{self._questions.name} gives other answers than it was asked for")
        for (operation, then), answer in zip(told, answers, strict=True):
            if isinstance(answer, dict) and operation[0] != "getsockopt":
                raise self._refusal(answer) or OSError(errno.EPROTO, "")
            if then is not None and not then(answer):
                raise CannotLook(f"{self._questions.name} gives other answers than it was asked for")

    def fire(self, number: int, data: bytes, address: Any) -> int:
        """Send, and say when that was.

        Raises OSError with the kernel's refusal, CannotLook for a host that is lost.
        """
        shot, end = self._fired, time.monotonic() + SEND_S
        self._fired += 1
        where = None if address is None else list(address)
        self._questions.call("fire", self._run, [[number, data, where, 0]], patience_s=SEND_S)
        with self._lock:
            while shot not in self._sent and not self.gone:
                if not self._lock.wait(max(0.0, end - time.monotonic())):
                    break
            if shot not in self._sent:
                raise CannotLook(self.gone or f"{self._questions.name} did not say whether it has sent")
            stamp_ns, code = self._sent[shot]
        if code:
            raise OSError(code, os.strerror(code))
        return stamp_ns

    def message(self, number: int, is_error: bool) -> list[Any] | None:
        """The next message that a socket has heard."""
        with suppress(BlockingIOError):
            os.read(self._asleep, 4096)
        with self._lock:
            waiting = self._heard.get(number * 2 + is_error)
            if not waiting:
                return None
            message = waiting.popleft()
            self._rooms.got(len(message[0]))
            return message

    # --- hearing

    def fileno(self) -> int:
        """A descriptor that can be read when something has come."""
        return self._asleep

    def begin(self) -> None:
        """Begin to hand out what comes. Raises CannotLook where a socket cannot do what it was told."""
        try:
            self.settle()
            if self.failed is not None:
                raise self.failed
        except OSError as error:
            raise CannotLook(f"{self._questions.name} cannot listen: {error.strerror}") from error
        if self._thread is None and not self.gone:
            name = f"observes {self._questions.name}"
            self._thread = threading.Thread(target=self._listen, name=name, daemon=True)
            self._thread.start()

    def _listen(self) -> None:
        while not self._is_over and not self.gone:
            try:
                self._take(self._begin("take", WAIT_NS, WAIT_NS / 1e9 + END_S).result())
            except OSError as error:
                if not self._is_over:
                    self._lose(str(error.strerror or error))

    def _lose(self, why: str) -> None:
        with self._lock:
            self.gone = self.gone or why
            self._lock.notify_all()
        self._rouse()

    def _rouse(self) -> None:
        with suppress(OSError):  # it is awake already
            os.write(self._wake, b"x")

    def _take(self, answer: Any) -> None:
        """Note what an answer to `take` has. What no agent says loses the host."""
        try:
            with self._lock:
                self._note(taken_answer(answer))
                self._lock.notify_all()
        except (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, struct.error) as error:
            self._lose(f"{self._questions.name} gives other answers than it was asked for ({error})")
        self._rouse()

    def _note(self, answer: TakenAnswer) -> None:
        """Raises ValueError for what was not asked for, or is more than there is room for."""
        for sent in answer.sent:
            below(sent.shot, self._fired, "packet")
            self._sent[sent.shot] = self._ours(sent.stamp_ns), sent.code
        for each in answer.frames:
            self._rooms.take(each)
            self._ours(stamp_of(messages_of(each.control)))
            caught = each.name, each.address[:20].ljust(20, b"\0"), each.control, each.frame
            self._frames.setdefault(each.tap, []).append(caught)
        for said in answer.heard:
            below(said.number, self._sockets, "socket")
            self._rooms.put(said)
            ancillary = messages_of(said.control)
            self._ours(stamp_of(ancillary))
            message = [said.data, ancillary, python_address(said.address)]
            self._heard.setdefault(said.number * 2 + said.is_error, deque()).append(message)
        for end in answer.taps:
            self._rooms.check(end.tap)
            self._taps[end.tap] = end.dropped, end.is_full

    def _ours(self, stamp_ns: int) -> int:
        """A stamp of the host on our clock; 0: there is none. Raises ValueError for what no capture can
        tell.
        """
        if stamp_ns and not 0 <= stamp_ns + self.shift_ns <= LATEST:
            raise ValueError("a time that is none")
        return stamp_ns + self.shift_ns

    def finish(self) -> None:
        """Begin to end."""
        if self._is_over:
            return
        self._is_over = True
        self._questions.over(self)
        if self._is_made and not self.gone:
            self._ending = self._questions.connection.begin("finish", self._run, timeout=END_S)

    def end(self) -> None:
        """Nothing more is sent or heard, but what has come already. Harmless when repeated."""
        self.finish()
        ending, self._ending = self._ending, None
        if ending is not None:
            try:
                self._take(ending.result())
            except OSError as error:
                self._lose(str(error.strerror or error))
        if self._thread is not None:
            self._thread.join(END_S)


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


class Sock(DistantSocket):
    """A socket of the agent."""

    def __init__(self, host: DistantSensors, number: int, family: int, is_raw: bool) -> None:
        self._host, self._number, self._is_raw = host, number, is_raw
        self.family, self.shift_ns = family, host.shift_ns
        self._name: Any = None
        self._is_heard = False

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """setsockopt(2), soon."""
        self._host.tell(["setsockopt", self._number, level, option, value])

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """getsockopt(2); nothing where the host does not say."""
        found: list[Any] = []

        def is_told(answer: Any) -> bool:
            found.append(answer)
            return isinstance(answer, bytes | dict)

        self._host.tell(["getsockopt", self._number, level, option, size], is_told)
        try:
            self._host.settle()
        except (OSError, CannotLook) as error:
            self._host.failed = self._host.failed or error
        return found[0] if found and isinstance(found[0], bytes) else b""

    def bind(self, address: Any, /) -> None:
        """bind(2); at once where it may be refused."""
        plain = isinstance(address, bytes)
        self._host.tell(["bind", self._number, address if plain else list(address)])
        if not plain:
            self._host.tell(["getsockname", self._number], self._named)
        if plain or self._is_raw or address[1]:
            self._host.settle()

    def _named(self, name: Any) -> bool:
        match name:
            case [str(address), int(port), *_] if 0 <= port < 1 << 16 and is_address(self.family, address):
                self._name = address, port
                return True
        return False

    def connect(self, address: Any, /) -> None:
        """connect(2), soon."""
        self._name = None
        self._host.tell(["connect", self._number, list(address)])

    def getsockname(self) -> Any:
        """The address of the socket."""
        if self._name is None:
            self._host.tell(["getsockname", self._number], self._named)
        self._host.settle()
        return self._name

    def attach(self, program: bytes) -> None:
        """A filter, and an empty queue, soon; with one that takes something it hears from then on."""
        self._host.tell(["filter", self._number, program])
        if program != NOTHING_TAKEN:
            self.hear()

    def enlarge(self) -> None:
        """A long queue, soon."""
        self._host.tell(["enlarge", self._number])

    def hear(self) -> None:
        """From now on `recvmsg` has what comes."""
        if not self._is_heard:
            self._is_heard = True
            self._host.tell(["hear", self._number])

    def fire(self, data: bytes, address: Any = None) -> int:
        """Send, and say when that was."""
        return self._host.fire(self._number, data, address)

    def recvmsg(self, _size: int, _room: int, flags: int = 0, /) -> tuple[bytes, list[Any], int, Any]:
        """What has come, or an error of the queue of errors. Raises BlockingIOError when there is none."""
        message = self._host.message(self._number, bool(flags))
        if message is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        data, ancillary, address = message
        return data, ancillary, 0, address

    def fileno(self) -> int:
        """A descriptor that can be read when something has come."""
        return self._host.fileno()

    def close(self) -> None:
        """It is closed with what is told next; one that is heard with the run."""
        if not self._is_heard:
            self._host.tell(["close", self._number])
