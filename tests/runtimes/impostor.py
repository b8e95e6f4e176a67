"""A process that looks like the one beside a container: `conmon IMPOSTOR UID OPTIONS...`, started under that name. It runs as UID.

It prints a line with the number of its child once it is ready, and lives until it is ended. Started by `command`, which see.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Sequence

PR_SET_NAME = 15


def command(name: str, uid: int, options: Sequence[str]) -> list[str]:
    """A command line that starts such a process: it is called `name` from its first moment on."""
    python = getattr(sys, "_base_executable", sys.executable)
    settings = ["env", f"PYTHONHOME={sys.base_prefix}", "bash", "-c", 'exec -a "$0" "$@"', name]
    return [*settings, python, __file__, str(uid), *options]


def conmon(identity: str, storage: str, run: str, name: str = "web") -> list[str]:
    """The options of a conmon of Podman."""
    bundle, pidfile = (f"{folder}/overlay-containers/{identity}/userdata" for folder in (storage, run))
    return ["-c", identity, "-n", name, "-b", bundle, "-p", f"{pidfile}/pidfile"]


def main() -> None:
    uid = int(sys.argv[1])
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    name = "conmon" if "-n" in sys.argv else "containerd-shim"
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    child = os.fork()  # what it claims to keep
    if not child:
        os.execvp("sleep", ["sleep", "600"])
    print("ready", child, flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
