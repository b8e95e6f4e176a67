"""Agents on hosts reached by the user's own ssh, started by mitogen: the one file that imports it.

Of mitogen it takes how a Python program gets into a process on another host, and the stream of messages. What
the messages hold is this package's frames: nothing that a host sends is unpickled, and a host may ask for
nothing but the agent's file. Host keys are checked by ssh, which asks nothing (BatchMode).
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Any

from msgspec import Struct

from . import agent
from .connection import AgentConnection, ConnectionLost
from .pipe import source

CONNECT_S = 10.0
AT_ONCE = 32  # hosts that are connected to side by side
MODULE = "netprobe_agent"  # what the agent is called on the host
# of ssh, for a process of ours that has outlived us; less would end a link of 64 kbit/s, where a packet of
# 32 KiB takes 4 s
KEEPALIVE_S, KEEPALIVES = 2, 3
LARGEST_MESSAGE = 1 << 20  # bytes of one message of mitogen, the agent's file among them
MOST_OTHERS = 1000  # messages of a host beside those of its agent: what it logs, which module it wants
GRACE_S = 1.0  # for ssh to end
# what the user's configuration may ask of ssh and what netprobe has no use for
OWN_WAY = ("ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes", "RequestTTY=no", "ControlMaster=no")


class Destination(Struct, frozen=True):
    """How a host is reached: what stands after `ssh`, and the words before `python3` there.

    `name` is one of the user's ssh configuration, or an address; `arguments` are for ssh, ("-F", FILE).
    `become`: how to be root there, ("sudo", "-n"), without being asked for anything.
    """

    name: str
    arguments: tuple[str, ...] = ()
    become: tuple[str, ...] = ()
    python: str = "python3"


def open_ssh(
    host: str, to: Destination, timeout: float = CONNECT_S, under_way: list[_Ssh] | None = None
) -> AgentConnection:
    """A connection to the agent of a host, called `host` in what is said of it. Raises ConnectionLost."""
    end = time.monotonic() + timeout
    return AgentConnection(host, lambda each: _Ssh(each, to, end, [] if under_way is None else under_way))


def open_all(
    hosts: Mapping[str, Destination], timeout: float = CONNECT_S
) -> dict[str, AgentConnection | ConnectionLost]:
    """Connections to all of these, made side by side, or why there is none. A slow one delays no other."""

    attempts: list[_Ssh] = []

    def opened(host: str) -> AgentConnection | ConnectionLost:
        try:
            return open_ssh(host, hosts[host], timeout, attempts)
        except ConnectionLost as error:
            return error

    with ThreadPoolExecutor(min(AT_ONCE, max(1, len(hosts)))) as pool:
        under_way = {host: pool.submit(opened, host) for host in hosts}
        try:
            return {host: each.result() for host, each in under_way.items()}
        except BaseException:  # Ctrl-C: what is connected by then has nobody who would close it
            for each in under_way.values():
                each.cancel()
                each.add_done_callback(close_late)
            for attempt in tuple(attempts):
                attempt.give_up()
            raise


def close_late(opened: Future[AgentConnection | ConnectionLost]) -> None:
    """Close a connection that nobody waits for any more."""
    if opened.cancelled() or opened.exception() is not None:
        return
    if isinstance(found := opened.result(), AgentConnection):
        found.close()


class _Mitogen:
    """mitogen's router and its thread: there while a connection is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._router: Any = None

    def enter(self) -> Any:
        """The router, for one connection more."""
        with self._lock:
            self._users += 1
            if self._router is None:
                try:
                    self._router = _made_router()
                except BaseException:
                    self._users -= 1
                    raise
            return self._router

    def leave(self) -> None:
        """One connection less."""
        with self._lock:
            self._users -= 1
            if self._users or self._router is None:
                return
            broker, self._router = self._router.broker, None
        broker.shutdown()
        broker.join()


def _made_router() -> Any:
    """A router that serves the agent's file, and hears of hosts only what handlers of ours are for."""
    try:
        import mitogen.core
        import mitogen.master
    except ImportError as error:
        text = "other hosts are reached by mitogen: pip install 'netns-netprobe[fleet]'"
        raise ConnectionLost(errno.ENOPKG, text, "mitogen") from error
    # hosts' words are not for our terminal; what matters of mitogen's own comes as an exception
    logger = logging.getLogger("mitogen")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    router = mitogen.master.Router(mitogen.master.Broker(install_watcher=False), LARGEST_MESSAGE)
    router.unidirectional = True
    router.responder.whitelist_prefix(MODULE)
    router.responder.add_source_override(MODULE, f"{MODULE}.py", source(), False)
    for name in ("GET_RESOURCE", "FORWARD_LOG", "DETACHING", "ADD_ROUTE", "DEL_ROUTE", "ALLOCATE_ID"):
        handle = getattr(mitogen.core, name, None)
        with suppress(KeyError):  # not every version has every handler
            router.del_handler(handle)
    return router


_MITOGEN = _Mitogen()


@cache
def _ssh_with_history() -> Any:
    """mitogen's way over ssh, the failure of which says what ssh has printed (`lines`)."""
    import mitogen.parent
    import mitogen.ssh

    class SshWithHistory(mitogen.ssh.Connection):  # type: ignore[misc]
        def _fail_connection(self, exc: Any) -> None:
            printed = mitogen.parent.get_history([self.stdio_stream, self.stderr_stream])
            exc.lines = [line.strip() for line in printed.splitlines() if line.strip()]
            super()._fail_connection(exc)

    return SshWithHistory


# what a line of ssh, of the shell or of sudo tells of; the first that fits
KINDS = (
    ("Can't open user config file", "network", ""),  # here, whatever else its line says
    ("HOST IDENTIFICATION HAS CHANGED", "key changed", "its host key is not the one that ssh knows of it"),
    ("host key is known", "key unknown", "ssh knows no host key of it"),
    ("Host key verification failed", "key unknown", ""),
    ("Permission denied (", "login", ""),  # the ways in which one may log in follow
    ("Too many authentication failures", "login", ""),
    ("password is required", "become", ""),
    ("terminal is required", "become", ""),
    ("may not run", "become", ""),
    ("not in the sudoers", "become", ""),
    ("Permission denied", "python", ""),
    ("not found", "python", ""),
    ("No such file or directory", "python", ""),
)


def _refusal(host: str, to: Destination, error: Exception) -> ConnectionLost:
    """Why there is no connection, in the words of whoever refused it."""
    from mitogen.core import TimeoutError

    lines = getattr(error, "lines", None) or getattr(error.__context__, "lines", [])
    for words, kind, why in KINDS:
        found = [line for line in lines if words in line]
        if found:
            return ConnectionLost(errno.ECONNREFUSED, f"cannot reach {host}: {why or found[-1]}", kind)
    is_late = isinstance(error.__context__, TimeoutError)
    why = lines[-1] if lines else f"`ssh {to.name}` ended"
    if is_late:
        why = "it does not answer in time" + (f" ({lines[-1]})" if lines else "")
    return ConnectionLost(errno.ECONNREFUSED, f"cannot reach {host}: {why}", "network")


def _serve_messages(handle: int) -> None:
    """Stands for the agent's function of this name: what mitogen sends of a function is where it is."""


_serve_messages.__module__, _serve_messages.__name__ = MODULE, agent.serve_messages.__name__


class _Ssh:
    """One host's ssh, and the agent behind it."""

    def __init__(
        self, connection: AgentConnection, to: Destination, end: float, under_way: list[_Ssh]
    ) -> None:
        self._connection, self._to = connection, to
        self._attempt: Any = None
        self._others = 0
        self._ready = threading.Event()
        self._router = _MITOGEN.enter()
        self._handle: int | None = None
        self._stream: Any = None
        under_way.append(self)
        self._is_open, self._lock, self._sending = True, threading.Lock(), threading.Lock()
        try:
            self._context = self._connected(end - time.monotonic())
            self._start(end)
        except BaseException:
            self.close()
            raise

    def give_up(self) -> None:
        """Wait no longer for the connection to be made."""
        self._connection.lose("it was given up")
        self._ready.set()
        if self._attempt is not None and self._stream is None:
            self._router.broker.defer(self._attempt._fail_connection, OSError("given up"))

    def _connected(self, timeout: float) -> Any:
        import mitogen.core

        def made(options: Any, router: Any) -> Any:
            self._attempt = _ssh_with_history()(options, router)
            return self._attempt

        made.options_class = _ssh_with_history().options_class  # type: ignore[attr-defined]
        to = self._to
        options = [word for option in OWN_WAY for word in ("-o", option)]
        try:
            context = self._router._connect(
                made,
                hostname=to.name,
                python_path=[*to.become, to.python],
                ssh_args=[*to.arguments, *options],
                check_host_keys="enforce",
                compression=False,
                keepalive_interval=KEEPALIVE_S,
                keepalive_count=KEEPALIVES,
                connect_timeout=timeout,
                remote_name="netprobe",
                unidirectional=True,
            )
        except (mitogen.core.Error, OSError) as error:
            raise _refusal(self._connection.host, to, error) from error
        self._stream = self._router.stream_by_id(context.context_id)
        if self._stream is not None:
            self._stream.protocol.on_message = self._noticed
        return context

    def _start(self, end: float) -> None:
        """Be served by the agent."""
        self._handle = self._router.add_handler(fn=self._received, policy=self._is_ours)
        result = self._context.call_async(_serve_messages, self._handle)
        result.notify = self._ended  # never unpickled: it only tells that there is no agent any more
        if result.size():
            self._ended(result)
        in_time = self._ready.wait(max(0.0, end - time.monotonic()))
        if why := self._connection.lost or ("" if in_time else "no agent answers in time"):
            kind = "old python" if self._connection.lost else "network"
            raise ConnectionLost(errno.ECONNREFUSED, f"cannot reach {self._connection.host}: {why}", kind)

    def _noticed(self, _stream: Any, message: Any) -> None:
        """Any message has come of this host, for whomever."""
        self._others += message.handle != self._handle
        if self._others > MOST_OTHERS:
            self._connection.lose("it sends what nobody asked for")

    def _is_ours(self, message: Any, _stream: Any = None) -> bool:
        """Whether a message is of this host: a handler is known to all of them."""
        return bool(message.src_id == self._context.context_id)

    def _received(self, message: Any) -> None:
        if message.is_dead:
            self._connection.lose("its ssh connection ended")
        elif self._ready.is_set():
            self._connection.received(message.data)
        elif message.data == agent.PREFACE:
            self._ready.set()

    def _ended(self, _result: Any) -> None:
        if self._ready.is_set():
            self._connection.lose("its ssh connection ended")
        else:
            self._connection.lose(f"no agent could be started (it needs {self._to.python} 3.6 or later)")
            self._ready.set()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        import mitogen.core

        with self._sending:
            for at in range(0, len(data), agent.PIECE):
                piece = data[at : at + agent.PIECE]
                self._context.send(mitogen.core.Message(data=piece, handle=agent.HANDLE))

    def offer(self, data: bytes) -> bool:
        """The same: mitogen keeps what the link does not take yet."""
        self.send(data)
        return True

    def close(self) -> None:
        """End ssh, and with it the agent. Harmless when repeated."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
        if self._handle is not None:
            with suppress(KeyError):
                self._router.del_handler(self._handle)
        if self._stream is not None:
            self._router.broker.defer(self._stream.on_disconnect, self._router.broker)
            _wait_for(self._stream.conn.proc)
        _MITOGEN.leave()


def _wait_for(process: Any) -> None:
    """Until ssh has ended."""
    end = time.monotonic() + GRACE_S
    while process.poll() is None:
        if time.monotonic() > end:
            with suppress(OSError):
                process.proc.kill()
            return
        time.sleep(0.002)
