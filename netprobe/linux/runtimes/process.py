"""One process, held against the reuse of its number, and whether it is the one that a runtime speaks of."""

from __future__ import annotations

import os
import re
from types import TracebackType

from netprobe.errors import CannotLook, NotPermitted
from netprobe.linux import netns

PROC = "/proc"


class Process:
    """A process held by an open descriptor of its /proc directory.

    Such a descriptor is a pidfd (pidfd_open(2), NOTES): it stays with the process. Once that has ended every read through it
    fails with ESRCH, also when the number already belongs to another. So all that is read here is of one and the same process.
    """

    def __init__(self, pid: int, proc: str = PROC) -> None:
        self.pid = pid
        self._fd = os.open(f"{proc}/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)

    def read(self, name: str) -> str:
        """A file of its /proc directory; "" when it cannot be read. Bytes that are no text become surrogates."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return ""
        try:
            with open(fd, "rb") as file:
                return os.fsdecode(file.read())
        except OSError:
            return ""

    def network(self, name: str) -> int:
        """A descriptor of its network namespace. Raises NotPermitted or CannotLook with `name`."""
        return netns.open_namespace("ns/net", name, dir_fd=self._fd)

    def identity(self) -> netns.Identity | None:
        """Which network namespace it is in; None when that may not be seen."""
        try:
            return netns.identity_of(os.stat("ns/net", dir_fd=self._fd))
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
        fields = self.read("stat").rpartition(")")[2].split()
        return int(fields[field - 3]) if len(fields) > field - 3 else 0

    def names(self, identity: str, proc: str = PROC) -> bool:
        """Whether the kernel shows the container id `identity` on it: in its control groups, its mounts or its shim's command line.

        A container without a control group of its own still has the runtime's files mounted, one without mounts its shim.
        """
        cgroup = self.read("cgroup")
        if len(identity) == 64 and identity in cgroup:  # no name can hold 64 hex digits by chance
            return True
        from .cgroups import container_of

        if (container_of(cgroup) or ("", ""))[1] == identity:
            return True
        wanted = re.compile(rf"(?:^|[/\0:.=-]){re.escape(identity)}(?:$|[/\0.\s])", re.MULTILINE)
        return any(wanted.search(text) for text in (cgroup, self.read("mountinfo"))) or self._shim_names(wanted, proc)

    def _shim_names(self, wanted: re.Pattern[str], proc: str) -> bool:
        try:
            with Process(self.parent, proc) as shim:
                return wanted.search(shim.read("cmdline")) is not None
        except OSError:
            return False


def open_network(pid: int, identity: str, name: str) -> int:
    """A descriptor of the network namespace of process `pid`, made sure to be of the container with this id.

    Raises CannotLook when the number belongs to no process or to another one, NotPermitted when it may not be looked into.
    """
    try:
        with Process(pid) as process:
            if not process.names(identity):
                raise CannotLook(f"process {pid} is not the one of {name}", NOT_OURS)
            return process.network(name)
    except FileNotFoundError:
        raise CannotLook(f"there is no process {pid}, which is said to be the one of {name}", NOT_OURS) from None
    except PermissionError as error:
        raise NotPermitted(f"not permitted to look at process {pid} of {name}: {error.strerror}") from error


NOT_OURS = "it may have just been restarted: try again. From inside a container, start that with --pid=host"
