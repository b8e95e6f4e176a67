"""Run a command as the user nobody: `python as_nobody.py FOLDER... -- COMMAND...`. Needs root.

The interpreter and the project may lie below a folder that only root can pass (/root, a runner's home). In a mount namespace of its own,
such a folder is covered by an empty one in which the FOLDERs appear at their old places. Nothing else of it can be seen.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from netprobe.lab import syscalls

NOBODY = 65534


def closed_ancestor(folder: Path) -> Path | None:
    """The topmost folder on the way that other users may not pass."""
    for ancestor in reversed(folder.parents):
        if not ancestor.stat().st_mode & stat.S_IXOTH:
            return ancestor
    return None


def open_the_way(folders: list[Path]) -> None:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    held = {folder: os.open(folder, os.O_PATH) for folder in folders if closed_ancestor(folder)}
    for cover in {closed_ancestor(folder) for folder in held}:
        syscalls.mount("none", str(cover), "tmpfs", 0, "mode=755")
    for folder, fd in held.items():
        folder.mkdir(parents=True, exist_ok=True)
        syscalls.mount(f"/proc/self/fd/{fd}", str(folder), flags=syscalls.MS_BIND | syscalls.MS_REC)
        os.close(fd)


def main() -> None:
    border = sys.argv.index("--")
    open_the_way([Path(folder) for folder in sys.argv[1:border]])
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.execv(sys.argv[border + 1], sys.argv[border + 1 :])


main()
