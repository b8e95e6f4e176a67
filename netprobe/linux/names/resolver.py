"""Host names, resolved where the packet starts: inside that network namespace and with its own
resolv.conf.
"""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from netprobe.errors import CannotLook, NetprobeError, Shortage, WrongQuestion
from netprobe.linux import deadline, netns
from netprobe.linux import files as readers
from netprobe.linux.shortage import looked
from netprobe.model.command import joined

LIMIT_S = 2.0
# what is taken over, and how many bytes of it at most
FILES = {"/etc/resolv.conf": 64 << 10, "/etc/hosts": 1 << 20}
_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_Answers = SimpleQueue["tuple[str, ...] | NetprobeError"]

_libc = ctypes.CDLL(None, use_errno=True)


class NoNameServer(CannotLook):
    """No name server answers, now."""


def addresses_of(
    host: str,
    fd: int,
    version: int | None = None,
    files: Mapping[str, bytes] | None = None,
    inside: str | None = None,
) -> tuple[str, ...]:
    """The addresses of `host` as a program inside the namespace `fd` gets them, the preferred one first.

    `files` (a path of FILES -> content) are laid over the machine's own in a mount namespace of the asking
    thread, as ip-netns(8) does with /etc/netns/NAME; where that is not permitted, the machine's own are used.
    Raises WrongQuestion when the name is not known, NoNameServer when nobody answers within LIMIT_S, with the
    command that tells why where the namespace is called `inside`.
    """
    answers: _Answers = SimpleQueue()
    # a thread of its own: setns and unshare act on one thread, and getaddrinfo cannot be interrupted
    own = os.dup(fd)
    try:
        Thread(target=_ask, args=(answers, host, own, version, dict(files or {})), daemon=True).start()
    except RuntimeError as error:  # no more threads
        os.close(own)
        raise Shortage(f"cannot look {host} up: {error}") from error
    try:
        answer = answers.get(timeout=deadline.left(LIMIT_S))
    except Empty:
        answer = NoNameServer(f"{host}: no name server answered in time")
    if isinstance(answer, NoNameServer):
        answer.hint = _instead(inside, name_server(files or {}))
    if isinstance(answer, NetprobeError):
        raise answer
    return answer


def _instead(inside: str | None, server: str | None) -> str:
    """What to do where no name server answers."""
    plain = "Write the address instead of the name."
    if inside is None or server is None:
        return plain
    asked = ("netprobe", "trace", "-p", "udp", "-P", "53", inside, server)
    return f"{plain}\nWhy it does not: {joined(asked)}"


def _ask(answers: _Answers, host: str, fd: int, version: int | None, files: Mapping[str, bytes]) -> None:
    try:
        answer: tuple[str, ...] | NetprobeError = _resolved(host, fd, version, files)
    except NetprobeError as error:
        answer = error
    except (OSError, UnicodeError) as error:
        answer = _refusal(host, error)
    finally:
        os.close(fd)
    answers.put(answer)


def _refusal(host: str, error: OSError | UnicodeError) -> NetprobeError:
    """What to say of a name without an address. getaddrinfo(3) does not tell one that is not known from files
    it could not open.
    """
    try:
        looked(host)
    except NetprobeError as short:
        return short
    why = f"{host} cannot be resolved: {getattr(error, 'strerror', None) or error}"
    again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
    return NoNameServer(why) if again else WrongQuestion(why, "Write its address.")


def name_server(files: Mapping[str, bytes]) -> str | None:
    """The first name server that a program asks with these files over the machine's own (resolv.conf(5));
    None where none is named as an address.
    """
    found = {**_read(readers.Tree(), "/etc"), **files}
    for line in found.get("/etc/resolv.conf", b"").decode(errors="replace").splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                return address if _is_address(address) else None
    return None


def _is_address(text: str) -> bool:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    with suppress(OSError, ValueError):  # the second of a NUL, which a container may write
        return bool(socket.inet_pton(family, text))
    return False


def _resolved(host: str, fd: int, version: int | None, files: Mapping[str, bytes]) -> tuple[str, ...]:
    family = {4: socket.AF_INET, 6: socket.AF_INET6}.get(version or 0, socket.AF_UNSPEC)
    with netns.inside(fd):
        if files:
            _lay_over(files)
        found = socket.getaddrinfo(host, None, family, socket.SOCK_DGRAM)
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def _lay_over(files: Mapping[str, bytes]) -> None:
    """Let this thread alone see `files`. On any refusal nothing is laid over."""
    if _libc.unshare(_CLONE_NEWNS) or _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE):
        return
    place = tempfile.gettempdir().encode()
    if _mount(b"none", place, b"tmpfs", 0):
        return
    for number, (target, content) in enumerate(files.items()):
        source = Path(os.fsdecode(place), str(number))
        source.write_bytes(content)
        _mount(bytes(source), target.encode(), None, _MS_BIND)


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int) -> bool:
    """Mount in the thread's own mount namespace; True when it was refused."""
    return bool(_libc.mount(source, target, kind, ctypes.c_ulong(flags), None))


def files_of(name: str, pid: int | None, network: netns.Identity) -> dict[str, bytes]:
    """The resolver files of the namespace `name`: those of its process `pid`, else of /etc/netns/NAME
    (ip-netns(8)).

    The number may be another's by now: what is read is of a process in the namespace `network`.

    nsswitch.conf is not among them: it names the libraries that getaddrinfo(3) loads into this process. One
    that is too large, is no regular file or cannot be read in time is left out, as one that is not there.
    """
    if pid is not None:
        return _of_process(pid, network)
    return _read(readers.Tree(), f"/etc/netns/{name}") if "/" not in name else {}


def _of_process(pid: int, network: netns.Identity) -> dict[str, bytes]:
    from netprobe.linux.runtimes.process import Process

    try:
        with Process(pid) as process:  # it lives after the reading: nobody had its number meanwhile
            found = _read(readers.Tree(f"/proc/{pid}/root", foreign=True), "/etc")
            return found if process.identity() == network else {}
    except OSError:
        return {}


def _read(tree: readers.Tree, folder: str) -> dict[str, bytes]:
    def read() -> dict[str, bytes]:
        found = {}
        for file, limit in FILES.items():
            with suppress(OSError):
                found[file] = tree.read(f"{folder}/{os.path.basename(file)}", limit)
        return found

    try:
        return tree.together(read)
    except OSError:
        return {}
