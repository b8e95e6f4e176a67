"""Files written as the person who called, whole or not at all, readable by nobody else.

Under sudo the caller is who typed `sudo`, and a child with that person's ids alone does the writing: what the
caller may not write is not written, whatever links, pipes or folders stand where the file is to go, and what
is made belongs to the caller from the start. SUDO_UID, SUDO_GID and SUDO_COMMAND are believed: whoever sets
root's environment is root, and they can only take rights away. In a root shell that sudo opened (`sudo -i`)
the caller is root.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pwd import getpwuid
from typing import NoReturn

from msgspec import Struct

FILE_MODE, FOLDER_MODE = 0o600, 0o700  # a capture holds the rulesets of the machine
MOST_LINKS = 40  # as of the kernel, include/linux/namei.h
MOST_STEPS = 4096  # names on the way to a folder, links included: a path has at most PATH_MAX bytes
LARGEST_ID = 0xFFFFFFFE
PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "tcsh", "csh", "su"})
TERMINALS = range(136, 144)  # Documentation/admin-guide/devices.txt: pseudo terminals
STREAMS = frozenset({(1, 3), (1, 5), (1, 7), (5, 0), (5, 1)})  # null, zero, full, tty, console

_OURS = re.compile(r"(?:/dev|/proc/self)/fd/([0-9]{1,9})|/dev/(stdin|stdout|stderr)")
# the file system lacks O_TMPFILE, open(2)
_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}


class Caller(Struct, frozen=True):
    """Whose files are written: the ids of a user other than the one the process runs as."""

    uid: int
    gid: int


def caller(environ: Mapping[str, str], euid: int) -> Caller | None:
    """Who called root's program with sudo; None where the process's own ids are the right ones. sudo(8),
    ENVIRONMENT.
    """
    if euid != 0 or _is_root_shell(environ.get("SUDO_COMMAND", "")):
        return None
    ids = [environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
    if not all(re.fullmatch("[0-9]{1,10}", each) and int(each) <= LARGEST_ID for each in ids):
        return None
    return Caller(*map(int, ids)) if int(ids[0]) else None


def _is_root_shell(command: str) -> bool:
    """Whether sudo was asked for a shell to work in, rather than for one command."""
    program, _, rest = command.partition(" ")
    return os.path.basename(program) in SHELLS and rest.strip() in ("", "-", "-l")


def write_file(path: str, data: bytes) -> None:
    """Write a whole file: a new one takes the place of an old one in one step.

    Missing folders are made. Raises OSError.

    Links are followed when they are the writer's or root's own. /dev/stdout and /dev/fd/N are the descriptors
    that we have. A pipe of the writer's, a terminal and /dev/null are written to; any other device, a socket
    or a folder is refused.
    """
    who = caller(os.environ, os.geteuid())
    if who is None:
        _write(path, data)
    else:
        _write_as(who, path, data)


def _write_as(who: Caller, path: str, data: bytes) -> None:
    """Write in a child that has become `who` for good. Its end is waited for."""
    import ctypes  # before the fork: afterwards we are another, who may not read our libraries

    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl
    told, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(
            who,
            path,
            data,
            telling,
            lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM) == 0 and os.getppid() == parent,
        )
    try:
        os.close(telling)
        with os.fdopen(told, "rb") as answer:
            failure = answer.read()
    except BaseException:  # interrupted: the child may wait for the reader of a pipe
        os.kill(pid, signal.SIGTERM)
        raise
    finally:
        _, status = os.waitpid(pid, 0)
    if failure or status:
        number, _, text = failure.decode("utf-8", "replace").partition(" ")
        raise OSError(int(number or errno.EIO), text or "the writing process was ended")


def _child(who: Caller, path: str, data: bytes, telling: int, bound: Callable[[], bool]) -> NoReturn:
    """The child's life: what went wrong goes into the pipe, and nothing of ours is tidied up twice."""
    try:
        _become(who)
        if not bound():  # to the life of its parent, after the change of ids, which clears that: prctl(2)
            os._exit(1)
        _write(path, data)
    except OSError as error:
        os.write(telling, f"{error.errno or errno.EIO} {error.strerror}".encode("utf-8", "backslashreplace"))
    except BaseException:
        os._exit(1)
    os._exit(0)


def _become(who: Caller) -> None:
    """All ids of the caller; the capabilities end with root's id, capabilities(7)."""
    groups = [who.gid]
    with suppress(KeyError):
        groups = os.getgrouplist(getpwuid(who.uid).pw_name, who.gid)
    os.setgroups(groups)
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)


def _write(path: str, data: bytes) -> None:
    """Write as the user that this process is."""
    place = _behind_links(path)
    if isinstance(place, int):
        _pour(os.dup(place), data)
        return
    folder, name = os.path.split(place)
    if name in ("", ".", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    at = _enter(folder)
    try:
        _put(at, name, data)
    finally:
        os.close(at)


def _behind_links(path: str) -> str | int:
    """The place that the links at the end of a path lead to; a number is a descriptor of ours.

    Links of other users are refused wherever they lie, as fs.protected_symlinks does in /tmp: proc_sys_fs(5).
    """
    for _ in range(MOST_LINKS):
        if found := _OURS.fullmatch(path):
            return int(found[1] or ("stdin", "stdout", "stderr").index(found[2]))
        target = _link(path)
        if target is None:
            return path
        path = os.path.join(os.path.dirname(path), target)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _link(path: str) -> str | None:
    """What a link says, or None where there is none."""
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISLNK(status.st_mode):
            return None
        _must_be_own(status, "a link")
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def _must_be_own(status: os.stat_result, what: str) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise PermissionError(errno.EPERM, f"it is {what} of another user")


def _enter(folder: str) -> int:
    """An open folder, made where it is missing.

    It is walked to name by name: links of other users lead nowhere on the way, either.
    """
    names, at, steps = _names(folder), _start(folder), 0
    try:
        while names:
            if (steps := steps + 1) > MOST_STEPS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            last, (at, behind) = at, _step(at, names.pop())
            os.close(last)
            names += behind
    except BaseException:
        os.close(at)
        raise
    return at


def _names(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _start(path: str) -> int:
    return os.open("/" if path.startswith("/") else ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _step(at: int, name: str) -> tuple[int, list[str]]:
    """(where `name` in the folder `at` leads, the names that are to be walked from there, the next one
    last).
    """
    there = _opened_or_made(at, name)
    status = os.fstat(there)
    if not stat.S_ISLNK(status.st_mode):
        return there, []
    try:
        _must_be_own(status, "a link")
        # one of the kernel's, such as /proc/PID/root, which says less than where it leads: proc(5)
        if status.st_size == 0:
            return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at), []
        target = os.readlink("", dir_fd=there)
        return _start(target) if target.startswith("/") else os.dup(at), _names(target)
    finally:
        os.close(there)


def _opened_or_made(at: int, name: str) -> int:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileNotFoundError):
        return os.open(name, flags, dir_fd=at)
    with suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=at)
    return os.open(name, flags, dir_fd=at)


def _put(at: int, name: str, data: bytes) -> None:
    """Write where `name` is in the folder `at`, by what stands there: that is looked at without opening
    it.
    """
    try:
        there = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    except FileNotFoundError:
        _replace(at, name, data, FILE_MODE)
        return
    try:
        status = os.fstat(there)
        if stat.S_ISREG(status.st_mode):
            own = status.st_uid == os.geteuid()
            _replace(at, name, data, status.st_mode & 0o777 if own else FILE_MODE)
        else:
            _check_stream(status)
            _pour(os.open(f"/proc/self/fd/{there}", os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC), data)
    finally:
        os.close(there)


def _check_stream(status: os.stat_result) -> None:
    """Raises OSError unless it is a pipe or a device that takes a report and does nothing with it."""
    if stat.S_ISFIFO(status.st_mode):
        _must_be_own(status, "a pipe")
        return
    major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    if not stat.S_ISCHR(status.st_mode) or not (
        (major, minor) in STREAMS or major in TERMINALS or major == 4
    ):
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(stat.S_IFMT(status.st_mode), 'no file')}")


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
}


def _pour(fd: int, data: bytes) -> None:
    with os.fdopen(fd, "wb", buffering=0) as stream:
        rest = memoryview(data)
        while rest:
            rest = rest[stream.write(rest) or 0 :]


def _replace(at: int, name: str, data: bytes, mode: int) -> None:
    """A new file of this name.

    It has none until it is whole, so that one who is killed leaves nothing (O_TMPFILE, open(2)).
    """
    try:
        fd = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=at)
    except OSError as error:
        if error.errno not in _NO_UNNAMED_FILES:
            raise
        _replace_by_name(at, name, data, mode)
        return
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(data)
        file.flush()
        _give_name(at, fd, name)


def _give_name(at: int, fd: int, name: str) -> None:
    unnamed = f"/proc/self/fd/{fd}"
    with suppress(FileExistsError):
        os.link(unnamed, name, dst_dir_fd=at, follow_symlinks=True)
        return
    temporary = _temporary()
    os.link(unnamed, temporary, dst_dir_fd=at, follow_symlinks=True)
    _rename(at, temporary, name)


def _temporary() -> str:
    return f".netprobe-{os.urandom(8).hex()}"  # short: the file may have the longest name there can be


def _rename(at: int, temporary: str, name: str) -> None:
    try:
        os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
    except BaseException:
        os.unlink(temporary, dir_fd=at)
        raise


def _replace_by_name(at: int, name: str, data: bytes, mode: int) -> None:
    """The same on a file system that keeps no file without a name."""
    temporary = _temporary()
    fd = os.open(
        temporary, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=at
    )
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(data)
    except BaseException:
        os.unlink(temporary, dir_fd=at)
        raise
    _rename(at, temporary, name)
