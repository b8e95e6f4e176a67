"""A private world: a process with network, mount and process namespaces of its own, which vanish with it.

Nothing inside can reach the machine's interfaces, rules, routes or /run/netns, and nothing stays behind, not
even after kill -9:

    caller                  any process; waits
    +-- door                made the new namespaces; dies with the caller (PR_SET_PDEATHSIG)
        +-- init            process 1 of the new process namespace; dies with the door, and the kernel ends
        everything inside with it
            +-- work        what was asked for; sits in the new network namespace, which the lab calls `host`

Without root a user namespace comes first, in which the caller's user is root over the other namespaces and
over nothing else.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from netprobe.errors import NetprobeError, NotPermitted

from . import syscalls

RUN = "/run"
NETNS_FOLDER = "/run/netns"
LAB_FOLDER = "/run/lab"
HOST_FILE = f"{LAB_FOLDER}/host"

_WORLD = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWPID
_NO_USER_NAMESPACE = """\
netprobe's lab lives in namespaces of its own; making them needs root, or permission for
user namespaces. Any of these helps:
sudo netprobe demo
sudo sysctl -w kernel.unprivileged_userns_clone=1            (older Debian)
sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0  (Ubuntu 23.10 and later)
sudo sysctl -w user.max_user_namespaces=10000                (where it is 0)
docker run --privileged ... netprobe demo                    (in a container)"""


def run(work: Callable[[], int], rootless: bool | None = None) -> int:
    """Call `work` in a child process inside a new private world; its result (0..255) is returned when the
    world is gone.

    `rootless` True makes a user namespace even for root, False never makes one; None makes one when it is
    needed. An exception of `work` is raised here too. NotPermitted: the kernel refuses the namespaces. A
    child that a signal ended gives 128 plus the signal's number. Call it from a process with one thread: it
    forks.
    """
    outcome, report = os.pipe()
    alive, hold = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    door = os.fork()
    if door == 0:
        os.close(outcome)
        os.close(hold)
        in_child(lambda: _door(work, rootless, alive), report)
    os.close(report)
    os.close(alive)
    try:
        with _forwarded_terminal():
            return _await(door, outcome)
    finally:
        os.close(outcome)
        os.close(hold)


def _await(door: int, outcome: int) -> int:
    """Wait for the door process; raise what it reported, else return its exit code."""
    try:
        sent = drain(outcome)
        _, status = os.waitpid(door, 0)
    except BaseException:  # an interrupt: the world ends with us, and first
        with suppress(ProcessLookupError):
            os.kill(door, signal.SIGKILL)
        os.waitpid(door, 0)
        raise
    if sent:
        raise pickle.loads(sent)  # from our own child, through a pipe of our own
    return _exit_code(status)


def drain(fd: int) -> bytes:
    """All that comes until the other side is closed."""
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


@contextmanager
def _forwarded_terminal() -> Iterator[None]:
    """Give the terminal back to this process group afterwards: a shell inside took it and cannot return what
    it cannot see.
    """
    tty = _terminal()
    owned = tty is not None and os.tcgetpgrp(tty) == os.getpgrp()
    try:
        yield
    finally:
        if tty is not None:
            if owned:
                _take(tty)
            os.close(tty)


def _terminal() -> int | None:
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no terminal at all
        return None


def _take(tty: int) -> None:
    # the kernel's word to a group that asks from the background
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with suppress(OSError):
            os.tcsetpgrp(tty, os.getpgrp())
    finally:
        signal.signal(signal.SIGTTOU, before)


def in_child(body: Callable[[], int], report: int) -> NoReturn:
    """Run `body` and end this process with its result; an exception goes to the caller through `report`."""
    code = 70
    try:
        code = body()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:
        with suppress(OSError):
            os.write(report, pickle.dumps(portable(error)))
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def portable(error: BaseException) -> BaseException:
    """An exception as it can be sent to another process: itself, or its text where it does not survive that.

    With its traceback.
    """
    if not isinstance(error, NetprobeError) and not hasattr(error, "__notes__"):
        error.add_note("".join(traceback.format_exception(error)).rstrip())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _door(work: Callable[[], int], rootless: bool | None, alive: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the work; the door waits for its end
    _leave_the_machine(rootless)
    die_with_parent(alive)
    inner_alive, hold = os.pipe()
    outcome, report = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(hold)
        os.close(outcome)
        in_child(lambda: _init(work, inner_alive, report), report)
    os.close(report)
    sent = drain(outcome)
    _, status = os.waitpid(init, 0)
    os.close(hold)
    if sent:
        raise pickle.loads(sent)
    return _exit_code(status)


def _init(work: Callable[[], int], alive: int, report: int) -> int:
    """Be process 1: start the work, bury orphans, and end (which ends all others) when the work ends."""
    die_with_parent(alive)
    mounts()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        in_child(work, report)
    while True:
        pid, status = os.wait()
        if pid == child:
            return _exit_code(status)


def die_with_parent(alive: int) -> None:
    """End by SIGKILL when the parent ends; `alive` is a pipe that the parent holds open, and so tells if it
    is gone already.
    """
    syscalls.die_with_parent(signal.SIGKILL)
    gone, _, _ = select.select([alive], [], [], 0)
    if gone:
        os._exit(128 + signal.SIGKILL)
    os.close(alive)


def _leave_the_machine(rootless: bool | None) -> None:
    """Unshare, with a user namespace when asked for or needed. Raises NotPermitted."""
    if rootless is not True and os.geteuid() == 0:
        try:
            return syscalls.unshare(_WORLD)
        except OSError as error:  # root of a container without CAP_SYS_ADMIN, or no more namespaces allowed
            if rootless is False:
                raise NotPermitted(
                    f"this root user may not make namespaces ({error.strerror})", _NO_USER_NAMESPACE
                ) from None
    if rootless is False:
        raise NotPermitted("only root can make a lab without a user namespace", "sudo netprobe demo")
    return _become_root_of_a_user_namespace()


def _become_root_of_a_user_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        # the kernel's condition for a gid_map without privilege, user_namespaces(7)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")
        # after the maps, so that /proc/net/ip_tables_names belongs to root here (xt_proto_init)
        syscalls.unshare(_WORLD)
    except OSError as error:
        raise NotPermitted(
            f"this machine forbids user namespaces to ordinary users ({error.strerror})", _NO_USER_NAMESPACE
        ) from None


def mounts() -> None:
    """Own mounts, an own /run (so an own /run/netns, and none of the machine's container engines) and an own
    /proc.

    Also here a refusal means "not permitted": AppArmor lets a user namespace be made and then forbids
    everything in it.
    """
    try:
        # A slave: no mount of ours gets out, and what the machine unmounts is let go here too, or a stick
        # could not be pulled out.
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
        links = {entry: entry.readlink() for entry in Path(RUN).iterdir() if entry.is_symlink()}
        syscalls.mount("lab", RUN, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    except OSError as error:
        raise NotPermitted(
            f"this machine forbids mounts in user namespaces ({error.strerror})", _NO_USER_NAMESPACE
        ) from None
    for link, target in links.items():  # NixOS finds all its programs through /run/current-system
        link.symlink_to(target)
    Path(NETNS_FOLDER).mkdir(0o755)
    # ip netns wants this folder to be a shared mount point, so that a name made in one mount namespace is
    # seen in all of the lab.
    syscalls.mount(NETNS_FOLDER, NETNS_FOLDER, flags=syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.mount("none", NETNS_FOLDER, flags=syscalls.MS_SHARED | syscalls.MS_REC)
    Path(LAB_FOLDER).mkdir(0o755)
    os.close(os.open(HOST_FILE, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444))
    syscalls.mount("/proc/self/ns/net", HOST_FILE, flags=syscalls.MS_BIND)
    # refused where a container engine masks parts of /proc; the machine's own then stays in sight
    with suppress(OSError):
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def one_user_only() -> bool:
    """Whether this process is root in a user namespace that maps a single user, so that no program can become
    another one.
    """
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split()[2:] == ["1"]
