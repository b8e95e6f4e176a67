"""One process, held against the reuse of its number, whose it is, and whether it is the one that a runtime
speaks of.

What is read here the kernel makes up from its own memory: it can neither block nor be put there by the
process. The one exception, the command line of another user's process, is read in a process apart.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Sequence
from functools import cache, cached_property
from types import TracebackType

from netprobe.errors import CannotLook, NotPermitted
from netprobe.linux import apart, files, netns

from .cgroups import Group, group_of, lines_of, owner_of

PROC = "/proc"
GROUPS = "/sys/fs/cgroup"
NS_GET_OWNER_UID = 0xB704  # ioctl of include/uapi/linux/nsfs.h
INITIAL_USER_NAMESPACE = "user:[4026531837]"  # include/linux/proc_ns.h, PROC_USER_INIT_INO
MOUNTS = 4 << 20  # bytes of a mountinfo: 10,000 mounts
LINE = 1 << 17  # bytes of a command line
KEEPERS = ("conmon", "containerd-shim")
UNKNOWN = 1 << 32  # a user's number that none has


class Process:
    """A process held by an open descriptor of its /proc directory.

    Such a descriptor is a pidfd (pidfd_open(2), NOTES): it stays with the process. Once that has ended every
    read through it fails with ESRCH, also when the number already belongs to another. So all that is read
    here is of one and the same process.
    """

    def __init__(self, pid: int, proc: str = PROC) -> None:
        self.pid = pid
        self._proc = proc
        self._fd = files.process(pid, proc)

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read(self, name: str, limit: int = files.SMALL) -> str:
        """A file of its /proc directory; "" when it cannot be read or is larger than `limit`.

        Bytes that are no text become surrogates.
        """
        try:
            return os.fsdecode(files.at(self._fd, name, limit))
        except OSError:
            return ""

    def network(self, name: str) -> int:
        """A descriptor of its network namespace. Raises NotPermitted or CannotLook with `name`."""
        return netns.open_namespace("ns/net", name, dir_fd=self._fd)

    def identity(self) -> netns.Identity | None:
        """Which network namespace it is in; None when that may not be seen."""
        try:
            return files.key("ns/net", self._fd)
        except OSError:
            return None

    @property
    def parent(self) -> int:
        """The number of its parent, 0 when there is none to see."""
        return self._stat(4)

    @property
    def started(self) -> int:
        """When it started, in clock ticks since boot; 0 when it has ended."""
        return self._stat(22)

    def _stat(self, field: int) -> int:
        """A numeric field of /proc/PID/stat, counted from 1 as in proc(5)."""
        # the second field, the command's name, stands in brackets and may hold anything, brackets as well
        fields = self._numbers.rpartition(")")[2].split()
        return int(fields[field - 3]) if len(fields) > field - 3 else 0

    @cached_property
    def _numbers(self) -> str:
        return self.read("stat")

    @property
    def program(self) -> str:
        """The name of its program, at most 15 characters, unless it has given itself another."""
        return self._numbers.partition("(")[2].rpartition(")")[0]

    # whose it is

    @cached_property
    def _status(self) -> dict[str, list[str]]:
        # a name may hold other ends of lines
        lines = (line.partition(":") for line in self.read("status").split("\n"))
        return {key: value.split() for key, _, value in lines}

    @property
    def user(self) -> int | None:
        """The number of the user it runs as; None when that is not one, or cannot be told."""
        users = set(self._status.get("Uid", ()))
        return int(users.pop()) if len(users) == 1 else None

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped by a signal, or by who traces it (proc_pid_status(5), State)."""
        return self._status.get("State", ["?"])[:1] in (["T"], ["t"])

    @property
    def is_init(self) -> bool:
        """Whether it is process 1 of a PID namespace that is not ours."""
        numbers = self._status.get("NSpid", ())
        return len(numbers) > 1 and numbers[-1] == "1"

    @property
    def is_outside(self) -> bool:
        """Whether it is, as far as can be seen, in no container: no PID namespace and, when it is root's, no
        user namespace of its own.
        """
        if len(self._status.get("NSpid", ())) != 1:
            return False
        return self.user != 0 or self.user_namespace in (
            INITIAL_USER_NAMESPACE,
            _own_user_namespace(self._proc),
        )

    @property
    def user_namespace(self) -> str:
        """Its user namespace, as /proc shows it; "" when it cannot be seen."""
        try:
            return files.link("ns/user", self._fd)
        except OSError:
            return ""

    @property
    def user_namespace_owner(self) -> int | None:
        """The number of the user who made its user namespace, 0 for the initial one; None when that may not
        be seen.
        """
        try:
            fd = files.namespace("ns/user", self._fd)
        except FileNotFoundError:
            return 0  # a kernel without user namespaces
        except OSError:
            return None
        try:
            told = fcntl.ioctl(fd, NS_GET_OWNER_UID, struct.pack("=I", 0))
            return int(struct.unpack("=I", told)[0])
        except OSError:
            return None
        finally:
            os.close(fd)

    @property
    def group(self) -> Group | None:
        """The control group of the container it belongs to."""
        return group_of(self.read("cgroup"), home(self._proc))

    @property
    def command(self) -> list[str]:
        """Its command line, which it can change; empty when it cannot be read."""
        if self.user != 0:
            return commands([self.pid], self._proc)[0]
        return self.read("cmdline", LINE).split("\0")

    # of which container it is

    def names(self, identity: str, proc: str = PROC, owner: int = 0) -> bool:
        """Whether the kernel shows the container id `identity`, of an engine of the user `owner`, on it.

        It does in its control groups, which decide where they name a container; else in its mounts or its
        shim's command line: a container without a control group of its own still has the runtime's files
        mounted, one without mounts its shim.
        """
        cgroup = self.read("cgroup")
        group = group_of(cgroup, home(proc))
        if group is not None:
            return group.identity == identity and whose_group(group.path, group.hierarchy) == owner
        wanted = re.compile(rf"(?:^|[/\0:.=-]){re.escape(identity)}(?:$|[/\0.\s])", re.MULTILINE)
        if any(
            wanted.search(path) and whose_group(path, hierarchy) == owner
            for hierarchy, path in lines_of(cgroup)
        ):
            return True
        if whose(self.user_namespace_owner) != owner:
            return False
        return wanted.search(self.read("mountinfo", MOUNTS)) is not None or self._shim_names(
            wanted, proc, owner
        )

    def _shim_names(self, wanted: re.Pattern[str], proc: str, owner: int) -> bool:
        try:
            with Process(self.parent, proc) as shim:
                speaks = shim.is_keeper if owner else shim.is_outside and shim.group is None
                return (
                    speaks
                    and whose(shim.user) == owner
                    and wanted.search("\0".join(shim.command)) is not None
                )
        except OSError:
            return False

    @property
    def is_keeper(self) -> bool:
        """Whether its program's name is that of the process beside a container, and it is in none itself."""
        return self.program.startswith(KEEPERS) and self.is_outside and self.group is None


def commands(pids: Sequence[int], proc: str = PROC) -> list[list[str]]:
    """The command lines of processes that are not root's: their memory is theirs to lock.

    Empty for one that cannot be read.
    """

    def read(pid: int) -> bytes:
        return files.kernel(f"{proc}/{pid}/cmdline", LINE)

    lines = apart.values(read, pids)
    return [[] if isinstance(line, OSError) else os.fsdecode(line).split("\0") for line in lines]


def whose(user: int | None) -> int:
    """The user whose word something is that belongs to `user`: 0 for root and for the user who asks, UNKNOWN
    when it is not known.
    """
    if user is None:
        return UNKNOWN
    return 0 if user in (0, os.geteuid()) else user


def whose_group(path: str, hierarchy: str = "") -> int:
    """The same of a control group: of the user who may make it where it is, as the group's path or the owners
    of those above tell.
    """
    user = files.user_above(_places(hierarchy), path) if _sees_all_users() else None
    if user is not None:
        return whose(user)
    user = owner_of(path)
    return whose(_seen_here(user)) if user else 0


def _places(hierarchy: str) -> tuple[str, ...]:
    """Where the groups of a hierarchy are directories: systemd's places, file-hierarchy(7); with version 1
    beside version 2 or without.
    """
    name = hierarchy.removeprefix("name=")
    return (f"{GROUPS}/{name}",) if name else (f"{GROUPS}/unified", GROUPS)


def _sees_all_users() -> bool:
    """Whether we see the owner of every file: in another user namespace root is nobody, as everybody else."""
    return (
        all(inner == outer for inner, outer, _ in _own_users())
        and sum(count for _, _, count in _own_users()) >= (1 << 32) - 1
    )


def _seen_here(user: int) -> int | None:
    """What our user namespace calls the user whom the parent of it calls `user`: /proc/self/uid_map,
    user_namespaces(7).
    """
    for inner, outer, count in _own_users():
        if outer <= user < outer + count:
            return inner + user - outer
    return None


@cache
def _own_users() -> tuple[tuple[int, int, int], ...]:
    try:
        lines = files.kernel("/proc/self/uid_map").decode().splitlines()
    except OSError:
        return ((0, 0, 1 << 32),)
    return tuple((int(inner), int(outer), int(count)) for inner, outer, count in map(str.split, lines))


@cache
def home(proc: str = PROC) -> str:
    """The path of the control group of the container that this program is in; "" outside of any."""
    try:
        found = group_of(os.fsdecode(files.kernel(f"{proc}/self/cgroup")))
    except OSError:
        return ""
    return found.path if found is not None else ""


@cache
def _own_user_namespace(proc: str) -> str:
    try:
        return files.link(f"{proc}/self/ns/user")
    except OSError:
        return ""


def open_network(pid: int, identity: str, name: str, owner: int = 0) -> int:
    """A descriptor of the network namespace of process `pid`, made sure to be of the container with this id.

    Raises CannotLook when the number belongs to no process or to another one, NotPermitted when it may not be
    looked into.
    """
    try:
        with Process(pid) as process:
            if not process.names(identity, owner=owner):
                raise CannotLook(f"process {pid} is not the one of {name}", NOT_OURS)
            return process.network(name)
    except FileNotFoundError:
        raise CannotLook(
            f"there is no process {pid}, which is said to be the one of {name}", NOT_OURS
        ) from None
    except PermissionError as error:
        raise NotPermitted(f"not permitted to look at process {pid} of {name}: {error.strerror}") from error


NOT_OURS = "It may have just been restarted: try again. From inside a container, start that with --pid=host"
