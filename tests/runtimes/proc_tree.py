"""A /proc of one's own: processes with the files that netprobe reads, in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from netprobe.linux.runtimes.process import INITIAL_USER_NAMESPACE


class ProcTree:
    """`root` is handed to netprobe in the place of /proc. A network namespace is a file; two processes in it share the file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "namespaces").mkdir(parents=True)

    def add(
        self, pid: int, *, cgroup: str = "/", network: str = "host", cmdline: Sequence[str] = ("sleep", "1"), parent: int = 1,
        started: int | None = None, inner: int | None = None, mountinfo: str = "", comm: str | None = None, uid: int = 0,
        users: str = INITIAL_USER_NAMESPACE,
    ) -> int:  # fmt: skip
        """A process; `inner` is its number in a PID namespace of its own, `users` its user namespace. Gives `pid`.

        Its name is that of its program, as the kernel cuts it, unless `comm` is another.
        """
        comm = os.path.basename(cmdline[0])[:15] if comm is None else comm
        folder = self.root / str(pid)
        (folder / "ns").mkdir(parents=True)
        (self.root / "namespaces" / network).touch()
        os.link(self.root / "namespaces" / network, folder / "ns" / "net")
        (folder / "ns" / "user").symlink_to(users)
        (folder / "cgroup").write_text(f"0::{cgroup}\n")
        (folder / "cmdline").write_bytes(b"\0".join(os.fsencode(part) for part in cmdline) + b"\0")
        (folder / "mountinfo").write_text(mountinfo)
        numbers = f"{pid}" if inner is None else f"{pid}\t{inner}"
        (folder / "status").write_text(f"Name:\t{comm}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nNSpid:\t{numbers}\n")
        rest = ["S", str(parent), *["0"] * 17, str(pid if started is None else started), "0"]
        (folder / "stat").write_text(f"{pid} ({comm}) {' '.join(rest)}\n")
        return pid

    def network(self, name: str) -> tuple[int, int]:
        """How the namespace `name` is identified."""
        stat = (self.root / "namespaces" / name).stat()
        return stat.st_dev, stat.st_ino
