"""Closing packet sockets off the answer's path: each close waits 8 to 16 ms for the kernel's readers (RCU).

From Linux 6.8 on the AF_UNIX garbage collector, which is a kernel worker, can do the waiting: hand it the
descriptors in a socket that holds itself, and close. On older kernels it would wait in our place; there,
threads do it side by side.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

COLLECTOR_IS_A_WORKER = (6, 8)  # commit 8b90a9f819dc
AT_ONCE = 250  # descriptors in one message; the kernel's SCM_MAX_FD is 253


def release(sockets: Sequence[socket.socket]) -> None:
    """Close the sockets without waiting. Their descriptors are free when this returns, or soon after."""
    fds = [sock.detach() for sock in sockets if sock.fileno() >= 0]
    if not fds:
        return
    if _kernel() < COLLECTOR_IS_A_WORKER or not _handed_over(fds):
        for fd in fds:
            _close_beside(fd)


def _handed_over(fds: list[int]) -> bool:
    """Leave the descriptors to the collector; False, and they stay open, where there is no AF_UNIX or too
    many are in flight.
    """
    try:
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    except OSError:
        return False
    with left, right:
        try:
            for start in range(0, len(fds), AT_ONCE):
                socket.send_fds(left, [b"x"], fds[start : start + AT_ONCE])
            socket.send_fds(left, [b"x"], [left.fileno(), right.fileno()])
        except OSError:
            return False
        for fd in fds:  # before the collector can get at them: whoever closes last has to wait
            os.close(fd)
    with suppress(OSError):  # any AF_UNIX socket that is closed sets the collector to work
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).close()
    return True


def _close_beside(fd: int) -> None:
    try:
        threading.Thread(target=os.close, args=(fd,), daemon=True).start()
    except RuntimeError:  # no more threads: wait, then
        os.close(fd)


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)
