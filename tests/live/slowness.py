"""Programs that let netprobe wait: `engine PATH` takes connections at a socket and never answers; `keeper FOLDER OPTION...`, started as
`conmon`, is a user's, and its storage is a file system that never answers either. Each prints a line once it is ready.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from runtimes import hung_files

NOBODY, PR_SET_NAME = 65534, 15
answered = hung_files.answer


def silent(code: int, node: int) -> bytes | None:
    """Not even whether there is a file of this name."""
    return None if code == hung_files.LOOKUP else answered(code, node)


def engine(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        time.sleep(600)


def keeper(folder: str) -> None:
    hung_files.answer = silent
    checked, libc = hung_files.checked, hung_files.libc
    checked(libc.unshare(hung_files.CLONE_NEWNS))
    checked(libc.mount(b"none", b"/", None, ctypes.c_ulong(hung_files.MS_REC_PRIVATE), None))
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    checked(libc.mount(b"none", os.fsencode(folder), b"fuse", ctypes.c_ulong(0), options.encode()))
    threading.Thread(target=hung_files.serve, args=(device,), daemon=True).start()
    os.setresuid(NOBODY, NOBODY, NOBODY)
    print("ready", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_NAME, sys.argv[1].replace("keeper", "conmon").encode(), 0, 0, 0)
    {"engine": engine, "keeper": keeper}[sys.argv[1]](sys.argv[2])
