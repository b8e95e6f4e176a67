"""A file system that hangs: `python hung_files.py FOLDER [ARGUMENT...]` mounts one (FUSE) at FOLDER in a mount namespace of its own.

It answers that any FOLDER/NAME is a file and can be opened, and nothing about its content, ever: who reads it waits, and cannot be killed.
It prints a line once it is ready, and lives until its standard input ends. Source: include/uapi/linux/fuse.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
import threading

CLONE_NEWNS, MS_REC_PRIVATE = 0x20000, 0x44000
LOOKUP, FORGET, GETATTR, OPEN, READ, INIT, OPENDIR, READDIR, READDIRPLUS = 1, 2, 3, 14, 15, 26, 27, 28, 44
libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def attributes(node: int) -> bytes:
    mode, size = (0o40755, 0) if node == 1 else (0o100644, 4096)
    return struct.pack("=QQQQQQIIIIIIIIII", node, size, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(code: int, node: int) -> bytes | None:
    """What is said to a request; None: nothing at all."""
    if code == INIT:
        return struct.pack("=IIIIHHIIHHI28x", 7, 31, 1 << 17, 0, 12, 10, 1 << 17, 1, 32, 0, 0)
    if code == LOOKUP:
        return struct.pack("=QQQQII", 2, 0, 1 << 30, 1 << 30, 0, 0) + attributes(2)
    if code == GETATTR:
        return struct.pack("=QII", 1 << 30, 0, 0) + attributes(node)
    if code in (OPEN, OPENDIR):
        return struct.pack("=QII", 1, 0, 0)
    return None


def serve(device: int) -> None:
    while True:
        request = os.read(device, 1 << 18)
        _, code, unique, node = struct.unpack_from("=IIQQ", request)
        said = answer(code, node)
        if said is not None:
            os.write(device, struct.pack("=IiQ", 16 + len(said), 0, unique) + said)
        elif code not in (READ, READDIR, READDIRPLUS, FORGET):
            os.write(device, struct.pack("=IiQ", 16, -errno.ENOSYS, unique))


def main() -> None:
    folder = sys.argv[1]
    checked(libc.unshare(CLONE_NEWNS))
    checked(libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC_PRIVATE), None))
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    checked(libc.mount(b"none", os.fsencode(folder), b"fuse", ctypes.c_ulong(0), options.encode()))
    threading.Thread(target=serve, args=(device,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
