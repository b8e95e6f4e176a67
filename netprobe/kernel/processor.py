"""For how long a thread had to wait for a processor, while others had it."""

from __future__ import annotations

import os

_SCHEDULED = "/proc/thread-self/schedstat"  # ns on a processor, ns of waiting for one, how often (proc(5))


def waited_s() -> float:
    """The seconds for which this thread was ready to run and did not; 0 where the kernel does not tell."""
    try:
        fd = os.open(_SCHEDULED, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0.0
    try:
        return int(os.read(fd, 256).split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
    finally:
        os.close(fd)
