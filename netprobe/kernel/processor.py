"""Who had a processor for how long, and who had to wait for one meanwhile."""

from __future__ import annotations

import os


def waited_s() -> float:
    """The seconds for which this thread was ready to run and did not; 0 where the kernel does not tell."""
    return _scheduled("thread-self", 1)


def used_s(pid: int) -> float:
    """The seconds for which the first thread of a process had a processor; 0 where the kernel does not
    tell.
    """
    return _scheduled(str(pid), 0)


def _scheduled(whose: str, field: int) -> float:
    """A field of /proc/PID/schedstat, in s: ns on a processor, ns of waiting for one (proc(5))."""
    try:
        fd = os.open(f"/proc/{whose}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0.0
    try:
        return int(os.read(fd, 256).split()[field]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
    finally:
        os.close(fd)
