"""Run a program that insists on changing to a user of its own where there is only one:

`python single_user.py PROGRAM ARGUMENT...`.

Debian's tcpdump opens the interface as root, then becomes the user `tcpdump`, and gives up when it cannot. In
a user namespace with a single user it cannot. Here a seccomp filter answers its setgroups, setgid and setuid
with success and does nothing: it stays who it is, which is nobody special to the machine. Standing alone, so
that it starts fast: it imports nothing of netprobe.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

# AUDIT_ARCH_* of linux/audit.h, and the numbers of setuid, setgid, setreuid, setregid, setgroups, setresuid,
# setresgid.
_CALLS = {
    "x86_64": (0xC000003E, (105, 106, 113, 114, 116, 117, 119)),
    "aarch64": (0xC00000B7, (146, 144, 145, 143, 159, 147, 149)),
}

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
# "fail" with errno 0: the call returns 0 and nothing happens
_RET_ALLOW, _RET_ERRNO_0 = 0x7FFF0000, 0x00050000
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # classic BPF, linux/filter.h
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE = 0, 4  # struct seccomp_data


def known() -> bool:
    """Whether the system call numbers of this processor are known here."""
    return platform.machine() in _CALLS


def _filter() -> bytes:
    """Say yes to the calls above when they are made for this very architecture, and let all others
    through.
    """
    architecture, numbers = _CALLS[platform.machine()]
    count = len(numbers)
    steps = [
        (_LOAD_WORD, 0, 0, _OFFSET_ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, count + 1, architecture),
        (_LOAD_WORD, 0, 0, _OFFSET_NUMBER),
        *((_JUMP_IF_EQUAL, count - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_ERRNO_0),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def stay() -> None:
    """Install the filter for this process and what it executes. OSError when the kernel has no seccomp."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(_filter())
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(code)))
    for option, first, second in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program)),
    ):
        if (
            libc.prctl(
                option, ctypes.c_ulong(first), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0)
            )
            != 0
        ):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    stay()
    os.execv(sys.argv[1], sys.argv[1:])
