"""The five system calls that a lab needs and Python 3.11 does not offer: unshare, setns, mount, umount2,
prctl.

Each raises OSError with the call's errno. Numbers are from the kernel's headers: linux/sched.h,
linux/mount.h, linux/prctl.h.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20


PR_SET_PDEATHSIG = 1

_LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by the CLONE_NEW* `flags` for new, empty ones (unshare(2)).

    Counts for this thread.
    """
    _checked(_LIBC.unshare(flags), "unshare")


def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
    """Enter the namespace behind `fd` (setns(2)). Counts for this thread only."""
    _checked(_LIBC.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` on `target` (mount(2)); `kind` is the file system's name, empty for a bind or a change
    of flags.
    """
    given = (
        source.encode(),
        target.encode(),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _checked(_LIBC.mount(*given), f"mount {target}")


def die_with_parent(signal: int) -> None:
    """Ask the kernel for `signal` as soon as the thread that forked this process ends (prctl(2),
    PR_SET_PDEATHSIG).
    """
    _checked(_LIBC.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal), 0, 0, 0), "prctl PR_SET_PDEATHSIG")
